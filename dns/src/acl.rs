//! Who may ask (`dns 3.1`): client networks, looked at before a question counts for anything; and whose
//! questions others are asked (`dns 4.1`).
//!
//! Invariants: no I/O, no allocation per question; an IPv4 client is the same whether its socket
//! shows it as IPv4 or mapped into IPv6.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::answer::{Heard, Outcome, PROHIBITED, Transport, is_reflector};
use crate::question::{REFUSED, Read, read};
use crate::reply::Reply;
use crate::zones::Zone;

/// What clients may.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Access {
    asking: Acl,
    /// Whether who may not ask hears nothing.
    is_silent: bool,
    /// Whose questions are forwarded; none: those of all who may ask.
    forwarding: Option<Acl>,
}

/// The networks whose clients are answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Acl {
    /// Network and mask.
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Access {
    /// Clients of `asking` may ask, all others are refused, or dropped; for those in `forwarding` too,
    /// others may be asked.
    pub(crate) fn new((asking, is_silent): (&[IpNet], bool), forwarding: &[IpNet]) -> Self {
        let (asking, forwarding) = (Acl::new(asking), Acl::new(forwarding));
        let forwarding = (forwarding != asking).then_some(forwarding);
        Self { asking, is_silent, forwarding }
    }

    /// Whether `client` may ask.
    pub(crate) fn allows(&self, client: IpAddr) -> bool {
        self.asking.allows(client)
    }

    /// What is said to a client that may not ask.
    pub(crate) fn deny(
        &self,
        message: &[u8],
        (peer, transport): (SocketAddr, Transport),
        own_size: u16,
        out: &mut Vec<u8>,
    ) -> Outcome {
        if self.is_silent {
            out.clear();
            return Outcome::Ignored(Zone::SILENCED);
        }
        refuse(message, (peer, transport), own_size, out)
    }

    /// Whether others may be asked for `client`, who may ask.
    pub(crate) fn forwards(&self, client: IpAddr) -> bool {
        let forwarding = self.forwarding.as_ref();
        forwarding.is_none_or(|networks| networks.allows(client))
    }
}

impl Acl {
    /// Lets the clients of `networks` in, in whatever order.
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(it) => v4.push((it.network().to_bits(), it.netmask().to_bits())),
                IpNet::V6(it) => match it.network().to_ipv4_mapped() {
                    Some(mapped) if it.prefix_len() >= MAPPED => {
                        let mask = u32::MAX.checked_shl(u32::from(128 - it.prefix_len()));
                        v4.push((mapped.to_bits(), mask.unwrap_or(0)));
                    }
                    _ => v6.push((it.network().to_bits(), it.netmask().to_bits())),
                },
            }
        }
        Self { v4: v4.into(), v6: v6.into() }
    }

    /// Whether `client` may ask.
    pub(crate) fn allows(&self, client: IpAddr) -> bool {
        match client {
            IpAddr::V4(client) => self.allows_v4(client.to_bits()),
            IpAddr::V6(client) => match client.to_ipv4_mapped() {
                Some(mapped) => self.allows_v4(mapped.to_bits()),
                None => self.allows_v6(client),
            },
        }
    }

    fn allows_v4(&self, client: u32) -> bool {
        self.v4
            .iter()
            .any(|(network, mask)| client & mask == *network)
    }

    fn allows_v6(&self, client: Ipv6Addr) -> bool {
        let client = client.to_bits();
        self.v6
            .iter()
            .any(|(network, mask)| client & mask == *network)
    }
}

