//! Ports and words of a Service (`services 2.1`, `services 3`).

use crate::validate::tests::hold;

#[test]
fn ports_follow_services_3() {
    hold(
        "v1",
        "Service",
        &[
            ("services 3: ports are required", "spec: {}", &["P0203 spec.ports: required value"]),
            ("services 3: unless headless", "spec: {clusterIP: None}", &[]),
            (
                "services 3: unless an alias",
                "spec: {type: ExternalName, externalName: a.test}",
                &[],
            ),
            (
                "services 3: port is required",
                "spec: {ports: [{name: a}]}",
                &["P0203 spec.ports[0].port: required value"],
            ),
            ("services 3: port 1", "spec: {ports: [{port: 1}]}", &[]),
            ("services 3: port 65535", "spec: {ports: [{port: 65535}]}", &[]),
            (
                "services 3: port 0",
                "spec: {ports: [{port: 0}]}",
                &[
                    "P0207 spec.ports[0].port: invalid value: 0: must be between 1 and 65535, inclusive",
                ],
            ),
            (
                "services 3: port 65536",
                "spec: {ports: [{port: 65536}]}",
                &["P0207 spec.ports[0].port"],
            ),
            ("services 3: port -1", "spec: {ports: [{port: -1}]}", &["P0207 spec.ports[0].port"]),
            (
                "services 3: several have names",
                "spec: {ports: [{port: 1}, {port: 2, name: b}]}",
                &["P0203 spec.ports[0].name: required value"],
            ),
            (
                "services 3: each its own",
                "spec: {ports: [{port: 1, name: a}, {port: 2, name: a}]}",
                &["P0205 spec.ports[1].name: duplicate value: \"a\""],
            ),
            (
                "services 3: a name is a label",
                "spec: {ports: [{port: 1, name: A}]}",
                &["P0201 spec.ports[0].name: invalid value: \"A\""],
            ),
            (
                "services 3: (port, protocol) once",
                "spec: {ports: [{port: 1, name: a}, {port: 1, name: b}]}",
                &["P0205 spec.ports[1]: duplicate value"],
            ),
            (
                "services 2.1: one number for two protocols",
                "spec: {ports: [{port: 53, name: a}, {port: 53, name: b, protocol: UDP}]}",
                &[],
            ),
            ("services 3: protocol SCTP", "spec: {ports: [{port: 1, protocol: SCTP}]}", &[]),
            (
                "services 3: case matters",
                "spec: {ports: [{port: 1, protocol: udp}]}",
                &[
                    "P0204 spec.ports[0].protocol: unsupported value: \"udp\": supported values: \"SCTP\", \
             \"TCP\", \"UDP\" (did you mean \"UDP\"?)",
                ],
            ),
            (
                "services 3: no ICMP",
                "spec: {ports: [{port: 1, protocol: ICMP}]}",
                &["P0204 spec.ports[0].protocol"],
            ),
            (
                "services 3: appProtocol is qualified",
                "spec: {ports: [{port: 1, appProtocol: kubernetes.io/h2c}]}",
                &[],
            ),
            (
                "services 3: appProtocol",
                "spec: {ports: [{port: 1, appProtocol: \"a b\"}]}",
                &["P0217 spec.ports[0].appProtocol: invalid value: \"a b\": name part"],
            ),
            (
                "services 3: the kubelet's port",
                "spec: {type: LoadBalancer, ports: [{port: 10250}]}",
                &["P0318 spec.ports[0]: may not expose port 10250 externally"],
            ),
        ],
    );
}

#[test]
fn target_ports_follow_services_3() {
    const FIELD: &str = "P0305 spec.ports[0].targetPort: invalid value: ";
    hold(
        "v1",
        "Service",
        &[
            ("services 2.1: 0 is the port", "spec: {ports: [{port: 1, targetPort: 0}]}", &[]),
            ("services 2.1: so is nothing", "spec: {ports: [{port: 1, targetPort: \"\"}]}", &[]),
            ("services 3: a number", "spec: {ports: [{port: 1, targetPort: 8080}]}", &[]),
            (
                "services 3: out of range",
                "spec: {ports: [{port: 1, targetPort: 70000}]}",
                &["P0207 spec.ports[0].targetPort: invalid value: 70000"],
            ),
            ("services 3: a name", "spec: {ports: [{port: 1, targetPort: http-2}]}", &[]),
            (
                "services 3: 15 letters",
                "spec: {ports: [{port: 1, targetPort: sixteen-letters-}]}",
                &[
                    "P0305 spec.ports[0].targetPort: invalid value: \"sixteen-letters-\": must be no more \
             than 15 characters",
                ],
            ),
            (
                "services 3: lower case",
                "spec: {ports: [{port: 1, targetPort: HTTP}]}",
                &["P0305 spec.ports[0].targetPort: invalid value: \"HTTP\": must contain only \
             alpha-numeric characters (a-z, 0-9), and hyphens (-)"],
            ),
            (
                "services 3: a letter",
                "spec: {ports: [{port: 1, targetPort: \"80\"}]}",
                &[
                    "P0305 spec.ports[0].targetPort: invalid value: \"80\": must contain at least one \
             letter (a-z) (write 80 without quotes)",
                ],
            ),
            ("services 3: hyphens apart", "spec: {ports: [{port: 1, targetPort: a--b}]}", &[FIELD]),
            ("services 3: hyphens inside", "spec: {ports: [{port: 1, targetPort: a-}]}", &[FIELD]),
        ],
    );
}

