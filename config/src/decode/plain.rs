//! The YAML that people and `kubectl` write, read in one pass.
//!
//! Block mappings and sequences, scalars on one line, literal blocks, flow collections on one line
//! and JSON. Invariants: no I/O; whatever is not certainly of this form is `None`, and
//! [`super::yaml`] reads it, so every error and every rare form (anchors, tags, folded texts, tabs,
//! lines that go on) has one judge. Both give the same tree, which a property holds. Lines and blocks are
//! read here, what stands on one line in `inline`.

mod inline;

use std::borrow::Cow;

use super::stream::Document;
use super::tree::{self, Entry, Fault, Node, Tree, Value};
use crate::location::Mark;

/// Reads a document; `None`: it has to be read by the parser for all of YAML.
pub(super) fn parse<'a>(document: Document<'a>, most_depth: usize) -> Option<Tree<'a>> {
    let bytes = document.text.as_bytes();
    if !is_plain(bytes) {
        return None;
    }
    let mut reader = Reader {
        text: document.text,
        bytes,
        start: document.start,
        is_ascii: document.text.is_ascii(),
        most_depth,
        line: Line::default(),
        next: 0,
        number: 0,
        is_done: false,
        values: 0,
        faults: Vec::new(),
    };
    let root = reader.root()?;
    reader
        .is_done
        .then_some(Tree { root, faults: reader.faults })
}

/// Whether there is nothing in it that changes what lines or characters are.
fn is_plain(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest
        .iter()
        .position(|&byte| (byte < b' ' && byte != b'\n') || byte >= 0x7f)
    {
        let is_fine = match &rest[at..] {
            [b'\r', b'\n', ..] => true,
            // Control characters, line separators, a byte order mark and what is no character.
            [0xc2, 0x80..=0x9f, ..] | [0xe2, 0x80, 0xa8 | 0xa9, ..] | [0xef, ..] => false,
            [0x80..=0xff, ..] => true,
            _ => false,
        };
        if !is_fine {
            return false;
        }
        rest = &rest[at + 1..];
    }
    true
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    start: Mark,
    is_ascii: bool,
    most_depth: usize,
    /// The line that is being read.
    line: Line,
    /// Where the line after it begins.
    next: usize,
    /// Its number, from 1.
    number: usize,
    /// Whether there is no line left.
    is_done: bool,
    /// How many keys and values were read.
    values: usize,
    faults: Vec<Fault>,
}

/// A line with content: where it begins, where its content begins and ends.
#[derive(Clone, Copy, Default)]
struct Line {
    start: usize,
    at: usize,
    end: usize,
}

impl Line {
    fn indentation(self) -> usize {
        self.at - self.start
    }
}

