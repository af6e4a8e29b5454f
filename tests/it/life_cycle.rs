//! The life of listeners and of the process: what leaves drains, what ends says so first, and want of
//! descriptors harms nobody who is served already (`http-proxy 8.1, 8.5`).

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::{Process, free_address, own_address};
use crate::harness::{PATIENCE, eventually, http};
use crate::services::service;

/// Connects and reads the pod's name, so that the connection is through.
fn open(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    match reader.read_line(&mut String::new())? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(reader),
    }
}

/// Sends a line and gets it back.
fn echo(connection: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    connection.get_mut().write_all(b"ping\n")?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    assert_eq!(line, "ping\n");
    Ok(())
}

/// A process over one Service with one pod, and where its front and its admin listener are.
struct Running {
    process: Process,
    front: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
}

fn start(folder: &Path, ip: &str, pod: &Pod, descriptors: u32, more: &[&str]) -> Running {
    let front = free_address(ip);
    let admin = own_address();
    let text = service("db", "ClusterIP", front.port(), &[pod])
        .replace("spec:\n", &format!("spec:\n  clusterIP: {ip}\n"));
    let manifests = folder.join("manifests");
    fs::create_dir(&manifests).unwrap();
    fs::write(manifests.join("s.yaml"), text).unwrap();
    let (log, listen) = (folder.join("log"), admin.to_string());
    let mut arguments = vec!["run", manifests.to_str().unwrap(), "--admin", &listen];
    arguments.extend(["--http", "off", "--https", "off", "--dns", "off", "--workers", "1"]);
    arguments.extend(more);
    let process = Process::limited(descriptors, &log, &arguments);
    eventually("it is ready", || {
        TcpStream::connect(admin).ok()?;
        (http::get(admin, "127.0.0.1", "/readyz").status == 200).then_some(())
    });
    Running { process, front, admin, log }
}

fn metric(admin: SocketAddr, series: &str) -> u64 {
    let answer = http::get(admin, "127.0.0.1", "/metrics");
    let mut lines = answer.text().lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn connections_outlive_their_endpoint_and_their_service() {
    let (old, new) = (Pod::tcp("old"), Pod::tcp("new"));
    let text = |pod| service("db", "ClusterIP", 7000, &[pod]);
    let portico = Portico::with(&[("s.yaml", &text(&old))]).start();
    let front = portico.cluster_ip("default/db", 7000);
    let mut before = open(front).unwrap();
    portico.edit("s.yaml", &text(&new));
    let mut after = open(front).unwrap();
    assert_eq!((old.connections(), new.connections()), (1, 1));
    for connection in [&mut before, &mut after] {
        echo(connection).unwrap();
    }
    portico.remove("s.yaml");
    eventually("the front is closed", || {
        let error = TcpStream::connect(front).err()?;
        (error.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
    for connection in [&mut before, &mut after] {
        echo(connection).unwrap();
    }
}

#[test]
fn a_process_that_is_to_end_says_so_first_and_accepts_until_its_delay_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let pod = Pod::tcp("a");
    let more = ["--drain-delay", "3s", "--drain-timeout", "30s"];
    let Running { process, front, admin, .. } =
        start(folder.path(), "127.240.1.1", &pod, 1024, &more);
    let mut before = open(front).unwrap();
    process.signal("TERM");
    eventually("it is not ready any more", || {
        let answer = http::get(admin, "127.0.0.1", "/readyz");
        assert!(answer.status == 200 || answer.text().starts_with("not ready: draining\n"));
        (answer.status == 503).then_some(())
    });
    let mut within = open(front).expect("the delay has just begun");
    eventually("listeners are closed", || TcpStream::connect(front).err());
    for connection in [&mut before, &mut within] {
        echo(connection).expect("open connections go on");
    }
    drop((before, within));
    assert_eq!(process.exit_code(), Some(0), "it waits for nobody else");
}

#[test]
fn what_is_open_at_the_end_of_the_drain_is_reset_and_counted_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let pod = Pod::tcp("a");
    let Running { process, front, log, .. } =
        start(folder.path(), "127.240.2.1", &pod, 1024, &["--drain-timeout", "200ms"]);
    let mut open: Vec<_> = (0..3).map(|_| open(front).unwrap()).collect();
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
    for connection in &mut open {
        let error = connection.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "a cut is no end");
    }
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("connections=3") || log.contains("connections: 3"), "{log}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pod = Pod::tcp("a");
    let Running { process, front, admin, .. } =
        start(folder.path(), "127.240.3.1", &pod, 1024, &["--drain-timeout", "1h"]);
    let _open = open(front).unwrap();
    process.signal("TERM");
    eventually("the first one is taken", || {
        (http::get(admin, "127.0.0.1", "/readyz").status == 503).then_some(())
    });
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(128 + 15));
}

#[test]
fn want_of_descriptors_harms_nobody_who_is_served_and_costs_no_processor() {
    let folder = tempfile::tempdir().unwrap();
    let pod = Pod::tcp("a");
    let Running { process, front, admin, log } =
        start(folder.path(), "127.240.4.1", &pod, DESCRIPTORS, &[]);
    let mut served = open(front).unwrap();
    // They stay open and say nothing: portico is left without a descriptor.
    let crowd: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(front).unwrap())
        .collect();
    const PAUSES: &str = "portico_proxy_limit_exceeded_total{reason=\"descriptors\"}";
    let pauses = eventually("accepting has paused", || {
        Some(metric(admin, PAUSES)).filter(|count| *count > 0)
    });
    // Long enough that the clock tick in which processor time is told is small beside it, and without
    // the metrics, whose connections cost time and give descriptors back.
    let (begun, spent) = (Instant::now(), process.processor_time());
    while begun.elapsed() < Duration::from_secs(2) {
        std::thread::park_timeout(Duration::from_millis(100));
        echo(&mut served).expect("who is served stays so");
    }
    let (lasted, spent) = (begun.elapsed(), process.processor_time() - spent);
    assert!(spent < lasted / 5, "{spent:?} of processor time in {lasted:?}");
    eventually("it goes on to pause", || (metric(admin, PAUSES) > pauses).then_some(()));
    let told = fs::read_to_string(log)
        .unwrap()
        .matches("accepting paused")
        .count();
    let most = usize::try_from(lasted.as_secs()).unwrap() + 3;
    assert!((1..=most).contains(&told), "told {told} times in {lasted:?}");
    drop(crowd);
    eventually("there is room again", || open(front).ok());
    echo(&mut served).unwrap();
    process.signal("TERM");
    drop(served);
    assert_eq!(process.exit_code(), Some(0));
}

/// Enough to start, fewer than the connections that the limit of connections would let in need.
const DESCRIPTORS: u32 = 56;
