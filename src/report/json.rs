//! Findings as one JSON list; `docs/diagnostics.md` says what is in each object.

use std::io::{self, Write};

use portico_config::diagnostic::{Diagnostic, Position, Related};
use serde_json::{Value, json};

use super::verdict::{replacement, verdict};

/// Prints the whole list.
pub(super) fn print(out: &mut impl Write, findings: &[Diagnostic]) -> io::Result<()> {
    let list: Vec<Value> = findings.iter().map(diagnostic).collect();
    writeln!(out, "{:#}", Value::Array(list))
}

/// One finding, as `check --format json` and the API show it.
pub(crate) fn diagnostic(found: &Diagnostic) -> Value {
    let position = found.position;
    let mut value = json!({
        "severity": found.severity(),
        "code": found.code,
        "message": found.message,
        "object": found.object.as_ref().map(|object| json!({
            "apiVersion": &*object.api_version,
            "kind": &*object.kind,
            "namespace": object.namespace.as_deref(),
            "name": &*object.name,
        })),
        "field": found.field.as_ref().filter(|field| !field.is_root()).map(ToString::to_string),
        "file": found.file.as_ref().map(|file| file.display().to_string()),
        "line": position.map(|Position { line, .. }| line),
        "column": position.map(|Position { column, .. }| column),
        "help": found.help,
    });
    if let Some((annotation, verdict)) = verdict(found) {
        value["annotation"] = annotation.into();
        value["verdict"] = verdict.label().into();
        value["reason"] = found.message.as_str().into();
        value["replacement"] = replacement(found).into();
    }
    if !found.related.is_empty() {
        value["related"] = found.related.iter().map(related).collect();
    }
    value
}

fn related(related: &Related) -> Value {
    json!({
        "file": related.file.display().to_string(),
        "line": related.position.line,
        "column": related.position.column,
        "label": related.label,
    })
}

#[cfg(test)]
mod tests {
    use super::diagnostic;
    use portico_config::diagnostic::{Code, Diagnostic, FieldPath, Position, Related};
    use portico_config::model::ObjectRef;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_finding_carries_its_object_field_and_place() {
        let mut found = Diagnostic {
            object: Some(ObjectRef {
                api_version: "v1".into(),
                kind: "Service".into(),
                namespace: Some("default".into()),
                name: "web".into(),
            }),
            field: Some(FieldPath::from("spec.ports[0].nodePort")),
            file: Some(Arc::new("web.yaml".into())),
            position: Some(Position { line: 14, column: 17 }),
            ..Diagnostic::new(Code::NodePortRange, "80 is not in 30000..=32767")
        };
        let mut want = json!({
            "severity": "error", "code": "P0304", "message": "80 is not in 30000..=32767",
            "object": {
                "apiVersion": "v1", "kind": "Service", "namespace": "default", "name": "web"
            },
            "field": "spec.ports[0].nodePort", "file": "web.yaml", "line": 14, "column": 17,
            "help": null
        });
        assert_eq!(diagnostic(&found), want);
        let (file, position) = (Arc::new("a.yaml".into()), Position { line: 3, column: 9 });
        found.related = vec![Related { file, position, label: "first".to_owned() }];
        want["related"] = json!([{ "file": "a.yaml", "line": 3, "column": 9, "label": "first" }]);
        assert_eq!(diagnostic(&found), want);
    }

    #[test]
    fn a_finding_about_an_annotation_says_what_becomes_of_it() {
        let key = "nginx.ingress.kubernetes.io/configuration-snippet";
        let found = Diagnostic {
            field: Some(FieldPath::from("metadata.annotations").key(key)),
            help: Some("instead: another".to_owned()),
            ..Diagnostic::new(Code::AnnotationRefused, "line 1 is dropped")
        };
        let value = diagnostic(&found);
        for (key, want) in [
            ("annotation", "configuration-snippet"),
            ("verdict", "refused"),
            ("reason", "line 1 is dropped"),
            ("replacement", "another"),
            ("severity", "error"),
        ] {
            assert_eq!(value[key], want, "ingress 3: {key}");
        }
    }

    #[test]
    fn what_is_not_known_is_null() {
        let value = diagnostic(&Diagnostic::new(Code::Syntax, "no"));
        for key in ["object", "field", "file", "line", "column", "help"] {
            assert!(value[key].is_null(), "{key}");
        }
        assert!(value.get("related").is_none() && value.get("verdict").is_none());
    }
}
