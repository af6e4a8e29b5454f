//! `/api/v1/explain?protocol=tcp&address=ADDR&port=PORT&from=ADDR&node=NAME`: what becomes of a flow;
//! `/api/v1/explain?name=NAME&type=SRV&from=ADDR`: what is answered to a name;
//! `/api/v1/explain?url=URL&method=GET&from=ADDR&header=NAME%3AVALUE`: what becomes of a request.
//!
//! Asks the snapshot that serves; opens and changes nothing. `from` is this host where it is left
//! out, `node` the one that `--node-name` says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use portico_config::snapshot::{Snapshot, decide};
use portico_dns::Asking;
use portico_proxy::Imagined;
use serde_json::Value;

use crate::shared::Shared;
use crate::{decision, naming, routing};

/// The answer to a query, about a name, a request or a flow; fails with what is wrong with it.
pub(super) fn answer(shared: &Shared, query: &str) -> Result<Value, String> {
    let published = shared.publication.load();
    if query.split('&').any(|pair| pair.starts_with("url=")) {
        let imagined = request(query)?;
        let explained = shared.requests.explain(&published.snapshot, &imagined);
        return Ok(routing::json(&explained, &imagined));
    }
    let is_name = |pair: &str| pair.starts_with("name=");
    if !query.split('&').any(is_name) {
        return flow(&published.snapshot, query);
    }
    let listeners = shared.planes.load();
    let local = listeners.dns.iter().find(|it| it.role == "dns");
    let local = local.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |it| it.address.ip());
    let question = name(query)?;
    let asking = Asking { name: &question.0, kind: question.1, from: question.2 };
    let found = shared.names.explain(&published.snapshot, local, asking);
    let found = found.ok_or_else(|| format!("{}: is no name", question.0))?;
    naming::json(&found, asking)
}

/// The name, type and client of a query.
fn name(query: &str) -> Result<(String, u16, IpAddr), String> {
    let (mut name, mut kind, mut from) = (None, 1, IpAddr::V4(Ipv4Addr::LOCALHOST));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "name" => name = Some(decoded(value).ok_or(NAME_USAGE)?),
            "type" => {
                let number = || value.parse().ok();
                kind = naming::kind_of(value).or_else(number).ok_or(NAME_USAGE)?;
            }
            "from" => from = ip(value)?,
            _ => return Err(NAME_USAGE.to_owned()),
        }
    }
    Ok((name.ok_or(NAME_USAGE)?, kind, from))
}

/// The request of a query.
fn request(query: &str) -> Result<Imagined, String> {
    let (mut url, mut method, mut headers) = (None, "GET".to_owned(), Vec::new());
    let mut from = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = || decoded(value).ok_or(REQUEST_USAGE);
        match key {
            "url" => url = Some(text()?),
            "method" => method = text()?,
            "header" => headers.push(text()?),
            "from" => from = ip(value)?,
            _ => return Err(REQUEST_USAGE.to_owned()),
        }
    }
    let url = url.ok_or(REQUEST_USAGE)?;
    routing::imagined((&method, &url), &headers, from)
}

/// A text with octets written as `%20`; none where that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        let (octet, after) = match (octet, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |octet: u8| char::from(octet).to_digit(16);
                let octet = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
                (octet, after)
            }
            (b'%', _) => return None,
            (octet, after) => (octet, after),
        };
        octets.push(octet);
        rest = after;
    }
    String::from_utf8(octets).ok()
}

