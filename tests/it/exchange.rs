//! Backends that misbehave, answer early, late or not at all, and clients of every kind
//! (`http-proxy 1.17–1.26, 2.4, 2.10, 2.11, 5.3, 8.8`, `reliability 2.4`).

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use portico_config::model::FrontDoor;

use crate::front_door::ingress;
use crate::harness::PATIENCE;
use crate::harness::http::Client;
use crate::harness::pod::{Pod, head};
use crate::harness::portico::Portico;
use crate::services::service;

/// A pod that reads the head of each request, says `answer` and, if `close`, ends.
fn says(answer: impl Into<Vec<u8>>, close: bool) -> Pod {
    let answer = answer.into();
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while head(&mut reader).is_some() {
            if writer.write_all(&answer).is_err() || close {
                return;
            }
        }
    })
}

/// An instance that sends everything to `pod`, on one worker.
fn before(pod: &Pod) -> Portico {
    told(pod, |_| {})
}

/// The same with other settings.
fn told(pod: &Pod, adjust: impl FnOnce(&mut FrontDoor) + 'static) -> Portico {
    let rules = [("web.test", "Prefix", "/", "web")];
    let text = [service("web", "ClusterIP", 80, &[pod]), ingress("i", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &text)]).workers(1);
    portico
        .adjust(|settings| adjust(&mut settings.front_door))
        .start()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";

