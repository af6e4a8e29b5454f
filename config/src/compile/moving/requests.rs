//! Requests to try a path with: some that it is for, and their neighbours.
//!
//! Pure. None is promised to match: whoever asks tries it. Invariants: each is a path in its normal form
//! (`ingress 1.2`), so that portico would compare it as it is; there are so many for a path and no more.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// Requests around a path as it is written; of a pattern also texts that it matches.
pub(super) fn around(path: &str, is_pattern: bool) -> Vec<String> {
    let mut middle = vec![path.to_owned()];
    if is_pattern {
        middle.extend(examples(path));
    }
    let mut all: Vec<String> = Vec::new();
    for text in middle {
        let bare = text.trim_end_matches('/');
        let near = [text.clone(), bare.to_owned(), format!("{bare}/x"), format!("{bare}x")];
        for request in near {
            if is_normal(&request) && !all.contains(&request) {
                all.push(request);
            }
        }
    }
    all
}

/// Texts that a pattern is for: with as little as it takes, and with one of each thing that may be missing.
fn examples(pattern: &str) -> Vec<String> {
    let mut parser = ParserBuilder::new();
    parser.unicode(false).utf8(false).nest_limit(MAX_NESTING);
    let Ok(parsed) = parser.build().parse(pattern) else { return Vec::new() };
    let text = |is_full: bool| {
        let mut text = Vec::new();
        extend(&mut text, &parsed, is_full)?;
        String::from_utf8(text).ok()
    };
    [false, true].into_iter().filter_map(text).collect()
}

/// Adds what an expression takes; none where that has no end or no letter for a path.
fn extend(text: &mut Vec<u8>, expression: &Hir, is_full: bool) -> Option<()> {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.extend_from_slice(&literal.0),
        HirKind::Class(class) => text.push(letter(class)?),
        HirKind::Repetition(Repetition { min, max, sub, .. }) => {
            let least = u32::from(is_full && *max != Some(0));
            for _ in 0..least.max(*min) {
                let before = text.len();
                extend(text, sub, is_full)?;
                if text.len() == before {
                    break;
                }
            }
        }
        HirKind::Capture(capture) => extend(text, &capture.sub, is_full)?,
        HirKind::Concat(all) => {
            for one in all {
                extend(text, one, is_full)?;
            }
        }
        HirKind::Alternation(all) => {
            let one = if is_full { all.last() } else { all.first() };
            extend(text, one?, is_full)?;
        }
    }
    (text.len() <= MAX_BYTES).then_some(())
}

/// A letter of a class that may stand in a path.
fn letter(class: &Class) -> Option<u8> {
    let letters = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'A'..=b'Z');
    let mut letters = letters.chain(b"-_.~/".iter().copied());
    letters.find(|&letter| match class {
        Class::Bytes(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&letter)),
        Class::Unicode(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&char::from(letter))),
    })
}

/// Whether a path is in its normal form.
fn is_normal(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    let mut elements = path.split('/');
    elements.next() == Some("")
        && !elements.any(|element| matches!(element, "." | ".."))
        && !path.contains("//")
        && path.len() <= MAX_BYTES
        && !path.is_empty()
        && path.bytes().all(plain)
}

/// Of a request; longer ones show nothing that a person would read.
const MAX_BYTES: usize = 200;
/// That of patterns (`ingress 2.2`).
const MAX_NESTING: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Pattern;

    #[test]
    fn a_pattern_has_examples_that_it_matches() {
        for (pattern, want) in [
            ("/foo/bar/[a-z]{3}", &["/foo/bar/aaa", "/foo/bar/aaa"][..]),
            ("/api(/|$)(.*)", &["/api/", "/apia"]),
            ("/v[0-9]+/x?", &["/v0/", "/v0/x"]),
            ("/(?:one|two)", &["/one", "/two"]),
            ("/a.b", &["/aab", "/aab"]),
            ("/(", &[]),
            ("/a{1000}{1000}", &[]),
            ("/(?:){1000}{1000}{1000}", &["/", "/"]),
        ] {
            assert_eq!(examples(pattern), want, "ingress 3: {pattern}");
        }
        let least = examples("/shop/[^/]+/(?:list|items)").swap_remove(0);
        assert!(
            Pattern::new("/shop/[^/]+/(?:list|items)")
                .unwrap()
                .matches(&least),
            "{least}"
        );
    }

    #[test]
    fn requests_are_paths_that_are_compared_as_they_are() {
        for (path, is_pattern, want) in [
            ("/", false, &["/", "/x"][..]),
            ("/foo/", false, &["/foo/", "/foo", "/foo/x", "/foox"]),
            ("/a//b", false, &[]),
            ("/u[a-z]", true, &["/ua", "/ua/x", "/uax"]),
            ("/a b", false, &[]),
        ] {
            assert_eq!(around(path, is_pattern), want, "ingress 1.2: {path}");
        }
    }
}
