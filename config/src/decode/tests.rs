//! Decoding as a whole: what comes out of a file, and what is said about it.

use super::*;

fn read(text: &str) -> DecodedFile {
    within(text, &Limits::default())
}

fn within(text: &str, limits: &Limits) -> DecodedFile {
    decode(&Arc::new("f.yaml".into()), &text.as_bytes().into(), limits)
}

fn messages(decoded: &DecodedFile) -> Vec<String> {
    decoded
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The names of the objects, and everything said.
fn outcome(text: &str) -> (Vec<String>, Vec<String>) {
    let decoded = read(text);
    let names = decoded
        .objects
        .iter()
        .map(|found| found.object.metadata().name.clone());
    (names.collect(), messages(&decoded))
}

#[track_caller]
fn assert_says(text: &str, want: &str) {
    let (_, found) = outcome(text);
    assert!(found.iter().any(|found| found.contains(want)), "{text:?}: {found:#?}\nwant {want}");
}

fn service(text: &str) -> crate::api::core_v1::Service {
    let decoded = read(text);
    assert_eq!(messages(&decoded), Vec::<String>::new(), "{text}");
    match &*decoded.objects[0].object {
        Object::Service(service) => (**service).clone(),
        other => panic!("{other:?}"),
    }
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";

#[test]
fn documents_stand_alone_and_keep_their_lines() {
    let text = format!("# head\n---\n{SERVICE}--- # two\nkind: [\n---\n{SERVICE}...\n");
    let decoded = read(&text.replacen("name: a", "name: z", 1));
    assert_eq!(decoded.objects.len(), 2);
    assert!(decoded.incomplete);
    assert_eq!(
        messages(&decoded),
        [
            "f.yaml:7:7: error[P0103]: unclosed bracket \"[\" (a bracket that begins here is never closed)"
        ]
    );
}

#[test]
fn whatever_breaks_a_document_breaks_no_other() {
    for broken in [
        "a: |\n  text\n  ---\n wrong",
        "a: \"never closed",
        "a: 'never closed",
        "a: [1, 2",
        "a: {b: 1",
        "a: &x [*x]",
        "a: *nowhere",
        "{\"a\": ",
        "%FOO\na: 1",
        "a: 1\na: 2",
        "\ta: 1",
        "a: \"\\ud800\"",
        "- a\n- b",
        "just text",
        "? [a]\n: b",
        "{{ .Values.x }}: 1",
        "a: @x",
        "kind: Service",
        "a: 1\n\u{feff}b: 2",
        "apiVersion: v1\nkind: Service\nmetadata: [1]",
    ] {
        for ends in ["\n", "\r\n"] {
            let text = format!("{SERVICE}---\n{broken}\n---\n{SERVICE}").replace('\n', ends);
            let decoded = read(&text);
            assert_eq!(decoded.objects.len(), 2, "{text:?} {:?}", messages(&decoded));
            assert!(decoded.incomplete, "{text:?}");
            let lines: Vec<u32> = decoded
                .diagnostics
                .iter()
                .filter_map(|found| Some(found.position?.line))
                .collect();
            assert!(lines.iter().all(|line| (5..=10).contains(line)), "{text:?} {lines:?}");
            assert_eq!(decoded.objects[1].origin.start.position().column, 1);
        }
    }
}

#[test]
fn json_streams_are_read_and_one_broken_object_costs_itself() {
    let object = |name: &str| {
        format!(
            "{{\n \"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n \"metadata\": {{\"name\": \"{name}\"}}\n}}\n"
        )
    };
    let broken = "{\n \"apiVersion\": \"v1\",\n \"kind\" \"Service\"\n}\n";
    let (names, found) = outcome(&[&*object("a"), &object("b"), broken, &object("d")].concat());
    assert_eq!(names, ["a", "b", "d"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("f.yaml:13:"), "{found:?}");
    let text = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","annotations":{"x":"\ud83d\ude00\/\u00e9\n"}}}"#;
    let (names, found) = outcome(text);
    assert_eq!((names.len(), found), (1, vec![]));
    assert_says(r#"{"a": "\ud800"}"#, "f.yaml:1:7: error[P0103]");
    assert_says(&format!("[{}]", object("a")), "error[P0105]: is not a mapping");
    assert_says(&format!("[{}]", object("a")), "under `items:` of a `kind: List`");
}

#[test]
fn lists_are_taken_apart_and_unused_kinds_are_noted_once() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  \
                metadata: {name: x}\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: \
                {name: y}\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec: \
                {ports: [{port: 1, prot: TCP}]}\n- apiVersion: v1\n  kind: Pod\n  metadata: \
                {name: [p]}\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: b, name: c}\n";
    let (names, found) = outcome(text);
    assert_eq!(names, ["a"]);
    assert_eq!(
        found,
        [
            "f.yaml:4:3: note[P0111]: kind Deployment of apps/v1 is not used by portico",
            "f.yaml:13:28: warning[P0110]: Service default/a: spec.ports[0].prot: unknown field (did you mean `port`?)",
            "f.yaml:16:14: error[P0108]: Pod default/?: metadata.name: is a sequence, not a text",
            "f.yaml:19:23: error[P0113]: the key `name` stands in line 19 already (keep one of the two)",
        ]
    );
}

#[test]
fn lists_of_the_api_itself_and_lists_in_lists_are_read() {
    let text =
        "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n";
    assert_eq!(outcome(text), (vec!["a".to_owned(), "b".to_owned()], vec![]));
    let text = "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: p}}]}]";
    assert_eq!(outcome(text), (vec!["p".to_owned()], vec![]));
    for empty in ["", "items:\n", "items: []\n", "items: null\n"] {
        assert_eq!(outcome(&format!("apiVersion: v1\nkind: List\n{empty}")), (vec![], vec![]));
    }
    assert_says(
        "apiVersion: v1\nkind: List\nitems: 3\n",
        "f.yaml:3:8: error[P0108]: items: is not a sequence",
    );
}

/// What is written, and what is said about it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "kind: Service\nmetadata: {name: a}\n",
        "f.yaml:1:1: error[P0106]: apiVersion: required value (write apiVersion: v1)",
    ),
    ("apiVersion: v1\nmetadata: {name: a}\n", "f.yaml:1:1: error[P0106]: kind: required value"),
    ("apiVersion: v1\nkind: [a]\n", "f.yaml:2:7: error[P0106]: kind: is not a text"),
    (
        "replicaCount: 1\n",
        "f.yaml:1:1: error[P0106]: apiVersion: required value (if it is no manifest, keep it in another folder",
    ),
    ("apiVersion: v2\nname: chart\n", "error[P0106]: kind: required value (if it is no manifest"),
    ("apiVersion: 1\nkind: Pod\n", "f.yaml:1:13: error[P0106]: apiVersion: is not a text"),
    (
        "apiVersion: v1\nkind: Service\n",
        "f.yaml:1:1: error[P0109]: Service default/?: metadata.name: required value",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {generateName: a-}\n",
        "metadata.generateName is not used: give the object a name",
    ),
    ("just text\n", "f.yaml:1:1: error[P0105]: is not a mapping"),
    (
        "a: 1\nb: 1\na: 2\n",
        "f.yaml:3:1: error[P0113]: the key `a` stands in line 1 already (keep one of the two)",
    ),
    (
        "apiVersion: v1\nkind: Service\n\tmetadata: {}\n",
        "error[P0114]: a line is indented with a tab",
    ),
    (
        "a:\n\t- b\n",
        "f.yaml:2:2: error[P0114]: a line is indented with a tab, which YAML forbids (indent with spaces)",
    ),
    (
        "a: b: c\n",
        "f.yaml:1:5: error[P0103]: mapping values are not allowed in this context (put a value that holds `: ` in quotes",
    ),
    ("a: \"x\n", "f.yaml:1:4: error[P0103]: unclosed quote"),
    (
        "a: &x 1\n---\nb: *x\n",
        "f.yaml:3:4: error[P0118]: an alias names no anchor of this document",
    ),
    ("a: &x [*x]\n", "f.yaml:1:8: error[P0118]"),
    ("~: 1\n", "f.yaml:1:1: error[P0103]: a key is a text"),
    ("<<: 3\n", "f.yaml:1:5: error[P0103]: `<<` merges a mapping or a sequence of mappings"),
    (
        "a: 1\n\u{feff}b: 2\n",
        "f.yaml:2:1: error[P0103]: a BOM must not appear inside a document (remove the byte order mark",
    ),
    (
        "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
        "f.yaml:1:13: error[P0107]: Ingress default/a: apiVersion: extensions/v1beta1 is not served any more (write apiVersion: networking.k8s.io/v1; there serviceName",
    ),
    (
        "apiVersion: v1\nkind: service\nmetadata: {name: a}\n",
        "f.yaml:2:7: error[P0119]: service default/a: kind: there is no kind service in v1 (write kind: Service and apiVersion: v1)",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: many\n",
        "f.yaml:6:11: error[P0108]: Service default/a: spec.ports[0].port: `many` is a text, not an integer",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: \"80\"\n",
        "spec.ports[0].port: \"80\" is a text, not an integer (write it without quotes)",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80.5}]}\n",
        "80.5 is not a whole number",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999999999999999999}]}\n",
        "is larger than any integer of 64 bits",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {publishNotReadyAddresses: \"true\"}\n",
        "\"true\" is a text, not a boolean (write true or false, without quotes)",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {a: yes}}\n",
        "f.yaml:3:33: error[P0120]: Service default/a: metadata.labels.a: `yes` without quotes is a boolean, not a text (write \"yes\")",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations:\n    timeout: 30\n",
        "f.yaml:6:14: warning[P0122]: Service default/a: metadata.annotations.timeout: `30` without quotes is a number, not a text: it is taken as it is written (write \"30\")",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  selector:\n    matchLabels: {app: web}\n",
        "f.yaml:6:5: error[P0108]: Service default/a: spec.selector.matchLabels: is a mapping, not a text (a Service's selector holds the labels themselves",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIp: None}\n",
        "f.yaml:4:8: warning[P0110]: Service default/a: spec.clusterIp: unknown field (did you mean `clusterIP`?)",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nports: [{port: 1}]\n",
        "f.yaml:4:1: warning[P0110]: Service default/a: ports: unknown field (`ports` belongs in `spec`)",
    ),
    (
        "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {podCIDR: [a]}\n",
        "Node a: spec.podCIDR: is a sequence, not a text",
    ),
];

