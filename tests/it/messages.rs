//! Messages that pass: what of their fields, bodies and connections stays as it was, and what does not
//! (`http-proxy 1`, `2.11`, `2.12`, `5.3`).

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc;

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::PATIENCE;
use crate::harness::http::{Client, get};
use crate::harness::pod::{Pod, head};
use crate::harness::portico::Portico;
use crate::http2::{ask, with_client};
use crate::services::service;

/// A pod that tells every head, and answers `answer`; with `close` it ends after each.
fn tells(answer: &'static str, close: bool) -> (Pod, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::sync_channel(64);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(head) = head(&mut reader) {
            let _ = tell.send(head);
            if writer.write_all(answer.as_bytes()).is_err() || close {
                return;
            }
        }
    });
    (pod, told)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An instance that sends `web.test` to `pod`, and of one worker, whose pool is the only one.
fn before(pod: &Pod) -> Portico {
    let rules = [("web.test", "Prefix", "/", "web")];
    let text = [service("web", "ClusterIP", 80, &[pod]), ingress("i", &rules, "")].join("---\n");
    Portico::with(&[("all.yaml", &text)]).workers(1).start()
}

/// The lines of a head that are not portico's.
fn theirs(head: &str) -> Vec<&str> {
    let ours = |line: &&str| !line.starts_with("X-") && !line.starts_with("Via: ");
    head.lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .filter(ours)
        .collect()
}

#[test]
fn fields_pass_in_their_order_and_nobody_reads_what_is_for_others() {
    let (pod, told) = tells(
        "HTTP/1.1 206 Partial\r\nSet-Cookie: a=1\r\nETag: \"x\"\r\nSet-Cookie: b=2; Path=/\r\n\
         Content-Range: bytes 0-1/9\r\nAge: 7\r\nAllow: GET\r\nX-Odd: 1\r\nx-odd: 2\r\n\
         WWW-Authenticate: Basic, Bearer x=\"y, z\"\r\nConnection: x-hop\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
        false,
    );
    let portico = before(&pod);
    let request = [
        "Host: web.test",
        "a: 1",
        "If-None-Match: \"x\", W/\"y\"",
        "B: 2",
        "A: 3",
        "Range: bytes=0-1",
        "Authorization: Bearer z",
        "Cache-Control: no-transform",
        "a: 4",
    ];
    let text = format!("GET / HTTP/1.1\r\n{}\r\n\r\n", request.join("\r\n"));
    let answer = Client::connect(portico.http()).request(&text, b"").unwrap();
    assert_eq!(theirs(&told.recv_timeout(PATIENCE).unwrap()), request, "http-proxy 1.6");
    let mut got: Vec<String> = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    got.retain(|line| !line.starts_with("Date: "));
    let want = [
        "Set-Cookie: a=1",
        "ETag: \"x\"",
        "Set-Cookie: b=2; Path=/",
        "Content-Range: bytes 0-1/9",
        "Age: 7",
        "Allow: GET",
        "X-Odd: 1",
        "x-odd: 2",
        "WWW-Authenticate: Basic, Bearer x=\"y, z\"",
        "Server: portico",
        "Content-Length: 2",
    ];
    assert_eq!(
        (answer.status, got),
        (206, want.map(str::to_owned).to_vec()),
        "http-proxy 1.3, 1.6"
    );
}

#[test]
fn a_hosts_letters_and_port_are_for_the_pod_and_not_for_the_choice() {
    let (pod, told) = tells(OK, false);
    let portico = before(&pod);
    for host in ["web.test", "WEB.Test", "web.test:8080", "web.test.", "Web.test.:1", "web.test:"] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = Client::connect(portico.http()).request(&text, b"").unwrap();
        assert_eq!(answer.status, 200, "http-proxy 1.10: {host}");
        let seen = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(theirs(&seen), [format!("Host: {host}")], "http-proxy 1.10");
    }
}

