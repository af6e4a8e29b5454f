//! Ingress and IngressClass (`ingress 1.1`, `ingress 1.7`).

use super::{Kind, good, hold};

const API: &str = "networking.k8s.io/v1";

/// An Ingress with one rule of this host and path, or other parts in its place.
macro_rules! rule {
    ($host:literal) => {
        concat!("spec: {rules: [{host: ", $host, "}]}")
    };
    (path $path:literal) => {
        concat!(
            "spec: {rules: [{http: {paths: [{",
            $path,
            ", backend: {service: {name: a, port: {number: 80}}}}]}}]}"
        )
    };
    (backend $backend:literal) => {
        concat!("spec: {defaultBackend: {", $backend, "}}")
    };
}

#[test]
fn hosts_follow_ingress_1_1() {
    hold(
        API,
        "Ingress",
        &[
            (
                "ingress 1.1: rules or a default",
                "spec: {}",
                &["P0501 spec: either `defaultBackend` or `rules` must be specified"],
            ),
            ("ingress 1.1: a host", rule!("a.test"), &[]),
            ("ingress 1.1: one label", rule!("mi-web"), &[]),
            ("ingress 1.1: every host", rule!("\"\""), &[]),
            ("ingress 1.1: a wildcard", rule!("\"*.a.test\""), &[]),
            (
                "ingress 1.1: not a star alone",
                rule!("\"*\""),
                &[
                    "P0502 spec.rules[0].host: invalid value: \"*\": a wildcard DNS-1123 subdomain must start \
             with '*.', followed by a valid DNS subdomain, which must consist of lower case \
             alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. \
             '*.example.com') (leave `host` out",
                ],
            ),
            (
                "ingress 1.1: not in the middle",
                rule!("\"a.*.test\""),
                &["P0502 spec.rules[0].host"],
            ),
            (
                "ingress 1.1: not part of a label",
                rule!("\"*a.test\""),
                &["P0502 spec.rules[0].host"],
            ),
            (
                "ingress 1.1: lower case",
                rule!("A.test"),
                &[
                    "P0502 spec.rules[0].host: invalid value: \"A.test\": a lowercase RFC 1123 subdomain must",
                ],
            ),
            (
                "ingress 1.1: no address",
                rule!("10.0.0.1"),
                &[
                    "P0502 spec.rules[0].host: invalid value: \"10.0.0.1\": must be a DNS name, not an IP \
             address",
                ],
            ),
            (
                "ingress 1.1: no IPv6 address",
                rule!("\"[::1]\""),
                &[
                    "P0502 spec.rules[0].host: invalid value: \"[::1]\": must be a DNS name, not an IP address",
                ],
            ),
            (
                "ingress 1.1: no address with zeros",
                rule!("010.0.0.1"),
                &["P0502 spec.rules[0].host"],
            ),
            ("ingress 1.1: no port", rule!("\"a.test:80\""), &["P0502 spec.rules[0].host"]),
            ("ingress 1.1: no scheme", rule!("\"http://a.test/\""), &["P0502 spec.rules[0].host"]),
            ("ingress 1.1: no dot at the end", rule!("a.test."), &["P0502 spec.rules[0].host"]),
            ("ingress 1.1: no underscore", rule!("a_b.test"), &["P0502 spec.rules[0].host"]),
            ("ingress 1.1: no empty label", rule!("a..test"), &["P0502 spec.rules[0].host"]),
        ],
    );
    let (_, found) = super::read(API, "Ingress", rule!("\"http://A.test:80/x\""));
    assert!(
        found[0].ends_with("(write a.test: a host has neither capitals, scheme, port nor path)")
    );
}