#[test]
fn an_annotation_without_quotes_is_taken_as_it_is_written() {
    for (written, code, want) in [
        ("\"true\"", None, Some("true")),
        ("text", None, Some("text")),
        ("true", Some("P0122"), Some("true")),
        ("False", Some("P0122"), Some("False")),
        ("off", Some("P0122"), Some("off")),
        ("yes", Some("P0122"), Some("yes")),
        ("8", Some("P0122"), Some("8")),
        ("010", Some("P0122"), Some("010")),
        ("0x10", Some("P0122"), Some("0x10")),
        ("1.0", Some("P0122"), Some("1.0")),
        ("1_000", Some("P0122"), Some("1_000")),
        ("99999999999999999999999", Some("P0122"), Some("99999999999999999999999")),
        ("&it 80", Some("P0122"), Some("80")),
        ("~", None, Some("")),
        ("{a: b}", Some("P0108"), None),
        ("[a]", Some("P0108"), None),
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a, annotations: {{x: {written}}}}}\n"
        );
        let file = read(&text);
        let codes: Vec<_> = file
            .diagnostics
            .iter()
            .map(|it| it.code.to_string())
            .collect();
        assert_eq!(codes, code.iter().copied().collect::<Vec<_>>(), "ingress 2.1: {written}");
        let object = file.objects.first().map(|it| &it.object);
        let got = object.map(|it| it.metadata().annotations["x"].as_str());
        assert_eq!(got, want, "ingress 2.1: {written}");
    }
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, annotations: {pin: 4711}}\n";
    let told = messages(&read(secret));
    assert!(told.len() == 1 && !told[0].contains("4711"), "ingress 6.3: {told:?}");
}

