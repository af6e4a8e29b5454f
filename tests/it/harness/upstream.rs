//! A resolver to forward to, which does what a scenario needs it to: answers, lies, is silent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// What is done with a query: the replies in their order, none for silence.
pub(crate) type Behaviour = fn(&Heard) -> Vec<Vec<u8>>;

/// One query, and how it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// The query.
    pub(crate) query: Message,
    /// As it came.
    pub(crate) octets: Vec<u8>,
    /// Whether over TCP.
    pub(crate) tcp: bool,
    /// Where it came from.
    pub(crate) from: SocketAddr,
}

/// The resolver; it ends with this value.
pub(crate) struct Upstream {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Upstream {
    /// On a free port of 127.0.0.1, over UDP and TCP.
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let (tcp, udp) = (0..64)
            .find_map(|_| {
                let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
                let udp = UdpSocket::bind(tcp.local_addr().expect("it is bound")).ok()?;
                Some((tcp, udp))
            })
            .expect("a port that is free for both");
        let address = tcp.local_addr().expect("it is bound");
        let upstream = Self {
            address,
            heard: Arc::default(),
            connections: Arc::default(),
            is_over: Arc::default(),
        };
        let (heard, is_over) = (Arc::clone(&upstream.heard), Arc::clone(&upstream.is_over));
        std::thread::spawn(move || serve_udp(&udp, behaviour, &heard, &is_over));
        let (heard, is_over) = (Arc::clone(&upstream.heard), Arc::clone(&upstream.is_over));
        let connections = Arc::clone(&upstream.connections);
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                connections.fetch_add(1, Ordering::SeqCst);
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || serve_tcp(stream, behaviour, &heard));
            }
        });
        upstream
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The queries for `name`, in the order in which they came.
    pub(crate) fn heard(&self, name: &str) -> Vec<Heard> {
        let name = Name::from_str(name).expect("a name");
        let heard = self.heard.lock().expect("no reader panics");
        let of_name = |it: &&Heard| it.query.queries.first().is_some_and(|q| *q.name() == name);
        heard.iter().filter(of_name).cloned().collect()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn serve_udp(
    socket: &UdpSocket,
    behaviour: Behaviour,
    heard: &Mutex<Vec<Heard>>,
    is_over: &AtomicBool,
) {
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a valid timeout");
    let mut buffer = [0; 4096];
    while !is_over.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        for reply in hear(&buffer[..length], false, from, behaviour, heard) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn serve_tcp(mut stream: TcpStream, behaviour: Behaviour, heard: &Mutex<Vec<Heard>>) {
    let Ok(from) = stream.peer_addr() else { return };
    loop {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        for reply in hear(&query, true, from, behaviour, heard) {
            let length = u16::try_from(reply.len()).expect("a short reply");
            let framed = [&length.to_be_bytes()[..], &reply].concat();
            if stream.write_all(&framed).is_err() {
                return;
            }
        }
    }
}

fn hear(
    octets: &[u8],
    tcp: bool,
    from: SocketAddr,
    behaviour: Behaviour,
    heard: &Mutex<Vec<Heard>>,
) -> Vec<Vec<u8>> {
    let query = Message::from_vec(octets).expect("portico's queries decode");
    let it = Heard { query, octets: octets.to_vec(), tcp, from };
    heard.lock().expect("no reader panics").push(it.clone());
    behaviour(&it)
}

impl Heard {
    /// A reply to it, which the scenario completes.
    pub(crate) fn reply(&self) -> Message {
        let id = self.query.metadata.id;
        let mut reply = Message::new(id, MessageType::Response, self.query.metadata.op_code);
        reply.metadata.recursion_desired = self.query.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.add_queries(self.query.queries.clone());
        reply
    }

    /// Its name.
    pub(crate) fn name(&self) -> Name {
        self.query.queries[0].name().clone()
    }

    /// An address, as a query for A deserves.
    pub(crate) fn address(&self, address: [u8; 4]) -> Message {
        let mut reply = self.reply();
        if self.query.queries[0].query_type() == RecordType::A {
            let data = RData::A(A(Ipv4Addr::from(address)));
            reply.add_answer(Record::from_rdata(self.name(), 60, data));
        }
        reply
    }

    /// NXDOMAIN, with an SOA of the root.
    pub(crate) fn nxdomain(&self) -> Message {
        let mut reply = self.reply();
        reply.metadata.response_code = ResponseCode::NXDomain;
        let soa = SOA::new(Name::root(), Name::root(), 1, 2, 3, 4, 60);
        reply.add_authority(Record::from_rdata(Name::root(), 60, RData::SOA(soa)));
        reply
    }
}

/// The octets of a reply, with the letters of the question as they came.
pub(crate) fn octets(heard: &Heard, reply: &Message) -> Vec<u8> {
    let mut octets = reply.to_vec().expect("a reply encodes");
    let end = 12 + heard.name().len();
    octets[12..end].copy_from_slice(&heard.octets[12..end]);
    octets
}
