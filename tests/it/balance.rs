//! Who is next: weights, clients that return, and endpoints that die.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::{PATIENCE, eventually};
use crate::services::{service, who};

/// A Service with these annotations and fields more.
fn balanced(pods: &[&Pod], annotations: &str, spec: &str) -> String {
    let text = service("db", "ClusterIP", 3307, pods);
    let text = text.replace("  annotations:\n", &format!("  annotations:\n{annotations}"));
    text.replace("spec:\n", &format!("spec:\n{spec}"))
}

fn counts(front: SocketAddr, connections: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..connections {
        *counts.entry(who(front).unwrap()).or_insert(0) += 1;
    }
    counts
}

#[test]
fn weights_are_exact_over_all_workers_and_0_is_the_last_resort() {
    let (a, b, c) = (Pod::tcp("a"), Pod::tcp("b"), Pod::tcp("c"));
    let weights =
        format!("    portico.dev/weight: \"{}=3, {}=1, {}=0\"\n", a.address, b.address, c.address);
    let text = balanced(&[&a, &b, &c], &weights, "");
    let portico = Portico::with(&[("s.yaml", &text)]).workers(2).start();
    let front = portico.cluster_ip("default/db", 3307);
    assert_eq!(counts(front, 40), [("a".to_owned(), 30), ("b".to_owned(), 10)].into());
    drop((a, b));
    assert_eq!(counts(front, 2), [("c".to_owned(), 2)].into());
}

#[test]
fn fewest_connections_go_before_turns() {
    let (a, b) = (Pod::tcp("a"), Pod::tcp("b"));
    let text = balanced(&[&a, &b], "    portico.dev/balance: leastconn\n", "");
    let portico = Portico::with(&[("s.yaml", &text)]).workers(2).start();
    let front = portico.cluster_ip("default/db", 3307);
    let mut held = BTreeMap::<String, usize>::new();
    let mut streams = Vec::new();
    for _ in 0..20 {
        let stream = TcpStream::connect(front).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(stream);
        let mut name = String::new();
        reader.read_line(&mut name).unwrap();
        *held.entry(name).or_default() += 1;
        streams.push(reader);
    }
    assert_eq!(held, [("a\n".to_owned(), 10), ("b\n".to_owned(), 10)].into());
}

#[test]
fn a_client_returns_to_its_endpoint_until_that_does_not_answer() {
    let pods = [Pod::tcp("a"), Pod::tcp("b"), Pod::tcp("c")];
    for (case, annotations, spec) in [
        ("services 4.5", "", "  sessionAffinity: ClientIP\n"),
        ("Maglev", "    portico.dev/balance: maglev\n", ""),
    ] {
        let text = balanced(&[&pods[0], &pods[1], &pods[2]], annotations, spec);
        let portico = Portico::with(&[("s.yaml", &text)]).workers(2).start();
        let front = portico.cluster_ip("default/db", 3307);
        let before = counts(front, 10);
        assert_eq!(before.len(), 1, "{case}: {before:?}");
        // What changes about others is nothing to it.
        portico.edit("s.yaml", &text.replace("port: 3307", "port: 3307\n    name: sql"));
        portico.edit("s.yaml", &text);
    }
    let text = balanced(&[&pods[0], &pods[1], &pods[2]], "", "  sessionAffinity: ClientIP\n");
    let portico = Portico::with(&[("s.yaml", &text)]).workers(2).start();
    let front = portico.cluster_ip("default/db", 3307);
    let first = who(front).unwrap();
    let mut pods: Vec<(&str, Pod)> = ["a", "b", "c"].into_iter().zip(pods).collect();
    pods.retain(|(name, _)| *name != first);
    let after = counts(front, 10);
    assert!(after.len() == 1 && !after.contains_key(&first), "{after:?}");
}

