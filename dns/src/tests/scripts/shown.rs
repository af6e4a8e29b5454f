//! A reply in the words of a script.

use std::fmt::Write as _;

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::EdnsOption;

/// A reply in words.
pub(super) fn said(reply: &[u8], is_brief: bool) -> String {
    let message = Message::from_vec(reply).unwrap();
    let edns = message.edns.as_ref();
    let high = edns.map_or(0, hickory_proto::op::Edns::rcode_high);
    let mut out = rcode(u16::from(high) << 4 | u16::from(reply[3] & 15)).to_owned();
    for (octet, bit, name) in [
        (2, 4, "aa"),
        (2, 2, "tc"),
        (2, 1, "rd"),
        (3, 0x80, "ra"),
        (3, 0x20, "ad"),
        (3, 0x10, "cd"),
    ] {
        if reply[octet] & bit != 0 {
            write!(out, " {name}").unwrap();
        }
    }
    if message.queries.is_empty() {
        out.push_str(", no question");
    }
    out.push('\n');
    if let Some(edns) = edns {
        write!(out, "edns: {}", edns.max_payload()).unwrap();
        if edns.flags().dnssec_ok {
            out.push_str(" do");
        }
        if edns.version() != 0 {
            write!(out, " version={}", edns.version()).unwrap();
        }
        for (_, option) in edns.options().as_ref() {
            out.push_str(&told(option, reply.len()));
        }
        out.push('\n');
    }
    let sections = [
        ("", &message.answers),
        ("authority: ", &message.authorities),
        ("additional: ", &message.additionals),
    ];
    if is_brief {
        let counts = sections.map(|(_, records)| records.len().to_string());
        writeln!(out, "{} records, {} octets", counts.join("+"), reply.len()).unwrap();
        return out;
    }
    for (section, records) in sections {
        records
            .iter()
            .for_each(|record| writeln!(out, "{section}{}", shown(record)).unwrap());
    }
    out
}

/// An option of a reply that is this long.
fn told(option: &EdnsOption, reply: usize) -> String {
    let octets = Vec::<u8>::try_from(option).unwrap();
    match (u16::from(hickory_proto::rr::rdata::opt::EdnsCode::from(option)), &octets[..]) {
        (15, [high, low]) => format!(" ede={}", u16::from_be_bytes([*high, *low])),
        (3, name) => format!(" nsid={}", String::from_utf8_lossy(name)),
        (11, [high, low]) => format!(" keepalive={}", u16::from_be_bytes([*high, *low])),
        (12, _) => format!(" padded={reply}"),
        (10, cookie) => format!(" cookie={}", cookie.len()),
        (code, octets) => panic!("option {code}: {octets:?}"),
    }
}

pub(super) fn shown(record: &Record) -> String {
    let (name, ttl, class) = (&record.name, record.ttl, record.dns_class);
    format!("{name} {ttl} {class} {} {}", record.record_type(), record.data)
}

fn rcode(code: u16) -> &'static str {
    match code {
        16 => "BADVERS",
        code => {
            let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
            names[usize::from(code)]
        }
    }
}