#[test]
fn paths_follow_ingress_1_1() {
    hold(
        API,
        "Ingress",
        &[
            ("ingress 1.1: prefix", rule!(path "path: /a, pathType: Prefix"), &[]),
            ("ingress 1.1: exact", rule!(path "path: /a/, pathType: Exact"), &[]),
            ("ingress 1.1: our own", rule!(path "path: /a, pathType: ImplementationSpecific"), &[]),
            (
                "ingress 1.1: which may be empty",
                rule!(path "pathType: ImplementationSpecific"),
                &[],
            ),
            (
                "ingress 1.1: http has paths",
                "spec: {rules: [{http: {paths: []}}]}",
                &["P0203 spec.rules[0].http.paths: required value"],
            ),
            (
                "ingress 1.1: pathType is required",
                rule!(path "path: /a"),
                &["P0203 spec.rules[0].http.paths[0].pathType: pathType must be specified"],
            ),
            (
                "ingress 1.1: and a word",
                rule!(path "path: /a, pathType: prefix"),
                &[
                    "P0204 spec.rules[0].http.paths[0].pathType: unsupported value: \"prefix\": supported \
             values: \"Exact\", \"ImplementationSpecific\", \"Prefix\" (did you mean \"Prefix\"?)",
                ],
            ),
            (
                "ingress 1.1: absolute",
                rule!(path "path: a, pathType: Prefix"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"a\": must be an absolute path \
             (write /a)",
                ],
            ),
            (
                "ingress 1.1: not empty",
                rule!(path "pathType: Exact"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"\": must be an absolute path",
                ],
            ),
            (
                "ingress 1.1: absolute",
                rule!(path "path: a, pathType: ImplementationSpecific"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"a\": must be an absolute path",
                ],
            ),
            (
                "ingress 1.1: //",
                rule!(path "path: /a//b, pathType: Prefix"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"/a//b\": must not contain '//'",
                ],
            ),
            (
                "ingress 1.1: /./",
                rule!(path "path: /a/./b, pathType: Prefix"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"/a/./b\": must not contain '/./'",
                ],
            ),
            (
                "ingress 1.1: /../",
                rule!(path "path: /a/../b, pathType: Exact"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"/a/../b\": must not contain '/../'",
                ],
            ),
            (
                "ingress 1.1: %2f",
                rule!(path "path: /a%2fb, pathType: Prefix"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"/a%2fb\": must not contain '%2f'",
                ],
            ),
            (
                "ingress 1.1: %2F",
                rule!(path "path: /a%2Fb, pathType: Prefix"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"/a%2Fb\": must not contain '%2F'",
                ],
            ),
            (
                "ingress 1.1: /.",
                rule!(path "path: /a/., pathType: Prefix"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"/a/.\": cannot end with '/.'",
                ],
            ),
            (
                "ingress 1.1: /..",
                rule!(path "path: /a/.., pathType: Prefix"),
                &[
                    "P0503 spec.rules[0].http.paths[0].path: invalid value: \"/a/..\": cannot end with '/..'",
                ],
            ),
            (
                "ingress 1.1: any of these",
                rule!(path "path: /a//b, pathType: ImplementationSpecific"),
                &[],
            ),
            (
                "ingress 1.3: no pattern",
                rule!(path "path: \"/a/*\", pathType: Prefix"),
                &["P0508 spec.rules[0].http.paths[0].path: \"/a/*\" is compared letter by letter"],
            ),
            (
                "ingress 1.3: no regex",
                rule!(path "path: \"/a(/|$)(.*)\", pathType: Exact"),
                &["P0508 spec.rules[0].http.paths[0].path"],
            ),
            (
                "ingress 1.3: here it may be",
                rule!(path "path: \"/a(.*)\", pathType: ImplementationSpecific"),
                &[],
            ),
        ],
    );
}

