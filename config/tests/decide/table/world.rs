//! The world of a row: three nodes, and the manifests and settings that the row adds.
//!
//! n1 in z1 at 192.0.2.1, n2 in z2 at 192.0.2.2, n3 in no zone at 192.0.2.3; the Pods of n1 are
//! 10.244.1.0/24, those of n2 10.244.2.0/24. Endpoints are 10.244.9.NUMBER and fd00::NUMBER, at 8080.

use portico_config::model::{ClusterIps, Settings};

/// Manifests and the settings under which they are read.
#[derive(Clone)]
pub(crate) struct World {
    /// The manifests, as one file.
    pub(crate) manifests: String,
    /// The settings.
    pub(crate) settings: Settings,
}

impl World {
    /// The three nodes and nothing else.
    pub(crate) fn new() -> Self {
        let nodes = [
            ("n1", "{topology.kubernetes.io/zone: z1}", "192.0.2.1", "10.244.1.0/24"),
            ("n2", "{topology.kubernetes.io/zone: z2}", "192.0.2.2", "10.244.2.0/24"),
            ("n3", "{}", "192.0.2.3", "10.244.3.0/24"),
        ];
        let mut world = Self::empty();
        for (node, labels, address, pods) in nodes {
            world = world.object(&format!(
                "kind: Node\nmetadata: {{name: {node}, labels: {labels}}}\nspec: {{podCIDR: {pods}}}\n\
                 status: {{addresses: [{{type: InternalIP, address: {address}}}]}}"
            ));
        }
        world
    }

    /// Without nodes.
    pub(crate) fn empty() -> Self {
        let network = |text: &str| text.parse().expect("a network");
        let address = |text: &str| text.parse().expect("an address");
        let settings = Settings {
            service_cidrs: vec![network("10.96.0.0/16"), network("fd00:96::/112")],
            cluster_ips: ClusterIps::Keep,
            node_name: Some("n1".into()),
            node_addresses: ["127.0.0.1", "::1", "192.0.2.1"].map(address).into(),
            ..Settings::default()
        };
        Self { manifests: String::new(), settings }
    }

    /// A Service: the inside of its `spec` beside the ports, which are 80 to 8080.
    pub(crate) fn service(self, name: &str, spec: &str, endpoints: &str) -> Self {
        let spec = format!("{{ports: [{{port: 80}}], {spec}}}");
        self.object(&format!("kind: Service\nmetadata: {{name: {name}}}\nspec: {spec}"))
            .slice(name, endpoints)
    }

    /// Any object of v1.
    pub(crate) fn object(self, text: &str) -> Self {
        self.document(&format!("apiVersion: v1\n{text}"))
    }

    /// Any object at all.
    pub(crate) fn document(mut self, text: &str) -> Self {
        self.manifests.push_str(&format!("---\n{text}\n"));
        self
    }

    /// An EndpointSlice per family, of a port without a name; see [`endpoint`].
    pub(crate) fn slice(mut self, service: &str, endpoints: &str) -> Self {
        for (family, is_v6) in [("IPv4", false), ("IPv6", true)] {
            let mine = endpoints
                .split_whitespace()
                .filter(|it| it.starts_with("6:") == is_v6);
            let list: Vec<String> = mine.map(endpoint).collect();
            if list.is_empty() {
                continue;
            }
            self = self.document(&format!(
                "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {service}-{}, \
                 labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: {family}\nports: \
                 [{{port: 8080}}]\nendpoints: [{}]",
                family.to_lowercase(),
                list.join(", ")
            ));
        }
        self
    }

    /// Other settings.
    pub(crate) fn settings(mut self, edit: impl FnOnce(&mut Settings)) -> Self {
        edit(&mut self.settings);
        self
    }
}

/// `NUMBER[!STATE][@NODE][>ZONE,…][>>NODE,…]`: 10.244.9.NUMBER, or fd00::NUMBER for `6:NUMBER`; the
/// state is n: not ready, t: terminating and serving, g: terminating and gone, p: ready all the same.
pub(crate) fn endpoint(text: &str) -> String {
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
