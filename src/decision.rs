//! A decision about a flow as JSON, and that JSON as text: what `portico explain` and the admin API say.
//!
//! The text is made from the JSON, so a running portico's answer reads like one from files. Which
//! words decide is in [`mod@portico_config::snapshot::decide`]; here they are only said.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use portico_config::model::{IpFamily, Protocol};
use portico_config::snapshot::decide::{Rule, Source};
use portico_config::snapshot::sets::{Exclusion, Hinting};
use portico_config::snapshot::{Decision, Endpoint, Flow, SetKind, Verdict};
use serde_json::{Value, json};

use crate::telemetry;

/// Everything that is known about a decision.
pub(crate) fn json(decision: &Decision<'_>, flow: &Flow) -> Value {
    let port = decision.port;
    let address = |at: usize| Some(port?.endpoints.get(at)?.address.to_string());
    let endpoints = decision.endpoints().iter();
    let excluded = decision.excluded.iter().filter_map(|(at, why)| {
        let endpoint = port?.endpoints.get(*at)?;
        let reason = exclusion(decision, flow, endpoint, *why);
        Some(json!({ "endpoint": endpoint.address.to_string(), "reason": reason }))
    });
    json!({
        "verdict": decision.verdict.label(),
        "service": port.map(|port| port.id.service.to_string()),
        "port": port.map(|port| port.port),
        "portName": port.map(|port| port.id.name.to_string()),
        "endpoints": endpoints.filter_map(|at| address(*at)).collect::<Vec<_>>(),
        "excluded": excluded.collect::<Vec<_>>(),
        "source": if decision.masqueraded { "masqueraded" } else { "kept" },
        "front": decision.front.map(|kind| kind.label()),
        "protocol": flow.protocol.label(),
        "to": flow.destination.to_string(),
        "from": flow.source.to_string(),
        "fromKind": source(decision.source),
        "node": decision.place.node.as_deref(),
        "zone": decision.place.zone.as_deref(),
        "rule": rule(decision),
        "hints": hints(decision),
    })
}

/// The same for a person.
pub(crate) fn text(answer: &Value) -> String {
    let word = |key: &str| answer[key].as_str().unwrap_or_default();
    let node = match (answer["node"].as_str(), answer["zone"].as_str()) {
        (None, _) => "a host without --node-name".to_owned(),
        (Some(node), None) => format!("node {node}, of no zone"),
        (Some(node), Some(zone)) => format!("node {node}, zone {zone}"),
    };
    let (protocol, to, from) = (word("protocol"), word("to"), word("from"));
    let mut lines = vec![format!("{protocol} {to} from {from} ({}), at {node}", word("fromKind"))];
    let verdict = word("verdict").replace('_', " ");
    lines.push(match answer["service"].as_str() {
        Some(service) => {
            let (front, port) = (word("front"), &answer["port"]);
            format!("{verdict}: {front} of Service {service}, port {port}")
        }
        None => verdict,
    });
    lines.push(format!("  because    {}", word("rule")));
    if answer["service"].is_string() {
        lines.push(format!("  hints      {}", word("hints")));
        lines.push(format!("  source     {}", word("source")));
    }
    let list = |key: &str| answer[key].as_array().into_iter().flatten();
    for endpoint in list("endpoints") {
        lines.push(format!("  to         {}", endpoint.as_str().unwrap_or_default()));
    }
    for excluded in list("excluded") {
        let of = |key: &str| excluded[key].as_str().unwrap_or_default();
        lines.push(format!("  not to     {}: {}", of("endpoint"), of("reason")));
    }
    let escaped: Vec<_> = lines.iter().map(|line| telemetry::escape(line)).collect();
    escaped.join("\n")
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Pod => "a Pod",
        Source::Node => "this node",
        Source::Outside => "outside",
    }
}

