//! Pod and Node (`services 2.4`, `services 2.6`).

use super::{Kind, good, hold};

#[test]
fn pods_follow_services_2_4() {
    hold(
        "v1",
        "Pod",
        &[
            (
                "services 2.4: addresses",
                "status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: \"2001:db8::1\"}]}",
                &[],
            ),
            ("services 2.4: none yet", "spec: {}", &[]),
            (
                "services 2.4: an address",
                "status: {podIP: 10.0.0.256}",
                &["P0206 status.podIP: invalid value"],
            ),
            (
                "services 2.4: each an address",
                "status: {podIPs: [{ip: x}]}",
                &["P0206 status.podIPs[0].ip"],
            ),
            (
                "services 2.4: made canonical",
                "status: {podIP: 010.0.0.1}",
                &[
                    "P0208 status.podIP: invalid value: \"010.0.0.1\": must not have leading 0s (write 10.0.0.1)",
                ],
            ),
            (
                "services 2.4: one of a family",
                "status: {podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.2}]}",
                &["P0409 status.podIPs: may specify no more than one IP for each IP family"],
            ),
            (
                "services 2.4: the first is podIP",
                "status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.2}]}",
                &["P0409 status.podIPs: first value must match `podIP`"],
            ),
            (
                "services 2.4: a port's number",
                "spec: {containers: [{ports: [{name: web}]}]}",
                &["P0203 spec.containers[0].ports[0].containerPort: required value"],
            ),
            (
                "services 2.4: its range",
                "spec: {containers: [{ports: [{containerPort: 70000}]}]}",
                &["P0207 spec.containers[0].ports[0].containerPort: invalid value: 70000"],
            ),
            (
                "services 2.4: its protocol",
                "spec: {initContainers: [{ports: [{containerPort: 1, protocol: tcp}]}]}",
                &["P0204 spec.initContainers[0].ports[0].protocol: unsupported value: \"tcp\""],
            ),
            (
                "services 3: its name",
                "spec: {containers: [{ports: [{name: Web, containerPort: 1}]}]}",
                &[
                    "P0201 spec.containers[0].ports[0].name: invalid value: \"Web\": must contain only",
                ],
            ),
            (
                "services 2.4: a name and protocol once",
                "spec: {containers: [{ports: [{name: a, containerPort: 1}, {name: a, containerPort: 2}]}]}",
                &["P0205 spec.containers[0].ports[1].name: duplicate value: \"a\""],
            ),
            (
                "services 2.4: a name for two protocols",
                "spec: {containers: [{ports: [{name: a, containerPort: 1}, {name: a, containerPort: 1, \
             protocol: UDP}]}]}",
                &[],
            ),
            (
                "services 3: hostname",
                "spec: {hostname: A, subdomain: b.c}",
                &[
                    "P0201 spec.hostname: invalid value: \"A\"",
                    "P0201 spec.subdomain: invalid value: \"b.c\"",
                ],
            ),
            (
                "services 3: node",
                "spec: {nodeName: N_1}",
                &["P0201 spec.nodeName: invalid value: \"N_1\""],
            ),
            (
                "services 2.4: a condition",
                "status: {conditions: [{type: Ready, status: \"true\"}]}",
                &["P0410 status.conditions[0].status: \"true\" is neither"],
            ),
        ],
    );
    let pod =
        good("v1", "Pod", "spec: {hostNetwork: true}\nstatus: {podIP: 10.0.0.1, phase: Running}");
    let Kind::Pod(pod) = pod else { panic!("{pod:?}") };
    assert!(pod.host_network && pod.ready.is_none() && !pod.finished && !pod.terminating);
}

