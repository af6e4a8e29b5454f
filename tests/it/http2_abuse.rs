//! Clients of HTTP/2 that mean harm, frame by frame: each ends its own connection or costs nobody else,
//! and no backend sees what is no request (`http-proxy 6.2` to `6.4`, `2.7`, `reliability 2.5`).

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::Request;

use crate::harness::eventually;
use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Fate, GOAWAY, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, block, frame, get as fields,
};
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::http2::{ask, before, read, silent, with_client};

use self::Odd::{Behind, Put, With, Without};

/// What is done on a connection, until it is refused.
type Attack = fn(&mut Raw) -> bool;

/// The `at`th stream of a client.
const fn nth(at: u32) -> u32 {
    2 * at + 1
}

/// Those that end the connection: with ENHANCE_YOUR_CALM, or for what they break.
const ENDED: &[(&str, Attack)] = &[
    ("rapid reset", |raw| {
        let each =
            |at| raw.get(nth(at), "odd.test") && raw.send(RST_STREAM, 0, nth(at), &[0, 0, 0, 8]);
        (0..2_000).all(each)
    }),
    ("CONTINUATION without end", |raw| {
        raw.send(HEADERS, 0, 1, &[0x82])
            && (0..20_000).all(|_| raw.send(CONTINUATION, 0, 1, &[0; 1]))
    }),
    ("CONTINUATION of nothing, without end", |raw| {
        raw.send(HEADERS, 0, 1, &[0x82]) && (0..20_000).all(|_| raw.send(CONTINUATION, 0, 1, &[]))
    }),
    ("a window that overflows, again and again", |raw| {
        let most = 0x7fff_ffff_u32.to_be_bytes();
        (0..2_000)
            .all(|at| raw.get(nth(at), "odd.test") && raw.send(WINDOW_UPDATE, 0, nth(at), &most))
    }),
    ("a window that grows by nothing", |raw| {
        (0..2_000)
            .all(|at| raw.get(nth(at), "odd.test") && raw.send(WINDOW_UPDATE, 0, nth(at), &[0; 4]))
    }),
    ("data behind the end", |raw| {
        (0..2_000).all(|at| raw.get(nth(at), "odd.test") && raw.send(DATA, 0, nth(at), b"x"))
    }),
    ("a head behind the end", |raw| {
        (0..2_000).all(|at| raw.get(nth(at), "odd.test") && raw.get(nth(at), "odd.test"))
    }),
    ("a priority of a wrong length", |raw| {
        (0..2_000).all(|at| raw.get(nth(at), "odd.test") && raw.send(PRIORITY, 0, nth(at), &[0; 4]))
    }),
    ("a stream that depends on itself", |raw| {
        let each = |at| {
            let itself = [&nth(at).to_be_bytes()[..], &[9]].concat();
            raw.get(nth(at), "odd.test") && raw.send(PRIORITY, 0, nth(at), &itself)
        };
        (0..2_000).all(each)
    }),
    ("requests that are none", |raw| {
        (0..2_000).all(|at| raw.request(nth(at), END_STREAM, &[(":method", "GET")]))
    }),
    ("data of nothing, without end", |raw| {
        raw.request(1, 0, &[(":method", "POST"), (":scheme", "http"), (":path", "/"), HOST])
            && (0..50_000).all(|_| raw.send(DATA, 0, 1, &[]))
    }),
    ("padding alone, without end", |raw| {
        raw.request(1, 0, &[(":method", "POST"), (":scheme", "http"), (":path", "/"), HOST])
            && (0..50_000).all(|_| raw.send(DATA, PADDED, 1, &[0]))
    }),
    ("a frame that is too long", |raw| raw.send(DATA, 0, 1, &[0; 16_385])),
    ("a table that is never used up", |raw| {
        // One long field, and then it alone, again and again: 16 kB are 60 MB.
        let mut bomb = vec![0x82, 0x84, 0x86, 0x41, 8];
        bomb.extend_from_slice(b"odd.test");
        bomb.extend_from_slice(&[0x40, 1, b'a', 127, 0xa1, 30]);
        bomb.extend_from_slice(&[b'x'; 4_000]);
        bomb.extend_from_slice(&[0xbe; 12_000]);
        (0..50).all(|at| raw.send(HEADERS, END_STREAM | END_HEADERS, nth(at), &bomb))
    }),
];

const HOST: (&str, &str) = (":authority", "odd.test");

