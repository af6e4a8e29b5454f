//! Which parts of a document may be shown to a person: everything but what Secrets hold.
//!
//! Invariants: what is not certain is hidden. In a Secret only keys are shown, its type and its
//! names; comments beside it are not. A document that cannot be parsed and may hold a Secret shows
//! the keys at the beginning of its lines and nothing else.

use std::borrow::Cow;
use std::ops::Range;

use serde_saphyr::granit_parser::{BorrowedInput, Event, Marker, Parser};

/// What of one document's text is hidden.
#[derive(Debug)]
pub(crate) enum Hidden {
    /// Nothing: there is no Secret in it.
    Nothing,
    /// What these values are and every comment; `seen` are the tokens that hold no comment.
    Values {
        /// Values of Secrets, in the order of the text.
        hidden: Vec<Place>,
        /// Every other scalar.
        seen: Vec<Place>,
    },
    /// All but keys: it may hold a Secret and cannot be parsed.
    AllButKeys,
}

/// A token: lines from 1 and columns in characters from 0; the end is exclusive.
pub(crate) type Place = Range<(usize, usize)>;

impl Hidden {
    /// Looks through a document.
    pub(crate) fn of(document: &str) -> Self {
        let mut walk = Walk { parser: Parser::new_from_str(document), leaves: Vec::new() };
        match walk.document() {
            Some(false) => Self::Nothing,
            Some(true) => {
                let places = |hidden| {
                    let leaves = walk.leaves.iter().filter(move |leaf| leaf.hidden == hidden);
                    leaves.map(|leaf| leaf.place.clone()).collect()
                };
                Self::Values { hidden: places(true), seen: places(false) }
            }
            None if may_hold_a_secret(document) => Self::AllButKeys,
            None => Self::Nothing,
        }
    }

    /// The hidden columns of a line (from 1 within the document), in order; columns from 0.
    pub(crate) fn columns(&self, number: usize, line: &str) -> Vec<Range<usize>> {
        let length = line.chars().count();
        match self {
            Self::Nothing => Vec::new(),
            Self::AllButKeys => {
                let rest = after_key(line)..length;
                Some(rest)
                    .filter(|rest| !rest.is_empty())
                    .into_iter()
                    .collect()
            }
            Self::Values { hidden, seen } => {
                let mut columns = on_line(hidden, number, length);
                let seen = on_line(seen, number, length);
                let tokens = columns.iter().chain(&seen);
                let comment = comment(line, &tokens.cloned().collect::<Vec<_>>());
                columns.extend(comment.map(|start| start..length));
                columns.retain(|range| !range.is_empty());
                columns.sort_by_key(|range| range.start);
                columns
            }
        }
    }
}

/// The parts of places, which are in the order of the text, that are on one line.
fn on_line(places: &[Place], number: usize, length: usize) -> Vec<Range<usize>> {
    let first = places.partition_point(|place| place.end.0 < number);
    places[first..]
        .iter()
        .take_while(|place| place.start.0 <= number)
        .map(|place| {
            let start = if place.start.0 == number { place.start.1 } else { 0 };
            let end = if place.end.0 == number { place.end.1 } else { length };
            start.min(length)..end.min(length)
        })
        .collect()
}

/// Where a comment begins: a `#` after a blank and outside of every token.
fn comment(line: &str, tokens: &[Range<usize>]) -> Option<usize> {
    let mut after_blank = true;
    for (column, character) in line.chars().enumerate() {
        let in_token = tokens.iter().any(|token| token.contains(&column));
        if character == '#' && after_blank && !in_token {
            return Some(column);
        }
        after_blank = character.is_whitespace();
    }
    None
}

/// The column after a line's key and colon; 0 where it does not begin with a key.
fn after_key(line: &str) -> usize {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "._/-\"'".contains(c);
    let start = line.chars().take_while(|c| matches!(c, ' ' | '-')).count();
    let key = line.chars().skip(start).take_while(|c| is_key(*c)).count();
    let mut rest = line.chars().skip(start + key);
    let is_colon = key > 0 && rest.next() == Some(':');
    if is_colon && rest.next().is_none_or(char::is_whitespace) { start + key + 1 } else { 0 }
}

/// Whether a text that cannot be parsed may be a Secret's: also one that is half written.
pub(crate) fn may_hold_a_secret(document: &str) -> bool {
    let lower = document.to_ascii_lowercase();
    lower.replace("secretname", "").contains("secret")
        || ["\ndata", "\nstringdata", "\"data\"", "private key", "\\u", "\\x"]
            .iter()
            .any(|word| lower.contains(word))
        || lower.starts_with("data")
}

/// A scalar that has been passed.
struct Leaf {
    place: Place,
    /// The key that it is the value of, and that key's parent.
    path: [Option<Name>; 2],
    is_key: bool,
    hidden: bool,
}

/// What of a key decides whether its value may be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    /// `apiVersion`, `kind`, `type`, `immutable`.
    Plain,
    /// `metadata`.
    Metadata,
    /// `name`, `namespace`, `creationTimestamp`, `labels`.
    Identity,
    Other,
}

impl Name {
    fn of(key: &str) -> Self {
        match key {
            "apiVersion" | "kind" | "type" | "immutable" => Self::Plain,
            "metadata" => Self::Metadata,
            "name" | "namespace" | "creationTimestamp" => Self::Identity,
            _ => Self::Other,
        }
    }
}

struct Walk<'a, I: BorrowedInput<'a>> {
    parser: Parser<'a, I>,
    leaves: Vec<Leaf>,
}