#[test]
fn backends_follow_ingress_1_1() {
    hold(
        API,
        "Ingress",
        &[
            (
                "ingress 1.1: by number",
                rule!(backend "service: {name: a, port: {number: 80}}"),
                &[],
            ),
            ("ingress 1.1: by name", rule!(backend "service: {name: a, port: {name: http}}"), &[]),
            (
                "ingress 1.1: relaxed names",
                rule!(backend "service: {name: 0a, port: {name: http}}"),
                &[],
            ),
            (
                "ingress 1.1: a name",
                rule!(backend "service: {port: {number: 80}}"),
                &["P0203 spec.defaultBackend.service.name: required value"],
            ),
            (
                "ingress 1.1: a Service's name",
                rule!(backend "service: {name: a.b, port: {number: 80}}"),
                &["P0201 spec.defaultBackend.service.name: invalid value: \"a.b\""],
            ),
            (
                "ingress 1.1: a port",
                rule!(backend "service: {name: a}"),
                &["P0203 spec.defaultBackend: port name or number is required"],
            ),
            (
                "ingress 1.1: one",
                rule!(backend "service: {name: a, port: {name: b, number: 80}}"),
                &["P0504 spec.defaultBackend: cannot set both port name & port number"],
            ),
            (
                "ingress 1.1: a number",
                rule!(backend "service: {name: a, port: {number: 70000}}"),
                &[
                    "P0207 spec.defaultBackend.service.port.number: invalid value: 70000: must be between 1",
                ],
            ),
            (
                "ingress 1.1: a port's name",
                rule!(backend "service: {name: a, port: {name: HTTP}}"),
                &[
                    "P0201 spec.defaultBackend.service.port.name: invalid value: \"HTTP\": must contain only",
                ],
            ),
            (
                "ingress 1.1: something",
                "spec: {defaultBackend: {}}",
                &["P0504 spec.defaultBackend: resource or service backend is required"],
            ),
            ("ingress 1.1: a resource", rule!(backend "resource: {kind: Bucket, name: b}"), &[]),
            (
                "ingress 1.1: which one",
                rule!(backend "resource: {apiGroup: A_}"),
                &[
                    "P0201 spec.defaultBackend.resource.apiGroup: invalid value: \"A_\"",
                    "P0203 spec.defaultBackend.resource.kind: required value",
                    "P0203 spec.defaultBackend.resource.name: required value",
                ],
            ),
            (
                "ingress 1.1: not both",
                rule!(backend "service: {name: a, port: {number: 80}}, resource: {kind: B, name: b}"),
                &["P0504 spec.defaultBackend: cannot set both resource and service backends"],
            ),
        ],
    );
}

#[test]
fn tls_and_class_follow_ingress_1_1_and_1_7() {
    hold(
        API,
        "Ingress",
        &[
            (
                "ingress 1.1: tls",
                "spec: {rules: [{host: a.test}], tls: [{hosts: [a.test, \"*.b.test\"], secretName: a.tls}, {}]}",
                &[],
            ),
            (
                "ingress 1.1: its hosts",
                "spec: {rules: [{}], tls: [{hosts: [A.test, \"*\", \"\"]}]}",
                &[
                    "P0203 spec.tls[0].hosts[2]: required value",
                    "P0502 spec.tls[0].hosts[0]: invalid value: \"A.test\"",
                    "P0502 spec.tls[0].hosts[1]: invalid value: \"*\"",
                ],
            ),
            (
                "ingress 1.1: its Secret",
                "spec: {rules: [{}], tls: [{secretName: other/tls}]}",
                &["P0201 spec.tls[0].secretName: invalid value: \"other/tls\""],
            ),
            (
                "ingress 1.6: one Secret a host",
                "spec: {rules: [{}], tls: [{hosts: [a.test], secretName: a}, {hosts: [a.test], secretName: b}]}",
                &["P0507 spec.tls[1].hosts[0]: \"a.test\" stands in spec.tls[0] too"],
            ),
            (
                "ingress 1.6: which may be the same",
                "spec: {rules: [{}], tls: [{hosts: [a.test], secretName: a}, {hosts: [a.test], secretName: a}]}",
                &[],
            ),
            ("ingress 1.1: class", "spec: {rules: [{}], ingressClassName: a.b}", &[]),
            (
                "ingress 1.1: its name",
                "spec: {rules: [{}], ingressClassName: A}",
                &["P0201 spec.ingressClassName: invalid value: \"A\""],
            ),
            (
                "ingress 1.7.1: both and different",
                "metadata: {name: a, annotations: {kubernetes.io/ingress.class: b}}\nspec: {rules: [{}], \
             ingressClassName: a}",
                &[
                    "P0506 metadata.annotations[kubernetes.io/ingress.class]: invalid value: \"b\": must match \
               `ingressClassName` when both are specified",
                ],
            ),
            (
                "ingress 1.7.1: both the same",
                "metadata: {name: a, annotations: {kubernetes.io/ingress.class: a}}\nspec: {rules: [{}], \
             ingressClassName: a}",
                &[],
            ),
        ],
    );
    let both =
        "metadata: {name: a, annotations: {kubernetes.io/ingress.class: a}}\nspec: {rules: [{}]}";
    let Kind::Ingress(ingress) = good(API, "Ingress", both) else { panic!("no Ingress") };
    assert_eq!(ingress.class.as_deref(), Some("a"));
    let differ = both.replace("spec: {", "spec: {ingressClassName: b, ");
    let Kind::Ingress(ingress) = good(API, "Ingress", &differ) else { panic!("no Ingress") };
    assert_eq!(ingress.class.as_deref(), Some("b"), "ingress 1.7: the field wins");
    let nothing = "spec: {rules: [{http: {paths: [{pathType: ImplementationSpecific, backend: {service: \
                   {name: a, port: {number: 80}}}}]}}]}";
    let Kind::Ingress(ingress) = good(API, "Ingress", nothing) else { panic!("no Ingress") };
    let path = &ingress.rules[0].paths.as_ref().unwrap()[0].path;
    assert_eq!(&**path, "/", "ingress 1.1: an empty path is `/`");
}

