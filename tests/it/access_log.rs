//! The log of requests: what a line says, whose requests have none, and that files can be rotated
//! (`http-proxy 2.6`).

use std::path::{Path, PathBuf};

use portico_config::model::{AccessLog, LogTarget};
use serde_json::Value;

use crate::front_door::ingress;
use crate::harness::eventually;
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// An instance that logs to a file in this format, with one Ingress that is logged and one that is not.
fn logging(format: &str, file: PathBuf, pod: &Pod) -> Portico {
    let quiet = ingress("quiet", &[("quiet.test", "Prefix", "/", "web")], "").replace(
        "  name: quiet\n",
        "  name: quiet\n  annotations: {nginx.ingress.kubernetes.io/enable-access-log: \"false\"}\n",
    );
    let site = ingress("site", &[("shop.test", "Prefix", "/cart", "web")], "");
    let manifests = [service("web", "ClusterIP", 80, &[pod]), site, quiet].join("---\n");
    let log = AccessLog { target: LogTarget::File(file), format: format.parse().unwrap() };
    Portico::with(&[("all.yaml", &manifests)])
        .adjust(move |settings| settings.access_log = log)
        .start()
}

/// The lines of a log, once there are so many.
fn lines(file: &Path, count: usize) -> Vec<String> {
    eventually("the lines are written", || {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn each_request_has_one_line_and_nobody_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let pod = Pod::http("web");
    let format = "$remote_addr \"$request\" $status $namespace/$ingress_name $service_name \
                  $upstream_status \"$http_user_agent\" $request_id";
    let portico = logging(format, file.clone(), &pod);
    let mut client = Client::connect(portico.http());
    let head = "GET /cart?token=x HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: a\"b\r\n\
                X-Request-ID: one\r\n\r\n";
    assert_eq!(client.request(head, b"").unwrap().status, 200);
    let head = "GET /cart HTTP/1.1\r\nHost: quiet.test\r\n\r\n";
    assert_eq!(client.request(head, b"").unwrap().status, 200, "not logged");
    let head = "GET /else HTTP/1.1\r\nHost: shop.test\r\nX-Request-ID: two\r\n\r\n";
    assert_eq!(client.request(head, b"").unwrap().status, 404);
    let head = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nX-Request-ID: three\r\n\r\n";
    assert_eq!(client.request(head, b"").unwrap().status, 400);
    let mut client = Client::connect(portico.http());
    assert_eq!(client.request("no request\r\n\r\n", b"").unwrap().status, 400);
    let mut found = lines(&file, 4);
    found.sort();
    let mut want = [
        r#"127.0.0.1 "GET /cart?token=*** HTTP/1.1" 200 default/site web 200 "a\x22b" one"#,
        r#"127.0.0.1 "GET /else HTTP/1.1" 404 -/- - - "-" two"#,
        r#"127.0.0.1 "GET / HTTP/1.1" 400 -/- - - "-" three"#,
        r#"127.0.0.1 "-" 400 -/- - - "-" -"#,
    ];
    want.sort_unstable();
    assert_eq!(found, want, "http-proxy 9.1, 9.3");
    eventually("they are counted", || {
        (portico.metric("portico_l7_access_log_lines_total") == 4).then_some(())
    });
    assert_eq!(portico.metric("portico_l7_access_log_dropped_total"), 0);
}

#[test]
fn a_line_of_json_says_where_a_request_went() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let pod = Pod::http("web");
    let portico = logging("json", file.clone(), &pod);
    let body = get(portico.http(), "shop.test", "/cart/1?a=b").body.len();
    let line: Value = serde_json::from_str(&lines(&file, 1)[0]).unwrap();
    for (key, want) in [
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("protocol", "HTTP/1.1"),
        ("host", "shop.test"),
        ("path", "/cart/1"),
        ("query", "a=b"),
        ("namespace", "default"),
        ("ingress", "site"),
        ("route", "/cart"),
        ("service", "web"),
        ("scheme", "http"),
    ] {
        assert_eq!(line[key], want, "http-proxy 9.1: {key} in {line}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["tries"], 1);
    assert_eq!(line["body_bytes_out"], body);
    assert_eq!(line["request_id"].as_str().map(str::len), Some(32), "http-proxy 3.6");
}

#[test]
fn a_file_that_was_renamed_is_begun_anew_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let pod = Pod::http("web");
    let portico = logging("$request_uri", file.clone(), &pod);
    get(portico.http(), "shop.test", "/cart/1");
    assert_eq!(lines(&file, 1), ["/cart/1"]);
    let old = folder.path().join("access.log.1");
    std::fs::rename(&file, &old).unwrap();
    portico.reopen_logs();
    get(portico.http(), "shop.test", "/cart/2");
    assert_eq!(lines(&file, 1), ["/cart/2"], "http-proxy 9.2");
    assert_eq!(lines(&old, 1), ["/cart/1"]);
}
