//! `portico echo` as a pod behind portico: what it says of a request, however that came, and how it
//! waits and fails on request (`ingress 4`, `http-proxy 6.10`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use http::Request;
use portico::command::echo::{self, EchoOptions, EchoServer, Serves};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::annotations::annotated;
use crate::backend_tls::Authority;
use crate::harness::frames::{DATA, END_STREAM, GOAWAY, RST_STREAM, Raw, SETTINGS};
use crate::harness::http::{Client, get};
use crate::harness::portico::Portico;
use crate::harness::process::{Process, free_address, tool};
use crate::harness::{PATIENCE, eventually};
use crate::http2::{ask, read, with_client};

const ANY: &str = "127.0.0.1:0";

fn start(options: EchoOptions) -> EchoServer {
    let name = "wp-1".to_owned();
    echo::start(EchoOptions { name, ..options }).expect("free ports")
}

/// Every kind over HTTP, with TLS by a certificate of `authority`.
fn http(authority: &Authority, serves: Serves) -> EchoServer {
    let tls = authority.server_for(&[b"h2", b"http/1.1"]);
    start(EchoOptions {
        h2c: Some(ANY.parse().unwrap()),
        tls: Some((ANY.parse().unwrap(), tls)),
        serves,
        ..EchoOptions::default()
    })
}

fn service(name: &str, address: SocketAddr) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  annotations:\n    \
         portico.dev/endpoints: \"{address}\"\nspec:\n  ports:\n  - port: 80\n"
    )
}

/// portico before an echo server: `plain.test`, `h2c.test`, `tls.test` and `grpcs.test`.
fn before(server: &EchoServer) -> Portico {
    let (h2c, tls) = (server.h2c.unwrap(), server.tls.unwrap());
    let of = |name: &str, protocol: &str| {
        let host = format!("{name}.test");
        annotated(name, &host, &[("backend-protocol", protocol)], "")
            .replace("name: web,", &format!("name: {name},"))
    };
    let manifests = [
        service("plain", server.address),
        service("h2c", h2c),
        service("tls", tls),
        service("grpcs", tls),
        of("plain", "HTTP"),
        of("h2c", "GRPC"),
        of("tls", "HTTPS"),
        of("grpcs", "GRPCS"),
    ]
    .join("---\n");
    Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start()
}

#[test]
fn a_request_is_echoed_however_it_comes() {
    let server = http(&Authority::new(), Serves::Http);
    let portico = before(&server);
    for (host, proto, tls) in [
        ("plain.test", "HTTP/1.1", None),
        ("h2c.test", "HTTP/2.0", None),
        ("tls.test", "HTTP/1.1", Some("http/1.1")),
        ("grpcs.test", "HTTP/2.0", Some("h2")),
    ] {
        let answer = get(portico.http(), host, "/a//b?c=d");
        let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.header("content-type"), Some("application/json"), "{host}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{host}");
        assert!(answer.text().starts_with("{\n \""), "one blank for each level");
        for (field, want) in
            [("path", "/a/b?c=d"), ("host", host), ("method", "GET"), ("proto", proto)]
        {
            assert_eq!(said[field], want, "ingress 4: {host}");
        }
        assert_eq!((&said["pod"], &said["namespace"]), (&"wp-1".into(), &"default".into()));
        assert_eq!(said["httpPort"], server.address.port().to_string());
        assert_eq!(said["headers"]["X-Forwarded-Host"][0], host);
        let agreed = said["tls"]["negotiatedProtocol"].as_str();
        assert_eq!(agreed, tls, "ingress 4: {host}");
        if tls.is_some() {
            assert_eq!(said["tls"]["version"], "TLSv1.3");
            assert!(
                said["tls"]["cipherSuite"]
                    .as_str()
                    .unwrap()
                    .starts_with("TLS_AES")
            );
        }
    }
    // HTTP/1.1 is not what that port is for.
    let direct = get(server.h2c.unwrap(), "h2c.test", "/");
    assert_eq!((direct.status, direct.text()), (400, "Expected h2c request\n"), "ingress 4");
}

