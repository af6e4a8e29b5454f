//! A finding as compilers show one: the line, a caret under the value, and the way out.
//!
//! ```text
//! error[P0304]: spec.ports[0].nodePort: 80: provided port is not in the valid range …
//!   --> web.yaml:14:17
//!    |
//! 14 |     nodePort: 80
//!    |               ^^ a nodePort is outside its range
//!    |
//!    = note: object Service default/web
//! ```

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use portico_config::diagnostic::{Diagnostic, Excerpt, Position, Severity};

use super::Sources;
use crate::telemetry::escape;

/// How the text looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Look {
    /// With colours.
    pub(crate) color: bool,
    /// Columns of the terminal; longer lines are cut around the caret.
    pub(crate) width: usize,
}

impl Look {
    fn renderer(self) -> Renderer {
        let renderer = if self.color { Renderer::styled() } else { Renderer::plain() };
        renderer
            .hyperlink(false)
            .term_width(self.width.max(MIN_WIDTH))
    }
}

/// The whole finding, without a line end at its end.
pub(super) fn render(found: &Diagnostic, sources: &Sources, look: Look) -> String {
    let title = level(found.severity())
        .primary_title(headline(found))
        .id(found.code.to_string());
    let mut group = Group::with_title(title);
    if let Some(file) = &found.file {
        // A note says that nothing is wrong: its line need not be seen.
        let shown = found.severity() != Severity::Note;
        let place = found.position.filter(|_| shown);
        let excerpt = place.and_then(|place| sources.excerpt(file, place));
        let path = escape(&file.display().to_string());
        let label = Label { kind: AnnotationKind::Primary, text: found.code.title().to_owned() };
        group = place_in(group, path, found.position, excerpt, label);
    }
    for related in &found.related {
        let excerpt = sources.excerpt(&related.file, related.position);
        let path = escape(&related.file.display().to_string());
        let label = Label { kind: AnnotationKind::Context, text: escape(&related.label) };
        group = place_in(group, path, Some(related.position), excerpt, label);
    }
    if let Some(object) = &found.object {
        group = group.element(Level::NOTE.message(escape(&format!("object {object}"))));
    }
    if let Some(help) = &found.help {
        group = group.element(Level::HELP.message(escape(help)));
    }
    look.renderer().render(&[group])
}

/// A remark of the report itself.
pub(super) fn note(text: &str, look: Look) -> String {
    let title = Level::NOTE.primary_title(escape(text));
    look.renderer().render(&[Group::with_title(title)])
}

