//! One document: tree to objects.

use std::sync::Arc;

use super::kinds::{self, Meaning};
use super::stream::Document;
use super::tree::{Entry, Fault, Node, Tree, Value, brief};
use super::typed::Wrong;
use super::{Decoded, DecodedFile, covers, known_fields, yaml};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::{FieldPath, FileName, Mark, Origin, Step};
use crate::model::{Limits, ObjectRef};

/// A file that is being decoded.
pub(super) struct File<'f> {
    pub(super) name: &'f FileName,
    pub(super) content: &'f Arc<[u8]>,
    pub(super) limits: &'f Limits,
}

/// Decodes one document into `decoded`.
pub(super) fn decode(file: &File<'_>, document: Document<'_>, decoded: &mut DecodedFile) {
    let tree = match yaml::parse(document, file.limits) {
        Ok(tree) => tree,
        Err(fault) => {
            if crate::location::may_hold_a_secret(document.text) {
                covers::whole(document, &mut decoded.hidden);
            }
            return decoded.refuse(diagnostic(*fault, file.name));
        }
    };
    if tree.root.is_null() {
        return;
    }
    let Tree { root, faults } = tree;
    let hidden = decoded.hidden.len();
    let mut reading = Reading { file, document, faults, decoded };
    reading.value(&root, document.end(), None);
    reading.rest();
    if decoded.hidden.len() > hidden {
        root.wipe();
    }
}

/// A fault as it is told.
pub(super) fn diagnostic(fault: Fault, file: &FileName) -> Diagnostic {
    let found = Diagnostic::new(fault.code, fault.message).file(file, Some(fault.at.position()));
    Diagnostic { help: fault.help, ..found }
}

struct Reading<'r> {
    file: &'r File<'r>,
    document: Document<'r>,
    /// What is wrong with parts of the document and was not told yet, in its order.
    faults: Vec<Fault>,
    decoded: &'r mut DecodedFile,
}

