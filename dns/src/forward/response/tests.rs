//! Replies of upstreams, built by hickory-proto and told to clients that it decodes again.

use std::str::FromStr;

use hickory_proto::op::{Edns as ProtoEdns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A as AData, CNAME as CnameData, SOA as SoaData, TXT};
use hickory_proto::rr::{Name, RData, Record as ProtoRecord, RecordType};

use super::*;
use crate::wire::wire;

fn ask(name: &str, kind: u16) -> Ask {
    Ask { name: wire(name).unwrap().into(), kind, flags: 0x0100, dnssec_ok: false, route: 0 }
}

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn a(owner: &str, ttl: u32, last: u8) -> ProtoRecord {
    ProtoRecord::from_rdata(name(owner), ttl, RData::A(AData::new(192, 0, 2, last)))
}

fn cname(owner: &str, ttl: u32, target: &str) -> ProtoRecord {
    ProtoRecord::from_rdata(name(owner), ttl, RData::CNAME(CnameData(name(target))))
}

fn soa(owner: &str, ttl: u32, minimum: u32) -> ProtoRecord {
    let data = SoaData::new(name("ns.example."), name("mail.example."), 1, 2, 3, 4, minimum);
    ProtoRecord::from_rdata(name(owner), ttl, RData::SOA(data))
}

fn reply(question: &str, kind: RecordType) -> Message {
    let mut message = Message::new(1, MessageType::Response, OpCode::Query);
    message.add_query(Query::query(name(question), kind));
    message
}

fn with_opt(message: &mut Message) {
    let mut edns = ProtoEdns::new();
    edns.set_max_payload(4096);
    message.set_edns(edns);
}

fn told(response: &Response, edns: Option<Edns>, limit: usize, age: Age) -> (Vec<u8>, Message) {
    let mut question = b"\x03WwW\x07exaMPLE\0".to_vec();
    question.extend([0, 1, 0, 1]);
    let client = Client { id: 0x0808, flags: 0x0110, question: &question, kind: 1, edns, limit };
    let mut out = Vec::new();
    response.write(&client, age, &mut out);
    assert!(out.len() <= limit, "{} octets, {limit} allowed", out.len());
    let message = Message::from_vec(&out).unwrap();
    (out, message)
}

const OURS: Edns =
    Edns { size: 1232, own_size: 1232, version: 0, dnssec_ok: true, has_options: false };

#[test]
fn records_and_flags_pass_as_they_came() {
    let mut upstream = reply("www.example.", RecordType::A);
    upstream.metadata.authoritative = true;
    upstream.metadata.authentic_data = true;
    upstream.add_answer(cname("www.example.", 60, "web.example."));
    upstream.add_answer(a("web.example.", 30, 1));
    with_opt(&mut upstream);
    let response = Response::read(&ask("www.example", 1), &upstream.to_vec().unwrap()).unwrap();

    let (octets, message) = told(&response, Some(OURS), 1232, Age::New);
    assert_eq!(&octets[..2], &[8, 8]);
    assert_eq!(&octets[12..16], b"\x03WwW", "the letters are the client's");
    assert!(message.metadata.authoritative && message.metadata.authentic_data);
    assert!(message.metadata.recursion_available && message.metadata.checking_disabled);
    let answers: Vec<_> = message
        .answers
        .iter()
        .map(|it| (it.name.to_string(), it.ttl))
        .collect();
    assert_eq!(answers[0].1, 60);
    // A pointer into the question takes its letters along.
    assert_eq!(answers[1], ("web.exaMPLE.".to_owned(), 30));
    let edns = message.edns.unwrap();
    assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, true), "dns 3.2: our own");

    let (_, message) = told(&response, None, 512, Age::Kept(20));
    assert!(message.edns.is_none(), "none where the client has none");
    assert!(!message.metadata.authoritative, "what was kept is nobody's word of honour");
    assert_eq!(message.answers.iter().map(|it| it.ttl).collect::<Vec<_>>(), [40, 10]);
    let (_, message) = told(&response, Some(OURS), 512, Age::Stale);
    assert!(message.answers.iter().all(|it| it.ttl == 30), "RFC 8767");
    let (octets, _) = told(&response, Some(OURS), 512, Age::Stale);
    assert!(octets.ends_with(&[0, 15, 0, 2, 0, 3]), "EDE 3");
}

#[test]
fn what_is_too_long_is_cut_between_records() {
    let mut upstream = reply("www.example.", RecordType::A);
    for last in 0..60 {
        upstream.add_answer(a("www.example.", 30, last));
    }
    upstream.add_authority(soa("example.", 30, 30));
    upstream.add_additional(a("ns.example.", 30, 1));
    let octets = upstream.to_vec().unwrap();
    let response = Response::read(&ask("www.example", 1), &octets).unwrap();
    let (_, message) = told(&response, Some(OURS), 1232, Age::New);
    assert!(!message.metadata.truncation);
    assert_eq!((message.answers.len(), message.additionals.len()), (60, 1));
    let (_, message) = told(&response, Some(OURS), octets.len(), Age::New);
    assert!(!message.metadata.truncation, "RFC 2181: the additional section is not missed");
    assert_eq!((message.answers.len(), message.additionals.len()), (60, 0));
    let (_, message) = told(&response, Some(OURS), 512, Age::New);
    assert!(message.metadata.truncation);
    assert_eq!((message.answers.len(), message.authorities.len()), (29, 0), "dns 3.3");
    let (_, message) = told(&response, None, 512, Age::New);
    assert_eq!(message.answers.len(), 30, "an OPT takes room");
}

