//! Secrets are read by who names them, and by nobody else (`ingress 6.3`, `reliability 2.12.6`): what is broken and
//! named by nobody is silent, an edit that names a Secret reads one that was there before, and what nobody
//! names any more is let go.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use portico_config::diagnostic::Severity;
use portico_config::model::{Certificate, HostFacts, ObjectName, Settings};
use portico_config::pipeline::{Pipeline, Update};
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;

/// A pipeline that is fed file by file.
struct World(Pipeline);

impl World {
    fn new(settings: Settings) -> Self {
        Self(Pipeline::new(Arc::new(settings), HostFacts::default(), Assignments::default()))
    }

    fn write(&mut self, file: &str, text: &str) -> Update {
        let written = vec![(Arc::new(PathBuf::from(file)), text.as_bytes().into())];
        self.0.apply(Changes { written, ..Changes::default() }, NOW)
    }

    fn remove(&mut self, file: &str) -> Update {
        let removed = vec![Arc::new(PathBuf::from(file))];
        self.0.apply(Changes { removed, ..Changes::default() }, NOW)
    }
}

/// Codes of what is found in Secrets.
fn found_in_secrets(update: &Update) -> Vec<String> {
    let found = update.diagnostics.iter().filter(|found| {
        found.severity() == Severity::Error
            && found
                .object
                .as_ref()
                .is_some_and(|object| &*object.kind == "Secret")
    });
    found.map(|found| found.code.to_string()).collect()
}

/// An Ingress for `web.test` with annotations and more of its spec.
fn ingress(annotations: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web, annotations: \
         {{{annotations}}}}}\nspec: {{rules: [{{host: web.test}}]{spec}}}\n"
    )
}

fn annotation(name: &str, value: &str) -> String {
    format!("nginx.ingress.kubernetes.io/{name}: \"{value}\"")
}

/// A pair for `web.test` in Secret `default/web`.
fn pair() -> String {
    let made = rcgen::generate_simple_self_signed(["web.test".to_owned()]).expect("a name");
    let indented = |pem: String| pem.trim_end().replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\nstringData:\n  tls.crt: |\n    {}\n  tls.key: \
         |\n    {}\n",
        indented(made.cert.pem()),
        indented(made.signing_key.serialize_pem())
    )
}

fn served(update: &Update) -> Option<&Arc<Certificate>> {
    update.snapshot.certificates.exact.get("web.test")
}

