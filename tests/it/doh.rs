//! DNS over HTTPS (RFC 8484, `dns 3.4.2`) on the listener of Ingress, as curl asks it.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use portico_config::model::ObjectName;
use tempfile::TempDir;

use crate::front_door::{ingress, secret};
use crate::harness::dns::{Reply, query, read};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::tool;
use crate::services::service;

const NAME: &str = "web.default.svc.cluster.local.";

/// What curl was told.
struct Told {
    /// Status, media type, `Cache-Control`, `Allow`.
    line: String,
    body: Vec<u8>,
}

fn curl(portico: &Portico, folder: &Path, target: &str, more: &[&str]) -> Option<Told> {
    let port = portico.https().port();
    let to = format!("dns.test:{port}:{}", portico.https().ip());
    let url = format!("https://dns.test:{port}{target}");
    let (out, ca) = (folder.join("out"), folder.join("ca.pem"));
    let (out, ca) = (out.to_str().unwrap(), ca.to_str().unwrap());
    let format = "%{http_code} %header{content-type} %header{cache-control}%header{allow}";
    let line =
        ["-sS", "--max-time", "30", "--resolve", &to, "--cacert", ca, "-o", out, "-w", format];
    let output = tool("curl", &[&line[..], more, &[&url]].concat())?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Some(Told { line, body: std::fs::read(out).unwrap_or_default() })
}

/// An instance with a pod behind `dns.test`, which answers queries too, and a folder with what curl
/// needs.
fn start(pod: &Pod) -> (Portico, TempDir) {
    let (manifest, certificate) = secret("dns-tls", &["dns.test"]);
    let rules = [("dns.test", "Prefix", "/", "web")];
    let text = [service("web", "ClusterIP", 80, &[pod]), ingress("i", &rules, ""), manifest];
    let portico = Portico::with(&[("all.yaml", &text.join("---\n"))])
        .adjust(|settings| {
            settings.dns_doh_hosts = vec!["dns.test".into()];
            settings.dns_tls_secret = Some(ObjectName::new("default", "dns-tls"));
        })
        .start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate).unwrap();
    (portico, folder)
}

#[test]
fn a_configured_host_answers_queries_and_every_other_request_is_routed() {
    let pod = Pod::http("web");
    let (portico, folder) = start(&pod);
    let asked = query(NAME, RecordType::A);
    let get = format!("/dns-query?dns={}", BASE64_URL_SAFE_NO_PAD.encode(&asked));
    let Some(told) = curl(&portico, folder.path(), &get, &[]) else { return };
    assert_eq!(told.line, format!("200 {KEPT}"), "RFC 8484 4.2, 5.1");
    let address = portico.cluster_ip("default/web", 80).ip();
    assert_eq!(told.body[..2], asked[..2], "the id is the client's");
    assert_eq!(read(&told.body), Reply::of(&[&format!("A {address}")]));
    for version in ["--http1.1", "--http2"] {
        let told = curl(&portico, folder.path(), &get, &[version]).unwrap();
        assert_eq!(told.line, format!("200 {KEPT}"), "dns 3.4.2: {version}");
        assert_eq!(read(&told.body), Reply::of(&[&format!("A {address}")]), "{version}");
    }
    let routed = curl(&portico, folder.path(), "/other", &[]).unwrap();
    assert_eq!(routed.body, b"web");
    let plain = crate::harness::http::get(portico.http(), "dns.test", &get);
    assert_eq!(plain.text(), "web", "without TLS it is no query");
}

