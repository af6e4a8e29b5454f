//! What becomes of a flow: the one decision about traffic to Services (`services 4.9`).
//!
//! ```text
//! destination ─▶ front ─▶ source ranges ─▶ set by front, policy and source ─▶ verdict
//!                  └─ none: an address of ours without that port, or not ours at all
//! ```
//!
//! `portico explain` asks [`decide`]; workers take the same steps ([`admits`], [`choose`],
//! [`verdict`]) over sets that their view made beforehand. Invariants: pure, without sockets and
//! clock; the snapshot says everything, and the place says from where it is seen.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::model::{IpFamily, Protocol, TrafficPolicy};
use crate::snapshot::cluster::{Cluster, Place};
use crate::snapshot::sets::{Exclusion, SetKind, Sets};
use crate::snapshot::{Front, FrontKind, PortId, Reach, ServicePort, Snapshot, Traffic};

/// A new flow, as its first packet says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flow {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// Where it goes, before any translation.
    pub destination: SocketAddr,
    /// Whom it comes from.
    pub source: IpAddr,
}

/// What becomes of a flow (`services 4.2`). Applies to new flows: nothing established is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It goes to one endpoint of the set.
    Forward,
    /// It is refused at once: TCP by a reset, UDP by port unreachable.
    Reject,
    /// It gets no answer, so that whoever checks from outside looks elsewhere.
    Drop,
    /// It is not for a Service: the host decides.
    NotHandled,
}

impl Verdict {
    /// As `portico explain` writes it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reject => "reject",
            Self::Drop => "drop",
            Self::NotHandled => "not_handled",
        }
    }
}

/// Who a source is (`services 4.3`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// A Pod.
    Pod,
    /// The node that decides.
    Node,
    /// Anybody else.
    Outside,
}

impl Source {
    /// The class of an address. A Pod is one also where its address is the node's.
    pub fn of(address: IpAddr, cluster: &Cluster, place: &Place) -> Self {
        match cluster.pods.is_pod(address) {
            Some(true) => Self::Pod,
            _ if place.has(address) => Self::Node,
            _ => Self::Outside,
        }
    }
}

/// What decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// The front's policy is Cluster.
    Cluster,
    /// The front's policy is Local.
    Local,
    /// The external policy is Local, and Pods go past it.
    FromPod,
    /// The external policy is Local, and the node itself goes past it.
    FromNode,
    /// The source is outside of `loadBalancerSourceRanges`.
    SourceRanges,
    /// No node has an endpoint that could be used.
    NoEndpoints,
    /// Others have endpoints, this node has none, and the policy is Local.
    NoLocalEndpoints,
    /// The address is a ClusterIP, and its Services have no such port.
    NoSuchPort,
    /// The address is inside of a service CIDR, and no Service has it.
    Unallocated,
    /// The Service is another proxy's.
    OtherProxy,
    /// SCTP is not carried.
    Sctp,
    /// The address is no Service's.
    NotOurs,
}

/// What becomes of a flow, and why.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What decided.
    pub rule: Rule,
    /// The front that it comes to, if any.
    pub front: Option<FrontKind>,
    /// The port behind the front.
    pub port: Option<&'a Arc<ServicePort>>,
    /// The set that it chooses from.
    pub set: SetKind,
    /// Both sets of the port.
    pub sets: Sets,
    /// Every endpoint that is not in the set, by index, with the reason.
    pub excluded: Vec<(usize, Exclusion)>,
    /// Who it comes from.
    pub source: Source,
    /// Whether its endpoint sees the node's address in place of the source.
    pub masqueraded: bool,
    /// Where it was decided.
    pub place: Place,
}

impl<'a> Decision<'a> {
    fn without_port(verdict: Verdict, rule: Rule, source: Source, place: &Place) -> Self {
        Self {
            verdict,
            rule,
            front: None,
            port: None,
            set: SetKind::Cluster,
            sets: Sets::default(),
            excluded: Vec::new(),
            source,
            masqueraded: false,
            place: place.clone(),
        }
    }