/// Tells a client that it may not ask; the question is read only to be repeated.
pub(crate) fn refuse(
    message: &[u8],
    (peer, transport): (SocketAddr, Transport),
    own_size: u16,
    out: &mut Vec<u8>,
) -> Outcome {
    out.clear();
    if is_reflector(peer, transport) {
        return Outcome::Ignored(Zone::DROPPED);
    }
    let (question, edns, kind) = match read(message, own_size) {
        Read::Ignore => return Outcome::Ignored(Zone::DROPPED),
        Read::Fault { question, edns, .. } => (question, edns, 0),
        Read::Query(query) => (query.question, query.edns, query.kind),
    };
    let mut reply = Reply::begin(message, question, edns, out);
    reply.rcode = REFUSED;
    reply.error = Some(PROHIBITED);
    let heard = Heard::dropped(kind, edns).within(Zone::ACL);
    Outcome::Reply { rcode: reply.finish(), heard }
}

/// Length of `::ffff:0:0/96`.
const MAPPED: u8 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(networks: &[&str]) -> Acl {
        let networks: Vec<IpNet> = networks.iter().map(|it| it.parse().unwrap()).collect();
        Acl::new(&networks)
    }

    #[test]
    fn clients_are_let_in_by_network() {
        let some = ["127.0.0.0/8", "10.1.0.0/16", "fd00::/8", "::1/128", "192.0.2.7/32"];
        for (networks, client, want) in [
            (&some[..], "127.0.0.1", true),
            (&some, "127.255.255.255", true),
            (&some, "128.0.0.1", false),
            (&some, "10.1.255.1", true),
            (&some, "10.2.0.1", false),
            (&some, "192.0.2.7", true),
            (&some, "192.0.2.8", false),
            (&some, "::1", true),
            (&some, "::2", false),
            (&some, "fdff::1", true),
            (&some, "fe80::1", false),
            (&some, "::ffff:10.1.0.9", true),
            (&some, "::ffff:10.2.0.9", false),
            (&["::ffff:10.0.0.0/104"], "10.9.9.9", true),
            (&["::ffff:10.0.0.0/104"], "11.9.9.9", false),
            (&["::ffff:0:0/96"], "8.8.8.8", true),
            (&["0.0.0.0/0"], "8.8.8.8", true),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&["::/0"], "2001:db8::1", true),
            (&["10.1.2.3/8"], "10.200.0.1", true),
            (&[], "127.0.0.1", false),
        ] {
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(acl(networks).allows(client), want, "{client} in {networks:?}");
        }
    }

    #[test]
    fn a_refusal_repeats_the_question_and_says_why() {
        let question = b"\x01a\0\0\x01\0\x01";
        let plain = [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], question].concat();
        let edns = [
            &[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1][..],
            question,
            &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let response = [&[7, 7, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], question].concat();
        let peer = SocketAddr::from(([192, 0, 2, 1], 4000));
        let mut out = Vec::new();
        assert_eq!(
            refuse(&plain, (peer, Transport::Udp), 1232, &mut out),
            Outcome::Reply { rcode: REFUSED, heard: Heard::dropped(1, None).within(Zone::ACL) }
        );
        assert_eq!((out[2] & 0x81, out[3] & 15), (0x81, REFUSED));
        assert!(out.ends_with(question), "dns 3.1");
        refuse(&edns, (peer, Transport::Tcp), 1232, &mut out);
        assert!(out.ends_with(&[0, 6, 0, 15, 0, 2, 0, 18]), "dns 3.1: EDE 18");
        let silent = Access::new((&[], true), &[]);
        assert_eq!(
            silent.deny(&plain, (peer, Transport::Udp), 1232, &mut out),
            Outcome::Ignored(Zone::SILENCED),
            "dns 3.1: --dns-drop-denied"
        );
        for (case, message, port) in [
            ("a response", &response, 4000),
            ("too short", &vec![0; 11], 4000),
            ("a loop", &plain, 7),
        ] {
            let peer = SocketAddr::new(peer.ip(), port);
            let outcome = refuse(message, (peer, Transport::Udp), 1232, &mut out);
            assert_eq!((outcome, out.len()), (Outcome::Ignored(Zone::DROPPED), 0), "{case}");
        }
    }
}