/// Those that may go on, as far as one client may.
const BORNE: &[(&str, Attack)] = &[
    ("PING", |raw| (0..20_000).all(|_| raw.send(PING, 0, 0, &[0; 8]))),
    ("SETTINGS", |raw| (0..20_000).all(|_| raw.send(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]))),
    ("PRIORITY", |raw| (0..20_000).all(|_| raw.send(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]))),
    ("frames that nobody knows", |raw| (0..20_000).all(|_| raw.send(0xfa, 0, 0, &[0; 8]))),
    ("no window", |raw| {
        raw.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])
            && (0..90).all(|at| raw.get(nth(at), "web.test"))
    }),
];

#[test]
fn attacks_end_their_connection_and_nobody_elses() {
    let web = Pod::http("web");
    let (odd, _told) = silent();
    let portico = before(&web, &odd);
    for (case, attack) in ENDED {
        let asked = odd.connections();
        let mut raw = Raw::connect(portico.http());
        let listener = raw.listen();
        attack(&mut raw);
        // Which end it is depends on what the kernel discards; that it ends does not.
        let reason = listener.join().unwrap();
        assert_ne!(reason, Some(0), "http-proxy 6.2: {case} is not taken for a good end");
        assert_eq!(get(portico.http(), "web.test", "/").text(), "web", "{case}: others");
        let work = odd.connections() - asked;
        assert!(work <= 2 * 100 + 128, "http-proxy 6.3: {case} had a backend work {work} times");
    }
    for (case, attack) in BORNE {
        let mut raw = Raw::connect(portico.http());
        let listener = raw.listen();
        attack(&mut raw);
        assert_eq!(get(portico.http(), "web.test", "/").text(), "web", "http-proxy 6.2: {case}");
        raw.0.shutdown(std::net::Shutdown::Both).ok();
        listener.join().unwrap();
    }
}

#[test]
fn who_never_reads_is_not_answered_for_ever() {
    let (web, odd) = (Pod::http("web"), Pod::http("odd"));
    let portico = before(&web, &odd);
    let mut raw = Raw::connect(portico.http());
    raw.0
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    // Each is answered by as many bytes; at some time nobody takes any more of them.
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(1_000);
    let taken = (0..4_000)
        .take_while(|_| raw.0.write_all(&pings).is_ok())
        .count();
    assert!(taken < 4_000, "reliability 2.5.5: 68 MB of pings were read and kept");
    assert_eq!(get(portico.http(), "web.test", "/").text(), "web");
}

#[test]
fn streams_beyond_their_limit_are_refused_and_the_others_go_on() {
    let web = Pod::http("web");
    let (odd, _told) = silent();
    let portico = before(&web, &odd);
    let mut raw = Raw::connect(portico.http());
    for at in 0..100 {
        assert!(raw.get(nth(at), "odd.test"));
    }
    raw.get(nth(100), "web.test");
    assert_eq!(raw.fate(nth(100)), Fate::Reset(7), "http-proxy 6.1: REFUSED_STREAM");
    raw.send(RST_STREAM, 0, nth(50), &[0, 0, 0, 8]);
    raw.get(nth(101), "web.test");
    assert_eq!(raw.fate(nth(101)), Fate::Status(200), "its place was given back");
}

#[test]
fn lists_of_fields_have_limits() {
    let (web, odd) = (Pod::http("web"), Pod::http("odd"));
    let portico = before(&web, &odd);
    // Each field counts its name, its value and 32 (RFC 9113 6.5.2).
    let base: usize = fields("web.test", "/")
        .iter()
        .map(|(name, value)| name.len() + value.len() + 32)
        .sum();
    let crumbs = |count: usize| vec![("cookie", "a=1"); count];
    let long = |bytes: usize| "x".repeat(bytes - base - 32 - 1);
    // The crate wants less than what it tells clients.
    let (fits, beyond, far_beyond) = (long(16_383), long(16_384), long(70_000));
    for (case, more, want) in [
        ("list at its limit", vec![("a", &*fits)], Fate::Status(200)),
        ("list beyond it", vec![("a", &*beyond)], Fate::Status(0)),
        ("fields at their limit", crumbs(100), Fate::Status(200)),
        ("fields beyond it", crumbs(101), Fate::Status(0)),
    ] {
        let mut raw = Raw::connect(portico.http());
        let list = [&fields("web.test", "/")[..], &more].concat();
        let whole = block(&list);
        let (first, rest) = whole.split_at(whole.len().min(16_384));
        let ends = if rest.is_empty() { END_HEADERS } else { 0 };
        raw.send(HEADERS, END_STREAM | ends, 1, first);
        if !rest.is_empty() {
            raw.send(CONTINUATION, END_HEADERS, 1, rest);
        }
        assert_eq!(raw.fate(1), want, "http-proxy 3: {case}");
        assert!(raw.lives(), "http-proxy 3: {case}: the connection goes on");
    }
    let mut raw = Raw::connect(portico.http());
    let list = block(&[&fields("web.test", "/")[..], &[("a", &far_beyond)]].concat());
    raw.send(HEADERS, END_STREAM, 1, &list[..16_384]);
    for piece in list[16_384..].chunks(16_384) {
        raw.send(CONTINUATION, 0, 1, piece);
    }
    let fate = raw.fate(1);
    assert!(matches!(fate, Fate::Goaway(1..) | Fate::Closed), "http-proxy 3: {fate:?}");
}

