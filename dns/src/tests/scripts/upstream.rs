//! An upstream of a script, which says one thing of every name: a response code, or an address.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::super::{A, wire};
use crate::question::{HEADER, skip_name};
use crate::wire::{put_address, u16_at};

/// `upstream: [@CIDR] [SUFFIX=]WORD`.
pub(super) struct Upstream {
    view: String,
    suffix: String,
    says: Says,
    socket: UdpSocket,
}

#[derive(Clone, Copy)]
enum Says {
    /// `SERVFAIL`
    Code(u8),
    /// `192.0.2.1`, for 60 s; nothing of other types.
    Address(IpAddr),
}

impl Upstream {
    pub(super) fn read(text: &str) -> Self {
        let (view, text) = text.rsplit_once(' ').unwrap_or(("", text));
        let (suffix, says) = text.split_once('=').unwrap_or((".", text));
        let code = CODES.iter().position(|name| *name == says);
        let says = match code {
            Some(code) => Says::Code(u8::try_from(code).unwrap()),
            None => Says::Address(says.parse().unwrap()),
        };
        let socket = UdpSocket::bind((IpAddr::from([127, 0, 0, 1]), 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { view: view.to_owned(), suffix: suffix.to_owned(), says, socket }
    }

    /// As `--forward` names it.
    pub(super) fn rule(&self) -> String {
        let address: SocketAddr = self.socket.local_addr().unwrap();
        format!("{} {}={address}", self.view, self.suffix)
            .trim_start()
            .to_owned()
    }

    /// Says what it says, in a task of the runtime that this is called in.
    pub(super) fn serve(&self) {
        let socket = tokio::net::UdpSocket::from_std(self.socket.try_clone().unwrap()).unwrap();
        let says = self.says;
        tokio::task::spawn_local(async move {
            let mut message = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut message).await {
                let reply = reply(&message[..length], says);
                socket.send_to(&reply, peer).await.unwrap();
            }
        });
    }
}

fn reply(message: &[u8], says: Says) -> Vec<u8> {
    let (end, _) = skip_name(message, HEADER).unwrap();
    let mut reply = message[..end + 4].to_vec();
    reply[2] |= 0x80;
    reply[3] = 0x80;
    reply[6..HEADER].fill(0);
    match says {
        Says::Code(code) => reply[3] |= code,
        Says::Address(address) => {
            let kind = u16_at(message, end).unwrap();
            let before = reply.len();
            put_address(&mut reply, &[b"\xc0\x0c"], kind, 60, address);
            reply[7] = u8::from(reply.len() > before);
        }
    }
    reply
}

const CODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

#[test]
fn an_upstream_says_what_it_is_told_to() {
    let message = super::query("a.test", A);
    assert_eq!(reply(&message, Says::Code(5))[3], 0x85);
    let said = reply(&message, Says::Address([192, 0, 2, 1].into()));
    assert!(said[12..].starts_with(&wire("a.test")) && said.ends_with(&[192, 0, 2, 1]));
}