#[test]
fn mistakes_say_what_they_are_where_and_the_way_out() {
    for &(text, want) in MISTAKES {
        assert_says(text, want);
    }
}

#[test]
fn every_wrong_value_of_an_object_is_told() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {a: 1, b: on}}\nspec: {ports: [{port: x, prot: 1}, 7], type: [a]}\n";
    let (names, found) = outcome(text);
    assert_eq!((names.len(), found.len()), (0, 6), "{found:#?}");
}

#[test]
fn what_a_secret_holds_stands_in_no_message() {
    for value in ["12345", "[12345]", "{a: 12345}"] {
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{pin: {value}}}\n"
        );
        let (_, found) = outcome(&text);
        assert!(
            found[0].contains("]: Secret default/a: data.pin: has the wrong type"),
            "{found:?}"
        );
        assert!(!found[0].contains("12345"), "{found:?}");
    }
}

#[test]
fn null_is_absent_wherever_it_stands() {
    let text = "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\", \
                \"labels\": null}, \"spec\": {\"ports\": null, \"selector\": null, \"type\": null}}";
    assert_eq!(service(text).spec, crate::api::core_v1::ServiceSpec::default());
    for null in ["~", "null", "Null", "NULL", ""] {
        let text = format!("{SERVICE}spec: {null}\nstatus: {null}\n");
        assert_eq!(service(&text).spec, crate::api::core_v1::ServiceSpec::default());
        let text = format!("{SERVICE}spec:\n  ports:\n  - {null}\n  selector: {{a: {null}}}\n");
        let spec = service(&text).spec;
        assert_eq!(spec.ports, [crate::api::core_v1::ServicePort::default()]);
        assert_eq!(spec.selector["a"], "");
    }
    let (names, found) = outcome(&format!("null\n---\n~\n--- # none\n# none\n---\n{SERVICE}"));
    assert_eq!((names.len(), found), (1, vec![]));
}

