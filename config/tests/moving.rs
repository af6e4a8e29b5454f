//! What `portico check` says of hosts and paths to who comes from ingress-nginx (`ingress 2.2`, `ingress 3`).

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

use std::fmt::Write;
use std::sync::Arc;

use portico_config::diagnostic::{Code, Diagnostic};
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;

/// The name of an Ingress, which is that of its Service, an annotation, the type of its path, and that.
type Rule<'a> = (&'a str, &'a str, &'a str, &'a str);

fn manifests(rules: &[Rule<'_>]) -> String {
    let mut text = String::new();
    for (name, annotation, kind, path) in rules {
        let prefix = if annotation.is_empty() { "" } else { "nginx.ingress.kubernetes.io/" };
        let annotations = match annotation.is_empty() {
            true => String::new(),
            false => format!(", annotations: {{{prefix}{annotation}}}"),
        };
        writeln!(
            text,
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}{annotations}}}\nspec: \
             {{rules: [{{host: a.test, http: {{paths: [{{path: \"{path}\", pathType: {kind}, backend: {{service: \
             {{name: {name}, port: {{number: 80}}}}}}}}]}}}}]}}"
        )
        .unwrap();
    }
    text
}

/// Rows about paths and hosts, under settings.
fn rows(text: &str, settings: Settings) -> Vec<Diagnostic> {
    let written = vec![(Arc::new("all.yaml".into()), text.as_bytes().into())];
    let changes = Changes { written, ..Changes::default() };
    let mut pipeline =
        Pipeline::new(Arc::new(settings), HostFacts::default(), Assignments::default());
    let found = pipeline.apply(changes, 1_800_000_000).diagnostics;
    let mut rows = pipeline.with_annotations(&found);
    rows.retain(|it| it.code == Code::AnnotationDiffers && it.annotation().is_none());
    rows
}

/// What is said of the host as a whole.
fn of_host(rows: &[Diagnostic]) -> Vec<&str> {
    let texts = rows.iter().map(|row| &*row.message);
    texts
        .filter(|text| text.starts_with("ingress-nginx gives"))
        .collect()
}

const SPECIFIC: &str = "ImplementationSpecific";
const REGEX: &str = "use-regex: \"true\"";

#[test]
fn a_request_that_goes_elsewhere_is_told_with_both_paths() {
    for (case, rules, want) in [
        (
            "by the length of the text, not by what a pattern has of letters",
            &[("api", REGEX, SPECIFIC, "/foo/bar/[a-z]{3}"), ("web", "", "Prefix", "/foo/bar/bar")]
                [..],
            Some(
                "/foo/bar/bar is for /foo/bar/bar of default/web here, for /foo/bar/[a-z]{3} of default/api there",
            ),
        ),
        (
            "a pattern before a longer text",
            &[("api", REGEX, SPECIFIC, "/api/(.*)"), ("web", "", "Exact", "/api/v1")],
            Some(
                "/api/v1 is for Exact /api/v1 of default/web here, for /api/(.*) of default/api there",
            ),
        ),
        (
            "an open end takes from the root",
            &[("api", REGEX, SPECIFIC, "/u[a-z]"), ("web", "", "Prefix", "/")],
            Some("/uax is for / of default/web here, for /u[a-z] of default/api there"),
        ),
        (
            "the begin of a text too",
            &[("api", "", SPECIFIC, "/foo"), ("web", "", "Prefix", "/")],
            Some("/foox is for / of default/web here, for /foo of default/api there"),
        ),
        (
            "elements are the same there",
            &[("api", "", "Prefix", "/foo"), ("web", "", "Prefix", "/")],
            None,
        ),
        (
            "so is a `/` at the end, but for a redirect",
            &[("api", "", "Prefix", "/foo/"), ("web", "", "Prefix", "/")],
            None,
        ),
        (
            "a pattern that says how it ends",
            &[
                ("api", "rewrite-target: /$2", SPECIFIC, "/api(/|$)(.*)"),
                ("web", "", "Prefix", "/"),
            ],
            None,
        ),
        ("one path alone", &[("api", REGEX, SPECIFIC, "/u[a-z]")], None),
        (
            "one that cannot be compiled",
            &[("api", REGEX, SPECIFIC, "/(?=a)"), ("web", "", "Prefix", "/foo/bar")],
            None,
        ),
    ] {
        let found = rows(&manifests(rules), Settings::default());
        let told = of_host(&found);
        let want = want
            .map(|want| format!("ingress-nginx gives requests for a.test to other paths: {want}"));
        assert_eq!(told, want.as_deref().into_iter().collect::<Vec<_>>(), "ingress 3: {case}");
    }
}

#[test]
fn it_stands_at_the_path_that_serves_and_shows_the_other() {
    let rules =
        [("api", REGEX, SPECIFIC, "/foo/bar/[a-z]{3}"), ("web", "", "Prefix", "/foo/bar/bar")];
    let found = rows(&manifests(&rules), Settings::default());
    let row = found
        .iter()
        .find(|row| row.message.starts_with("ingress-nginx gives"))
        .unwrap();
    assert_eq!(row.object.as_ref().unwrap().to_string(), "Ingress default/web");
    let [other] = &row.related[..] else { panic!("{:?}", row.related) };
    let (line, there) = (row.position.unwrap().line, other.position.line);
    assert!(there < line, "ingress 3: {there} {line}");
    assert!(
        row.help
            .as_ref()
            .unwrap()
            .contains("portico.dev/nginx-quirks")
    );
}

#[test]
fn a_host_in_nginx_mode_has_nothing_but_two_slashes_told() {
    let rules = [
        ("api", REGEX, SPECIFIC, "/foo/bar/[a-z]{3}"),
        ("web", "", "Prefix", "/foo/bar/bar"),
        ("two", "", SPECIFIC, "/a//b"),
    ];
    let mut settings = Settings::default();
    let slashes = |found: &[Diagnostic]| {
        let all = found
            .iter()
            .filter(|row| row.message.contains("runs of `/` become one"));
        all.count()
    };
    let found = rows(&manifests(&rules), settings.clone());
    assert_eq!((of_host(&found).len(), slashes(&found)), (1, 1), "ingress 3");
    settings.front_door.nginx_quirks = true;
    let found = rows(&manifests(&rules), settings);
    assert_eq!((found.len(), slashes(&found)), (1, 1), "ingress 3: {found:#?}");
}

#[test]
fn a_host_has_one_row_however_many_paths_change_places() {
    let many = |count: usize| -> Vec<Diagnostic> {
        let names: Vec<(String, String)> = (0..count)
            .map(|n| (format!("p{n}"), format!("/p{n}-.*")))
            .collect();
        let mut rules: Vec<Rule<'_>> = names
            .iter()
            .map(|(name, path)| (&**name, REGEX, SPECIFIC, &**path))
            .collect();
        // Longer than any pattern's letters, and shorter than its text.
        let texts: Vec<(String, String)> = (0..count)
            .map(|n| (format!("t{n}"), format!("/p{n}-a")))
            .collect();
        rules.extend(
            texts
                .iter()
                .map(|(name, path)| (&**name, "", "Prefix", &**path)),
        );
        rows(&manifests(&rules), Settings::default())
    };
    let found = many(6);
    let told = of_host(&found);
    let [row] = told[..] else { panic!("{told:?}") };
    assert_eq!(row.matches(" is for ").count(), 3, "ingress 3: {row}");
    assert!(row.ends_with("; and so do 3 more pairs of paths"), "ingress 3: {row}");
    let found = many(501);
    let untried = found
        .iter()
        .filter(|row| row.message.contains("over 1000 paths"));
    assert_eq!(untried.count(), 1, "a host beyond the limit says so");
    assert_eq!(of_host(&found), Vec::<&str>::new());
}