#[test]
fn http_1_0_without_a_host_comes_to_rules_without_one_alone() {
    let (pod, told) = tells(OK, true);
    let named = before(&pod);
    let old = "GET / HTTP/1.0\r\n\r\n";
    let answer = Client::connect(named.http()).request(old, b"").unwrap();
    assert_eq!(answer.status, 404, "http-proxy 1.13: no rule for it");
    let text =
        [service("web", "ClusterIP", 80, &[&pod]), ingress("i", &[("", "Prefix", "/", "web")], "")];
    let text = text.join("---\n").replace("host: \"\"\n    http", "http");
    let portico = Portico::with(&[("all.yaml", &text)]).start();
    let answer = Client::connect(portico.http()).request(old, b"").unwrap();
    assert_eq!(answer.status, 200, "http-proxy 1.13");
    let seen = told.recv_timeout(PATIENCE).unwrap();
    assert!(seen.starts_with("GET / HTTP/1.1\r\n"), "http-proxy 1.7: {seen}");
    let here = format!("Host: {}", portico.http());
    assert_eq!(theirs(&seen), [here], "http-proxy 1.13: the address that it came to");
}

#[test]
fn max_forwards_counts_down_where_it_means_something() {
    let (pod, told) = tells(OK, false);
    let portico = before(&pod);
    let ask = |method: &str, hops: &str| {
        let text = format!("{method} / HTTP/1.1\r\nHost: web.test\r\nMax-Forwards: {hops}\r\n\r\n");
        Client::connect(portico.http()).request(&text, b"").unwrap()
    };
    for (method, hops, want) in [
        ("OPTIONS", "7", "Max-Forwards: 6"),
        ("OPTIONS", "1", "Max-Forwards: 0"),
        ("OPTIONS", "many", "Max-Forwards: many"),
        ("GET", "0", "Max-Forwards: 0"),
    ] {
        assert_eq!(ask(method, hops).text(), "ok");
        let seen = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(theirs(&seen), ["Host: web.test", want], "http-proxy 1.7: {method} {hops}");
    }
    let answer = ask("OPTIONS", "0");
    assert_eq!((answer.status, answer.text()), (200, ""), "http-proxy 1.7: answered here");
    assert_eq!(ask("TRACE", "0").status, 405, "http-proxy 1.15");
    assert!(told.try_recv().is_err(), "no pod was asked");
}

#[test]
fn content_of_every_method_passes_framed_as_it_was() {
    let (tell, told) = mpsc::sync_channel(64);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(head) = head(&mut reader) {
            let mut body = vec![0; if head.contains("chunked") { 13 } else { 3 }];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            let _ = tell.send((head, String::from_utf8(body).unwrap()));
            let _ = writer.write_all(b"HTTP/1.1 204 None\r\n\r\n");
        }
    });
    let portico = before(&pod);
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "SEARCH"] {
        for (field, body, want) in [
            ("Content-Length: 3", "abc", "abc"),
            ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        ] {
            let text = format!("{method} / HTTP/1.1\r\nHost: web.test\r\n{field}\r\n\r\n{body}");
            let answer = Client::connect(portico.http()).request(&text, b"").unwrap();
            assert_eq!(answer.status, 204);
            let (seen, body) = told.recv_timeout(PATIENCE).unwrap();
            assert!(seen.starts_with(method), "http-proxy 1.15: {seen}");
            assert_eq!(theirs(&seen), ["Host: web.test", field], "http-proxy 1.20: {method}");
            assert_eq!(body, want, "http-proxy 1.20: {method}");
        }
    }
}

