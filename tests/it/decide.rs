//! A third of the behaviour tables over real sockets: rows of `config/tests/decide/table` whose case
//! begins with `*`.
//!
//! The test starts itself again in a network namespace where every address of the tables is local,
//! so that rows run as they are written: clients bind the source, endpoints listen at 10.244.9.N:8080
//! and say N. A row holds where the one decision over what portico serves is what the row says, and
//! what happens on the socket is what the decision says:
//!
//! - *forward*: as many flows as the set has endpoints come to each of them once;
//! - *reject*, *drop*: a reset, or a refusal over UDP, for a drop over UDP nothing at all; and the
//!   counter of that verdict has moved by one;
//! - without a front: the kernel refuses.

#[path = "../../config/tests/decide/table/mod.rs"]
mod table;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use portico_config::model::{Protocol, Settings};
use portico_config::snapshot::{Decision, Flow, ServicePort, Verdict};
use socket2::{Domain, Socket, Type};

use self::table::{Check, Row, decided, rows};
use crate::harness::portico::Portico;
use crate::harness::process::tool;
use crate::harness::{PATIENCE, eventually};

#[test]
fn a_third_of_the_tables_holds_over_real_sockets() {
    if std::env::var_os(INSIDE).is_some() {
        return run_rows();
    }
    let this = std::env::current_exe().expect("this program has a path");
    let this = this.to_str().expect("a path of this repository");
    let Some(output) = tool("unshare", &["--map-root-user", "--net", "sh", "-c", SET_UP, this])
    else {
        return;
    };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// All rows, inside of the namespace.
fn run_rows() {
    for number in 1..=9 {
        serve(&format!("10.244.9.{number}:8080"), &number.to_string());
        serve(&format!("[fd00::{number}]:8080"), &format!("6:{number}"));
    }
    let rows = rows().into_iter().filter(|row| row.on_sockets);
    let mut running: Option<(Settings, Portico)> = None;
    let (mut wrong, mut count) = (Vec::new(), 0);
    for row in rows {
        for world in &row.worlds {
            let mut settings = world.settings.clone();
            settings.node_name = (!row.node.is_empty()).then(|| row.node.into());
            match &running {
                Some((same, portico)) if *same == settings => {
                    portico.edit("world.yaml", &world.manifests);
                }
                _ => {
                    // The one before gives its addresses back first.
                    drop(running.take());
                    running = Some((settings.clone(), start(settings, &world.manifests)));
                }
            }
            if let Some((_, portico)) = &running {
                wrong.extend(
                    row.checks
                        .iter()
                        .filter_map(|check| fault(&row, check, portico)),
                );
            }
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count >= 54, "{count} rows");
}

/// portico over one world, with its own listeners out of the way.
fn start(settings: Settings, manifests: &str) -> Portico {
    let start = Portico::with(&[("world.yaml", manifests)]).adjust(move |to| {
        let own = [to.http.clone(), to.https.clone(), to.dns.clone(), to.admin.clone()];
        *to = settings;
        [to.http, to.https, to.dns, to.admin] = own;
    });
    start.start()
}

/// An endpoint that says its name to every connection and datagram, as long as the process lives.
fn serve(address: &str, name: &str) {
    let (streams, datagrams) = (TcpListener::bind(address), UdpSocket::bind(address));
    let (streams, datagrams) = (streams.expect("its address"), datagrams.expect("its address"));
    let name = name.to_owned();
    let same = name.clone();
    std::thread::spawn(move || {
        for stream in streams.incoming().flatten() {
            let _ = (&stream).write_all(name.as_bytes());
        }
    });
    std::thread::spawn(move || {
        while let Ok((_, client)) = datagrams.recv_from(&mut [0; 16]) {
            let _ = datagrams.send_to(same.as_bytes(), client);
        }
    });
}

/// What does not hold of one flow of a row, in a sentence.
fn fault(row: &Row, check: &Check, portico: &Portico) -> Option<String> {
    let snapshot = portico.snapshot();
    let flow = check.flow();
    let decision = decided(&snapshot, row.node, &flow);
    let said = |what: String| Some(format!("{}: {}: {what}", row.case, check.flow));
    let got = check.aspect.of(&decision);
    if got != check.want {
        return said(format!("decided {got}, not {}", check.want));
    }
    let named = format!("{}: {}", row.case, check.flow);
    let (want, got) = (expected(&decision), observed(portico, &decision, &flow, &named));
    if got == want { None } else { said(format!("{got} on the socket, not {want}")) }
}

/// What a decision looks like on a socket.
fn expected(decision: &Decision<'_>) -> String {
    match (decision.verdict, decision.port) {
        (Verdict::Forward, Some(port)) => {
            let addresses = decision.endpoints().iter();
            let mut names: Vec<_> = addresses
                .map(|at| match port.endpoints[*at].address {
                    SocketAddr::V4(address) => address.ip().octets()[3].to_string(),
                    SocketAddr::V6(address) => format!("6:{}", address.ip().octets()[15]),
                })
                .collect();
            names.sort();
            format!("answers of {}", names.join(" "))
        }
        (Verdict::Reject, Some(_)) => "one more rejected".to_owned(),
        (Verdict::Drop, Some(_)) => "one more dropped".to_owned(),
        _ => "refused by the kernel".to_owned(),
    }
}

/// What happens on a socket.
fn observed(portico: &Portico, decision: &Decision<'_>, flow: &Flow, named: &str) -> String {
    let ask = match flow.protocol {
        Protocol::Tcp => ask_tcp,
        Protocol::Udp => |flow: &Flow| ask_udp(flow, PATIENCE),
        Protocol::Sctp => panic!("SCTP is not carried: no row of it runs over sockets"),
    };
    let Some(port) = decision.port else {
        // The front of the row before may take a moment to close.
        return eventually(&format!("{named}: no front"), || match ask(flow) {
            Err(ErrorKind::ConnectionRefused) => Some("refused by the kernel".to_owned()),
            _ => None,
        });
    };
    if decision.verdict == Verdict::Forward {
        let flows = decision.endpoints().iter();
        let mut names: Vec<_> = flows
            .map(|_| {
                // A front that refused in the row before takes datagrams once its worker has seen
                // that there is a new view.
                eventually(&format!("{named}: a front that takes"), || match ask(flow) {
                    Ok(name) => Some(name),
                    Err(ErrorKind::ConnectionRefused) if flow.protocol == Protocol::Udp => None,
                    Err(kind) => Some(format!("{kind:?}")),
                })
            })
            .collect();
        names.sort();
        return format!("answers of {}", names.join(" "));
    }
    let series = counters(port, flow.protocol);
    let counts = || series.each_ref().map(|(series, _)| portico.metric(series));
    let before = counts();
    let answer = match (flow.protocol, decision.verdict) {
        // No answer: that it was dropped is seen by the counter alone.
        (Protocol::Udp, Verdict::Drop) => send_udp(flow),
        // Without endpoints the kernel refuses, and portico sees nothing to count.
        (Protocol::Udp, _) => {
            // The front of the row before may take a moment to close: what comes to it is lost.
            return eventually(&format!("{named}: a refusal"), || match ask_udp(flow, A_MOMENT) {
                Err(ErrorKind::ConnectionRefused) => Some("one more rejected".to_owned()),
                _ => None,
            });
        }
        _ => match ask(flow) {
            Ok(name) => return format!("answer of {name}"),
            Err(ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused) => None,
            Err(kind) => return format!("{kind:?}"),
        },
    };
    let moved = eventually(&format!("{named}: a verdict is counted"), || {
        let after = counts();
        (after != before).then_some(after)
    });
    if let Some(socket) = answer {
        socket.set_nonblocking(true).expect("a socket");
        if let Ok(length) = socket.recv(&mut [0; 16]) {
            return format!("an answer of {length} octets");
        }
    }
    let mut words = series.iter().zip(moved).zip(before);
    let word = words.find(|((_, after), before)| *after == before + 1);
    word.map_or_else(
        || format!("counts from {before:?} to {moved:?}"),
        |(((_, what), _), _)| format!("one more {what}"),
    )
}

/// The series that count rejected and dropped flows of a port.
fn counters(port: &ServicePort, protocol: Protocol) -> [(String, &'static str); 2] {
    let (name, service) = (&port.id.name, &port.id.service);
    if protocol == Protocol::Udp {
        return [("no_endpoint", "rejected"), ("policy", "dropped")].map(|(reason, what)| {
            let labels = format!("port=\"{name}\",reason=\"{reason}\",service=\"{service}\"");
            (format!("portico_l4_udp_lost_datagrams_total{{{labels}}}"), what)
        });
    }
    let labels = format!("port=\"{name}\",protocol=\"tcp\",service=\"{service}\"");
    ["rejected", "dropped"].map(|what| (format!("portico_l4_{what}_total{{{labels}}}"), what))
}

/// Opens a connection from the flow's source and reads the name of who answers.
fn ask_tcp(flow: &Flow) -> Result<String, ErrorKind> {
    let read = || -> std::io::Result<String> {
        let mut stream = TcpStream::from(bound(flow, Type::STREAM)?);
        let mut name = String::new();
        stream.read_to_string(&mut name)?;
        match name.is_empty() {
            true => Err(ErrorKind::UnexpectedEof.into()),
            false => Ok(name),
        }
    };
    read().map_err(|error| error.kind())
}

/// Sends a datagram from the flow's source and reads the name of who answers.
fn ask_udp(flow: &Flow, patience: Duration) -> Result<String, ErrorKind> {
    let read = || -> std::io::Result<String> {
        let socket = UdpSocket::from(bound(flow, Type::DGRAM)?);
        socket.set_read_timeout(Some(patience))?;
        socket.send(b"who")?;
        let mut buffer = [0; 16];
        let length = socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    read().map_err(|error| error.kind())
}

/// Sends a datagram; the socket on which an answer would come.
fn send_udp(flow: &Flow) -> Option<UdpSocket> {
    let socket = UdpSocket::from(bound(flow, Type::DGRAM).expect("a way to the front"));
    socket.send(b"who").expect("it is sent");
    Some(socket)
}

/// A socket at the source, connected to the destination.
fn bound(flow: &Flow, kind: Type) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(flow.destination), kind, None)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.bind(&SocketAddr::new(flow.source, 0).into())?;
    socket.connect(&flow.destination.into())?;
    Ok(socket)
}

/// For an answer that most likely never comes, and is asked for again.
const A_MOMENT: Duration = Duration::from_millis(100);

/// Set where the test runs inside of its namespace.
const INSIDE: &str = "PORTICO_TEST_IN_NAMESPACE";

/// Makes every address of the tables local, and the test begin anew. Those that portico listens on
/// are addresses of an interface, and so is all of IPv6, which binds nothing else.
const SET_UP: &str = "set -eu
ip link set lo up
for address in 192.0.2.1 192.0.2.100 203.0.113.7 10.96.0.10; do
    ip address add $address/32 dev lo
done
for network in 10.0.0.0/8 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24; do
    ip route add local $network dev lo
done
for address in fd00:96::10 fd00::1 fd00::2 fd00::3 fd00::4 fd00::5 fd00::6 fd00::7 fd00::8 fd00::9; do
    ip address add $address/128 dev lo nodad
done
export PORTICO_TEST_IN_NAMESPACE=1
exec \"$0\" --exact decide::a_third_of_the_tables_holds_over_real_sockets --nocapture
";
