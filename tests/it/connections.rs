//! What stands in front of connections and how many there may be: the PROXY protocol, limits, times
//! (`http-proxy 3.4, 8.2`).

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::{PATIENCE, eventually, http};
use crate::services::service;

/// [`service`] with one more annotation.
fn annotated(name: &str, key: &str, value: &str, pods: &[&Pod]) -> String {
    let line = format!("  annotations:\n    portico.dev/{key}: \"{value}\"\n");
    service(name, "ClusterIP", 7000, pods).replace("  annotations:\n", &line)
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the front listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time above zero");
    stream
}

/// The next line that comes; empty at the end, or an error.
fn line(stream: &TcpStream) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

fn is_reset(result: &std::io::Result<String>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn connections_beyond_a_services_limit_are_reset_at_once_and_counted() {
    let pod = Pod::tcp("a");
    let text = annotated("db", "max-connections", "2", &[&pod]);
    let portico = Portico::with(&[("s.yaml", &text)]).workers(2).start();
    let front = portico.cluster_ip("default/db", 7000);
    let first = [open(front), open(front)];
    for stream in &first {
        assert_eq!(line(stream).unwrap(), "a\n");
    }
    for _ in 0..3 {
        assert!(is_reset(&line(&open(front))));
    }
    let refused = "portico_l4_refused_total{port=\"\",protocol=\"tcp\",reason=\"limit\",\
                   service=\"default/db\"}";
    assert_eq!(portico.metric(refused), 3);
    drop(first);
    let take = || {
        eventually("there is room again", || {
            let stream = open(front);
            line(&stream).ok().filter(|it| it == "a\n").map(|_| stream)
        })
    };
    let [kept, other] = [take(), take()];
    assert!(is_reset(&line(&open(front))), "both places are taken anew");
    portico.edit("s.yaml", &annotated("db", "max-connections", "1", &[&pod]));
    drop(other);
    assert!(is_reset(&line(&open(front))), "the limit of now counts those of before");
    drop(kept);
    eventually("the last one left", || line(&open(front)).ok().filter(|it| it == "a\n"));
}

#[test]
fn connections_beyond_the_limit_of_the_process_wait_until_one_ends() {
    let pod = Pod::tcp("a");
    let portico = Portico::with(&[("s.yaml", &service("db", "ClusterIP", 7000, &[&pod]))])
        .told(|options| options.max_connections = Some(2))
        .start();
    let front = portico.cluster_ip("default/db", 7000);
    let counts = || {
        let hits = "portico_proxy_limit_exceeded_total{reason=\"connections\"}";
        ["portico_proxy_connections_limit", "portico_proxy_connections_active", hits]
            .map(|series| portico.metric(series))
    };
    assert_eq!(counts(), [2, 0, 0]);
    let first = [open(front), open(front)];
    for stream in &first {
        assert_eq!(line(stream).unwrap(), "a\n");
    }
    assert_eq!(counts(), [2, 2, 0]);
    let waiting = open(front);
    eventually("it waits for a place", || (counts() == [2, 2, 1]).then_some(()));
    assert_eq!(pod.connections(), 2);
    drop(first);
    assert_eq!(line(&waiting).unwrap(), "a\n", "reliability 4: accepted once there is room");
    drop(waiting);
    eventually("all places are free", || (counts() == [2, 0, 1]).then_some(()));
}

/// A pod that answers every connection with the first line that it got.
fn first_line_pod() -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), |mut stream| {
        if let Ok(line) = line(&stream) {
            let _ = stream.write_all(line.as_bytes());
        }
        // What is behind it is left unread: the close must not destroy the answer.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn endpoints_are_told_the_client_and_what_it_asked_for() {
    let pod = first_line_pod();
    let text = annotated("db", "proxy-protocol", "v1", &[&pod]);
    let portico = Portico::with(&[("s.yaml", &text)]).start();
    let front = portico.cluster_ip("default/db", 7000);
    let client = open(front);
    let own = client.local_addr().unwrap();
    let want = format!("PROXY TCP4 {} {} {} 7000\r\n", own.ip(), front.ip(), own.port());
    assert_eq!(line(&client).unwrap(), want);
}

#[test]
fn version_2_is_binary() {
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), |mut stream| {
        let mut header = [0; 28];
        if stream.read_exact(&mut header).is_ok() {
            let _ = stream.write_all(&header);
        }
    });
    let text = annotated("db", "proxy-protocol", "v2", &[&pod]);
    let portico = Portico::with(&[("s.yaml", &text)]).start();
    let mut client = open(portico.cluster_ip("default/db", 7000));
    let port = client.local_addr().unwrap().port().to_be_bytes();
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert_eq!(&got[..16], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
    assert_eq!(&got[16..20], &[127, 0, 0, 1]);
    assert_eq!((&got[24..26], &got[26..28]), (&port[..], &7000_u16.to_be_bytes()[..]));
}

