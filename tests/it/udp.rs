//! Services over UDP: sessions, and what becomes of them when endpoints change.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::eventually;
use crate::harness::portico::Portico;
use crate::harness::udp::{Client, UdpPod};

/// A Service over UDP whose endpoints are these pods, by the short form.
pub(crate) fn service(name: &str, kind: &str, port: u16, pods: &[&UdpPod]) -> String {
    let endpoints: Vec<_> = pods.iter().map(|pod| pod.address.to_string()).collect();
    let endpoints = match endpoints.is_empty() {
        true => String::new(),
        false => format!("annotations: {{portico.dev/endpoints: \"{}\"}}", endpoints.join(",")),
    };
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  {endpoints}\nspec:\n  \
         type: {kind}\n  selector: {{app: none}}\n  ports:\n  - {{port: {port}, protocol: UDP}}\n"
    )
}

fn start(text: &str) -> Portico {
    Portico::with(&[("s.yaml", text)]).workers(2).start()
}

#[test]
fn each_session_stays_with_its_endpoint_and_new_ones_take_turns() {
    let (a, b, c) = (UdpPod::echo("a"), UdpPod::echo("b"), UdpPod::echo("c"));
    let portico = start(&service("echo", "ClusterIP", 5300, &[&a, &b, &c]));
    let front = portico.cluster_ip("default/echo", 5300);
    let mut counts = BTreeMap::new();
    let clients: Vec<Client> = (0..30).map(|_| Client::of(front)).collect();
    for client in &clients {
        let name = client.who().unwrap();
        for _ in 0..3 {
            assert_eq!(client.who().unwrap(), name);
        }
        *counts.entry(name).or_insert(0) += 1;
    }
    assert_eq!(counts, ["a", "b", "c"].map(|name| (name.to_owned(), 10)).into());
    let labels = "{port=\"\",service=\"default/echo\"}";
    for (series, want) in [
        ("portico_l4_udp_sessions_active", 30),
        ("portico_l4_udp_sessions_total", 30),
        ("portico_l4_udp_received_datagrams_total", 120),
        ("portico_l4_udp_sent_datagrams_total", 120),
    ] {
        assert_eq!(portico.metric(&format!("{series}{labels}")), want, "{series}");
    }
}

#[test]
fn answers_leave_from_the_front_that_was_asked() {
    let pod = UdpPod::echo("pod");
    let portico = start(&service("echo", "NodePort", 5300, &[&pod]));
    for front in [portico.cluster_ip("default/echo", 5300), portico.node_port("default/echo", 5300)]
    {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .set_read_timeout(Some(crate::harness::PATIENCE))
            .unwrap();
        client.send_to(b"x", front).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(client.recv_from(&mut buffer).unwrap(), (5, front));
        assert_eq!(&buffer[..5], b"pod:x");
    }
}

