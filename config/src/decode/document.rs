//! One document: text to tree, tree to objects.

use std::sync::Arc;

use serde_json::Value;

use super::kinds::{self, Meaning};
use super::{Decoded, DecodedFile, known_fields};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::{FieldPath, FileName, Origin, Position};
use crate::model::ObjectRef;

/// Decodes one document into `decoded`.
pub(super) fn decode(file: &FileName, first_line: u32, text: &str, decoded: &mut DecodedFile) {
    let tree = match parse(file, first_line, text) {
        Ok(tree) => tree,
        Err(found) => return decoded.refuse(*found),
    };
    if tree.is_null() {
        return;
    }
    let origin = Origin {
        file: Arc::clone(file),
        text: text.into(),
        first_line,
        prefix: FieldPath::default(),
        index: u32::try_from(decoded.objects.len()).unwrap_or(u32::MAX),
    };
    value(tree, origin, 0, decoded);
}

/// The tree of a document; fails with what is wrong and where.
pub(super) fn parse(
    file: &FileName,
    first_line: u32,
    text: &str,
) -> Result<Value, Box<Diagnostic>> {
    tree(text).map_err(|(message, position)| {
        let position = position
            .map(|found| Position { line: found.line.saturating_add(first_line - 1), ..found });
        let mut found = Diagnostic::new(Code::Syntax, message);
        if text
            .lines()
            .any(|line| line.trim_start_matches(' ').starts_with('\t'))
        {
            found = found.help("a line is indented with a tab: YAML wants spaces");
        }
        Box::new(found.file(file, position))
    })
}

fn tree(text: &str) -> Result<Value, (String, Option<Position>)> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_EVENTS,
            max_aliases: MAX_ALIASES,
            max_total_scalar_bytes: MAX_SCALAR_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED_EVENTS,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let position = error
            .location()
            .filter(|found| found.line() > 0)
            .map(|found| Position { line: number(found.line()), column: number(found.column()) });
        (first_line(&error.to_string()), position)
    })
}

/// The message alone: place and picture are ours to give.
fn first_line(message: &str) -> String {
    let line = message
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("cannot be read");
    let line = line.trim().trim_start_matches("error: ");
    let end = line.find(" at line ").unwrap_or(line.len());
    let mut text = line[..end].trim_end_matches([',', '.', ':']).to_owned();
    if text.len() > MAX_MESSAGE_BYTES {
        let cut = (0..=MAX_MESSAGE_BYTES)
            .rev()
            .find(|&at| text.is_char_boundary(at));
        text.truncate(cut.unwrap_or_default());
        text.push('…');
    }
    text
}

/// Decodes an object, or the items of a list.
fn value(value: Value, origin: Origin, depth: usize, decoded: &mut DecodedFile) {
    let Value::Object(map) = &value else {
        let text = "is not a mapping: a manifest begins with apiVersion, kind and metadata";
        let found = Diagnostic::new(Code::NotAnObject, text).at(&origin, FieldPath::default());
        decoded.refuse(found);
        return;
    };
    let text = |key: &str| {
        map.get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let (api_version, kind) = match (text("apiVersion"), text("kind")) {
        (Some(api_version), Some(kind)) => (api_version.to_owned(), kind.to_owned()),
        (api_version, _) => {
            let field = if api_version.is_some() { "kind" } else { "apiVersion" };
            let found =
                Diagnostic::new(Code::NoType, "required value").at(&origin, FieldPath::from(field));
            decoded.refuse(found);
            return;
        }
    };
    let reference = reference(map, &api_version, &kind);
    match kinds::meaning(&api_version, &kind) {
        Meaning::Used(read) => object(value, read, &reference, origin, decoded),
        Meaning::List if depth == 0 => items(value, &origin, decoded),
        Meaning::OldVersion(version) => {
            let text = format!("{api_version} is not served any more: write {version}");
            let found = Diagnostic::new(Code::OldVersion, text)
                .object(reference)
                .at(&origin, FieldPath::from("apiVersion"));
            decoded.refuse(found);
        }
        Meaning::List | Meaning::Unused => note(&api_version, &kind, &origin, decoded),
    }
}

fn items(mut list: Value, origin: &Origin, decoded: &mut DecodedFile) {
    let items = match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        None | Some(Value::Null) => return,
        Some(_) => {
            let found = Diagnostic::new(Code::WrongType, "is not a sequence")
                .at(origin, FieldPath::from("items"));
            decoded.refuse(found);
            return;
        }
    };
    for (position, item) in items.into_iter().enumerate() {
        let prefix = origin.prefix.key("items").index(position);
        let index = u32::try_from(decoded.objects.len()).unwrap_or(u32::MAX);
        value(item, Origin { prefix, index, ..origin.clone() }, 1, decoded);
    }
}