#[test]
fn a_required_header_names_the_client_and_everything_else_is_refused() {
    let pod = first_line_pod();
    let text = annotated("db", "proxy-protocol", "in,v1", &[&pod]);
    let portico = Portico::with(&[("s.yaml", &text)])
        .adjust(|settings| settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
        .start();
    let front = portico.cluster_ip("default/db", 7000);
    let told = |bytes: &[u8]| {
        let mut client = open(front);
        client.write_all(bytes).unwrap();
        line(&client)
    };
    let header = "PROXY TCP4 192.0.2.7 198.51.100.1 5555 80\r\n";
    assert_eq!(told(header.as_bytes()).unwrap(), header, "what is told in is told on");
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x15\xb3\0\x50hello";
    assert_eq!(told(v2).unwrap(), header, "of either version");
    let local = told(b"PROXY UNKNOWN\r\nhello").unwrap();
    assert!(local.starts_with("PROXY TCP4 127.0.0.1 "), "the proxy itself: {local}");
    for wrong in [&b"hello, is anybody there?\n"[..], b"PROXY TCP4 192.0.2.7 x 5555 80\r\n"] {
        assert!(is_reset(&told(wrong)));
    }
    let refused = "portico_l4_refused_total{port=\"\",protocol=\"tcp\",reason=\"proxy_protocol\",\
                   service=\"default/db\"}";
    assert_eq!(portico.metric(refused), 2);
}

#[test]
fn a_header_of_a_stranger_is_not_believed() {
    let pod = Pod::tcp("a");
    let text = annotated("db", "proxy-protocol", "in", &[&pod]);
    let portico = Portico::with(&[("s.yaml", &text)])
        .adjust(|settings| settings.trusted_proxies = vec!["192.0.2.0/24".parse().unwrap()])
        .start();
    let mut client = open(portico.cluster_ip("default/db", 7000));
    // The reset may come before the header is sent: whichever call comes first is told.
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 80\r\n";
    assert!(is_reset(&client.write_all(header).and_then(|()| line(&client))));
    assert_eq!(pod.connections(), 0);
    let nobody = Portico::with(&[("s.yaml", &text)]).start();
    assert!(nobody.warnings()[0].contains("P0725"), "{:?}", nobody.warnings());
}

#[test]
fn ingress_can_require_a_header_too() {
    let pod = Pod::http("web");
    let text = service("web", "ClusterIP", 80, &[&pod])
        + "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec:\n  \
           defaultBackend: {service: {name: web, port: {number: 80}}}\n";
    let portico = Portico::with(&[("s.yaml", &text)])
        .adjust(|settings| {
            settings.proxy_protocol = true;
            settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        })
        .start();
    let request = "GET /headers HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    let mut client = open(portico.http());
    let header = "PROXY TCP4 192.0.2.7 198.51.100.1 5555 80\r\n";
    client
        .write_all(format!("{header}{request}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("x-forwarded-for: 192.0.2.7\r\n"),
        "{answer}"
    );
    let mut client = open(portico.http());
    client.write_all(request.as_bytes()).unwrap();
    assert!(is_reset(&line(&client)));
    assert_eq!(portico.metric("portico_l7_proxy_protocol_errors_total"), 1);
    let refused =
        "portico_l7_connections_refused_total{listener=\"http\",reason=\"proxy_protocol\"}";
    assert_eq!(portico.metric(refused), 1, "http-proxy 9.4");
    assert_eq!(http::get(portico.admin(), "127.0.0.1", "/livez").status, 200, "admin never does");
}

#[test]
fn one_client_has_so_many_connections_and_no_more() {
    let pod = Pod::http("web");
    let text = service("web", "ClusterIP", 80, &[&pod])
        + "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec:\n  \
           defaultBackend: {service: {name: web, port: {number: 80}}}\n";
    let portico = Portico::with(&[("s.yaml", &text)])
        .adjust(|settings| {
            settings.proxy_protocol = true;
            settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            settings.front_door.max_connections_per_client = 2;
        })
        .start();
    // A connection of this client that stays open, and whether it is served.
    let come = |client: &str| {
        let mut stream = open(portico.http());
        let header = format!("PROXY {client} 5555 80\r\n");
        let request = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
        let sent = stream.write_all(format!("{header}{request}").as_bytes());
        let first = line(&stream);
        let served = sent.is_ok() && matches!(&first, Ok(line) if line.contains(" 200 "));
        assert!(served || is_reset(&first), "{first:?}");
        (stream, served)
    };
    let (one, other) = ("TCP4 192.0.2.7 198.51.100.1", "TCP4 192.0.2.8 198.51.100.1");
    let held = [come(one), come(one)];
    assert!(held.iter().all(|(_, served)| *served), "http-proxy 8.2: as many as one may have");
    assert!(!come(one).1, "http-proxy 8.2: one more");
    assert!(come(other).1, "http-proxy 8.2: another client");
    let of_network = ["TCP6 2001:db8::1 ::1", "TCP6 2001:db8::2 ::1", "TCP6 2001:db8::3 ::1"];
    let network = of_network.map(come);
    assert_eq!(network.map(|(_, served)| served), [true, true, false], "http-proxy 8.2: a /64");
    for client in ["TCP4 127.0.0.1 127.0.0.1"; 4] {
        assert!(come(client).1, "this host is none");
    }
    let series = "portico_proxy_limit_exceeded_total{reason=\"client_connections\"}";
    assert_eq!(portico.metric(series), 2);
    drop(held);
    eventually("its places come back", || come(one).1.then_some(()));
}

#[test]
fn an_idle_timeout_ends_silent_connections_alone_and_follows_the_settings() {
    let pod = Pod::tcp("a");
    let portico = Portico::with(&[("s.yaml", &service("db", "ClusterIP", 7000, &[&pod]))])
        .adjust(|settings| settings.tcp.idle_timeout = Some(Duration::from_millis(400)))
        .start();
    let front = portico.cluster_ip("default/db", 7000);
    let (mut talks, silent) = (open(front), open(front));
    for stream in [&talks, &silent] {
        assert_eq!(line(stream).unwrap(), "a\n");
    }
    silent.set_nonblocking(true).unwrap();
    eventually("the silent one is reset", || {
        talks.write_all(b"x\n").unwrap();
        assert_eq!(line(&talks).unwrap(), "x\n", "who talks is left alone");
        is_reset(&line(&silent)).then_some(())
    });
}
