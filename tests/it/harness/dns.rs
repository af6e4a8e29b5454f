//! A DNS client on hickory's codec: a second opinion on every byte that portico sends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use super::PATIENCE;

/// What came back, as text: easy to compare, easy to read when it differs.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Reply {
    /// The response code.
    pub(crate) code: ResponseCode,
    /// `TYPE data` of each answer record, sorted.
    pub(crate) answers: Vec<String>,
}

impl Reply {
    /// A good answer with these records.
    pub(crate) fn of(answers: &[&str]) -> Self {
        let mut answers: Vec<_> = answers.iter().map(|&answer| answer.to_owned()).collect();
        answers.sort();
        Self { code: ResponseCode::NoError, answers }
    }

    /// The name does not exist.
    pub(crate) fn nxdomain() -> Self {
        Self { code: ResponseCode::NXDomain, answers: Vec::new() }
    }
}

/// Asks over UDP.
pub(crate) fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Reply {
    try_ask(server, name, kind).expect("a reply")
}

/// Asks over UDP once; an error is a lost or refused query.
pub(crate) fn try_ask(server: SocketAddr, name: &str, kind: RecordType) -> std::io::Result<Reply> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(server)?;
    socket.send(&query(name, kind))?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer)?;
    Ok(read(&buffer[..length]))
}

/// Asks over TCP.
pub(crate) fn ask_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Reply {
    let mut stream = TcpStream::connect(server).expect("the resolver listens on TCP");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a valid timeout");
    let query = query(name, kind);
    let length = u16::try_from(query.len())
        .expect("a short query")
        .to_be_bytes();
    stream
        .write_all(&[&length[..], &query].concat())
        .expect("the query is sent");
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("a reply");
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).expect("a whole reply");
    read(&message)
}

/// A query in wire form.
pub(crate) fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_str(name).expect("a name"), kind));
    message.to_vec().expect("a query encodes")
}

/// A reply in wire form, taken apart.
pub(crate) fn read(bytes: &[u8]) -> Reply {
    let message = Message::from_vec(bytes).expect("a well-formed reply");
    let mut answers: Vec<_> = message
        .answers
        .iter()
        .map(|record| format!("{} {}", record.record_type(), record.data))
        .collect();
    answers.sort();
    Reply { code: message.metadata.response_code, answers }
}