/// How a request differs from a plain one.
enum Odd {
    With(&'static [(&'static str, &'static str)]),
    Without(&'static str),
    Put(&'static str, &'static str),
    /// All of it stands behind this field.
    Behind((&'static str, &'static str)),
}

impl Odd {
    fn list(&self) -> Vec<(&'static str, &'static str)> {
        let mut all = fields("web.test", "/").to_vec();
        match self {
            With(more) => all.extend_from_slice(more),
            Without(name) => all.retain(|(other, _)| other != name),
            Put(name, value) => {
                let named = all.iter_mut().filter(|(other, _)| other == name);
                named.for_each(|field| field.1 = value);
            }
            Behind(field) => all.insert(0, *field),
        }
        all
    }
}

/// Requests that HTTP/1.1 would take for another one, for two, or for none.
const REFUSED: &[(&str, Odd)] = &[
    ("line end in a value", With(&[("a", "b\r\nc: d")])),
    ("line feed in a value", With(&[("a", "b\nc: d")])),
    ("return in a value", With(&[("a", "b\rc")])),
    ("NUL in a value", With(&[("a", "b\0c")])),
    ("line end in a name", With(&[("a\r\nb", "c")])),
    ("blank in a name", With(&[("a b", "c")])),
    ("colon in a name", With(&[("a:b", "c")])),
    ("no name", With(&[("", "c")])),
    ("upper case", With(&[("Abc", "d")])),
    ("line end in the method", Put(":method", "GET / HTTP/1.1\r\nHost: b\r\n\r\nGET")),
    ("blank in the method", Put(":method", "GET /x")),
    ("line end in the path", Put(":path", "/ HTTP/1.1\r\nX: y\r\n\r\nGET /")),
    ("blank in the path", Put(":path", "/ HTTP/1.1")),
    ("no path", Without(":path")),
    ("an empty path", Put(":path", "")),
    ("a path without a slash", Put(":path", "x")),
    ("an asterisk", Put(":path", "*")),
    ("an absolute path", Put(":path", "http://odd.test/")),
    ("line end in the authority", Put(":authority", "web.test\r\nX: y")),
    ("two authorities", Put(":authority", "web.test, odd.test")),
    ("a path in the authority", Put(":authority", "web.test/x")),
    ("a user in the authority", Put(":authority", "me@web.test")),
    ("no authority", Without(":authority")),
    ("line end in the scheme", Put(":scheme", "http\r\nX: y")),
    ("other scheme", Put(":scheme", "ftp")),
    ("no scheme", Without(":scheme")),
    ("no method", Without(":method")),
    ("two methods", With(&[(":method", "GET")])),
    ("two paths", With(&[(":path", "/x")])),
    ("a status", With(&[(":status", "200")])),
    ("an unknown pseudo-field", With(&[(":color", "red")])),
    ("a pseudo-field behind a field", Behind(("a", "b"))),
    ("a protocol without CONNECT", With(&[(":protocol", "websocket")])),
    ("Connection", With(&[("connection", "close")])),
    ("Keep-Alive", With(&[("keep-alive", "5")])),
    ("Proxy-Connection", With(&[("proxy-connection", "close")])),
    ("Transfer-Encoding", With(&[("transfer-encoding", "chunked")])),
    ("Upgrade", With(&[("upgrade", "websocket")])),
    ("TE of something else", With(&[("te", "gzip")])),
    ("another Host", With(&[("host", "odd.test")])),
    ("a length that nothing follows", With(&[("content-length", "3")])),
    ("two lengths", With(&[("content-length", "0"), ("content-length", "3")])),
    ("a length that is none", With(&[("content-length", "+0")])),
    ("a list of lengths", With(&[("content-length", "0, 0")])),
];

#[test]
fn what_could_become_another_request_of_http_1_1_reaches_no_backend() {
    let (web, odd) = (Pod::http("web"), Pod::http("odd"));
    let portico = before(&web, &odd);
    let fate = |list: &[(&str, &str)]| {
        let mut raw = Raw::connect(portico.http());
        raw.request(1, END_STREAM, list);
        raw.fate(1)
    };
    for (case, request) in REFUSED {
        let fate = fate(&request.list());
        let refused = matches!(fate, Fate::Status(0 | 400) | Fate::Reset(1..) | Fate::Goaway(1..));
        assert!(refused, "http-proxy 2.7: {case}: {fate:?}");
    }
    assert_eq!(web.connections() + odd.connections(), 0, "zero bytes");
    let all = [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")];
    assert_eq!(fate(&all), Fate::Status(200), "http-proxy 1.14: OPTIONS of all");
    for (case, request) in [
        ("the same Host", With(&[("host", "WEB.test")])),
        ("TE of trailers", With(&[("te", "trailers")])),
        ("a length of nothing", With(&[("content-length", "0")])),
        ("a query of its own", Put(":path", "/?x")),
        ("https in the clear", Put(":scheme", "https")),
    ] {
        assert_eq!(fate(&request.list()), Fate::Status(200), "http-proxy 2.7: {case}");
    }
}

#[test]
fn bodies_that_are_not_what_they_said_never_end_well() {
    // Answers what has come whole.
    let (tell, told) = mpsc::sync_channel(9);
    let odd = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            all.extend_from_slice(&piece[..count]);
            if all.ends_with(b"0\r\n\r\n") || all.ends_with(b"\r\n\r\nabc") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                let _ = tell.send(String::from_utf8_lossy(&all).into_owned());
            }
        }
    });
    let web = Pod::http("web");
    let portico = before(&web, &odd);
    let post = [(":method", "POST"), (":scheme", "http"), (":path", "/"), HOST];
    let sized = [&post[..], &[("content-length", "3")]].concat();
    let ask = |head: &[(&str, &str)], data: &[u8], trailers: Option<(u8, &[(&str, &str)])>| {
        let mut raw = Raw::connect(portico.http());
        raw.request(1, 0, head);
        raw.send(DATA, if trailers.is_none() { END_STREAM } else { 0 }, 1, data);
        if let Some((flags, trailers)) = trailers {
            raw.send(HEADERS, flags | END_HEADERS, 1, &block(trailers));
        }
        raw.fate(1)
    };
    for (case, fate) in [
        ("shorter than its length", ask(&sized, b"ab", None)),
        ("longer than its length", ask(&sized, b"abcd", None)),
        ("trailers in upper case", ask(&post, b"ab", Some((END_STREAM, &[("Abc", "d")])))),
        ("a line end in a trailer", ask(&post, b"ab", Some((END_STREAM, &[("abc", "d\r\n")])))),
        ("trailers that do not end it", ask(&post, b"ab", Some((0, &[("abc", "d")])))),
        ("trailers behind less than its length", ask(&sized, b"ab", Some((END_STREAM, &[])))),
    ] {
        let refused = matches!(fate, Fate::Reset(1..) | Fate::Goaway(1..) | Fate::Status(400));
        assert!(refused, "http-proxy 2.7: {case}: {fate:?}");
        assert!(told.try_recv().is_err(), "http-proxy 0.5: {case} was ended");
    }
    for (case, fate) in [
        ("as long as it said", ask(&sized, b"abc", None)),
        ("of no length", ask(&post, b"ab", None)),
        ("trailers", ask(&post, b"ab", Some((END_STREAM, &[("abc", "d")])))),
        // The crate drops it and does not tell.
        ("trailers with a pseudo-field", ask(&post, b"ab", Some((END_STREAM, &[(":path", "/x")])))),
    ] {
        assert_eq!(fate, Fate::Status(200), "{case}");
        let seen = told.recv_timeout(crate::harness::PATIENCE).unwrap();
        assert!(seen.starts_with("POST / HTTP/1.1\r\n"), "{case}: {seen}");
        assert!(
            !seen.contains("/x") && !seen.contains("abc: d"),
            "http-proxy 1.22: {case}: {seen}"
        );
    }
}