fn object(
    value: Value,
    read: fn(Value) -> Result<kinds::Read, kinds::Fault>,
    reference: &ObjectRef,
    origin: Origin,
    decoded: &mut DecodedFile,
) {
    let read = match read(value) {
        Ok(read) => read,
        Err(fault) => {
            // What a Secret holds stands in no message, not even where it has the wrong type.
            let message = match &*reference.kind {
                "Secret" => "has the wrong type: values of a Secret are texts".to_owned(),
                _ => fault.message,
            };
            let found = Diagnostic::new(Code::WrongType, message)
                .object(reference.clone())
                .at(&origin, fault.field);
            decoded.refuse(found);
            return;
        }
    };
    if read.object.metadata().name.is_empty() {
        let mut found = Diagnostic::new(Code::NoName, "required value")
            .object(reference.clone())
            .at(&origin, FieldPath::from("metadata.name"));
        if read.object.metadata().generate_name.is_some() {
            // An API server would make up another name at every load.
            found = found.help("metadata.generateName is not used: give the object a name");
        }
        decoded.refuse(found);
        return;
    }
    let reference = read.object.reference();
    for field in &read.ignored {
        if let known_fields::Verdict::Unknown(nearest) =
            known_fields::verdict(&reference.kind, field)
        {
            let mut found = Diagnostic::new(Code::UnknownField, "unknown field")
                .object(reference.clone())
                .at_key(&origin, field.clone());
            found.help = nearest.map(|nearest| format!("did you mean `{nearest}`?"));
            decoded.diagnostics.push(found);
        }
    }
    decoded
        .objects
        .push(Decoded { object: Arc::new(read.object), origin });
}

/// Says once a file that a kind is not used.
fn note(api_version: &str, kind: &str, origin: &Origin, decoded: &mut DecodedFile) {
    let message = format!("kind {kind} of {api_version} is not used by portico");
    if decoded
        .diagnostics
        .iter()
        .all(|found| found.message != message)
    {
        let found = Diagnostic::new(Code::UnusedKind, message).at(origin, FieldPath::default());
        // The name of the settings file's kind; that kind itself is read by `settings` alone.
        decoded.diagnostics.push(match kind {
            "PorticoConfiguration" => found.help("settings count in the file that --config names"),
            _ => found,
        });
    }
}

/// Names an object that may not be readable as a whole.
fn reference(map: &serde_json::Map<String, Value>, api_version: &str, kind: &str) -> ObjectRef {
    let metadata = |key: &str| {
        map.get("metadata")
            .and_then(|m| m.get(key))
            .and_then(Value::as_str)
    };
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: Some(metadata("namespace").unwrap_or("default").into()),
        name: metadata("name").unwrap_or("?").into(),
    }
}

/// Nesting of one document (`reliability 4`).
const MAX_DEPTH: usize = 64;
/// Nodes of one document.
const MAX_NODES: usize = 5_000_000;
/// Parser events of one document.
const MAX_EVENTS: usize = 10_000_000;
/// Aliases of one document.
const MAX_ALIASES: usize = 1_000;
/// Events that aliases may repeat.
const MAX_REPLAYED_EVENTS: usize = 100_000;
/// Text of all scalars of one document; a file is at most as long.
const MAX_SCALAR_BYTES: usize = 64 << 20;
/// A parser's message is cut here.
const MAX_MESSAGE_BYTES: usize = 300;
