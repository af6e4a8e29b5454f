//! Packets that a client should not send, and the odd ones that it may (`dns 3.1`, `dns 3.2`).
//!
//! Of each the response code, or silence, and whether the question is repeated. What is sent back is
//! read by hickory-proto, and never sets AD or RA.

use super::*;

/// Name of the case, message, response code (none: silence), whether the question is repeated.
type Case = (&'static str, Vec<u8>, Option<u8>, bool);

#[test]
fn malformed_messages_get_the_right_error_or_silence() {
    let (table, mut count) = (table(), 0);
    for (case, message, rcode, question) in [headers(), names(), records(), kinds()]
        .into_iter()
        .flatten()
    {
        count += 1;
        for transport in [Transport::Udp, Transport::Tcp] {
            let reply = ask(&table, &message, transport);
            assert_eq!(reply.as_ref().map(|r| r[3] & 15), rcode, "dns 3.1: {case}");
            let Some(reply) = reply else { continue };
            assert_eq!((reply[5] == 1, reply[3] & 0xa0), (question, 0), "dns 3.1: {case}");
            assert_eq!(reply[..2], message[..2], "dns 3.1: {case}: the id");
            Message::from_vec(&reply).unwrap_or_else(|error| panic!("{case}: {error}"));
        }
    }
    assert!(count >= 60, "{count}");
}

fn good() -> Vec<u8> {
    query("web.default.svc.cluster.local", A)
}

/// The good message with one octet changed.
fn with(at: usize, octet: u8) -> Vec<u8> {
    let mut message = good();
    message[at] = octet;
    message
}

/// No question, and an OPT with options.
fn bare(options: &[u8]) -> Vec<u8> {
    with_opt(vec![0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1232, 0, options)
}

fn headers() -> Vec<Case> {
    vec![
        ("nothing", vec![], None, false),
        ("one octet", vec![0], None, false),
        ("11 octets", good()[..11].to_vec(), None, false),
        ("a response", with(2, 0x81), None, false),
        ("a response of another opcode", with(2, 0xa1), None, false),
        ("header only", good()[..12].to_vec(), Some(1), false),
        ("IQUERY", with(2, 0x08), Some(4), false),
        ("NOTIFY", with(2, 0x20), Some(4), false),
        ("opcode 15", with(2, 0x78), Some(4), false),
        ("QDCOUNT 0", with(5, 0), Some(1), false),
        ("QDCOUNT 0 with a cookie", bare(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]), Some(0), false),
        ("QDCOUNT 0 with another option", bare(&[0, 3, 0, 0]), Some(1), false),
        ("QDCOUNT 0 with a short cookie", bare(&[0, 10, 0, 1, 1]), Some(1), false),
        ("QDCOUNT 2", with(5, 2), Some(1), false),
        ("QDCOUNT 65281", with(4, 255), Some(1), false),
        ("ANCOUNT 1", with(7, 1), Some(1), true),
        ("NSCOUNT 1", with(9, 1), Some(1), true),
        ("ARCOUNT 65280 without records", with(10, 255), Some(1), true),
        ("AD and CD", with(3, 0x30), Some(0), true),
        ("STATUS", with(2, 0x10), Some(4), false),
        ("opcode 3", with(2, 0x18), Some(4), false),
        ("UPDATE", with(2, 0x28), Some(4), false),
        ("DSO", with(2, 0x30), Some(4), false),
        ("QDCOUNT 65535", [&good()[..4], &[255, 255], &good()[6..]].concat(), Some(1), false),
        ("every count 65535", [&good()[..4], &[255; 8], &good()[12..]].concat(), Some(1), false),
        ("ANCOUNT 65535", [&good()[..6], &[255, 255], &good()[8..]].concat(), Some(1), true),
        ("TC, as some resolvers leave it", with(2, 0x03), Some(0), true),
        ("AA in a question", with(2, 0x05), Some(0), true),
        ("RA in a question", with(3, 0x80), Some(0), true),
        ("the reserved bit", with(3, 0x40), Some(0), true),
        ("a response code in a question", with(3, 0x0f), Some(0), true),
        ("without RD", with(2, 0), Some(0), true),
    ]
}

fn names() -> Vec<Case> {
    let named = |name: &[u8]| [&good()[..12], name, &[0, 1, 0, 1]].concat();
    let end = good().len();
    let long: Vec<u8> = [[63_u8; 64]; 4].concat().into_iter().chain([0]).collect();
    // 3 × 64 and a label that fills up to the length that is asked for, the final zero among them.
    let filled = |length: usize| {
        let last = length - 3 * 64 - 2;
        let label = vec![b'a'; last];
        [&[63_u8; 64].repeat(3)[..], &[u8::try_from(last).unwrap()], &label, &[0]].concat()
    };
    let ours = "\x05local\0".as_bytes();
    vec![
        ("pointer to itself", named(&[0xc0, 12]), Some(1), false),
        ("pointer forward", named(&[0xc0, 200]), Some(1), false),
        ("pointer after a label", named(&[1, b'a', 0xc0, 12]), Some(1), false),
        ("label type 01", named(&[0x41, 0, 0]), Some(1), false),
        ("label type 10", named(&[0x81, 0, 0]), Some(1), false),
        ("257 octets", named(&long), Some(1), false),
        ("label past the end", [&good()[..12], &[63, b'a']].concat(), Some(1), false),
        ("name without its end", [&good()[..12], &[1, b'a']].concat(), Some(1), false),
        ("no type", good()[..end - 4].to_vec(), Some(1), false),
        ("half a class", good()[..end - 1].to_vec(), Some(1), false),
        ("255 octets, the longest", named(&filled(255)), Some(5), true),
        ("256 octets", named(&filled(256)), Some(1), false),
        ("the root", named(&[0]), Some(5), true),
        ("pointer cut off", [&good()[..12], &[0xc0]].concat(), Some(1), false),
        ("pointer into the header", named(&[1, b'a', 0xc0, 0]), Some(1), false),
        ("two pointers that lead to each other", named(&[0xc0, 14, 0xc0, 12]), Some(1), false),
        ("a zero octet in a label", named(&[&[3, b'a', 0, b'b'], ours].concat()), Some(5), true),
        ("high octets in a label", named(&[&[2, 0xff, 0xc0], ours].concat()), Some(5), true),
        ("a dot in a label", named(&[&[3, b'a', b'.', b'b'], ours].concat()), Some(5), true),
        ("nothing behind the header but zeros", [&good()[..12], &[0; 3]].concat(), Some(1), false),
    ]
}

fn records() -> Vec<Case> {
    let opt = |options: &[u8]| with_opt(good(), 1232, 0, options);
    let tail = |bytes: &[u8], count: u8| {
        let mut message = [&good(), bytes].concat();
        message[11] = count;
        message
    };
    let placed = |section: usize, kind: u8, record: &[u8]| {
        let mut message = [&good(), record].concat();
        let end = good().len();
        message[section] = 1;
        message[end - 3] = kind;
        message
    };
    let address: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1];
    let tsig: &[u8] = &[0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0];
    vec![
        ("two OPTs", with_opt(opt(&[]), 1232, 0, &[]), Some(1), true),
        ("OPT below a name", tail(&[1, b'a', 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0], 1), Some(1), true),
        ("option past RDLEN", opt(&[0, 10, 0, 9, 1]), Some(1), true),
        ("half an option", opt(&[0, 10, 0]), Some(1), true),
        ("RDLEN past the end", tail(&[0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 9], 1), Some(1), true),
        ("cut OPT", tail(&[0, 0, 41, 4], 1), Some(1), true),
        ("record with label type 01", tail(&[0x41, 0], 1), Some(1), true),
        ("unknown option", opt(&[255, 1, 0, 1, 7]), Some(0), true),
        ("trailing octets", [good(), vec![1, 2, 3]].concat(), Some(0), true),
        ("an answer in a question", placed(7, 1, address), Some(1), true),
        ("an authority in a question", placed(9, 1, address), Some(1), true),
        ("an authority with IXFR", placed(9, 251, address), Some(5), true),
        ("an additional record that is none of ours", tail(address, 1), Some(0), true),
        ("a signature that nobody checks", tail(tsig, 1), Some(0), true),
        ("more records counted than there are", tail(address, 2), Some(1), true),
        ("an owner that is a cut pointer", tail(&[0xc0], 1), Some(1), true),
        ("an owner of label type 10", tail(&[0x81, 0], 1), Some(1), true),
        ("RDLEN 65535", tail(&[0, 0, 41, 4, 0, 0, 0, 0, 0, 255, 255], 1), Some(1), true),
        ("a size of 0", with_opt(good(), 0, 0, &[]), Some(0), true),
        ("a size of 65535", with_opt(good(), 65_535, 0, &[]), Some(0), true),
        ("an empty option", opt(&[255, 1, 0, 0]), Some(0), true),
        ("many options", opt(&[255, 1, 0, 0].repeat(100)), Some(0), true),
        ("an option after one that is cut", opt(&[255, 1, 0, 1, 7, 0]), Some(1), true),
    ]
}

fn kinds() -> Vec<Case> {
    let end = good().len();
    let of_kind = |kind: u16| query("web.default.svc.cluster.local", kind);
    vec![
        ("class CH", with(end - 1, 3), Some(5), true),
        ("class ANY", with(end - 1, 255), Some(5), true),
        ("QTYPE OPT", with(end - 3, 41), Some(1), true),
        ("QTYPE TSIG", with(end - 3, 250), Some(1), true),
        ("QTYPE TKEY", with(end - 3, 249), Some(1), true),
        ("MAILA", with(end - 3, 254), Some(4), true),
        ("AXFR", with(end - 3, 252), Some(5), true),
        ("IXFR", with(end - 3, 251), Some(5), true),
        ("class 0", with(end - 1, 0), Some(5), true),
        ("class HS", with(end - 1, 4), Some(5), true),
        ("class NONE", with(end - 1, 254), Some(5), true),
        ("type 0", of_kind(0), Some(1), true),
        ("MAILB", of_kind(253), Some(4), true),
        ("the first meta type", of_kind(128), Some(1), true),
        ("RRSIG", of_kind(46), Some(0), true),
        ("NULL", of_kind(10), Some(0), true),
        ("a type of 65535", of_kind(65_535), Some(0), true),
    ]
}
