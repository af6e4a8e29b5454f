//! A question of a script: `? NAME TYPE` and words, to the octets of a message.

use std::net::IpAddr;

use super::{Transport, query, with_opt};

/// What is asked, and how: `NAME TYPE` and words.
pub(super) struct Question {
    name: String,
    kind: u16,
    /// `class=3`.
    class: u16,
    /// `opcode=4`.
    opcode: u8,
    /// `norec`, `ad`, `cd`, `qr`: bits of the second and third octet of the header.
    flags: [u8; 2],
    /// `counts=2,0,0,0`: what the header says instead of the truth.
    counts: Option<Vec<u16>>,
    /// `edns=SIZE`, with `do`, `version=1`, and `option=CODE:HEX` as often as one likes.
    edns: Option<u16>,
    dnssec_ok: bool,
    version: u8,
    options: Vec<u8>,
    /// `udp`, `tls`, `https`; else `tcp`.
    pub(super) transport: Transport,
    /// `from=ADDRESS` and `port=NUMBER`.
    pub(super) client: IpAddr,
    pub(super) port: u16,
    /// `brief`.
    pub(super) is_brief: bool,
    /// `serial=NUMBER`: the SOA that a secondary has (RFC 1995).
    serial: Option<u32>,
}

impl Question {
    pub(super) fn read(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let [name, kind, words @ ..] = words.as_slice() else { panic!("{line}") };
        let mut it = Self {
            name: (*name).to_owned(),
            kind: kind_of(kind),
            class: 1,
            opcode: 0,
            flags: [1, 0],
            counts: None,
            edns: None,
            dnssec_ok: false,
            version: 0,
            options: Vec::new(),
            transport: Transport::Tcp,
            client: IpAddr::from([127, 0, 0, 1]),
            port: 40_000,
            is_brief: false,
            serial: None,
        };
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("udp", _) => it.transport = Transport::Udp,
                ("tls", _) => it.transport = Transport::Tls,
                ("https", _) => it.transport = Transport::Https,
                ("norec", _) => it.flags[0] &= !1,
                ("qr", _) => it.flags[0] |= 0x80,
                ("ad", _) => it.flags[1] |= 0x20,
                ("cd", _) => it.flags[1] |= 0x10,
                ("do", _) => it.dnssec_ok = true,
                ("brief", _) => it.is_brief = true,
                ("class", value) => it.class = value.parse().unwrap(),
                ("opcode", value) => it.opcode = value.parse().unwrap(),
                ("version", value) => it.version = value.parse().unwrap(),
                ("edns", value) => it.edns = Some(value.parse().unwrap()),
                ("from", value) => it.client = value.parse().unwrap(),
                ("port", value) => it.port = value.parse().unwrap(),
                ("serial", value) => it.serial = Some(value.parse().unwrap()),
                ("counts", value) => {
                    it.counts = Some(value.split(',').map(|it| it.parse().unwrap()).collect());
                }
                ("option", value) => {
                    let (code, octets) = value.split_once(':').unwrap();
                    let octets: Vec<u8> = octets
                        .as_bytes()
                        .chunks(2)
                        .map(|it| u8::from_str_radix(str::from_utf8(it).unwrap(), 16).unwrap())
                        .collect();
                    it.options
                        .extend(code.parse::<u16>().unwrap().to_be_bytes());
                    it.options
                        .extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
                    it.options.extend(octets);
                }
                _ => panic!("{word} in {line}"),
            }
        }
        it
    }

    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = query(&self.name, self.kind);
        let end = message.len();
        message[end - 2..].copy_from_slice(&self.class.to_be_bytes());
        message[2] = self.flags[0] | self.opcode << 3;
        message[3] = self.flags[1];
        if let Some(serial) = self.serial {
            message[9] = 1;
            message.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x18\xc0\x0c\xc0\x0c");
            message.extend(serial.to_be_bytes());
            message.extend([0; 16]);
        }
        if let Some(size) = self.edns {
            message = with_opt(message, size, self.version, &self.options);
            message[end + 7] = if self.dnssec_ok { 0x80 } else { 0 };
        }
        for (index, count) in self.counts.iter().flatten().enumerate() {
            message[4 + 2 * index..][..2].copy_from_slice(&count.to_be_bytes());
        }
        message
    }
}

fn kind_of(name: &str) -> u16 {
    let known = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("DS", 43),
        ("OPT", 41),
        ("NSEC", 47),
        ("DNSKEY", 48),
        ("HTTPS", 65),
        ("IXFR", 251),
        ("AXFR", 252),
        ("ANY", 255),
    ];
    let found = known.iter().find(|(known, _)| *known == name);
    found.map_or_else(|| name.strip_prefix("TYPE").unwrap().parse().unwrap(), |(_, kind)| *kind)
}