#[test]
fn classes_follow_ingress_1_1() {
    hold(
        API,
        "IngressClass",
        &[
            ("ingress 1.1: controller", "spec: {controller: portico.dev/ingress}", &[]),
            ("ingress 1.1: it is required", "spec: {}", &["P0203 spec.controller: required value"]),
            (
                "ingress 1.1: a domain and a path",
                "spec: {controller: nginx}",
                &[
                    "P0505 spec.controller: invalid value: \"nginx\": must be a domain-prefixed path (such as \
             \"acme.io/foo\")",
                ],
            ),
            ("ingress 1.1: of a domain", "spec: {controller: A_/b}", &["P0505 spec.controller"]),
            ("ingress 1.1: with a path", "spec: {controller: a.io/}", &["P0505 spec.controller"]),
            (
                "ingress 1.1: parameters",
                "spec: {controller: a.io/b, parameters: {kind: K, name: x, scope: Namespace, namespace: x}}",
                &["P0510 spec.parameters: parameters have no effect"],
            ),
            (
                "ingress 1.1: kind and name",
                "spec: {controller: a.io/b, parameters: {}}",
                &[
                    "P0203 spec.parameters.kind: required value",
                    "P0203 spec.parameters.name: required value",
                    "P0510 spec.parameters",
                ],
            ),
            (
                "ingress 1.1: scope",
                "spec: {controller: a.io/b, parameters: {kind: K, name: x, scope: cluster}}",
                &[
                    "P0204 spec.parameters.scope: unsupported value: \"cluster\"",
                    "P0510 spec.parameters",
                ],
            ),
            (
                "ingress 1.1: Namespace wants one",
                "spec: {controller: a.io/b, parameters: {kind: K, name: x, scope: Namespace}}",
                &["P0203 spec.parameters.namespace: `parameters.scope`", "P0510 spec.parameters"],
            ),
            (
                "ingress 1.1: Cluster has none",
                "spec: {controller: a.io/b, parameters: {kind: K, name: x, namespace: x}}",
                &["P0509 spec.parameters.namespace: `parameters.scope`", "P0510 spec.parameters"],
            ),
        ],
    );
    let long = format!("spec: {{controller: a.io/{}}}", "x".repeat(246));
    let (valid, found) = super::read(API, "IngressClass", &long);
    assert!(
        valid.is_none()
            && found == ["P0212 spec.controller: too long: may not be more than 250 bytes"]
    );
}
