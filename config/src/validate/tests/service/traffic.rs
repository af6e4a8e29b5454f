//! Affinity, policies and load balancers of a Service (`services 3`).

use crate::validate::tests::hold;

#[test]
fn affinity_and_policies_follow_services_3() {
    const TIMEOUT: &str =
        "P0312 spec.sessionAffinityConfig.clientIP.timeoutSeconds: invalid value: ";
    hold(
        "v1",
        "Service",
        &[
            (
                "services 3: a day is accepted",
                "spec: {sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: \
             86400}}, ports: [{port: 1}]}",
                &[],
            ),
            (
                "services 3: more is not",
                "spec: {sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: \
             86401}}, ports: [{port: 1}]}",
                &[
                    "P0312 spec.sessionAffinityConfig.clientIP.timeoutSeconds: invalid value: 86401: must \
               be greater than 0 and less than 86400",
                ],
            ),
            (
                "services 3: nor is nothing",
                "spec: {sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: \
             0}}, ports: [{port: 1}]}",
                &[TIMEOUT],
            ),
            (
                "services 3: nor less",
                "spec: {sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: \
             -1}}, ports: [{port: 1}]}",
                &[TIMEOUT],
            ),
            (
                "services 3: not without affinity",
                "spec: {sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}, ports: [{port: 1}]}",
                &[
                    "P0313 spec.sessionAffinityConfig: must not be set when session affinity is None",
                ],
            ),
            (
                "services 3: nor with None",
                "spec: {sessionAffinity: None, sessionAffinityConfig: {clientIP: {}}, ports: [{port: 1}]}",
                &["P0313 spec.sessionAffinityConfig"],
            ),
            (
                "services 3: not for ClusterIP",
                "spec: {externalTrafficPolicy: Local, ports: [{port: 1}]}",
                &[
                    "P0315 spec.externalTrafficPolicy: may only be set for externally-accessible services",
                ],
            ),
            (
                "services 2.1: with an external address",
                "spec: {externalTrafficPolicy: Local, externalIPs: [10.0.0.1], ports: [{port: 1}]}",
                &[],
            ),
            (
                "services 3: topology annotations agree",
                "metadata: {name: a, annotations: {service.kubernetes.io/topology-mode: Auto, \
             service.kubernetes.io/topology-aware-hints: Disabled}}\nspec: {ports: [{port: 1}]}",
                &[
                    "P0317 metadata.annotations[service.kubernetes.io/topology-mode]: invalid value: \
               \"Auto\": must match \
               annotations[service.kubernetes.io/topology-aware-hints] when both are specified",
                ],
            ),
            (
                "services 3: a selector is labels",
                "spec: {selector: {\"a b\": x, app: \"y z\"}, ports: [{port: 1}]}",
                &[
                    "P0311 spec.selector.a b: invalid value: \"a b\": name part",
                    "P0311 spec.selector.app: invalid value: \"y z\": a valid label",
                ],
            ),
            (
                "services 2.1: no affinity where there is no address",
                "spec: {clusterIP: None, sessionAffinity: ClientIP}",
                &["P0308 spec.sessionAffinity: is ignored for headless services"],
            ),
        ],
    );
}

