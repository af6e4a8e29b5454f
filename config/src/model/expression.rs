//! Regular expressions that manifests and settings bring.
//!
//! Invariants: the engine's time is linear in the length of what is searched, its memory and nesting are bounded, and
//! it compares bytes: neither a path nor a name has to be text. What an expression is about is its user's matter.

use regex::bytes::RegexBuilder;

/// One that is to be compiled, with the bounds of all.
pub(super) fn bounded(text: &str) -> RegexBuilder {
    let mut builder = RegexBuilder::new(text);
    builder
        .unicode(false)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .nest_limit(MAX_NESTING);
    builder
}

/// `ingress 2.2`.
const MAX_COMPILED_BYTES: usize = 1 << 20;
const MAX_NESTING: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_nesting_are_bounded() {
        for (case, text, want) in [
            ("an honest one", "^/shop/[a-z]{1,40}$".to_owned(), true),
            ("a large one", "(?:[a-z]{1,500}){1,500}".to_owned(), false),
            ("a deep one", format!("{}a{}", "(".repeat(60), ")".repeat(60)), false),
        ] {
            assert_eq!(bounded(&text).build().is_ok(), want, "{case}");
        }
    }
}
