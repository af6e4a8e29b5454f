//! Clients who ask too much, too slowly, or nonsense: memory stays bounded, and others are served
//! (`dns 3.4`, `dns 4.1`).

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::harness::dns::{Reply, ask, ask_tcp, query, read};
use crate::harness::portico::Portico;
use crate::harness::process::{Process, own_address};
use crate::harness::upstream::Upstream;
use crate::harness::{PATIENCE, eventually, http};

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 127.252.0.9, ports: [{name: sql, port: 3307}]}
";
const LOCAL: &str = "db.default.svc.cluster.local.";

/// Addresses that take part, in turn.
const SOURCES: u32 = 2000;
/// Memory that a round may leave behind though nothing is kept of it: that of the allocator.
const SLACK: u64 = 16 << 20;

/// The `number`th client of the flood, in a network of its own.
fn source(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 200, 0, 1)) + number)
}

/// A query with an OPT that holds these options.
fn with_options(name: &str, options: &[u8]) -> Vec<u8> {
    let mut message = query(name, RecordType::A);
    message[11] = 1;
    message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0]);
    message.extend(u8::try_from(options.len()).unwrap().to_be_bytes());
    message.extend_from_slice(options);
    message
}

/// Each source asks for what is there, what is not, what is elsewhere, with a cookie, and nonsense;
/// nobody waits for the replies.
fn flood(dns: SocketAddr, round: u32) {
    for number in 0..SOURCES {
        let client = UdpSocket::bind((source(number), 0)).expect("a loopback address");
        let cookie = [&[0, 10, 0, 8][..], &number.to_be_bytes(), &round.to_be_bytes()].concat();
        for message in [
            query(LOCAL, RecordType::A),
            query(&format!("n{number}.default.svc.cluster.local."), RecordType::AAAA),
            query(&format!("n{number}.r{round}.example.org."), RecordType::A),
            with_options(LOCAL, &cookie),
            with_options(LOCAL, &[0, 10, 0, 3, 1, 2, 3]),
            vec![0xc0; 512],
        ] {
            // What the kernel has no room for is lost, as it would be.
            let _ = client.send_to(&message, dns);
        }
    }
}

/// As a client does: again where a datagram was lost in the flood.
fn asks(dns: SocketAddr) -> Reply {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(dns).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut buffer = [0; 1500];
    eventually("somebody else is answered", || {
        socket.send(&query(LOCAL, RecordType::A)).unwrap();
        let length = socket.recv(&mut buffer).ok()?;
        Some(read(&buffer[..length]))
    })
}

#[test]
fn a_flood_from_many_addresses_leaves_memory_bounded_and_others_served() {
    let silent = Upstream::start(|_| Vec::new());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("s.yaml"), SERVICE).unwrap();
    let [dns, admin] = [(); 2].map(|()| own_address());
    let upstream = silent.address().to_string();
    let [dns_text, admin_text] = [dns, admin].map(|it| it.to_string());
    let process = Process::portico(&[
        "run",
        "--workers",
        "2",
        "--http",
        "off",
        "--https",
        "off",
        "--dns",
        &dns_text,
        "--admin",
        &admin_text,
        "--forward",
        &upstream,
        "--service-cidr",
        "127.252.0.0/16",
        folder.path().to_str().unwrap(),
    ]);
    eventually("it is ready", || {
        TcpStream::connect(admin).ok()?;
        (http::get(admin, &admin_text, "/readyz").status == 200).then_some(())
    });
    let metric = |name: &str| {
        let answer = http::get(admin, &admin_text, "/metrics");
        let text = answer.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<f64>().ok())
            .unwrap_or_else(|| panic!("{name} in\n{text}"))
    };
    let want = Reply::of(&["A 127.252.0.9"]);
    let mut resident = Vec::new();
    for round in 0..6 {
        let attack = std::thread::spawn(move || flood(dns, round));
        let mut served = 0;
        while !attack.is_finished() || served < 5 {
            assert_eq!(asks(dns), want, "round {round}");
            served += 1;
        }
        attack.join().unwrap();
        assert_eq!(ask_tcp(dns, LOCAL, RecordType::A), want, "and over TCP");
        assert!(metric("portico_dns_forward_waiting") <= 1000.0, "dns 4.1");
        resident.push(process.resident_bytes());
    }
    // The first rounds fill what has a limit: buffers, the cache, those who wait.
    let (early, late) = (resident[1], resident[5]);
    assert!(late <= early + SLACK, "dns 3.4: it grows from round to round: {resident:?}");
    eventually("nobody is waited for any more", || {
        (metric("portico_dns_forward_waiting") == 0.0).then_some(())
    });
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn slow_and_broken_streams_end_and_hold_up_nobody() {
    let portico =
        Portico::with(&[("s.yaml", &SERVICE.replace("clusterIP: 127.252.0.9, ", ""))]).start();
    let dns = portico.dns();
    let question = query(LOCAL, RecordType::A);
    let length = u16::try_from(question.len()).unwrap().to_be_bytes();
    let framed = [&length[..], &question].concat();
    let large = [&[0xff, 0xff][..], &question, &vec![0; 65_535 - question.len()]].concat();
    let cases: [(&str, &[u8], usize); 8] = [
        ("nothing", &[], 0),
        ("half a length", &framed[..1], 0),
        ("a length alone", &framed[..2], 0),
        ("half a message", &framed[..20], 0),
        ("a message, and half of the next", &[&framed[..], &framed[..9]].concat(), 1),
        ("no length", &[0, 0], 0),
        ("a length below a header", &[0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0),
        ("a message as long as can be", &large, 1),
    ];
    let mut open = Vec::new();
    for (case, octets, replies) in cases {
        let mut stream = TcpStream::connect(dns).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(octets).unwrap();
        open.push((case, replies, stream));
    }
    assert_eq!(ask(dns, LOCAL, RecordType::A).answers.len(), 1, "a datagram");
    assert_eq!(ask_tcp(dns, LOCAL, RecordType::A).answers.len(), 1, "another stream");
    for (case, replies, mut stream) in open {
        for _ in 0..replies {
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect(case);
            let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut reply).expect(case);
            assert_eq!(reply[3] & 15, 0, "{case}");
        }
        // An end or a reset, and neither of them only when patience ends.
        let end = stream.read(&mut [0]);
        let is_over = match &end {
            Ok(length) => *length == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        assert!(is_over, "dns 3.4: {case}: {end:?}");
    }
}
