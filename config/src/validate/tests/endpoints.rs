//! EndpointSlice and Endpoints (`services 2.2`, `services 2.3`, `services 3`).

use super::{Kind, Row, good, hold};
use crate::validate::EndpointSet;

const SLICE: &str = "discovery.k8s.io/v1";

fn slice(body: &str) -> EndpointSet {
    let metadata = "metadata: {name: s, labels: {kubernetes.io/service-name: a}, generation: 4, \
                    resourceVersion: \"77\"}";
    match good(SLICE, "EndpointSlice", &format!("{metadata}\n{body}")) {
        Kind::EndpointSet(set) => set,
        other => panic!("{other:?}"),
    }
}

/// Rows of slices that belong to a Service.
fn hold_slices(rows: &[Row<'_>]) {
    for (rule, body, want) in rows {
        let body =
            format!("metadata: {{name: s, labels: {{kubernetes.io/service-name: a}}}}\n{body}");
        hold(SLICE, "EndpointSlice", &[(rule, &body, want)]);
    }
}

#[test]
fn addresses_of_slices_follow_services_3() {
    hold_slices(&[
        ("services 2.2: IPv4", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]", &[]),
        (
            "services 2.2: IPv6",
            "addressType: IPv6\nendpoints: [{addresses: [\"2001:db8::1\"]}]",
            &[],
        ),
        ("services 3: type is required", "endpoints: []", &["P0203 addressType: required value"]),
        (
            "services 3: type is a word",
            "addressType: IP",
            &[
                "P0204 addressType: unsupported value: \"IP\": supported values: \"FQDN\", \"IPv4\", \
             \"IPv6\"",
            ],
        ),
        (
            "services 3: its case matters",
            "addressType: ipv4",
            &[
                "P0204 addressType: unsupported value: \"ipv4\": supported values: \"FQDN\", \"IPv4\", \
             \"IPv6\" (did you mean \"IPv4\"?)",
            ],
        ),
        (
            "services 1.5: names are not used",
            "addressType: FQDN\nendpoints: [{addresses: [a.test]}]",
            &["P0402 addressType"],
        ),
        (
            "services 3: names are qualified",
            "addressType: FQDN\nendpoints: [{addresses: [a]}]",
            &[
                "P0402 addressType",
                "P0407 endpoints[0].addresses[0]: invalid value: \"a\": should be a domain with at least \
             two segments separated by dots",
            ],
        ),
        (
            "services 3: at least one",
            "addressType: IPv4\nendpoints: [{}]",
            &["P0403 endpoints[0].addresses: must contain at least 1 address"],
        ),
        (
            "services 2.2: the first alone is used",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1, 10.0.0.2]}]",
            &["P0405 endpoints[0].addresses: only the first address"],
        ),
        (
            "services 3: of the type",
            "addressType: IPv4\nendpoints: [{addresses: [\"::1\"]}]",
            &["P0404 endpoints[0].addresses[0]: invalid value: \"::1\": must be an IPv4 address"],
        ),
        (
            "services 3: of the type",
            "addressType: IPv6\nendpoints: [{addresses: [10.0.0.1]}]",
            &[
                "P0404 endpoints[0].addresses[0]: invalid value: \"10.0.0.1\": must be an IPv6 address",
            ],
        ),
        (
            "services 3: IPv4 in IPv6 is IPv4",
            "addressType: IPv6\nendpoints: [{addresses: [\"::ffff:10.0.0.1\"]}]",
            &["P0404 endpoints[0].addresses[0]"],
        ),
        (
            "services 3: no text",
            "addressType: IPv4\nendpoints: [{addresses: [a.test]}]",
            &[
                "P0404 endpoints[0].addresses[0]: invalid value: \"a.test\": must be an IPv4 address",
            ],
        ),
        (
            "services 1.6: zeros",
            "addressType: IPv4\nendpoints: [{addresses: [010.0.0.1]}]",
            &[
                "P0208 endpoints[0].addresses[0]: invalid value: \"010.0.0.1\": must not have leading 0s \
             (write 10.0.0.1)",
            ],
        ),
        (
            "design 4: loopback is allowed",
            "addressType: IPv4\nendpoints: [{addresses: [127.0.0.1]}]",
            &[],
        ),
        ("design 4: in IPv6 too", "addressType: IPv6\nendpoints: [{addresses: [\"::1\"]}]", &[]),
        (
            "services 3: not unspecified",
            "addressType: IPv4\nendpoints: [{addresses: [0.0.0.0]}]",
            &[
                "P0216 endpoints[0].addresses[0]: invalid value: \"0.0.0.0\": may not be unspecified",
            ],
        ),
        (
            "services 3: not link-local",
            "addressType: IPv6\nendpoints: [{addresses: [\"fe80::1\"]}]",
            &[
                "P0216 endpoints[0].addresses[0]: invalid value: \"fe80::1\": may not be in the link-local",
            ],
        ),
        (
            "services 3: not multicast",
            "addressType: IPv4\nendpoints: [{addresses: [224.0.0.9]}]",
            &["P0216 endpoints[0].addresses[0]"],
        ),
    ]);
    hold(
        SLICE,
        "EndpointSlice",
        &[(
            "services 1.1: a slice joins by its label",
            "addressType: IPv4",
            &[
                "P0401 metadata.labels: has no label kubernetes.io/service-name, so no Service uses it",
            ],
        )],
    );
}