#[test]
fn load_balancers_follow_services_3() {
    hold(
        "v1",
        "Service",
        &[
            (
                "services 2.1: everything at once",
                "spec: {type: LoadBalancer, loadBalancerClass: example.com/lb, loadBalancerIP: 10.0.0.9, \
             loadBalancerSourceRanges: [10.0.0.0/8, \" 2001:db8::/64 \"], \
             allocateLoadBalancerNodePorts: false, externalTrafficPolicy: Local, healthCheckNodePort: \
             30500, ports: [{port: 1}]}\nstatus: {loadBalancer: {ingress: [{ip: 10.0.0.9, ipMode: \
             Proxy}, {hostname: lb.test}]}}",
                &[],
            ),
            (
                "services 3: ranges",
                "spec: {loadBalancerSourceRanges: [10.0.0.0/8], ports: [{port: 1}]}",
                &[
                    "P0314 spec.LoadBalancerSourceRanges: may only be used when `type` is 'LoadBalancer'",
                ],
            ),
            (
                "services 3: a range",
                "spec: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.1], ports: [{port: 1}]}",
                &[
                    "P0209 spec.LoadBalancerSourceRanges[0]: invalid value: \"10.0.0.1\": must be a valid \
               CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                ],
            ),
            (
                "services 3: bits beyond the prefix",
                "spec: {type: LoadBalancer, loadBalancerSourceRanges: [10.1.2.3/8], ports: [{port: 1}]}",
                &[
                    "P0208 spec.LoadBalancerSourceRanges[0]: invalid value: \"10.1.2.3/8\": must not have \
               bits set beyond the prefix length (write 10.0.0.0/8)",
                ],
            ),
            (
                "services 3: zeros in a range",
                "spec: {type: LoadBalancer, loadBalancerSourceRanges: [010.0.0.0/8], ports: [{port: 1}]}",
                &[
                    "P0208 spec.LoadBalancerSourceRanges[0]: invalid value: \"010.0.0.0/8\": must not have \
               leading 0s in IP or prefix length",
                ],
            ),
            (
                "services 3: their annotation",
                "metadata: {name: a, annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: \
             \"10.0.0.0/8, x\"}}\nspec: {ports: [{port: 1}]}",
                &[
                    "P0209 metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: \
                 invalid value: \"x\"",
                    "P0314 metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: \
                 may only be used",
                ],
            ),
            (
                "services 3: allocation",
                "spec: {type: NodePort, allocateLoadBalancerNodePorts: true, ports: [{port: 1}]}",
                &["P0314 spec.allocateLoadBalancerNodePorts: may only be used when"],
            ),
            (
                "services 3: class",
                "spec: {loadBalancerClass: a, ports: [{port: 1}]}",
                &["P0314 spec.loadBalancerClass: may only be used when"],
            ),
            (
                "services 3: a class is qualified",
                "spec: {type: LoadBalancer, loadBalancerClass: a/b/c, ports: [{port: 1}]}",
                &[
                    "P0217 spec.loadBalancerClass: invalid value: \"a/b/c\": a qualified name must consist",
                ],
            ),
            (
                "services 3: status",
                "spec: {ports: [{port: 1}]}\nstatus: {loadBalancer: {ingress: [{ip: 10.0.0.1}]}}",
                &["P0314 status.loadBalancer.ingress: may only be used when"],
            ),
            (
                "services 3: ipMode wants an ip",
                "spec: {type: LoadBalancer, ports: [{port: 1}]}\nstatus: {loadBalancer: {ingress: \
             [{hostname: a.test, ipMode: VIP}]}}",
                &[
                    "P0320 status.loadBalancer.ingress[0].ipMode: may not be specified when `ip` is not set",
                ],
            ),
            (
                "services 3: a hostname is no address",
                "spec: {type: LoadBalancer, ports: [{port: 1}]}\nstatus: {loadBalancer: {ingress: \
             [{hostname: 10.0.0.1}, {hostname: A.test}, {ip: x}]}}",
                &[
                    "P0201 status.loadBalancer.ingress[0].hostname: invalid value: \"10.0.0.1\": must be \
                 a DNS name, not an IP address",
                    "P0201 status.loadBalancer.ingress[1].hostname",
                    "P0206 status.loadBalancer.ingress[2].ip",
                ],
            ),
            (
                "services 3: health checks",
                "spec: {type: LoadBalancer, healthCheckNodePort: 30500, ports: [{port: 1}]}",
                &[
                    "P0316 spec.healthCheckNodePort: invalid value: 30500: may only be set when `type` is \
               'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
                ],
            ),
            (
                "services 5: their range",
                "spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 80, ports: \
             [{port: 1}]}",
                &["P0304 spec.healthCheckNodePort: invalid value: 80"],
            ),
            (
                "services 5: one pool",
                "spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30500, \
             ports: [{port: 1, nodePort: 30500}]}",
                &["P0205 spec.healthCheckNodePort: duplicate value: 30500"],
            ),
            (
                "services 2.1: a wish that is no address",
                "spec: {type: LoadBalancer, loadBalancerIP: my-ip, ports: [{port: 1}]}",
                &[
                    "P0319 spec.loadBalancerIP: invalid value: \"my-ip\": is no IP address and has no effect",
                ],
            ),
            (
                "services 2.1: a wish of nobody",
                "spec: {loadBalancerIP: 10.0.0.1, ports: [{port: 1}]}",
                &["P0308 spec.loadBalancerIP: is ignored when `type` is not 'LoadBalancer'"],
            ),
        ],
    );
}

#[test]
fn annotations_about_connections_follow_design_5() {
    const MOST: &str = "P0321 metadata.annotations[portico.dev/max-connections]: invalid value: ";
    const PROXY: &str = "P0322 metadata.annotations[portico.dev/proxy-protocol]: invalid value: ";
    const BOUND: &str = "P0326 metadata.annotations[portico.dev/max-endpoint-";
    const IGNORED: &str = "P0308 metadata.annotations[portico.dev/";
    let with = |key: &str, value: &str, spec: &str| {
        format!("metadata: {{name: a, annotations: {{portico.dev/{key}: \"{value}\"}}}}\n{spec}")
    };
    let tcp = "spec: {ports: [{port: 1}]}";
    let udp = "spec: {ports: [{port: 1, protocol: UDP}]}";
    for (case, text, want) in [
        ("one", with("max-connections", "1", tcp), &[][..]),
        ("a million", with("max-connections", " 1000000 ", tcp), &[]),
        ("none", with("max-connections", "0", tcp), &[MOST]),
        ("too many", with("max-connections", "1000001", tcp), &[MOST]),
        ("a word", with("max-connections", "all", tcp), &[MOST]),
        ("over UDP alone", with("max-connections", "1", udp), &[IGNORED]),
        ("requests", with("max-endpoint-requests", "1", "spec: {clusterIP: None}"), &[]),
        ("no request", with("max-endpoint-requests", "0", tcp), &[BOUND]),
        ("too many", with("max-endpoint-requests", "1000001", tcp), &[BOUND]),
        ("nobody waits", with("max-endpoint-pending", "0", tcp), &[]),
        ("a word", with("max-endpoint-pending", "some", tcp), &[BOUND]),
        ("in", with("proxy-protocol", "in", tcp), &[]),
        ("out", with("proxy-protocol", "v1", tcp), &[]),
        ("both", with("proxy-protocol", "in, v2", tcp), &[]),
        ("the other order", with("proxy-protocol", "v2,in", tcp), &[]),
        ("twice in", with("proxy-protocol", "in,in", tcp), &[PROXY]),
        ("two versions", with("proxy-protocol", "v1,v2", tcp), &[PROXY]),
        ("nothing", with("proxy-protocol", "", tcp), &[PROXY]),
        ("capitals", with("proxy-protocol", "V2", tcp), &[PROXY]),
        ("headless", with("proxy-protocol", "v2", "spec: {clusterIP: None}"), &[IGNORED]),
    ] {
        hold("v1", "Service", &[(case, &text, want)]);
    }
}