impl Reading<'_> {
    /// Reads an object that ends before `end`, or the items of a list; `of` is the type that a
    /// list gives its items.
    fn value(&mut self, node: &Node<'_>, end: usize, of: Option<(&str, &str)>) {
        let Value::Mapping(_) = node.value() else {
            let found = self.at(Code::NotAnObject, node.at, FieldPath::default(), NOT_AN_OBJECT);
            let help = matches!(node.value(), Value::Sequence(_))
                .then(|| "objects in a row go under `items:` of a `kind: List`, or each into a document of its own".to_owned());
            return self.decoded.refuse(Diagnostic { help, ..found });
        };
        let field = |key| match node.get(key).map(|value| (value, value.text())) {
            Some((_, Some(text))) if !text.is_empty() => Ok(Some(text)),
            None => Ok(None),
            Some((value, Some(_))) => Err((value.at, "required value")),
            Some((value, None)) if value.is_null() => Err((value.at, "required value")),
            Some((value, None)) => Err((value.at, "is not a text")),
        };
        let said = node.get("kind").and_then(Node::text);
        if said
            .or_else(|| of.map(|(_, kind)| kind))
            .is_some_and(covers::is_secretive)
        {
            covers::object(node, self.document, &mut self.decoded.hidden);
        }
        let (api_version, kind) = match (field("apiVersion"), field("kind"), of) {
            (Ok(Some(api_version)), Ok(Some(kind)), _) => (api_version, kind),
            (Ok(None), Ok(None), Some(of)) => of,
            (api_version, kind, _) => {
                let (name, fault) = match api_version {
                    Ok(Some(_)) => ("kind", kind.err()),
                    other => ("apiVersion", other.err()),
                };
                let (at, message) = fault.unwrap_or((node.at, "required value"));
                let found = self.at(Code::NoType, at, FieldPath::from(name), message);
                let version = kind.ok().flatten().and_then(kinds::version_of);
                let help = match version.filter(|_| name == "apiVersion") {
                    Some(version) => Some(format!("write apiVersion: {version}")),
                    None => node
                        .get("metadata")
                        .is_none()
                        .then(|| NO_MANIFEST.to_owned()),
                };
                return self.decoded.refuse(Diagnostic { help, ..found });
            }
        };
        let reference = reference(node, api_version, kind);
        match kinds::meaning(api_version, kind) {
            Meaning::Used(read) => self.object(node, end, read, &reference),
            Meaning::List => self.items(node, end, api_version, kind),
            Meaning::Wrong { code, field, message, help } => {
                let at = node.get(field).map_or(node.at, |value| value.at);
                let found = self.at(code, at, FieldPath::from(field), message);
                self.decoded.refuse(found.object(reference).help(help));
            }
            Meaning::Unused => self
                .decoded
                .note(self.file.name, node.at, api_version, kind),
        }
    }

    fn items(&mut self, list: &Node<'_>, end: usize, api_version: &str, kind: &str) {
        let Some(items) = list.get("items").filter(|items| !items.is_null()) else { return };
        let Value::Sequence(values) = items.value() else {
            let found =
                self.at(Code::WrongType, items.at, FieldPath::from("items"), "is not a sequence");
            return self.decoded.refuse(found);
        };
        // `ServiceList` of the API itself: its items do not say again what they are.
        let of = kind
            .strip_suffix("List")
            .filter(|kind| !kind.is_empty())
            .map(|kind| (api_version, kind));
        for (index, value) in values.iter().enumerate() {
            let end = values.get(index + 1).map_or(end, |next| next.at.offset());
            self.value(value, end, of);
        }
    }

    fn object(&mut self, node: &Node<'_>, end: usize, read: kinds::Read, reference: &ObjectRef) {
        if self.tell(node.at.offset(), end) > 0 {
            return;
        }
        let kind = &*reference.kind;
        let (object, findings) = read(node, &|keys| known_fields::is_known(kind, keys));
        for wrong in findings.wrong {
            let found = self.found(wrong, reference);
            self.decoded.refuse(found);
        }
        for bare in findings.bare {
            let found = self.found(bare, reference);
            self.decoded.tell(found);
        }
        for (field, at) in findings.unknown {
            let mut found = self.at(Code::UnknownField, at, field.clone(), "unknown field");
            found.help = known_fields::suggestion(kind, &keys(&field));
            self.decoded.tell(found.object(reference.clone()));
        }
        let Some(object) = object else { return };
        if object.metadata().name.is_empty() {
            let place = node.entries().iter().find(|entry| entry.key == "metadata");
            let at = place.map_or(node.at, |entry| name_at(entry));
            let found =
                self.at(Code::NoName, at, FieldPath::from("metadata.name"), "required value");
            // An API server would make up another name at every load.
            let help =
                object.metadata().generate_name.is_some().then(|| {
                    "metadata.generateName is not used: give the object a name".to_owned()
                });
            let found = Diagnostic { help, ..found };
            return self.decoded.refuse(found.object(reference.clone()));
        }
        let origin = Origin {
            file: Arc::clone(self.file.name),
            content: Arc::clone(self.file.content),
            start: node.at,
            end: self.document.end(),
            index: u32::try_from(self.decoded.objects.len()).unwrap_or(u32::MAX),
        };
        self.decoded
            .objects
            .push(Decoded { object: Arc::new(object), origin });
    }

    fn found(&self, mut wrong: Wrong, reference: &ObjectRef) -> Diagnostic {
        if &*reference.kind == "Secret" {
            // What a Secret holds stands in no message, not even where it has the wrong type.
            wrong.message = "has the wrong type: values of a Secret are texts".to_owned();
            let needs_quotes = [Code::NeedsQuotes, Code::BareAnnotation].contains(&wrong.code);
            wrong.help = needs_quotes.then(|| "put it in quotes".to_owned());
        }
        let help = wrong.help.or_else(|| match keys(&wrong.field).as_slice() {
            ["spec", "selector", "matchLabels" | "matchExpressions"]
                if &*reference.kind == "Service" =>
            {
                Some(
                    "a Service's selector holds the labels themselves: `selector: {app: web}`"
                        .to_owned(),
                )
            }
            _ => None,
        });
        let found = self.at(wrong.code, wrong.at, wrong.field, wrong.message);
        Diagnostic { help, ..found }.object(reference.clone())
    }

    /// Tells what is wrong between two places of the document; returns how much that is.
    fn tell(&mut self, start: usize, end: usize) -> usize {
        let inside = |fault: &Fault| (start..end).contains(&fault.at.offset());
        if !self.faults.iter().any(inside) {
            return 0;
        }
        let (told, rest) = std::mem::take(&mut self.faults)
            .into_iter()
            .partition::<Vec<_>, _>(inside);
        self.faults = rest;
        let count = told.len();
        for fault in told {
            self.decoded.refuse(diagnostic(fault, self.file.name));
        }
        count
    }

    /// Tells what is wrong outside of every object.
    fn rest(&mut self) {
        self.tell(0, usize::MAX);
    }

    fn at(&self, code: Code, at: Mark, field: FieldPath, message: impl Into<String>) -> Diagnostic {
        let found = Diagnostic::new(code, message).file(self.file.name, Some(at.position()));
        Diagnostic { field: Some(field), ..found }
    }
}

/// Where a name is missing: at an empty one, else at the metadata.
fn name_at(metadata: &Entry<'_>) -> Mark {
    metadata
        .value
        .get("name")
        .map_or(metadata.at, |name| name.at)
}

fn keys(field: &FieldPath) -> Vec<&str> {
    field
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(&**key),
            Step::Index(_) => None,
        })
        .collect()
}

/// Names an object that may not be readable as a whole.
fn reference(node: &Node<'_>, api_version: &str, kind: &str) -> ObjectRef {
    let metadata = |key| {
        let text = node.get("metadata")?.get(key)?.text()?;
        (!text.is_empty()).then(|| brief(text))
    };
    let is_cluster_scoped = matches!(kind, "Node" | "Namespace" | "IngressClass");
    let namespace = metadata("namespace").unwrap_or_else(|| "default".to_owned());
    ObjectRef {
        api_version: brief(api_version).into(),
        kind: brief(kind).into(),
        namespace: (!is_cluster_scoped).then(|| namespace.into()),
        name: metadata("name").map_or_else(|| "?".into(), Into::into),
    }
}

const NOT_AN_OBJECT: &str =
    "is not a mapping: a manifest begins with apiVersion, kind and metadata";
/// Of a mapping that has nothing of an object: `values.yaml` of a chart, `package.json`, a compose file.
const NO_MANIFEST: &str =
    "if it is no manifest, keep it in another folder, or one whose name begins with a dot";
