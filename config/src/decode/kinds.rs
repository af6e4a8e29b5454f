//! Which kinds there are: used, known under an older version, or left to others.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{Object, discovery_v1, networking_v1};
use crate::location::FieldPath;

/// What a type name means to portico.
pub(super) enum Meaning {
    /// A kind that is used, with its reader.
    Used(fn(Value) -> Result<Read, Fault>),
    /// A used kind under a version that is not read any more; holds the one to write.
    OldVersion(&'static str),
    /// A list whose items are objects.
    List,
    /// A kind that portico does not use.
    Unused,
}

/// A decoded object and the paths of fields that its type does not hold.
pub(super) struct Read {
    pub(super) object: Object,
    pub(super) ignored: Vec<FieldPath>,
}

/// A value of the wrong type.
pub(super) struct Fault {
    pub(super) field: FieldPath,
    pub(super) message: String,
}

/// What `apiVersion` and `kind` name.
pub(super) fn meaning(api_version: &str, kind: &str) -> Meaning {
    match (api_version, kind) {
        ("v1", "Service") => {
            Meaning::Used(|v| read(v, |service| Object::Service(Box::new(service))))
        }
        ("v1", "Endpoints") => Meaning::Used(|v| read(v, Object::Endpoints)),
        ("v1", "Pod") => Meaning::Used(|v| read(v, Object::Pod)),
        ("v1", "Node") => Meaning::Used(|v| read(v, Object::Node)),
        ("v1", "Namespace") => Meaning::Used(|v| read(v, Object::Namespace)),
        ("v1", "Secret") => Meaning::Used(|v| read(v, Object::Secret)),
        ("v1", "ConfigMap") => Meaning::Used(|v| read(v, Object::ConfigMap)),
        ("discovery.k8s.io/v1", "EndpointSlice") => {
            Meaning::Used(|v| read::<discovery_v1::EndpointSlice>(v, Object::EndpointSlice))
        }
        ("networking.k8s.io/v1", "Ingress") => {
            Meaning::Used(|v| read::<networking_v1::Ingress>(v, Object::Ingress))
        }
        ("networking.k8s.io/v1", "IngressClass") => {
            Meaning::Used(|v| read::<networking_v1::IngressClass>(v, Object::IngressClass))
        }
        ("extensions/v1beta1" | "networking.k8s.io/v1beta1", "Ingress" | "IngressClass") => {
            Meaning::OldVersion("networking.k8s.io/v1")
        }
        ("discovery.k8s.io/v1beta1", "EndpointSlice") => Meaning::OldVersion("discovery.k8s.io/v1"),
        (_, kind) if kind == "List" || kind.ends_with("List") => Meaning::List,
        (_, "Service" | "Endpoints" | "Pod" | "Node" | "Namespace" | "Secret" | "ConfigMap")
            if !api_version.contains('.') =>
        {
            Meaning::OldVersion("v1")
        }
        _ => Meaning::Unused,
    }
}

fn read<T: DeserializeOwned>(value: Value, wrap: fn(T) -> Object) -> Result<Read, Fault> {
    let mut ignored = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let object = serde_ignored::deserialize(tracked, |path| ignored.push(plain(&path)));
    match object {
        Ok(object) => Ok(Read { object: wrap(object), ignored }),
        Err(error) => {
            let error: serde_json::Error = error;
            Err(Fault { field: field(&track.path()), message: error.to_string() })
        }
    }
}

/// serde_ignored's path without the steps that stand for options.
fn plain(path: &serde_ignored::Path<'_>) -> FieldPath {
    use serde_ignored::Path;
    match path {
        Path::Root => FieldPath::default(),
        Path::Seq { parent, index } => plain(parent).index(*index),
        Path::Map { parent, key } => plain(parent).key(key),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => plain(parent),
    }
}

fn field(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment;
    path.iter()
        .fold(FieldPath::default(), |field, segment| match segment {
            Segment::Seq { index } => field.index(*index),
            Segment::Map { key } => field.key(key),
            Segment::Enum { variant } => field.key(variant),
            Segment::Unknown => field,
        })
}