/// The crate has one code for most of it, where RFC 9113 has FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR and
/// COMPRESSION_ERROR for some; the scope is that of the RFC.
#[test]
fn frames_out_of_place_are_the_end_of_a_stream_or_the_connection() {
    let (web, odd) = (Pod::http("web"), Pod::http("odd"));
    let portico = before(&web, &odd);
    let whole = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields("web.test", "/")));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("DATA of no stream", frame(DATA, 0, 0, b"x")),
        ("DATA of an idle stream", frame(DATA, 0, 5, b"x")),
        ("HEADERS of no stream", frame(HEADERS, 5, 0, &[0x82])),
        ("an even stream", frame(HEADERS, 5, 2, &[0x82])),
        ("SETTINGS of a stream", frame(SETTINGS, 0, 1, &[])),
        ("SETTINGS of a wrong length", frame(SETTINGS, 0, 0, &[0; 5])),
        ("an answer to SETTINGS with settings", frame(SETTINGS, 1, 0, &[0; 6])),
        ("push that may be 2", frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2])),
        ("a window beyond all", frame(SETTINGS, 0, 0, &[0, 4, 255, 255, 255, 255])),
        ("frames too short", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 9])),
        ("PING of a stream", frame(PING, 0, 1, &[0; 8])),
        ("PING of a wrong length", frame(PING, 0, 0, &[0; 7])),
        ("GOAWAY of a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        ("RST_STREAM of no stream", frame(RST_STREAM, 0, 0, &[0; 4])),
        ("RST_STREAM of an idle stream", frame(RST_STREAM, 0, 7, &[0; 4])),
        ("RST_STREAM of a wrong length", frame(RST_STREAM, 0, 7, &[0; 3])),
        ("PRIORITY of no stream", frame(PRIORITY, 0, 0, &[0; 5])),
        ("a window of no stream that grows by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window of an idle stream", frame(WINDOW_UPDATE, 0, 7, &[0, 0, 0, 1])),
        ("a window of a wrong length", frame(WINDOW_UPDATE, 0, 0, &[0; 3])),
        ("CONTINUATION of nothing", frame(CONTINUATION, 4, 1, &[])),
        ("PUSH_PROMISE of a client", frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82])),
        ("padding longer than its frame", frame(DATA, PADDED, 0, &[9, 0])),
        (
            "something between HEADERS and CONTINUATION",
            [frame(HEADERS, 0, 1, &[0x82]), frame(PING, 0, 0, &[0; 8])].concat(),
        ),
        ("an index of HPACK that is none", frame(HEADERS, 5, 1, &[0xff, 0xff, 0x7f])),
        ("a stream before the last", {
            let later = frame(HEADERS, 5, 9, &block(&fields("web.test", "/")));
            [later, frame(HEADERS, 5, 3, &[0x82])].concat()
        }),
    ];
    for (case, bytes) in cases {
        let mut raw = Raw::connect(portico.http());
        raw.0.write_all(&bytes).unwrap();
        let fate = loop {
            match raw.fate(u32::MAX) {
                Fate::Goaway(0) => {}
                fate => break fate,
            }
        };
        assert_eq!(fate, Fate::Goaway(1), "reliability 2.5.8: {case}");
    }
    for (case, bytes) in [
        ("a frame that nobody knows", frame(0xfa, 0xff, 9, b"what")),
        ("a setting that nobody knows", frame(SETTINGS, 0, 0, &[0xfa, 0xfa, 0, 0, 0, 1])),
    ] {
        let mut raw = Raw::connect(portico.http());
        raw.0.write_all(&[bytes, whole.clone()].concat()).unwrap();
        assert_eq!(raw.fate(1), Fate::Status(200), "reliability 2.5.8: {case}");
    }
    let mut raw = Raw::silent(portico.http());
    raw.0
        .write_all(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n0123456789")
        .unwrap();
    let mut all = Vec::new();
    let _ = raw.0.read_to_end(&mut all);
    assert!(all.starts_with(b"HTTP/1.1 400 "), "reliability 2.5.8: no preface");
}

