//! How the values of a setting are read and written, and where they go.
//!
//! Between places and options a value is a list of texts: what flags and the environment give, what
//! the file's scalars say, what `show` writes. Invariant: `set` of what `show` wrote changes
//! nothing. A message is in lower case, without a full stop, and names the way out.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use portico_config::model::{
    ClusterIps, ExecProbe, ForwardPolicy, ForwardRule, ObjectName, PodsMode, Probes, StaticRecord,
    format_bytes, format_duration, parse_bytes, parse_duration,
};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use super::{AppOptions, Format};

/// Where a setting's value lives.
pub(crate) type Lens<T> = fn(&mut AppOptions) -> &mut T;

/// What the values of a setting are.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Sockets: `ADDR:PORT`, `ADDR`, `PORT` on 127.0.0.1, or `off`.
    Listeners(Lens<Vec<SocketAddr>>),
    /// Networks; at least one.
    Networks(Lens<Vec<IpNet>>),
    /// Networks, or none.
    AnyNetworks(Lens<Vec<IpNet>>),
    /// IP addresses.
    Addresses(Lens<Vec<IpAddr>>),
    /// Domain names.
    Zones { may_be_off: bool, lens: Lens<Vec<Arc<str>>> },
    /// Lines of a zone file.
    Records(Lens<Vec<StaticRecord>>),
    /// Files.
    Files(Lens<Vec<PathBuf>>),
    /// Names of any form.
    Names(Lens<Vec<Arc<str>>>),
    /// A name or none.
    Name(Lens<Option<Arc<str>>>),
    /// Resolvers that are asked, or `off`.
    Forwards(Lens<Vec<ForwardRule>>),
    /// Which of them first.
    ForwardPolicy(Lens<ForwardPolicy>),
    /// A name of at most 64 octets, or none.
    ShortName(Lens<Option<Arc<str>>>),
    /// An object as `NAMESPACE/NAME`, or none.
    Object(Lens<Option<ObjectName>>),
    /// `map` or `keep`.
    ClusterIps(Lens<ClusterIps>),
    /// `auto`, `on` or `off`.
    Probes(Lens<Probes>),
    /// `disabled`, `insecure` or `verified`.
    PodsMode(Lens<PodsMode>),
    /// `ready` or `unready`.
    ExecProbe(Lens<ExecProbe>),
    /// `text` or `json`.
    Format(Lens<Format>),
    /// `off` or `required`.
    Required(Lens<bool>),
    /// `true` or `false`.
    Switch(Lens<bool>),
    /// Whole seconds.
    Seconds(RangeInclusive<u32>, Lens<u32>),
    /// A whole number.
    Count(RangeInclusive<usize>, Lens<usize>),
    /// A whole number, or `auto`.
    CountOrAuto(RangeInclusive<usize>, Lens<Option<usize>>),
    /// A Kubernetes quantity.
    Bytes(RangeInclusive<u64>, Lens<u64>),
    /// A time in Go's form.
    Time(RangeInclusive<Duration>, Lens<Duration>),
    /// A time in Go's form, or `off`.
    TimeOrOff(RangeInclusive<Duration>, Lens<Option<Duration>>),
    /// A folder, or `off`.
    Folder(Lens<Option<PathBuf>>),
    /// Levels of the log.
    LogFilter(Lens<String>),
}

