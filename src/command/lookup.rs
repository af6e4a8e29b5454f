//! DNS as `dig` has it: one question over UDP, for the demo's own check, and a reply as text.

use std::net::{SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};

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

/// A reply, in the words of `dig`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Dig {
    pub(super) status: String,
    pub(super) flags: Vec<&'static str>,
    question: String,
    pub(super) answer: Vec<String>,
    pub(super) authority: Vec<String>,
    pub(super) additional: Vec<String>,
}

/// Reads a reply.
pub(super) fn dig(reply: &[u8]) -> Result<Dig, String> {
    let message = Message::from_vec(reply).map_err(|error| error.to_string())?;
    let octet = |at: usize| reply.get(at).copied().unwrap_or(0);
    let known = [(2, 0x80, "qr"), (2, 4, "aa"), (2, 2, "tc"), (2, 1, "rd"), (3, 0x80, "ra")];
    let set = known.iter().filter(|(at, bit, _)| octet(*at) & bit != 0);
    let records = |records: &[Record]| records.iter().map(line).collect();
    let asked = message.queries.first();
    Ok(Dig {
        status: STATUS
            .get(usize::from(octet(3) & 15))
            .map_or("other", |it| it)
            .to_owned(),
        flags: set.map(|(.., name)| *name).collect(),
        question: asked.map_or_else(String::new, |query| {
            format!("{} {} {}", query.name(), query.query_class(), query.query_type())
        }),
        answer: records(&message.answers),
        authority: records(&message.authorities),
        additional: records(&message.additionals),
    })
}

impl Dig {
    /// The text that `dig` would print, without what it says of itself.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![
            format!(";; ->>HEADER<<- opcode: QUERY, status: {}", self.status),
            format!(
                ";; flags: {}; QUERY: 1, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}",
                self.flags.join(" "),
                self.answer.len(),
                self.authority.len(),
                self.additional.len()
            ),
            format!("\n;; QUESTION SECTION:\n;{}", self.question),
        ];
        for (title, records) in [
            ("ANSWER", &self.answer),
            ("AUTHORITY", &self.authority),
            ("ADDITIONAL", &self.additional),
        ] {
            if !records.is_empty() {
                lines.push(format!("\n;; {title} SECTION:\n{}", records.join("\n")));
            }
        }
        lines.join("\n")
    }
}

fn line(record: &Record) -> String {
    let (name, ttl, class) = (&record.name, record.ttl, record.dns_class);
    format!("{name} {ttl} {class} {} {}", record.record_type(), record.data)
}

/// By code.
const STATUS: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
/// One socket asks one question: nobody else's reply can arrive.
const ID: u16 = 1;
const PATIENCE: Duration = Duration::from_secs(10);