impl<'a> Reader<'a> {
    fn root(&mut self) -> Option<Node<'a>> {
        self.advance();
        let is_marker = self.bytes[self.line.at..].starts_with(b"---");
        if self.is_done || is_marker || self.bytes[self.line.at] == b'%' {
            return None;
        }
        if matches!(self.bytes[self.line.at], b'{' | b'[') {
            let (root, after) = self.flow(self.line.at, 1, true)?;
            self.finish(after)?;
            return Some(root);
        }
        self.block(self.line.indentation(), 1)
    }

    /// Counts values; more than there may be are left to the parser that says so.
    fn count(&mut self, values: usize) -> Option<()> {
        self.values += values;
        (self.values <= MAX_VALUES).then_some(())
    }

    /// Goes to the next line that is neither blank nor a comment.
    fn advance(&mut self) {
        loop {
            if self.next >= self.bytes.len() {
                self.is_done = true;
                return;
            }
            let start = self.next;
            let end = self.line_end(start);
            self.next = end + 1;
            self.number += 1;
            let line = self.bytes[start..end].trim_ascii_end();
            let at = line
                .iter()
                .position(|&byte| byte != b' ')
                .unwrap_or(line.len());
            if at < line.len() && line[at] != b'#' {
                self.line = Line { start, at: start + at, end: start + line.len() };
                return;
            }
        }
    }

    fn line_end(&self, start: usize) -> usize {
        let rest = &self.bytes[start..];
        start
            + rest
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len())
    }

    /// Leaves the line if nothing but a comment follows `after` on it.
    fn finish(&mut self, after: usize) -> Option<()> {
        let end = self.line_end(after);
        let rest = self.bytes[after..end].trim_ascii();
        let is_comment = rest.first() == Some(&b'#') && self.bytes[after] == b' ';
        if !rest.is_empty() && !is_comment {
            return None;
        }
        self.next = end + 1;
        self.advance();
        Some(())
    }

    fn mark(&self, at: usize) -> Mark {
        let start = self.line.start;
        let column = if self.is_ascii { at - start } else { self.text[start..at].chars().count() };
        self.start.inside(self.number, column, at)
    }

    fn is_dash(&self, at: usize) -> bool {
        self.bytes[at] == b'-'
            && matches!(self.bytes.get(at + 1), None | Some(b' ' | b'\n' | b'\r'))
    }

    /// The node whose first line is this one, `indentation` columns in.
    fn block(&mut self, indentation: usize, depth: usize) -> Option<Node<'a>> {
        match self.is_dash(self.line.at) {
            true => self.sequence(indentation, depth),
            false => self.mapping(indentation, depth),
        }
    }

    fn mapping(&mut self, indentation: usize, depth: usize) -> Option<Node<'a>> {
        // Keys and values are one deeper than their mapping.
        if depth >= self.most_depth {
            return None;
        }
        let at = self.mark(self.line.at);
        let mut entries = Vec::with_capacity(4);
        loop {
            self.count(2)?;
            let key_at = self.mark(self.line.at);
            let (key, after) = self.key(self.line.at)?;
            let value = match self.skip_blanks(after) {
                Some(value) => self.inline(value, indentation, depth + 1)?,
                None => {
                    self.advance();
                    let inner = self.line.indentation();
                    if !self.is_done && inner > indentation {
                        self.block(inner, depth + 1)?
                    } else if !self.is_done && inner == indentation && self.is_dash(self.line.at) {
                        self.sequence(inner, depth + 1)?
                    } else {
                        Node { at: key_at, value: Value::Plain(Cow::Borrowed("")) }
                    }
                }
            };
            entries.push(Entry { key, at: key_at, value });
            if self.is_done || self.line.indentation() < indentation {
                break;
            }
            if self.line.indentation() > indentation || self.is_dash(self.line.at) {
                return None;
            }
        }
        Some(Node { at, value: tree::mapping(entries, Vec::new(), &mut self.faults) })
    }

    fn sequence(&mut self, indentation: usize, depth: usize) -> Option<Node<'a>> {
        if depth >= self.most_depth {
            return None;
        }
        let at = self.mark(self.line.at);
        let mut items = Vec::with_capacity(2);
        loop {
            self.count(1)?;
            let dash = self.mark(self.line.at);
            items.push(match self.skip_blanks(self.line.at + 1) {
                Some(item) if self.is_dash(item) || self.key(item).is_some() => {
                    self.line.at = item;
                    self.block(item - self.line.start, depth + 1)?
                }
                Some(item) => self.inline(item, indentation, depth + 1)?,
                None => {
                    self.advance();
                    match !self.is_done && self.line.indentation() > indentation {
                        true => self.block(self.line.indentation(), depth + 1)?,
                        false => Node { at: dash, value: Value::Plain(Cow::Borrowed("")) },
                    }
                }
            });
            if self.is_done || self.line.indentation() < indentation || !self.is_dash(self.line.at)
            {
                break;
            }
            if self.line.indentation() > indentation {
                return None;
            }
        }
        let is_over = self.is_done || self.line.indentation() <= indentation;
        is_over.then_some(Node { at, value: Value::Sequence(items) })
    }
}

/// Keys and values of one document.
const MAX_VALUES: usize = 4_000_000;

#[cfg(test)]
mod tests {
    use super::super::{stream, yaml};
    use super::*;
    use crate::model::Limits;