#[test]
fn what_is_no_response_is_a_502_and_costs_the_client_nothing_more() {
    let fields = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n", "b".repeat(70_000));
    let interims = "HTTP/1.1 103 Hints\r\n\r\n".repeat(17);
    for (case, answer, close) in [
        (
            "length and coding",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            false,
        ),
        ("unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false),
        ("coding of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false),
        ("fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", false),
        ("control byte", "HTTP/1.1 200 OK\r\nA: \x01\r\nContent-Length: 0\r\n\r\n", false),
        ("status line", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("other protocol", "SSH-2.0-OpenSSH\r\n\r\n", false),
        (
            "101 that nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            false,
        ),
        ("interim answers without end", &interims, false),
        ("101 fields", &fields(101), false),
        ("70 kB of head", &long, true),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Le", true),
        ("nothing", "", true),
    ] {
        let pod = says(answer, close);
        let portico = before(&pod);
        let mut client = Client::connect(portico.http());
        for _ in 0..2 {
            let answer = client.request(GET, b"").unwrap();
            assert_eq!(answer.status, 502, "http-proxy 2.10: {case}");
        }
    }
}

#[test]
fn a_body_that_breaks_off_ends_visibly() {
    for (case, answer) in [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        ("half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"),
        (
            "bad chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        ),
    ] {
        let pod = says(answer, true);
        let portico = before(&pod);
        let answer = Client::connect(portico.http()).request(GET, b"");
        assert!(answer.is_err(), "http-proxy 0.5: {case}: {answer:?}");
        if case != "length" {
            let old = "GET / HTTP/1.0\r\nHost: web.test\r\n\r\n";
            let answer = Client::connect(portico.http()).request(old, b"");
            assert!(answer.is_err(), "http-proxy 0.5: {case}, HTTP/1.0: {answer:?}");
        }
    }
}

#[test]
fn bodies_end_where_their_response_says() {
    for (case, method, answer, close, status, body) in [
        (
            "chunks",
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n",
            false,
            200,
            "abc",
        ),
        ("to the end", "GET", "HTTP/1.1 200 OK\r\n\r\nabc", true, 200, "abc"),
        ("HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nabc", true, 200, "abc"),
        ("line feeds", "GET", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", false, 200, "abc"),
        (
            "equal lengths",
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            false,
            200,
            "a",
        ),
        (
            "204 with content",
            "GET",
            "HTTP/1.1 204 None\r\nContent-Length: 3\r\n\r\nabc",
            false,
            204,
            "",
        ),
        (
            "304 with a length",
            "GET",
            "HTTP/1.1 304 None\r\nContent-Length: 0\r\n\r\n",
            false,
            304,
            "",
        ),
        (
            "more than its length",
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            false,
            200,
            "a",
        ),
    ] {
        let pod = says(answer, close);
        let portico = before(&pod);
        let mut client = Client::connect(portico.http());
        let request = format!("{method} / HTTP/1.1\r\nHost: web.test\r\n\r\n");
        for _ in 0..3 {
            let answer = client.request(&request, b"").unwrap();
            assert_eq!((answer.status, answer.text()), (status, body), "http-proxy 1.17: {case}");
            assert_eq!(answer.header("t"), None, "http-proxy 1.22: {case}");
        }
    }
}

#[test]
fn hints_of_a_pod_come_before_its_answer() {
    let pod = says(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n\
         HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        false,
    );
    let portico = before(&pod);
    let heads = |version: &str| {
        let mut stream = TcpStream::connect(portico.http()).unwrap();
        write!(stream, "GET / HTTP/{version}\r\nHost: web.test\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
                 HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n";
    let text = heads("1.1");
    assert!(text.starts_with(hints), "http-proxy 1.25: {text}");
    let text = heads("1.0");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "http-proxy 1.7: {text}");
}

#[test]
fn what_is_taken_out_of_answers_is_taken_out_of_hints_too() {
    let pod = says(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Inside: 1\r\n\r\n\
         HTTP/1.1 200 OK\r\nX-Inside: 1\r\nContent-Length: 0\r\n\r\n",
        false,
    );
    let removes = "  annotations:\n    portico.dev/response-headers: \"X-Inside:\"\nspec:\n";
    let text = ingress("web", &[("web.test", "Prefix", "/", "web")], "");
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), text.replacen("spec:\n", removes, 1)];
    let portico = Portico::with(&[("all.yaml", &manifests.join("---\n"))]).start();
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), "{text}");
    assert!(text.contains("HTTP/1.1 200 OK\r\n") && !text.contains("X-Inside"), "{text}");
}

#[test]
fn old_clients_get_neither_chunks_nor_more_than_they_asked_for() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let pod = says(chunks, false);
    let portico = before(&pod);
    let old = "GET / HTTP/1.0\r\nHost: web.test\r\nConnection: keep-alive\r\n\r\n";
    let answer = Client::connect(portico.http()).request(old, b"").unwrap();
    assert_eq!(answer.header("transfer-encoding"), None, "http-proxy 1.7");
    assert_eq!((answer.header("connection"), answer.text()), (Some("close"), "abc"));

    let pod = says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false);
    let portico = before(&pod);
    let mut client = Client::connect(portico.http());
    for _ in 0..2 {
        let answer = client.request(old, b"").unwrap();
        assert_eq!((answer.header("connection"), answer.text()), (Some("keep-alive"), "abc"));
    }
    let last = "GET / HTTP/1.0\r\nHost: web.test\r\n\r\n";
    assert_eq!(client.request(last, b"").unwrap().header("connection"), Some("close"));
    assert!(client.answer().is_err(), "HTTP/1.0 ends by itself");
}

#[test]
fn head_has_the_length_of_get_and_no_body() {
    let pod = says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false);
    let portico = before(&pod);
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    let request = "HEAD / HTTP/1.1\r\nHost: web.test\r\n\r\n";
    let missing = "HEAD / HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n";
    stream
        .write_all([request, request, missing].concat().as_bytes())
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let heads: Vec<_> = text.split("\r\n\r\n").collect();
    assert_eq!(heads.len(), 4, "http-proxy 1.18: {text}");
    assert!(
        heads[..2]
            .iter()
            .all(|head| head.contains("Content-Length: 3")),
        "{text}"
    );
    assert!(heads[2].starts_with("HTTP/1.1 404") && heads[3].is_empty(), "{text}");
}

