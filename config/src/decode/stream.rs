//! A stream to its documents, before anything of it is parsed: a broken document costs itself
//! alone.
//!
//! A line that begins with `---` or `...` in its first column always ends a document, also inside
//! a quoted text or a block scalar that nobody closed: YAML forbids it there (YAML 1.2, 9.1.2), so
//! nothing valid is cut, and `kubectl` cuts at the same place. An indented `---` is content. JSON
//! objects that follow one another are documents too; where one is broken the next begins at a
//! line that starts with `{` after one that ends with `}`.

use serde::de::IgnoredAny;

use super::text::BYTE_ORDER_MARK;
use crate::location::Mark;

/// One document: its text, from where it begins to where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    pub(super) start: Mark,
}

impl Document<'_> {
    /// Where its text ends in the file.
    pub(super) fn end(&self) -> usize {
        self.start.offset() + self.text.len()
    }
}

/// The documents of a file that have content, up to `most`, and where the first beyond them
/// begins.
pub(super) fn split(text: &str, most: usize) -> (Vec<Document<'_>>, Option<Mark>) {
    let mut splitter = Splitter { text, most, documents: Vec::new(), beyond: None };
    splitter.lines();
    (splitter.documents, splitter.beyond)
}

struct Splitter<'a> {
    text: &'a str,
    most: usize,
    documents: Vec<Document<'a>>,
    beyond: Option<Mark>,
}

/// The document that is being looked at.
#[derive(Clone, Copy)]
struct Open {
    start: Mark,
    /// Whether there is more than comments and directives.
    has_content: bool,
    /// Whether a `%` line belongs to it.
    has_directive: bool,
}

impl<'a> Splitter<'a> {
    fn lines(&mut self) {
        let at = |offset, line| Mark::new(offset, line, 1);
        let fresh = |start| Open { start, has_content: false, has_directive: false };
        let mut open = fresh(at(0, 1));
        let mut next = 0;
        for (full, number) in self.text.split_inclusive('\n').zip(1_u32..) {
            let offset = next;
            next += full.len();
            let line = match full.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) if !open.has_content => rest,
                _ => full,
            };
            let begin = at(next - line.len(), number);
            if let Some(rest) = marker(line, "---") {
                if open.has_content {
                    self.close(open, offset);
                }
                let is_inline = !rest.is_empty() && !rest.starts_with('#');
                let directives = !open.has_content && open.has_directive;
                open = match directives && offset - open.start.offset() <= MAX_DIRECTIVE_BYTES {
                    true => Open { has_content: is_inline, has_directive: false, ..open },
                    false if is_inline => Open { has_content: true, ..fresh(begin) },
                    false => fresh(at(next, number + 1)),
                };
            } else if marker(line, "...").is_some() {
                if open.has_content {
                    self.close(open, offset);
                }
                open = fresh(at(next, number + 1));
            } else if !open.has_content {
                let trimmed = line.trim_ascii();
                let is_empty = trimmed.is_empty() || trimmed.starts_with('#');
                if line.starts_with('%') {
                    open.has_directive = true;
                } else if !is_empty {
                    open.has_content = true;
                    if line.len() != full.len() {
                        // A byte order mark in front of a document is no part of it.
                        open.start = begin;
                    }
                }
            }
            if self.beyond.is_some() {
                return;
            }
        }
        if open.has_content {
            self.close(open, next);
        }
    }

    fn close(&mut self, open: Open, end: usize) {
        let text = &self.text[open.start.offset()..end];
        let document = Document { text, start: open.start };
        if text.trim_ascii_start().starts_with('{') {
            self.json(document);
        } else {
            self.push(document);
        }
    }

    fn push(&mut self, document: Document<'a>) {
        if self.documents.len() < self.most {
            self.documents.push(document);
        } else if self.beyond.is_none() {
            self.beyond = Some(document.start);
        }
    }

    /// Takes JSON objects that follow one another apart.
    fn json(&mut self, document: Document<'a>) {
        let mut rest = document;
        while self.beyond.is_none() {
            rest = after(rest, rest.text.len() - rest.text.trim_ascii_start().len());
            if rest.text.is_empty() {
                return;
            }
            let mut values =
                serde_json::Deserializer::from_str(rest.text).into_iter::<IgnoredAny>();
            let length = match values.next() {
                Some(Ok(IgnoredAny)) if rest.text.starts_with('{') => values.byte_offset(),
                _ => next_object(rest.text),
            };
            self.push(Document { text: &rest.text[..length], start: rest.start });
            rest = after(rest, length);
        }
    }
}

/// What follows a marker on its line, if the line is one.
fn marker<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(marker)?;
    let is_marker = rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']);
    is_marker.then(|| rest.trim_ascii())
}

