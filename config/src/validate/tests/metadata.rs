//! What every object has.

use super::{hold, read};

#[test]
fn names_and_namespaces_follow_their_kind() {
    const LABEL: &str = "P0201 metadata.name: invalid value: ";
    hold(
        "v1",
        "Service",
        &[
            ("services 3: a label", "metadata: {name: web}\nspec: {ports: [{port: 1}]}", &[]),
            (
                "services 3: relaxed since 1.36",
                "metadata: {name: 0web}\nspec: {ports: [{port: 1}]}",
                &["P0307 metadata.name: begins with a digit"],
            ),
            ("services 3: no dot", "metadata: {name: a.b}\nspec: {ports: [{port: 1}]}", &[LABEL]),
            (
                "services 3: no capital",
                "metadata: {name: Web}\nspec: {ports: [{port: 1}]}",
                &[LABEL],
            ),
            (
                "services 3: a namespace is a label",
                "metadata: {name: a, namespace: a.b}\nspec: {ports: [{port: 1}]}",
                &["P0201 metadata.namespace: invalid value: \"a.b\": a lowercase RFC 1123 label"],
            ),
            (
                "services 1.8: an empty namespace is none",
                "metadata: {name: a, namespace: \"\"}\nspec: {ports: [{port: 1}]}",
                &[],
            ),
        ],
    );
    hold(
        "v1",
        "ConfigMap",
        &[
            ("services 3: a subdomain", "metadata: {name: a.b}", &[]),
            ("services 3: no slash", "metadata: {name: a/b}", &[LABEL]),
            ("services 3: no dash at an end", "metadata: {name: a-}", &[LABEL]),
        ],
    );
    hold(
        "v1",
        "Namespace",
        &[
            ("services 3: a label", "metadata: {name: a.b}", &[LABEL]),
            (
                "services 3: it has none itself",
                "metadata: {name: a, namespace: b}",
                &["P0202 metadata.namespace: is ignored"],
            ),
        ],
    );
    for (length, good) in [(63, true), (64, false)] {
        let body = format!("metadata: {{name: {}}}", "a".repeat(length));
        assert_eq!(read("v1", "Namespace", &body).0.is_some(), good, "{length}");
    }
    for (length, good) in [(253, true), (254, false)] {
        let body = format!("metadata: {{name: {}}}", "a".repeat(length));
        assert_eq!(read("v1", "Secret", &body).0.is_some(), good, "{length}");
    }
}

#[test]
fn labels_annotations_and_times_are_well_formed() {
    hold(
        "v1",
        "ConfigMap",
        &[
            (
                "services 3: a label is qualified",
                "metadata: {name: a, labels: {example.com/App_1: My.value, empty: \"\"}}",
                &[],
            ),
            (
                "services 3: key",
                "metadata: {name: a, labels: {\"a b\": x}}",
                &["P0210 metadata.labels.a b: invalid value: \"a b\": name part must consist"],
            ),
            (
                "services 3: prefix",
                "metadata: {name: a, labels: {\"A_/b\": x}}",
                &["P0210 metadata.labels[A_/b]: invalid value: \"A_/b\": prefix part"],
            ),
            (
                "services 3: value",
                "metadata: {name: a, labels: {a: \"b c\"}}",
                &["P0210 metadata.labels.a: invalid value: \"b c\": a valid label must be"],
            ),
            (
                "services 3: an annotation holds any text",
                "metadata: {name: a, annotations: {example.com/a: \"any: text\"}}",
                &[],
            ),
            (
                "services 3: capitals in the key of an annotation",
                "metadata: {name: a, annotations: {Example.com/A: x}}",
                &[],
            ),
            (
                "services 3: key of an annotation",
                "metadata: {name: a, annotations: {a/: x}}",
                &[
                    "P0211 metadata.annotations[a/]: invalid value: \"a/\": name part must be non-empty",
                ],
            ),
            (
                "ingress 1.4: age",
                "metadata: {name: a, creationTimestamp: \"2026-01-31T12:00:00Z\"}",
                &[],
            ),
            (
                "ingress 1.4: age",
                "metadata: {name: a, creationTimestamp: yesterday}",
                &["P0214 metadata.creationTimestamp: invalid value: \"yesterday\""],
            ),
            (
                "services 2.4: end",
                "metadata: {name: a, deletionTimestamp: soon}",
                &["P0214 metadata.deletionTimestamp: invalid value: \"soon\""],
            ),
        ],
    );
    for (bytes, good) in [((256 << 10) - 1, true), (256 << 10, false)] {
        let body = format!("metadata: {{name: a, annotations: {{a: {}}}}}", "x".repeat(bytes));
        let (valid, found) = read("v1", "ConfigMap", &body);
        assert_eq!(valid.is_some(), good, "{found:?}");
        let want = "P0212 metadata.annotations: too long: may not be more than 262144 bytes";
        assert!(good || found == [want], "{found:?}");
    }
}

#[test]
fn ages_compare_as_times_do() {
    let created = |time: &str| {
        let body = format!("metadata: {{name: a, creationTimestamp: \"{time}\"}}");
        read("v1", "ConfigMap", &body).0.unwrap().created
    };
    assert_eq!(created("2026-01-01T01:30:00+02:00").as_deref(), Some("2025-12-31T23:30:00Z"));
    assert_eq!(created("2026-01-01T00:00:00.5Z").as_deref(), Some("2026-01-01T00:00:00Z"));
}

#[test]
fn an_object_full_of_mistakes_is_refused_with_a_hundred_of_them() {
    let ports: Vec<_> = (0..500)
        .map(|n| format!("{{name: p{n}, port: 0}}"))
        .collect();
    let body = format!("spec: {{ports: [{}]}}", ports.join(", "));
    let (valid, found) = read("v1", "Service", &body);
    assert!(valid.is_none());
    assert_eq!(found.len(), 101);
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("P0215 : 400 more")),
        "{found:?}"
    );
}
