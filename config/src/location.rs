//! Where in a manifest something stands: file, document and field path, and from these the line
//! and column, looked up only when a diagnostic is made.

mod outline;
mod secrets;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use secrets::{Hidden, may_hold_a_secret};

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

/// A place in a file: its offset, and what a person calls it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mark {
    offset: u32,
    line: u32,
    column: u32,
}

impl Mark {
    /// The place `offset` bytes into the file, in a line and a column that count from 1.
    pub(crate) fn new(offset: usize, line: u32, column: u32) -> Self {
        Self { offset: number(offset), line, column }
    }

    /// Bytes from the file's beginning.
    pub(crate) fn offset(self) -> usize {
        self.offset as usize
    }

    /// Line and column.
    pub(crate) fn position(self) -> Position {
        Position { line: self.line, column: self.column }
    }

    /// The place in the file of one in a text that begins here: its line from 1, its column from 0
    /// and its offset.
    pub(crate) fn inside(self, line: usize, column: usize, offset: usize) -> Self {
        let first = if line <= 1 { self.column - 1 } else { 0 };
        Self {
            offset: self.offset.saturating_add(number(offset)),
            line: self.line.saturating_add(number(line.saturating_sub(1))),
            column: number(column).saturating_add(first).saturating_add(1),
        }
    }

    /// The place behind `text`, which begins here.
    pub(crate) fn after(self, text: &str) -> Self {
        let line = 1 + text.bytes().filter(|&byte| byte == b'\n').count();
        let last = text.rsplit('\n').next().unwrap_or(text);
        self.inside(line, last.chars().count(), text.len())
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Where an object was written: its file, and where in the file's text it begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    /// The file as the user named it.
    pub(crate) file: FileName,
    /// Content of the file, UTF-8; shared by all of its objects.
    pub(crate) content: Arc<[u8]>,
    /// Where the object begins.
    pub(crate) start: Mark,
    /// Where its document ends, in bytes of the file.
    pub(crate) end: usize,
    /// Position of the object in its file: orders objects of one file.
    pub(crate) index: u32,
}

impl Origin {
    /// The line on which the object begins.
    pub(crate) fn line(&self) -> u32 {
        self.start.line
    }

    /// Where `field` of this object stands: a scalar itself, the key of a mapping, a sequence or a
    /// value that is not there; a field that is absent stands where its nearest parent does.
    /// Reads the object's text once more: only diagnostics ask.
    pub(crate) fn position(&self, field: &FieldPath) -> Option<Position> {
        let text = self.content.get(self.start.offset()..self.end)?;
        let text = std::str::from_utf8(text).ok()?;
        let indentation = self.start.column.saturating_sub(1);
        let found = outline::find(text, indentation, field.steps())?;
        Some(Position { line: found.line.saturating_add(self.start.line - 1), ..found })
    }

    /// Where the key `name` of `field` stands: before its value on the same line, else where the field does.
    pub(crate) fn key_position(&self, field: &FieldPath, name: &str) -> Option<Position> {
        let found = self.position(field)?;
        let text = std::str::from_utf8(&self.content).ok()?;
        let before = found.line.checked_sub(1).and_then(|line| {
            let line = text.lines().nth(usize::try_from(line).ok()?)?;
            let columns = usize::try_from(found.column.saturating_sub(1)).ok()?;
            Some(line.chars().take(columns).collect::<String>())
        });
        let before = before.unwrap_or_default();
        let Some(begin) = before.rfind(name) else { return Some(found) };
        Some(Position {
            column: number(before[..begin].chars().count()).saturating_add(1),
            ..found
        })
    }

    /// Where line `number` (from 1) of a text stands whose first is at `first`; none where that line of
    /// the file does not have `word`: the text is written in another way than line by line.
    pub(crate) fn line_of(&self, first: Position, number: usize, word: &str) -> Option<Position> {
        let text = std::str::from_utf8(self.content.get(self.start.offset()..self.end)?).ok()?;
        let line = first
            .line
            .checked_add(u32::try_from(number.checked_sub(1)?).ok()?)?;
        let found = text
            .lines()
            .nth(usize::try_from(line.checked_sub(self.start.line)?).ok()?)?;
        let inside = found.trim_start();
        let column = u32::try_from(found.len() - inside.len() + 1).ok()?;
        inside.contains(word).then_some(Position { line, column })
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