#[test]
fn ports_names_and_hints_of_slices_follow_services_3() {
    hold_slices(&[
        (
            "services 3: port names are unique",
            "addressType: IPv4\nports: [{name: a, port: 1}, {name: a, port: 2}]",
            &["P0205 ports[1].name: duplicate value: \"a\""],
        ),
        (
            "services 3: for all protocols",
            "addressType: IPv4\nports: [{name: a, port: 1}, {name: a, port: 1, protocol: UDP}]",
            &["P0205 ports[1].name: duplicate value: \"a\""],
        ),
        (
            "services 3: one without",
            "addressType: IPv4\nports: [{port: 1}, {name: b, port: 2}]",
            &[],
        ),
        (
            "services 3: two without",
            "addressType: IPv4\nports: [{port: 1}, {port: 2}]",
            &["P0205 ports[1].name: duplicate value: \"\""],
        ),
        (
            "services 3: a label",
            "addressType: IPv4\nports: [{name: A, port: 1}]",
            &["P0201 ports[0].name: invalid value: \"A\""],
        ),
        (
            "services 2.2: all ports is no port",
            "addressType: IPv4\nports: [{name: a}]",
            &["P0406 ports[0].port: has no number, so no Service uses it"],
        ),
        (
            "services 2.2: 0 is none",
            "addressType: IPv4\nports: [{name: a, port: 0}]",
            &["P0406 ports[0].port"],
        ),
        (
            "services 3: a port",
            "addressType: IPv4\nports: [{port: 65536}]",
            &["P0207 ports[0].port: invalid value: 65536"],
        ),
        (
            "services 3: protocol",
            "addressType: IPv4\nports: [{port: 1, protocol: tcp}]",
            &["P0204 ports[0].protocol: unsupported value: \"tcp\""],
        ),
        (
            "services 3: appProtocol",
            "addressType: IPv4\nports: [{port: 1, appProtocol: /x}]",
            &["P0217 ports[0].appProtocol: invalid value: \"/x\": prefix part must be non-empty"],
        ),
        (
            "services 3: hostname",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hostname: a.b}]",
            &["P0201 endpoints[0].hostname: invalid value: \"a.b\""],
        ),
        (
            "services 3: node",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], nodeName: N_1}]",
            &["P0201 endpoints[0].nodeName: invalid value: \"N_1\""],
        ),
        (
            "services 2.2: hints",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hints: {forZones: [{name: z}], \
             forNodes: [{name: n1}]}}]",
            &[],
        ),
        (
            "services 3: each hint once",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hints: {forZones: [{name: z}, \
             {name: z}]}}]",
            &["P0205 endpoints[0].hints.forZones[1].name: duplicate value: \"z\""],
        ),
        (
            "services 3: a zone is the value of a label",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hints: {forZones: [{name: \"a b\"}]}}]",
            &["P0408 endpoints[0].hints.forZones[0].name: invalid value: \"a b\": a valid label"],
        ),
        (
            "services 3: a node has the name of one",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hints: {forNodes: [{name: N_1}]}}]",
            &["P0408 endpoints[0].hints.forNodes[0].name: invalid value: \"N_1\""],
        ),
        (
            "services 3: eight at most",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hints: {forZones: [{name: a}, {name: \
             b}, {name: c}, {name: d}, {name: e}, {name: f}, {name: g}, {name: h}, {name: i}]}}]",
            &["P0213 endpoints[0].hints.forZones: too many: 9: must have at most 8 items"],
        ),
    ]);
}