#[test]
fn node_ports_follow_services_3() {
    const RANGE: &str = "P0304 spec.ports[0].nodePort: invalid value: ";
    hold(
        "v1",
        "Service",
        &[
            (
                "services 5: lowest",
                "spec: {type: NodePort, ports: [{port: 1, nodePort: 30000}]}",
                &[],
            ),
            (
                "services 5: highest",
                "spec: {type: NodePort, ports: [{port: 1, nodePort: 32767}]}",
                &[],
            ),
            ("services 2.1: 0 is none", "spec: {ports: [{port: 1, nodePort: 0}]}", &[]),
            (
                "services 5: below",
                "spec: {type: NodePort, ports: [{port: 1, nodePort: 29999}]}",
                &[
                    "P0304 spec.ports[0].nodePort: invalid value: 29999: provided port is not in the valid \
             range. The range of valid ports is 30000-32767",
                ],
            ),
            (
                "services 5: above",
                "spec: {type: LoadBalancer, ports: [{port: 1, nodePort: 32768}]}",
                &[RANGE],
            ),
            (
                "services 5: no port at all",
                "spec: {type: NodePort, ports: [{port: 1, nodePort: -5}]}",
                &[RANGE],
            ),
            (
                "services 3: not for ClusterIP",
                "spec: {ports: [{port: 1, nodePort: 30000}]}",
                &["P0303 spec.ports[0].nodePort: may not be used when `type` is 'ClusterIP'"],
            ),
            (
                "services 3: (nodePort, protocol) once",
                "spec: {type: NodePort, ports: [{port: 1, name: a, nodePort: 30000}, {port: 2, name: b, \
             nodePort: 30000}]}",
                &["P0205 spec.ports[1].nodePort: duplicate value: 30000"],
            ),
            (
                "services 2.1: one number for two protocols",
                "spec: {type: NodePort, ports: [{port: 1, name: a, nodePort: 30000}, {port: 1, name: b, \
             protocol: UDP, nodePort: 30000}]}",
                &[],
            ),
        ],
    );
}

#[test]
fn enumerations_follow_services_3() {
    hold(
        "v1",
        "Service",
        &[
            (
                "services 3: type",
                "spec: {type: Nodeport, ports: [{port: 1, nodePort: 80}]}",
                &[
                    "P0204 spec.type: unsupported value: \"Nodeport\": supported values: \"ClusterIP\", \
             \"ExternalName\", \"LoadBalancer\", \"NodePort\" (did you mean \"NodePort\"?)",
                    "P0304 spec.ports[0].nodePort",
                ],
            ),
            ("services 1.8: empty is absent", "spec: {type: \"\", ports: [{port: 1}]}", &[]),
            (
                "services 3: affinity",
                "spec: {sessionAffinity: ClientIp, ports: [{port: 1}]}",
                &[
                    "P0204 spec.sessionAffinity: unsupported value: \"ClientIp\": supported values: \
             \"ClientIP\", \"None\" (did you mean \"ClientIP\"?)",
                ],
            ),
            (
                "services 3: external policy",
                "spec: {type: NodePort, externalTrafficPolicy: local, ports: [{port: 1}]}",
                &["P0204 spec.externalTrafficPolicy: unsupported value: \"local\""],
            ),
            (
                "services 3: internal policy",
                "spec: {internalTrafficPolicy: Node, ports: [{port: 1}]}",
                &["P0204 spec.internalTrafficPolicy: unsupported value: \"Node\""],
            ),
            (
                "services 3: policy",
                "spec: {ipFamilyPolicy: DualStack, ports: [{port: 1}]}",
                &["P0204 spec.ipFamilyPolicy: unsupported value: \"DualStack\""],
            ),
            (
                "services 3: family",
                "spec: {ipFamilies: [IPv5], ports: [{port: 1}]}",
                &[
                    "P0204 spec.ipFamilies[0]: unsupported value: \"IPv5\": supported values: \"IPv4\", \
             \"IPv6\" (did you mean \"IPv4\"?)",
                ],
            ),
            (
                "services 3: no empty family",
                "spec: {ipFamilies: [\"\"], ports: [{port: 1}]}",
                &["P0204 spec.ipFamilies[0]: unsupported value: \"\""],
            ),
            (
                "services 3: distribution",
                "spec: {trafficDistribution: Near, ports: [{port: 1}]}",
                &[
                    "P0204 spec.trafficDistribution: unsupported value: \"Near\": supported values: \
             \"PreferClose\", \"PreferSameNode\", \"PreferSameZone\"",
                ],
            ),
            (
                "services 3: ipMode",
                "spec: {type: LoadBalancer, ports: [{port: 1}]}\nstatus: {loadBalancer: {ingress: [{ip: \
             10.0.0.1, ipMode: vip}]}}",
                &["P0204 status.loadBalancer.ingress[0].ipMode: unsupported value: \"vip\""],
            ),
        ],
    );
}
