//! A small world of manifests in which objects meet often, and the chances that choose among them.

use std::fmt::Write as _;

/// SplitMix64: the same run for the same seed, everywhere.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// One valid document about a random object.
pub(crate) fn document(chance: &mut Chance, pairs: &[(String, String)]) -> String {
    let namespace = chance.of(&["default", "default", "other"]);
    match chance.below(16) {
        0..=4 => service(chance, namespace),
        5 | 6 => pod(chance, namespace),
        7 => slice(chance, namespace),
        8 => endpoints(chance, namespace),
        9..=11 => ingress(chance, namespace),
        12 => {
            let (name, zone) = (chance.of(&["n0", "n1"]), chance.below(3));
            format!(
                "apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: \
                 {{topology.kubernetes.io/zone: z{zone}}}}}\n"
            )
        }
        13 => {
            let name = chance.of(&["mine", "nginx"]);
            let controller = chance.of(&["portico.dev/ingress", "other.test/ingress"]);
            let default = if chance.once_in(3) { "true" } else { "false" };
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}, \
                 annotations: {{ingressclass.kubernetes.io/is-default-class: '{default}'}}}}\n\
                 spec: {{controller: {controller}}}\n"
            )
        }
        14 => {
            let name = chance.of(&["other", "empty", "far"]);
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
        }
        _ => secret(chance.of(&["s0", "s1"]), namespace, chance.below(pairs.len()), pairs),
    }
}

/// `namespace/name` with a certificate of `pairs`.
pub(crate) fn secret(
    name: &str,
    namespace: &str,
    pair: usize,
    pairs: &[(String, String)],
) -> String {
    let (certificate, key) = &pairs[pair];
    let indented = |text: &str| text.trim_end().replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\ntype: \
         kubernetes.io/tls\nstringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        indented(certificate),
        indented(key)
    )
}

fn age(chance: &mut Chance) -> String {
    match chance.below(4) {
        0 => format!(", creationTimestamp: '2026-01-0{}T00:00:00Z'", 1 + chance.below(3)),
        _ => String::new(),
    }
}

fn service(chance: &mut Chance, namespace: &str) -> String {
    let name = chance.of(&["a", "b", "c", "d", "kubernetes"]);
    let (age, n) = (age(chance), chance.below(4));
    let mut annotations = String::new();
    let mut spec = match chance.below(8) {
        0 => format!("clusterIP: 127.77.0.{n}, "),
        1 => format!("clusterIP: 127.96.0.{}, ", 1 + n),
        2 => "clusterIP: None, ".to_owned(),
        3 => "type: NodePort, ".to_owned(),
        4 => "type: LoadBalancer, ".to_owned(),
        5 => {
            let target = chance.of(&["example.com", "b.default.svc.cluster.local"]);
            let head = format!("{{name: {name}, namespace: {namespace}{age}}}");
            return format!(
                "apiVersion: v1\nkind: Service\nmetadata: {head}\nspec: {{type: ExternalName, \
                 externalName: {target}}}\n"
            );
        }
        _ => String::new(),
    };
    if chance.once_in(2) {
        let _ = write!(spec, "selector: {{app: x{}}}, ", chance.below(3));
    } else if chance.once_in(2) {
        // Its endpoints may be the front of another, or its own.
        let address = match chance.below(3) {
            0 => "127.0.0.1:30001".to_owned(),
            1 => format!("127.96.0.{}:80", 1 + chance.below(4)),
            _ => format!("127.77.0.{}:80", chance.below(4)),
        };
        annotations =
            format!(", annotations: {{portico.dev/endpoints: '{address}, 127.0.0.1:9080'}}");
    }
    let node_port = match chance.below(3) {
        0 if spec.contains("type: ") => format!(", nodePort: {}", 30_001 + chance.below(2)),
        _ => String::new(),
    };
    let ports = match chance.below(4) {
        0 => format!("[{{port: 80{node_port}}}]"),
        1 => format!("[{{name: p, port: 80{node_port}, targetPort: web}}]"),
        2 => format!("[{{name: p, port: 80}}, {{name: u, port: 80, protocol: UDP{node_port}}}]"),
        _ => "[{name: s, port: 9, protocol: SCTP}, {name: p, port: 81}]".to_owned(),
    };
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: \
         {namespace}{age}{annotations}}}\nspec: {{{spec}ports: {ports}}}\n"
    )
}

