//! Names that are asked as if they were others (`dns.rewrite`): the rules of CoreDNS's plugin `rewrite name`.
//!
//! ```text
//! [exact|prefix|suffix|substring|regex] FROM TO
//! ```
//!
//! Names are compared in lower case and with their final dot, as there. Pure; an expression is compiled
//! once, by an engine whose time is linear in the name's length.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use regex::bytes::Regex;

use super::expression::bounded;

/// One rule.
#[derive(Clone, Debug)]
pub struct Rewrite {
    kind: Kind,
    from: Arc<str>,
    to: Arc<str>,
    /// The compiled expression of [`Kind::Regex`].
    regex: Option<Regex>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// The whole name.
    Exact,
    /// How it begins.
    Prefix,
    /// How it ends.
    Suffix,
    /// Wherever it stands.
    Substring,
    /// What an expression finds; the whole name is replaced, with `{1}` for its groups.
    Regex,
}

impl Rewrite {
    /// What is asked in the place of `name`, which is in lower case and ends in a dot; none where the
    /// rule is not about it.
    pub fn apply(&self, name: &str) -> Option<String> {
        let (from, to) = (&*self.from, &*self.to);
        match self.kind {
            Kind::Exact => (name == from).then(|| to.to_owned()),
            Kind::Prefix => Some(format!("{to}{}", name.strip_prefix(from)?)),
            Kind::Suffix => Some(format!("{}{to}", name.strip_suffix(from)?)),
            Kind::Substring => name.contains(from).then(|| name.replace(from, to)),
            Kind::Regex => {
                let groups = self.regex.as_ref()?.captures(name.as_bytes())?;
                let mut text = to.to_owned();
                for (place, group) in groups.iter().enumerate() {
                    let taken = group.and_then(|it| std::str::from_utf8(it.as_bytes()).ok());
                    text = text.replace(&format!("{{{place}}}"), taken.unwrap_or_default());
                }
                Some(text)
            }
        }
    }

    /// The way back for a name of a reply: only where a suffix leads is it told by the name alone.
    pub fn back(&self, name: &str) -> Option<String> {
        match self.kind {
            Kind::Suffix => Some(format!("{}{}", name.strip_suffix(&*self.to)?, self.from)),
            Kind::Exact | Kind::Prefix | Kind::Substring | Kind::Regex => None,
        }
    }
}

impl PartialEq for Rewrite {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.from, &self.to) == (other.kind, &other.from, &other.to)
    }
}

impl Eq for Rewrite {}

impl FromStr for Rewrite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (kind, from, to) = match words[..] {
            [from, to] => ("exact", from, to),
            [kind, from, to] => (kind, from, to),
            _ => return Err(EXPECTED.to_owned()),
        };
        let kind = KINDS.iter().find(|(name, _)| *name == kind);
        let (_, kind) = kind.ok_or(EXPECTED)?;
        if text.len() > MAX_BYTES || !text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')) {
            return Err(format!("is longer than {MAX_BYTES} bytes, or no plain text"));
        }
        let whole = |name: &str| format!("{}.", name.trim_end_matches('.')).to_ascii_lowercase();
        let (from, to, regex) = match kind {
            Kind::Exact | Kind::Suffix => (whole(from), whole(to), None),
            Kind::Prefix | Kind::Substring => {
                (from.to_ascii_lowercase(), to.to_ascii_lowercase(), None)
            }
            Kind::Regex => {
                let regex = bounded(from)
                    .case_insensitive(true)
                    .build()
                    .map_err(|_| "FROM is no expression that can be compiled".to_owned())?;
                (from.to_owned(), to.to_ascii_lowercase(), Some(regex))
            }
        };
        Ok(Self { kind: *kind, from: from.into(), to: to.into(), regex })
    }
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS.iter().find(|(_, kind)| *kind == self.kind);
        write!(f, "{} {} {}", kind.map_or("", |(name, _)| name), self.from, self.to)
    }
}

const KINDS: [(&str, Kind); 5] = [
    ("exact", Kind::Exact),
    ("prefix", Kind::Prefix),
    ("suffix", Kind::Suffix),
    ("substring", Kind::Substring),
    ("regex", Kind::Regex),
];
const EXPECTED: &str =
    "expected FROM TO, or one of exact, prefix, suffix, substring and regex in front";
const MAX_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_as_coredns_would_ask_it() {
        let services = ".default.svc.cluster.local.";
        for (rule, name, want) in [
            ("a.test b.test", "a.test.", Some("b.test.")),
            ("exact A.test. b.test.", "a.test.", Some("b.test.")),
            ("exact a.test b.test", "x.a.test.", None),
            ("prefix old- new-", "old-web.test.", Some("new-web.test.")),
            ("prefix old- new-", "web.old-test.", None),
            ("suffix .corp.test .default.svc.cluster.local", "web.corp.test.", Some(services)),
            ("suffix .corp.test .default.svc.cluster.local", "corp.test.", None),
            ("suffix corp.test other.test", "xcorp.test.", Some("xother.test.")),
            ("substring -v1. -v2.", "web-v1.a-v1.test.", Some("web-v2.a-v2.test.")),
            (r"regex (.*)-(eu|us)\.shop\.test\.$ {1}.{2}.svc.test.", "web-eu.shop.test.", None),
            (r"regex ^(.*)\.x$ {1}.y", "a.x.", None),
        ] {
            let found = rule.parse::<Rewrite>().unwrap().apply(name);
            match (want, rule.starts_with("regex (")) {
                (_, true) => assert_eq!(found.as_deref(), Some("web.eu.svc.test."), "{rule}"),
                (Some(services), _) if services.starts_with('.') => {
                    assert_eq!(found, Some(format!("web{services}")), "{rule}");
                }
                (want, _) => assert_eq!(found.as_deref(), want, "{rule}: {name}"),
            }
        }
    }

    #[test]
    fn a_suffix_leads_back_and_nothing_else_does() {
        let suffix: Rewrite = "suffix .corp.test .svc.test".parse().unwrap();
        assert_eq!(suffix.back("a.b.svc.test.").as_deref(), Some("a.b.corp.test."));
        assert_eq!(suffix.back("svc.test."), None);
        for rule in ["a.test b.test", "prefix a b", "substring a b", "regex (a) b{1}"] {
            let rule: Rewrite = rule.parse().unwrap();
            assert_eq!(rule.back("b.test."), None, "{rule}");
            assert_eq!(rule.to_string().parse::<Rewrite>().unwrap(), rule, "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_way_out() {
        for (text, want) in [
            ("", "expected FROM TO"),
            ("a.test", "expected FROM TO"),
            ("nearly a.test b.test", "expected FROM TO"),
            ("exact a b c", "expected FROM TO"),
            ("regex (a b", "no expression"),
            ("exact ü.test b.test", "no plain text"),
        ] {
            let error = text.parse::<Rewrite>().unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