/// `spec.ports[0].nodePort: 80 is not …`.
fn headline(found: &Diagnostic) -> String {
    let field = found.field.as_ref().filter(|field| !field.is_root());
    escape(&match field {
        Some(field) => format!("{field}: {}", found.message),
        None => found.message.clone(),
    })
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// What stands beside the underlined part.
struct Label {
    kind: AnnotationKind,
    text: String,
}

/// Adds `file:line:column` and, where it may be seen, the line.
fn place_in<'a>(
    group: Group<'a>,
    path: String,
    position: Option<Position>,
    excerpt: Option<Excerpt>,
    label: Label,
) -> Group<'a> {
    let Some(Position { line, column }) = position else {
        return group.element(Origin::path(path));
    };
    let origin = |path| {
        Origin::path(path)
            .line(index(line))
            .char_column(index(column))
    };
    let Some(Excerpt { line: text, span }) = excerpt else {
        return group.element(origin(path));
    };
    let shown_column = text[..span.start].chars().count() + 1;
    let annotation = label.kind.span(span).label(label.text);
    let snippet = Snippet::source(text)
        .line_start(index(line))
        .annotation(annotation);
    if shown_column == index(column) {
        group.element(snippet.path(path))
    } else {
        // Something before it is masked: the column is still the file's.
        group.element(origin(path)).element(snippet)
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Narrower terminals wrap instead.
const MIN_WIDTH: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use portico_config::diagnostic::{Code, FieldPath, Related};
    use portico_config::source::Changes;
    use std::path::PathBuf;
    use std::sync::Arc;

    const LOOK: Look = Look { color: false, width: 80 };

    fn shown(text: &str, found: Diagnostic, look: Look) -> String {
        let file: Arc<PathBuf> = Arc::new("web.yaml".into());
        let written = vec![(Arc::clone(&file), text.as_bytes().into())];
        let sources = Sources::of(&Changes { written, ..Changes::default() });
        render(&Diagnostic { file: Some(file), ..found }, &sources, look)
    }

    fn found(line: u32, column: u32) -> Diagnostic {
        Diagnostic {
            field: Some(FieldPath::from("spec.type")),
            position: Some(Position { line, column }),
            help: Some("write ClusterIP".to_owned()),
            ..Diagnostic::new(Code::Unsupported, "unsupported value")
        }
    }

    #[test]
    fn the_line_is_shown_with_a_caret_under_the_value() {
        let want = "\
error[P0204]: spec.type: unsupported value
 --> web.yaml:2:9
  |
2 |   type: Clusterip
  |         ^^^^^^^^^ a value is not one of those that exist
  |
  = help: write ClusterIP";
        assert_eq!(shown("spec:\n  type: Clusterip # x\n", found(2, 9), LOOK), {
            want.replace("Clusterip\n", "Clusterip # x\n")
        });
    }

    #[test]
    fn the_caret_stands_right_after_tabs_and_wide_letters() {
        for (line, column, want) in [
            ("{a:\t日本, b: x}", 12, "                ^ a value"),
            ("{a: \"é\", b: x}", 13, "            ^ a value"),
        ] {
            let text = shown(line, found(1, column), LOOK);
            assert!(text.contains(&format!("\n  | {want}")), "{text}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{{a: {}, type: Clusterip, b: {}}}", "x".repeat(300), "y".repeat(300));
        let text = shown(&line, found(1, 313), LOOK);
        let widest = text.lines().map(str::len).max();
        assert!(widest.is_some_and(|columns| columns <= 100), "{text}");
        assert!(text.contains("Clusterip") && text.contains("^^^^^^^^^"), "{text}");
    }

    #[test]
    fn what_a_manifest_holds_cannot_steer_the_terminal() {
        let mut found = found(1, 1);
        found.message = "a\u{1b}[31m\nb\u{202e}".to_owned();
        found.help = Some("\u{1b}]0;x\u{7}".to_owned());
        let text = shown("a\u{1b}[31m\u{202e}: b", found, LOOK);
        let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(steers), "{text:?}");
        let again = Diagnostic::new(Code::Unsupported, "unsupported value");
        assert!(shown("a: b", again, Look { color: true, ..LOOK }).contains('\u{1b}'));
    }

    #[test]
    fn a_second_place_is_shown_below_the_first() {
        let mut found = found(3, 7);
        let file = Arc::new(PathBuf::from("web.yaml"));
        let position = Position { line: 1, column: 7 };
        found.related = vec![Related { file, position, label: "this one is used".to_owned() }];
        let text = shown("name: a\n---\nname: a\n", found, LOOK);
        let want = "::: web.yaml:1:7\n  |\n1 | name: a\n  |       - this one is used\n";
        assert!(text.contains(want), "{text}");
    }

    #[test]
    fn values_of_secrets_are_not_shown_and_the_column_is_the_files() {
        let text = shown("kind: Secret\ndata: {a: c2VjcmV0, b: eA==}", found(2, 24), LOOK);
        assert!(text.contains("web.yaml:2:24"), "{text}");
        assert!(text.contains("data: {a: ***, b: ***}"), "{text}");
    }

    #[test]
    fn a_finding_without_a_line_names_its_file() {
        let unreadable = Diagnostic { position: None, ..found(1, 1) };
        let text = shown("", unreadable, LOOK);
        assert!(text.contains("--> web.yaml\n"), "{text}");
        let beyond = shown("a: b", found(7, 1), LOOK);
        assert!(beyond.contains("--> web.yaml:7:1\n"), "{beyond}");
    }
}
