//! `/api/v1/explain?protocol=tcp&address=ADDR&port=PORT&from=ADDR&node=NAME`: what becomes of a flow.
//!
//! Asks the snapshot that serves; opens and changes nothing. `from` is this host where it is left
//! out, `node` the one that `--node-name` says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use portico_config::snapshot::{Snapshot, decide};
use serde_json::Value;

use crate::decision;

/// The answer to a query; fails with what is wrong with it.
pub(super) fn answer(snapshot: &Snapshot, query: &str) -> Result<Value, String> {
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

const USAGE: &str =
    "protocol=tcp|udp|sctp, address=ADDR and port=PORT are needed; from=ADDR, node=NAME";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_answered_or_refused_in_words() {
        let snapshot = Snapshot::default();
        let full = "protocol=tcp&address=::1&port=80&from=10.0.0.1&node=n1";
        let answer = answer(&snapshot, full).unwrap();
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
            let refused = super::answer(&snapshot, query).unwrap_err();
            assert!(refused.contains(want), "{query}: {refused}");
        }
    }
}
