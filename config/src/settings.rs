//! The settings file: a `PorticoConfiguration` document, read strictly.
//!
//! Invariants: one document and nothing else; a key that nobody knows, a section that is no
//! mapping and a document of another kind are errors, since a setting that is silently not taken
//! is worse than a start that fails. Which settings there are, and which values they take, is told
//! by the caller; this file knows keys as text: `dns.ttl` is `ttl` inside of `dns`.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::decode::{self, distance};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::{FieldPath, Origin, Position};

/// `apiVersion` of the document.
pub const API_VERSION: &str = "portico.dev/v1alpha1";
/// `kind` of the document.
pub const KIND: &str = "PorticoConfiguration";

/// What a settings file says.
#[derive(Clone, Debug)]
pub struct Document {
    origin: Origin,
    /// Its settings in the order of their keys; what is null is absent.
    pub entries: Vec<Entry>,
    /// What is wrong with its form, by position; a document that has any is not to be used, but its
    /// entries can still be checked, so that everything is told at once.
    pub wrong: Vec<Diagnostic>,
}

/// One setting of the file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key: `dns.ttl`.
    pub key: &'static str,
    /// Its value, as written.
    pub value: Value,
    /// Where the value stands.
    pub position: Option<Position>,
}

impl Document {
    /// Reads the content of `file`, in which the keys `known` may stand; fails where it holds no
    /// mapping at all.
    pub fn read(
        file: &Arc<PathBuf>,
        content: &[u8],
        known: &[&'static str],
    ) -> Result<Self, Box<Diagnostic>> {
        let (origin, tree) = decode::only_document(file, content)?;
        let refuse = |field: &str, message: String| {
            Diagnostic::new(Code::NotSettings, message).at(&origin, FieldPath::from(field))
        };
        let Value::Object(map) = tree else {
            return Err(Box::new(refuse("", format!("is not a mapping: {BEGINNING}"))));
        };
        let mut wrong = Vec::new();
        for (key, want) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            match map.get(key) {
                Some(Value::String(found)) if found == want => {}
                None | Some(Value::Null) => {
                    wrong.push(refuse(key, format!("required value: {BEGINNING}")));
                }
                Some(_) => wrong.push(refuse(key, format!("is not {want}"))),
            }
        }
        let mut walk = Walk { known, origin: &origin, entries: Vec::new(), wrong };
        walk.section("", &map);
        let Walk { entries, mut wrong, .. } = walk;
        wrong.sort_by_key(|found| found.position);
        Ok(Self { origin, entries, wrong })
    }

    /// Says that the value of `key` is not taken: what is wrong with it or with its item `index`.
    pub fn refuse(&self, key: &str, index: Option<usize>, message: &str) -> Diagnostic {
        let field = FieldPath::from(key);
        let field = index.map_or_else(|| field.clone(), |index| field.index(index));
        Diagnostic::new(Code::InvalidSetting, message).at(&self.origin, field)
    }

    /// Says that the value of `key` counts at the next start.
    pub fn needs_restart(&self, key: &str) -> Diagnostic {
        Diagnostic::new(Code::NeedsRestart, "this change takes effect at the next start")
            .at(&self.origin, FieldPath::from(key))
    }
}

/// Says why `file` cannot be read.
pub fn unreadable(file: &Arc<PathBuf>, reason: &str) -> Diagnostic {
    Diagnostic::new(Code::Unreadable, reason).file(file, None)
}

/// Takes the document apart.
struct Walk<'a> {
    known: &'a [&'static str],
    origin: &'a Origin,
    entries: Vec<Entry>,
    wrong: Vec<Diagnostic>,
}

impl Walk<'_> {
    /// Goes through a mapping; `prefix` is empty or ends in a dot.
    fn section(&mut self, prefix: &str, map: &Map<String, Value>) {
        for (name, value) in map {
            if prefix.is_empty() && (name == "apiVersion" || name == "kind") {
                continue;
            }
            let key = format!("{prefix}{name}");
            let inner = format!("{key}.");
            if let Some(known) = self.known.iter().copied().find(|known| *known == key) {
                if !value.is_null() {
                    let position = self.origin.position(&FieldPath::from(known));
                    self.entries
                        .push(Entry { key: known, value: value.clone(), position });
                }
            } else if !self.known.iter().any(|known| known.starts_with(&inner)) {
                self.unknown(prefix, name);
            } else if let Value::Object(map) = value {
                self.section(&inner, map);
            } else if !value.is_null() {
                let names: Vec<&str> = self
                    .known
                    .iter()
                    .filter_map(|known| known.strip_prefix(&*inner))
                    .collect();
                let text = format!("is not a mapping, with any of {} in it", names.join(", "));
                let field = FieldPath::from(&*key);
                self.wrong
                    .push(Diagnostic::new(Code::InvalidSetting, text).at(self.origin, field));
            }
        }
    }

    fn unknown(&mut self, prefix: &str, name: &str) {
        let parent = FieldPath::from(prefix.trim_end_matches('.'));
        let field = parent.key(name);
        let position = self.origin.key_position(&field, name);
        let mut found = Diagnostic::new(Code::UnknownSetting, "there is no such setting")
            .at(self.origin, field);
        found.position = position;
        self.wrong.push(match self.nearest(prefix, name) {
            Some(nearest) => found.help(format!("did you mean `{nearest}`?")),
            None => found,
        });
    }

    /// The setting that was meant, whichever section and spelling it was given:
    /// `dnsTtl`, `dns-ttl` and a bare `ttl` mean `dns.ttl`.
    fn nearest(&self, prefix: &str, name: &str) -> Option<&'static str> {
        let written = [plain(&format!("{prefix}{name}")), plain(name)];
        self.known
            .iter()
            .flat_map(|known| {
                let last = known.rsplit('.').next().unwrap_or(known);
                [*known, last].map(|spelling| (*known, plain(spelling)))
            })
            .flat_map(|(known, spelling)| {
                let allowed = spelling.len() / 4;
                written
                    .iter()
                    .map(move |text| (distance(text, &spelling), known, allowed))
                    .collect::<Vec<_>>()
            })
            .filter(|(distance, _, allowed)| distance <= allowed)
            .map(|(distance, known, _)| (distance, known))
            .min()
            .map(|(_, known)| known)
    }
}

