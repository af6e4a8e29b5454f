//! What Secrets hold, covered in the text of a file that is kept for finding places in it (`ingress 6.3`).
//!
//! Invariants: every character that is covered is another of the same length, blanks and line ends stay, and
//! so all else of the file stands where it stood; a file without Secrets costs nothing. What is not written
//! as it reads (escapes, folds, anchors), and a document that cannot be parsed, is covered by the rules of what
//! may be shown ([`Hidden`]), which read the document once more.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::stream::Document;
use super::tree::{Node, Value};
use crate::location::Hidden;

/// What of a file is covered: ranges of its bytes.
pub(super) type Places = Vec<Range<usize>>;

/// Whether objects of a kind hold what must not be seen.
pub(super) fn is_secretive(kind: &str) -> bool {
    let mut parts = kind.as_bytes().windows(SECRET.len());
    parts.any(|part| part.eq_ignore_ascii_case(SECRET))
}

/// Notes what an object of such a kind holds.
pub(super) fn object(node: &Node<'_>, document: Document<'_>, places: &mut Places) {
    let before = places.len();
    let mut walk = Walk { document, places };
    if walk.object(node).is_none() {
        places.truncate(before);
        whole(document, places);
    }
}

/// Notes what must not be seen of a document, whatever it is.
pub(super) fn whole(document: Document<'_>, places: &mut Places) {
    let hidden = Hidden::of(document.text);
    let mut start = document.start.offset();
    for (line, number) in document.text.split_inclusive('\n').zip(1..) {
        let offset = |column| {
            let mut characters = line.char_indices();
            start + characters.nth(column).map_or(line.len(), |(at, _)| at)
        };
        let columns = hidden.columns(number, line.trim_end_matches(['\n', '\r']));
        places.extend(
            columns
                .into_iter()
                .map(|it| offset(it.start)..offset(it.end)),
        );
        start += line.len();
    }
}

/// The text of a file with these places covered.
pub(super) fn cover(text: &str, places: &mut Places) -> Arc<[u8]> {
    places.sort_unstable_by_key(|place| place.start);
    let mut covered = String::with_capacity(text.len());
    for place in places.iter() {
        // As long as the text that it stands for, so its length is where the next piece begins.
        let start = place.start.max(covered.len());
        let pieces = (text.get(covered.len()..start), text.get(start..place.end));
        let (Some(before), Some(hidden)) = pieces else { continue };
        covered.push_str(before);
        // A comment stays one.
        let is_shown = |at: usize, it: char| it.is_whitespace() || (at == 0 && it == '#');
        let characters = hidden.char_indices();
        covered.extend(characters.map(|(at, it)| if is_shown(at, it) { it } else { stand_in(it) }));
    }
    covered.push_str(text.get(covered.len()..).unwrap_or_default());
    covered.into_bytes().into()
}

/// A character of the same length.
fn stand_in(character: char) -> char {
    match character.len_utf8() {
        1 => 'x',
        2 => '\u{d7}',
        3 => '\u{2715}',
        _ => '\u{1f512}',
    }
}

struct Walk<'w> {
    document: Document<'w>,
    places: &'w mut Places,
}

impl Walk<'_> {
    /// All but what an object is called; none: not all of it is written as it reads.
    fn object(&mut self, node: &Node<'_>) -> Option<()> {
        let Value::Mapping(entries) = &node.value else { return None };
        for entry in entries {
            match (&*entry.key, &entry.value.value) {
                ("apiVersion" | "kind" | "type" | "immutable", _) => {}
                ("metadata", Value::Mapping(entries)) => {
                    for entry in entries {
                        if !["name", "namespace", "creationTimestamp"].contains(&&*entry.key) {
                            self.texts(&entry.value)?;
                        }
                    }
                }
                _ => self.texts(&entry.value)?,
            }
        }
        Some(())
    }

    fn texts(&mut self, node: &Node<'_>) -> Option<()> {
        match &node.value {
            Value::Plain(Cow::Borrowed(text)) | Value::Text(Cow::Borrowed(text)) => {
                let file = self.document.text;
                let at = text.as_ptr().addr().checked_sub(file.as_ptr().addr())?;
                let place = at..at + text.len();
                (place.end <= file.len()).then_some(())?;
                let start = self.document.start.offset();
                self.places.push(start + place.start..start + place.end);
                Some(())
            }
            Value::Text(Cow::Owned(text)) => self.block(node, text),
            Value::Plain(Cow::Owned(_)) | Value::Shared(_) => None,
            Value::Sequence(items) => items.iter().try_for_each(|item| self.texts(item)),
            Value::Mapping(entries) => entries
                .iter()
                .try_for_each(|entry| self.texts(&entry.value)),
        }
    }

    /// The lines of a literal block, which are as deep as its first.
    fn block(&mut self, node: &Node<'_>, text: &str) -> Option<()> {
        let start = self.document.start.offset();
        let at = node.at.offset().checked_sub(start)?;
        let rest = self.document.text.get(at..)?;
        let mut lines = rest.split_inclusive('\n');
        let first = lines.next()?;
        let is_block = text.contains('\n') && text.lines().next() == first.lines().next();
        is_block.then_some(())?;
        let depth = usize::try_from(node.at.position().column)
            .ok()?
            .checked_sub(1)?;
        let deeper = |line: &&str| {
            let spaces = line.len() - line.trim_start_matches(' ').len();
            line.trim_ascii().is_empty() || spaces >= depth
        };
        let length = first.len() + lines.take_while(deeper).map(str::len).sum::<usize>();
        self.places.push(start + at..start + at + length);
        Some(())
    }
}

const SECRET: &[u8] = b"secret";