fn flow(snapshot: &Snapshot, query: &str) -> Result<Value, String> {
    let (mut protocol, mut address, mut port) = (None, None, None);
    let (mut from, mut node) = (None, snapshot.cluster.node.clone());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "protocol" => protocol = Some(value),
            "address" => address = Some(ip(value)?),
            "from" => from = Some(ip(value)?),
            "port" => {
                let number = value.parse::<u16>();
                port = Some(number.map_err(|_| "port is a number up to 65535".to_owned())?);
            }
            "node" => node = (!value.is_empty()).then(|| Arc::from(value)),
            _ => return Err(USAGE.to_owned()),
        }
    }
    let (Some(protocol), Some(address), Some(port)) = (protocol, address, port) else {
        return Err(USAGE.to_owned());
    };
    let flow = decision::flow(protocol, SocketAddr::new(address, port), from)?;
    let place = snapshot.cluster.place(node.as_ref());
    Ok(decision::json(&decide(snapshot, &place, &flow), &flow))
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "address and from are IP addresses".to_owned())
}

const REQUEST_USAGE: &str = "url=URL is needed; method=METHOD, from=ADDR, header=NAME:VALUE";
const NAME_USAGE: &str = "name=NAME is needed; type=TYPE, from=ADDR";
const USAGE: &str =
    "protocol=tcp|udp|sctp, address=ADDR and port=PORT are needed; from=ADDR, node=NAME";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_answered_or_refused_in_words() {
        let snapshot = Snapshot::default();
        let full = "protocol=tcp&address=::1&port=80&from=10.0.0.1&node=n1";
        let answer = flow(&snapshot, full).unwrap();
        assert_eq!(answer["verdict"], "not_handled");
        assert_eq!((&answer["to"], &answer["node"]), (&"[::1]:80".into(), &"n1".into()));
        for (query, want) in [
            ("", "are needed"),
            ("protocol=tcp&address=10.0.0.1", "are needed"),
            ("protocol=tcp&address=%31&port=80", "IP addresses"),
            ("protocol=tcp&address=10.0.0.1&port=65536", "up to 65535"),
            ("protocol=icmp&address=10.0.0.1&port=1", "neither tcp, udp nor sctp"),
            ("x=y", "are needed"),
        ] {
            let refused = flow(&snapshot, query).unwrap_err();
            assert!(refused.contains(want), "{query}: {refused}");
        }
    }

    #[test]
    fn a_question_for_a_request_is_read_or_refused_in_words() {
        let whole = "url=https%3A%2F%2Fa.test%2Fx&method=PUT&header=A%3A%20b&from=192.0.2.1";
        let asked = request(whole).unwrap();
        assert_eq!(asked.head, b"PUT /x HTTP/1.1\r\nHost: a.test\r\nA: b\r\n\r\n");
        assert_eq!((asked.tls, asked.from), (true, [192, 0, 2, 1].into()));
        for (query, want) in [
            ("url=%2", "url=URL is needed"),
            ("url=a&x=y", "url=URL is needed"),
            ("url=ftp:a", "is no URL"),
            ("url=http://a.test&from=x", "IP addresses"),
        ] {
            let refused = request(query).unwrap_err();
            assert!(refused.contains(want), "{query}: {refused}");
        }
    }

    #[test]
    fn a_question_for_a_name_is_read_or_refused_in_words() {
        let local = IpAddr::from([127, 0, 0, 1]);
        for (query, want) in [
            ("name=a.b", Ok(("a.b".to_owned(), 1, local))),
            ("type=SRV&name=_a._tcp.b", Ok(("_a._tcp.b".to_owned(), 33, local))),
            ("name=a%20b&type=65&from=10.0.0.1", Ok(("a b".to_owned(), 65, [10, 0, 0, 1].into()))),
            ("name=%c3%A9", Ok(("é".to_owned(), 1, local))),
            ("name=%c3", Err("name=NAME is needed")),
            ("name=a%2", Err("name=NAME is needed")),
            ("name=a&type=x", Err("name=NAME is needed")),
            ("name=a&from=b", Err("IP addresses")),
            ("name=a&port=1", Err("name=NAME is needed")),
        ] {
            match (name(query), want) {
                (Ok(found), Ok(want)) => assert_eq!(found, want, "{query}"),
                (Err(found), Err(want)) => assert!(found.contains(want), "{query}: {found}"),
                (found, want) => panic!("{query}: {found:?}, not {want:?}"),
            }
        }
    }
}