    /// The endpoints that it may go to: empty unless it is forwarded.
    pub fn endpoints(&self) -> &[usize] {
        match self.verdict {
            Verdict::Forward => self.sets.of(self.set),
            Verdict::Reject | Verdict::Drop | Verdict::NotHandled => &[],
        }
    }
}

/// Decides about a flow as it is seen at a place.
pub fn decide<'a>(snapshot: &'a Snapshot, place: &Place, flow: &Flow) -> Decision<'a> {
    let source = Source::of(flow.source, &snapshot.cluster, place);
    let (kind, port) = match find(snapshot, place, flow) {
        Ok(found) => found,
        Err((verdict, rule)) => return Decision::without_port(verdict, rule, source, place),
    };
    let tells_pods = snapshot.cluster.pods.is_pod(flow.source).is_some();
    let family = IpFamily::of(flow.destination.ip());
    let sets = port.sets(family, place);
    let (set, chosen) = choose(kind, &port.traffic, source);
    let (verdict, rule) = if port.id.protocol == Protocol::Sctp {
        (Verdict::NotHandled, Rule::Sctp)
    } else if kind == FrontKind::LoadBalancer && !admits(&port.traffic, flow.source, place) {
        (Verdict::Drop, Rule::SourceRanges)
    } else {
        match verdict(sets.has_any, sets.of(set).is_empty()) {
            Verdict::Reject => (Verdict::Reject, Rule::NoEndpoints),
            Verdict::Drop => (Verdict::Drop, Rule::NoLocalEndpoints),
            other => (other, chosen),
        }
    };
    let all = 0..port.endpoints.len();
    let refused = (verdict != Verdict::Forward).then_some(Exclusion::Refused);
    let why = |at| sets.exclusion(set, (port, family), at, place).or(refused);
    let excluded = all.filter_map(|at| Some((at, why(at)?))).collect();
    let only_itself = |at: &usize| port.endpoints[*at].address.ip() == flow.source;
    let hairpin = !sets.of(set).is_empty() && sets.of(set).iter().all(only_itself);
    Decision {
        verdict,
        rule,
        front: Some(kind),
        port: Some(port),
        set,
        excluded,
        masqueraded: hairpin || is_masqueraded(kind, &port.traffic, source, tells_pods),
        sets,
        source,
        place: place.clone(),
    }
}

/// Which set a front's flows choose from, and the rule that says so (`services 4.1.7`, `4.3`).
pub fn choose(kind: FrontKind, traffic: &Traffic, source: Source) -> (SetKind, Rule) {
    match (traffic.policy(kind), kind.is_internal(), source) {
        (TrafficPolicy::Cluster, ..) => (SetKind::Cluster, Rule::Cluster),
        (TrafficPolicy::Local, true, _) => (SetKind::Local, Rule::Local),
        (TrafficPolicy::Local, false, Source::Pod) => (SetKind::Cluster, Rule::FromPod),
        (TrafficPolicy::Local, false, Source::Node) => (SetKind::Cluster, Rule::FromNode),
        (TrafficPolicy::Local, false, Source::Outside) => (SetKind::Local, Rule::Local),
    }
}

/// What becomes of a flow whose front and set are known (`services 4.2`).
pub fn verdict(has_any: bool, set_is_empty: bool) -> Verdict {
    match (has_any, set_is_empty) {
        (false, _) => Verdict::Reject,
        (true, true) => Verdict::Drop,
        (true, false) => Verdict::Forward,
    }
}

/// Whether a source may come in by a load balancer's address (`services 4.4`).
pub fn admits(traffic: &Traffic, source: IpAddr, place: &Place) -> bool {
    let family = IpFamily::of(source);
    let same = |range: &&IpNet| IpFamily::of(range.addr()) == family;
    let mut ranges = traffic.source_ranges.iter().filter(same).peekable();
    if ranges.peek().is_none() {
        return true;
    }
    let mut node_inside = false;
    for range in ranges {
        if range.prefix_len() == 0 || range.contains(&source) {
            return true;
        }
        node_inside |= place
            .addresses
            .iter()
            .any(|address| range.contains(address));
    }
    // A node that talks to its own copy of the address comes from that very address.
    node_inside && traffic.load_balancer_ips.contains(&source)
}

