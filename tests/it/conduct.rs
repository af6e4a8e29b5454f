//! What annotations say of the exchange with a backend, where only its two ends can tell: what it takes,
//! what is sent again, and how TLS is spoken (`ingress 2.4`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::annotations::annotated;
use crate::backend_tls::Authority;
use crate::harness::PATIENCE;
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// Reads a head; how long the body is that it announces.
fn read_head(reader: &mut impl BufRead) -> Option<usize> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader
            .read_line(&mut head)
            .ok()
            .filter(|count| *count > 0)?;
    }
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    Some(length.unwrap_or(0))
}

/// Who listens and has no place for another connection, its address, and who took the last ones.
fn full() -> (Socket, SocketAddr, Vec<TcpStream>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        queued.push(stream);
        assert!(queued.len() < 64, "the queue has an end");
    }
    (listener, address, queued)
}

#[test]
fn a_client_that_gives_up_early_puts_no_endpoint_out() {
    let (one, other) = (full(), full());
    let endpoints = format!("portico.dev/endpoints: \"{},{}\"", one.1, other.1);
    let manifests = [
        service("web", "ClusterIP", 80, &[]).replace("portico.dev/endpoints: \"\"", &endpoints),
        annotated("web", "web.test", &[], ""),
    ];
    let portico = Portico::with(&[("all.yaml", &manifests.join("---\n"))]).start();
    let call = "POST / HTTP/1.1\r\nHost: web.test\r\nContent-Type: application/grpc\r\n\
                grpc-timeout: 20m\r\nContent-Length: 0\r\n\r\n";
    for _ in 0..20 {
        let _ = Client::connect(portico.http()).request(call, b"");
    }
    let labels = "port=\"\",protocol=\"tcp\"";
    let series = |name: &str, more: &str| {
        portico.metric(&format!("portico_{name}{{{labels},{more}service=\"default/web\"}}"))
    };
    let timeouts = series("l4_connect_failures_total", "reason=\"timeout\",");
    assert!(timeouts >= 20, "each had a dial that was given up: {timeouts}");
    assert_eq!(series("endpoint_ejections_total", ""), 0, "http-proxy 5.12");
}

#[test]
fn a_connection_that_is_not_made_in_time_is_given_up() {
    let (_listener, address, _queued) = full();
    let endpoints = format!("portico.dev/endpoints: \"{address}\"");
    let asks = [("proxy-connect-timeout", "1"), ("proxy-read-timeout", "3600")];
    let manifests = [
        service("web", "ClusterIP", 80, &[]).replace("portico.dev/endpoints: \"\"", &endpoints),
        annotated("web", "web.test", &asks, ""),
    ];
    let portico = Portico::with(&[("all.yaml", &manifests.join("---\n"))]).start();
    let began = Instant::now();
    let status = get(portico.http(), "web.test", "/").status;
    assert_eq!(status, 504, "ingress 2.4: proxy-connect-timeout");
    assert!(began.elapsed() >= Duration::from_secs(1), "not before its time");
}

#[test]
fn a_backend_that_takes_nothing_is_given_up() {
    // It holds the connection, and reads nothing of the body, until it is let go.
    let (hold, held) = sync_channel::<TcpStream>(4);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut reader = BufReader::with_capacity(1, stream);
        if read_head(&mut reader).is_some() {
            let _ = hold.send(reader.into_inner());
        }
    });
    let asks =
        [("proxy-send-timeout", "1"), ("proxy-read-timeout", "3600"), ("proxy-body-size", "0")];
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), annotated("web", "web.test", &asks, "")];
    let portico = Portico::with(&[("all.yaml", &manifests.join("---\n"))]).start();
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    // More than all buffers between hold.
    let length = 64 << 20;
    let began = Instant::now();
    let upload = std::thread::spawn(move || {
        let head = format!("PUT / HTTP/1.1\r\nHost: web.test\r\nContent-Length: {length}\r\n\r\n");
        let _ = writer.write_all(head.as_bytes());
        let piece = vec![b'x'; 1 << 20];
        (0..64).all(|_| writer.write_all(&piece).is_ok())
    });
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 504", "ingress 2.4: proxy-send-timeout");
    assert!(began.elapsed() >= Duration::from_secs(1), "not before its time");
    drop((stream, held));
    assert!(!upload.join().unwrap(), "the rest was not taken");
}

