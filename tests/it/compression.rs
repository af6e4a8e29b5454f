//! Answers in another coding (`portico.dev/compression`): which, for whom, what their heads say, and
//! that nothing is held back for its sake.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;

use crate::front_door::ingress;
use crate::harness::PATIENCE;
use crate::harness::http::{Answer, Client};
use crate::harness::pod::{Pod, head};
use crate::harness::portico::Portico;
use crate::harness::process::tool;
use crate::services::service;

/// A pod that says what `answer` has for the path of each request.
fn saying(answer: fn(&str) -> Vec<u8>) -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut reader = BufReader::new(stream);
        while let Some(head) = head(&mut reader) {
            let said = answer(head.split(' ').nth(1).unwrap_or_default());
            let is_head = head.starts_with("HEAD ");
            let end = said
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .unwrap()
                + 4;
            let said = if is_head { &said[..end] } else { &said[..] };
            if reader.get_mut().write_all(said).is_err() || head.contains(" /cut ") {
                return;
            }
        }
    })
}

fn text() -> Vec<u8> {
    let lines: String = (0..5_000)
        .map(|n| format!("line {n} of a text that says little\n"))
        .collect();
    lines.into_bytes()
}

fn answer(path: &str) -> Vec<u8> {
    let text = text();
    let (fields, body) = match path {
        "/text" => ("ETag: \"v1\"\r\nAccept-Ranges: bytes\r\n", text),
        "/short" => ("", b"short".to_vec()),
        "/coded" => ("Content-Encoding: deflate\r\n", text),
        "/kept" => ("Cache-Control: no-transform\r\n", text),
        "/varied" => ("Vary: Origin, Accept-Encoding\r\n", text),
        "/chunked" => {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunks = text.chunks(999);
            let chunks =
                chunks.map(|it| [format!("{:x}\r\n", it.len()).as_bytes(), it, b"\r\n"].concat());
            let chunks: Vec<u8> = chunks.flatten().collect();
            return [head.as_bytes(), &chunks, b"0\r\n\r\n"].concat();
        }
        "/part" => {
            let head = "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\n\
                        Content-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nshort";
            return head.into();
        }
        "/same" => return b"HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n".into(),
        "/cut" => {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 999999\r\n\r\n";
            return [head.as_bytes(), &text].concat();
        }
        _ => ("", text),
    };
    let kind = if path == "/image" { "image/png" } else { "text/plain; charset=utf-8" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// An Ingress that compresses as `annotations` say.
fn compressed(host: &str, annotations: &[(&str, &str)]) -> String {
    // `on` alone is no text in YAML.
    let name = format!("is-{}", host.split('.').next().unwrap());
    let text = ingress(&name, &[(host, "Prefix", "/", "web")], "");
    let lines: String = annotations
        .iter()
        .map(|(name, value)| format!("    portico.dev/{name}: \"{value}\"\n"))
        .collect();
    text.replacen("spec:\n", &format!("  annotations:\n{lines}spec:\n"), 1)
}

fn before(pod: &Pod) -> Portico {
    let manifests = [
        service("web", "ClusterIP", 80, &[pod]),
        compressed("on.test", &[("compression", "on")]),
        compressed("gzip.test", &[("compression", "gzip"), ("compression-min-length", "1")]),
        compressed("off.test", &[("compression", "off")]),
        compressed(
            "events.test",
            &[("compression", "gzip"), ("compression-types", "text/event-stream")],
        ),
    ]
    .join("---\n");
    Portico::with(&[("all.yaml", &manifests)]).start()
}

fn ask(portico: &Portico, host: &str, path: &str, fields: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    Client::connect(portico.http()).request(&head, b"").unwrap()
}

fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut text).unwrap();
    text
}

const GZIP: &str = "Accept-Encoding: gzip\r\n";

/// What is asked, and in which coding the answer is and what it varies with.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
);

