//! The log of requests: what a line says, whose requests have none, and that files can be rotated
//! (`http-proxy 2.6`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

use portico_config::model::{AccessLog, LogTarget};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use serde_json::Value;

use crate::annotations::annotated;
use crate::backend_tls::{Authority, pair_secret};
use crate::client_certs::{ask, client, signers};
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
    logging_of(&[service("web", "ClusterIP", 80, &[pod]), site, quiet], format, file)
}

/// An instance with these manifests that logs to a file.
fn logging_of(manifests: &[String], format: &str, file: PathBuf) -> Portico {
    let manifests = manifests.join("---\n");
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
        r#"127.0.0.1 "no request" 400 -/- - - "-" -"#,
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

#[test]
fn a_line_says_how_tls_was_agreed_on_and_who_the_client_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let pod = Pod::http("web");
    let signs = Authority::new();
    let pair = signs.sign("web.test");
    let entry = "  tls:\n  - hosts: [web.test]\n    secretName: pair\n";
    let asks = [("auth-tls-secret", "default/signers")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        signers("signers", &signs),
        pair_secret(&pair.0, &pair.1),
        annotated("web", "web.test", &asks, entry),
    ];
    let format = "$status $ssl_protocol $ssl_cipher $ssl_server_name $ssl_session_reused \
                  $ssl_client_verify $ssl_client_s_dn $ssl_client_i_dn";
    let portico = logging_of(&manifests, format, file.clone());
    let shown = signs.client("app-7");
    let (nobody, app) = (client(&signs, None), client(&signs, Some((&shown.0, &shown.1))));
    for who in [&nobody, &app, &app] {
        ask(portico.https(), who, ("web.test", "web.test"));
    }
    assert_eq!(get(portico.http(), "web.test", "/").status, 308);
    let agreed = |line: &str| line.replace("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384");
    let mut found: Vec<_> = lines(&file, 4).iter().map(|line| agreed(line)).collect();
    let tls = "TLSv1.3 TLS_AES_256_GCM_SHA384 web.test";
    let want = [
        format!("200 {tls} . SUCCESS CN=app-7 CN=authority"),
        format!("200 {tls} r SUCCESS CN=app-7 CN=authority"),
        "308 - - - - - - -".to_owned(),
        format!("400 {tls} . NONE - -"),
    ];
    // Workers hand their lines on one after the other.
    found.sort();
    assert_eq!(found, want, "http-proxy 9.1");
}

#[test]
fn a_connection_that_is_passed_through_has_one_line_with_its_name_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let inside = Authority::new();
    let pod = Pod::https("inside", &inside.server("deep.test", None));
    let passed = |name: &str| {
        let host = format!("{name}.test");
        annotated(name, &host, &[("ssl-passthrough", "true")], "")
            .replace("name: web,", &format!("name: {name},"))
    };
    let manifests = [
        service("deep", "ClusterIP", 80, &[&pod]),
        service("gone", "ClusterIP", 80, &[]),
        passed("deep"),
        passed("gone"),
    ];
    let format = "$status $server_protocol $host $ssl_server_name $ssl_protocol \
                  $namespace/$ingress_name $service_name $upstream_addr \"$request\" \
                  $request_length $bytes_sent";
    let portico = logging_of(&manifests, format, file.clone());
    let config = client(&inside, None);
    let (answer, _) = ask(portico.https(), &config, ("deep.test", "deep.test"));
    assert!(answer.contains("inside deep.test 0"), "{answer}");
    let line = lines(&file, 1).remove(0);
    let want = format!("200 TLS deep.test deep.test - default/deep deep {} \"-\" ", pod.address);
    let bytes = line
        .strip_prefix(&want)
        .unwrap_or_else(|| panic!("http-proxy 9.1: {line}"));
    for count in bytes.split(' ') {
        assert!(count.parse::<u64>().unwrap() > 300, "hello, certificate and request: {line}");
    }
    let name = ServerName::try_from("gone.test").unwrap();
    let mut session = ClientConnection::new(config, name).unwrap();
    let mut stream = TcpStream::connect(portico.https()).unwrap();
    session.write_tls(&mut stream).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    let line = lines(&file, 2).remove(1);
    assert_eq!(line, "503 TLS gone.test gone.test - default/gone gone - \"-\" 0 0", "{line}");
}

#[test]
fn a_line_lists_every_endpoint_that_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    // Nobody listens there any more; which of both is asked first is left open.
    let pod = Pod::http("web");
    let mark = "portico.dev/endpoints: \"";
    let web = service("web", "ClusterIP", 80, &[&pod]).replace(mark, &format!("{mark}{gone},"));
    let site = ingress("site", &[("shop.test", "Prefix", "/", "web")], "");
    let format = "$status|$upstream_addr|$upstream_status|$upstream_response_length|\
                  $upstream_connect_time|$upstream_header_time";
    let portico = logging_of(&[web, site], format, file.clone());
    for _ in 0..2 {
        assert_eq!(get(portico.http(), "shop.test", "/").status, 200);
    }
    let found = lines(&file, 2);
    let two = found.iter().find(|line| line.contains(", ")).unwrap();
    let parts: Vec<Vec<&str>> = two.split('|').map(|it| it.split(", ").collect()).collect();
    assert_eq!(parts[1][0], gone.to_string(), "http-proxy 5.11, 9.1: {two}");
    assert_eq!((&parts[2][..], parts[3][0]), (&["502", "200"][..], "0"), "{two}");
    assert_eq!((parts[4][0], parts[5][0]), ("-", "-"), "{two}");
    assert!(parts[4][1].parse::<f64>().is_ok() && parts[5][1].parse::<f64>().is_ok(), "{two}");
}

#[test]
fn the_line_of_a_tunnel_comes_at_its_end_with_all_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while matches!(reader.read_line(&mut line), Ok(1..)) && line != "\r\n" {
            line.clear();
        }
        let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(switch.as_bytes()).unwrap();
        let mut said = Vec::new();
        reader.read_to_end(&mut said).unwrap();
        stream.write_all(&said).unwrap();
        stream.write_all(&said).unwrap();
    });
    let format = "$status $request_length $body_bytes_sent $upstream_addr";
    let portico = logging(format, file.clone(), &pod);
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    let head = "GET /cart HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[b'x'; 3_000]).unwrap();
    assert!(
        std::fs::read_to_string(&file)
            .unwrap_or_default()
            .is_empty(),
        "http-proxy 9.1"
    );
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let line = &lines(&file, 1)[0];
    let want = format!("101 {} 6000 127.0.0.1:", head.len() + 3_000);
    assert!(line.starts_with(&want), "http-proxy 9.1: {want} in {line}");
}

#[test]
fn the_default_format_of_ingress_nginx_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let pod = Pod::http("web");
    let portico = logging("upstreaminfo", file.clone(), &pod);
    let body = get(portico.http(), "shop.test", "/cart").body.len();
    let line = &lines(&file, 1)[0];
    let begin = "127.0.0.1 - - [";
    let middle = format!("] \"GET /cart HTTP/1.1\" 200 {body} \"-\" \"-\" ");
    let end = format!(" [default-web-80] [-] 127.0.0.1:{} {body} 0.", pod.address.port());
    for want in [begin, &middle, &end] {
        assert!(line.contains(want), "ingress-nginx log-format: {want} in {line}");
    }
}
