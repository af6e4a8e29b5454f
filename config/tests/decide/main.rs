//! What becomes of flows: tables through manifests, the pipeline and the one decision.
//!
//! Three nodes: n1 in z1 at 192.0.2.1, n2 in z2 at 192.0.2.2, n3 in no zone at 192.0.2.3; the Pods of
//! n1 are 10.244.1.0/24, those of n2 10.244.2.0/24. A flow is decided on n1 unless a row says more.

#![expect(clippy::unwrap_used, reason = "a manifest that is not as meant fails its test")]

mod fronts;
mod sets;
mod sources;
mod verdicts;

use std::fmt::Write as _;
use std::sync::Arc;

use portico_config::model::{ClusterIps, HostFacts, Protocol, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::{Assignments, Decision, Flow, Snapshot, decide};
use portico_config::source::Changes;

/// Manifests and the settings under which they are read.
struct World {
    manifests: String,
    settings: Settings,
}

impl World {
    /// The three nodes and nothing else.
    fn new() -> Self {
        let mut manifests = String::new();
        for (node, labels, address, pods) in [
            ("n1", "{topology.kubernetes.io/zone: z1}", "192.0.2.1", "10.244.1.0/24"),
            ("n2", "{topology.kubernetes.io/zone: z2}", "192.0.2.2", "10.244.2.0/24"),
            ("n3", "{}", "192.0.2.3", "10.244.3.0/24"),
        ] {
            writeln!(
                manifests,
                "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {node}, labels: {labels}}}\n\
                 spec: {{podCIDR: {pods}}}\nstatus: {{addresses: [{{type: InternalIP, address: {address}}}]}}"
            )
            .unwrap();
        }
        let settings = Settings {
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap(), "fd00:96::/112".parse().unwrap()],
            cluster_ips: ClusterIps::Keep,
            node_name: Some("n1".into()),
            ..Settings::default()
        };
        Self { manifests, settings }
    }

    /// A Service: the inside of its `spec` beside the ports, which are 80 to 8080.
    fn service(self, name: &str, spec: &str, endpoints: &str) -> Self {
        let spec = format!("{{ports: [{{port: 80}}], {spec}}}");
        self.object(&format!("kind: Service\nmetadata: {{name: {name}}}\nspec: {spec}"))
            .slice(name, endpoints)
    }

    /// Any object of v1.
    fn object(mut self, text: &str) -> Self {
        write!(self.manifests, "---\napiVersion: v1\n{text}\n").unwrap();
        self
    }

    /// An EndpointSlice per family; see [`endpoint`].
    fn slice(mut self, service: &str, endpoints: &str) -> Self {
        for (family, is_v6) in [("IPv4", false), ("IPv6", true)] {
            let mine = endpoints
                .split_whitespace()
                .filter(|it| it.starts_with("6:") == is_v6);
            let list: Vec<String> = mine.map(endpoint).collect();
            if list.is_empty() {
                continue;
            }
            write!(
                self.manifests,
                "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {service}-{}, \
                 labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: {family}\nports: \
                 [{{port: 8080}}]\nendpoints: [{}]\n",
                family.to_lowercase(),
                list.join(", ")
            )
            .unwrap();
        }
        self
    }

    fn settings(mut self, edit: impl FnOnce(&mut Settings)) -> Self {
        edit(&mut self.settings);
        self
    }

    fn snapshot(self) -> Arc<Snapshot> {
        let file = (Arc::new("world.yaml".into()), self.manifests.into_bytes().into());
        let changes = Changes { written: vec![file], ..Changes::default() };
        let settings = Arc::new(self.settings);
        let mut pipeline = Pipeline::new(settings, HostFacts::default(), Assignments::default());
        let update = pipeline.apply(changes, 0);
        let error = |it: &&portico_config::diagnostic::Diagnostic| {
            it.severity() == portico_config::diagnostic::Severity::Error
        };
        let errors: Vec<_> = update.diagnostics.iter().filter(error).collect();
        assert!(errors.is_empty(), "{errors:?}");
        update.snapshot
    }
}

/// `NUMBER[!STATE][@NODE][>ZONE,…][>>NODE,…]`: 10.244.9.NUMBER, or fd00::NUMBER for `6:NUMBER`; the
/// state is n: not ready, t: terminating and serving, g: terminating and gone, p: ready all the same.
fn endpoint(text: &str) -> String {
    let (text, nodes) = text.split_once(">>").unwrap_or((text, ""));
    let (text, zones) = text.split_once('>').unwrap_or((text, ""));
    let (text, node) = text.split_once('@').unwrap_or((text, ""));
    let (number, state) = text.split_once('!').unwrap_or((text, ""));
    let address = match number.strip_prefix("6:") {
        Some(number) => format!("\"fd00::{number}\""),
        None => format!("10.244.9.{number}"),
    };
    let conditions = match state {
        "" => "{}",
        "n" => "{ready: false, serving: false}",
        "t" => "{ready: false, serving: true, terminating: true}",
        "g" => "{ready: false, serving: false, terminating: true}",
        "p" => "{ready: true, serving: true, terminating: true}",
        other => panic!("no state {other}"),
    };
    let names = |names: &str| {
        let names = names.split(',').filter(|name| !name.is_empty());
        names
            .map(|name| format!("{{name: {name}}}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let hints = format!("{{forZones: [{}], forNodes: [{}]}}", names(zones), names(nodes));
    let node = if node.is_empty() { String::new() } else { format!(", nodeName: {node}") };
    format!("{{addresses: [{address}], conditions: {conditions}, hints: {hints}{node}}}")
}

/// Decides about `destination from source` over TCP, or another protocol before it, at this node.
fn decided<'a>(snapshot: &'a Snapshot, node: &str, flow: &str) -> Decision<'a> {
    let mut words: Vec<&str> = flow.split(' ').collect();
    let protocol = match words[0] {
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => Protocol::Tcp,
    };
    if words.len() == 3 {
        words.remove(0);
    }
    let [destination, source] = words[..] else { panic!("{flow}") };
    let node = (!node.is_empty()).then(|| node.into());
    let place = snapshot.cluster.place(node.as_ref());
    let (destination, source) = (destination.parse().unwrap(), source.parse().unwrap());
    decide(snapshot, &place, &Flow { protocol, destination, source })
}

/// The last number of each endpoint of a decision; what is left out, with the reason.
fn endpoints(decision: &Decision<'_>) -> String {
    let number = |at: usize| {
        let address = decision.port.unwrap().endpoints[at]
            .address
            .ip()
            .to_string();
        let number = address.rsplit(['.', ':']).next().unwrap().to_owned();
        if address.contains(':') { format!("6:{number}") } else { number }
    };
    let mut words: Vec<String> = decision.endpoints().iter().map(|at| number(*at)).collect();
    if !decision.excluded.is_empty() {
        words.push("|".to_owned());
    }
    let excluded = decision.excluded.iter();
    words.extend(excluded.map(|(at, why)| format!("{}:{why:?}", number(*at))));
    words.join(" ")
}