#[test]
fn a_client_that_takes_nothing_has_its_streams_reset() {
    let (tell, told) = mpsc::sync_channel(9);
    let odd = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
        let mut sent = stream.write_all(head.as_bytes());
        while sent.is_ok() {
            sent = stream.write_all(&[0; 65_536]);
        }
        let _ = tell.send(());
    });
    let web = Pod::http("web");
    for window in [0_u32, 1] {
        let manifests = crate::http2::manifests(&web, &odd);
        let portico = Portico::with(&[("all.yaml", &manifests)])
            .adjust(|settings| {
                settings.front_door.timeouts.downstream_send = Duration::from_secs(1);
            })
            .start();
        let mut raw = Raw::connect(portico.http());
        let setting = [&[0, 4][..], &window.to_be_bytes()].concat();
        raw.send(SETTINGS, 0, 0, &setting);
        for at in 0..3 {
            raw.get(nth(at), "odd.test");
        }
        let mut reset = Vec::new();
        while reset.len() < 3 {
            match raw.next() {
                Some((RST_STREAM, _, stream, _)) => reset.push(stream),
                Some(_) => {}
                None => break,
            }
        }
        reset.sort_unstable();
        assert_eq!(reset, [1, 3, 5], "reliability 2.5.6: a window of {window}");
        for _ in 0..3 {
            told.recv_timeout(crate::harness::PATIENCE)
                .expect("its backend is let go");
        }
        raw.get(7, "none.test");
        assert_eq!(raw.fate(7), Fate::Status(404), "the connection goes on");
    }
}