impl<'a, I: BorrowedInput<'a>> Walk<'a, I> {
    /// Whether there is a Secret in the document; `None` if it cannot be read to its end.
    fn document(&mut self) -> Option<bool> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd => return Some(false),
                event => {
                    let found = self.node(&event, &span, [None, None], 0)?;
                    // What follows must be readable too.
                    while !matches!(self.next()?.0, Event::StreamEnd) {}
                    return Some(found);
                }
            }
        }
    }

    fn next(&mut self) -> Option<(Event<'a>, Place)> {
        let (event, span) = self.parser.next_event()?.ok()?;
        let place = |mark: &Marker| (mark.line(), mark.col());
        Some((event, place(&span.start)..place(&span.end)))
    }

    /// Passes over a node that has just begun; whether a Secret is in it.
    fn node(
        &mut self,
        event: &Event<'a>,
        place: &Place,
        path: [Option<Name>; 2],
        depth: usize,
    ) -> Option<bool> {
        if depth > MAX_DEPTH {
            return None;
        }
        match event {
            Event::MappingStart(..) => self.mapping(path[1], depth),
            Event::SequenceStart(..) => {
                let mut found = false;
                loop {
                    let (event, place) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        return Some(found);
                    }
                    found |= self.node(&event, &place, [path[0], Some(Name::Other)], depth + 1)?;
                }
            }
            _ => {
                let place = place.clone();
                self.leaves
                    .push(Leaf { place, path, is_key: false, hidden: false });
                Some(false)
            }
        }
    }

    fn mapping(&mut self, parent: Option<Name>, depth: usize) -> Option<bool> {
        let (mut found, mut is_secret) = (false, false);
        let first = self.leaves.len();
        loop {
            let (key, place) = self.next()?;
            let name = match &key {
                Event::MappingEnd => break,
                Event::Scalar(text, ..) => text.clone(),
                _ => {
                    found |= self.node(&key, &place, [parent, Some(Name::Other)], depth + 1)?;
                    Cow::Borrowed("")
                }
            };
            if matches!(key, Event::Scalar(..)) {
                let path = [parent, None];
                self.leaves
                    .push(Leaf { place, path, is_key: true, hidden: false });
            }
            let (value, place) = self.next()?;
            if let Event::Scalar(kind, ..) = &value {
                is_secret |= name == "kind" && kind.to_ascii_lowercase().contains("secret");
            }
            let path = [parent, Some(Name::of(&name))];
            found |= self.node(&value, &place, path, depth + 1)?;
        }
        if is_secret {
            for leaf in &mut self.leaves[first..] {
                leaf.hidden = !leaf.is_key && !is_shown(leaf.path, parent);
            }
        }
        Some(found || is_secret)
    }
}

/// Whether a value of a Secret is its type or name; `parent` is the key that holds the Secret.
fn is_shown(path: [Option<Name>; 2], parent: Option<Name>) -> bool {
    match path {
        [above, Some(Name::Plain)] => above == parent,
        [Some(Name::Metadata), Some(Name::Identity)] => true,
        _ => false,
    }
}

/// Deeper documents are refused by `decode`.
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::Hidden;

    /// The document with what is hidden as `#`.
    fn shown(document: &str) -> String {
        let hidden = Hidden::of(document);
        let mut text = String::new();
        for (line, number) in document.lines().zip(1..) {
            let columns = hidden.columns(number, line);
            for (column, character) in line.chars().enumerate() {
                let is_hidden = columns.iter().any(|range| range.contains(&column));
                text.push(if is_hidden && character != ' ' { '#' } else { character });
            }
            text.push('\n');
        }
        text
    }

    #[test]
    fn of_a_secret_keys_type_and_names_are_shown() {
        for (document, want) in [
            (
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\n  annotations: {a: hunter}\n\
                 type: Opaque\ndata:\n  password: aGVsbG8= # hello\nstringData: {pin: '1#2', b: 3}\n",
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\n  annotations: {a: ######}\n\
                 type: Opaque\ndata:\n  password: ######## # #####\nstringData: {pin: #####, b: #}\n",
            ),
            (
                "stringData:\n  key: |\n    one: x\n    two\n  type: x\n  name: y\nkind: Secret\n",
                "stringData:\n  key: |\n    #### #\n    ###\n  type: #\n  name: #\nkind: Secret\n",
            ),
            ("kind: Service\nspec: {a: b} # c\n", "kind: Service\nspec: {a: b} # c\n"),
            (
                "kind: List\nitems:\n- {kind: Pod, data: a}\n- {data: [b, {c: d}], kind: Secret}\n",
                "kind: List\nitems:\n- {kind: Pod, data: a}\n- {data: [#, {c: #}], kind: Secret}\n",
            ),
            (
                "kind: SecretList\nitems:\n- data: {a: b}\n",
                "kind: SecretList\nitems:\n- data: {a: #}\n",
            ),
        ] {
            assert_eq!(shown(document), want);
        }
    }

    #[test]
    fn what_cannot_be_parsed_and_may_be_a_secret_shows_keys_alone() {
        for (document, want) in [
            (
                "kind: Secret\ndata:\n  pin: 12: 34\n  two words\n",
                "kind: ######\ndata:\n  pin: ### ##\n  ### #####\n",
            ),
            ("kind: Secre\ndata:\n  pin: [\n", "kind: #####\ndata:\n  pin: #\n"),
            ("kind: Ingress\ntls: {secretName: a\n", "kind: Ingress\ntls: {secretName: a\n"),
        ] {
            assert_eq!(shown(document), want);
        }
        let deep = format!("kind: Secret\ndata: {}", "[".repeat(100_000));
        assert!(matches!(Hidden::of(&deep), Hidden::AllButKeys));
    }
}
