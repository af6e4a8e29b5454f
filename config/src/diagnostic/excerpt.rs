//! The line that a finding is about, as it may be shown to a person.
//!
//! `content of a file ─▶ SourceText ─▶ Excerpt { line, what to underline }`. Invariants: values of
//! Secrets are never in an excerpt; a document is looked through once, however many of its
//! lines are shown. How an excerpt is drawn is the binary's work.

use std::cell::OnceCell;
use std::ops::Range;

use super::Position;
use crate::location::Hidden;

/// The text of a file, cut into lines and documents.
#[derive(Debug)]
pub struct SourceText {
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    documents: Vec<Document>,
}

#[derive(Debug)]
struct Document {
    /// Its lines, from 0.
    lines: Range<usize>,
    hidden: OnceCell<Hidden>,
}

/// One line and the part of it that is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Excerpt {
    /// The line without its end; values of Secrets are replaced.
    pub line: String,
    /// Bytes of `line`: the value, or the key, that begins at the position. Never empty, but for
    /// a position at the line's end.
    pub span: Range<usize>,
}

impl SourceText {
    /// Takes what was read; bytes that are no UTF-8 become U+FFFD.
    pub fn new(content: &[u8]) -> Self {
        let text = String::from_utf8_lossy(content);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines: Vec<usize> = [0].into_iter().chain(starts).collect();
        let mut documents = Vec::new();
        let mut first = 0;
        for (line, start) in lines.iter().enumerate().skip(1) {
            let rest = &text[*start..];
            if rest.starts_with("---") || rest.starts_with("...") {
                documents.push(Document { lines: first..line, hidden: OnceCell::new() });
                first = line;
            }
        }
        documents.push(Document { lines: first..lines.len(), hidden: OnceCell::new() });
        Self { text, lines, documents }
    }

    /// The line of a position; `None` if the file has no such line.
    pub fn excerpt(&self, position: Position) -> Option<Excerpt> {
        let number = usize::try_from(position.line).ok()?.checked_sub(1)?;
        let line = self.line(number)?;
        let start = usize::try_from(position.column).ok()?.saturating_sub(1);
        let at = self
            .documents
            .partition_point(|document| document.lines.end <= number);
        let document = self.documents.get(at)?;
        let hidden = document
            .hidden
            .get_or_init(|| Hidden::of(&self.document(document)));
        let columns = hidden.columns(number - document.lines.start + 1, line);
        Some(masked(line, start..start + token(line, start), &columns))
    }

    fn line(&self, number: usize) -> Option<&str> {
        let start = *self.lines.get(number)?;
        let end = self
            .lines
            .get(number + 1)
            .copied()
            .unwrap_or(self.text.len());
        Some(self.text[start..end].trim_end_matches(['\n', '\r']))
    }

    /// A document's text, its `---` blanked out: another line than the first may hold one too.
    fn document(&self, document: &Document) -> String {
        let start = self.lines[document.lines.start];
        let end = self.lines.get(document.lines.end).copied();
        let text = &self.text[start..end.unwrap_or(self.text.len())];
        match text
            .strip_prefix("---")
            .or_else(|| text.strip_prefix("..."))
        {
            Some(rest) => format!("   {rest}"),
            None => text.to_owned(),
        }
    }
}