/// A pod that tells of the first byte of each body, reads all of it and then answers with a status.
fn reading(tell: SyncSender<()>, status: u16) -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut reader = BufReader::new(stream);
        while let Some(length) = read_head(&mut reader) {
            let mut body = vec![0; length];
            let (first, rest) = body.split_at_mut(1.min(length));
            if reader.read_exact(first).is_err() || tell.send(()).is_err() {
                return;
            }
            if reader.read_exact(rest).is_err() {
                return;
            }
            let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n");
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// The status of a request whose second byte comes after a pod has heard the first.
fn in_two_parts(portico: &Portico, host: &str, heard: &Receiver<()>) -> u16 {
    let head = format!("PUT / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\nh");
    let mut client = Client::connect(portico.http());
    client.send(head.as_bytes()).unwrap();
    heard
        .recv_timeout(PATIENCE)
        .expect("a pod hears of the first byte");
    client.send(b"i").unwrap();
    let status = client.answer().unwrap().status;
    while heard.try_recv().is_ok() {}
    status
}

#[test]
fn a_body_that_came_in_parts_is_kept_to_be_sent_again_unless_it_is_not_to_be() {
    let (tell, heard) = sync_channel(64);
    let (busy, good) = (reading(tell.clone(), 503), reading(tell, 200));
    let again = ("proxy-next-upstream", "http_503");
    let manifests = [
        service("web", "ClusterIP", 80, &[&busy, &good]),
        annotated("keeps", "keeps.test", &[again, ("proxy-request-buffering", "on")], ""),
        annotated("streams", "streams.test", &[again, ("proxy-request-buffering", "off")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, want) in [("keeps.test", [200; 4]), ("streams.test", [200, 200, 503, 503])] {
        let mut got = [(); 4].map(|()| in_two_parts(&portico, host, &heard));
        got.sort_unstable();
        assert_eq!(got, want, "ingress 2.4: proxy-request-buffering: {host}");
    }
}

#[test]
fn tls_to_backends_is_spoken_as_annotations_say() {
    let tls = Authority::new().server("web.test", None);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let Ok(session) = ServerConnection::new(tls.clone()) else { return };
        let mut reader = BufReader::new(StreamOwned::new(session, stream));
        while read_head(&mut reader).is_some() {
            let session = &reader.get_ref().conn;
            let suite = session.negotiated_cipher_suite().unwrap().suite();
            let said = format!("{:?} {suite:?}", session.protocol_version().unwrap());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len());
            let writer = reader.get_mut();
            if writer.write_all(head.as_bytes()).is_err() || writer.flush().is_err() {
                return;
            }
        }
    });
    let over_tls = ("backend-protocol", "HTTPS");
    let old = ("proxy-ssl-protocols", "TLSv1.1 TLSv1.2");
    let of = |name: &str, more: &[(&str, &str)]| {
        annotated(name, &format!("{name}.test"), &[&[over_tls], more].concat(), "")
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        of("usual", &[]),
        of("old", &[old]),
        of("suite", &[old, ("proxy-ssl-ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305")]),
        of("words", &[("proxy-ssl-ciphers", "HIGH:!aNULL")]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, want) in [
        ("usual.test", "TLSv1_3 "),
        ("old.test", "TLSv1_2 "),
        ("suite.test", "TLSv1_2 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
        ("words.test", "TLSv1_3 "),
    ] {
        let answer = get(portico.http(), host, "/");
        assert!(answer.text().starts_with(want), "ingress 2.4: proxy-ssl: {host}: {answer:?}");
    }
}
