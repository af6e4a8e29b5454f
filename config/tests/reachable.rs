//! Every diagnostic code can be got: from a broken manifest in `tests/fixtures/broken`, whose first
//! lines say which (`tests/it/diagnostics.rs` holds them to it), or from one of the cases here,
//! which need more than a file: settings, a second load, a folder without permission.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portico_config::diagnostic::{Code, Diagnostic};
use portico_config::model::{HostFacts, Limits, ObjectName, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::settings::Document;
use portico_config::snapshot::{Assignments, Reach};
use portico_config::source::Changes;

/// Codes that nothing reaches today, each with the reason why it is kept.
const UNREACHED: &[(Code, &str)] = &[(
    Code::KeyNotCompared,
    "the crypto library tells the public half of every kind of key that it signs with",
)];

#[test]
fn every_code_can_be_got() {
    let mut got = of_fixtures();
    for (code, case) in CASES {
        let found = case();
        let codes: Vec<Code> = found.iter().map(|found| found.code).collect();
        assert!(codes.contains(code), "the case of {code} gives {found:?}");
        got.insert(code.to_string());
    }
    let kept: BTreeSet<Code> = UNREACHED.iter().map(|(code, _)| *code).collect();
    let missing: Vec<String> = Code::ALL
        .iter()
        .filter(|code| !kept.contains(code) && !got.contains(&code.to_string()))
        .map(|code| format!("{code}: {}", code.title()))
        .collect();
    assert!(
        missing.is_empty(),
        "no fixture and no case gets these: write tests/fixtures/broken/CODE-what.yaml with `# expect: \
         CODE line:column field` as its first line, or a case in this file: {missing:#?}"
    );
    for (code, _) in UNREACHED {
        assert!(!got.contains(&code.to_string()), "{code} is reached: strike it off UNREACHED");
    }
}

/// The codes that fixtures expect.
fn of_fixtures() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/broken");
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&content);
        let mark =
            if path.extension().is_some_and(|end| end == "expect") { "" } else { "# expect: " };
        let lines = text.lines().map_while(|line| line.strip_prefix(mark));
        codes.extend(lines.filter_map(|line| line.get(..5)).map(str::to_owned));
    }
    codes
}

/// Sets something up and gives what is found.
type Case = fn() -> Vec<Diagnostic>;

/// What needs more than a file.
const CASES: &[(Code, Case)] = &[
    (Code::Unreadable, unreadable),
    (Code::LimitExceeded, limit_exceeded),
    (Code::TooManyDocuments, too_many_documents),
    (Code::FileFindingsCut, file_findings_cut),
    (Code::TooLong, too_long),
    (Code::MoreFindings, more_findings),
    (Code::ClusterIpsExhausted, cluster_ips_exhausted),
    (Code::NodePortsExhausted, node_ports_exhausted),
    (Code::DefaultClasses, default_classes),
    (Code::SecretGone, secret_gone),
    (Code::Evicted, evicted),
    (Code::NotSettings, || settings("kind: Other\n")),
    (Code::UnknownSetting, || settings("dns: {tll: 5}\n")),
    (Code::InvalidSetting, || settings("dns: 5\n")),
    (Code::NeedsRestart, needs_restart),
    (Code::HostsLine, hosts_line),
    (Code::DnsSecretUnusable, dns_secret),
];

fn unreadable() -> Vec<Diagnostic> {
    let unreadable = vec![(Arc::new("folder".into()), "permission denied".to_owned())];
    apply(&mut pipeline(Settings::default()), Changes { unreadable, ..Changes::default() })
}

fn limit_exceeded() -> Vec<Diagnostic> {
    let limits = Limits { max_file_bytes: 10, ..Limits::default() };
    let mut pipeline = pipeline(Settings { limits, ..Settings::default() });
    apply(&mut pipeline, file("all.yaml", &service("web", "{ports: [{port: 80}]}")))
}

fn too_many_documents() -> Vec<Diagnostic> {
    let limits = Limits { max_documents: 1, ..Limits::default() };
    let mut pipeline = pipeline(Settings { limits, ..Settings::default() });
    let services: String = ["a", "b"]
        .map(|name| service(name, "{ports: [{port: 80}]}"))
        .concat();
    apply(&mut pipeline, file("all.yaml", &services))
}

fn file_findings_cut() -> Vec<Diagnostic> {
    load(&"---\nkind: Service\n".repeat(5_000))
}

fn too_long() -> Vec<Diagnostic> {
    let note = "x".repeat(300 << 10);
    load(&format!(
        "kind: ConfigMap\napiVersion: v1\nmetadata: {{name: a, annotations: {{n: {note}}}}}\n"
    ))
}

fn more_findings() -> Vec<Diagnostic> {
    let ports: String = (0..200)
        .map(|n| format!("{{name: p{n}, port: 0}},"))
        .collect();
    load(&service("many", &format!("{{ports: [{ports}]}}")))
}

