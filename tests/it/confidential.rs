//! What must stay within: keys, passwords, their hashes and what backends are told in confidence stand in
//! no answer of the admin listener, no line of the log and no output of a command (`ingress 6.3`).

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::annotations::annotated;
use crate::front_door::secret;
use crate::harness::eventually;
use crate::harness::http;
use crate::harness::process::{Process, own_address, run};

const PASSWORD: &str = "hush-hush-42";
const ODD_HASH: &str = "oddhash-oddhash";
const TOKEN: &str = "t0ken-t0ken";
const NOT_BASE64: &str = "!!n0t-base64!!";
const COOKIE_SECRET: &str = "5ec4e75ec4e75ec4e75ec4e75ec4e700";
const BROKEN_KEY: &str = "QlJPS0VOLUtFWS1CUk9LRU4tS0VZ";

/// Manifests with secrets that are good, and with those that something is found about.
fn manifests() -> (String, Vec<String>) {
    let (tls, certificate) = secret("web-tls", &["web.test"]);
    let is_key = |line: &&str| line.len() >= 40 && !certificate.contains(*line);
    let mut hidden: Vec<String> = tls
        .lines()
        .map(str::trim)
        .filter(is_key)
        .map(str::to_owned)
        .collect();
    assert!(!hidden.is_empty(), "the key has lines");
    let users = STANDARD.encode(format!("ann:{{PLAIN}}{PASSWORD}\nbob:$9${ODD_HASH}\n"));
    hidden.extend(
        [PASSWORD, ODD_HASH, TOKEN, NOT_BASE64, BROKEN_KEY, COOKIE_SECRET].map(str::to_owned),
    );
    hidden.push(users.clone());
    hidden.push(STANDARD.encode(PASSWORD));
    let of = |name: &str, data: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n{data}\n")
    };
    let broken =
        format!("-----BEGIN PRIVATE KEY-----\\n{BROKEN_KEY}\\n-----END PRIVATE KEY-----\\n");
    let basic = [("auth-type", "basic"), ("auth-secret", "users"), ("auth-realm", "Shop")];
    let entry = "  tls:\n  - hosts: [web.test]\n    secretName: web-tls\n";
    let own = |text: String, key: &str, value: &str| {
        text.replacen("spec:\n", &format!("  annotations:\n    {key}: \"{value}\"\nspec:\n"), 1)
    };
    let plain = annotated("plain", "plain.test", &[], "").replace("  annotations:\n", "");
    let asks = [
        ("auth-url", "http://auth.default.svc/check?key=t0ken-t0ken"),
        ("auth-proxy-set-headers", "fields"),
    ];
    let all = [
        tls,
        of("users", &format!("data: {{auth: {users}}}")),
        of("odd", &format!("data: {{auth: \"{NOT_BASE64}\"}}")),
        of("no-key", &format!("stringData: {{tls.crt: x, tls.key: \"{broken}\"}}")),
        annotated("web", "web.test", &basic, entry),
        annotated("odd", "odd.test", &[("auth-type", "basic"), ("auth-secret", "odd")], ""),
        annotated("asks", "asks.test", &asks, ""),
        own(plain, "portico.dev/request-headers", &format!("X-Token: {TOKEN}")),
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: fields}}\ndata: {{X-Key: {TOKEN}}}\n"
        ),
        "apiVersion: v1\nkind: Service\nmetadata: {name: auth, annotations: {portico.dev/endpoints: \
         \"127.0.0.1:9\"}}\nspec: {ports: [{port: 80}]}\n"
            .to_owned(),
    ];
    (all.join("---\n"), hidden)
}

#[track_caller]
fn holds_nothing(of: &str, text: &str, hidden: &[String]) {
    assert!(!text.is_empty(), "{of} says something");
    for secret in hidden {
        assert!(!text.contains(secret), "ingress 6.3: {of} shows {secret}:\n{text}");
    }
}

