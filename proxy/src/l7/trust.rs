//! What a trusted proxy says of a request's way to it (`ingress 1.9`, `http-proxy 3.2`).
//!
//! Asked only where the peer itself is trusted, which the view says: whatever anybody else claims is
//! replaced, and influences nothing. What is read off the fields then is pure. The chain of `X-Forwarded-For` is read from its end, where our neighbours
//! wrote; the first address that is not trusted is the client, and what stands before it is hearsay.

use std::net::{IpAddr, SocketAddr};

use super::Worker;
use super::fields::{Fields, Name};
use super::forward::Peer;
use super::order::Incoming;
use super::request::match_name;

/// What is believed of one request.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Told<'a> {
    /// The client.
    pub(crate) client: IpAddr,
    /// Whether the client spoke TLS.
    pub(crate) tls: bool,
    /// The authority that the client asked for.
    pub(crate) authority: Option<&'a str>,
    /// The port that it came to.
    pub(crate) port: Option<&'a str>,
    /// The lines for the backend that say so.
    pub(crate) lines: Vec<u8>,
    /// The elements of `X-Forwarded-For`, in their order.
    pub(crate) chain: Vec<&'a [u8]>,
}

/// For whom a request is: its peer, or whom a trusted proxy names.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) client: IpAddr,
    /// Whether the client spoke TLS.
    pub(super) tls: bool,
    /// What it asked the proxy for.
    pub(super) authority: Option<&'a str>,
}

impl<'a> Seen<'a> {
    /// By what the trusted proxy says, where there is one.
    pub(super) fn new(from: &Peer, told: Option<&Told<'a>>) -> Self {
        match told {
            Some(told) => Self { client: told.client, tls: told.tls, authority: told.authority },
            None => Self { client: from.client, tls: from.tls, authority: None },
        }
    }
}

impl Worker {
    /// What a trusted proxy says of a request; none: nobody who is trusted says anything.
    pub(super) fn told<'a>(&self, incoming: &Incoming<'a>) -> Option<Told<'a>> {
        let Incoming { asked, from, .. } = incoming;
        (from.is_trusted && self.trusts(from.client))
            .then(|| told(asked.fields, from, |ip| self.trusts(ip)))
    }
}

/// What the fields say; `trusts`: whether an address is that of a trusted proxy.
fn told<'a>(fields: Fields<'a>, from: &Peer, trusts: impl Fn(IpAddr) -> bool) -> Told<'a> {
    let chain: Vec<&[u8]> = fields
        .elements(Name::XForwardedFor)
        .filter(|element| !element.is_empty())
        .collect();
    let client = client(from.client, &chain, trusts);
    let tls = match said(fields, "x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
        _ => from.tls,
    };
    let authority = said(fields, "x-forwarded-host").filter(|text| match_name(text).is_some());
    let is_port = |text: &&str| text.parse::<u16>().is_ok_and(|port| port != 0);
    let port = said(fields, "x-forwarded-port").filter(is_port);
    let lines = from.lines(client, tls, &chain);
    Told { client, tls, authority, port, lines, chain }
}

/// The one value of a field; none where there are several, which contradict each other.
fn said<'a>(fields: Fields<'a>, name: &str) -> Option<&'a str> {
    let mut values = fields
        .iter()
        .filter(|field| field.text.eq_ignore_ascii_case(name.as_bytes()));
    let value = values.next()?.value;
    values.next().is_none().then_some(())?;
    std::str::from_utf8(value).ok()
}

/// The first address from the end that is not trusted; what is no address ends the walk at the last
/// good one.
fn client(peer: IpAddr, chain: &[&[u8]], trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    for element in chain.iter().rev() {
        let Some(address) = address(element) else { break };
        client = address;
        if !trusts(address) {
            break;
        }
    }
    client
}

/// An address, with or without a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let address = bare.or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::super::h1::head;
    use super::*;

    fn read<T>(lines: &str, full: bool, look: impl FnOnce(Told<'_>) -> T) -> T {
        let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n");
        let mut places = Vec::new();
        assert!(
            head::request(head.as_bytes(), &mut places)
                .unwrap()
                .is_some()
        );
        let fields = Fields::new(head.as_bytes(), &places);
        let peer = [10, 0, 0, 1].into();
        let from = Peer::new(peer, ([127, 0, 0, 1], 80).into(), false).trusted(full);
        let trusts = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => v4.octets()[0] == 10,
            IpAddr::V6(_) => false,
        };
        look(told(fields, &from, trusts))
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_trusted() {
        for (case, chain, want) in [
            ("nothing said", &[][..], "10.0.0.1"),
            ("one", &["192.0.2.7"], "192.0.2.7"),
            ("a client that lies", &["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
            ("through two of ours", &["192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            ("all lines in order", &["6.6.6.6", "192.0.2.7", "10.0.0.2,10.0.0.3"], "192.0.2.7"),
            ("what is no address ends it", &["192.0.2.7, unknown, 10.0.0.2"], "10.0.0.2"),
            ("no address at all", &["unknown"], "10.0.0.1"),
            ("all trusted", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("with a port", &["192.0.2.7:4711"], "192.0.2.7"),
            ("IPv6 with a port", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("IPv6", &["2001:db8::7"], "2001:db8::7"),
            ("IPv4 in IPv6", &["::ffff:192.0.2.7, ::ffff:10.0.0.2"], "192.0.2.7"),
            ("empty elements", &["192.0.2.7,, "], "192.0.2.7"),
        ] {
            let lines: String = chain
                .iter()
                .map(|line| format!("X-Forwarded-For: {line}\r\n"))
                .collect();
            let client = read(&lines, false, |told| told.client.to_string());
            assert_eq!(client, want, "http-proxy 3.2: {case}");
        }
    }

    #[test]
    fn scheme_host_and_port_are_believed_if_they_are_some() {
        let lines = "X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: b.test:444\r\n\
                     X-Forwarded-Port: 444\r\n";
        read(lines, false, |told| {
            assert_eq!(
                (told.tls, told.authority, told.port),
                (true, Some("b.test:444"), Some("444"))
            );
            let lines = String::from_utf8(told.lines).unwrap();
            assert!(lines.contains("X-Forwarded-Proto: https\r\n"), "{lines}");
        });
        let lines = "X-Forwarded-Proto: ftp\r\nX-Forwarded-Host: u@b\r\nX-Forwarded-Port: 0\r\n";
        read(lines, false, |told| {
            assert_eq!((told.tls, told.authority, told.port), (false, None, None));
        });
        let twice = "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n";
        assert!(!read(twice, false, |told| told.tls), "what contradicts itself is not believed");
    }

    #[test]
    fn the_chain_is_kept_where_settings_say_so() {
        let lines = "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-For: 10.0.0.2\r\n";
        for (full, want) in [
            (false, "X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n"),
            (
                true,
                "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.2, 10.0.0.1\r\n\
                 X-Real-IP: 192.0.2.7\r\n",
            ),
        ] {
            let got = read(lines, full, |told| String::from_utf8(told.lines).unwrap());
            assert!(got.starts_with(want), "ingress 2.8 fullForwardedFor: {got}");
        }
    }
}