#[test]
fn how_long_a_response_lives_is_its_own_word() {
    type Build = fn(&mut Message);
    let success = |seconds| Some(Life { time: Duration::from_secs(seconds), is_denial: false });
    let denial = |seconds| Some(Life { time: Duration::from_secs(seconds), is_denial: true });
    let cases: [(&str, Build, Option<Life>); 14] = [
        (
            "the shortest TTL",
            |it| {
                it.add_answer(cname("www.example.", 60, "web.example."));
                it.add_answer(a("web.example.", 30, 1));
            },
            success(30),
        ),
        ("an hour at most", |it| _ = it.add_answer(a("www.example.", 86_400, 1)), success(3600)),
        ("TTL 0", |it| _ = it.add_answer(a("www.example.", 0, 1)), None),
        ("a TTL below 0", |it| _ = it.add_answer(a("www.example.", 1 << 31, 1)), None),
        ("NODATA", |it| _ = it.add_authority(soa("example.", 60, 20)), denial(20)),
        ("the TTL of the SOA", |it| _ = it.add_authority(soa("example.", 10, 20)), denial(10)),
        ("half an hour", |it| _ = it.add_authority(soa("example.", 9999, 9999)), denial(1800)),
        ("NODATA without SOA", |_| {}, None),
        ("an SOA of elsewhere", |it| _ = it.add_authority(soa("other.", 60, 20)), None),
        (
            "NODATA behind an alias",
            |it| {
                it.add_answer(cname("www.example.", 15, "web.other."));
                it.add_authority(soa("other.", 60, 20));
            },
            denial(15),
        ),
        (
            "NXDOMAIN",
            |it| {
                it.metadata.response_code = ResponseCode::NXDomain;
                it.add_authority(soa("example.", 60, 20));
            },
            denial(20),
        ),
        ("SERVFAIL", |it| it.metadata.response_code = ResponseCode::ServFail, denial(5)),
        ("REFUSED", |it| it.metadata.response_code = ResponseCode::Refused, None),
        (
            "truncated",
            |it| {
                it.metadata.truncation = true;
                it.add_answer(a("www.example.", 60, 1));
            },
            None,
        ),
    ];
    for (case, build, want) in cases {
        let mut upstream = reply("www.example.", RecordType::A);
        build(&mut upstream);
        let octets = upstream.to_vec().unwrap();
        let response = Response::read(&ask("www.example", 1), &octets).unwrap();
        assert_eq!(response.lifetime(), want, "{case}");
    }
}

#[test]
fn what_stands_behind_an_opt_is_left_out() {
    let mut upstream = reply("www.example.", RecordType::A);
    upstream.add_answer(a("www.example.", 30, 1));
    with_opt(&mut upstream);
    let mut octets = upstream.to_vec().unwrap();
    let before = octets.len();
    octets[11] = 2;
    octets.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04");
    let response = Response::read(&ask("www.example", 1), &octets).unwrap();
    let (told, message) = told(&response, Some(OURS), 1232, Age::New);
    assert_eq!((told.len(), message.additionals.len()), (before, 0));
}

#[test]
fn malformed_replies_are_none_and_never_a_panic() {
    let mut upstream = reply("www.example.", RecordType::A);
    upstream.add_answer(cname("www.example.", 60, "web.example."));
    upstream.add_authority(soa("example.", 60, 20));
    with_opt(&mut upstream);
    let octets = upstream.to_vec().unwrap();
    let ask = ask("www.example", 1);
    for length in 0..octets.len() {
        assert!(Response::read(&ask, &octets[..length]).is_none(), "{length} octets");
    }
    for place in 12..octets.len() {
        for octet in [0, 0x3f, 0x40, 0xc0, 0xff] {
            let mut changed = octets.clone();
            changed[place] = octet;
            if let Some(response) = Response::read(&ask, &changed) {
                let mut out = Vec::new();
                let question = &octets[12..29];
                let client =
                    Client { id: 1, flags: 0, question, kind: 1, edns: Some(OURS), limit: 512 };
                response.write(&client, Age::Kept(7), &mut out);
                response.written_out(&ask, Age::New);
            }
        }
    }
}

#[test]
fn a_failure_says_why() {
    let response = Response::failure(22);
    let (octets, message) = told(&response, Some(OURS), 1232, Age::New);
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
    assert!(octets.ends_with(&[0, 15, 0, 2, 0, 22]));
    assert!(response.is_failure() && response.lifetime().is_some(), "RFC 9520");
    let (_, message) = told(&Response::bare(5), None, 512, Age::New);
    assert_eq!(message.metadata.response_code, ResponseCode::Refused);
    assert_eq!(Response::bare(5).lifetime(), None);
}

#[test]
fn records_are_written_out_for_another_question() {
    let mut upstream = reply("www.example.", RecordType::A);
    upstream.add_answer(cname("www.example.", 60, "web.example."));
    upstream.add_answer(a("web.example.", 30, 1));
    let text = RData::TXT(TXT::new(vec!["no".to_owned()]));
    upstream.add_answer(ProtoRecord::from_rdata(name("web.example."), 30, text));
    upstream.add_authority(soa("example.", 60, 20));
    let ask = ask("www.example", 1);
    let response = Response::read(&ask, &upstream.to_vec().unwrap()).unwrap();
    let records = response.written_out(&ask, Age::Kept(10));
    assert_eq!(
        records
            .iter()
            .map(|(section, _)| *section)
            .collect::<Vec<_>>(),
        [0, 0, 1]
    );
    let first = b"\x03www\x07example\0\0\x05\0\x01\0\0\0\x32\0\x0d\x03web\x07example\0";
    assert_eq!(records[0].1, first);
}
