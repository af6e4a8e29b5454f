//! One question over UDP, for the demo's own check.

use std::net::{SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

/// The data of the records that answer, such as `127.96.3.4`; fails for any other answer.
pub(super) fn lookup(server: SocketAddr, name: &str, kind: &str) -> anyhow::Result<String> {
    let kind = RecordType::from_str(kind).context("a record type")?;
    let mut question = Message::new(ID, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_str(name)?, kind));
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(server)?;
    socket.send(&question.to_vec()?)?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).context("no reply")?;
    let reply = Message::from_vec(buffer.get(..length).unwrap_or_default())?;
    let code = reply.metadata.response_code;
    anyhow::ensure!(code == ResponseCode::NoError, "{code}");
    let data: Vec<String> = reply
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect();
    anyhow::ensure!(!data.is_empty(), "no record of type {kind}");
    Ok(data.join(", "))
}

/// One socket asks one question: nobody else's reply can arrive.
const ID: u16 = 1;
const PATIENCE: Duration = Duration::from_secs(10);