/// Whoever reads it finds that it is no base64.
const BROKEN: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\ndata: {auth: \"?\", tls.crt: \"?\", ca.crt: \"?\"}\n";
const TLS: &str = ", tls: [{hosts: [web.test], secretName: web}]";
const NOW: u64 = 1_800_000_000;

#[test]
fn a_broken_secret_is_told_of_to_who_names_it_and_to_nobody_else() {
    let class = |name| format!(", tls: [{{secretName: web}}], ingressClassName: {name}");
    let basic =
        |secret| [annotation("auth-type", "basic"), annotation("auth-secret", secret)].join(", ");
    let verify = |secret| annotation("auth-tls-secret", secret);
    let backend = |secret| annotation("proxy-ssl-secret", secret);
    let named = || Some(ObjectName::new("default", "web"));
    let of_resolver = Settings { dns_tls_secret: named(), ..Settings::default() };
    let mut of_door = Settings::default();
    of_door.front_door.default_tls_secret = named();
    for (case, settings, ingress, is_named) in [
        ("nobody", Settings::default(), ingress("", ""), false),
        ("tls", Settings::default(), ingress("", TLS), true),
        ("auth-secret", Settings::default(), ingress(&basic("web"), ""), true),
        ("with its namespace", Settings::default(), ingress(&basic("default/web"), ""), true),
        ("auth-tls-secret", Settings::default(), ingress(&verify("default/web"), ""), true),
        ("proxy-ssl-secret", Settings::default(), ingress(&backend("default/web"), ""), true),
        ("another namespace", Settings::default(), ingress(&verify("other/web"), ""), false),
        ("and another", Settings::default(), ingress(&backend("other/web"), ""), false),
        ("another Secret", Settings::default(), ingress(&basic("webs"), ""), false),
        ("a class of ours", Settings::default(), ingress("", &class("portico")), true),
        ("another controller's", Settings::default(), ingress("", &class("else")), false),
        ("dns.tlsSecret", of_resolver, ingress("", ""), true),
        ("ingress.defaultTlsSecret", of_door, ingress("", ""), true),
    ] {
        let mut world = World::new(settings.clone());
        world.write("secret.yaml", BROKEN);
        let last = world.write("ingress.yaml", &ingress);
        assert_eq!(!found_in_secrets(&last).is_empty(), is_named, "ingress 6.3: {case}");
        let mut other = World::new(settings);
        other.write("ingress.yaml", &ingress);
        let first = other.write("secret.yaml", BROKEN);
        assert_eq!(found_in_secrets(&first), found_in_secrets(&last), "in either order: {case}");
    }
}

#[test]
fn an_edit_that_names_a_secret_reads_one_that_was_there_before() {
    let mut world = World::new(Settings::default());
    world.write("secret.yaml", &pair());
    assert!(served(&world.write("ingress.yaml", &ingress("", ""))).is_none());
    let named = world.write("ingress.yaml", &ingress("", TLS));
    let certificate = served(&named).expect("ingress 6.3: it is read now");
    let comment = world.write("ingress.yaml", &format!("# moved\n{}", ingress("", TLS)));
    let same = served(&comment).is_some_and(|it| Arc::ptr_eq(it, certificate));
    assert!(same, "it is not read again by every edit");
}

#[test]
fn what_nobody_names_any_more_is_let_go() {
    let mut world = World::new(Settings::default());
    world.write("secret.yaml", &pair());
    let named = world.write("ingress.yaml", &ingress("", TLS));
    let key: Weak<_> = Arc::downgrade(&served(&named).expect("it is read").key);
    drop(named);
    assert!(key.upgrade().is_some(), "the pipeline has it");
    let unnamed = world.write("ingress.yaml", &ingress("", ""));
    assert!(served(&unnamed).is_none() && key.upgrade().is_none(), "ingress 6.3: nobody has it");
}

#[test]
fn a_named_secret_that_breaks_serves_on_until_nobody_names_it() {
    let mut world = World::new(Settings::default());
    let good = pair();
    world.write("secret.yaml", &good);
    let first = world.write("ingress.yaml", &ingress("", TLS));
    let certificate = served(&first).expect("it is read");
    let serves = |update: &Update| served(update).is_some_and(|it| Arc::ptr_eq(it, certificate));
    let broken = world.write("secret.yaml", BROKEN);
    assert!(serves(&broken) && found_in_secrets(&broken).len() == 3, "reliability 2.6.5");
    let moved = world.write("secret.yaml", &format!("# moved\n{BROKEN}"));
    let lines = |update: &Update| -> Vec<_> {
        let found = update.diagnostics.iter();
        found.filter_map(|it| Some(it.position?.line)).collect()
    };
    assert!(serves(&moved), "it serves on wherever it stands in its file");
    assert!(lines(&moved) > lines(&broken), "what is found moves with it: {:?}", lines(&moved));
    let mended = world.write("secret.yaml", &good);
    assert!(
        serves(&mended) && found_in_secrets(&mended).is_empty(),
        "the same content is the same"
    );
    world.write("secret.yaml", BROKEN);
    let unnamed = world.write("ingress.yaml", &ingress("", ""));
    assert!(served(&unnamed).is_none() && found_in_secrets(&unnamed).is_empty(), "ingress 6.3");
    let again = world.write("ingress.yaml", &ingress("", TLS));
    assert!(served(&again).is_none(), "ingress 6.3: what nobody named was forgotten");
    assert_eq!(found_in_secrets(&again).len(), 3);
    assert!(served(&world.write("secret.yaml", &good)).is_some(), "mending it serves");
}

#[test]
fn a_broken_secret_in_another_file_is_another_secret() {
    let mut world = World::new(Settings::default());
    world.write("secret.yaml", &pair());
    world.write("ingress.yaml", &ingress("", TLS));
    world.remove("secret.yaml");
    let other = world.write("other.yaml", BROKEN);
    let text: Vec<_> = other.diagnostics.iter().map(ToString::to_string).collect();
    assert!(
        text.iter()
            .any(|it| it.contains("is gone: its last certificate")),
        "{text:?}"
    );
}