    /// Whether both are the same: values, and the places of all that has a text.
    fn is_same(one: &Node<'_>, other: &Node<'_>) -> bool {
        match (one.value(), other.value()) {
            _ if one.is_null() || other.is_null() => one.is_null() && other.is_null(),
            (Value::Plain(a), Value::Plain(b)) | (Value::Text(a), Value::Text(b)) => {
                a == b && one.at == other.at
            }
            (Value::Sequence(a), Value::Sequence(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
            }
            (Value::Mapping(a), Value::Mapping(b)) => {
                let is_same_entry = |(a, b): (&Entry<'_>, &Entry<'_>)| {
                    a.key == b.key && a.at == b.at && is_same(&a.value, &b.value)
                };
                one.at == other.at && a.len() == b.len() && a.iter().zip(b).all(is_same_entry)
            }
            _ => false,
        }
    }

    /// How many documents were read here, each as the other parser reads it.
    #[track_caller]
    fn assert_same(text: &str) -> usize {
        let limits = Limits::default();
        let (documents, _) = stream::split(text, 1_000);
        let mut count = 0;
        for document in documents {
            let Some(tree) = parse(document, limits.max_depth) else { continue };
            let other = yaml::parse_any(document, &limits);
            let other = other.unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
            assert!(
                is_same(&tree.root, &other.root),
                "{text:?}: {:#?} {:#?}",
                tree.root,
                other.root
            );
            assert_eq!(tree.faults.len(), other.faults.len(), "{text:?}");
            count += 1;
        }
        count
    }

    #[test]
    fn what_people_write_is_read_here() {
        for text in [
            "a: 1\nb:\n  c: x y\n  d:\n  - e\n  - f: g\n    h: i\n  -\n    j: k\nl:\n- m\n-\nn:\n",
            "# c\n\na: b # c\n  # d\nc: \"x: # y\" # e\nd: 'it''s'\ne: \"a\\\"b\\n\\u00e9\"\n",
            "a: |\n  x\n    y\n\n  ---\n  z\n\nb: |-\n  x\n\nc: |+\n  x\n\nd:\n- |\n  x\n",
            "a: {}\nb: []\nc: {d: e, f: [g, \"h\", 1], \"i\": {j: k}}\n",
            "- - a\n  - b\n- c: d\n- [e]\n",
            "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    null\n  ],\n  \"c\": {}\n}\n",
            "é: ü\nb: {é: ö, c: d}\n",
            "a: 1\r\nb:\r\n  - c\r\n  - d: \"e\"\r\n",
            "a: http://x:80/y#z\nb: -1\nc: a,b [c]\nyes: no\n1: 2\n",
        ] {
            assert_eq!(assert_same(text), 1, "{text:?}");
        }
        let dump = include_str!("../../../tests/fixtures/dump.yaml");
        assert_eq!(assert_same(dump), 1);
    }

    #[test]
    fn what_is_rare_or_wrong_is_left_to_the_other_parser() {
        for text in [
            "a: &x 1",
            "a: *x",
            "a: !t b",
            "<<: {a: 1}",
            "a: >\n  b\n",
            "a: b\n  c\n",
            "a: \"b\n  c\"\n",
            "a:\tb",
            "? a",
            "a: b: c",
            "a: b:",
            "a: |2\n   x\n",
            "a: |\n",
            "a: |\n\n  x\n",
            "a: [b\n",
            "a: [b,\n c]",
            "--- a",
            "%YAML 1.2\n---\na: 1",
            "a: 'b",
            "a: {b}",
            "a: [b: c]",
            "a: {b: c,}",
            "just text",
            "a: @b",
            "a: 1\n  b: 2\n",
            "a:\n  b: 1\n c: 2\n",
            "- a\nb: 1\n",
            "a: 1\n- b\n",
            "a: \"\\ud800\"",
            "a: \u{7}",
            "a: \u{85}b",
            "~: 1",
            "a : b",
            "a #b: c",
        ] {
            let document = stream::split(text, 9).0[0];
            assert!(parse(document, 64).is_none(), "{text:?}");
        }
        let deep: String = (0..40_000)
            .map(|depth| format!("{}a:\n", " ".repeat(depth % 200)))
            .collect();
        for text in ["[".repeat(9_000), "- ".repeat(9_000), deep] {
            assert!(parse(stream::split(&text, 9).0[0], 64).is_none());
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(2_000))]

        #[test]
        fn both_parsers_read_the_same(
            lines in proptest::collection::vec("( {0,4})(- ){0,2}([ab1é\"'~<.]{0,3}: ?)?[-ab1#:\\[\\]{}, |\"'\\\\é?!]{0,6}\r?", 0..7),
        ) {
            assert_same(&lines.join("\n"));
            assert_same(&format!("{}\n", lines.join("\n")));
        }

        #[test]
        fn both_parsers_read_the_same_json(text in "[\\[\\]{}\",:a1 \n]{0,24}") {
            assert_same(&format!("{{\"a\": {text}}}"));
        }
    }
}