/// Whether the endpoint sees the node as the source (`services 4.3`), hairpins aside.
///
/// Where nothing tells Pods from others, whoever comes to a ClusterIP keeps its source.
fn is_masqueraded(kind: FrontKind, traffic: &Traffic, source: Source, tells_pods: bool) -> bool {
    match (kind.is_internal(), traffic.policy(kind), source) {
        (true, _, Source::Pod) => false,
        (true, _, Source::Node | Source::Outside) => tells_pods,
        (false, TrafficPolicy::Cluster, _) | (false, TrafficPolicy::Local, Source::Node) => true,
        (false, TrafficPolicy::Local, Source::Pod | Source::Outside) => false,
    }
}

/// The front of a flow and the port behind it, else what becomes of it without one.
fn find<'a>(
    snapshot: &'a Snapshot,
    place: &Place,
    flow: &Flow,
) -> Result<(FrontKind, &'a Arc<ServicePort>), (Verdict, Rule)> {
    let port = |id: &PortId| {
        let service = snapshot.services.get(&id.service)?;
        service.ports.iter().find(|port| *port.id == *id)
    };
    for fronts in [&snapshot.fronts, &snapshot.unbound] {
        let key = (flow.destination, flow.protocol);
        let at = fronts.binary_search_by_key(&key, |front| (front.address, front.protocol));
        if let Some(front) = at.ok().and_then(|at| fronts.get(at))
            && let Some(port) = port(&front.port)
        {
            return Ok((front.kind, port));
        }
    }
    let address = flow.destination.ip();
    if snapshot.cluster.is_node_address(place, address)
        && let Some(port) = node_port(snapshot, flow)
    {
        return Ok((FrontKind::NodePort, port));
    }
    Err(without_front(snapshot, address))
}

/// The port that has a NodePort: one pool, so at most one.
fn node_port<'a>(snapshot: &'a Snapshot, flow: &Flow) -> Option<&'a Arc<ServicePort>> {
    let services = snapshot.services.values();
    let ours = services.filter(|service| service.traffic.other_proxy.is_none());
    let mut ports = ours.flat_map(|service| &service.ports);
    let wanted = (Some(flow.destination.port()), flow.protocol);
    ports.find(|port| (port.node_port, port.id.protocol) == wanted)
}

/// What becomes of a flow to an address that has no such front.
fn without_front(snapshot: &Snapshot, address: IpAddr) -> (Verdict, Rule) {
    let is_cluster_ip = |fronts: &[Front]| {
        let first = fronts.partition_point(|front| front.address.ip() < address);
        let same = fronts[first..].iter();
        same.take_while(|front| front.address.ip() == address)
            .any(|front| front.kind == FrontKind::ClusterIp)
    };
    if is_cluster_ip(&snapshot.fronts) || is_cluster_ip(&snapshot.unbound) {
        return (Verdict::Reject, Rule::NoSuchPort);
    }
    let others = snapshot
        .services
        .values()
        .filter(|service| service.traffic.other_proxy.is_some());
    let mut reaches = others.map(|service| &service.reach);
    let holds = |reach: &Reach| matches!(reach, Reach::ClusterIp(ips) if ips.contains(&address));
    if reaches.any(holds) {
        return (Verdict::NotHandled, Rule::OtherProxy);
    }
    let cidrs = &snapshot.cluster.service_cidrs;
    match cidrs.iter().any(|cidr| cidr.contains(&address)) {
        true => (Verdict::Drop, Rule::Unallocated),
        false => (Verdict::NotHandled, Rule::NotOurs),
    }
}
