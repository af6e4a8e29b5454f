//! How the values of a setting are read and written, and where they go.
//!
//! Between places and options a value is a list of texts: what flags and the environment give, what
//! the file's scalars say, what `show` writes. Invariant: `set` of what `show` wrote changes
//! nothing. How one text is read is the work of [`values`].

mod values;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use portico_config::model::{
    AutopathFrom, ClusterIps, ExecProbe, FailoverCode, ForwardPolicy, ForwardRule, LabelSelector,
    LogFormat, LogTarget, ObjectName, PodsMode, Probes, Publish, QueryLogRule, Rewrite,
    ServiceTarget, StaticRecord, format_bytes, format_duration, parse_bytes, parse_duration,
};
use portico_net::limit::MemoryLimit;
use serde_json::Value;

use super::{AppOptions, Format};

use self::values::{
    CLUSTER_IPS, DEPTHS, EXEC_PROBE, FORMATS, LIMIT_STATUS, PODS_MODE, POLICIES, PROBES, PUBLISH,
    REQUIRED, SWITCH, address, choose, field_name, file, folder, listeners, log_file, log_filter,
    name, name_of, network, number, object, one, parse_all, records, service_port, short_name,
    some, texts, unless, until_off, zone,
};

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
    /// Rules of names, the first that is about one counts.
    Rewrites(Lens<Vec<Rewrite>>),
    /// Files.
    Files(Lens<Vec<PathBuf>>),
    /// Names of any form.
    Names(Lens<Vec<Arc<str>>>),
    /// A name or none.
    Name(Lens<Option<Arc<str>>>),
    /// Resolvers that are asked, or `off`.
    Forwards(Lens<Vec<ForwardRule>>),
    /// Which questions are logged, or `off`.
    QueryLog(Lens<Vec<QueryLogRule>>),
    /// A file, or `off`.
    FileOrOff(Lens<Option<PathBuf>>),
    /// Labels that are wanted, or none.
    Labels(Lens<Option<LabelSelector>>),
    /// `any` or `one`.
    Depth(Lens<bool>),
    /// A file, or `stdout`.
    LogFile(Lens<Option<PathBuf>>),
    /// Where requests are logged.
    LogTarget(Lens<LogTarget>),
    /// What a line of that log says.
    LogShape(Lens<LogFormat>),
    /// Response codes, or `off`.
    Failover(Lens<Vec<FailoverCode>>),
    /// Which of them first.
    ForwardPolicy(Lens<ForwardPolicy>),
    /// A name of at most 64 octets, or none.
    ShortName(Lens<Option<Arc<str>>>),
    /// An object as `NAMESPACE/NAME`, or none.
    Object(Lens<Option<ObjectName>>),
    /// A port of a Service as `NAMESPACE/NAME:PORT`, or none.
    ServicePort(Lens<Option<ServiceTarget>>),
    /// Names of fields of HTTP messages.
    FieldNames(Lens<Vec<Arc<str>>>),
    /// 429 or 503.
    LimitStatus(Lens<u16>),
    /// `map` or `keep`.
    ClusterIps(Lens<ClusterIps>),
    /// `auto`, `on` or `off`.
    Probes(Lens<Probes>),
    /// `disabled`, `insecure` or `verified`.
    PodsMode(Lens<PodsMode>),
    /// Clients that are taken for Pods of a namespace.
    AutopathFrom(Lens<Vec<AutopathFrom>>),
    /// Which hosts have names.
    Publish(Lens<Publish>),
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
    /// A Kubernetes quantity, `auto` or `off`.
    Memory(RangeInclusive<u64>, Lens<MemoryLimit>),
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
    /// Whether it is on or off.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self, Self::Switch(_))
    }

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
                | Self::Rewrites(_)
                | Self::AutopathFrom(_)
                | Self::Files(_)
                | Self::FieldNames(_)
                | Self::Forwards(_)
                | Self::QueryLog(_)
                | Self::Failover(_)
        )
    }

    /// What stands between the values of a variable, or of one flag. Records and expressions have commas in them.
    pub(crate) fn delimiter(&self) -> char {
        if matches!(self, Self::Records(_) | Self::Rewrites(_)) { '\n' } else { ',' }
    }

    /// The texts that are taken, where they can be listed.
    pub(crate) fn choices(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::LimitStatus(_) => Some(LIMIT_STATUS.map(|(name, _)| name).into()),
            Self::ClusterIps(_) => Some(CLUSTER_IPS.map(|(name, _)| name).into()),
            Self::Probes(_) => Some(PROBES.map(|(name, _)| name).into()),
            Self::PodsMode(_) => Some(PODS_MODE.map(|(name, _)| name).into()),
            Self::Publish(_) => Some(PUBLISH.map(|(name, _)| name).into()),
            Self::Depth(_) => Some(DEPTHS.map(|(name, _)| name).into()),
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
            Self::Bytes(range, _) | Self::Memory(range, _) => {
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
            Self::Records(lens) => *lens(options) = records(items)?,
            Self::Rewrites(lens) => *lens(options) = parse_all(items, str::parse)?,
            Self::AutopathFrom(lens) => *lens(options) = parse_all(items, str::parse)?,
            Self::Files(lens) => *lens(options) = parse_all(items, file)?,
            Self::Names(lens) => *lens(options) = parse_all(items, name)?,
            Self::Name(lens) => *lens(options) = parse_all(items, name)?.pop(),
            Self::ShortName(lens) => *lens(options) = parse_all(items, short_name)?.pop(),
            Self::Object(lens) => *lens(options) = parse_all(items, object)?.pop(),
            Self::ServicePort(lens) => *lens(options) = parse_all(items, service_port)?.pop(),
            Self::FieldNames(lens) => *lens(options) = parse_all(items, field_name)?,
            Self::LimitStatus(lens) => *lens(options) = one(items, |it| choose(&LIMIT_STATUS, it))?,
            Self::Forwards(lens) => *lens(options) = until_off(items)?,
            Self::QueryLog(lens) => *lens(options) = until_off(items)?,
            Self::Failover(lens) => *lens(options) = until_off(items)?,
            Self::LogFile(lens) => *lens(options) = one(items, log_file)?,
            Self::FileOrOff(lens) => *lens(options) = one(items, |it| unless("off", it, file))?,
            Self::Labels(lens) => *lens(options) = parse_all(items, str::parse)?.pop(),
            Self::Depth(lens) => *lens(options) = one(items, |it| choose(&DEPTHS, it))?,
            Self::LogTarget(lens) => *lens(options) = one(items, str::parse)?,
            Self::LogShape(lens) => *lens(options) = one(items, str::parse)?,
            Self::ForwardPolicy(lens) => *lens(options) = one(items, |it| choose(&POLICIES, it))?,
            Self::ClusterIps(lens) => *lens(options) = one(items, |it| choose(&CLUSTER_IPS, it))?,
            Self::Probes(lens) => *lens(options) = one(items, |it| choose(&PROBES, it))?,
            Self::PodsMode(lens) => *lens(options) = one(items, |it| choose(&PODS_MODE, it))?,
            Self::Publish(lens) => *lens(options) = one(items, |it| choose(&PUBLISH, it))?,
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
                let count = |it: &str| self.within(range, number(it)?);
                *lens(options) = one(items, |it| unless("auto", it, count))?;
            }
            Self::Bytes(range, lens) => {
                *lens(options) = one(items, |it| self.within(range, parse_bytes(it)?))?;
            }
            Self::Memory(range, lens) => *lens(options) = one(items, |it| self.memory(range, it))?,
            Self::Time(range, lens) => {
                *lens(options) = one(items, |it| self.within(range, parse_duration(it)?))?;
            }
            Self::TimeOrOff(range, lens) => {
                let time = |it: &str| self.within(range, parse_duration(it)?);
                *lens(options) = one(items, |it| unless("off", it, time))?;
            }
            Self::Folder(lens) => *lens(options) = one(items, folder)?,
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
            Self::Rewrites(lens) => texts(lens(of)),
            Self::AutopathFrom(lens) => texts(lens(of)),
            Self::Files(lens) => lens(of).iter().map(|it| it.display().to_string()).collect(),
            Self::Name(lens) | Self::ShortName(lens) => texts(lens(of).as_slice()),
            Self::Object(lens) => texts(lens(of).as_slice()),
            Self::ServicePort(lens) => texts(lens(of).as_slice()),
            Self::FieldNames(lens) => texts(lens(of)),
            Self::LimitStatus(lens) => vec![name_of(&LIMIT_STATUS, *lens(of))],
            Self::Forwards(lens) => texts(lens(of)),
            Self::QueryLog(lens) => texts(lens(of)),
            Self::Failover(lens) => texts(lens(of)),
            Self::LogFile(lens) => {
                let file = lens(of).as_ref();
                vec![file.map_or_else(|| "stdout".to_owned(), |it| it.display().to_string())]
            }
            Self::LogTarget(lens) => vec![lens(of).to_string()],
            Self::LogShape(lens) => vec![lens(of).to_string()],
            Self::ForwardPolicy(lens) => vec![name_of(&POLICIES, *lens(of))],
            Self::ClusterIps(lens) => vec![name_of(&CLUSTER_IPS, *lens(of))],
            Self::Probes(lens) => vec![name_of(&PROBES, *lens(of))],
            Self::PodsMode(lens) => vec![name_of(&PODS_MODE, *lens(of))],
            Self::Publish(lens) => vec![name_of(&PUBLISH, *lens(of))],
            Self::Labels(lens) => lens(of).iter().map(ToString::to_string).collect(),
            Self::Depth(lens) => vec![name_of(&DEPTHS, *lens(of))],
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
            Self::Memory(_, lens) => vec![match *lens(of) {
                MemoryLimit::Auto => "auto".to_owned(),
                MemoryLimit::Off => "off".to_owned(),
                MemoryLimit::Bytes(bytes) => format_bytes(bytes),
            }],
            Self::Time(_, lens) => vec![format_duration(*lens(of))],
            Self::TimeOrOff(_, lens) => {
                vec![lens(of).map_or_else(|| "off".to_owned(), format_duration)]
            }
            Self::Folder(lens) | Self::FileOrOff(lens) => {
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
                Self::Bytes(..)
                | Self::Memory(..)
                | Self::Listeners(_)
                | Self::CountOrAuto(..)
                | Self::LimitStatus(_),
                Value::Number(value),
            ) => {
                return Ok(value.to_string());
            }
            // YAML 1.1 reads a bare `off` as false.
            (
                Self::Listeners(_)
                | Self::Forwards(_)
                | Self::QueryLog(_)
                | Self::LogTarget(_)
                | Self::Failover(_)
                | Self::Folder(_)
                | Self::FileOrOff(_)
                | Self::TimeOrOff(..)
                | Self::Memory(..)
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

    fn memory(&self, range: &RangeInclusive<u64>, text: &str) -> Result<MemoryLimit, String> {
        match text {
            "auto" => Ok(MemoryLimit::Auto),
            "off" => Ok(MemoryLimit::Off),
            text => self
                .within(range, parse_bytes(text)?)
                .map(MemoryLimit::Bytes),
        }
    }

    fn within<T: PartialOrd>(&self, range: &RangeInclusive<T>, value: T) -> Result<T, String> {
        if range.contains(&value) { Ok(value) } else { Err(format!("is not in {}", self.range())) }
    }
}