#[test]
fn an_upload_that_breaks_off_never_looks_whole() {
    let (tell, told) = mpsc::sync_channel(9);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let _ = tell.send(String::from_utf8_lossy(&all).into_owned());
    });
    let portico = before(&pod);
    for (case, field, body) in [
        ("short of its length", "Content-Length: 9", "abc"),
        ("without its last chunk", "Transfer-Encoding: chunked", "3\r\nabc\r\n"),
        ("inside a chunk", "Transfer-Encoding: chunked", "9\r\nabc"),
        ("a bad chunk", "Transfer-Encoding: chunked", "3\r\nabc\r\nx\r\n"),
    ] {
        // More than is kept before anything is sent.
        let much = format!("Content-Length: 200000\r\n\r\n{}", "x".repeat(100_000));
        let rest = match field {
            "Content-Length: 9" => much,
            _ => format!("{field}\r\n\r\n186a0\r\n{}\r\n{body}", "x".repeat(100_000)),
        };
        let mut stream = TcpStream::connect(portico.http()).unwrap();
        let text = format!("POST / HTTP/1.1\r\nHost: web.test\r\n{rest}");
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let seen = told.recv_timeout(PATIENCE).unwrap();
        let (_, body) = seen.split_once("\r\n\r\n").unwrap();
        assert!(!body.ends_with("0\r\n\r\n"), "http-proxy 1.19, 2.4: {case}");
        assert!(body.len() < 200_000, "http-proxy 1.19: {case}");
    }
}

#[test]
fn a_connection_over_which_something_came_unasked_is_not_used_again() {
    let (go, wait) = mpsc::sync_channel::<()>(0);
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let (tell, told) = mpsc::sync_channel(9);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while head(&mut reader).is_some() {
            let _ = writer.write_all(OK.as_bytes());
            if wait.lock().unwrap().recv().is_err() {
                return;
            }
            let evil = OK.replace("ok", "no");
            let _ = writer.write_all(evil.as_bytes());
            let _ = tell.send(());
        }
    });
    let portico = before(&pod);
    let mut client = Client::connect(portico.http());
    for round in 1..=3 {
        let answer = client.get("web.test", "/").unwrap();
        assert_eq!(answer.text(), "ok", "http-proxy 2.12: {round}");
        go.send(()).unwrap();
        told.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(pod.connections(), 3, "http-proxy 2.12, 5.8");
}

#[test]
fn connections_are_kept_only_where_both_sides_can_go_on() {
    for (case, answer, close, kept) in [
        ("a whole response", OK, false, true),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            false,
            true,
        ),
        (
            "said to end",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            false,
            false,
        ),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, false),
        (
            "HTTP/1.0 that goes on",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            false,
            true,
        ),
        ("to the end", "HTTP/1.1 200 OK\r\n\r\nok", true, false),
        ("more than it said", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokok", false, false),
    ] {
        let (pod, _told) = tells(answer, close);
        let portico = before(&pod);
        let mut client = Client::connect(portico.http());
        for _ in 0..3 {
            assert_eq!(client.get("web.test", "/").unwrap().text(), "ok", "http-proxy 5.3: {case}");
        }
        let want = if kept { 1 } else { 3 };
        assert_eq!(pod.connections(), want, "http-proxy 5.3: {case}");
    }
}