const CASES: [Case; 16] = [
    ("asked for", "on.test", "/text", GZIP, Some("gzip"), Some("Accept-Encoding")),
    ("in chunks", "on.test", "/chunked", GZIP, Some("gzip"), Some("Accept-Encoding")),
    ("nothing asked for", "on.test", "/text", "", None, Some("Accept-Encoding")),
    (
        "not wanted",
        "on.test",
        "/text",
        "Accept-Encoding: gzip;q=0\r\n",
        None,
        Some("Accept-Encoding"),
    ),
    (
        "the best",
        "on.test",
        "/text",
        "Accept-Encoding: gzip;q=1, zstd;q=0.5\r\n",
        Some("gzip"),
        Some("Accept-Encoding"),
    ),
    (
        "of two lines",
        "on.test",
        "/text",
        "Accept-Encoding: br;q=0.1\r\nAccept-Encoding: gzip\r\n",
        Some("gzip"),
        Some("Accept-Encoding"),
    ),
    (
        "as it is, please",
        "on.test",
        "/text",
        "Accept-Encoding: gzip\r\nCache-Control: no-transform\r\n",
        None,
        Some("Accept-Encoding"),
    ),
    (
        "one is offered",
        "gzip.test",
        "/text",
        "Accept-Encoding: zstd, br, gzip;q=0.1\r\n",
        Some("gzip"),
        Some("Accept-Encoding"),
    ),
    ("said before", "on.test", "/varied", GZIP, Some("gzip"), Some("Origin, Accept-Encoding")),
    ("too short", "on.test", "/short", GZIP, None, None),
    ("long enough", "gzip.test", "/short", GZIP, Some("gzip"), Some("Accept-Encoding")),
    ("coded already", "on.test", "/coded", GZIP, None, None),
    ("not to be changed", "on.test", "/kept", GZIP, None, None),
    ("of another kind", "on.test", "/image", GZIP, None, None),
    ("switched off", "off.test", "/text", GZIP, None, None),
    ("a part", "on.test", "/part", GZIP, None, None),
];

#[test]
fn who_takes_a_coding_gets_what_may_be_had_in_it() {
    let pod = saying(answer);
    let portico = before(&pod);
    for (case, host, path, fields, coding, vary) in CASES {
        let answer = ask(&portico, host, path, fields);
        assert_eq!(answer.header("vary"), vary, "{case}");
        let plain = match path {
            "/short" | "/part" => b"short".to_vec(),
            _ => text(),
        };
        let changed = coding.is_some();
        assert_eq!(
            answer.header("content-length").is_none(),
            changed || path == "/chunked",
            "{case}"
        );
        match coding {
            Some("gzip") => {
                assert_eq!(answer.header("content-encoding"), coding, "{case}");
                assert!(unpacked(&answer.body) == plain, "{case}");
                assert!(path == "/short" || answer.body.len() < plain.len() / 5, "{case}");
            }
            _ => assert!(answer.body == plain, "{case}"),
        }
    }
    let coded = ask(&portico, "on.test", "/text", GZIP);
    assert_eq!(coded.header("etag"), Some("W/\"v1\""), "RFC 9110 8.8.3: other bytes");
    assert_eq!(coded.header("accept-ranges"), None);
    let plain = ask(&portico, "on.test", "/text", "");
    assert_eq!(plain.header("etag"), Some("\"v1\""));
    assert_eq!(plain.header("accept-ranges"), Some("bytes"));
    assert!(portico.metric("portico_l7_compressed_total{coding=\"gzip\"}") >= 7);
}

#[test]
fn a_head_without_a_body_says_what_the_body_would_be() {
    let pod = saying(answer);
    let portico = before(&pod);
    let said = |request: &str| {
        let mut client = Client::connect(portico.http());
        let fields = "Host: on.test\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
        client
            .send(format!("{request} HTTP/1.1\r\n{fields}").as_bytes())
            .unwrap();
        let mut text = String::new();
        client.read_to_end(&mut text);
        assert!(text.ends_with("\r\n\r\n"), "no byte of a body: {text}");
        text.to_ascii_lowercase()
    };
    let head = said("HEAD /text");
    for line in ["content-encoding: gzip\r\n", "vary: accept-encoding\r\n", "etag: w/\"v1\"\r\n"] {
        assert!(head.contains(line), "RFC 9110 9.3.2: {line} in {head}");
    }
    assert!(!head.contains("content-length"), "it is another one's: {head}");
    let short = said("HEAD /short");
    assert!(short.contains("content-length: 5\r\n") && !short.contains("vary"), "{short}");
    let same = said("GET /same");
    assert!(
        same.contains("vary: accept-encoding\r\n") && same.contains("etag: w/\"v1\"\r\n"),
        "{same}"
    );
    assert!(!same.contains("content-encoding"), "{same}");
}

