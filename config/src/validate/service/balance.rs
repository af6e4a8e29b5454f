//! How new flows are spread over the endpoints of a set: `portico.dev/balance`, `portico.dev/weight`
//! and `portico.dev/slow-start`.
//!
//! A value that cannot be read is warned of, and it is as if the annotation were not there: a
//! Service that balances otherwise than meant serves better than none.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::api::meta::ObjectMeta;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{Balance, parse_duration};
use crate::validate::check::Check;

/// What annotations say of balancing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Balancing {
    /// `portico.dev/balance`.
    pub(crate) balance: Balance,
    /// `portico.dev/slow-start`, zero if absent.
    pub(crate) slow_start: Duration,
    /// `portico.dev/weight`: of endpoints that have the same, the last entry counts.
    pub(crate) weights: Vec<Weight>,
}

/// One entry of `portico.dev/weight`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weight {
    /// Whose.
    pub(crate) of: Weighed,
    /// How much, `0..=256`.
    pub(crate) weight: u16,
}

/// How an entry names endpoints.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Weighed {
    /// One address and port.
    Endpoint(SocketAddr),
    /// Every port of an address.
    Address(IpAddr),
    /// Those of a Pod.
    Pod(Arc<str>),
}

impl Weighed {
    /// Whether it names an endpoint.
    pub(crate) fn names(&self, address: SocketAddr, pod: Option<&str>) -> bool {
        match self {
            Self::Endpoint(own) => *own == address,
            Self::Address(own) => *own == address.ip(),
            Self::Pod(own) => pod == Some(&**own),
        }
    }
}

pub(super) fn balancing(metadata: &ObjectMeta, check: &mut Check<'_>) -> Balancing {
    Balancing {
        balance: balance(metadata, check),
        slow_start: slow_start(metadata, check),
        weights: weights(metadata, check),
    }
}

/// The weight that a Pod has by its own annotation.
pub(in crate::validate) fn pod_weight(metadata: &ObjectMeta, check: &mut Check<'_>) -> Option<u16> {
    let text = metadata.annotations.get(WEIGHT)?;
    let found = weight(text);
    if found.is_none() {
        let fault = "is not a number from 0 to 256";
        check.report(Code::InvalidWeight, &field(WEIGHT), format!("{text:?} {fault}"));
    }
    found
}

fn balance(metadata: &ObjectMeta, check: &mut Check<'_>) -> Balance {
    let Some(text) = metadata.annotations.get(BALANCE) else { return Balance::default() };
    let spelled = |(name, _): &&(&str, Balance)| *name == text;
    if let Some((_, balance)) = Balance::SPELLINGS.iter().find(spelled) {
        return *balance;
    }
    let all = "round_robin, random, least_connections, ewma or maglev";
    check.advise(
        Code::InvalidBalance,
        &field(BALANCE),
        format!("{text:?} is no way to balance: round_robin is used"),
        format!("write {all}"),
    );
    Balance::default()
}

fn slow_start(metadata: &ObjectMeta, check: &mut Check<'_>) -> Duration {
    let Some(text) = metadata.annotations.get(SLOW_START) else { return Duration::ZERO };
    let read = parse_duration(text).and_then(|time| match time <= LONGEST_SLOW_START {
        true => Ok(time),
        false => Err("at most 1h".to_owned()),
    });
    read.unwrap_or_else(|fault| {
        check.report(Code::InvalidSlowStart, &field(SLOW_START), format!("{text:?}: {fault}"));
        Duration::ZERO
    })
}

fn weights(metadata: &ObjectMeta, check: &mut Check<'_>) -> Vec<Weight> {
    let text = metadata.annotations.get(WEIGHT).map(String::as_str);
    let entries = text.unwrap_or_default().split(',').map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty());
    let mut found = Vec::new();
    for text in entries {
        match entry(text) {
            _ if found.len() == MAX_WEIGHTS => {
                let fault = format!("has more than {MAX_WEIGHTS} entries: the rest is not used");
                check.report(Code::InvalidWeight, &field(WEIGHT), fault);
                break;
            }
            Some(weight) => found.push(weight),
            None => {
                let fault = "is not address[:port]=weight or pod=weight, weight from 0 to 256";
                check.report(Code::InvalidWeight, &field(WEIGHT), format!("{text:?} {fault}"));
            }
        }
    }
    found
}

fn entry(text: &str) -> Option<Weight> {
    let (name, number) = text.rsplit_once('=')?;
    let (name, weight) = (name.trim(), weight(number.trim())?);
    let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let of = if let Ok(endpoint) = name.parse() {
        Weighed::Endpoint(endpoint)
    } else if let Ok(address) = bare.unwrap_or(name).parse() {
        Weighed::Address(address)
    } else if super::names::subdomain(name).is_ok() {
        Weighed::Pod(name.into())
    } else {
        return None;
    };
    Some(Weight { of, weight })
}

fn weight(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    number.filter(|number| *number <= MAX_WEIGHT)
}

fn field(annotation: &str) -> FieldPath {
    FieldPath::from("metadata.annotations").key(annotation)
}

const BALANCE: &str = "portico.dev/balance";
const WEIGHT: &str = "portico.dev/weight";
const SLOW_START: &str = "portico.dev/slow-start";
/// As of HAProxy's servers.
const MAX_WEIGHT: u16 = 256;
/// As many as a Service usually has endpoints at most.
const MAX_WEIGHTS: usize = 1_000;
const LONGEST_SLOW_START: Duration = Duration::from_secs(3_600);