/// What decided, as a sentence without its full stop.
fn rule(decision: &Decision<'_>) -> String {
    let internal = decision.front.is_some_and(|front| front.is_internal());
    let policy = if internal { "internalTrafficPolicy" } else { "externalTrafficPolicy" };
    match decision.rule {
        Rule::Cluster => format!("{policy} is Cluster"),
        Rule::Local => format!("{policy} is Local: endpoints of this node alone"),
        Rule::FromPod => format!("{policy} is Local, and Pods go past it"),
        Rule::FromNode => format!("{policy} is Local, and the node itself goes past it"),
        Rule::SourceRanges => "the source is outside of loadBalancerSourceRanges".to_owned(),
        Rule::NoEndpoints => "no node has an endpoint that could be used".to_owned(),
        Rule::NoLocalEndpoints => {
            format!("{policy} is Local, and only other nodes have endpoints")
        }
        Rule::NoSuchPort => "the address is a ClusterIP without this port".to_owned(),
        Rule::Unallocated => "the address is in a service CIDR, and no Service has it".to_owned(),
        Rule::OtherProxy => {
            "the Service has the label service-proxy-name: another proxy serves it".to_owned()
        }
        Rule::Sctp => "SCTP is not carried".to_owned(),
        Rule::NotOurs => "the address and port are no Service's: the host decides".to_owned(),
    }
}

/// What hints did to the set.
fn hints(decision: &Decision<'_>) -> String {
    let (sets, Some(port)) = (&decision.sets, decision.port) else {
        return "no Service, no hints".to_owned();
    };
    if decision.set == SetKind::Local {
        return "not looked at: the policy is Local".to_owned();
    }
    let place = &decision.place;
    let level = |hinting: Hinting, level: &str, here: Option<&Arc<str>>| {
        let here = here.map_or("", |here| &**here);
        match hinting {
            Hinting::Absent => None,
            Hinting::Missing(at) => {
                let unhinted = port.endpoints.get(at).map(|it| it.address.to_string());
                let unhinted = unhinted.unwrap_or_default();
                Some(format!("those for {level}s are off: {unhinted} is ready and has none"))
            }
            Hinting::Nameless => {
                Some(format!("those for {level}s are off: no {level} of this host is known"))
            }
            Hinting::Elsewhere => {
                Some(format!("those for {level}s are off: none names {level} {here}"))
            }
            Hinting::Used => Some(format!("only endpoints that are hinted for {level} {here}")),
        }
    };
    let node = level(sets.node_hints, "node", place.node.as_ref());
    if sets.node_hints == Hinting::Used {
        return node.unwrap_or_default();
    }
    let zone = level(sets.zone_hints, "zone", place.zone.as_ref());
    match (node, zone) {
        (None, None) => "none".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(node), Some(zone)) => format!("{node}; {zone}"),
    }
}

/// Why an endpoint is not in the set.
fn exclusion(decision: &Decision<'_>, flow: &Flow, endpoint: &Endpoint, why: Exclusion) -> String {
    let all = |names: &[Arc<str>]| {
        names
            .iter()
            .map(|name| &**name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match why {
        Exclusion::Family => {
            let front = IpFamily::of(flow.destination.ip());
            format!("is {}, and this {front} front does not lead there", endpoint.family())
        }
        Exclusion::NotReady => "is not ready".to_owned(),
        Exclusion::Gone => "terminates and serves no more".to_owned(),
        Exclusion::Terminating => "terminates, and others are ready".to_owned(),
        Exclusion::NotLocal => match (&decision.place.node, &endpoint.node) {
            (None, _) => "is not local: this host has no --node-name".to_owned(),
            (Some(_), None) => "is not local: it names no node".to_owned(),
            (Some(_), Some(node)) => format!("is not local: it is on node {node}"),
        },
        Exclusion::NodeHints => format!("is hinted for node {}", all(endpoint.hinted_nodes())),
        Exclusion::ZoneHints => match endpoint.hinted_zones() {
            [] => "has no hint for this zone".to_owned(),
            zones => format!("is hinted for zone {}", all(zones)),
        },
        Exclusion::Refused => format!("the flow is {}", refused(decision.verdict)),
    }
}

fn refused(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Reject => "rejected",
        Verdict::Drop => "dropped",
        Verdict::NotHandled | Verdict::Forward => "not handled",
    }
}

/// A flow out of its words; fails with what is wrong.
pub(crate) fn flow(protocol: &str, to: SocketAddr, from: Option<IpAddr>) -> Result<Flow, String> {
    let source = from.unwrap_or_else(|| IpAddr::from([127, 0, 0, 1]));
    let protocol =
        protocol_of(protocol).ok_or_else(|| format!("{protocol} is neither tcp, udp nor sctp"))?;
    Ok(Flow { protocol, destination: to, source })
}

/// A protocol by its name in any case.
pub(crate) fn protocol_of(text: &str) -> Option<Protocol> {
    let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    all.into_iter()
        .find(|protocol| protocol.label().eq_ignore_ascii_case(text))
}
