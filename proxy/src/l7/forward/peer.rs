//! Who is at the other end of a client's connection, and what a backend is told of that: the same for
//! all requests of the connection, so its lines are written once.

use std::net::{IpAddr, SocketAddr};

use portico_net::limit::Seat;

use super::put;
use crate::l7::agreed::Agreed;
use crate::l7::clients::Shown;

/// The other end of a client's connection, and how it came to be; made once per connection.
pub(crate) struct Peer {
    /// Who came: the client, or a proxy that stands for it.
    pub(crate) client: IpAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// Where its connection came from.
    pub(crate) peer_port: u16,
    /// The listener that it came to.
    pub(crate) listener: SocketAddr,
    /// Which of our addresses it came to.
    pub(crate) local: IpAddr,
    /// Whether its certificate is one that browsers may be told to insist on (`ingress 1.9`).
    pub(crate) insists: bool,
    /// Whether it is a trusted proxy, of whose requests [`trust`](crate::l7::trust) is asked.
    pub(crate) is_trusted: bool,
    /// Whether `X-Forwarded-For` keeps what a trusted proxy said.
    pub(in crate::l7) full: bool,
    /// Whether backends are told `Forwarded` too (`http-proxy 3.3`).
    pub(crate) tells_forwarded: bool,
    /// Its place among the connections of its client.
    _seat: Option<Seat>,
    /// What its handshake came to, where it is logged.
    pub(crate) agreed: Option<Box<Agreed>>,
    /// What the client has shown, where it was asked for a certificate.
    pub(crate) shown: Option<Shown>,
    /// The lines that are the same for all of its requests.
    pub(super) lines: Vec<u8>,
    /// The listener's port where Host names none: 80 or 443.
    pub(super) port: &'static str,
    /// What Host says where the client said nothing (`http-proxy 1.13`).
    pub(super) address: String,
}

impl Peer {
    /// For a client at `peer` that came to `listener`.
    pub(crate) fn new(peer: IpAddr, listener: SocketAddr, tls: bool) -> Self {
        let mut from = Self {
            client: peer.to_canonical(),
            tls,
            peer_port: 0,
            listener,
            local: listener.ip(),
            insists: false,
            is_trusted: false,
            full: false,
            tells_forwarded: false,
            lines: Vec::new(),
            port: if tls { "443" } else { "80" },
            _seat: None,
            agreed: None,
            shown: None,
            address: listener.to_string(),
        };
        from.lines = from.lines(from.client, tls, &[]);
        from
    }

    /// The same with a place among the connections of its client, for as long as this lasts.
    pub(crate) fn seated(self, seat: Option<Seat>) -> Self {
        Self { _seat: seat, ..self }
    }

    /// The same for a trusted proxy; `full`: what it says of the way to it is kept.
    pub(crate) fn trusted(self, full: bool) -> Self {
        Self { is_trusted: true, full, ..self }
    }

    /// What a backend is told of a client; `chain` is what a trusted proxy said of it.
    pub(in crate::l7) fn lines(&self, client: IpAddr, tls: bool, chain: &[&[u8]]) -> Vec<u8> {
        let scheme = if tls { "https" } else { "http" };
        let mut lines = b"X-Forwarded-For: ".to_vec();
        match self.full {
            true => {
                for element in chain {
                    lines.extend_from_slice(element);
                    lines.extend_from_slice(b", ");
                }
                put(&mut lines, &[&self.client.to_string()]);
            }
            false => put(&mut lines, &[&client.to_string()]),
        }
        let rest = format!(
            "\r\nX-Real-IP: {client}\r\nX-Forwarded-Proto: {scheme}\r\n\
             X-Forwarded-Scheme: {scheme}\r\nX-Scheme: {scheme}\r\n"
        );
        put(&mut lines, &[&rest]);
        lines
    }
}
