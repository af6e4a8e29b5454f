//! Annotations about the TCP connections of a Service: how many there may be, how many requests its
//! endpoints may have, and who says in the first bytes of a connection which client it is for.

use super::Draft;
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::{Protocol, ProxyProtocol, ProxyVersion};
use crate::validate::check::{Check, invalid};

/// What the annotations say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Connections {
    /// `portico.dev/max-connections`: open at once through its fronts; none: no limit.
    pub(crate) most: Option<u32>,
    /// `portico.dev/max-endpoint-requests`: requests of Ingress in progress at one endpoint.
    pub(crate) endpoint_requests: Option<u32>,
    /// `portico.dev/max-endpoint-pending`: requests that wait there.
    pub(crate) endpoint_pending: Option<u32>,
    /// `portico.dev/proxy-protocol`.
    pub(crate) proxy_protocol: ProxyProtocol,
}

pub(super) fn connections(draft: &Draft<'_>, check: &mut Check<'_>) -> Connections {
    Connections {
        most: most(draft, check),
        endpoint_requests: bound(draft, (ENDPOINT_REQUESTS, 1), check),
        endpoint_pending: bound(draft, (ENDPOINT_PENDING, 0), check),
        proxy_protocol: proxy_protocol(draft, check),
    }
}

/// A bound of each endpoint, of Services without an address too.
fn bound(draft: &Draft<'_>, (name, least): (&str, u32), check: &mut Check<'_>) -> Option<u32> {
    let text = draft.object.metadata.annotations.get(name)?.trim();
    match text.parse() {
        Ok(bound) if (least..=LARGEST).contains(&bound) => Some(bound),
        _ => {
            let field = FieldPath::from("metadata.annotations").key(name);
            let fault = format!("must be a whole number from {least} to {LARGEST}");
            check.report(Code::InvalidEndpointBound, &field, invalid(text, fault));
            None
        }
    }
}

fn most(draft: &Draft<'_>, check: &mut Check<'_>) -> Option<u32> {
    let (field, text) = annotation(draft, MOST, check)?;
    match text.parse() {
        Ok(most @ 1..=LARGEST) => Some(most),
        _ => {
            let fault = format!("must be a whole number from 1 to {LARGEST}");
            check.report(Code::InvalidMaxConnections, &field, invalid(text, fault));
            None
        }
    }
}

fn proxy_protocol(draft: &Draft<'_>, check: &mut Check<'_>) -> ProxyProtocol {
    let mut asked = ProxyProtocol::default();
    let Some((field, text)) = annotation(draft, PROXY_PROTOCOL, check) else { return asked };
    for word in text.split(',').map(str::trim) {
        let version = match word {
            "in" if !asked.accepts => {
                asked.accepts = true;
                continue;
            }
            "v1" => ProxyVersion::V1,
            "v2" => ProxyVersion::V2,
            _ => {
                let fault = "must be `in`, `v1` or `v2`, or `in` and one of them with a comma";
                check.report(Code::InvalidProxyProtocol, &field, invalid(text, fault));
                return ProxyProtocol::default();
            }
        };
        if asked.sends.replace(version).is_some() {
            let fault = "names two versions: endpoints are sent one";
            check.report(Code::InvalidProxyProtocol, &field, invalid(text, fault));
            return ProxyProtocol::default();
        }
    }
    asked
}

/// The value of an annotation, and where it stands; it is looked at, and of no effect, where the
/// Service has no front for TCP.
fn annotation<'a>(
    draft: &Draft<'a>,
    name: &str,
    check: &mut Check<'_>,
) -> Option<(FieldPath, &'a str)> {
    let text = draft.object.metadata.annotations.get(name)?;
    let field = FieldPath::from("metadata.annotations").key(name);
    let is_tcp = |protocol: &Option<String>| {
        protocol
            .as_deref()
            .is_none_or(|it| it.is_empty() || it == Protocol::Tcp.to_string())
    };
    let ports = &draft.spec.ports;
    if draft.headless || draft.is(super::ServiceType::ExternalName) {
        check.report(Code::FieldIgnored, &field, "is ignored for Services without an address");
    } else if !ports.iter().any(|port| is_tcp(&port.protocol)) {
        check.report(Code::FieldIgnored, &field, "is ignored where no port has protocol TCP");
    }
    Some((field, text.trim()))
}

const MOST: &str = "portico.dev/max-connections";
const ENDPOINT_REQUESTS: &str = "portico.dev/max-endpoint-requests";
const ENDPOINT_PENDING: &str = "portico.dev/max-endpoint-pending";
const PROXY_PROTOCOL: &str = "portico.dev/proxy-protocol";
const LARGEST: u32 = 1_000_000;