#[test]
fn numbers_and_texts_are_what_kubectl_reads() {
    use crate::api::IntOrString;
    for (value, want) in [
        ("80", IntOrString::Int(80)),
        ("80.0", IntOrString::Int(80)),
        ("0120", IntOrString::Int(80)),
        ("0o120", IntOrString::Int(80)),
        ("0x50", IntOrString::Int(80)),
        ("8_0", IntOrString::Int(80)),
        ("\"80\"", IntOrString::String("80".into())),
        ("!!str 80", IntOrString::String("80".into())),
        ("!!int \"80\"", IntOrString::Int(80)),
        ("http", IntOrString::String("http".into())),
        ("!custom http", IntOrString::String("http".into())),
        ("!!binary aHR0cA==", IntOrString::String("http".into())),
        ("2001-01-01", IntOrString::String("2001-01-01".into())),
    ] {
        let spec = service(&format!("{SERVICE}spec:\n  ports:\n  - targetPort: {value}\n")).spec;
        assert_eq!(spec.ports[0].target_port, Some(want), "{value}");
    }
    for (value, want) in
        [("8e1", 80), ("80.", 80), ("+80", 80), ("-1", -1), ("9223372036854775807", i64::MAX)]
    {
        let spec = service(&format!("{SERVICE}spec: {{ports: [{{port: {value}}}]}}\n")).spec;
        assert_eq!(spec.ports[0].port, Some(want), "{value}");
    }
    for (value, want) in [("on", true), ("Yes", true), ("y", true), ("TRUE", true), ("off", false)]
    {
        let spec = service(&format!("{SERVICE}spec: {{publishNotReadyAddresses: {value}}}\n")).spec;
        assert_eq!(spec.publish_not_ready_addresses, want, "{value}");
    }
}

#[test]
fn anchors_and_merges_are_written_out() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels: &l {a: x, b: x}\n  annotations:\n    a: own\n    <<: [*l, {a: late, c: z}]\nspec:\n  selector: *l\n  ports:\n  - &p {port: 1, protocol: UDP}\n  - <<: *p\n    port: 2\n";
    let found = service(text);
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(pairs(&found.metadata.annotations), "a=own b=x c=z");
    assert_eq!(pairs(&found.spec.selector), "a=x b=x");
    let ports: Vec<_> = found
        .spec
        .ports
        .iter()
        .map(|port| (port.port, port.protocol.clone()))
        .collect();
    assert_eq!(ports, [(Some(1), Some("UDP".to_owned())), (Some(2), Some("UDP".to_owned()))]);
    let quoted =
        service("apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {\"<<\": x}}\n");
    assert_eq!(quoted.metadata.labels["<<"], "x");
}

#[test]
fn byte_order_marks_line_ends_and_directives_are_no_mistake() {
    let crlf = format!("\u{feff}{}", SERVICE.replace('\n', "\r\n"));
    for text in [
        &*crlf,
        &format!("\u{feff}---\n{SERVICE}"),
        &format!("%YAML 1.1\n---\n{SERVICE}"),
        &format!("%YAML 1.2\r\n---  \r\n{SERVICE}...\r\n"),
        "--- {apiVersion: v1, kind: Service, metadata: {name: a}}\n",
        &format!("{{}}\n---\n{SERVICE}").replace("{}\n---\n", "# c\n---\n---\n"),
        &SERVICE.replace("name: a", "name: \"a\""),
    ] {
        assert_eq!(outcome(text), (vec!["a".to_owned()], vec![]), "{text:?}");
    }
    let two = format!("{SERVICE}---\n\u{feff}{SERVICE}");
    assert_eq!(outcome(&two).0.len(), 2);
}

