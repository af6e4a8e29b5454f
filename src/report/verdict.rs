//! What becomes of one annotation of ingress-nginx, or of a key of its ConfigMap, read off what was found about it (`ingress 3`).

use portico_config::diagnostic::{Code, Diagnostic, Severity, Step};
use portico_config::model::annotation::PREFIX;

/// What becomes of an annotation, the worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verdict {
    /// What it asks is not done: it is dropped, or its locations are closed.
    Refused,
    /// It is served, and not all as it was.
    Differs,
    /// Nothing, and nobody is the worse for it.
    Ignored,
    /// The same as with ingress-nginx.
    Supported,
}

impl Verdict {
    /// Every one.
    pub(super) const ALL: [Self; 4] =
        [Self::Refused, Self::Differs, Self::Ignored, Self::Supported];

    /// As it is printed.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Differs => "differs",
            Self::Ignored => "ignored",
            Self::Supported => "supported",
        }
    }
}

/// The annotation that a finding is about, without its prefix, or the key of the controller's ConfigMap, and
/// what becomes of it; none where it is about something else, or refuses the object as a whole.
pub(crate) fn verdict(found: &Diagnostic) -> Option<(&str, Verdict)> {
    let of_ingress = || found.annotation()?.strip_prefix(PREFIX);
    let name = of_ingress()
        .or_else(|| controller_key(found))
        .or_else(|| path(found))?;
    if name.is_empty() || found.refuses_object() {
        return None;
    }
    let verdict = match (found.code, found.severity()) {
        (Code::AnnotationSupported, _) => Verdict::Supported,
        (Code::UnknownIngressAnnotation, _) | (_, Severity::Note) => Verdict::Ignored,
        (_, Severity::Error) => Verdict::Refused,
        (_, Severity::Warning) => Verdict::Differs,
    };
    Some((name, verdict))
}

/// A path that ingress-nginx serves otherwise goes by the name of its field.
fn path(found: &Diagnostic) -> Option<&str> {
    let steps = found.field.as_ref()?.steps();
    let is_path = matches!(steps.last(), Some(Step::Key(last)) if **last == *PATH);
    (is_path && found.code == Code::AnnotationDiffers).then_some(PATH)
}

fn controller_key(found: &Diagnostic) -> Option<&str> {
    let of_keys = [Code::AnnotationRefused, Code::AnnotationDiffers, Code::AnnotationSupported];
    match found.field.as_ref()?.steps() {
        [Step::Key(data), Step::Key(key)] if **data == *"data" && of_keys.contains(&found.code) => {
            Some(key)
        }
        _ => None,
    }
}

/// What to write instead, or another way out.
pub(super) fn replacement(found: &Diagnostic) -> Option<&str> {
    let help = found.help.as_deref()?;
    let rest = help.strip_prefix("instead: ");
    Some(
        rest.or_else(|| help.strip_prefix("instead, where it matters: "))
            .unwrap_or(help),
    )
}

/// The name of rows about paths.
pub(super) const PATH: &str = "path";

#[cfg(test)]
mod tests {
    use portico_config::diagnostic::FieldPath;

    use super::*;

    #[test]
    fn what_is_said_of_an_annotation_decides_what_becomes_of_it() {
        let found = |code, key: &str| Diagnostic {
            field: Some(FieldPath::from("metadata.annotations").key(key)),
            ..Diagnostic::new(code, "said")
        };
        for (code, name, want) in [
            (Code::AnnotationCloses, "auth-url", Verdict::Refused),
            (Code::AnnotationRefused, "configuration-snippet", Verdict::Refused),
            (Code::AnnotationWithoutEffect, "canary", Verdict::Differs),
            (Code::InvalidIngressAnnotation, "proxy-body-size", Verdict::Differs),
            (Code::HostWideTaken, "app-root", Verdict::Differs),
            (Code::AnnotationDiffers, "limit-rps", Verdict::Differs),
            (Code::AnnotationIgnored, "proxy-buffering", Verdict::Ignored),
            (Code::UnknownIngressAnnotation, "rewrite-tarfet", Verdict::Ignored),
            (Code::AnnotationSupported, "rewrite-target", Verdict::Supported),
        ] {
            let found = found(code, &format!("{PREFIX}{name}"));
            assert_eq!(verdict(&found), Some((name, want)), "ingress 3: {name}");
        }
        for (code, key) in [
            (Code::MoreFindings, PREFIX),
            (Code::AnnotationCloses, "portico.dev/request-headers"),
            (Code::InvalidAnnotation, "nginx.ingress.kubernetes.io/a b"),
        ] {
            assert_eq!(verdict(&found(code, key)), None, "{key}");
        }
        assert_eq!(verdict(&Diagnostic::new(Code::PathTaken, "said")), None);
        let path = Diagnostic {
            field: Some(FieldPath::from("spec.rules[0].http.paths[0].path")),
            ..Diagnostic::new(Code::AnnotationDiffers, "said")
        };
        assert_eq!(verdict(&path), Some((PATH, Verdict::Differs)), "ingress 3");
        let key = |code| Diagnostic {
            field: Some(FieldPath::from("data").key("use-http2")),
            ..Diagnostic::new(code, "said")
        };
        let of_map = key(Code::AnnotationSupported);
        assert_eq!(verdict(&of_map), Some(("use-http2", Verdict::Supported)), "ingress 3");
        assert_eq!(verdict(&key(Code::InvalidDataKey)), None, "of a Secret, or of another map");
    }
}