#[test]
fn datagrams_of_every_length_pass_unchanged_both_ways() {
    let pod = UdpPod::echo("pod");
    let portico = start(&service("echo", "ClusterIP", 5300, &[&pod]));
    let client = Client::of(portico.cluster_ip("default/echo", 5300));
    assert_eq!(client.ask(b"").unwrap(), b"pod:");
    for length in [1_000, 1_473, 9_001, 60_000, 65_507] {
        let datagram: Vec<u8> = (0..length)
            .map(|n: u32| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        assert!(client.ask(&datagram).unwrap() == datagram, "{length}");
    }
}

#[test]
fn an_endpoint_that_leaves_gets_nothing_more_and_its_clients_go_elsewhere() {
    let (old, new) = (UdpPod::echo("old"), UdpPod::echo("new"));
    let portico = start(&service("echo", "ClusterIP", 5300, &[&old]));
    let front = portico.cluster_ip("default/echo", 5300);
    let clients: Vec<Client> = (0..20).map(|_| Client::of(front)).collect();
    for client in &clients {
        assert_eq!(client.who().unwrap(), "old");
    }
    portico.edit("s.yaml", &service("echo", "ClusterIP", 5300, &[&new]));
    let had = old.datagrams();
    for client in &clients {
        assert_eq!(client.who().unwrap(), "new");
    }
    assert_eq!(old.datagrams(), had);
    let ended = "portico_l4_udp_sessions_ended_total{port=\"\",reason=\"endpoint\",\
                 service=\"default/echo\"}";
    assert_eq!(portico.metric(ended), 20);
}

#[test]
fn an_endpoint_that_stays_keeps_its_sessions_when_others_change() {
    let (stays, goes) = (UdpPod::echo("stays"), UdpPod::echo("goes"));
    let portico = start(&service("echo", "ClusterIP", 5300, &[&stays, &goes]));
    let front = portico.cluster_ip("default/echo", 5300);
    let clients: Vec<Client> = (0..4).map(|_| Client::of(front)).collect();
    let before: Vec<String> = clients.iter().map(|it| it.who().unwrap()).collect();
    let ports = |pods: &[&UdpPod]| service("echo", "ClusterIP", 5300, pods);
    portico.edit("s.yaml", &ports(&[&stays]));
    for client in &clients {
        assert_eq!(client.who().unwrap(), "stays");
    }
    portico.edit("s.yaml", &ports(&[&stays, &goes]));
    for client in &clients {
        assert_eq!(client.who().unwrap(), "stays", "sessions do not move back");
    }
    assert_eq!(before.iter().filter(|it| *it == "goes").count(), 2);
    let opened = "portico_l4_udp_sessions_total{port=\"\",service=\"default/echo\"}";
    assert_eq!(portico.metric(opened), 6);
}

#[test]
fn a_service_without_endpoints_refuses_and_serves_again_when_one_comes() {
    let (first, second) = (UdpPod::echo("first"), UdpPod::echo("second"));
    let portico = start(&service("echo", "NodePort", 5300, &[&first]));
    let fronts =
        [portico.cluster_ip("default/echo", 5300), portico.node_port("default/echo", 5300)];
    let clients = fronts.map(Client::of);
    for client in &clients {
        assert_eq!(client.who().unwrap(), "first");
    }
    for _ in 0..3 {
        portico.edit("s.yaml", &service("echo", "NodePort", 5300, &[]));
        let had = first.datagrams() + second.datagrams();
        for client in &clients {
            let refused = client.eventually_who("the front refuses");
            assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
        }
        assert_eq!(first.datagrams() + second.datagrams(), had, "nobody was asked");
        portico.edit("s.yaml", &service("echo", "NodePort", 5300, &[&second]));
        for client in &clients {
            let name = eventually("the front serves", || {
                client.eventually_who("the front answers or refuses").ok()
            });
            assert_eq!(name, "second");
        }
    }
}

#[test]
fn a_front_of_a_service_that_is_gone_refuses() {
    let pod = UdpPod::echo("pod");
    let portico = start(&service("echo", "ClusterIP", 5300, &[&pod]));
    let client = Client::of(portico.cluster_ip("default/echo", 5300));
    assert_eq!(client.who().unwrap(), "pod");
    portico.remove("s.yaml");
    let refused = client.eventually_who("the front closes");
    assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
}

#[test]
fn a_dead_endpoint_costs_new_clients_nothing_and_others_one_datagram() {
    let (alive, dead) = (UdpPod::echo("alive"), UdpPod::echo("dead"));
    let portico = start(&service("echo", "ClusterIP", 5300, &[&alive, &dead]));
    let front = portico.cluster_ip("default/echo", 5300);
    let known: Vec<Client> = (0..6).map(|_| Client::of(front)).collect();
    for client in &known {
        client.who().unwrap();
    }
    drop(dead);
    for _ in 0..10 {
        assert_eq!(Client::of(front).who().unwrap(), "alive");
    }
    for client in &known {
        assert_eq!(client.eventually_who("another endpoint answers").unwrap(), "alive");
    }
}

#[test]
fn where_every_endpoint_is_dead_the_front_lives_and_heals() {
    let dead = UdpPod::echo("dead");
    let address = dead.address;
    let portico = start(&service("echo", "ClusterIP", 5300, &[&dead]));
    let client = Client::of(portico.cluster_ip("default/echo", 5300));
    assert_eq!(client.who().unwrap(), "dead");
    drop(dead);
    let refused = "portico_l4_udp_lost_datagrams_total{port=\"\",reason=\"refused\",\
                   service=\"default/echo\"}";
    eventually("refusals are counted", || {
        client.socket().send(b"nobody is there").unwrap();
        (portico.metric(refused) >= 3).then_some(())
    });
    let _back = UdpPod::echo_at("back", address);
    assert_eq!(client.who().unwrap(), "back");
}

#[test]
fn edits_under_load_lose_nothing_but_what_they_forbid() {
    let pods = [UdpPod::echo("a"), UdpPod::echo("b"), UdpPod::echo("c")];
    let manifests = |edit: usize| {
        let keep = [&pods[edit % 3], &pods[(edit + 1) % 3]];
        let extra = format!("extra-{}", edit % 7);
        [service("echo", "NodePort", 5300, &keep), service(&extra, "ClusterIP", 5301, &keep)]
            .join("---\n")
    };
    let portico = start(&manifests(0));
    let fronts =
        [portico.cluster_ip("default/echo", 5300), portico.node_port("default/echo", 5300)];
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = fronts
        .into_iter()
        .map(|front| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            std::thread::spawn(move || {
                let kept = Client::of(front);
                while !stop.load(Ordering::Relaxed) {
                    kept.who().expect("a session goes on");
                    Client::of(front).who().expect("a session begins");
                    done.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for edit in 1..=300 {
        portico.edit("s.yaml", &manifests(edit));
    }
    stop.store(true, Ordering::Relaxed);
    clients
        .into_iter()
        .for_each(|client| client.join().expect("nothing was lost"));
    let done = done.load(Ordering::Relaxed);
    assert!(done > 300, "{done} is no load");
}

#[test]
fn a_stream_of_datagrams_leaves_its_endpoint_within_a_tenth_of_a_second() {
    let (old, new) = (UdpPod::echo("old"), UdpPod::echo("new"));
    let portico = start(&service("echo", "ClusterIP", 5300, &[&old]));
    let front = portico.cluster_ip("default/echo", 5300);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let stream = std::thread::spawn({
        let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
        move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            while !stop.load(Ordering::SeqCst) {
                let number = sent.fetch_add(1, Ordering::SeqCst) + 1;
                socket.send_to(&number.to_be_bytes(), front).unwrap();
                // Leaves the others of this machine their time.
                std::thread::park_timeout(Duration::from_micros(100));
            }
        }
    });
    eventually("the stream flows", || (old.number() > 100).then_some(()));
    portico.edit("s.yaml", &service("echo", "ClusterIP", 5300, &[&new]));
    let changed = Instant::now();
    let later =
        || (changed.elapsed() >= Duration::from_millis(100)).then(|| sent.load(Ordering::SeqCst));
    let number = eventually("a tenth of a second", later);
    eventually("the stream flows on", || (new.number() > number + 1_000).then_some(()));
    assert!(old.number() <= number, "{} was sent after {number}", old.number());
    stop.store(true, Ordering::SeqCst);
    stream.join().unwrap();
}

#[test]
fn an_ipv6_endpoint_answers_ipv4_clients() {
    let Ok(socket) = UdpSocket::bind("[::1]:0") else {
        return eprintln!("skipped: this host has no IPv6");
    };
    let address: SocketAddr = socket.local_addr().unwrap();
    drop(socket);
    let pod = UdpPod::echo_at("six", address);
    let portico = start(&service("echo", "ClusterIP", 5300, &[&pod]));
    let client = Client::of(portico.cluster_ip("default/echo", 5300));
    assert_eq!(client.who().unwrap(), "six");
}
