//! Bytes to API objects.
//!
//! ```text
//! bytes ─▶ text ─▶ documents ─▶ tree ─▶ items of a List ─▶ typed object
//!          text    stream   plain  document              typed
//!                           yaml
//! ```
//!
//! A stream is split at its `---` lines first, so that one broken document costs only itself; an
//! item of a `List` that cannot be read costs only itself too. Invariants: no input panics, and
//! none costs more than [`Limits`] and the constants beside what they bound allow. Each finding
//! has its place: an unknown or repeated field that of its key, a wrong value its own. The text that is
//! kept of a file holds nothing of its Secrets (`covers`).

mod text;
mod stream;
mod scalar;
mod tree;
mod plain;
mod yaml;
mod typed;
mod kinds;
mod known_fields;
mod covers;
mod document;

pub(crate) use known_fields::distance;

use std::sync::Arc;

use crate::api::Object;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::{FileName, Mark, Origin, Position};
use crate::model::{Limits, ObjectName};

/// An object and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    /// What the manifest says.
    pub(crate) object: Arc<Object>,
    /// Where it says so.
    pub(crate) origin: Origin,
}

impl Decoded {
    /// Kind and name: what makes two objects the same.
    pub(crate) fn key(&self) -> (&'static str, ObjectName) {
        (self.object.type_name().1, self.object.name())
    }
}

/// All that one file holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecodedFile {
    /// Its objects in the order of the file.
    pub(crate) objects: Vec<Decoded>,
    /// What is wrong with it.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Whether a document of it could not be read: objects that this file held before and that do
    /// not stand in `objects` now keep their last good version.
    pub(crate) incomplete: bool,
    /// What of its text Secrets hold: covered in the origins of its objects.
    hidden: covers::Places,
}

impl DecodedFile {
    /// Whether the text of the file holds what must not be kept.
    pub(crate) fn holds_secrets(&self) -> bool {
        !self.hidden.is_empty()
    }

    fn refuse(&mut self, diagnostic: Diagnostic) {
        self.incomplete = true;
        self.tell(diagnostic);
    }

    /// Keeps a finding; beyond a limit only that there are more.
    fn tell(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        } else if self.diagnostics.len() == MAX_DIAGNOSTICS {
            let text =
                format!("more is wrong with this file: the first {MAX_DIAGNOSTICS} are told");
            let more = Diagnostic::new(Code::FileFindingsCut, text);
            let file = diagnostic.file.clone().unwrap_or_default();
            self.diagnostics.push(more.file(&file, diagnostic.position));
        }
    }

    /// Says once a file that a kind is not used.
    fn note(&mut self, file: &FileName, at: Mark, api_version: &str, kind: &str) {
        let message = format!(
            "kind {} of {} is not used by portico",
            tree::brief(kind),
            tree::brief(api_version)
        );
        let is_new =
            |found: &Diagnostic| found.code != Code::UnusedKind || found.message != message;
        if self.diagnostics.iter().all(is_new) {
            let found = Diagnostic::new(Code::UnusedKind, message);
            // That kind is read by `settings` alone.
            let help = (kind == "PorticoConfiguration")
                .then(|| "settings count in the file that --config names".to_owned());
            self.tell(Diagnostic { help, ..found.file(file, Some(at.position())) });
        }
    }
}

/// Decodes the content of one file.
pub(crate) fn decode(name: &FileName, content: &Arc<[u8]>, limits: &Limits) -> DecodedFile {
    let mut decoded = DecodedFile::default();
    let text = match text::read(content, limits) {
        Ok(text) => text,
        Err(refusal) => {
            decoded.refuse(refusal.diagnostic.file(name, refusal.position));
            return decoded;
        }
    };
    let file = document::File { name, content, limits };
    let (documents, beyond) = stream::split(text, limits.max_documents);
    for document in documents {
        document::decode(&file, document, &mut decoded);
    }
    if let Some(beyond) = beyond {
        let most = limits.max_documents;
        let text =
            format!("holds more documents than the {most} that `limits.maxDocuments` allows");
        let found = Diagnostic::new(Code::TooManyDocuments, text)
            .help("what begins here is not read: split the file, or raise the limit");
        decoded.refuse(found.file(name, Some(beyond.position())));
    }
    if decoded.holds_secrets() {
        let covered = covers::cover(text, &mut decoded.hidden);
        for object in &mut decoded.objects {
            object.origin.content = Arc::clone(&covered);
        }
    }
    decoded
}

/// The origin and tree of the only document of a file; fails where it holds none or more.
pub(crate) fn only_document(
    file: &FileName,
    content: &[u8],
) -> Result<(Origin, serde_json::Value), Box<Diagnostic>> {
    let refuse = |found: Diagnostic, at: Option<Position>| Box::new(found.file(file, at));
    let not_settings = |at, message| refuse(Diagnostic::new(Code::NotSettings, message), Some(at));
    let limits = Limits::default();
    let text = text::read(content, &limits)
        .map_err(|refusal| refuse(refusal.diagnostic, refusal.position))?;
    let (documents, beyond) = stream::split(text, 1);
    let Some(document) = documents.first() else {
        return Err(not_settings(Position { line: 1, column: 1 }, "holds nothing"));
    };
    if let Some(beyond) = beyond {
        let text = "a second document begins: one alone counts";
        return Err(not_settings(beyond.position(), text));
    }
    let mut tree = yaml::parse(*document, &limits)
        .map_err(|fault| Box::new(document::diagnostic(*fault, file)))?;
    if !tree.faults.is_empty() {
        return Err(Box::new(document::diagnostic(tree.faults.remove(0), file)));
    }
    let origin = Origin {
        file: Arc::clone(file),
        content: content.into(),
        start: document.start,
        end: document.end(),
        index: 0,
    };
    Ok((origin, json(&tree.root)))
}

/// A tree as JSON has it.
fn json(node: &tree::Node<'_>) -> serde_json::Value {
    use scalar::Scalar;
    use serde_json::Value as Json;
    match node.value() {
        tree::Value::Plain(text) => match scalar::resolve(text) {
            Scalar::Null => Json::Null,
            Scalar::Bool(value) => value.into(),
            Scalar::Int(value) => value.into(),
            Scalar::Float(value) if value.is_finite() => value.into(),
            Scalar::LargeInt | Scalar::Float(_) | Scalar::Text => Json::String(text.to_string()),
        },
        tree::Value::Text(text) => Json::String(text.to_string()),
        tree::Value::Sequence(items) => items.iter().map(json).collect(),
        tree::Value::Mapping(entries) => entries
            .iter()
            .map(|entry| (entry.key.to_string(), json(&entry.value)))
            .collect(),
        tree::Value::Shared(node) => json(node),
    }
}

/// Findings of one file that are kept (`reliability 4`).
const MAX_DIAGNOSTICS: usize = 1_000;

#[cfg(test)]
mod tests;