#[test]
fn places_are_exact_in_every_style() {
    for (text, field, want) in [
        (format!("{SERVICE}spec:\n  ports:\n  - port: 80\n").replace('\n', "\r\n"), "spec.ports[0].port", (6, 11)),
        ("# c\n---\n{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"é\", \"labels\": {\"a\": \"x\"}}}".to_owned(), "metadata.labels.a", (3, 83)),
        ("{}{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\"}}".to_owned(), "metadata.name", (1, 64)),
        ("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec:\n    type: x\n".to_owned(), "spec.type", (11, 11)),
        ("apiVersion: v1\nkind: List\nitems:\n    -   apiVersion: v1\n        kind: Service\n        metadata:\n            name: a\n        spec: {é: 1, type: x}\n".to_owned(), "spec.type", (8, 28)),
        ("x: &a {port: 1}\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [*a]}\n".to_owned(), "spec.ports[0].port", (5, 16)),
    ] {
        let decoded = read(&text);
        let last = decoded.objects.last().unwrap();
        let found = last.origin.position(&field.into()).unwrap();
        assert_eq!((found.line, found.column), want, "{text:?} {field}");
    }
}

#[test]
fn every_limit_holds_at_its_edge_and_is_named() {
    let deep = |depth: usize| format!("{}x{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let aliases = |count: usize| format!("a: &a x\nb: [{}]\n", vec!["*a"; count].join(", "));
    let limits = Limits { max_depth: 8, max_aliases: 5, max_documents: 3, ..Limits::default() };
    let replays = Limits { max_replayed_events: 9, ..Limits::default() };
    let three = "a: &a [x, y]\nb: [*a, *a, *a]\n";
    let four = "a: &a [x, y]\nb: [*a, *a, *a, *a]\n";
    for (within_limit, beyond, limits, want) in [
        (deep(8), deep(9), &limits, "P0115]: is nested too deep: `limits.maxDepth` allows 8"),
        (
            "a:\n b:\n  c:\n   d:\n    e:\n     f:\n      g: 1\n".to_owned(),
            "a:\n b:\n  c:\n   d:\n    e:\n     f:\n      g:\n       h: 1\n".to_owned(),
            &limits,
            "limits.maxDepth",
        ),
        (aliases(5), aliases(6), &limits, "P0117]: too many aliases: `limits.maxAliases` allows 5"),
        (
            three.to_owned(),
            four.to_owned(),
            &replays,
            "P0117]: aliases repeat too many values: `limits.maxReplayedEvents` allows 9",
        ),
        (
            "a: &a [[[x]]]\nb: [[[*a]]]\n".to_owned(),
            "a: &a [[[x]]]\nb: [[[[*a]]]]\n".to_owned(),
            &limits,
            "limits.maxDepth",
        ),
        (
            "a\n---\nb\n---\nc\n".to_owned(),
            "a\n---\nb\n---\nc\n---\nd\n".to_owned(),
            &limits,
            "f.yaml:7:1: error[P0116]: holds more documents than the 3 that `limits.maxDocuments` allows",
        ),
    ] {
        let is_limit = |found: &String| found.contains("limits.");
        let found = messages(&within(&within_limit, limits));
        assert!(!found.iter().any(is_limit), "{within_limit}: {found:?}");
        let found = messages(&within(&beyond, limits));
        assert!(found.iter().any(|found| found.contains(want)), "{beyond}: {found:?}");
    }
    let small = Limits { max_file_bytes: 10, ..Limits::default() };
    assert!(
        messages(&within("a: 12345678", &small))[0].contains("`limits.maxFileBytes` allows 10")
    );
}

#[test]
fn no_setting_of_depth_exhausts_the_stack() {
    let limits = Limits { max_depth: usize::MAX, max_documents: usize::MAX, ..Limits::default() };
    for text in
        ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)]
    {
        let decoded = within(&text, &limits);
        assert!(decoded.incomplete && decoded.objects.is_empty());
    }
    let deep = format!("{SERVICE}x: {}{}\n", "[".repeat(120), "]".repeat(120));
    let decoded = within(&deep, &limits);
    assert_eq!(decoded.objects.len(), 1);
    let field = "x[0][0][0]".into();
    assert!(decoded.objects[0].origin.position(&field).is_some());
}

#[test]
fn bombs_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..9 {
        let list = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    let mut merges = String::from("a0: &a0 {k0: x}\n");
    for n in 1..900 {
        merges.push_str(&format!("a{n}: &a{n} {{<<: *a{}, k{n}: x}}\n", n - 1));
    }
    let nested: String = (0..10_000)
        .map(|n| format!("{}a:\n", " ".repeat(n % 300)))
        .collect();
    for text in [bomb, merges, nested] {
        let decoded = read(&text);
        assert!(decoded.incomplete && decoded.objects.is_empty());
    }
}