/// What is wrong with a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    /// Which item of a list, from 0; none: the value as a whole.
    pub(crate) index: Option<usize>,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl Kind {
    /// Whether several values may be given.
    pub(crate) fn is_list(&self) -> bool {
        matches!(
            self,
            Self::Listeners(_)
                | Self::Networks(_)
                | Self::AnyNetworks(_)
                | Self::Addresses(_)
                | Self::Zones { .. }
                | Self::Names(_)
                | Self::Records(_)
                | Self::Files(_)
                | Self::Forwards(_)
        )
    }

    /// What stands between the values of a variable, or of one flag. Records have commas in them.
    pub(crate) fn delimiter(&self) -> char {
        if let Self::Records(_) = self { '\n' } else { ',' }
    }

    /// The texts that are taken, where they can be listed.
    pub(crate) fn choices(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::ClusterIps(_) => Some(CLUSTER_IPS.map(|(name, _)| name).into()),
            Self::Probes(_) => Some(PROBES.map(|(name, _)| name).into()),
            Self::PodsMode(_) => Some(PODS_MODE.map(|(name, _)| name).into()),
            Self::ExecProbe(_) => Some(EXEC_PROBE.map(|(name, _)| name).into()),
            Self::ForwardPolicy(_) => Some(POLICIES.map(|(name, _)| name).into()),
            Self::Format(_) => Some(FORMATS.map(|(name, _)| name).into()),
            Self::Required(_) => Some(REQUIRED.map(|(name, _)| name).into()),
            Self::Switch(_) => Some(SWITCH.map(|(name, _)| name).into()),
            _ => None,
        }
    }

    /// The range that is taken, in words; empty where there is none to name.
    pub(crate) fn range(&self) -> String {
        let between = |low: &dyn Display, high: &dyn Display| format!("{low} to {high}");
        match self {
            Self::Seconds(range, _) => between(range.start(), range.end()),
            Self::Count(range, _) | Self::CountOrAuto(range, _) => {
                between(range.start(), range.end())
            }
            Self::Bytes(range, _) => {
                between(&format_bytes(*range.start()), &format_bytes(*range.end()))
            }
            Self::Time(range, _) | Self::TimeOrOff(range, _) => {
                between(&format_duration(*range.start()), &format_duration(*range.end()))
            }
            _ => String::new(),
        }
    }

    /// Whether one item would be taken.
    pub(crate) fn check(&self, item: &str) -> Result<(), String> {
        self.set(&mut AppOptions::default(), &[item.to_owned()])
            .map_err(|fault| fault.message)
    }

    /// Reads `items` and puts them into `options` in place of what is there.
    pub(crate) fn set(&self, options: &mut AppOptions, items: &[String]) -> Result<(), Fault> {
        match self {
            Self::Listeners(lens) => *lens(options) = listeners(*lens, items)?,
            Self::Networks(lens) => *lens(options) = some(parse_all(items, network)?)?,
            Self::AnyNetworks(lens) => *lens(options) = parse_all(items, network)?,
            Self::Addresses(lens) => *lens(options) = parse_all(items, address)?,
            Self::Zones { may_be_off, lens } => {
                let items: Vec<_> = items
                    .iter()
                    .filter(|item| !*may_be_off || *item != "off")
                    .cloned()
                    .collect();
                let zones = parse_all(&items, zone)?;
                *lens(options) = if *may_be_off { zones } else { some(zones)? };
            }
            Self::Records(lens) => *lens(options) = parse_all(items, str::parse)?,
            Self::Files(lens) => *lens(options) = parse_all(items, file)?,
            Self::Names(lens) => *lens(options) = parse_all(items, name)?,
            Self::Name(lens) => *lens(options) = parse_all(items, name)?.pop(),
            Self::ShortName(lens) => *lens(options) = parse_all(items, short_name)?.pop(),
            Self::Object(lens) => *lens(options) = parse_all(items, object)?.pop(),
            Self::Forwards(lens) => *lens(options) = forwards(items)?,
            Self::ForwardPolicy(lens) => *lens(options) = one(items, |it| choose(&POLICIES, it))?,
            Self::ClusterIps(lens) => *lens(options) = one(items, |it| choose(&CLUSTER_IPS, it))?,
            Self::Probes(lens) => *lens(options) = one(items, |it| choose(&PROBES, it))?,
            Self::PodsMode(lens) => *lens(options) = one(items, |it| choose(&PODS_MODE, it))?,
            Self::ExecProbe(lens) => *lens(options) = one(items, |it| choose(&EXEC_PROBE, it))?,
            Self::Format(lens) => *lens(options) = one(items, |it| choose(&FORMATS, it))?,
            Self::Required(lens) => *lens(options) = one(items, |it| choose(&REQUIRED, it))?,
            Self::Switch(lens) => *lens(options) = one(items, |it| choose(&SWITCH, it))?,
            Self::Seconds(range, lens) => {
                *lens(options) = one(items, |it| self.within(range, number(it)?))?;
            }
            Self::Count(range, lens) => {
                *lens(options) = one(items, |it| self.within(range, number(it)?))?;
            }
            Self::CountOrAuto(range, lens) => {
                let count = |it: &str| match it {
                    "auto" => Ok(None),
                    it => self.within(range, number(it)?).map(Some),
                };
                *lens(options) = one(items, count)?;
            }
            Self::Bytes(range, lens) => {
                *lens(options) = one(items, |it| self.within(range, parse_bytes(it)?))?;
            }
            Self::Time(range, lens) => {
                *lens(options) = one(items, |it| self.within(range, parse_duration(it)?))?;
            }
            Self::TimeOrOff(range, lens) => {
                let time = |it: &str| match it {
                    "off" => Ok(None),
                    it => self.within(range, parse_duration(it)?).map(Some),
                };
                *lens(options) = one(items, time)?;
            }
            Self::Folder(lens) => {
                let folder = |it: &str| match it {
                    "" => Err("is empty: name a folder, or off".to_owned()),
                    folder => Ok((folder != "off").then(|| folder.into())),
                };
                *lens(options) = one(items, folder)?;
            }
            Self::LogFilter(lens) => *lens(options) = one(items, log_filter)?,
        }
        Ok(())
    }

    /// The value in `options`, as [`Kind::set`] reads it.
    pub(crate) fn show(&self, options: &AppOptions) -> Vec<String> {
        // A lens leads to something that can be changed: what it changes here is a copy.
        let of = &mut options.clone();
        match self {
            Self::Listeners(lens) => texts(lens(of)),
            Self::Networks(lens) | Self::AnyNetworks(lens) => texts(lens(of)),
            Self::Addresses(lens) => texts(lens(of)),
            Self::Zones { lens, .. } | Self::Names(lens) => texts(lens(of)),
            Self::Records(lens) => texts(lens(of)),
            Self::Files(lens) => lens(of).iter().map(|it| it.display().to_string()).collect(),
            Self::Name(lens) | Self::ShortName(lens) => texts(lens(of).as_slice()),
            Self::Object(lens) => texts(lens(of).as_slice()),
            Self::Forwards(lens) => texts(lens(of)),
            Self::ForwardPolicy(lens) => vec![name_of(&POLICIES, *lens(of))],
            Self::ClusterIps(lens) => vec![name_of(&CLUSTER_IPS, *lens(of))],
            Self::Probes(lens) => vec![name_of(&PROBES, *lens(of))],
            Self::PodsMode(lens) => vec![name_of(&PODS_MODE, *lens(of))],
            Self::ExecProbe(lens) => vec![name_of(&EXEC_PROBE, *lens(of))],
            Self::Format(lens) => vec![name_of(&FORMATS, *lens(of))],
            Self::Required(lens) => vec![name_of(&REQUIRED, *lens(of))],
            Self::Switch(lens) => vec![lens(of).to_string()],
            Self::Seconds(_, lens) => vec![lens(of).to_string()],
            Self::Count(_, lens) => vec![lens(of).to_string()],
            Self::CountOrAuto(_, lens) => {
                vec![lens(of).map_or_else(|| "auto".to_owned(), |it| it.to_string())]
            }
            Self::Bytes(_, lens) => vec![format_bytes(*lens(of))],
            Self::Time(_, lens) => vec![format_duration(*lens(of))],
            Self::TimeOrOff(_, lens) => {
                vec![lens(of).map_or_else(|| "off".to_owned(), format_duration)]
            }
            Self::Folder(lens) => {
                let folder = lens(of).as_ref();
                vec![folder.map_or_else(|| "off".to_owned(), |it| it.display().to_string())]
            }
            Self::LogFilter(lens) => vec![lens(of).clone()],
        }
    }

    /// The items that a value of the file holds; a list of one may be written without brackets.
    pub(crate) fn items(&self, value: &Value) -> Result<Vec<String>, Fault> {
        match value {
            Value::Array(values) if self.is_list() => values
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    self.scalar(value)
                        .map_err(|message| Fault { index: Some(index), message })
                })
                .collect(),
            value => self
                .scalar(value)
                .map(|item| vec![item])
                .map_err(|message| Fault { index: None, message }),
        }
    }

    /// The text of one scalar; fails where its type is not the setting's.
    fn scalar(&self, value: &Value) -> Result<String, String> {
        let expected = match (self, value) {
            (Self::Switch(_), Value::Bool(value)) => return Ok(value.to_string()),
            (Self::Switch(_), _) => "true or false",
            (Self::Seconds(..) | Self::Count(..), Value::Number(value)) => {
                return Ok(value.to_string());
            }
            (Self::Seconds(..) | Self::Count(..), _) => "a whole number",
            (
                Self::Bytes(..) | Self::Listeners(_) | Self::CountOrAuto(..),
                Value::Number(value),
            ) => {
                return Ok(value.to_string());
            }
            // YAML 1.1 reads a bare `off` as false.
            (
                Self::Listeners(_)
                | Self::Forwards(_)
                | Self::Folder(_)
                | Self::TimeOrOff(..)
                | Self::Required(_)
                | Self::Probes(_),
                Value::Bool(false),
            )
            | (Self::Zones { may_be_off: true, .. }, Value::Bool(false)) => {
                return Ok("off".to_owned());
            }
            (Self::Probes(_), Value::Bool(true)) => return Ok("on".to_owned()),
            (_, Value::String(text)) => return Ok(text.clone()),
            (Self::Time(..) | Self::TimeOrOff(..), _) => "a time with its unit, such as 30s",
            (Self::Bytes(..), _) => "an amount of bytes, such as 64Mi",
            _ => "a text",
        };
        let found = match value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(text) if text.parse::<u64>().is_ok() => "a text: take its quotes away",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
        };
        Err(format!("expected {expected}, found {found}"))
    }

    fn within<T: PartialOrd>(&self, range: &RangeInclusive<T>, value: T) -> Result<T, String> {
        if range.contains(&value) { Ok(value) } else { Err(format!("is not in {}", self.range())) }
    }
}