#[test]
fn probes_follow_services_3() {
    let probe = |field: &str, probe: &str| format!("spec: {{containers: [{{{field}: {probe}}}]}}");
    let readiness = |text: &str| probe("readinessProbe", text);
    let liveness = |text: &str| probe("livenessProbe", text);
    for (case, text, want) in [
        ("http", readiness("{httpGet: {port: 8443, path: /, scheme: HTTPS, httpHeaders: [{name: Host, value: a}]}}"), &[][..]),
        ("a port that is not there", readiness("{tcpSocket: {port: web}}"), &["P0416 spec.containers[0].readinessProbe.tcpSocket.port: this container has no port named \"web\" (name one of its ports, or write the number)"]),
        ("tcp", readiness("{tcpSocket: {port: 80}, successThreshold: 3}"), &[]),
        ("grpc", liveness("{grpc: {port: 80, service: a}, successThreshold: 1}"), &[]),
        ("exec", probe("startupProbe", "{exec: {command: [a]}, successThreshold: 0, terminationGracePeriodSeconds: 1}"), &[]),
        ("no handler", readiness("{periodSeconds: 1}"), &["P0203 spec.containers[0].readinessProbe: required value: must specify a handler type"]),
        ("two", readiness("{exec: {command: [a]}, tcpSocket: {port: 80}}"), &["P0413 spec.containers[0].readinessProbe.tcpSocket: may not specify more than 1 handler type"]),
        ("no command", readiness("{exec: {}}"), &["P0203 spec.containers[0].readinessProbe.exec.command: required value"]),
        ("no port", readiness("{httpGet: {path: /}}"), &["P0207 spec.containers[0].readinessProbe.httpGet.port: invalid value: 0"]),
        ("a port in quotes", readiness("{tcpSocket: {port: \"80\"}}"), &["P0413 spec.containers[0].readinessProbe.tcpSocket.port: invalid value: \"80\": must contain at least one letter (a-z) (write 80 without quotes)"]),
        ("a port's name", readiness("{httpGet: {port: a--b}}"), &["P0413 spec.containers[0].readinessProbe.httpGet.port: invalid value: \"a--b\": must not contain consecutive hyphens"]),
        ("a scheme", readiness("{httpGet: {port: 1, scheme: http}}"), &["P0204 spec.containers[0].readinessProbe.httpGet.scheme: unsupported value: \"http\""]),
        ("a header", readiness("{httpGet: {port: 1, httpHeaders: [{name: a b}]}}"), &["P0413 spec.containers[0].readinessProbe.httpGet.httpHeaders[0].name: invalid value: \"a b\": a valid HTTP header"]),
        ("grpc's port", liveness("{grpc: {}}"), &["P0207 spec.containers[0].livenessProbe.grpc.port: invalid value: 0"]),
        ("negative", readiness("{tcpSocket: {port: 1}, periodSeconds: -1}"), &["P0413 spec.containers[0].readinessProbe.periodSeconds: invalid value: -1: must be greater than or equal to 0"]),
        ("liveness succeeds at once", liveness("{tcpSocket: {port: 1}, successThreshold: 2}"), &["P0413 spec.containers[0].livenessProbe.successThreshold: invalid value: 2: must be 1"]),
        ("a grace", liveness("{tcpSocket: {port: 1}, terminationGracePeriodSeconds: 0}"), &["P0413 spec.containers[0].livenessProbe.terminationGracePeriodSeconds: invalid value: 0: must be greater than 0"]),
        ("no grace", readiness("{tcpSocket: {port: 1}, terminationGracePeriodSeconds: 9}"), &["P0413 spec.containers[0].readinessProbe.terminationGracePeriodSeconds: invalid value: 9: must not be set for readinessProbes"]),
        ("a sidecar", "spec: {initContainers: [{restartPolicy: Always, startupProbe: {tcpSocket: {port: 1}}}]}".to_owned(), &[]),
        ("an init container", "spec: {initContainers: [{startupProbe: {tcpSocket: {port: 1}}}]}".to_owned(), &["P0413 spec.initContainers[0].startupProbe: may not be set for init containers without restartPolicy=Always"]),
        ("a gate", "spec: {readinessGates: [{conditionType: a b}]}".to_owned(), &["P0217 spec.readinessGates[0].conditionType: invalid value: \"a b\""]),
    ] {
        hold("v1", "Pod", &[(&format!("services 3: {case}"), &text, want)]);
    }
}