#[test]
fn of_many_findings_the_first_are_told() {
    let decoded = read(&"a: [\n---\n".repeat(3_000));
    assert_eq!(decoded.diagnostics.len(), MAX_DIAGNOSTICS + 1);
    assert!(messages(&decoded)[MAX_DIAGNOSTICS].contains("note[P0121]: more is wrong"));
}

proptest::proptest! {
    #[test]
    fn no_input_panics(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        cut in 0_usize..60,
    ) {
        let name = Arc::new("f.yaml".into());
        let _ = decode(&name, &bytes.clone().into(), &Limits::default());
        let mixed = [&SERVICE.as_bytes()[..cut.min(SERVICE.len())], &bytes].concat();
        let _ = decode(&name, &mixed.into(), &Limits::default());
    }

    #[test]
    fn no_text_of_yaml_letters_panics(text in "[-\\[\\]{}:,?&*!|>'\"%@`# \t\r\nax01~<.]{0,80}") {
        let _ = read(&text);
        let _ = read(&format!("{SERVICE}spec:\n  {text}"));
    }
}

#[test]
fn the_text_that_is_kept_holds_nothing_of_secrets_and_all_else_stands_where_it_stood() {
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]} # c\n";
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
    for (case, secret) in [
        ("block style", format!("{head}type: Opaque\ndata:\n  a: aHVzaA==\n  b: 'hush'\n")),
        ("flow style", format!("{head}data: {{a: aHVzaA==, b: \"hush: x, y\"}} # c\n")),
        ("a block", format!("{head}stringData:\n  a: |\n    hush\n      hush\n\n    hush\n  b: hush\n")),
        ("a block at the end", format!("{head}stringData:\n  b: x\n  a: |\n    hush: 1\n    - hush")),
        ("a folded block", format!("{head}stringData:\n  a: >-\n    hush\n    hush\n  b: x\n")),
        ("escapes", format!("{head}stringData: {{a: \"hush\\\"}}\\n, hush\", b: 'it''s hush'}}\n")),
        ("anchors", format!("{head}stringData:\n  a: &it hush\n  c: *it\n")),
        ("letters of any length", format!("{head}stringData: {{a: hush é ✕ 🔒 hush, b: hush}}\n")),
        ("a number", format!("{head}stringData: {{a: 4711.0815, b: \"hush\"}}\n")),
        ("CRLF", format!("{head}data:\n  a: aHVzaA==\n  b: hush\n").replace('\n', "\r\n")),
        (
            "what kubectl applied",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  annotations:\n    last: |\n      \
             {\"data\":{\"a\":\"aHVzaA==\"}}\ndata: {a: aHVzaA==}\n"
                .to_owned(),
        ),
        (
            "JSON",
            "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"aHVzaA==\",\"b\":\"hush\"},\
             \"metadata\":{\"name\":\"a\"}}\n"
                .to_owned(),
        ),
        (
            "a list",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n  \
             stringData:\n    a: |\n      hush\n- apiVersion: v1\n  kind: Service\n  metadata: {name: b}\n"
                .to_owned(),
        ),
        ("what is no YAML", format!("{head}stringData: {{a: hush\n")),
        ("a value of another type", format!("{head}stringData: {{a: [hush], b: hush}}\n")),
    ] {
        let text = format!("{service}---\n{secret}\n---\n{service}");
        let decoded = read(&text);
        assert!(decoded.holds_secrets() && decoded.objects.len() >= 2, "{case}: {decoded:?}");
        for Decoded { origin, .. } in &decoded.objects {
            let kept = std::str::from_utf8(&origin.content).unwrap();
            assert_eq!(kept.len(), text.len(), "{case}");
            for mark in ["hush", "aHVzaA", "4711"] {
                assert!(!kept.contains(mark), "ingress 6.3: {case}: {kept}");
            }
            let raw = Origin { content: text.as_bytes().into(), ..origin.clone() };
            for field in ["", "metadata.name", "data.a", "stringData.b", "spec.ports[0].port"] {
                let field = crate::location::FieldPath::from(field);
                assert_eq!(origin.position(&field), raw.position(&field), "{case}: {field}");
            }
        }
    }
    let none = read(service);
    assert!(!none.holds_secrets() && &*none.objects[0].origin.content == service.as_bytes());
}
