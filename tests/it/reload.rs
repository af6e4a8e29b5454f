//! One edit reaches L4, L7 and DNS in one commit, and nothing in flight notices (`dns 3.7`,
//! `http-proxy 5.6, 8.7`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use http::Request;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio_tungstenite::tungstenite;

use crate::front_door::ingress;
use crate::harness::dns::{Reply, ask, ask_tcp, try_ask};
use crate::harness::http::{Client, get};
use crate::harness::pod::{Connections, Pod};
use crate::harness::portico::Portico;
use crate::harness::udp::{self, UdpPod};
use crate::harness::{PATIENCE, eventually};
use crate::http2::read;
use crate::http2_sockets::echo;
use crate::services::{service, who};
use crate::udp::service as udp_service;

#[test]
fn an_edit_is_live_in_every_plane_at_once() {
    let (old, new) = (Pod::http("old"), Pod::http("new"));
    let rules = [("web.test", "Prefix", "/", "web")];
    let manifests = |pod: &Pod, host: &str| {
        let text = [service("web", "ClusterIP", 80, &[pod]), ingress("i", &rules, "")];
        text.join("---\n")
            .replace("web.test", host)
            .replace("port: 80\n", "port: 8080\n")
            .replace("number: 80}", "number: 8080}")
    };
    let portico = Portico::with(&[("all.yaml", &manifests(&old, "web.test"))]).start();
    assert_eq!(get(portico.http(), "web.test", "/").text(), "old");
    portico.edit("all.yaml", &manifests(&new, "shop.portico.test"));
    assert_eq!(get(portico.http(), "shop.portico.test", "/").text(), "new");
    assert_eq!(get(portico.http(), "web.test", "/").status, 404);
    let front = portico.cluster_ip("default/web", 8080);
    assert_eq!(Client::connect(front).get("x", "/").unwrap().text(), "new");
    let door = Reply::of(&[&format!("A {}", portico.http().ip())]);
    assert_eq!(ask(portico.dns(), "shop.portico.test.", RecordType::A), door);
}

#[test]
fn a_removed_service_refuses_while_its_open_connections_live_on() {
    let pod = Pod::tcp("pod");
    let portico = Portico::with(&[("s.yaml", &service("db", "ClusterIP", 3307, &[&pod]))]).start();
    let front = portico.cluster_ip("default/db", 3307);
    let mut open = TcpStream::connect(front).unwrap();
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut greeting = [0; 4];
    open.read_exact(&mut greeting).unwrap();
    portico.remove("s.yaml");
    eventually("the front closes", || TcpStream::connect(front).is_err().then_some(()));
    open.write_all(b"ping").unwrap();
    open.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"ping");
    let gone = ask(portico.dns(), "db.default.svc.cluster.local.", RecordType::A);
    assert_eq!(gone, Reply::nxdomain());
}

#[test]
fn a_thousand_edits_under_load_lose_nothing() {
    let web = [Pod::http("a"), Pod::http("b"), Pod::http("c")];
    let tcp = [Pod::tcp("a"), Pod::tcp("b"), Pod::tcp("c")];
    let udp = [UdpPod::echo("a"), UdpPod::echo("b"), UdpPod::echo("c")];
    let sockets = [echo(), echo(), echo()];
    let rules = [("web.test", "Prefix", "/", "web"), ("web.test", "Prefix", "/ws", "ws")];
    let manifests = |edit: usize| {
        let keep = [edit % 3, (edit + 1) % 3];
        [
            service("web", "ClusterIP", 8080, &keep.map(|index| &web[index])),
            // The endpoint of an open tunnel is gone most of the time.
            service("ws", "ClusterIP", 8080, &[&sockets[edit % 3]]),
            service("db", "NodePort", 3307, &keep.map(|index| &tcp[index])),
            udp_service("echo", "ClusterIP", 5300, &keep.map(|index| &udp[index])),
            service(&format!("extra-{}", edit % 7), "ClusterIP", 9000, &[&tcp[edit % 3]]),
            ingress("i", &rules, "").replace("number: 80}", "number: 8080}"),
        ]
        .join("---\n")
    };
    let portico = Portico::with(&[("all.yaml", &manifests(0))])
        .workers(2)
        .start();
    let load = Load::start(
        portico.http(),
        portico.cluster_ip("default/db", 3307),
        portico.node_port("default/db", 3307),
        portico.dns(),
    )
    .with_udp(portico.cluster_ip("default/echo", 5300));
    for edit in 1..=1000 {
        portico.edit("all.yaml", &manifests(edit));
    }
    let done = load.stop();
    assert!(portico.generation() >= 1000, "every edit was a generation of its own");
    for (kind, count) in done {
        assert!(count > 100, "{kind}: {count} is no load");
    }
}

