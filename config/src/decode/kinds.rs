//! Which kinds there are: used, written wrongly, or left to others.

use serde::de::DeserializeOwned;

use super::known_fields::distance;
use super::tree::Node;
use super::typed::{self, Findings};
use crate::api::{Object, core_v1, discovery_v1, networking_v1};
use crate::diagnostic::Code;

/// Reads an object of one kind; `is_known` knows fields that its type does not hold.
pub(super) type Read =
    fn(&Node<'_>, is_known: &dyn Fn(&[&str]) -> bool) -> (Option<Object>, Findings);

/// What a type name means to portico.
pub(super) enum Meaning {
    /// A kind that is used, with its reader.
    Used(Read),
    /// A list whose items are objects.
    List,
    /// A mistake: its code, what is wrong in which field, and what to write.
    Wrong { code: Code, field: &'static str, message: String, help: String },
    /// A kind that portico does not use.
    Unused,
}

/// A kind that is used: its name, its only version, its reader.
const USED: &[(&str, &str, Read)] = &[
    ("Service", "v1", |node, known| {
        read(node, known, |service| Object::Service(Box::new(service)))
    }),
    ("Endpoints", "v1", |node, known| read(node, known, Object::Endpoints)),
    ("Pod", "v1", |node, known| read::<core_v1::Pod>(node, known, Object::Pod)),
    ("Node", "v1", |node, known| read(node, known, Object::Node)),
    ("Namespace", "v1", |node, known| read(node, known, Object::Namespace)),
    ("Secret", "v1", |node, known| read(node, known, Object::Secret)),
    ("ConfigMap", "v1", |node, known| read(node, known, Object::ConfigMap)),
    ("EndpointSlice", "discovery.k8s.io/v1", |node, known| {
        read::<discovery_v1::EndpointSlice>(node, known, Object::EndpointSlice)
    }),
    ("Ingress", "networking.k8s.io/v1", |node, known| {
        read::<networking_v1::Ingress>(node, known, Object::Ingress)
    }),
    ("IngressClass", "networking.k8s.io/v1", |node, known| read(node, known, Object::IngressClass)),
];

/// Kinds beside the used ones in their groups: no slip of the fingers.
const BESIDE: &[&str] = &[
    "Binding",
    "ComponentStatus",
    "Event",
    "LimitRange",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodTemplate",
    "ReplicationController",
    "ResourceQuota",
    "ServiceAccount",
    "NetworkPolicy",
    "IPAddress",
    "ServiceCIDR",
];

fn read<T: DeserializeOwned>(
    node: &Node<'_>,
    is_known: &dyn Fn(&[&str]) -> bool,
    wrap: fn(T) -> Object,
) -> (Option<Object>, Findings) {
    let (object, findings) = typed::read(node, is_known);
    (object.map(wrap), findings)
}

/// What `apiVersion` and `kind` name.
pub(super) fn meaning(api_version: &str, kind: &str) -> Meaning {
    let same_kind = USED.iter().find(|(name, ..)| *name == kind);
    if let Some((_, version, read)) = same_kind {
        return match *version == api_version {
            true => Meaning::Used(*read),
            false => other_version(api_version, kind, version),
        };
    }
    if kind == "List" || (kind.ends_with("List") && is_built_in(api_version)) {
        return Meaning::List;
    }
    if !of_a_used_group(api_version) || BESIDE.contains(&kind) {
        return Meaning::Unused;
    }
    let nearest = USED
        .iter()
        .map(|(name, version, _)| (slip(kind, name), *name, *version))
        .filter(|(slip, name, _)| *slip <= name.len() / 4)
        .min();
    match nearest {
        Some((_, name, version)) => Meaning::Wrong {
            code: Code::UnknownType,
            field: "kind",
            message: format!("there is no kind {kind} in {api_version}"),
            help: format!("write kind: {name} and apiVersion: {version}"),
        },
        None => Meaning::Unused,
    }
}

/// The only version of a kind that is used, by its name.
pub(super) fn version_of(kind: &str) -> Option<&'static str> {
    USED.iter()
        .find(|(name, ..)| *name == kind)
        .map(|(_, version, _)| *version)
}

/// A used kind under another version or group.
fn other_version(api_version: &str, kind: &str, version: &str) -> Meaning {
    let help = match (kind, api_version) {
        ("Ingress", "extensions/v1beta1" | "networking.k8s.io/v1beta1") => format!(
            "write apiVersion: {version}; there serviceName and servicePort are service.name and \
             service.port.number or service.port.name, spec.backend is spec.defaultBackend, and \
             every path has a pathType"
        ),
        _ => format!("write apiVersion: {version}"),
    };
    let field = "apiVersion";
    if OLD.contains(&(kind, api_version)) {
        let message = format!("{api_version} is not served any more");
        return Meaning::Wrong { code: Code::OldVersion, field, message, help };
    }
    let is_slip = distance(api_version, version) <= 2 && !api_version.is_empty();
    if is_slip || is_built_in(api_version) {
        let message = format!("there is no {kind} in {api_version}");
        return Meaning::Wrong { code: Code::UnknownType, field, message, help };
    }
    // `serving.knative.dev/v1 Service`, `config.openshift.io/v1 Ingress`: kinds of somebody else.
    Meaning::Unused
}

/// Versions that API servers served once.
const OLD: &[(&str, &str)] = &[
    ("Ingress", "extensions/v1beta1"),
    ("Ingress", "networking.k8s.io/v1beta1"),
    ("IngressClass", "networking.k8s.io/v1beta1"),
    ("EndpointSlice", "discovery.k8s.io/v1alpha1"),
    ("EndpointSlice", "discovery.k8s.io/v1beta1"),
];

/// Whether a version belongs to Kubernetes itself: a group without a dot, or one of `k8s.io`.
fn is_built_in(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    !group.contains('.') || group.ends_with(".k8s.io")
}

fn of_a_used_group(api_version: &str) -> bool {
    matches!(
        api_version.split_once('/').map_or("", |(group, _)| group),
        "" | "core" | "networking.k8s.io" | "discovery.k8s.io" | "extensions"
    )
}

/// How far a kind is from a name: case and a plural count nothing.
fn slip(kind: &str, name: &str) -> usize {
    let (kind, name) = (kind.to_ascii_lowercase(), name.to_ascii_lowercase());
    let plural = ["s", "es"]
        .iter()
        .any(|end| kind.strip_suffix(end) == Some(&*name));
    if plural { 0 } else { distance(&kind, &name) }
}

#[cfg(test)]
mod tests {
    use super::{Meaning, meaning};

    const TYPE_NAMES: &[(&str, &str, &str)] = &[
        ("v1", "Service", "used"),
        ("networking.k8s.io/v1", "Ingress", "used"),
        ("v1", "List", "list"),
        ("v1", "ServiceList", "list"),
        ("networking.k8s.io/v1", "IngressList", "list"),
        ("apps/v1", "Deployment", "unused"),
        ("v1", "PersistentVolumeClaim", "unused"),
        ("v1", "ServiceAccount", "unused"),
        ("networking.k8s.io/v1", "NetworkPolicy", "unused"),
        ("serving.knative.dev/v1", "Service", "unused"),
        ("config.openshift.io/v1", "Ingress", "unused"),
        ("example.com/v1", "AllowList", "unused"),
        ("example.com/v1", "Servce", "unused"),
        (
            "extensions/v1beta1",
            "Ingress",
            "P0107 apiVersion: extensions/v1beta1 is not served any more",
        ),
        (
            "networking.k8s.io/v1beta1",
            "IngressClass",
            "P0107 apiVersion: networking.k8s.io/v1beta1 is not",
        ),
        (
            "discovery.k8s.io/v1beta1",
            "EndpointSlice",
            "P0107 apiVersion: discovery.k8s.io/v1beta1 is not",
        ),
        (
            "v1",
            "Ingress",
            "P0119 apiVersion: there is no Ingress in v1; write apiVersion: networking.k8s.io/v1",
        ),
        (
            "apps/v1",
            "Service",
            "P0119 apiVersion: there is no Service in apps/v1; write apiVersion: v1",
        ),
        ("v2", "Service", "P0119 apiVersion: there is no Service in v2; write apiVersion: v1"),
        (
            "networking.k8s.o/v1",
            "Ingress",
            "P0119 apiVersion: there is no Ingress in networking.k8s.o/v1",
        ),
        (
            "v1",
            "service",
            "P0119 kind: there is no kind service in v1; write kind: Service and apiVersion: v1",
        ),
        ("v1", "Services", "P0119 kind: there is no kind Services in v1; write kind: Service"),
        ("v1", "Endpoint", "P0119 kind: there is no kind Endpoint in v1; write kind: Endpoints"),
        ("networking.k8s.io/v1", "Ingresses", "P0119 kind: there is no kind Ingresses"),
        (
            "networking.k8s.io/v1",
            "Igress",
            "P0119 kind: there is no kind Igress in networking.k8s.io/v1",
        ),
        (
            "v1",
            "EndpointSlices",
            "P0119 kind: there is no kind EndpointSlices in v1; write kind: EndpointSlice and apiVersion: discovery.k8s.io/v1",
        ),
    ];

    #[test]
    fn type_names_mean_what_they_say() {
        for &(api_version, kind, want) in TYPE_NAMES {
            let found = match meaning(api_version, kind) {
                Meaning::Used(_) => "used".to_owned(),
                Meaning::List => "list".to_owned(),
                Meaning::Unused => "unused".to_owned(),
                Meaning::Wrong { code, field, message, help } => {
                    format!("{code} {field}: {message}; {help}")
                }
            };
            assert!(found.starts_with(want), "{api_version} {kind}: {found}");
        }
    }
}
