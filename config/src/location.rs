//! Where in a manifest something stands: file, document and field path, and from these the line
//! and column, looked up only when a diagnostic is made.

mod outline;
mod secrets;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use outline::Part;
pub(crate) use secrets::Hidden;

/// A file, or `-` for standard input, or a name for what is compiled in.
pub(crate) type FileName = Arc<PathBuf>;

/// A position in a file; both parts count from 1.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// Where an object was written: its file, the document's first line and, in a `List`, its index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    /// The file as the user named it.
    pub(crate) file: FileName,
    /// Text of the document that holds the object; shared by all objects of a `List`.
    pub(crate) text: Arc<str>,
    /// Line of the file on which `text` begins, from 1.
    pub(crate) first_line: u32,
    /// Path of the object inside the document: empty, or `items[3]`.
    pub(crate) prefix: FieldPath,
    /// Position of the object in its file: orders objects of one file.
    pub(crate) index: u32,
}

impl Origin {
    /// Where `field` of this object stands; a field that is absent stands where its nearest
    /// parent does. Reads the text once more: only diagnostics ask.
    pub(crate) fn position(&self, field: &FieldPath) -> Option<Position> {
        self.find(field, Part::Value)
    }

    /// Where the key of `field` stands.
    pub(crate) fn key_position(&self, field: &FieldPath) -> Option<Position> {
        self.find(field, Part::Key)
    }

    fn find(&self, field: &FieldPath, part: Part) -> Option<Position> {
        let path = self.prefix.join(field);
        let mut position = outline::find(&self.text, path.steps(), part)?;
        position.line += self.first_line - 1;
        Some(position)
    }
}

/// A path into an object: `spec.ports[0].nodePort`.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldPath(Vec<Step>);

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// A key of a mapping.
    Key(Arc<str>),
    /// An index of a sequence, from 0.
    Index(usize),
}

impl FieldPath {
    /// The steps from the object's root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the object itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// This path and one key more.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.into()))
    }

    /// This path and one index more.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// `self` followed by `rest`.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

/// Reads `spec.ports[0].nodePort`; a key that itself holds a dot stands in brackets:
/// `metadata.annotations[portico.dev/endpoints]`.
impl From<&str> for FieldPath {
    fn from(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            if let Some(inside) = rest.strip_prefix('[') {
                let (step, after) = inside.split_once(']').unwrap_or((inside, ""));
                steps.push(match step.parse() {
                    Ok(index) => Step::Index(index),
                    Err(_) => Step::Key(step.into()),
                });
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                steps.push(Step::Key(rest[..end].into()));
                rest = &rest[end..];
            }
        }
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.contains(['.', '[', ']', '/']) => write!(f, "[{key}]")?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FieldPath;

    #[test]
    fn a_field_path_reads_what_it_prints() {
        for text in [
            "",
            "spec.ports[0].nodePort",
            "metadata.annotations[portico.dev/endpoints]",
            "items[3].spec",
        ] {
            assert_eq!(FieldPath::from(text).to_string(), text);
        }
    }
}
