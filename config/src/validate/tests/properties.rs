//! Whatever an API object holds, checking it ends, and ends without a panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::api::meta::ObjectMeta;
use crate::api::{IntOrString, Object, core_v1, discovery_v1, networking_v1};
use crate::location::{Mark, Origin};
use crate::model::Sealed;
use crate::validate::{InUse, Kind, validate};

/// Hands out texts and numbers, and begins anew at the end.
struct Source {
    texts: Vec<String>,
    numbers: Vec<i64>,
    at: usize,
}

impl Source {
    fn text(&mut self) -> String {
        self.at += 1;
        self.texts[self.at % self.texts.len()].clone()
    }

    fn number(&mut self) -> i64 {
        self.at += 1;
        self.numbers[self.at % self.numbers.len()]
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.number() % 3 != 0).then(|| make(self))
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.number().rem_euclid(4))
            .map(|_| make(self))
            .collect()
    }

    fn map(&mut self) -> BTreeMap<String, String> {
        self.list(|s| (s.text(), s.text())).into_iter().collect()
    }

    fn metadata(&mut self) -> ObjectMeta {
        ObjectMeta {
            name: self.text(),
            namespace: self.maybe(Self::text),
            labels: self.map(),
            annotations: self.map(),
            creation_timestamp: self.maybe(Self::text),
            deletion_timestamp: self.maybe(Self::text),
            resource_version: self.maybe(Self::text),
            generation: self.maybe(Self::number),
            ..ObjectMeta::default()
        }
    }

    fn service(&mut self) -> core_v1::Service {
        let mut service = core_v1::Service { metadata: self.metadata(), ..Default::default() };
        let spec = &mut service.spec;
        spec.type_ = self.maybe(Self::text);
        spec.cluster_ip = self.maybe(Self::text);
        spec.cluster_ips = self.list(Self::text);
        spec.ip_families = self.list(Self::text);
        spec.ip_family_policy = self.maybe(Self::text);
        spec.selector = self.map();
        spec.session_affinity = self.maybe(Self::text);
        spec.external_ips = self.list(Self::text);
        spec.external_name = self.maybe(Self::text);
        spec.external_traffic_policy = self.maybe(Self::text);
        spec.internal_traffic_policy = self.maybe(Self::text);
        spec.health_check_node_port = self.maybe(Self::number);
        spec.load_balancer_ip = self.maybe(Self::text);
        spec.load_balancer_class = self.maybe(Self::text);
        spec.load_balancer_source_ranges = self.list(Self::text);
        spec.allocate_load_balancer_node_ports = self.maybe(|s| s.number() > 0);
        spec.traffic_distribution = self.maybe(Self::text);
        spec.session_affinity_config = self.maybe(|s| core_v1::SessionAffinityConfig {
            client_ip: s
                .maybe(|s| core_v1::ClientIpConfig { timeout_seconds: s.maybe(Self::number) }),
        });
        spec.ports = self.list(|s| core_v1::ServicePort {
            name: s.maybe(Self::text),
            protocol: s.maybe(Self::text),
            port: s.maybe(Self::number),
            target_port: s.maybe(|s| match s.number() % 2 {
                0 => IntOrString::Int(s.number()),
                _ => IntOrString::String(s.text().into()),
            }),
            node_port: s.maybe(Self::number),
            app_protocol: s.maybe(Self::text),
        });
        service.status.load_balancer.ingress = self.list(|s| core_v1::LoadBalancerIngress {
            ip: s.maybe(Self::text),
            ip_mode: s.maybe(Self::text),
            hostname: s.maybe(Self::text),
        });
        service
    }

    fn endpoint_ports(&mut self) -> Vec<core_v1::EndpointPort> {
        self.list(|s| core_v1::EndpointPort {
            name: s.maybe(Self::text),
            port: s.maybe(Self::number),
            protocol: s.maybe(Self::text),
            app_protocol: s.maybe(Self::text),
        })
    }

    fn slice(&mut self) -> discovery_v1::EndpointSlice {
        let hint = |s: &mut Self| discovery_v1::NamedHint { name: s.text() };
        discovery_v1::EndpointSlice {
            metadata: self.metadata(),
            address_type: self.maybe(Self::text),
            endpoints: self.list(|s| discovery_v1::Endpoint {
                addresses: s.list(Self::text),
                hostname: s.maybe(Self::text),
                node_name: s.maybe(Self::text),
                zone: s.maybe(Self::text),
                hints: s.maybe(|s| discovery_v1::EndpointHints {
                    for_zones: s.list(hint),
                    for_nodes: s.list(hint),
                }),
                ..Default::default()
            }),
            ports: self.endpoint_ports(),
        }
    }

    fn endpoints(&mut self) -> core_v1::Endpoints {
        let address = |s: &mut Self| core_v1::EndpointAddress {
            ip: s.text(),
            hostname: s.maybe(Self::text),
            node_name: s.maybe(Self::text),
            ..Default::default()
        };
        core_v1::Endpoints {
            metadata: self.metadata(),
            subsets: self.list(|s| core_v1::EndpointSubset {
                addresses: s.list(address),
                not_ready_addresses: s.list(address),
                ports: s.endpoint_ports(),
            }),
        }
    }

    fn backend(&mut self) -> networking_v1::IngressBackend {
        networking_v1::IngressBackend {
            service: self.maybe(|s| networking_v1::IngressServiceBackend {
                name: s.text(),
                port: s.maybe(|s| networking_v1::ServiceBackendPort {
                    name: s.maybe(Self::text),
                    number: s.maybe(Self::number),
                }),
            }),
            resource: self.maybe(|s| networking_v1::TypedLocalObjectReference {
                api_group: s.maybe(Self::text),
                kind: s.maybe(Self::text),
                name: s.maybe(Self::text),
            }),
        }
    }

    fn ingress(&mut self) -> networking_v1::Ingress {
        let mut ingress =
            networking_v1::Ingress { metadata: self.metadata(), ..Default::default() };
        let spec = &mut ingress.spec;
        spec.ingress_class_name = self.maybe(Self::text);
        spec.default_backend = self.maybe(Self::backend);
        spec.tls = self.list(|s| networking_v1::IngressTls {
            hosts: s.list(Self::text),
            secret_name: s.maybe(Self::text),
        });
        spec.rules = self.list(|s| networking_v1::IngressRule {
            host: s.maybe(Self::text),
            http: s.maybe(|s| networking_v1::HttpIngressRuleValue {
                paths: s.list(|s| networking_v1::HttpIngressPath {
                    path: s.maybe(Self::text),
                    path_type: s.maybe(Self::text),
                    backend: s.backend(),
                }),
            }),
        });
        ingress
    }

    fn pod(&mut self) -> core_v1::Pod {
        let mut pod = core_v1::Pod { metadata: self.metadata(), ..Default::default() };
        pod.spec.node_name = self.maybe(Self::text);
        pod.spec.hostname = self.maybe(Self::text);
        pod.spec.subdomain = self.maybe(Self::text);
        pod.status.pod_ip = self.maybe(Self::text);
        pod.status.pod_ips = self.list(|s| core_v1::PodIp { ip: s.text() });
        pod.spec.containers = self.list(|s| core_v1::Container {
            ports: s.list(|s| core_v1::ContainerPort {
                name: s.maybe(Self::text),
                container_port: s.maybe(Self::number),
                host_port: s.maybe(Self::number),
                protocol: s.maybe(Self::text),
            }),
            ..Default::default()
        });
        pod
    }

    fn node(&mut self) -> core_v1::Node {
        let mut node = core_v1::Node { metadata: self.metadata(), ..Default::default() };
        node.spec.pod_cidr = self.maybe(Self::text);
        node.spec.pod_cidrs = self.list(Self::text);
        node.spec.taints = self.list(|s| core_v1::Taint {
            key: s.text(),
            value: s.maybe(Self::text),
            effect: s.maybe(Self::text),
        });
        node.status.addresses =
            self.list(|s| core_v1::NodeAddress { type_: s.text(), address: s.text() });
        node
    }

    fn secret(&mut self) -> core_v1::Secret {
        let metadata = core_v1::SecretMeta(self.metadata());
        let mut secret = core_v1::Secret { metadata, ..Default::default() };
        secret.type_ = self.maybe(Self::text);
        let sealed = |map: BTreeMap<String, String>| {
            map.into_iter()
                .map(|(key, text)| (key, Sealed::new(text)))
                .collect()
        };
        secret.data = sealed(self.map());
        secret.string_data = sealed(self.map());
        for key in ["tls.crt", "tls.key"] {
            secret
                .string_data
                .insert(key.to_owned(), Sealed::new(self.text()));
        }
        secret
    }

    fn class(&mut self) -> networking_v1::IngressClass {
        let mut class =
            networking_v1::IngressClass { metadata: self.metadata(), ..Default::default() };
        class.spec.controller = self.maybe(Self::text);
        class.spec.parameters = self.maybe(|s| networking_v1::IngressClassParameters {
            api_group: s.maybe(Self::text),
            kind: s.maybe(Self::text),
            name: s.maybe(Self::text),
            scope: s.maybe(Self::text),
            namespace: s.maybe(Self::text),
        });
        class
    }
}

