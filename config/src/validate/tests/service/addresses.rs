//! Addresses, families and names of a Service (`services 3`).

use crate::validate::tests::hold;

#[test]
fn cluster_ips_and_families_follow_services_3() {
    const TWICE: &str = "P0301 spec.clusterIPs: may specify no more than one IP for each IP family";
    hold(
        "v1",
        "Service",
        &[
            (
                "services 2.1: clusterIP alone",
                "spec: {clusterIP: 10.0.0.1, ports: [{port: 1}]}",
                &[],
            ),
            (
                "services 2.1: both",
                "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{port: 1}]}",
                &[],
            ),
            (
                "services 3: they agree",
                "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.2], ports: [{port: 1}]}",
                &["P0301 spec.clusterIPs: first value must match `clusterIP`"],
            ),
            (
                "services 3: never alone",
                "spec: {clusterIPs: [10.0.0.2], ports: [{port: 1}]}",
                &["P0301 spec.clusterIPs: must be empty when `clusterIP` is not specified (add \
             `clusterIP: 10.0.0.2`)"],
            ),
            (
                "services 3: an address",
                "spec: {clusterIP: ten, ports: [{port: 1}]}",
                &[
                    "P0206 spec.clusterIPs[0]: invalid value: \"ten\": must be a valid IP address, (e.g. \
             10.9.8.7 or 2001:db8::ffff)",
                ],
            ),
            (
                "services 1.6: zeros are decimal",
                "spec: {clusterIP: 010.0.0.1, ports: [{port: 1}]}",
                &[
                    "P0208 spec.clusterIPs[0]: invalid value: \"010.0.0.1\": must not have leading 0s \
             (write 10.0.0.1)",
                ],
            ),
            (
                "services 3: IPv4 in IPv6",
                "spec: {clusterIP: \"::ffff:10.0.0.1\", ports: [{port: 1}]}",
                &["P0208 spec.clusterIPs[0]: invalid value: \"::ffff:10.0.0.1\": must not be an \
             IPv4-mapped IPv6 address (write 10.0.0.1)"],
            ),
            (
                "services 3: None stands alone",
                "spec: {clusterIP: None, clusterIPs: [None, 10.0.0.1]}",
                &["P0301 spec.clusterIPs: 'None' must be the first and only value"],
            ),
            (
                "services 3: None comes first",
                "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, None], ipFamilyPolicy: \
             PreferDualStack, ports: [{port: 1}]}",
                &["P0301 spec.clusterIPs: 'None' must be the first and only value"],
            ),
            (
                "services 3: two at most",
                "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, \"2001:db8::1\", 10.0.0.2], ports: \
             [{port: 1}]}",
                &["P0301 spec.clusterIPs: may only hold up to 2 values", TWICE],
            ),
            (
                "services 3: one of a family",
                "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 10.0.0.2], ipFamilyPolicy: \
             PreferDualStack, ports: [{port: 1}]}",
                &[TWICE],
            ),
            (
                "services 2.1: one of each",
                "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, \"2001:db8::1\"], ipFamilyPolicy: \
             RequireDualStack, ports: [{port: 1}]}",
                &[],
            ),
            (
                "services 3: two addresses want two families",
                "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, \"2001:db8::1\"], ports: [{port: 1}]}",
                &[
                    "P0310 spec.ipFamilyPolicy: must be 'RequireDualStack' or 'PreferDualStack' when \
               multiple cluster IPs are specified",
                ],
            ),
            (
                "services 3: so do two families",
                "spec: {ipFamilies: [IPv4, IPv6], ipFamilyPolicy: SingleStack, ports: [{port: 1}]}",
                &[
                    "P0310 spec.ipFamilyPolicy: must be 'RequireDualStack' or 'PreferDualStack' when \
               multiple IP families are specified",
                ],
            ),
            (
                "services 3: each family once",
                "spec: {ipFamilies: [IPv4, IPv4], ports: [{port: 1}]}",
                &[
                    "P0205 spec.ipFamilies[1]: duplicate value: \"IPv4\"",
                    "P0310 spec.ipFamilyPolicy",
                ],
            ),
            (
                "services 3: an IPv4 address",
                "spec: {clusterIP: \"2001:db8::1\", ipFamilies: [IPv4], ports: [{port: 1}]}",
                &[
                    "P0310 spec.clusterIPs[0]: invalid value: \"2001:db8::1\": expected an IPv4 value as \
               indicated by `ipFamilies[0]`",
                ],
            ),
            (
                "services 3: an IPv6 address",
                "spec: {clusterIP: 10.0.0.1, ipFamilies: [IPv6], ports: [{port: 1}]}",
                &["P0310 spec.clusterIPs[0]: invalid value: \"10.0.0.1\": expected an IPv6 value"],
            ),
            (
                "services 3: no headless NodePort",
                "spec: {type: NodePort, clusterIP: None, ports: [{port: 1}]}",
                &["P0302 spec.clusterIPs[0]: may not be set to 'None' for NodePort services"],
            ),
            (
                "services 3: no headless LoadBalancer",
                "spec: {type: LoadBalancer, clusterIP: None, ports: [{port: 1}]}",
                &["P0302 spec.clusterIPs[0]: may not be set to 'None' for LoadBalancer services"],
            ),
            (
                "design 4: outside the CIDR is no error",
                "spec: {clusterIP: 8.8.8.8, ports: [{port: 1}]}",
                &[],
            ),
        ],
    );
}