/// The document without its first `length` bytes.
fn after(document: Document<'_>, length: usize) -> Document<'_> {
    let (passed, text) = document.text.split_at(length);
    Document { text, start: document.start.after(passed) }
}

/// Where a JSON object after a broken one begins.
fn next_object(text: &str) -> usize {
    let mut previous_ends = false;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if previous_ends && line.starts_with('{') {
            return offset;
        }
        let trimmed = line.trim_ascii();
        if !trimmed.is_empty() {
            previous_ends = trimmed.ends_with('}');
        }
        offset += line.len();
    }
    text.len()
}

/// Directives in front of a document that are longer than this are left out.
const MAX_DIRECTIVE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::split;

    #[track_caller]
    fn assert_split(text: &str, want: &[(&str, u32, u32)]) {
        let (documents, beyond) = split(text, 100);
        let found: Vec<_> = documents
            .iter()
            .map(|document| {
                let at = document.start.position();
                assert!(text[document.start.offset()..].starts_with(document.text));
                (document.text, at.line, at.column)
            })
            .collect();
        assert_eq!(found, want, "{text:?}");
        assert!(beyond.is_none());
    }

    #[test]
    fn markers_in_the_first_column_split() {
        assert_split("", &[]);
        assert_split("# c\n---\n---\n\n...\n", &[]);
        assert_split("a\n---\nb\n", &[("a\n", 1, 1), ("b\n", 3, 1)]);
        assert_split("a\r\n--- \t\r\nb\r\n", &[("a\r\n", 1, 1), ("b\r\n", 3, 1)]);
        assert_split("--- # c\na", &[("a", 2, 1)]);
        assert_split(
            "x\n--- {a: 1}\n--- b",
            &[("x\n", 1, 1), ("--- {a: 1}\n", 2, 1), ("--- b", 3, 1)],
        );
        assert_split("a: |\n  x\n  ---\n  y\n", &[("a: |\n  x\n  ---\n  y\n", 1, 1)]);
        assert_split("a: |\n  x\n---\nb", &[("a: |\n  x\n", 1, 1), ("b", 4, 1)]);
        assert_split("a: \"\n---\nb", &[("a: \"\n", 1, 1), ("b", 3, 1)]);
        assert_split("a\n... # c\n# d\nb", &[("a\n", 1, 1), ("# d\nb", 3, 1)]);
        assert_split("----\n---x\n..", &[("----\n---x\n..", 1, 1)]);
    }

    #[test]
    fn directives_stay_with_their_document() {
        assert_split("%YAML 1.2\n---\na", &[("%YAML 1.2\n---\na", 1, 1)]);
        assert_split("a\n...\n%TAG ! x\n--- b\n", &[("a\n", 1, 1), ("%TAG ! x\n--- b\n", 3, 1)]);
        assert_split(&format!("{}---\na", "%x\n".repeat(2000)), &[("a", 2002, 1)]);
    }

    #[test]
    fn byte_order_marks_in_front_of_documents_are_left_out() {
        assert_split("\u{feff}a", &[("a", 1, 1)]);
        assert_split("\u{feff}---\na\n---\n\u{feff}b\n", &[("a\n", 2, 1), ("b\n", 4, 1)]);
        assert_split("\u{feff}# c\na", &[("\u{feff}# c\na", 1, 1)]);
    }

    #[test]
    fn json_objects_in_a_row_are_documents() {
        assert_split(
            "{\"a\":1}{\"b\":2} \n{}",
            &[("{\"a\":1}", 1, 1), ("{\"b\":2}", 1, 8), ("{}", 2, 1)],
        );
        assert_split("{\"a\":[\n}\n{\"b\":2}\n", &[("{\"a\":[\n}\n", 1, 1), ("{\"b\":2}", 3, 1)]);
        assert_split("{a: [\n{b: 1},\n{}]}\n", &[("{a: [\n{b: 1},\n{}]}\n", 1, 1)]);
        assert_split("{}\nx: 1\n", &[("{}", 1, 1), ("x: 1\n", 2, 1)]);
        assert_split("[1]\n", &[("[1]\n", 1, 1)]);
    }

    #[test]
    fn no_more_documents_than_allowed_are_taken() {
        for text in ["a\n---\nb\n---\nc", "{}{}{}", "a\n---\nb\n---\nc\n---\nd"] {
            let (documents, beyond) = split(text, 2);
            assert_eq!(documents.len(), 2);
            let beyond = beyond.unwrap().offset();
            assert!(text[beyond..].starts_with(['c', '{']), "{text}");
            assert_eq!(split(text, 5).1.map(|mark| mark.offset()), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn documents_are_in_order_and_do_not_overlap(text in "[-.%#{}\"a: \r\n\u{feff}é]{0,60}") {
            let (documents, _) = split(&text, 100);
            let mut end = 0;
            for document in documents {
                proptest::prop_assert!(document.start.offset() >= end);
                proptest::prop_assert_eq!(
                    &text[document.start.offset()..document.end()], document.text);
                end = document.end();
            }
        }
    }
}
