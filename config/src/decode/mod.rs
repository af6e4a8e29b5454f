//! Bytes to API objects.
//!
//! ```text
//! bytes ─▶ text ─▶ documents ─▶ tree ─▶ items of a List ─▶ typed object
//! ```
//!
//! A stream is split at its `---` lines first, so that one broken document costs only itself; an
//! item of a `List` that cannot be read costs only itself too. Invariants: no input panics, and
//! none costs more than the limits at the end of this file allow.

mod document;
mod kinds;
mod known_fields;

pub(crate) use known_fields::distance;

use std::sync::Arc;

use crate::api::Object;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::{FieldPath, FileName, Origin, Position};

/// An object and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    /// What the manifest says.
    pub(crate) object: Arc<Object>,
    /// Where it says so.
    pub(crate) origin: Origin,
}

/// All that one file holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecodedFile {
    /// Its objects in the order of the file.
    pub(crate) objects: Vec<Decoded>,
    /// What is wrong with it.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Whether a document of it could not be read: objects that this file held before and that do
    /// not stand in `objects` now keep their last good version.
    pub(crate) incomplete: bool,
}

impl DecodedFile {
    fn refuse(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
        self.incomplete = true;
    }
}

/// Decodes the content of one file.
pub(crate) fn decode(file: &FileName, content: &[u8]) -> DecodedFile {
    let mut decoded = DecodedFile::default();
    let text = match text(content) {
        Ok(text) => text,
        Err((message, position)) => {
            decoded.refuse(Diagnostic::new(Code::NotText, message).file(file, position));
            return decoded;
        }
    };
    for (first_line, text) in split(text) {
        document::decode(file, first_line, &text, &mut decoded);
    }
    decoded
}

/// The origin and tree of the only document of a file; fails where it holds none or more.
pub(crate) fn only_document(
    file: &FileName,
    content: &[u8],
) -> Result<(Origin, serde_json::Value), Box<Diagnostic>> {
    let refuse =
        |code, message: String, at| Box::new(Diagnostic::new(code, message).file(file, at));
    let not_settings = |line, message: &str| {
        refuse(Code::NotSettings, message.to_owned(), Some(Position { line, column: 1 }))
    };
    let text = text(content).map_err(|(message, at)| refuse(Code::NotText, message, at))?;
    let mut documents = split(text).into_iter();
    let Some((first_line, text)) = documents.next() else {
        return Err(not_settings(1, "holds nothing"));
    };
    if let Some((line, _)) = documents.next() {
        return Err(not_settings(line, "a second document begins: one alone counts"));
    }
    let tree = document::parse(file, first_line, &text)?;
    let (file, prefix) = (Arc::clone(file), FieldPath::default());
    Ok((Origin { file, text: text.into(), first_line, prefix, index: 0 }, tree))
}

/// The text of a file, without its byte order mark.
fn text(content: &[u8]) -> Result<&str, (String, Option<Position>)> {
    if content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]) {
        return Err(("is UTF-16: save it as UTF-8".to_owned(), None));
    }
    let content = content
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(content);
    let place = |offset: usize| {
        let before = &content[..offset];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before
            .iter()
            .rev()
            .take_while(|&&byte| byte != b'\n')
            .count()
            + 1;
        let number = |value| u32::try_from(value).unwrap_or(u32::MAX);
        Some(Position { line: number(line), column: number(column) })
    };
    if let Some(offset) = content.iter().position(|&byte| byte == 0) {
        return Err(("holds a NUL byte: it is not a text file".to_owned(), place(offset)));
    }
    std::str::from_utf8(content)
        .map_err(|error| ("is not valid UTF-8".to_owned(), place(error.valid_up_to())))
}