#[test]
fn external_names_follow_services_3() {
    hold(
        "v1",
        "Service",
        &[
            (
                "services 3: a domain",
                "spec: {type: ExternalName, externalName: db.example.com}",
                &[],
            ),
            (
                "services 3: one dot more",
                "spec: {type: ExternalName, externalName: db.example.com.}",
                &[],
            ),
            (
                "services 3: required",
                "spec: {type: ExternalName}",
                &["P0203 spec.externalName: required value"],
            ),
            (
                "services 3: a dot alone",
                "spec: {type: ExternalName, externalName: .}",
                &["P0203 spec.externalName: required value"],
            ),
            (
                "services 3: lower case",
                "spec: {type: ExternalName, externalName: Db.test}",
                &[
                    "P0201 spec.externalName: invalid value: \"Db.test\": a lowercase RFC 1123 subdomain",
                ],
            ),
            (
                "services 3: no scheme",
                "spec: {type: ExternalName, externalName: \"http://a.test\"}",
                &["P0201 spec.externalName"],
            ),
            (
                "services 3: no clusterIPs",
                "spec: {type: ExternalName, externalName: a.test, clusterIP: 10.0.0.1}",
                &["P0309 spec.clusterIPs: may not be set for ExternalName services"],
            ),
            (
                "services 3: not even None",
                "spec: {type: ExternalName, externalName: a.test, clusterIP: None}",
                &["P0309 spec.clusterIPs: may not be set for ExternalName services"],
            ),
            (
                "services 3: no families",
                "spec: {type: ExternalName, externalName: a.test, ipFamilies: [IPv4], ipFamilyPolicy: \
             SingleStack}",
                &[
                    "P0309 spec.ipFamilies: may not be set for ExternalName services",
                    "P0309 spec.ipFamilyPolicy: may not be set for ExternalName services",
                ],
            ),
            (
                "services 2.1: no nodePort",
                "spec: {type: ExternalName, externalName: a.test, ports: [{port: 1, nodePort: 30000}]}",
                &["P0303 spec.ports[0].nodePort: may not be used when `type` is 'ExternalName'"],
            ),
            (
                "services 2.1: addresses have no effect",
                "spec: {type: ExternalName, externalName: a.test, externalIPs: [10.0.0.1]}",
                &["P0308 spec.externalIPs: is ignored when `type` is 'ExternalName'"],
            ),
            (
                "services 2.1: nor has a name elsewhere",
                "spec: {externalName: a.test, ports: [{port: 1}]}",
                &["P0308 spec.externalName: is ignored when `type` is not 'ExternalName'"],
            ),
        ],
    );
}

#[test]
fn external_ips_and_short_forms_hold_usable_addresses() {
    const SHORT: &str = "P0306 metadata.annotations[portico.dev/endpoints]: ";
    hold(
        "v1",
        "Service",
        &[
            (
                "services 2.1: external addresses",
                "spec: {externalIPs: [10.0.0.1], ports: [{port: 1}]}",
                &[],
            ),
            (
                "services 3: an address",
                "spec: {externalIPs: [a.test], ports: [{port: 1}]}",
                &[
                    "P0206 spec.externalIPs[0]: invalid value: \"a.test\": must be a valid IP address",
                ],
            ),
            (
                "services 3: not unspecified",
                "spec: {externalIPs: [0.0.0.0], ports: [{port: 1}]}",
                &["P0216 spec.externalIPs[0]: invalid value: \"0.0.0.0\": may not be unspecified"],
            ),
            (
                "services 3: not loopback",
                "spec: {externalIPs: [127.0.0.1, \"::1\"], ports: [{port: 1}]}",
                &[
                    "P0216 spec.externalIPs[0]: invalid value: \"127.0.0.1\": may not be in the loopback \
             range (127.0.0.0/8, ::1/128)",
                    "P0216 spec.externalIPs[1]",
                ],
            ),
            (
                "services 3: not link-local",
                "spec: {externalIPs: [169.254.1.1, \"fe80::1\"], ports: [{port: 1}]}",
                &[
                    "P0216 spec.externalIPs[0]: invalid value: \"169.254.1.1\": may not be in the link-local \
             range (169.254.0.0/16, fe80::/10)",
                    "P0216 spec.externalIPs[1]",
                ],
            ),
            (
                "services 3: not multicast",
                "spec: {externalIPs: [224.0.0.1], ports: [{port: 1}]}",
                &[
                    "P0216 spec.externalIPs[0]: invalid value: \"224.0.0.1\": may not be in the link-local \
             multicast range (224.0.0.0/24, ff02::/10)",
                ],
            ),
            (
                "design 4: the short form",
                "metadata: {name: a, annotations: {portico.dev/endpoints: \"127.0.0.1:1, 1=[::1]:2\"}}\n\
             spec: {ports: [{port: 1}]}",
                &[],
            ),
            (
                "design 4: what it cannot hold",
                "metadata: {name: a, annotations: {portico.dev/endpoints: \"0.0.0.0:1, a:1, 1.2.3.4:0, \
             x=1.2.3.4:5\"}}\nspec: {ports: [{port: 1}]}",
                &[SHORT, SHORT, SHORT, SHORT],
            ),
        ],
    );
}
