//! What is answered to a name and why, as JSON and as text: what `explain` says, over manifests or of
//! the portico that runs.
//!
//! Invariants: the text is made of the JSON alone, so that both say the same; a reply is shown as `dig`
//! shows it.

use std::net::IpAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use portico_dns::{Asking, Explained};
use serde_json::{Value, json};

/// The number of a record type, in capitals as everywhere; `TYPE65` has it itself.
pub(crate) fn kind_of(word: &str) -> Option<u16> {
    let known = KINDS.iter().find(|(name, _)| *name == word);
    known
        .map(|(_, kind)| *kind)
        .or_else(|| word.strip_prefix("TYPE")?.parse().ok())
}

/// The name under which an address has its PTR.
pub(crate) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let digits = format!("{:032x}", v6.to_bits());
            let mut name: String = digits
                .chars()
                .rev()
                .flat_map(|digit| [digit, '.'])
                .collect();
            name.push_str("ip6.arpa");
            name
        }
    }
}

/// What was found out; fails where the reply cannot be read.
pub(crate) fn json(found: &Explained, asking: Asking<'_>) -> Result<Value, String> {
    let dig = found.reply.as_deref().map(dig).transpose()?;
    let upstream = |(address, is_up): &(String, bool)| json!({ "address": address, "up": is_up });
    let of = |part: fn(&Dig) -> Value| dig.as_ref().map_or(Value::Null, part);
    Ok(json!({
        "name": asking.name,
        "type": asking.kind,
        "from": asking.from,
        "zone": found.zone,
        "rule": format!("dns {}", found.rule),
        "why": found.why,
        "object": found.object,
        "upstreams": found.upstreams.iter().map(upstream).collect::<Vec<_>>(),
        "status": of(|dig| json!(dig.status)),
        "flags": of(|dig| json!(dig.flags)),
        "question": of(|dig| json!(dig.question)),
        "answer": of(|dig| json!(dig.answer)),
        "authority": of(|dig| json!(dig.authority)),
        "additional": of(|dig| json!(dig.additional)),
    }))
}

/// An answer of [`json()`] in lines, the reply as `dig` would print it without what it says of itself.
pub(crate) fn text(answer: &Value) -> String {
    let word = |key: &str| answer[key].as_str().unwrap_or("none").to_owned();
    let mut lines = vec![
        format!("zone    {}", word("zone")),
        format!("rule    {}: {}", word("rule"), word("why")),
        format!("object  {}", word("object")),
    ];
    for upstream in answer["upstreams"].as_array().into_iter().flatten() {
        let state = if upstream["up"] == json!(true) { "up" } else { "down" };
        let address = upstream["address"].as_str().unwrap_or_default();
        lines.push(format!("asked   {address}, {state}"));
    }
    if answer["status"].is_string() {
        lines.push(String::new());
        lines.extend(reply(answer));
    }
    lines.join("\n")
}

fn reply(answer: &Value) -> Vec<String> {
    let list = |key: &str| -> Vec<&str> {
        let items = answer[key].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).collect()
    };
    let word = |key: &str| answer[key].as_str().unwrap_or_default();
    let sections = [
        ("ANSWER", list("answer")),
        ("AUTHORITY", list("authority")),
        ("ADDITIONAL", list("additional")),
    ];
    let counts: Vec<_> = sections
        .iter()
        .map(|(title, records)| format!("{title}: {}", records.len()))
        .collect();
    let mut lines = vec![
        format!(";; ->>HEADER<<- opcode: QUERY, status: {}", word("status")),
        format!(";; flags: {}; QUERY: 1, {}", list("flags").join(" "), counts.join(", ")),
        format!("\n;; QUESTION SECTION:\n;{}", word("question")),
    ];
    for (title, records) in sections {
        if !records.is_empty() {
            lines.push(format!("\n;; {title} SECTION:\n{}", records.join("\n")));
        }
    }
    lines
}

/// A reply, in the words of `dig`.
struct Dig {
    status: String,
    flags: Vec<&'static str>,
    question: String,
    answer: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
}

/// Reads a reply.
fn dig(reply: &[u8]) -> Result<Dig, String> {
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

fn line(record: &Record) -> String {
    let (name, ttl, class) = (&record.name, record.ttl, record.dns_class);
    format!("{name} {ttl} {class} {} {}", record.record_type(), record.data)
}

/// By code.
const STATUS: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
pub(crate) const A: u16 = 1;
pub(crate) const PTR: u16 = 12;
const KINDS: [(&str, u16); 22] = [
    ("A", A),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", PTR),
    ("HINFO", 13),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("NAPTR", 35),
    ("DS", 43),
    ("SSHFP", 44),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("TLSA", 52),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("AXFR", 252),
    ("ANY", 255),
    ("CAA", 257),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_in_reverse() {
        for (address, want) in [
            ("10.0.1.101", "101.1.0.10.in-addr.arpa"),
            (
                "2001:db8::1",
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ),
        ] {
            assert_eq!(reverse_name(address.parse().unwrap()), want);
        }
        assert_eq!((kind_of("CAA"), kind_of("TYPE65"), kind_of("x")), (Some(257), Some(65), None));
    }
}
