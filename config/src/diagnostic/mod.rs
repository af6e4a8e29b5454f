//! What is wrong, where, and what happens because of it.
//!
//! `check`, the log, `/readyz` and the admin API all show the same [`Diagnostic`]s. Secrets never
//! stand in one: a message names fields, not values of Secrets.

mod code;
mod excerpt;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::location::Origin;
use crate::model::ObjectRef;

pub use self::code::Code;
pub use self::excerpt::{Excerpt, SourceText};
pub use crate::location::{FieldPath, Position, Step};

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The object is refused: its last good version stays, at first load it is left out.
    Error,
    /// The object is used as it is written.
    Warning,
    /// Nothing is wrong; said so that nobody wonders, such as a kind that portico does not use.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One finding: `web.yaml:14:17: error[P0304]: Service default/web: spec.ports[0].nodePort: 80 is not …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// Which kind of mistake it is; its number is stable.
    pub code: Code,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// The way out, where there is one to name.
    pub help: Option<String>,
    /// The object it is about; none for a file that cannot be read or parsed.
    pub object: Option<ObjectRef>,
    /// The field, where one is to blame.
    pub field: Option<FieldPath>,
    /// The file, `-` for standard input; none for what no file says.
    pub file: Option<Arc<PathBuf>>,
    /// Line and column of the field or, without one, of the object.
    pub position: Option<Position>,
    /// Other places that belong to it, such as the object that came first.
    pub related: Vec<Related>,
}

/// A second place of a finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Related {
    /// The file, `-` for standard input.
    pub file: Arc<PathBuf>,
    /// Line and column in it.
    pub position: Position,
    /// What stands there, in a few words.
    pub label: String,
}

impl Diagnostic {
    /// A finding without a place; the other methods add what is known.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            object: None,
            field: None,
            file: None,
            position: None,
            related: Vec::new(),
        }
    }

    /// What happens to the object.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Whether the object is not used as it is written: its last good version stays. Of one that is served, errors
    /// say which part is not.
    pub fn refuses_object(&self) -> bool {
        let of_a_part = matches!(self.code, Code::AnnotationCloses | Code::AnnotationRefused);
        self.severity() == Severity::Error && !of_a_part
    }

    /// The key of the annotation that it is about; none where it is about something else.
    pub fn annotation(&self) -> Option<&str> {
        match self.field.as_ref()?.steps() {
            [Step::Key(metadata), Step::Key(annotations), Step::Key(key)]
                if **metadata == *"metadata" && **annotations == *"annotations" =>
            {
                Some(key)
            }
            _ => None,
        }
    }

    /// Names the object.
    pub(crate) fn object(mut self, object: ObjectRef) -> Self {
        self.object = Some(object);
        self
    }

    /// Names the field of the object that was written at `origin`, and finds its position.
    pub(crate) fn at(mut self, origin: &Origin, field: FieldPath) -> Self {
        self.file = Some(Arc::clone(&origin.file));
        self.position = origin.position(&field);
        self.field = Some(field);
        self
    }

    /// Names the file alone.
    pub(crate) fn file(mut self, file: &Arc<PathBuf>, position: Option<Position>) -> Self {
        self.file = Some(Arc::clone(file));
        self.position = position;
        self
    }

    /// Points at `field` of a second object; says nothing where its text has no such place.
    pub(crate) fn related(
        mut self,
        origin: &Origin,
        field: &FieldPath,
        label: impl Into<String>,
    ) -> Self {
        let file = Arc::clone(&origin.file);
        let place = origin.position(field);
        self.related
            .extend(place.map(|position| Related { file, position, label: label.into() }));
        self
    }

    /// Names the way out.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(Position { line, column }) = self.position {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}[{}]: ", self.severity(), self.code)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(field) = self.field.as_ref().filter(|field| !field.is_root()) {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}
