//! Listeners against real sockets on loopback.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use portico_config::model::ObjectName;
use portico_config::snapshot::{FrontKind, PortId};
use tokio::sync::mpsc;

use super::*;

/// Fronts on port `port`, of 127.77.`net`.1 and up; nobody else in these tests has that net.
fn fronts(net: u8, port: u16, count: u8) -> Arc<Vec<Front>> {
    let front = |number: u8| Front {
        address: ([127, 77, net, number], port).into(),
        protocol: Protocol::Tcp,
        kind: FrontKind::ClusterIp,
        port: Arc::new(PortId {
            service: ObjectName::new("default", format!("s{number}")),
            name: "".into(),
            protocol: Protocol::Tcp,
        }),
    };
    Arc::new((1..=count).map(front).collect())
}

/// A port that is free now on an address of its own.
fn free_port() -> u16 {
    let socket = TcpListener::bind("127.77.255.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

struct Plane {
    listeners: Listeners,
    commands: Vec<mpsc::Receiver<Command>>,
}

impl Plane {
    fn new(workers: usize, descriptors: u64) -> Self {
        let options = Options { workers, descriptors, ..Options::default() };
        let (senders, commands) = (0..workers).map(|_| mpsc::channel(64)).unzip();
        Self { listeners: Listeners::new(&options, senders), commands }
    }

    fn apply(&mut self, fronts: &Arc<Vec<Front>>) {
        let prepared = self
            .listeners
            .prepare(Arc::default(), fronts, &Arc::default());
        self.listeners.commit(prepared.changes);
    }

    /// The sockets that each worker was given since the last call.
    fn given(&mut self) -> Vec<usize> {
        let drain = |commands: &mut mpsc::Receiver<Command>| {
            let mut count = 0;
            while let Ok(command) = commands.try_recv() {
                if let Command::Open(sockets) = command {
                    count += sockets.len();
                    // Held open, as a worker would.
                    sockets
                        .into_iter()
                        .for_each(|it| std::mem::forget(it.socket));
                }
            }
            count
        };
        self.commands.iter_mut().map(drain).collect()
    }

    fn degraded(&self) -> usize {
        let degraded = |it: &&Arc<ListenerStatus>| matches!(it.state, ListenerState::Degraded(_));
        self.listeners.list().iter().filter(degraded).count()
    }
}

#[test]
fn listeners_take_at_most_half_of_the_descriptors() {
    for (net, descriptors, count, given, degraded) in [
        (0, 40, 10, 20, 0), // one socket per worker and front
        (1, 38, 10, 10, 0), // one per front
        (2, 12, 10, 6, 4),  // not even that
    ] {
        let mut plane = Plane::new(2, descriptors);
        plane.apply(&fronts(net, free_port(), count));
        let got = plane.given();
        assert_eq!(got.iter().sum::<usize>(), given, "{descriptors}: {got:?}");
        assert_eq!(plane.degraded(), degraded, "{descriptors}");
        assert_eq!(plane.listeners.refused(), degraded as u64, "{descriptors}");
    }
}

#[test]
fn the_worker_of_a_single_socket_is_chosen_by_its_address() {
    let mut plane = Plane::new(2, 130);
    let all = fronts(3, free_port(), 60);
    plane.apply(&all);
    let first = plane.given();
    assert!(first.iter().all(|&count| count > 10), "both have their share: {first:?}");
}

#[test]
fn the_list_is_the_same_while_no_listener_changes() {
    let mut plane = Plane::new(1, 1_000);
    let all = fronts(4, free_port(), 3);
    plane.apply(&all);
    let list = plane.listeners.list().clone();
    plane.apply(&all);
    assert!(plane.listeners.list().is_same(&list), "the same fronts");
    plane.apply(&Arc::new(all.to_vec()));
    assert!(plane.listeners.list().is_same(&list), "equal fronts");
    assert!(
        !plane
            .listeners
            .retry(Instant::now() + Duration::from_secs(60))
    );
    let mut fewer = all.to_vec();
    fewer.pop();
    plane.apply(&Arc::new(fewer));
    assert_eq!(plane.listeners.list().len(), 2);
    assert!(Arc::ptr_eq(&plane.listeners.list()[0], &list[0]), "what stays is not made anew");
    assert_eq!(plane.given(), [3]);
}

#[test]
fn a_front_that_changes_hands_is_not_reopened() {
    let mut plane = Plane::new(1, 1_000);
    let all = fronts(5, free_port(), 2);
    plane.apply(&all);
    assert_eq!(plane.given(), [2]);
    let mut other = all.to_vec();
    other[0].port = Arc::clone(&all[1].port);
    other[0].kind = FrontKind::NodePort;
    plane.apply(&Arc::new(other));
    assert_eq!(plane.given(), [0]);
    let shown = plane.listeners.list()[0].to_string();
    assert!(shown.starts_with("NodePort") && shown.ends_with("default/s2:/TCP"), "{shown}");
}

#[test]
fn only_what_is_degraded_and_due_is_tried_again() {
    let mut plane = Plane::new(2, 1_000);
    let port = free_port();
    let all = fronts(6, port, 2);
    let taken = TcpListener::bind(all[1].address).unwrap();
    plane.apply(&all);
    assert_eq!((plane.given(), plane.degraded()), (vec![1, 1], 1));
    let now = Instant::now();
    assert!(!plane.listeners.retry(now), "nothing is due");
    assert!(plane.listeners.retry(now + FIRST_PAUSE * 2));
    assert_eq!(plane.degraded(), 1, "still taken");
    drop(taken);
    assert!(plane.listeners.retry(now + LONGEST_PAUSE));
    assert_eq!((plane.given(), plane.degraded()), (vec![1, 1], 0));
}

#[test]
fn a_worker_that_is_gone_holds_up_nobody() {
    let mut plane = Plane::new(2, 100_000);
    plane.commands.pop();
    plane.apply(&fronts(7, free_port(), 200));
    plane.listeners.announce_view();
    assert_eq!(plane.given(), [200]);
}

#[test]
fn a_udp_front_is_opened_beside_a_tcp_front_of_the_same_port() {
    let mut plane = Plane::new(2, 1_000);
    let mut all = fronts(8, free_port(), 1).to_vec();
    let mut udp = all[0].clone();
    udp.protocol = Protocol::Udp;
    all.push(udp);
    plane.apply(&Arc::new(all.clone()));
    assert_eq!((plane.given(), plane.degraded()), (vec![2, 2], 0));
    let shown = plane.listeners.list()[1].to_string();
    assert!(shown.contains("/udp"), "{shown}");

    let mut plane = Plane::new(1, 1_000);
    let all: Vec<Front> = all.split_off(1);
    let other = Front { address: ([127, 77, 9, 1], free_port()).into(), ..all[0].clone() };
    let taken = UdpSocket::bind(other.address).unwrap();
    plane.apply(&Arc::new(vec![other]));
    let shown = format!("{:?}", plane.listeners.list()[0].state);
    let own = format!("pid {}", std::process::id());
    assert!(shown.contains("/udp is taken") && shown.contains(&own), "{shown}");
    drop(taken);
    assert!(plane.listeners.retry(Instant::now() + FIRST_PAUSE * 2));
    assert_eq!((plane.given(), plane.degraded()), (vec![1], 0));
}