/// Sockets in the order given, completed by the default's port; `off` empties what came before it.
fn listeners(lens: Lens<Vec<SocketAddr>>, items: &[String]) -> Result<Vec<SocketAddr>, Fault> {
    let defaults = &mut AppOptions::default();
    // One that is off by default is that of DNS over TLS.
    let own_port = lens(defaults).first().map_or(853, SocketAddr::port);
    let mut listeners = Vec::new();
    for listen in parse_all(items, |item| listener(item, own_port))? {
        match listen {
            Some(address) if listeners.contains(&address) => {}
            Some(address) => listeners.push(address),
            None => listeners.clear(),
        }
    }
    Ok(listeners)
}

/// One socket; none for `off`.
fn listener(text: &str, own_port: u16) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    // As a browser shows it, for those who ask the admin listener.
    let text = text
        .strip_prefix("http://")
        .map_or(text, |rest| rest.trim_end_matches('/'));
    if let Ok(address) = text.parse() {
        return Ok(Some(address));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(Some(SocketAddr::new(ip, own_port)));
    }
    if let Ok(port) = text.parse() {
        return Ok(Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)));
    }
    Err(match text.strip_prefix(':') {
        Some(port) => format!("name the address too: 127.0.0.1:{port}, or 0.0.0.0:{port}"),
        None => "expected ADDR:PORT, ADDR, PORT or off".to_owned(),
    })
}

