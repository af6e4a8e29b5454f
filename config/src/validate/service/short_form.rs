//! `portico.dev/endpoints`: `[port=]address:port,…` in place of a selector.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::api::core_v1;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::validate::address;
use crate::validate::check::Check;

/// One entry of `portico.dev/endpoints`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShortEndpoint {
    /// The port that it serves; none: every port.
    pub(crate) port: Option<ShortPort>,
    /// Where to dial.
    pub(crate) address: SocketAddr,
}

/// How an entry names a port of its Service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ShortPort {
    /// By number.
    Number(u16),
    /// By name.
    Name(Arc<str>),
}

pub(super) fn short_form(
    object: &core_v1::Service,
    check: &mut Check<'_>,
) -> Option<Vec<ShortEndpoint>> {
    let text = object.metadata.annotations.get(ENDPOINTS_ANNOTATION)?;
    let field = FieldPath::from("metadata.annotations").key(ENDPOINTS_ANNOTATION);
    let entries = text.split(',').map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty());
    let entries = entries.filter_map(|entry| match self::entry(object, entry) {
        Ok(endpoint) => Some(endpoint),
        Err(fault) => {
            let text = format!("{entry:?} {fault}");
            check.report(Code::InvalidEndpointsAnnotation, &field, text);
            None
        }
    });
    Some(entries.collect())
}

fn entry(object: &core_v1::Service, entry: &str) -> Result<ShortEndpoint, &'static str> {
    let (port, address) = match entry.split_once('=') {
        Some((port, address)) => (Some(port.trim()), address.trim()),
        None => (None, entry),
    };
    let port = port.map(|port| match port.parse() {
        Ok(number) => ShortPort::Number(number),
        Err(_) => ShortPort::Name(port.into()),
    });
    let known = |short: &ShortPort| {
        object.spec.ports.iter().any(|port| match short {
            ShortPort::Number(number) => port.port == Some((*number).into()),
            ShortPort::Name(name) => port.name.as_deref() == Some(name),
        })
    };
    if port.as_ref().is_some_and(|port| !known(port)) {
        return Err("names no port of this Service");
    }
    match address.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => match address::special(address.ip(), true) {
            Some(fault) => Err(fault),
            None => Ok(ShortEndpoint { port, address }),
        },
        _ => Err("is not [port=]address:port, such as 127.0.0.1:8081"),
    }
}

const ENDPOINTS_ANNOTATION: &str = "portico.dev/endpoints";
