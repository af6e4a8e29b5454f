//! A path as a regular expression, for paths of type ImplementationSpecific (`ingress 1.3`, `ingress 2.2`).
//!
//! Compiled once, with the manifest, by an engine whose time is linear in the path's length; what would
//! need another engine (look-around, back-references) or too much memory is refused. Matching allocates
//! nothing but what a rewrite asks for.

use std::fmt;

use regex::bytes::Regex;

use super::expression::bounded;

/// A compiled pattern; two of the same text are equal.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    regex: Regex,
    literal_bytes: usize,
    /// Whether anything may follow.
    is_open: bool,
}

/// The texts that a pattern's groups took: `$1` to `$9`; empty for one that took no part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Captures<'a>([&'a str; GROUPS]);

impl Pattern {
    /// Compiles a path; fails with the reason in a few words.
    pub fn new(text: &str) -> Result<Self, String> {
        let body = text.strip_suffix('/').unwrap_or(text);
        Self::with_end(text, (body, "(?:/|$)"))
    }

    /// The same in nginx mode: what follows is open (`ingress 2.2`).
    pub fn open(text: &str) -> Result<Self, String> {
        Self::with_end(text, (text, ""))
    }

    fn with_end(text: &str, (body, end): (&str, &str)) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        // From the first byte to the path's end or to the border of an element.
        let regex = bounded(&format!("^(?:{body}){end}"))
            .case_insensitive(true)
            .build()
            .map_err(|error| reason(&error))?;
        // Alone, so that no parenthesis of it closes one of ours.
        bounded(body).build().map_err(|error| reason(&error))?;
        let is_open = end.is_empty();
        Ok(Self { text: text.into(), regex, literal_bytes: literal(text).len(), is_open })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a path in its normal form is matched.
    pub fn matches(&self, path: &str) -> bool {
        self.regex.is_match(path.as_bytes())
    }

    /// What the groups took of a path; none: it is not matched.
    pub fn captures<'a>(&self, path: &'a str) -> Option<Captures<'a>> {
        let found = self.regex.captures(path.as_bytes())?;
        let mut groups = [""; GROUPS];
        for (group, place) in groups.iter_mut().zip(1..) {
            let range = found.get(place).map(|taken| taken.range());
            *group = range.and_then(|range| path.get(range)).unwrap_or_default();
        }
        Some(Captures(groups))
    }

    /// How many groups it has, of which [`Captures`] holds the first nine.
    pub fn groups(&self) -> usize {
        // The whole counts as one more.
        self.regex.captures_len().saturating_sub(1)
    }

    /// How long the text before the first metacharacter is: what counts as the path's length.
    pub fn literal_bytes(&self) -> usize {
        self.literal_bytes
    }
}

impl<'a> Captures<'a> {
    /// What group `number` took, from 1.
    pub fn get(&self, number: u8) -> &'a str {
        let place = usize::from(number).checked_sub(1);
        place
            .and_then(|place| self.0.get(place))
            .copied()
            .unwrap_or_default()
    }
}

/// The text of a pattern before its first metacharacter.
pub fn literal(text: &str) -> &str {
    let end = text.find(['\\', '^', '$', '.', '|', '?', '*', '+', '(', ')', '[', ']', '{', '}']);
    let Some(end) = end else { return text };
    // A letter that may be missing is no part of it.
    let optional = text[end..].starts_with(['?', '*', '{']);
    let last = text[..end]
        .char_indices()
        .next_back()
        .map_or(0, |(at, _)| at);
    &text[..if optional { last } else { end }]
}

/// The reason without the pattern itself, which the manifest shows.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "takes too much memory".to_owned(),
        error => {
            let text = error.to_string();
            let last = text.lines().next_back().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.is_open) == (&other.text, other.is_open)
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

const GROUPS: usize = 9;
/// `ingress 2.2`.
const MAX_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_ends_at_the_end_of_an_element() {
        for (pattern, path, want) in [
            ("/u[a-z]", "/ua", true),
            ("/u[a-z]", "/uuid", false),
            ("/u[a-z]", "/ua/x", true),
            ("/U[A-Z]", "/ua", true),
            ("/a/", "/a", true),
            ("/a/", "/ab", false),
            ("/v[0-9]+/x", "/y/v1/x", false),
            ("/a(/|$)(.*)", "/a", true),
            ("/a(/|$)(.*)", "/a/b/c", true),
            ("/a(/|$)(.*)", "/ab", false),
            ("/a|/b", "/b", true),
            ("/a|/b", "/x/b", false),
            ("/.*", "/", true),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(compiled.matches(path), want, "ingress 2.2: {pattern} {path}");
        }
    }

    #[test]
    fn an_open_pattern_ends_anywhere() {
        for (pattern, path, want) in [
            ("/u[a-z]", "/uuid", true),
            ("/U", "/uuid", true),
            ("/a/", "/a", false),
            ("/a/", "/a/b", true),
            ("/a", "/x/a", false),
            ("/a|/b", "/x/b", false),
        ] {
            let compiled = Pattern::open(pattern).unwrap();
            assert_eq!(compiled.matches(path), want, "ingress 2.2: {pattern} {path}");
        }
        assert_ne!(Pattern::open("/a"), Pattern::new("/a"));
    }

    #[test]
    fn groups_are_what_they_took() {
        let pattern = Pattern::new("/a(/|$)(.*)(x)?").unwrap();
        let taken = pattern.captures("/a/b/c").unwrap();
        assert_eq!([1, 2, 3, 9, 0, 10].map(|n| taken.get(n)), ["/", "b/c", "", "", "", ""]);
        assert_eq!(pattern.captures("/b"), None);
        let groups = |text: &str| Pattern::new(text).unwrap().groups();
        assert_eq!([groups("/a(/|$)(.*)(x)?"), groups("/a(?:b|c)"), groups("/a")], [3, 0, 0]);
    }

    #[test]
    fn what_takes_another_engine_or_too_much_is_refused() {
        for pattern in [
            "/a(?=b)",
            "/(a)\\1",
            "/a(",
            "/a)|(/b",
            "/(?:[a-z]{1000}){1000}",
            &"(".repeat(100),
            &"a".repeat(MAX_BYTES + 1),
        ] {
            assert!(Pattern::new(pattern).is_err(), "ingress 2.2, http-proxy 4.9: {pattern}");
        }
    }

    #[test]
    fn the_literal_part_ends_before_the_first_metacharacter() {
        for (text, want) in [
            ("/abc", "/abc"),
            ("/abc(/|$)(.*)", "/abc"),
            ("/abc/?(.*)", "/abc"),
            ("/ab*", "/a"),
            ("/a.b", "/a"),
            ("", ""),
            ("*", ""),
        ] {
            assert_eq!(literal(text), want, "{text}");
        }
    }
}