#[test]
fn a_request_of_http_1_1_may_go_on_by_http_2_where_that_is_served() {
    let server = http(&Authority::new(), Serves::Http);
    let h2c = server.h2c.unwrap();
    let ask = |address: SocketAddr, settings: &str| {
        let mut raw = Raw::silent(address);
        let head = format!(
            "POST /a//b?c=d HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: {settings}\r\nContent-Length: 3\r\nX-Own: 1\r\n\r\nabc"
        );
        raw.0.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            raw.0.read_exact(&mut byte).unwrap();
            answer.extend_from_slice(&byte);
        }
        (raw, String::from_utf8(answer).unwrap())
    };
    // MAX_CONCURRENT_STREAMS of 100.
    let (mut raw, answer) = ask(h2c, "AAMAAABk");
    assert!(answer.starts_with("HTTP/1.1 101 "), "ingress 4: {answer}");
    raw.0
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    assert!(raw.send(SETTINGS, 0, 0, &[]));
    let said = |raw: &mut Raw, stream: u32| -> serde_json::Value {
        let mut body = Vec::new();
        loop {
            let (kind, flags, of, payload) = raw.next().expect("the connection stays");
            assert!(kind != GOAWAY && kind != RST_STREAM, "{payload:?}");
            if (kind, of) == (DATA, stream) {
                body.extend(payload);
                if flags & END_STREAM != 0 {
                    return serde_json::from_slice(&body).unwrap();
                }
            }
        }
    };
    let first = said(&mut raw, 1);
    for (field, want) in
        [("proto", "HTTP/2.0"), ("method", "POST"), ("path", "/a//b?c=d"), ("host", "a.test")]
    {
        assert_eq!(first[field], want, "ingress 4, RFC 7540 3.2");
    }
    assert_eq!(first["headers"]["X-Own"][0], "1");
    for gone in ["Upgrade", "Connection", "Http2-Settings", "Content-Length"] {
        assert!(first["headers"][gone].is_null(), "RFC 9113 8.2.2: {first}");
    }
    // And the connection is one of HTTP/2, whose client may ask more.
    assert!(raw.get(3, "b.test"));
    assert_eq!(said(&mut raw, 3)["host"], "b.test");
    // Not with settings that are none, and not where HTTP/1.1 is served.
    let (_, answer) = ask(h2c, "AAM");
    assert!(answer.starts_with("HTTP/1.1 400 "), "ingress 4: {answer}");
    let (_, answer) = ask(server.address, "AAMAAABk");
    assert!(answer.starts_with("HTTP/1.1 200 "), "ingress 4: {answer}");

    let url = format!("http://{h2c}/x");
    let arguments = ["-sS", "--http2", "--max-time", "30", "-w", "\n%{http_version}", &url];
    let Some(about) = tool("curl", &["--version"]) else { return };
    if String::from_utf8_lossy(&about.stdout).contains("HTTP2") {
        let output = tool("curl", &arguments).expect("it was there");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("\"path\": \"/x\"") && text.ends_with("\n2"),
            "ingress 4: {output:?}"
        );
    }
}

#[test]
fn it_waits_fails_and_answers_as_it_is_asked() {
    let server = http(&Authority::new(), Serves::Http);
    let mut client = Client::connect(server.address);
    let mut ask = |path: &str| client.get("a.test", path).unwrap();
    for (path, status, body) in [
        ("/health", 200, Some("OK")),
        ("//health", 200, Some("OK")),
        ("/status/418", 418, Some("")),
        ("/status/418?x", 400, Some("")),
        ("/?delay=1ms", 200, None),
        ("/retry/x?succeedAfter=1", 400, Some("uuid is required")),
        ("/retry/x?uuid=a", 400, Some("succeedAfter is required")),
        ("/retry/x?uuid=a&succeedAfter=1&responseCode=503", 503, Some("")),
        ("/retry/x?uuid=a&succeedAfter=1&responseCode=503", 200, None),
    ] {
        let answer = ask(path);
        assert_eq!(answer.status, status, "ingress 4: {path}");
        if let Some(body) = body {
            assert_eq!(answer.text(), body, "ingress 4: {path}");
        }
    }
    let wrong = ask("/?delay=soon");
    assert_eq!(wrong.status, 500);
    assert!(wrong.text().starts_with("{\"message\":"), "ingress 4: {}", wrong.text());
    let form = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\nContent-Type: \
                application/x-www-form-urlencoded\r\nX-Echo-Set-Header: X-A:1, X-B:2\r\n\
                X-Echo-Set-Header: X-A:3\r\n\r\n";
    let answer = client.request(form, b"delay=soon").unwrap();
    assert_eq!(answer.status, 500, "a form is read");
    let answer = client.request(form, b"delay=10ms").unwrap();
    let set = |name: &str| {
        answer
            .headers
            .iter()
            .find(|(it, _)| it == name)
            .map(|it| &*it.1)
    };
    assert_eq!((set("X-A"), set("X-B")), (Some("1,3"), Some("2")), "ingress 4");
    let reset = client.get("a.test", "/retry/x?uuid=b&succeedAfter=1");
    assert!(reset.is_err(), "ingress 4: without a code the connection is reset");
}

