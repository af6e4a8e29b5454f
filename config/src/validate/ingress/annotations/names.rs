//! Further names of the hosts of an Ingress: `server-alias` and `from-to-www-redirect`
//! (`ingress 2.4`).
//!
//! Tuning: an entry that is no name has no effect, and is told.

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::HostPattern;
use crate::validate::names;

impl Reader<'_> {
    /// The names of `server-alias`, each once.
    pub(super) fn aliases(&mut self) -> Box<[HostPattern]> {
        let Some((name, list)) = self.first(&["server-alias"]) else { return Box::default() };
        let entries = list.split(',').map(str::trim);
        let mut aliases = Vec::new();
        for (number, entry) in (1..).zip(entries.filter(|entry| !entry.is_empty())) {
            if number > MAX_ALIASES {
                let text =
                    format!("has more than {MAX_ALIASES} entries: the others have no effect");
                self.find(Code::InvalidIngressAnnotation, name, text, None);
                break;
            }
            match alias(entry) {
                Ok(alias) if aliases.contains(&alias) => {}
                Ok(alias) => aliases.push(alias),
                Err((code, why)) => {
                    self.find(code, name, format!("entry {number} {why}: it has no effect"), None);
                }
            }
        }
        aliases.into()
    }
}

/// One further name.
fn alias(text: &str) -> Result<HostPattern, (Code, &'static str)> {
    if text.starts_with('~') {
        return Err((Code::AnnotationRefused, "is a pattern, and hosts are names alone"));
    }
    let lower = text.to_ascii_lowercase();
    let grammar = if lower.starts_with("*.") { names::wildcard } else { names::domain };
    match grammar(&lower) {
        Ok(()) => Ok(HostPattern::parse(&lower)),
        Err(_) => Err((Code::InvalidIngressAnnotation, "is no name of a host")),
    }
}

/// `ingress 6.9`.
const MAX_ALIASES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn aliases_are_names_and_wildcards_of_one_label() {
        let read = of(&[("server-alias", "b.test, *.C.test ,b.test,,")]);
        assert_eq!(read.findings, []);
        let want = [HostPattern::parse("b.test"), HostPattern::parse("*.c.test")];
        assert_eq!(*read.aliases, want, "ingress 2.4: server-alias");
        for (entry, code) in [
            ("~^www[0-9]+\\.test$", Code::AnnotationRefused),
            ("a b", Code::InvalidIngressAnnotation),
            ("a.test; return 200", Code::InvalidIngressAnnotation),
            ("*", Code::InvalidIngressAnnotation),
            ("a.*.test", Code::InvalidIngressAnnotation),
        ] {
            let read = of(&[("server-alias", &format!("{entry}, good.test"))]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, [code], "ingress 2.6: {entry}");
            assert_eq!(*read.aliases, [HostPattern::parse("good.test")], "{entry}");
            assert_eq!(read.policy.closed, None);
        }
        let many = "a.test,".repeat(MAX_ALIASES + 1);
        let read = of(&[("server-alias", &many)]);
        assert_eq!(read.findings[0].code, Code::InvalidIngressAnnotation, "ingress 6.9");
    }
}