/// A quarter of the streams is given up at any moment; what the others get is whole.
#[test]
fn streams_that_are_given_up_cost_no_other_its_answer() {
    let (web, odd) = (Pod::http("web"), Pod::http("odd"));
    let portico = before(&web, &odd);
    with_client(portico.http(), async |client| {
        for round in 0..40_usize {
            let mut kept = Vec::new();
            for at in 0..50_usize {
                let mut sender = client.clone().ready().await.unwrap();
                // Some bytes, or more than a window.
                let body = vec![b'x'; if at % 7 == 0 { 70_000 } else { at }];
                let request =
                    Request::post("http://web.test/").header("content-length", body.len());
                let request = request.body(()).unwrap();
                let (response, mut send) = sender.send_request(request, false).unwrap();
                send.send_data(body.clone().into(), true).unwrap();
                if at % 4 != 1 {
                    kept.push((at, body, response));
                    continue;
                }
                // At once, or once something may have come back.
                if round % 2 == 1 {
                    tokio::task::yield_now().await;
                }
                send.send_reset(Reason::CANCEL);
            }
            // All at once: they share a window, which one that is not read would fill.
            let read = kept.into_iter().map(|(at, body, response)| async move {
                let response = response.await.unwrap();
                assert_eq!(response.status(), 200, "http-proxy 6.3: {round}, {at}");
                let (back, _) = read(response.into_body()).await.unwrap();
                assert!(back[3..] == body[..], "http-proxy 6.3: {round}, {at}: every byte");
            });
            futures_util::future::join_all(read).await;
        }
        let body: Bytes = vec![b'y'; 100_000].into();
        let post = Request::post("http://web.test/").header("content-length", body.len());
        let (back, _) = read(ask(&client, post, Some(&body)).await.into_body())
            .await
            .unwrap();
        assert_eq!(back.len(), 3 + body.len(), "no window was lost with them");
    });
}

#[test]
fn who_gives_up_most_of_what_it_asks_is_counted() {
    let web = Pod::http("web");
    let (odd, _told) = silent();
    let portico = before(&web, &odd);
    let mut raw = Raw::connect(portico.http());
    let listener = raw.listen();
    // Not so fast that the codec itself sees a flood: each is asked before it is given up.
    for at in 0..110 {
        let asked = odd.connections();
        if !raw.get(nth(at), "odd.test") {
            break;
        }
        eventually("the backend is asked", || {
            (odd.connections() > asked || listener.is_finished()).then_some(())
        });
        raw.send(RST_STREAM, 0, nth(at), &[0, 0, 0, 8]);
    }
    assert_eq!(listener.join().unwrap(), Some(11), "http-proxy 6.4: ENHANCE_YOUR_CALM");
    eventually("it is counted", || {
        (portico.metric("portico_l7_h2_expelled_total") == 1).then_some(())
    });
}