fn cluster_ips_exhausted() -> Vec<Diagnostic> {
    let service_cidrs = vec!["127.96.0.0/30".parse().unwrap()];
    let settings = Settings { service_cidrs, ..Settings::default() };
    let services: String = (0..5)
        .map(|n| service(&format!("s{n}"), "{ports: [{port: 80}]}"))
        .collect();
    apply(&mut pipeline(settings), file("all.yaml", &services))
}

fn node_ports_exhausted() -> Vec<Diagnostic> {
    let mut services = String::new();
    for service_number in 0..29 {
        let mut ports = String::new();
        for port in 1..=100 {
            write!(ports, "{{name: p{port}, port: {port}}},").unwrap();
        }
        services.push_str(&service(
            &format!("s{service_number}"),
            &format!("{{type: NodePort, ports: [{ports}]}}"),
        ));
    }
    load(&services)
}

fn default_classes() -> Vec<Diagnostic> {
    let class = |name| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}, \
             annotations: {{ingressclass.kubernetes.io/is-default-class: \"true\"}}}}\nspec: \
             {{controller: portico.dev/ingress}}\n"
        )
    };
    load(&(class("one") + &class("two")))
}

fn secret_gone() -> Vec<Diagnostic> {
    let pair = rcgen::generate_simple_self_signed(["web.test".to_owned()]).unwrap();
    let indented = |text: String| {
        text.lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    };
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\ntype: kubernetes.io/tls\nstringData:\n  \
         tls.crt: |\n{}  tls.key: |\n{}",
        indented(pair.cert.pem()),
        indented(pair.signing_key.serialize_pem())
    );
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec:\n  \
                   tls: [{hosts: [web.test], secretName: web}]\n  rules: [{host: web.test}]\n";
    let mut pipeline = pipeline(Settings::default());
    let mut changes = file("secret.yaml", &secret);
    changes
        .written
        .extend(file("ingress.yaml", ingress).written);
    apply(&mut pipeline, changes);
    let removed = vec![Arc::new(PathBuf::from("secret.yaml"))];
    apply(&mut pipeline, Changes { removed, ..Changes::default() })
}

fn evicted() -> Vec<Diagnostic> {
    let mut pipeline = pipeline(Settings::default());
    let silent = service("silent", "{ports: [{port: 80}]}");
    let update = pipeline.apply(file("silent.yaml", &silent), NOW);
    let given = match &update.snapshot.services.values().next().unwrap().reach {
        Reach::ClusterIp(addresses) => addresses[0],
        other => panic!("{other:?}"),
    };
    let asks = service("asks", &format!("{{clusterIP: {given}, ports: [{{port: 80}}]}}"));
    apply(&mut pipeline, file("asks.yaml", &asks))
}

fn settings(rest: &str) -> Vec<Diagnostic> {
    let head = "apiVersion: portico.dev/v1alpha1\nkind: PorticoConfiguration\n";
    let text = if rest.contains("kind:") { rest.to_owned() } else { format!("{head}{rest}") };
    let file = Arc::new("settings.yaml".into());
    Document::read(&file, text.as_bytes(), &["dns.ttl"])
        .unwrap()
        .wrong
}

fn needs_restart() -> Vec<Diagnostic> {
    let text = "apiVersion: portico.dev/v1alpha1\nkind: PorticoConfiguration\nworkers: 2\n";
    let file = Arc::new("settings.yaml".into());
    let document = Document::read(&file, text.as_bytes(), &["workers"]).unwrap();
    vec![document.needs_restart("workers")]
}

fn hosts_line() -> Vec<Diagnostic> {
    let mut settings = Settings::default();
    settings.names.hosts_files = vec!["hosts".into()];
    apply(&mut pipeline(settings), file("hosts", "192.0.2.10 a.test\nnowhere b.test\n"))
}

fn dns_secret() -> Vec<Diagnostic> {
    let settings = Settings {
        dns_tls_secret: Some(ObjectName::new("default", "nothing")),
        ..Settings::default()
    };
    apply(&mut pipeline(settings), Changes::default())
}

fn service(name: &str, spec: &str) -> String {
    format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn load(text: &str) -> Vec<Diagnostic> {
    apply(&mut pipeline(Settings::default()), file("all.yaml", text))
}

fn file(name: &str, text: &str) -> Changes {
    let written = vec![(Arc::new(name.into()), text.as_bytes().into())];
    Changes { written, ..Changes::default() }
}

fn pipeline(settings: Settings) -> Pipeline {
    Pipeline::new(Arc::new(settings), HostFacts::default(), Assignments::default())
}

fn apply(pipeline: &mut Pipeline, changes: Changes) -> Vec<Diagnostic> {
    pipeline.apply(changes, NOW).diagnostics.to_vec()
}

const NOW: u64 = 1_800_000_000;