#[test]
fn an_upload_waits_until_the_pod_wants_it() {
    let head =
        "POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    // Says 100, and then what it was sent.
    let willing = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        let Some(head) = self::head(&mut reader) else { return };
        assert!(head.contains("Expect: 100-continue"));
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        let mut body = [0; 3];
        reader.read_exact(&mut body).unwrap();
        let answer = [&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"[..], &body].concat();
        writer.write_all(&answer).unwrap();
    });
    // Says nothing before it has the body.
    let silent = Pod::http("");
    for pod in [&willing, &silent] {
        let portico = before(pod);
        let mut client = Client::connect(portico.http());
        client.send(head.as_bytes()).unwrap();
        assert_eq!(client.interim().unwrap(), 100, "http-proxy 1.24");
        client.send(b"abc").unwrap();
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.text()), (200, "abc"));
    }
    let refusing = says("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", false);
    let portico = before(&refusing);
    let mut client = Client::connect(portico.http());
    let answer = client.request(head, b"").unwrap();
    assert_eq!(answer.status, 401, "the final answer, and no 100 before it");
    assert_eq!(answer.header("connection"), Some("close"), "the body may follow or not");
}

#[test]
fn an_early_answer_is_passed_on_and_ends_the_connection() {
    let pod = says("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", false);
    let portico = before(&pod);
    let mut client = Client::connect(portico.http());
    let head = "POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 1000000\r\n\r\n";
    let answer = client.request(head, &[b'x'; 10_000]).unwrap();
    assert_eq!((answer.status, answer.text()), (403, "no"), "http-proxy 1.21");
    assert_eq!(answer.header("connection"), Some("close"));
    let mut client = Client::connect(portico.http());
    let chunked =
        "POST / HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    assert_eq!(client.request(chunked, b"").unwrap().status, 403);
}

#[test]
fn uploads_of_unknown_length_have_a_limit() {
    let (ends, end) = std::sync::mpsc::sync_channel(1);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let mut upload = Vec::new();
        let _ = stream.read_to_end(&mut upload);
        let _ = ends.send(upload);
    });
    let portico = before(&pod);
    let mut body = Vec::new();
    for _ in 0..17 {
        body.extend_from_slice(b"10000\r\n");
        body.extend_from_slice(&[b'x'; 0x10000]);
        body.extend_from_slice(b"\r\n");
    }
    let head = "POST / HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = Client::connect(portico.http());
    client.send(head.as_bytes()).unwrap();
    let _ = client.send(&body);
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")), "http-proxy 3");
    let upload = end.recv_timeout(PATIENCE).unwrap();
    assert!(upload.len() > 900_000 && !upload.ends_with(b"0\r\n\r\n"), "never ended cleanly");
}

#[test]
fn a_pod_that_ended_its_connection_at_rest_is_asked_over_a_new_one() {
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        if head(&mut reader).is_some() {
            let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let portico = before(&pod);
    let mut client = Client::connect(portico.http());
    for _ in 0..30 {
        let answer = client.request(GET, b"").unwrap();
        assert_eq!(answer.status, 200, "http-proxy 5.8, 5.9");
    }
}

#[test]
fn a_large_body_passes_slow_readers_whole() {
    const BYTES: usize = 8 << 20;
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while head(&mut reader).is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
            let body: Vec<u8> = (0..BYTES).map(|at| at.to_le_bytes()[1]).collect();
            if writer.write_all(head.as_bytes()).is_err() || writer.write_all(&body).is_err() {
                return;
            }
        }
    });
    let portico = before(&pod);
    let mut client = Client::connect(portico.http());
    for _ in 0..2 {
        let answer = client.request(GET, b"").unwrap();
        assert_eq!(answer.body.len(), BYTES);
        assert!(
            answer
                .body
                .iter()
                .enumerate()
                .all(|(at, &byte)| byte == at.to_le_bytes()[1])
        );
    }
}

#[test]
fn a_client_that_leaves_before_its_answer_takes_the_pods_work_with_it() {
    let (ends, end) = std::sync::mpsc::sync_channel(1);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut reader = BufReader::new(stream);
        let asked = head(&mut reader).is_some();
        let _ = ends.send((asked, reader.read(&mut [0; 1]).ok()));
    });
    let portico = before(&pod);
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(end.recv_timeout(PATIENCE).unwrap(), (true, Some(0)), "http-proxy 1.30");
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_client_that_leaves_amid_its_answer_takes_the_pods_work_with_it() {
    let (ends, end) = std::sync::mpsc::sync_channel(1);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        if head(&mut reader).is_none() {
            return;
        }
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na";
        stream.write_all(half).unwrap();
        let _ = ends.send(reader.read(&mut [0; 1]).ok());
    });
    let portico = before(&pod);
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\na") {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        got.extend(byte);
    }
    drop(stream);
    assert_eq!(end.recv_timeout(PATIENCE).unwrap(), Some(0), "http-proxy 5.13: at once");
}

