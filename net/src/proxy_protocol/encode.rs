//! Writing a PROXY header for an endpoint that expects one.

use std::net::{IpAddr, SocketAddr};

use super::{Header, V2_SIGNATURE};

/// How a header is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The bytes of a header. Addresses of two families are both written as IPv6.
pub fn encode(header: &Header, version: Version) -> Vec<u8> {
    let Header { source, destination } = *header;
    let is_ipv4 = source.is_ipv4() && destination.is_ipv4();
    let [source, destination] = [source, destination].map(|address| match address.ip() {
        IpAddr::V4(ip) if !is_ipv4 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        ip => SocketAddr::new(ip, address.port()),
    });
    match version {
        Version::V1 => {
            let family = if is_ipv4 { "TCP4" } else { "TCP6" };
            let ([from, to], [from_port, to_port]) = (
                [source, destination].map(|it| it.ip()),
                [source, destination].map(|it| it.port()),
            );
            format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
        }
        Version::V2 => {
            let mut bytes = V2_SIGNATURE.to_vec();
            let (family, length) = if is_ipv4 { (0x11, 12_u8) } else { (0x21, 36) };
            bytes.extend([0x21, family, 0, length]);
            for address in [source, destination] {
                match address.ip() {
                    IpAddr::V4(ip) => bytes.extend(ip.octets()),
                    IpAddr::V6(ip) => bytes.extend(ip.octets()),
                }
            }
            for address in [source, destination] {
                bytes.extend(address.port().to_be_bytes());
            }
            bytes
        }
    }
}