#[test]
fn the_environment_says_who_it_is_and_flags_say_it_louder() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // It listens on every address.
    let port = free_address("0.0.0.0").port();
    let environment = [
        ("HTTP_PORT", &*port.to_string()),
        ("POD_NAME", "by-environment"),
        ("NAMESPACE", "shop"),
        ("SERVICE_NAME", "cart"),
        ("INGRESS_NAME", "front"),
    ];
    let _echo = Process::told(&environment, &log, &["echo", "--name", "by-flag"]);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("it listens", || TcpStream::connect(address).ok());
    let answer = get(address, "a.test", "/x?y=z");
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    for (field, want) in [
        ("pod", "by-flag"),
        ("namespace", "shop"),
        ("service", "cart"),
        ("ingress", "front"),
        ("httpPort", &*port.to_string()),
    ] {
        assert_eq!(said[field], want, "ingress 4: {field}");
    }
    let want = "Echoing back request made to /x?y=z to client (127.0.0.1";
    eventually(want, || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains(want).then_some(())
    });
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("Echoing back").count(), 1, "ingress 4: a line for each: {text}");
}

#[test]
fn a_web_socket_sends_back_what_it_gets() {
    let server = http(&Authority::new(), Serves::Http);
    let portico = before(&server);
    let stream = TcpStream::connect(portico.http()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut socket, _) = tungstenite::client("ws://plain.test/ws", stream).unwrap();
    for message in [Message::text("hello"), Message::binary(vec![7; 70_000])] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message, "ingress 4");
    }
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}

#[test]
fn a_service_of_grpc_says_what_it_was_asked_and_what_it_is() {
    let server = http(&Authority::new(), Serves::Grpc);
    let manifests = [
        service("plain", server.address),
        annotated("plain", "plain.test", &[("backend-protocol", "GRPC")], "")
            .replace("name: web,", "name: plain,"),
        service("tls", server.tls.unwrap()),
        annotated("tls", "tls.test", &[("backend-protocol", "GRPCS")], "")
            .replace("name: web,", "name: tls,"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let package = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho";
    with_client(portico.http(), async |client| {
        let call = async |host: &str, method: &str, message: &[u8]| {
            let request = Request::post(format!("http://{host}/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("x-mark", "here");
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let framed = [&[0], &length[..], message].concat();
            let response = ask(&client, request, Some(&framed)).await;
            let at_once = response.headers().get("grpc-status").cloned();
            let (body, trailers) = read(response.into_body()).await.unwrap();
            let status = at_once.or_else(|| trailers.and_then(|it| it.get("grpc-status").cloned()));
            let text = String::from_utf8_lossy(&body).into_owned();
            (status.unwrap().to_str().unwrap().to_owned(), text)
        };
        for host in ["plain.test", "tls.test"] {
            for method in ["Echo", "EchoTwo"] {
                let method = format!("{package}/{method}");
                let (status, said) = call(host, &method, b"").await;
                assert_eq!(status, "0", "ingress 4: {host}");
                for want in [&*format!("/{method}"), "x-mark", "here", ":authority", host, "wp-1"] {
                    assert!(said.contains(want), "ingress 4: {want:?} in {said:?}");
                }
                assert_eq!(said.contains("TLSv1.3"), host == "tls.test", "{said:?}");
            }
        }
        let (status, _) = call("plain.test", &format!("{package}/EchoThree"), b"").await;
        assert_eq!(status, "12", "ingress 4");
        for version in ["v1", "v1alpha"] {
            let method = format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let (status, said) = call("plain.test", &method, b"\x3a\x01*").await;
            assert!(status == "0" && said.contains(package), "ingress 4: {said:?}");
            let symbol =
                [b"\x22", &[u8::try_from(package.len()).unwrap()][..], package.as_bytes()].concat();
            let (_, said) = call("plain.test", &method, &symbol).await;
            assert!(said.contains("EchoThree") && said.contains("proto3"), "{said:?}");
        }
    });
}

#[test]
fn lines_and_datagrams_are_answered_too() {
    let lines = start(EchoOptions { serves: Serves::Lines, ..EchoOptions::default() });
    let mut stream = TcpStream::connect(lines.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"PING\nnothing\nIS_TLS\nTEST\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    };
    for want in ["Gateway API Test TCP Server\n", "PONG\n", "false\n"] {
        assert_eq!(next(), want, "ingress 4");
    }
    let said: serde_json::Value = serde_json::from_str(&next()).unwrap();
    assert_eq!((&said["pod"], &said["isTLS"]), (&"wp-1".into(), &false.into()));
    reader
        .get_mut()
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0, "it ends with its client");

    let datagrams = start(EchoOptions { serves: Serves::Datagrams, ..EchoOptions::default() });
    let client = UdpSocket::bind(ANY).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"hello", datagrams.address).unwrap();
    let mut buffer = [0; 1024];
    let length = client.recv(&mut buffer).unwrap();
    let said: serde_json::Value = serde_json::from_slice(&buffer[..length]).unwrap();
    assert_eq!((&said["request"], &said["pod"]), (&"hello".into(), &"wp-1".into()));
}