#[test]
fn slices_have_limits() {
    let endpoints = |count: usize| {
        let one = "{addresses: [10.0.0.1]}";
        format!("addressType: IPv4\nendpoints: [{}]", vec![one; count].join(", "))
    };
    assert_eq!(slice(&endpoints(1_000)).groups[0].0.len(), 1_000);
    let metadata = "metadata: {name: s, labels: {kubernetes.io/service-name: a}}\n";
    let (valid, found) =
        super::read(SLICE, "EndpointSlice", &format!("{metadata}{}", endpoints(1_001)));
    let want = "P0213 endpoints: too many: 1001: must have at most 1000 items";
    assert!(valid.is_none() && found == [want], "{found:?}");
    let addresses = vec!["10.0.0.1"; 101].join(", ");
    let body = format!("{metadata}addressType: IPv4\nendpoints: [{{addresses: [{addresses}]}}]");
    let (_, found) = super::read(SLICE, "EndpointSlice", &body);
    let want = "P0213 endpoints[0].addresses: too many: 101: must have at most 100 items";
    assert_eq!(found, [want]);
}

#[test]
fn what_balancing_needs_is_typed() {
    let set = slice(
        "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2], conditions: \
         {ready: false, terminating: true}, nodeName: n1, zone: z1, hostname: h, targetRef: {kind: Pod, \
         name: p}, hints: {forZones: [{name: z1}], forNodes: [{name: n1}]}}]\nports: [{name: web, \
         port: 8080, appProtocol: kubernetes.io/h2c}]",
    );
    assert_eq!((set.version, set.mirrored), ((Some(77), Some(4)), false));
    let (endpoints, ports) = &set.groups[0];
    // `services 2.2`: absent conditions are true, true, false, each by itself.
    let conditions: Vec<_> = endpoints
        .iter()
        .map(|e| (e.ready, e.serving, e.terminating))
        .collect();
    assert_eq!(conditions, [(true, true, false), (false, true, true)]);
    assert_eq!(endpoints[1].for_zones, ["z1".into()]);
    assert_eq!(endpoints[1].for_nodes, ["n1".into()]);
    assert_eq!(endpoints[1].zone.as_deref(), Some("z1"));
    assert_eq!(ports[0].app_protocol.as_deref(), Some("kubernetes.io/h2c"));
}

#[test]
fn subsets_of_endpoints_follow_services_3() {
    hold(
        "v1",
        "Endpoints",
        &[
            (
                "services 2.3: addresses and ports",
                "subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}]",
                &[],
            ),
            (
                "services 3: an address",
                "subsets: [{ports: [{port: 1}]}]",
                &["P0403 subsets[0]: must specify `addresses` or `notReadyAddresses`"],
            ),
            (
                "services 3: a valid one",
                "subsets: [{addresses: [{ip: x}]}]",
                &[
                    "P0206 subsets[0].addresses[0].ip: invalid value: \"x\": must be a valid IP address",
                ],
            ),
            (
                "services 3: a usable one",
                "subsets: [{notReadyAddresses: [{ip: \"::\"}]}]",
                &[
                    "P0216 subsets[0].notReadyAddresses[0].ip: invalid value: \"::\": may not be unspecified",
                ],
            ),
            ("design 4: loopback is allowed", "subsets: [{addresses: [{ip: 127.0.0.1}]}]", &[]),
            (
                "services 3: several ports have names",
                "subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 1}, {port: 2, name: b}]}]",
                &["P0203 subsets[0].ports[0].name: required value"],
            ),
            (
                "services 3: a port has a number",
                "subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{name: a}]}]",
                &["P0207 subsets[0].ports[0].port: invalid value: 0"],
            ),
            (
                "services 3: hostname",
                "subsets: [{addresses: [{ip: 10.0.0.1, hostname: A}]}]",
                &["P0201 subsets[0].addresses[0].hostname: invalid value: \"A\""],
            ),
            (
                "services 3: node",
                "subsets: [{addresses: [{ip: 10.0.0.1, nodeName: \"a b\"}]}]",
                &["P0201 subsets[0].addresses[0].nodeName"],
            ),
        ],
    );
}