/// Half of the pods say before that they will go, half die first: a request that may be repeated is,
/// and another is lost only with the pod that had it (`http-proxy 5.9`).
#[test]
fn pods_are_replaced_one_by_one_and_no_request_notices() {
    let rules = [("web.test", "Prefix", "/", "web")];
    let manifests = |pods: &[(Pod, Connections)]| {
        let pods: Vec<_> = pods.iter().map(|(pod, _)| pod).collect();
        let text = [service("web", "ClusterIP", 80, &pods), ingress("i", &rules, "")];
        text.join("---\n")
            .replace("port: 80\n", "port: 8080\n")
            .replace("number: 80}", "number: 8080}")
    };
    let mut pods: Vec<_> = ["a", "b", "c"].map(Pod::mortal).into();
    let portico = Portico::with(&[("all.yaml", &manifests(&pods))])
        .workers(2)
        .start();
    let mut load = Load::default();
    let http = portico.http();
    for _ in 0..2 {
        let mut kept = Client::connect(http);
        load.client("GET", move || {
            let answer = kept.get("web.test", "/").expect("an answer");
            assert_eq!(answer.status, 200);
            if answer.header("connection") == Some("close") {
                kept = Client::connect(http);
            }
        });
    }
    load.http2("HTTP/2", http);
    let lost = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&lost);
    let mut kept = Client::connect(http);
    load.client("POST", move || {
        let head = "POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 3\r\n\r\n";
        let answer = kept.request(head, b"abc").expect("an answer");
        match answer.status {
            200 => assert!(answer.text().ends_with("abc")),
            502 => drop(count.fetch_add(1, Ordering::Relaxed)),
            status => panic!("{status} for a request that a dead pod had"),
        }
        if answer.header("connection") == Some("close") {
            kept = Client::connect(http);
        }
    });
    for round in 0..REPLACED {
        let (gone, open) = std::mem::replace(&mut pods[round % 3], Pod::mortal("new"));
        if round % 2 == 0 {
            portico.edit("all.yaml", &manifests(&pods));
        }
        drop(gone);
        open.cut();
        if round % 2 == 1 {
            portico.edit("all.yaml", &manifests(&pods));
        }
        // No request lives through the replacement of all pods that it knows of.
        let before = load.counts();
        eventually("what was under way is done", || load.is_past(&before, 2).then_some(()));
    }
    eventually("every client has done its part", || load.is_past(&[0; 4], 100).then_some(()));
    load.stop();
    let lost = lost.load(Ordering::Relaxed);
    assert!(
        lost <= REPLACED as u64,
        "{lost} lost with {REPLACED} pods, one at a time is under way"
    );
}

/// What is said of names through all edits: none is ever missing, made up, or a failure (`dns 3.7`).
const NAMES: [(&str, RecordType, ResponseCode, usize); 7] = [
    ("db.default.svc.cluster.local.", RecordType::A, ResponseCode::NoError, 1),
    ("db.default.svc.portico.test.", RecordType::A, ResponseCode::NoError, 1),
    ("db.default.svc.cluster.local.", RecordType::AAAA, ResponseCode::NoError, 0),
    ("db.default.svc.cluster.local.", RecordType::SRV, ResponseCode::NoError, 1),
    ("default.svc.cluster.local.", RecordType::A, ResponseCode::NoError, 0),
    ("web.test.", RecordType::A, ResponseCode::NoError, 1),
    ("nobody.default.svc.cluster.local.", RecordType::A, ResponseCode::NXDomain, 0),
];

/// Pods that are replaced under load.
const REPLACED: usize = 60;

/// Clients that run until they are stopped; the first that loses anything fails the test.
#[derive(Default)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<(&'static str, std::thread::JoinHandle<()>, Arc<AtomicU64>)>,
}

impl Load {
    fn start(http: SocketAddr, front: SocketAddr, node: SocketAddr, dns: SocketAddr) -> Self {
        let mut load = Self::default();
        load.http2("HTTP/2 kept", http);
        load.web_socket("WebSocket kept", http);
        let mut kept = Client::connect(http);
        load.client("HTTP kept alive", move || {
            let answer = kept.get("web.test", "/").expect("an answer");
            assert_eq!(answer.status, 200);
            // After ten thousand requests it is told to come anew.
            if answer.header("connection") == Some("close") {
                kept = Client::connect(http);
            }
        });
        load.client("HTTP anew", move || assert_eq!(get(http, "web.test", "/").status, 200));
        for (name, front) in [("TCP ClusterIP", front), ("TCP NodePort", node)] {
            load.client(name, move || {
                who(front).expect("a connection");
            });
        }
        let mut stream = TcpStream::connect(front).expect("a connection");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a valid timeout");
        stream.read_exact(&mut [0; 2]).expect("the greeting");
        load.client("TCP kept open", move || {
            stream.write_all(b"ping").expect("the connection lives");
            let mut echo = [0; 4];
            stream.read_exact(&mut echo).expect("the connection lives");
            assert_eq!(&echo, b"ping");
        });
        load.client("DNS", move || {
            for (name, kind, code, answers) in NAMES {
                let reply = try_ask(dns, name, kind).expect("a reply");
                assert_eq!((reply.code, reply.answers.len()), (code, answers), "{name}: {reply:?}");
            }
        });
        load.client("DNS over TCP", move || {
            for (name, kind, code, answers) in NAMES {
                let reply = ask_tcp(dns, name, kind);
                assert_eq!((reply.code, reply.answers.len()), (code, answers), "{name}: {reply:?}");
            }
        });
        load
    }