/// Letters and digits alone, in lower case.
fn plain(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

const BEGINNING: &str =
    "a settings file begins with apiVersion: portico.dev/v1alpha1 and kind: PorticoConfiguration";

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["http", "serviceCidr", "dns.listen", "dns.ttl", "ingress.controllers"];

    fn read(body: &str) -> Result<Document, Vec<String>> {
        let text = format!("apiVersion: {API_VERSION}\nkind: {KIND}\n{body}");
        whole(&text)
    }

    fn whole(text: &str) -> Result<Document, Vec<String>> {
        let document = Document::read(&Arc::new("p.yaml".into()), text.as_bytes(), KNOWN)
            .map_err(|found| vec![found.to_string()])?;
        let wrong: Vec<_> = document.wrong.iter().map(ToString::to_string).collect();
        if wrong.is_empty() { Ok(document) } else { Err(wrong) }
    }

    #[test]
    fn settings_are_found_with_their_places() {
        let document = read("http: [a]\ndns:\n  ttl: 7\n  listen: null\ningress:\n").unwrap();
        let found: Vec<_> = document
            .entries
            .iter()
            .map(|entry| (entry.key, entry.value.to_string(), entry.position))
            .collect();
        let at = |line, column| Some(Position { line, column });
        assert_eq!(
            found,
            [("dns.ttl", "7".to_owned(), at(5, 8)), ("http", r#"["a"]"#.to_owned(), at(3, 1))]
        );
    }

    #[test]
    fn every_mistake_of_form_is_found_at_its_place() {
        for (body, want) in [
            (
                "htp: []\n",
                "p.yaml:3:1: error[P0802]: htp: there is no such setting (did you mean `http`?)",
            ),
            ("dns: {tll: 5}\n", "did you mean `dns.ttl`?"),
            ("dnsTtl: 5\n", "did you mean `dns.ttl`?"),
            ("dns-ttl: 5\n", "did you mean `dns.ttl`?"),
            ("ttl: 5\n", "did you mean `dns.ttl`?"),
            ("service-cidr: a\n", "did you mean `serviceCidr`?"),
            ("controllers: a\n", "did you mean `ingress.controllers`?"),
            ("zebra: a\n", "p.yaml:3:1: error[P0802]: zebra: there is no such setting"),
            ("dns: {zebra: a}\n", "p.yaml:3:7: error[P0802]: dns.zebra: there is no such setting"),
            (
                "dns: 5\n",
                "p.yaml:3:6: error[P0803]: dns: is not a mapping, with any of listen, ttl in it",
            ),
            ("http: [\n", "error[P0103]"),
            ("http: a\nhttp: b\n", "error[P0113]"),
            ("---\nkind: Service\n", "p.yaml:4:1: error[P0801]: a second document"),
        ] {
            let found = read(body).unwrap_err();
            assert!(found[0].contains(want), "{body}: {found:?}");
        }
        for (text, want) in [
            ("", "error[P0801]: holds nothing"),
            ("just text", "p.yaml:1:1: error[P0801]: is not a mapping"),
            (
                "kind: PorticoConfiguration\n",
                "p.yaml:1:1: error[P0801]: apiVersion: required value",
            ),
            (
                "apiVersion: v1\nkind: Service\n",
                "p.yaml:1:13: error[P0801]: apiVersion: is not portico.dev/v1alpha1",
            ),
            ("a: \u{0}", "error[P0102]"),
        ] {
            let found = whole(text).unwrap_err();
            assert!(found[0].contains(want), "{text}: {found:?}");
        }
        assert_eq!(read("a: 1\nzz: 2\ndns: 3\n").unwrap_err().len(), 3, "all are told");
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Document::read(&Arc::new("p.yaml".into()), &bytes, KNOWN);
        }
    }
}