#[test]
fn a_client_that_sends_its_body_byte_by_byte_is_told_so() {
    let pod = Pod::http("web");
    let portico = told(&pod, |door| door.min_rate_time = Duration::from_secs(2));
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    let head = "PUT / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 100000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // Each wait for an answer is the pause before the next byte.
    let pause = Duration::from_millis(50);
    stream.set_read_timeout(Some(pause)).unwrap();
    let mut answer = [0; 12];
    while stream.read(&mut answer).is_err() {
        let _ = stream.write_all(b"a");
    }
    assert_eq!(&answer, b"HTTP/1.1 408", "http-proxy 5.13");
}

#[test]
fn a_client_that_takes_its_answer_too_slowly_gets_no_more_of_it() {
    const BYTES: usize = 32 << 20;
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        if head(&mut reader).is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
            let _ = stream.write_all(&[head.into_bytes(), vec![b'a'; BYTES]].concat());
        }
    });
    // More than anybody takes who reads so little at a time.
    let portico = told(&pod, |door| {
        (door.min_rate, door.min_rate_time) = (1 << 30, Duration::from_secs(1));
    });
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    let (mut piece, mut got) = ([0; 4096], 0);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        got += count;
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(got < BYTES, "http-proxy 5.13: {got}");
}

#[test]
fn a_head_that_comes_too_slowly_is_told_so() {
    let pod = Pod::http("web");
    let portico = before(&pod);
    let mut client = Client::connect(portico.http());
    let answer = client.request("GET / HTTP/1.1\r\nHost: web", b"").unwrap();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (408, Some("close")),
        "http-proxy 2.5, 5.13, 8.3"
    );
    assert!(client.answer().is_err());
}

#[test]
fn a_web_socket_takes_along_what_both_sides_sent_ahead() {
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        let Some(head) = head(&mut reader) else { return };
        assert!(head.contains("Connection: upgrade\r\nUpgrade: websocket\r\n"), "{head}");
        let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nfirst";
        writer.write_all(switch.as_bytes()).unwrap();
        let mut bytes = [0; 5];
        reader.read_exact(&mut bytes).unwrap();
        writer.write_all(&bytes).unwrap();
    });
    let portico = before(&pod);
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\n\r\nahead";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, tunnel) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "http-proxy 1.28: {head}");
    assert_eq!(tunnel, "firstahead", "http-proxy 1.29");
}

#[test]
fn a_web_socket_that_is_refused_is_plain_http_and_the_last_answer() {
    let pod = says("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", false);
    let portico = before(&pod);
    let request = "GET / HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web.test\r\n\r\n";
    let mut client = Client::connect(portico.http());
    let answer = client.request(request, b"").unwrap();
    assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));
    assert!(client.answer().is_err(), "http-proxy 1.28: nothing behind the handshake is read");
}

#[test]
fn large_bodies_pass_tls_in_both_directions() {
    let pod = Pod::http("web");
    let portico = before(&pod);
    let folder = tempfile::tempdir().unwrap();
    let (up, down) = (folder.path().join("up"), folder.path().join("down"));
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    std::fs::write(&up, &body).unwrap();
    let port = portico.https().port();
    let to = format!("web.test:{port}:{}", portico.https().ip());
    let (data, url) = (format!("@{}", up.display()), format!("https://web.test:{port}/"));
    let down_path = down.to_str().unwrap();
    let mut arguments = vec!["-sSk", "--max-time", "30", "--resolve", &to, "-o", down_path];
    arguments.extend(["-H", "Expect:", "--data-binary", &data, &url]);
    let Some(output) = crate::harness::process::tool("curl", &arguments) else { return };
    assert!(output.status.success(), "{output:?}");
    let back = std::fs::read(&down).unwrap();
    assert_eq!(&back[..3], b"web");
    assert!(back[3..] == body[..], "every byte came back");
}