/// A pod whose answer to `/long/N` has a field of N bytes, and to `/many/N` so many fields.
fn wordy() -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(head) = head(&mut reader) {
            let path = head.split(' ').nth(1).unwrap();
            let (kind, count) = path[1..].split_once('/').unwrap();
            let count: usize = count.parse().unwrap();
            let fields = match kind {
                "long" => format!("X-Long: {}\r\n", "v".repeat(count)),
                _ => "X-Many: v\r\n".repeat(count),
            };
            let answer = OK.replace("Content-Length", &format!("{fields}Content-Length"));
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[test]
fn the_head_of_an_answer_has_as_much_room_as_its_location_says() {
    let pod = wordy();
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("usual", "usual.test", &[], ""),
        annotated("roomy", "roomy.test", &[("proxy-buffer-size", "128k")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let cases = [
        ("usual.test", "/long/16000", 200),
        ("usual.test", "/long/17000", 502),
        ("usual.test", "/many/99", 200),
        ("usual.test", "/many/100", 502),
        ("roomy.test", "/long/130000", 200),
        ("roomy.test", "/long/132000", 502),
        ("roomy.test", "/many/100", 502),
    ];
    for (host, path, status) in cases {
        let answer = get(portico.http(), host, path);
        assert_eq!(answer.status, status, "ingress 2.4, http-proxy 3: {host}{path}");
        let (_, count) = path.rsplit_once('/').unwrap();
        if let Some(value) = answer.header("x-long") {
            assert_eq!(value.len().to_string(), count);
        }
    }
    with_client(portico.http(), async |client| {
        for (host, path, status) in cases {
            let url = format!("http://{host}{path}");
            let answer = ask(&client, http::Request::get(url), None).await;
            assert_eq!(answer.status(), status, "http-proxy 3, over HTTP/2: {host}{path}");
        }
    });
}

/// Else another client would come with the name of the one before.
#[test]
fn a_connection_that_may_know_its_client_is_no_other_clients() {
    let asks = "HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 2\r\n\r\nok";
    let basic = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 2\r\n\r\nok";
    let either = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n\
                  WWW-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nok";
    for (case, answer, says, connections) in [
        ("asked for a ticket", asks, "", 3),
        ("asked for either", either, "", 3),
        ("shows a ticket", OK, "Authorization: NTLM abc\r\n", 3),
        ("in other letters", OK, "authorization: negotiate abc\r\n", 3),
        ("asked for a password", basic, "", 1),
        ("shows a password", OK, "Authorization: Basic abc\r\n", 1),
    ] {
        let (pod, _told) = tells(answer, false);
        let portico = before(&pod);
        let text = format!("GET / HTTP/1.1\r\nHost: web.test\r\n{says}\r\n");
        for _ in 0..3 {
            let answer = Client::connect(portico.http()).request(&text, b"");
            assert_eq!(answer.unwrap().text(), "ok");
        }
        assert_eq!(pod.connections(), connections, "http-proxy 5.4: {case}");
    }
}

#[test]
fn the_newest_connection_is_used_again_first() {
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream| {
        let from = stream.peer_addr().unwrap().port().to_string();
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(head) = head(&mut reader) {
            // Answers an upload once it has come.
            if head.starts_with("POST") && reader.read_exact(&mut [0]).is_err() {
                return;
            }
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", from.len());
            if writer
                .write_all([text.as_bytes(), from.as_bytes()].concat().as_slice())
                .is_err()
            {
                return;
            }
        }
    });
    let portico = before(&pod);
    let asks = |client: &mut Client| client.get("web.test", "/").unwrap().text().to_owned();
    let (mut one, mut two) = (Client::connect(portico.http()), Client::connect(portico.http()));
    let first = asks(&mut one);
    // A second connection is made only while the first is in use.
    one.send(b"POST /slow HTTP/1.1\r\nHost: web.test\r\nContent-Length: 1\r\n\r\n")
        .unwrap();
    let mut second = asks(&mut two);
    while second == first {
        second = asks(&mut two);
    }
    one.send(b"x").unwrap();
    one.answer().unwrap();
    // The first came back last.
    assert_eq!(asks(&mut two), first, "http-proxy 5.2");
    assert_eq!(asks(&mut two), first, "http-proxy 5.2");
}

#[test]
fn a_pod_that_is_slow_to_invite_a_body_is_heard_once() {
    let (go, wait) = mpsc::sync_channel::<()>(0);
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        if head(&mut reader).is_none() || wait.lock().unwrap().recv().is_err() {
            return;
        }
        // Too late: the client was invited a second after it asked.
        let _ = writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        let mut body = [0; 3];
        let _ = reader.read_exact(&mut body);
        let _ = writer
            .write_all(&[b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", &body[..]].concat());
    });
    let portico = before(&pod);
    let mut client = Client::connect(portico.http());
    client
        .send(b"PUT / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n")
        .unwrap();
    assert_eq!(client.interim().unwrap(), 100, "http-proxy 1.24");
    go.send(()).unwrap();
    client.send(b"abc").unwrap();
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.text()), (200, "abc"), "http-proxy 1.24: no second 100");
}