fn pod(chance: &mut Chance, namespace: &str) -> String {
    let name = chance.of(&["p0", "p1", "p2", "p3"]);
    let (app, ip) = (chance.below(3), chance.below(4));
    let node = if chance.once_in(3) { "nodeName: n0, " } else { "" };
    let dns = chance.of(&["", "hostname: h, subdomain: a, "]);
    let status =
        chance.of(&["", ", phase: Failed", ", conditions: [{type: Ready, status: 'False'}]"]);
    let leaving = chance.of(&["", "", ", deletionTimestamp: '2026-01-01T00:00:00Z'"]);
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}{leaving}, \
         labels: {{app: x{app}, tier: t}}}}\nspec: {{{node}{dns}containers: [{{name: c, ports: \
         [{{name: web, containerPort: 8080}}]}}]}}\nstatus: {{podIP: 127.1.1.{ip}{status}}}\n"
    )
}

fn slice(chance: &mut Chance, namespace: &str) -> String {
    let (name, service) = (chance.of(&["s0", "s1", "s2"]), chance.of(&["a", "b", "c"]));
    let mut endpoints = Vec::new();
    for _ in 0..chance.below(3) {
        let ready =
            chance.of(&["", ", conditions: {ready: false}", ", conditions: {terminating: true}"]);
        let ip = match chance.below(3) {
            0 => format!("127.77.0.{}", chance.below(4)),
            _ => format!("127.2.2.{}", chance.below(3)),
        };
        endpoints.push(format!("{{addresses: [{ip}]{ready}}}"));
    }
    let ports = chance.of(&["[{port: 80}]", "[{name: p, port: 80}]", "[{name: p}]", "[]"]);
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, namespace: \
         {namespace}, labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: IPv4\n\
         endpoints: [{}]\nports: {ports}\n",
        endpoints.join(", ")
    )
}

fn endpoints(chance: &mut Chance, namespace: &str) -> String {
    let (name, ip) = (chance.of(&["a", "b"]), chance.below(3));
    let skip = chance.of(&["", ", labels: {endpointslice.kubernetes.io/skip-mirror: 'true'}"]);
    let list = chance.of(&["addresses", "notReadyAddresses"]);
    format!(
        "apiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}, namespace: {namespace}{skip}}}\n\
         subsets: [{{{list}: [{{ip: 127.4.4.{ip}}}], ports: [{{port: 82}}]}}]\n"
    )
}

fn ingress(chance: &mut Chance, namespace: &str) -> String {
    let (name, mut age) = (chance.of(&["i0", "i1", "i2"]), age(chance));
    if chance.once_in(6) {
        let prefix = "nginx.ingress.kubernetes.io";
        let secret = chance.of(&["s0", "s1"]);
        let _ = write!(
            age,
            ", annotations: {{{prefix}/auth-type: basic, {prefix}/auth-secret: {secret}}}"
        );
    }
    let backend = |chance: &mut Chance| {
        let port = chance.of(&["number: 80", "name: p", "number: 99"]);
        format!("{{service: {{name: {}, port: {{{port}}}}}}}", chance.of(&["a", "b", "c", "gone"]))
    };
    let mut spec = String::new();
    if chance.once_in(4) {
        let _ = write!(spec, "ingressClassName: {}, ", chance.of(&["mine", "nginx", "foreign"]));
    }
    if chance.once_in(2) {
        let _ = write!(spec, "tls: [{{hosts: [{}], ", chance.of(&["h0.test", "h1.test", "solo"]));
        let _ = write!(spec, "secretName: {}}}], ", chance.of(&["s0", "s1"]));
    } else if chance.once_in(3) {
        let _ = write!(spec, "tls: [{{secretName: {}}}], ", chance.of(&["s0", "s1"]));
    }
    let rules = chance.below(3);
    if rules == 0 || chance.once_in(3) {
        let _ = write!(spec, "defaultBackend: {}, ", backend(chance));
    }
    let mut written = Vec::new();
    for _ in 0..rules {
        let host = chance.of(&[
            "host: h0.test",
            "host: '*.test'",
            "host: solo",
            "host: solo.portico.test",
            "host: ''",
        ]);
        let kind = chance.of(&["Prefix", "Exact"]);
        let path = chance.of(&["/", "/a", "/a/", "/a/b"]);
        written.push(format!(
            "{{{host}, http: {{paths: [{{path: {path}, pathType: {kind}, backend: {}}}]}}}}",
            backend(chance)
        ));
    }
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: \
         {namespace}{age}}}\nspec: {{{spec}rules: [{}]}}\n",
        written.join(", ")
    )
}