/// Asks from four threads before, while and after a pod is killed; every question that begins after
/// that must be answered. Gives how many of those before were not.
fn kill_under_load(pod: Pod, ask: impl Fn() -> bool + Sync) -> usize {
    let (done, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (killed, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let question = || {
            while !stop.load(Ordering::SeqCst) {
                let is_after = killed.load(Ordering::SeqCst);
                if !ask() {
                    assert!(!is_after, "it began after the pod was dead");
                    lost.fetch_add(1, Ordering::SeqCst);
                }
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        let load: Vec<_> = (0..4).map(|_| scope.spawn(question)).collect();
        let wait = |what: &str, more: usize| {
            let until = done.load(Ordering::SeqCst) + more;
            eventually(what, || {
                let is_over = load.iter().any(|it| it.is_finished());
                (is_over || done.load(Ordering::SeqCst) >= until).then_some(())
            });
        };
        wait("load before", 100);
        drop(pod);
        killed.store(true, Ordering::SeqCst);
        wait("load after", 200);
        stop.store(true, Ordering::SeqCst);
    });
    lost.into_inner()
}

#[test]
fn one_of_three_dead_and_one_killed_under_load_fail_no_new_connection() {
    let pods = [Pod::tcp("a"), Pod::tcp("b"), Pod::tcp("dead")];
    let text = service("db", "ClusterIP", 3307, &[&pods[0], &pods[1], &pods[2]]);
    let portico = Portico::with(&[("s.yaml", &text)]).workers(2).start();
    let [_a, b, dead] = pods;
    drop(dead);
    let front = portico.cluster_ip("default/db", 3307);
    // A connection that the pod had not accepted yet dies with it: four at most.
    assert!(kill_under_load(b, || who(front).is_ok()) <= 4);
    assert_eq!(portico.metric(&of_db("portico_endpoint_ejections_total")), 1, "half of three");
    assert_eq!(portico.metric(&of_db("portico_endpoints_ejected")), 1);
    let admin = portico.admin();
    let snapshot = get(admin, &admin.to_string(), "/api/v1/snapshot");
    let snapshot: serde_json::Value = serde_json::from_str(snapshot.text()).unwrap();
    assert_eq!(snapshot["ejected"].as_array().unwrap().len(), 1);
}

#[test]
fn endpoints_have_metrics_of_their_own_where_asked_and_as_many_as_asked() {
    let (a, b, c, dead) = (Pod::tcp("a"), Pod::tcp("b"), Pod::tcp("c"), Pod::tcp("dead"));
    let address = dead.address;
    drop(dead);
    let text = |pods: &[&Pod]| {
        let text = service("db", "ClusterIP", 3307, pods);
        text.replacen(&a.address.to_string(), &format!("{},{address}", a.address), 1)
    };
    let portico = Portico::with(&[("s.yaml", &text(&[&a, &b]))])
        .told(|options| options.endpoint_series = 4)
        .workers(2)
        .start();
    let front = portico.cluster_ip("default/db", 3307);
    let held = TcpStream::connect(front).unwrap();
    eventually("it is held", || (a.connections() + b.connections() == 1).then_some(()));
    assert_eq!(counts(front, 30).values().sum::<usize>(), 30);
    let of = |series: &str, pod: &SocketAddr, more: &str| {
        let labels =
            format!("endpoint=\"{pod}\",port=\"\",protocol=\"tcp\",{more}service=\"default/db\"");
        portico.metric(&format!("{series}{{{labels}}}"))
    };
    let sum = |series: &str| of(series, &a.address, "") + of(series, &b.address, "");
    assert_eq!(sum("portico_endpoint_flows_total"), 31);
    eventually("one is open", || (sum("portico_endpoint_flows_active") == 1).then_some(()));
    assert_eq!(of("portico_endpoint_failures_total", &address, "reason=\"dial\","), 5);
    assert_eq!(of("portico_endpoint_flows_total", &address, ""), 5);
    assert_eq!(of("portico_endpoint_out", &address, ""), 1);
    assert_eq!(portico.metric("portico_endpoint_series_omitted"), 0);
    // What stays goes on counting, what leaves takes its series along.
    let before = of("portico_endpoint_flows_total", &a.address, "");
    portico.edit("s.yaml", &service("db", "ClusterIP", 3307, &[&a, &c]));
    assert_eq!(of("portico_endpoint_flows_total", &a.address, ""), before);
    let all = get(portico.admin(), "localhost", "/metrics")
        .text()
        .to_owned();
    assert!(!all.contains(&format!("endpoint=\"{}\"", b.address)), "{all}");
    portico.edit("t.yaml", &service("other", "ClusterIP", 3308, &[&a, &b, &c]));
    assert_eq!(portico.metric("portico_endpoint_series_omitted"), 1);
    let hits = "portico_proxy_limit_exceeded_total{reason=\"endpoint_series\"}";
    assert!(portico.metric(hits) > 0);
    drop(held);
    let nobody_asked = Portico::with(&[("s.yaml", &text(&[&a, &b]))]).start();
    let all = get(nobody_asked.admin(), "localhost", "/metrics")
        .text()
        .to_owned();
    assert!(!all.contains("endpoint=\""), "{all}");
}

/// Says something and waits for what is said back.
fn is_answered(front: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(front).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    let asked = stream.write_all(b"hello\n");
    asked.is_ok() && matches!(BufReader::new(stream).read_line(&mut answer), Ok(1..))
}

#[test]
fn an_endpoint_that_resets_before_a_byte_is_put_out_and_one_that_ends_in_order_is_not() {
    let talks = Pod::tcp("talks");
    // What is left unread at a close makes it a reset.
    let resets = Pod::serve(talks.address.ip(), |stream| drop(stream.peek(&mut [0])));
    let silent = Pod::serve(talks.address.ip(), |mut stream| drop(stream.read(&mut [0; 16])));
    for (case, pod, answered, counts) in
        [("a reset", &resets, 35, [5, 1, 1]), ("an end in order", &silent, 20, [0, 0, 0])]
    {
        let text = service("db", "ClusterIP", 3307, &[&talks, pod]);
        let portico = Portico::with(&[("s.yaml", &text)]).workers(1).start();
        let front = portico.cluster_ip("default/db", 3307);
        let got = (0..40).filter(|_| is_answered(front)).count();
        assert_eq!(got, answered, "http-proxy 5.12: {case}");
        let series = [
            "portico_endpoint_breaks_total",
            "portico_endpoint_ejections_total",
            "portico_endpoints_ejected",
        ];
        assert_eq!(series.map(|it| portico.metric(&of_db(it))), counts, "{case}");
    }
    let text = service("db", "ClusterIP", 3307, &[&talks, &silent]);
    let portico = Portico::with(&[("s.yaml", &text)]).workers(1).start();
    for _ in 0..20 {
        // A check that only opens and leaves.
        drop(TcpStream::connect(portico.cluster_ip("default/db", 3307)).unwrap());
    }
    let carried = "portico_l4_connections_total";
    eventually("all are through", || (portico.metric(&of_db(carried)) == 20).then_some(()));
    assert_eq!(portico.metric(&of_db("portico_endpoint_breaks_total")), 0);
}

#[test]
fn ingress_loses_no_request_by_a_pod_that_is_killed_under_load() {
    let pods = [Pod::http("a"), Pod::http("b"), Pod::http("dead")];
    let text = service("db", "ClusterIP", 3307, &[&pods[0], &pods[1], &pods[2]]) + DOOR;
    let portico = Portico::with(&[("s.yaml", &text)]).workers(1).start();
    let [_a, b, dead] = pods;
    drop(dead);
    for _ in 0..60 {
        assert_eq!(get(portico.http(), "web", "/").status, 200);
    }
    assert_eq!(portico.metric(&of_db("portico_endpoint_ejections_total")), 1);
    let failures = failures_of_db("refused");
    assert_eq!(portico.metric(&failures), 5, "then it was tried no more");
    assert_eq!(kill_under_load(b, || get(portico.http(), "web", "/").status == 200), 0);
}

/// An Ingress before the Service.
const DOOR: &str = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n\
                    spec: {defaultBackend: {service: {name: db, port: {number: 3307}}}}\n";

/// The series of dials to endpoints of the Service's only port that failed for this reason.
fn failures_of_db(reason: &str) -> String {
    of_db("portico_l4_connect_failures_total")
        .replace("service=", &format!("reason=\"{reason}\",service="))
}

/// A series of the Service's only port.
fn of_db(metric: &str) -> String {
    format!("{metric}{{port=\"\",protocol=\"tcp\",service=\"default/db\"}}")
}