#[test]
fn nodes_follow_services_2_6() {
    hold(
        "v1",
        "Node",
        &[
            (
                "services 2.6: everything",
                "metadata: {name: n1, labels: {topology.kubernetes.io/zone: z}}\nspec: {podCIDR: 10.1.0.0/24, \
             podCIDRs: [10.1.0.0/24, \"2001:db8::/64\"], taints: [{key: a/b, effect: NoSchedule}]}\nstatus: \
             {addresses: [{type: InternalIP, address: 10.0.0.1}, {type: Hostname, address: n1}]}",
                &[],
            ),
            (
                "services 3: a CIDR",
                "spec: {podCIDR: 10.1.0.0}",
                &["P0209 spec.podCIDR: invalid value"],
            ),
            (
                "services 3: each a CIDR",
                "spec: {podCIDRs: [x]}",
                &["P0209 spec.podCIDRs[0]: invalid value"],
            ),
            (
                "services 3: the first is podCIDR",
                "spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.2.0.0/24]}",
                &["P0411 spec.podCIDRs: first value must match `podCIDR`"],
            ),
            (
                "services 3: one of a family",
                "spec: {podCIDRs: [10.1.0.0/24, 10.2.0.0/24]}",
                &["P0411 spec.podCIDRs: may specify no more than one CIDR for each IP family"],
            ),
            (
                "services 2.6: an address",
                "status: {addresses: [{type: InternalIP, address: n1}]}",
                &["P0206 status.addresses[0].address: invalid value: \"n1\""],
            ),
            (
                "services 2.6: its type",
                "status: {addresses: [{address: n1}]}",
                &["P0203 status.addresses[0].type: required value"],
            ),
            (
                "services 2.6: each once",
                "status: {addresses: [{type: InternalIP, address: 10.0.0.1}, {type: InternalIP, address: \
             10.0.0.1}]}",
                &["P0205 status.addresses[1]: duplicate value: \"10.0.0.1\""],
            ),
            (
                "services 2.6: a taint",
                "spec: {taints: [{key: \"a b\", value: \"c d\", effect: Never}]}",
                &[
                    "P0204 spec.taints[0].effect: unsupported value: \"Never\"",
                    "P0412 spec.taints[0].key: invalid value: \"a b\"",
                    "P0412 spec.taints[0].value: invalid value: \"c d\"",
                ],
            ),
            (
                "services 2.6: its effect",
                "spec: {taints: [{key: a}]}",
                &["P0203 spec.taints[0].effect: required value"],
            ),
            (
                "services 2.6: each taint once",
                "spec: {taints: [{key: a, effect: NoSchedule}, {key: a, effect: NoSchedule}]}",
                &["P0205 spec.taints[1]: duplicate value: \"a\""],
            ),
        ],
    );
    let node = good(
        "v1",
        "Node",
        "metadata: {name: n1, labels: {topology.kubernetes.io/zone: z}}\nspec: {podCIDR: 10.1.0.0/24, \
         taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]}\nstatus: {addresses: \
         [{type: ExternalIP, address: 8.8.8.8}, {type: InternalIP, address: 10.0.0.1}]}",
    );
    let Kind::Node(node) = node else { panic!("{node:?}") };
    assert_eq!(node.zone.as_deref(), Some("z"));
    assert_eq!(
        format!("{:?} {:?}", node.addresses, node.pod_cidrs),
        "[10.0.0.1, 8.8.8.8] [10.1.0.0/24]"
    );
    assert_eq!(node.taints, ["ToBeDeletedByClusterAutoscaler".into()]);
}