/// The documents of a stream with the line on which each begins; those without content are left
/// out.
fn split(text: &str) -> Vec<(u32, String)> {
    let mut documents = Vec::new();
    let mut current = (1, String::new());
    for (line, number) in text.split_inclusive('\n').zip(1_u32..) {
        let bare = line.trim_end();
        let marker = |marker: &str| {
            let rest = bare.strip_prefix(marker)?;
            (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
        };
        if let Some(rest) = marker("---") {
            documents.push(std::mem::take(&mut current));
            // What follows on the marker's own line belongs to the document.
            current = (number, format!("   {rest}\n"));
        } else if marker("...").is_some() {
            documents.push(std::mem::take(&mut current));
            current = (number + 1, String::new());
        } else if !bare.starts_with('%') {
            current.1.push_str(line);
        } else {
            current.1.push('\n');
        }
    }
    documents.push(current);
    documents.retain(|(_, text)| has_content(text));
    documents
}

fn has_content(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .any(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DecodedFile {
        decode(&Arc::new("f.yaml".into()), text.as_bytes())
    }

    fn messages(decoded: &DecodedFile) -> Vec<String> {
        decoded
            .diagnostics
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";

    #[test]
    fn documents_stand_alone_and_keep_their_lines() {
        let text = format!("# head\n---\n{SERVICE}--- # two\nkind: [\n---\n{SERVICE}...\n");
        let decoded = read(&text.replacen("name: a", "name: z", 1));
        assert_eq!(decoded.objects.len(), 2);
        assert!(decoded.incomplete);
        let found = messages(&decoded);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("f.yaml:7:") || found[0].starts_with("f.yaml:8:"),
            "{found:?}"
        );
    }

    #[test]
    fn lists_are_taken_apart_and_unused_kinds_are_noted_once() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  \
                    metadata: {name: x}\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: \
                    {name: y}\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec: \
                    {ports: [{port: 1, prot: TCP}]}\n- apiVersion: v1\n  kind: Pod\n  metadata: \
                    {name: [p]}\n";
        let decoded = read(text);
        let found = messages(&decoded);
        assert_eq!(decoded.objects.len(), 1, "{found:?}");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("note[P0111]: ") && found[0].contains("Deployment"), "{found:?}");
        let want = "f.yaml:13:28: warning[P0110]: Service default/a: spec.ports[0].prot: ";
        assert!(found[1].starts_with(want), "{found:?}");
        assert!(found[1].contains("did you mean `port`"), "{found:?}");
        assert!(
            found[2].contains("error[P0108]: ") && found[2].contains("metadata.name"),
            "{found:?}"
        );
    }

    #[test]
    fn mistakes_say_what_they_are_and_where() {
        for (text, want) in [
            ("kind: Service\nmetadata: {name: a}\n", "f.yaml:1:1: error[P0106]: apiVersion: "),
            ("apiVersion: v1\nmetadata: {name: a}\n", "f.yaml:1:1: error[P0106]: kind: "),
            ("apiVersion: v1\nkind: Service\n", "metadata.name: required value"),
            (
                "apiVersion: v1\nkind: Service\nmetadata: {generateName: a-}\n",
                "metadata.generateName is not used: give the object a name",
            ),
            ("just text\n", "f.yaml:1:1: error[P0105]: is not a mapping"),
            ("a: 1\na: 2\n", "duplicate"),
            ("apiVersion: v1\nkind: Service\n\tmetadata: {}\n", "tab"),
            (
                "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
                "write networking.k8s.io/v1",
            ),
            (
                "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: many\n",
                "f.yaml:6:11: error[P0108]: Service default/a: spec.ports[0].port: ",
            ),
        ] {
            let found = messages(&read(text));
            assert!(found.iter().any(|found| found.contains(want)), "{text:?}: {found:?}");
        }
        for (bytes, want) in [
            (&b"a: \xff"[..], "f.yaml:1:4: error[P0102]: is not valid UTF-8"),
            (b"\xff\xfea\0", "UTF-16"),
            (b"a: 1\n\0", "f.yaml:2:1: error[P0102]: holds a NUL byte"),
        ] {
            let found = messages(&decode(&Arc::new("f.yaml".into()), bytes));
            assert!(found[0].contains(want), "{found:?}");
        }
    }

    #[test]
    fn what_a_secret_holds_stands_in_no_message() {
        for value in ["12345", "[12345]", "{a: 12345}"] {
            let text = format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{pin: {value}}}\n"
            );
            let found = messages(&read(&text));
            assert!(found[0].contains("[P0108]: Secret default/a: data.pin: "), "{found:?}");
            assert!(!found[0].contains("12345"), "{found:?}");
        }
    }

    #[test]
    fn null_is_absent_and_json_is_yaml() {
        let text = "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\", \
                    \"labels\": null}, \"spec\": {\"ports\": null, \"selector\": null}}";
        let decoded = read(text);
        assert_eq!((decoded.objects.len(), messages(&decoded)), (1, vec![]));
        let crlf = read(&format!("\u{feff}{}", SERVICE.replace('\n', "\r\n")));
        assert_eq!((crlf.objects.len(), messages(&crlf)), (1, vec![]));
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for n in 1..9 {
            let list = vec![format!("*a{}", n - 1); 9].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{list}]\n"));
        }
        let deep = "[".repeat(100_000);
        let nested: String = (0..10_000)
            .map(|n| format!("{}a:\n", " ".repeat(n % 300)))
            .collect();
        for text in [bomb, deep, nested] {
            let decoded = read(&text);
            assert!(decoded.incomplete && decoded.objects.is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
                           cut in 0_usize..60) {
            let _ = decode(&Arc::new("f.yaml".into()), &bytes);
            let mixed = [&SERVICE.as_bytes()[..cut.min(SERVICE.len())], &bytes].concat();
            let _ = decode(&Arc::new("f.yaml".into()), &mixed);
        }
    }
}