    /// Datagrams as well, of a session that goes on and of ever new ones.
    fn with_udp(mut self, front: SocketAddr) -> Self {
        let kept = udp::Client::of(front);
        self.client("UDP kept", move || {
            kept.who().expect("a session goes on");
        });
        self.client("UDP anew", move || {
            let new = udp::Client::of(front);
            new.who().expect("a session begins");
            // Each keeps a port of this host for half a minute: not as many as can be.
            std::thread::park_timeout(Duration::from_millis(5));
        });
        self
    }

    /// Streams of one connection of HTTP/2 after another, four at a time.
    pub(crate) fn http2(&mut self, name: &'static str, http: SocketAddr) {
        self.client_made(name, move || {
            let mut session = Session::connect(http);
            move || session.ask("http://web.test/", 4)
        });
    }

    /// Messages of one WebSocket, which nothing may end.
    fn web_socket(&mut self, name: &'static str, http: SocketAddr) {
        let stream = TcpStream::connect(http).expect("a connection");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a valid timeout");
        let (mut socket, _) =
            tungstenite::client("ws://web.test/ws", stream).expect("it is agreed on");
        self.client(name, move || {
            socket.send("ping".into()).expect("the tunnel lives");
            let answer = socket.read().expect("the tunnel lives");
            assert_eq!(answer.to_text().expect("a text"), "ping");
        });
    }

    pub(crate) fn client(&mut self, name: &'static str, once: impl FnMut() + Send + 'static) {
        self.client_made(name, || once);
    }

    /// A client that is made on the thread that it runs on.
    fn client_made<F: FnMut()>(
        &mut self,
        name: &'static str,
        make: impl FnOnce() -> F + Send + 'static,
    ) {
        let (stop, count) = (Arc::clone(&self.stop), Arc::new(AtomicU64::new(0)));
        let done = Arc::clone(&count);
        let thread = std::thread::spawn(move || {
            let mut once = make();
            while !stop.load(Ordering::Relaxed) {
                once();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        self.clients.push((name, thread, done));
    }

    /// How often each client has come through.
    pub(crate) fn counts(&self) -> Vec<u64> {
        let clients = self.clients.iter();
        clients
            .map(|(_, _, count)| count.load(Ordering::Relaxed))
            .collect()
    }

    /// Whether each has come through so often since `before`, or has ended.
    pub(crate) fn is_past(&self, before: &[u64], times: u64) -> bool {
        let counts = self.counts();
        let ended = self
            .clients
            .iter()
            .map(|(_, thread, _)| thread.is_finished());
        let mut all = counts.iter().zip(before).zip(ended);
        all.all(|((count, before), ended)| ended || *count >= before + times)
    }

    /// Ends the load; panics with the client that lost something.
    pub(crate) fn stop(self) -> Vec<(&'static str, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients
            .into_iter()
            .map(|(name, thread, count)| {
                assert!(thread.join().is_ok(), "{name} lost something");
                (name, count.load(Ordering::Relaxed))
            })
            .collect()
    }
}

/// A client of HTTP/2 with a runtime of its own, which comes anew where it is told to.
struct Session {
    runtime: LocalRuntime,
    http: SocketAddr,
    client: SendRequest<Bytes>,
}

impl Session {
    fn connect(http: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .expect("a runtime");
        let client = runtime.block_on(Self::open(http));
        Self { runtime, http, client }
    }

    async fn open(http: SocketAddr) -> SendRequest<Bytes> {
        let stream = tokio::net::TcpStream::connect(http)
            .await
            .expect("a connection");
        let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::task::spawn_local(async move { drop(connection.await) });
        client
    }

    /// Asks so often at once; each is answered, with 200. What GOAWAY says was not looked at is asked
    /// again, as a client does.
    fn ask(&mut self, uri: &'static str, times: usize) {
        let Self { runtime, http, client } = self;
        runtime.block_on(async {
            let mut left = times;
            while left > 0 {
                let mut asked = Vec::new();
                for _ in 0..left {
                    let Ok(mut ready) = client.clone().ready().await else { break };
                    let request = Request::get(uri).body(()).expect("a request");
                    let Ok((response, _)) = ready.send_request(request, true) else { break };
                    asked.push(response);
                }
                for response in asked {
                    match response.await {
                        Ok(response) => {
                            assert_eq!(response.status(), 200);
                            read(response.into_body()).await.expect("the body");
                            left -= 1;
                        }
                        Err(error) => {
                            assert!(error.is_go_away() && error.is_remote(), "{error}");
                        }
                    }
                }
                if left > 0 {
                    *client = Self::open(*http).await;
                }
            }
        });
    }
}
