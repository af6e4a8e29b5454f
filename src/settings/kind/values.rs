//! One text of a setting, and the value that it stands for.
//!
//! Pure. A message is in lower case, without a full stop, and names the way out. Which of these a
//! setting is read with is told by its [`Kind`](super::Kind).

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use http::HeaderName;
use ipnet::IpNet;
use portico_config::model::{
    ClusterIps, ExecProbe, ForwardPolicy, ObjectName, PodsMode, Probes, Publish, ServiceTarget,
    StaticRecord,
};
use tracing_subscriber::EnvFilter;

use super::{AppOptions, Fault, Format, Lens};

/// Sockets in the order given, completed by the default's port; `off` empties what came before it.
pub(super) fn listeners(
    lens: Lens<Vec<SocketAddr>>,
    items: &[String],
) -> Result<Vec<SocketAddr>, Fault> {
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
pub(super) fn listener(text: &str, own_port: u16) -> Result<Option<SocketAddr>, String> {
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

/// Rules in the order given; `off` empties what came before it.
pub(super) fn until_off<T: FromStr<Err = String> + PartialEq>(
    items: &[String],
) -> Result<Vec<T>, Fault> {
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

/// Lines of a zone file, for a few networks.
pub(super) fn records(items: &[String]) -> Result<Vec<StaticRecord>, Fault> {
    let records: Vec<StaticRecord> = parse_all(items, str::parse)?;
    let views: BTreeSet<IpNet> = records.iter().filter_map(|record| record.view).collect();
    if views.len() > MAX_VIEWS {
        let message = format!("names {} networks: at most {MAX_VIEWS}", views.len());
        return Err(Fault { index: None, message });
    }
    Ok(records)
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .map_err(|_| "expected a network such as 127.96.0.0/16".to_owned())
}

pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address such as 127.0.0.1".to_owned())
}

pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "-" => Err("expected the name of a file".to_owned()),
        text => Ok(text.into()),
    }
}

/// None for `stdout`.
pub(super) fn log_file(text: &str) -> Result<Option<PathBuf>, String> {
    if text == "stdout" { Ok(None) } else { file(text).map(Some) }
}

/// None for one word, what `read` makes of any other text.
pub(super) fn unless<T>(
    word: &str,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text == word { Ok(None) } else { read(text).map(Some) }
}

/// None for `off`.
pub(super) fn folder(text: &str) -> Result<Option<PathBuf>, String> {
    match text {
        "" => Err("is empty: name a folder, or off".to_owned()),
        folder => Ok((folder != "off").then(|| folder.into())),
    }
}

pub(super) fn zone(text: &str) -> Result<Arc<str>, String> {
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

pub(super) fn name(text: &str) -> Result<Arc<str>, String> {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
    if (1..=MAX_NAME_BYTES).contains(&text.len()) && text.chars().all(is_plain) {
        Ok(text.into())
    } else {
        Err("expected a name without spaces".to_owned())
    }
}

pub(super) fn short_name(text: &str) -> Result<Arc<str>, String> {
    match name(text)? {
        short if short.len() <= 64 => Ok(short),
        _ => Err("is longer than 64 characters".to_owned()),
    }
}

pub(super) fn object(text: &str) -> Result<ObjectName, String> {
    let is_name = |text: &&str| name(text).is_ok_and(|name| !name.contains('/'));
    let parts = text.split_once('/');
    parts
        .filter(|(namespace, name)| is_name(namespace) && is_name(name))
        .map(|(namespace, name)| ObjectName::new(namespace, name))
        .ok_or_else(|| "expected NAMESPACE/NAME, such as default/dns-tls".to_owned())
}

pub(super) fn service_port(text: &str) -> Result<ServiceTarget, String> {
    let parts = text.rsplit_once(':').filter(|(_, port)| name(port).is_ok());
    let target = parts.and_then(|(service, port)| {
        Some(ServiceTarget { service: object(service).ok()?, port: port.into() })
    });
    target.ok_or_else(|| "expected NAMESPACE/NAME:PORT, such as default/errors:80".to_owned())
}

/// A name that a field of a response may have whose value is not the proxy's own business.
pub(super) fn field_name(text: &str) -> Result<Arc<str>, String> {
    let name = HeaderName::try_from(text)
        .map_err(|_| "expected the name of a field, such as X-Frame-Options".to_owned())?;
    match OWN_FIELDS.contains(&name.as_str()) {
        true => Err("is about the connection, or frames the message".to_owned()),
        false => Ok(text.into()),
    }
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "is not a whole number".to_owned())
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

pub(super) fn parse_all<T>(
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
pub(super) fn one<T>(
    items: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Fault> {
    let fault = |message| Fault { index: None, message };
    match items {
        [item] => parse(item).map_err(|message| fault(format!("`{item}`: {message}"))),
        _ => Err(fault("expected one value".to_owned())),
    }
}

/// Refuses an empty list.
pub(super) fn some<T>(values: Vec<T>) -> Result<Vec<T>, Fault> {
    if values.is_empty() {
        return Err(Fault { index: None, message: "at least one is needed".to_owned() });
    }
    Ok(values)
}

pub(super) fn choose<T: Copy>(choices: &[(&'static str, T)], text: &str) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let (last, others) = names.split_last().unwrap_or((&"nothing", &[]));
        let or = if others.is_empty() { "" } else { " or " };
        format!("expected {}{or}{last}", others.join(", "))
    })
}

pub(super) fn name_of<T: PartialEq>(choices: &[(&'static str, T)], value: T) -> String {
    let found = choices.iter().find(|(_, choice)| *choice == value);
    found.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

pub(super) fn texts<T: Display>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

pub(super) const LIMIT_STATUS: [(&str, u16); 2] = [("429", 429), ("503", 503)];
pub(super) const CLUSTER_IPS: [(&str, ClusterIps); 3] =
    [("map", ClusterIps::Map), ("route", ClusterIps::Route), ("keep", ClusterIps::Keep)];
pub(super) const PROBES: [(&str, Probes); 3] =
    [("auto", Probes::Auto), ("on", Probes::On), ("off", Probes::Off)];
pub(super) const PODS_MODE: [(&str, PodsMode); 3] = [
    ("disabled", PodsMode::Disabled),
    ("insecure", PodsMode::Insecure),
    ("verified", PodsMode::Verified),
];
pub(super) const EXEC_PROBE: [(&str, ExecProbe); 2] =
    [("ready", ExecProbe::Ready), ("unready", ExecProbe::Unready)];
pub(super) const DEPTHS: [(&str, bool); 2] = [("any", false), ("one", true)];
pub(super) const PUBLISH: [(&str, Publish); 3] =
    [("all", Publish::All), ("suffixes", Publish::Suffixes), ("off", Publish::Off)];

pub(super) const POLICIES: [(&str, ForwardPolicy); 3] = [
    ("random", ForwardPolicy::Random),
    ("round-robin", ForwardPolicy::RoundRobin),
    ("sequential", ForwardPolicy::Sequential),
];
pub(super) const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];
pub(super) const REQUIRED: [(&str, bool); 2] = [("off", false), ("required", true)];
pub(super) const SWITCH: [(&str, bool); 2] = [("true", true), ("false", false)];
/// Room for a Service's labels below it within a name's 253 characters.
pub(super) const MAX_ZONE_BYTES: usize = 200;
/// Networks that see records of their own, each of which has a table.
const MAX_VIEWS: usize = 32;
pub(super) const MAX_NAME_BYTES: usize = 253;
/// Fields that nobody sets but who frames the message.
const OWN_FIELDS: [&str; 9] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