#[test]
fn a_body_that_breaks_off_is_never_ended() {
    let pod = saying(answer);
    let portico = before(&pod);
    let head = "GET /cut HTTP/1.1\r\nHost: on.test\r\nAccept-Encoding: gzip\r\n\r\n";
    let mut client = Client::connect(portico.http());
    let answer = client.request(head, b"");
    assert!(answer.is_err(), "http-proxy 2: no last chunk: {:?}", answer.map(|it| it.headers));
}

#[test]
fn clients_of_http_1_0_get_it_as_it_is() {
    let pod = saying(answer);
    let portico = before(&pod);
    let head = "GET /text HTTP/1.0\r\nHost: on.test\r\nAccept-Encoding: gzip\r\n\r\n";
    let answer = Client::connect(portico.http()).request(head, b"").unwrap();
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    assert!(answer.body == text());
}

#[test]
fn events_are_not_held_back() {
    let (tell, next) = mpsc::sync_channel::<&'static str>(16);
    let next = Arc::new(Mutex::new(next));
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut reader = BufReader::new(stream);
        if head(&mut reader).is_none() {
            return;
        }
        let mut stream = reader.into_inner();
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        // Only who was read to the end of an event asks for the next.
        while let Ok(event) = next.lock().unwrap().recv_timeout(PATIENCE) {
            let _ = stream.write_all(event.as_bytes());
        }
    });
    let portico = before(&pod);
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: events.test\r\nAccept-Encoding: gzip\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    tell.send("data: 0\n\n").unwrap();
    let said = head(&mut reader).unwrap();
    assert!(said.contains("Content-Encoding: gzip\r\n"), "{said}");
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    for (event, after) in
        [("data: 0\n\n", "data: 1\n\n"), ("data: 1\n\n", "data: 2\n\n"), ("data: 2\n\n", "")]
    {
        while !decoder.get_ref().ends_with(event.as_bytes()) {
            decoder.write_all(&chunk(&mut reader)).unwrap();
            decoder.flush().unwrap();
        }
        tell.send(after).unwrap();
    }
    drop(tell);
    loop {
        match chunk(&mut reader) {
            data if data.is_empty() => break,
            data => decoder.write_all(&data).unwrap(),
        }
    }
    assert_eq!(decoder.finish().unwrap(), b"data: 0\n\ndata: 1\n\ndata: 2\n\n");
}

/// The next chunk; empty: the last.
fn chunk(reader: &mut impl BufRead) -> Vec<u8> {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a chunk in time");
    let size = usize::from_str_radix(line.trim_end(), 16).expect("a size");
    let mut data = vec![0; size + 2];
    reader.read_exact(&mut data).expect("the chunk in time");
    data.truncate(size);
    data
}

#[test]
fn curl_reads_every_coding_over_both_versions() {
    let pod = saying(answer);
    let portico = before(&pod);
    let Some(about) = tool("curl", &["--version"]) else { return };
    let about = String::from_utf8_lossy(&about.stdout).into_owned();
    for (coding, feature) in [("gzip", "libz"), ("br", "brotli"), ("zstd", "zstd")] {
        if !about.contains(&format!(" {feature}")) {
            continue;
        }
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let address = portico.http();
            let to = format!("on.test:{}:{}", address.port(), address.ip());
            let accepts = format!("Accept-Encoding: {coding}");
            for path in ["/text", "/chunked"] {
                let url = format!("http://on.test:{}{path}", address.port());
                let arguments = [
                    "-sS",
                    version,
                    "--max-time",
                    "30",
                    "--resolve",
                    &to,
                    "--compressed",
                    "-H",
                    &accepts,
                    "-D",
                    "/dev/stderr",
                    &url,
                ];
                let output = tool("curl", &arguments).expect("it was there");
                let head = String::from_utf8_lossy(&output.stderr).to_ascii_lowercase();
                let said = format!("content-encoding: {coding}\r\n");
                assert!(head.contains(&said), "{version} {path}: {head}");
                assert!(output.stdout == text(), "{version} {coding} {path}");
            }
        }
    }
}