#[test]
fn a_query_has_one_form_and_each_mistake_its_status() {
    let pod = Pod::http("web");
    let (portico, folder) = start(&pod);
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        format!("@{}", path.display())
    };
    let of_type = "Content-Type: application/dns-message";
    let chunked = "Transfer-Encoding: chunked";
    let missing = query("nothing.default.svc.cluster.local.", RecordType::A);
    let message = file("message", &query(NAME, RecordType::A));
    let negative = file("negative", &missing);
    let (bad, long) = (file("bad", b"no message"), file("long", &vec![0; 65_536]));
    let data = "--data-binary";
    for (case, more, status, kind) in [
        ("POST", &[data, &*message, "-H", of_type][..], 200, KEPT),
        ("in chunks", &["-H", chunked, data, &message, "-H", of_type], 200, KEPT),
        ("waits", &["-H", "Expect: 100-continue", data, &message, "-H", of_type], 200, KEPT),
        ("no such name", &[data, &negative, "-H", of_type], 200, KEPT),
        ("no message", &[data, &bad, "-H", of_type], 400, WORDS),
        ("too long", &[data, &long, "-H", of_type], 413, WORDS),
        ("too long in chunks", &["-H", chunked, data, &long, "-H", of_type], 413, WORDS),
        ("another type", &[data, &message, "-H", "Content-Type: text/plain"], 415, WORDS),
        ("another method", &["-X", "PUT"], 405, "text/plain; charset=utf-8 GET, POST"),
    ] {
        let Some(told) = curl(&portico, folder.path(), "/dns-query", more) else { return };
        assert_eq!(told.line, format!("{status} {kind}"), "dns 3.4.2: {case}");
    }
    for (status, want) in [(200, 4), (400, 1), (405, 1), (413, 2), (415, 1), (500, 0)] {
        let series = format!(r#"server="https://",status="{status}""#);
        let series = format!("coredns_dns_https_responses_total{{{series}}}");
        assert_eq!(portico.metric(&series), want, "dns 5.1: {status}");
    }
}

/// What curl says of a reply, and of words.
const KEPT: &str = "application/dns-message max-age=5";
const WORDS: &str = "text/plain; charset=utf-8";

#[test]
fn clients_that_may_not_ask_are_refused_over_https_too() {
    let (manifest, certificate) = secret("dns-tls", &["dns.test"]);
    let portico = Portico::with(&[("all.yaml", &manifest)])
        .adjust(|settings| {
            settings.dns_doh_hosts = vec!["dns.test".into()];
            settings.dns_tls_secret = Some(ObjectName::new("default", "dns-tls"));
            settings.dns_allow = vec!["192.0.2.0/24".parse().unwrap()];
        })
        .start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate).unwrap();
    let text = BASE64_URL_SAFE_NO_PAD.encode(query(NAME, RecordType::A));
    let get = format!("/dns-query?dns={text}");
    let Some(told) = curl(&portico, folder.path(), &get, &[]) else { return };
    assert_eq!(told.line, "200 application/dns-message max-age=0");
    assert_eq!(read(&told.body).code, ResponseCode::Refused, "dns 3.1");
}

/// Who asks through a proxy is held to what it may itself, not to what the proxy may.
#[test]
fn clients_of_a_trusted_proxy_are_told_apart() {
    let (manifest, certificate) = secret("dns-tls", &["dns.test"]);
    let portico = Portico::with(&[("all.yaml", &manifest)])
        .adjust(|settings| {
            settings.dns_doh_hosts = vec!["dns.test".into()];
            settings.dns_tls_secret = Some(ObjectName::new("default", "dns-tls"));
            settings.dns_allow = vec!["127.0.0.0/8".parse().unwrap()];
            settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate).unwrap();
    let text = BASE64_URL_SAFE_NO_PAD.encode(query(NAME, RecordType::A));
    let get = format!("/dns-query?dns={text}");
    for (client, code) in
        [("127.0.0.7", ResponseCode::NXDomain), ("192.0.2.7", ResponseCode::Refused)]
    {
        let from = format!("X-Forwarded-For: {client}");
        let Some(told) = curl(&portico, folder.path(), &get, &["-H", &from]) else { return };
        assert_eq!(read(&told.body).code, code, "dns 3.1, ingress 1.9: {client}");
    }
}