/// Words with a meaning somewhere, and any text.
fn text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "",
        "a",
        "None",
        "ClusterIP",
        "NodePort",
        "LoadBalancer",
        "ExternalName",
        "ClientIP",
        "Local",
        "TCP",
        "UDP",
        "IPv4",
        "IPv6",
        "FQDN",
        "Exact",
        "Prefix",
        "10.0.0.1",
        "010.0.0.1",
        "::1",
        "::ffff:1.2.3.4",
        "0.0.0.0",
        "10.0.0.0/8",
        "::/0",
        "::ffff:0:0/95",
        "*",
        "*.a",
        "/",
        "/a//",
        "a.test",
        "A",
        "kubernetes.io/tls",
        "VIP",
        "InternalIP",
        "PreferDualStack",
        "[::1]",
        "a://b:1/",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "2026-01-01T00:00:00Z",
        "-9999-12-31T23:59:59-23:59",
        "portico.dev/endpoints",
        "1=127.0.0.1:1,",
    ]);
    prop_oneof![3 => words.prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_object_makes_validation_panic(
        texts in prop::collection::vec(text(), 1..60),
        numbers in prop::collection::vec(prop_oneof![any::<i64>(), -1..4_i64, 29_999..32_769_i64], 1..40),
    ) {
        let mut source = Source { texts, numbers, at: 0 };
        let origin = Origin {
            file: Arc::new("f.yaml".into()),
            content: b"a: 1\n"[..].into(),
            start: Mark::new(0, 1, 1),
            end: 5,
            index: 0,
        };
        for object in [
            Object::Service(Box::new(source.service())),
            Object::EndpointSlice(source.slice()),
            Object::Endpoints(source.endpoints()),
            Object::Ingress(source.ingress()),
            Object::IngressClass(source.class()),
            Object::Pod(source.pod()),
            Object::Node(source.node()),
            Object::Secret(source.secret()),
        ] {
            let (valid, found) = validate(&object, &origin);
            // The same object is judged alike, and a refusal has a reason.
            prop_assert_eq!(validate(&object, &origin), (valid.clone(), found.clone()));
            prop_assert!(valid.is_some() || !found.is_empty());
            let Some(valid) = valid.map(Arc::new) else { continue };
            if let Kind::Secret(secret) = &valid.kind {
                let (object, valid) = (object.reference(), Arc::clone(&valid));
                let (read, found) = secret.read(&InUse { object, origin: origin.clone(), valid });
                prop_assert!(read.is_some() || !found.is_empty());
            }
        }
    }
}