/// Resolvers in the order given; `off` empties what came before it.
fn forwards(items: &[String]) -> Result<Vec<ForwardRule>, Fault> {
    let rule = |item: &str| match item {
        "off" => Ok(None),
        item => item.parse().map(Some),
    };
    let mut rules = Vec::new();
    for rule in parse_all(items, rule)? {
        match rule {
            Some(rule) if rules.contains(&rule) => {}
            Some(rule) => rules.push(rule),
            None => rules.clear(),
        }
    }
    Ok(rules)
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .map_err(|_| "expected a network such as 127.96.0.0/16".to_owned())
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address such as 127.0.0.1".to_owned())
}

fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "-" => Err("expected the name of a file".to_owned()),
        text => Ok(text.into()),
    }
}

fn zone(text: &str) -> Result<Arc<str>, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() <= MAX_ZONE_BYTES && name.split('.').all(label) {
        Ok(name.to_ascii_lowercase().into())
    } else {
        Err("expected a domain name such as cluster.local".to_owned())
    }
}

fn name(text: &str) -> Result<Arc<str>, String> {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
    if (1..=MAX_NAME_BYTES).contains(&text.len()) && text.chars().all(is_plain) {
        Ok(text.into())
    } else {
        Err("expected a name without spaces".to_owned())
    }
}