#[test]
fn no_answer_log_or_command_shows_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let (manifests, hidden) = manifests();
    fs::write(&file, &manifests).unwrap();
    let path = file.to_str().unwrap();
    let [admin, http, dns] = [own_address(), own_address(), own_address()];
    let (admin_text, http_text, dns_text) = (admin.to_string(), http.to_string(), dns.to_string());
    let cookies = folder.path().join("cookies");
    fs::write(&cookies, COOKIE_SECRET).unwrap();
    let settings = [
        "--admin",
        &admin_text,
        "--http",
        &http_text,
        "--https",
        "off",
        "--dns",
        &dns_text,
        "--dns-cookie-secret-file",
        cookies.to_str().unwrap(),
        "--service-cidr",
        "127.248.0.0/16",
    ];
    let log = folder.path().join("log");
    let arguments = [&["run", path, "--log-level", "trace"][..], &settings].concat();
    let process = Process::limited(1_024, &log, &arguments);
    eventually("it is ready", || {
        std::net::TcpStream::connect(admin).ok()?;
        (http::get(admin, "127.0.0.1", "/readyz").status == 200).then_some(())
    });
    let credentials = STANDARD.encode(format!("ann:{PASSWORD}"));
    let head =
        format!("GET / HTTP/1.1\r\nHost: web.test\r\nAuthorization: Basic {credentials}\r\n\r\n");
    let answer = http::Client::connect(http).request(&head, b"");
    assert!(matches!(answer.unwrap().status, 308 | 503), "it is asked for over HTTPS, or let in");
    for path in ["/metrics", "/readyz", "/api/v1/snapshot", "/api/v1/ingresses", "/api/v1/probes"] {
        let answer = http::get(admin, "127.0.0.1", path);
        assert_eq!(answer.status, 200, "{path}");
        holds_nothing(path, answer.text(), &hidden);
    }
    let policies = http::get(admin, "127.0.0.1", "/api/v1/ingresses");
    for want in ["\"auth-realm\":\"Shop\"", "X-Token", "auth-proxy-set-headers"] {
        let text = policies.text().replace("\": ", "\":");
        assert!(text.contains(want), "what is asked is visible: {want} in {text}");
    }
    let commands = [
        &["check", path][..],
        &["check", "--all", "--format", "json", path],
        &["check", "--format", "short", path],
        &["check", "--format", "github", path],
        &["explain", "https://web.test/", path],
        &["explain", "https://asks.test/", path],
        &["config", "dump"],
        &["diff", path],
        &["diff", "--format", "json", path],
    ];
    for command in commands {
        let is_about_settings = !["check", "explain"].contains(&command[0]);
        let more: &[&str] = if is_about_settings { &settings } else { &[] };
        let output = run(&[command, more].concat());
        let text = [output.stdout, output.stderr].concat();
        holds_nothing(&command.join(" "), &String::from_utf8_lossy(&text), &hidden);
    }
    let edited = forgets(&file, &manifests, admin);
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
    assert!(fs::read_to_string(&file).unwrap() == edited, "ingress 1.8: nothing is written there");
    holds_nothing("the log", &fs::read_to_string(&log).unwrap(), &hidden);
}

/// Makes the Secret of the users a bad one, which is found and logged; what the file holds then.
fn forgets(file: &Path, manifests: &str, admin: std::net::SocketAddr) -> String {
    let edited = manifests.replace("data: {auth: ", "data: {auth: \"?\", other: ");
    assert_ne!(edited, manifests);
    fs::write(file, &edited).unwrap();
    eventually("the edit is found wrong", || {
        let answer = http::get(admin, "127.0.0.1", "/readyz");
        answer.text().contains("Secret default/users").then_some(())
    });
    edited
}

#[test]
fn a_secret_that_is_gone_is_in_no_memory_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.yaml");
    let pin = "no-word-like-this-4711";
    let coded = STANDARD.encode(format!("ann:{{PLAIN}}{PASSWORD}\n"));
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: users}}\ndata: {{auth: {coded}}}\nstringData: \
         {{pin: {pin}}}\n"
    );
    fs::write(&file, secret).unwrap();
    let basic = [("auth-type", "basic"), ("auth-secret", "users")];
    fs::write(folder.path().join("web.yaml"), annotated("web", "web.test", &basic, "")).unwrap();
    let [admin, http] = [own_address(), own_address()];
    let (admin_text, http_text) = (admin.to_string(), http.to_string());
    let path = folder.path().to_str().unwrap();
    let process = Process::portico(&[
        "run",
        path,
        "--admin",
        &admin_text,
        "--http",
        &http_text,
        "--https",
        "off",
        "--dns",
        "off",
    ]);
    eventually("it is ready", || {
        std::net::TcpStream::connect(admin).ok()?;
        (http::get(admin, "127.0.0.1", "/readyz").status == 200).then_some(())
    });
    let hash = format!("{{PLAIN}}{PASSWORD}");
    let all = [&*coded, pin, &hash];
    let remembered = || all.map(|text| process.remembers(text.as_bytes()));
    let now = remembered();
    if now.contains(&None) {
        eprintln!("skipped: the memory of another process may not be read");
        return;
    }
    assert_eq!(now, [Some(true); 3], "what is named is there, and is found");
    fs::remove_file(&file).unwrap();
    eventually("ingress 6.3: nothing of it is left", || {
        (remembered() == [Some(false); 3]).then_some(())
    });
}