/// How many characters the token at a column has: a quoted text with its quotes, a key, or a plain
/// value up to a comment or, in flow style, the next comma or bracket.
fn token(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(column).collect();
    let before: Vec<char> = line.chars().take(column).collect();
    let count = |wanted: &[char]| before.iter().filter(|c| wanted.contains(c)).count();
    let in_flow = count(&['{', '[']) > count(&['}', ']']);
    let blank_or_end = |at: usize| rest.get(at).is_none_or(|c| c.is_whitespace());
    let end = match rest.first() {
        None => 0,
        Some(quote @ ('"' | '\'')) => quoted(&rest, *quote),
        Some('{' | '[' | '-' | '|' | '>') if blank_or_end(1) || rest[0] != '-' => 1,
        Some(_) => rest
            .iter()
            .enumerate()
            .position(|(at, c)| match c {
                ':' => blank_or_end(at + 1),
                '#' => at > 0 && rest[at - 1].is_whitespace(),
                ',' | ']' | '}' => in_flow,
                _ => false,
            })
            .unwrap_or(rest.len()),
    };
    let text = &rest[..end];
    let blanks = text.iter().rev().take_while(|c| c.is_whitespace()).count();
    // The last line of a flow collection that began on another line.
    let is_flow_end = end == rest.len() && !in_flow && text.ends_with(&[',']);
    (end - blanks - usize::from(is_flow_end)).max(usize::from(!rest.is_empty()))
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' if quote == '"' => at += 1,
            c if c == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

/// Replaces hidden columns and keeps `span` on what it meant.
fn masked(line: &str, span: Range<usize>, hidden: &[Range<usize>]) -> Excerpt {
    let mut text = String::with_capacity(line.len());
    let (mut start, mut end) = (None, None);
    let mut until = 0;
    let length = line.chars().count();
    for (column, character) in line.chars().chain(['\n']).enumerate() {
        let inside = hidden.iter().find(|range| range.contains(&column));
        let from = text.len();
        match inside {
            Some(range) if column >= until => {
                text.push_str(MASK);
                until = range.end;
            }
            None if column < length => text.push(character),
            _ => {}
        }
        // A span that begins or ends inside of a mask takes in all of it.
        if start.is_none() && column >= span.start && (inside.is_none() || from < text.len()) {
            start = Some(from);
        } else if start.is_none() && column >= span.start {
            start = Some(from.saturating_sub(MASK.len()));
        }
        if column < span.end {
            end = Some(text.len());
        }
    }
    let start = start.unwrap_or(text.len());
    Excerpt { span: start..end.unwrap_or(start).max(start), line: text }
}

/// Stands for what a Secret holds.
const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::{Excerpt, SourceText};
    use crate::location::Position;

    fn underlined(text: &str, line: u32, column: u32) -> Option<(String, String)> {
        let Excerpt { line, span } =
            SourceText::new(text.as_bytes()).excerpt(Position { line, column })?;
        Some((line[span].to_owned(), line))
    }

    #[test]
    fn a_value_or_key_is_underlined_to_its_end() {
        for (line, column, want) in [
            ("  nodePort: 80", 13, "80"),
            ("  nodePort: 80 # low", 13, "80"),
            ("  name: two words  ", 9, "two words"),
            ("  nodePort: 80", 3, "nodePort"),
            ("  - {port: 80, name: b}", 12, "80"),
            ("  - {port: 80, name: b}", 22, "b"),
            ("  - {port: 80}", 5, "{"),
            ("  host: \"a # \\\" b\" # c", 9, "\"a # \\\" b\""),
            ("  host: 'open", 9, "'open"),
            ("  list: a,b]", 9, "a,b]"),
            ("  \"port\": 80,", 11, "80"),
            ("  url: http://a#b", 8, "http://a#b"),
            ("  - web", 3, "-"),
            ("  -80", 3, "-80"),
            ("é: ü", 4, "ü"),
            ("a:", 3, ""),
            ("a", 9, ""),
        ] {
            let found = underlined(line, 1, column).unwrap();
            assert_eq!(found, (want.to_owned(), line.to_owned()), "{line} {column}");
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let text = "\u{feff}a: 1\r\n---\nb: 2\n...\nc: 3";
        for (line, want) in [(1, "a: 1"), (2, "---"), (3, "b: 2"), (5, "c: 3")] {
            assert_eq!(underlined(text, line, 1).unwrap().1, want);
        }
        for line in [0, 6, u32::MAX] {
            assert_eq!(underlined(text, line, 1), None);
        }
    }

    #[test]
    fn values_of_secrets_are_masked_and_the_mask_is_underlined() {
        let text = "kind: Service\nspec: seen\n--- # two\nkind: Secret\ndata: {a: c2VjcmV0, b: eA==}\n\
                    stringData:\n  key: |\n    line: one\n";
        for (line, column, want) in [
            (2, 7, ("seen", "spec: seen")),
            (5, 11, ("***", "data: {a: ***, b: ***}")),
            (5, 24, ("***", "data: {a: ***, b: ***}")),
            (5, 14, ("***", "data: {a: ***, b: ***}")),
            (5, 8, ("a", "data: {a: ***, b: ***}")),
            (7, 8, ("|", "  key: |")),
            (8, 5, ("***", "    ***")),
        ] {
            let (found, shown) = underlined(text, line, column).unwrap();
            assert_eq!((&*found, &*shown), want, "{line}:{column}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_and_no_position_panics(
            text in "(kind: Secret\n)?[a-z:\\-#{}\\[\\]\"'| \n\u{e9}]{0,80}", line in 0_u32..9, column in 0_u32..99,
        ) {
            if let Some((found, shown)) = underlined(&text, line, column) {
                proptest::prop_assert!(shown.contains(&found));
            }
        }
    }
}