fn short_name(text: &str) -> Result<Arc<str>, String> {
    match name(text)? {
        short if short.len() <= 64 => Ok(short),
        _ => Err("is longer than 64 characters".to_owned()),
    }
}

fn object(text: &str) -> Result<ObjectName, String> {
    let is_name = |text: &&str| name(text).is_ok_and(|name| !name.contains('/'));
    let parts = text.split_once('/');
    parts
        .filter(|(namespace, name)| is_name(namespace) && is_name(name))
        .map(|(namespace, name)| ObjectName::new(namespace, name))
        .ok_or_else(|| "expected NAMESPACE/NAME, such as default/dns-tls".to_owned())
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "is not a whole number".to_owned())
}

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

fn parse_all<T>(
    items: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Fault> {
    let parse = |(index, item): (usize, &String)| {
        parse(item).map_err(|message| Fault {
            index: Some(index),
            message: format!("`{item}`: {message}"),
        })
    };
    items.iter().enumerate().map(parse).collect()
}

/// The one item of a setting that is no list.
fn one<T>(items: &[String], parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Fault> {
    let fault = |message| Fault { index: None, message };
    match items {
        [item] => parse(item).map_err(|message| fault(format!("`{item}`: {message}"))),
        _ => Err(fault("expected one value".to_owned())),
    }
}

/// Refuses an empty list.
fn some<T>(values: Vec<T>) -> Result<Vec<T>, Fault> {
    if values.is_empty() {
        return Err(Fault { index: None, message: "at least one is needed".to_owned() });
    }
    Ok(values)
}

fn choose<T: Copy>(choices: &[(&'static str, T)], text: &str) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let (last, others) = names.split_last().unwrap_or((&"nothing", &[]));
        let or = if others.is_empty() { "" } else { " or " };
        format!("expected {}{or}{last}", others.join(", "))
    })
}

fn name_of<T: PartialEq>(choices: &[(&'static str, T)], value: T) -> String {
    let found = choices.iter().find(|(_, choice)| *choice == value);
    found.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

fn texts<T: Display>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

const CLUSTER_IPS: [(&str, ClusterIps); 3] =
    [("map", ClusterIps::Map), ("route", ClusterIps::Route), ("keep", ClusterIps::Keep)];
const PROBES: [(&str, Probes); 3] =
    [("auto", Probes::Auto), ("on", Probes::On), ("off", Probes::Off)];
const PODS_MODE: [(&str, PodsMode); 3] = [
    ("disabled", PodsMode::Disabled),
    ("insecure", PodsMode::Insecure),
    ("verified", PodsMode::Verified),
];
const EXEC_PROBE: [(&str, ExecProbe); 2] =
    [("ready", ExecProbe::Ready), ("unready", ExecProbe::Unready)];
const POLICIES: [(&str, ForwardPolicy); 3] = [
    ("random", ForwardPolicy::Random),
    ("round-robin", ForwardPolicy::RoundRobin),
    ("sequential", ForwardPolicy::Sequential),
];
const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];
const REQUIRED: [(&str, bool); 2] = [("off", false), ("required", true)];
const SWITCH: [(&str, bool); 2] = [("true", true), ("false", false)];
/// Room for a Service's labels below it within a name's 253 characters.
const MAX_ZONE_BYTES: usize = 200;
const MAX_NAME_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::super::table::SETTINGS;
    use super::*;

    fn kind(key: &str) -> &'static Kind {
        &SETTINGS
            .iter()
            .find(|setting| setting.key == key)
            .unwrap()
            .kind
    }

    fn set(key: &str, items: &[&str]) -> Result<Vec<String>, String> {
        let items: Vec<_> = items.iter().map(ToString::to_string).collect();
        let mut options = AppOptions::default();
        kind(key)
            .set(&mut options, &items)
            .map_err(|fault| fault.message)?;
        Ok(kind(key).show(&options))
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for (key, items, want) in [
            ("http", &["0.0.0.0:80"][..], &["0.0.0.0:80"][..]),
            ("http", &["192.0.2.1"], &["192.0.2.1:8080"]),
            ("http", &["::1"], &["[::1]:8080"]),
            ("http", &["[::1]:81"], &["[::1]:81"]),
            ("dns.listen", &["81", "81"], &["127.0.0.1:81"]),
            ("forward", &["system", "A.b=192.0.2.1"], &["system", "a.b=192.0.2.1:53"]),
            ("forward", &["system", "off"], &[]),
            ("forwardPolicy", &["round-robin"], &["round-robin"]),
            ("dns.cacheBytes", &["0"], &["0"]),
            ("dns.serveStale", &["1h"], &["1h"]),
            ("dns.prefetch", &["true"], &["true"]),
            ("dns.allow", &["0.0.0.0/0"], &["0.0.0.0/0"]),
            ("http", &["81", "off"], &[]),
            ("http", &[], &[]),
            ("serviceCidr", &["10.96.0.0/12", "fd00::/108"], &["10.96.0.0/12", "fd00::/108"]),
            ("clusterIps", &["keep"], &["keep"]),
            ("nodeName", &["node1"], &["node1"]),
            ("nodeName", &[], &[]),
            ("dns.tls", &["0.0.0.0"], &["0.0.0.0:853"]),
            ("dns.tls", &["off"], &[]),
            ("dns.tlsSecret", &["default/dns"], &["default/dns"]),
            ("clusterDomain", &["Corp.Example."], &["corp.example"]),
            ("aliasZone", &["off"], &[]),
            ("ingress.serveClassless", &["false"], &["false"]),
            ("drainTimeout", &["90s"], &["1m30s"]),
            ("dns.record", &["A.test in TXT \"a, b\""], &["a.test TXT \"a, b\""]),
            ("dns.hosts", &["/etc/hosts"], &["/etc/hosts"]),
            ("dns.fallthrough", &["In-Addr.Arpa."], &["in-addr.arpa"]),
            ("podsMode", &["insecure"], &["insecure"]),
            ("dns.namespaces", &["a", "b"], &["a", "b"]),
            ("dns.reverseCidr", &["10.0.0.0/8"], &["10.0.0.0/8"]),
            ("stateDir", &["off"], &["off"]),
            ("tcp.idleTimeout", &["10m"], &["10m"]),
            ("tcp.keepalive", &["off"], &["off"]),
            ("ingress.proxyProtocol", &["required"], &["required"]),
            ("probes", &["on"], &["on"]),
            ("execProbe", &["unready"], &["unready"]),
            ("trustedProxies", &["10.0.0.0/24"], &["10.0.0.0/24"]),
            ("stateDir", &["/var/lib/portico"], &["/var/lib/portico"]),
            ("logFormat", &["json"], &["json"]),
            ("logLevel", &["info,portico_dns=debug"], &["info,portico_dns=debug"]),
            ("limits.maxFileBytes", &["1Gi"], &["1Gi"]),
            ("limits.maxConnections", &["1000"], &["1000"]),
            ("limits.maxConnections", &["auto"], &["auto"]),
        ] {
            let shown = set(key, items).unwrap();
            assert_eq!(shown, want, "{key} {items:?}");
            let again: Vec<&str> = shown.iter().map(String::as_str).collect();
            assert_eq!(set(key, &again).unwrap(), want, "{key} {items:?} again");
        }
    }

    #[test]
    fn bad_values_are_refused_with_the_way_out() {
        for (key, items, want) in [
            ("http", &[":8080"][..], "127.0.0.1:8080"),
            ("http", &["web"], "`web`: expected ADDR:PORT"),
            ("serviceCidr", &["127.96.0.0"], "expected a network"),
            ("serviceCidr", &[], "at least one"),
            ("clusterDomain", &[], "at least one"),
            ("clusterDomain", &["a..b"], "domain name"),
            ("nodeAddress", &["web"], "expected an IP address"),
            (
                "dns.nsid",
                &["a-name-that-is-longer-than-sixty-four-characters-is-not-a-short-name"],
                "longer than 64",
            ),
            ("dns.tlsSecret", &["dns"], "expected NAMESPACE/NAME"),
            ("dns.tlsSecret", &["a/b/c"], "expected NAMESPACE/NAME"),
            ("forward", &["dns.example"], "`dns.example`: expected ADDR"),
            ("forwardPolicy", &["first"], "expected random, round-robin or sequential"),
            ("dns.allow", &[], "at least one"),
            ("dns.serveStale", &["2d"], "no unit"),
            ("nodeName", &["a b"], "without spaces"),
            ("dns.record", &["a.test B c"], "B is none of A, AAAA"),
            ("dns.hosts", &["-"], "expected the name of a file"),
            ("dns.ttl", &["3601"], "`3601`: is not in 0 to 3600"),
            ("workers", &["-1"], "whole number"),
            ("workers", &["0"], "is not in 1 to 256"),
            ("drainTimeout", &["1y"], "no unit"),
            ("drainTimeout", &["25h"], "at most 24h"),
            ("tcp.keepalive", &["0s"], "is not in 1s to"),
            ("podsMode", &["verify"], "expected disabled, insecure or verified"),
            ("clusterIps", &["rout"], "expected map, route or keep"),
            ("probes", &["yes"], "expected auto, on or off"),
            ("logLevel", &["a=b=c"], "error parsing level filter"),
            ("limits.maxFileBytes", &["64MB"], "such as 64Mi"),
            ("limits.maxDepth", &["1000"], "is not in 8 to 256"),
            ("limits.maxConnections", &["0"], "is not in 1 to 10000000"),
            ("limits.maxConnections", &["many"], "whole number"),
        ] {
            let error = set(key, items).unwrap_err();
            assert!(error.contains(want), "{key} {items:?}: {error}");
        }
    }

    #[test]
    fn values_of_the_file_have_their_setting_s_type() {
        for (key, value, want) in [
            ("http", "8080", Ok(vec!["8080"])),
            ("http", "false", Ok(vec!["off"])),
            ("probes", "false", Ok(vec!["off"])),
            ("probes", "true", Ok(vec!["on"])),
            ("http", "[\"::1\", 81]", Ok(vec!["::1", "81"])),
            ("http", "[{}]", Err("expected a text, found a mapping")),
            ("dns.ttl", "7", Ok(vec!["7"])),
            (
                "dns.ttl",
                "\"7\"",
                Err("expected a whole number, found a text: take its quotes away"),
            ),
            ("dns.ttl", "[7]", Err("expected a whole number, found a list")),
            ("nodeName", "7", Err("expected a text, found a number")),
            ("nodeName", "false", Err("expected a text, found true or false")),
            (
                "drainTimeout",
                "30",
                Err("expected a time with its unit, such as 30s, found a number"),
            ),
            ("limits.maxFileBytes", "4096", Ok(vec!["4096"])),
            ("limits.maxFileBytes", "\"64Mi\"", Ok(vec!["64Mi"])),
            ("limits.maxConnections", "1000", Ok(vec!["1000"])),
            ("ingress.serveClassless", "false", Ok(vec!["false"])),
            ("ingress.serveClassless", "\"no\"", Err("expected true or false, found a text")),
        ] {
            let value: Value = serde_json::from_str(value).unwrap();
            let got = kind(key).items(&value).map_err(|fault| fault.message);
            let want = want
                .map(|items| items.into_iter().map(str::to_owned).collect())
                .map_err(str::to_owned);
            assert_eq!(got, want, "{key}: {value}");
        }
    }
}
