//! The PROXY protocol, versions 1 and 2: which client a connection stands for, told by the proxy
//! before it in the first bytes.
//!
//! ```text
//! bytes ─parse─▶ Header │ more │ Malformed        Header ─encode─▶ bytes
//! ```
//!
//! [`parse`] is pure and takes anything that a peer sends; [`receive`] reads a header and not one
//! byte more. Invariants: a line has at most [`MAX_V1_BYTES`], a binary header at most
//! [`MAX_V2_BYTES`] behind its first sixteen; what does not follow the specification to the letter
//! is refused; the result does not depend on how bytes were cut into segments. Whom to believe, and
//! whether a header is there, is never guessed here: the planes are told.
//!
//! Source: haproxy.org, "The PROXY protocol", versions 1 & 2.

mod checksum;
mod encode;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use self::checksum::checksum;

pub use self::encode::{Version, encode};

/// Where a connection comes from and where it was going, as the proxy saw it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The client.
    pub source: SocketAddr,
    /// What the client asked for.
    pub destination: SocketAddr,
}

/// What stands in front of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Preface {
    /// The proxy speaks for a client.
    Proxied(Header),
    /// The proxy speaks for itself (`LOCAL`), or for one of a kind that has no address here
    /// (`UNKNOWN`, sockets of a file system): the connection's own addresses count.
    Local,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// Neither signature.
    #[error("no PROXY header")]
    Missing,
    /// A line longer than the longest possible one.
    #[error("a PROXY line of more than {MAX_V1_BYTES} bytes")]
    LineTooLong,
    /// A line that is not built as the specification says.
    #[error("a PROXY line that is not well-formed")]
    Line,
    /// A version, command or family that does not exist.
    #[error("a PROXY header of an unknown kind")]
    Kind,
    /// More than a binary header may hold.
    #[error("a PROXY header of more than {MAX_V2_BYTES} bytes")]
    TooLong,
    /// Addresses or values do not fit into the length that the header gives.
    #[error("a PROXY header that is cut short")]
    Short,
    /// The checksum is another.
    #[error("a PROXY header with a wrong checksum")]
    Checksum,
}

/// Reads the header that `bytes` begin with, and says how long it is; none: it goes on beyond them.
pub fn parse(bytes: &[u8]) -> Result<Option<(Preface, usize)>, Malformed> {
    let known = |signature: &[u8]| bytes.iter().zip(signature).all(|(a, b)| a == b);
    if known(V2_SIGNATURE) {
        return match bytes.len() {
            ..V2_HEAD_BYTES => Ok(None),
            _ => parse_v2(bytes),
        };
    }
    if !known(V1_SIGNATURE) {
        return Err(Malformed::Missing);
    }
    let end = bytes.iter().take(MAX_V1_BYTES).position(|b| *b == b'\n');
    match end {
        Some(end) => {
            let line = bytes.get(V1_SIGNATURE.len()..=end).unwrap_or_default();
            Ok(Some((parse_v1(line).ok_or(Malformed::Line)?, end + 1)))
        }
        None if bytes.len() < MAX_V1_BYTES => Ok(None),
        None => Err(Malformed::LineTooLong),
    }
}

/// The rest of a line behind `PROXY `.
fn parse_v1(line: &[u8]) -> Option<Preface> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    // What follows UNKNOWN is to be ignored.
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(Preface::Local);
    }
    let mut words = line.split(' ');
    let family = words.next()?;
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (address()?, address()?);
    let mut port = || -> Option<u16> {
        let word = words.next()?;
        let is_canonical = word == "0" || !word.starts_with('0');
        let is_number = word.bytes().all(|b| b.is_ascii_digit());
        word.parse().ok().filter(|_| is_canonical && is_number)
    };
    let (from, to) = (port()?, port()?);
    words
        .next()
        .is_none()
        .then(|| proxied((source, from), (destination, to)))
}

fn parse_v2(bytes: &[u8]) -> Result<Option<(Preface, usize)>, Malformed> {
    let head: &[u8; V2_HEAD_BYTES] = bytes.first_chunk().ok_or(Malformed::Short)?;
    let [.., command, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_V2_BYTES {
        return Err(Malformed::TooLong);
    }
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed::Kind),
    };
    let end = V2_HEAD_BYTES + length;
    let Some(header) = bytes.get(..end) else { return Ok(None) };
    let mut rest = header.get(V2_HEAD_BYTES..).unwrap_or_default();
    let preface = match family {
        _ if is_local => return Ok(Some((Preface::Local, end))),
        0x11 => ipv4(&mut rest).ok_or(Malformed::Short)?,
        0x21 => ipv6(&mut rest).ok_or(Malformed::Short)?,
        // Unspecified, datagrams, sockets of a file system: no address of a TCP client.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => return Ok(Some((Preface::Local, end))),
        _ => return Err(Malformed::Kind),
    };
    check_values(header, header.len() - rest.len())?;
    Ok(Some((preface, end)))
}

fn ipv4(rest: &mut &[u8]) -> Option<Preface> {
    let (source, destination) = (*take::<4>(rest)?, *take::<4>(rest)?);
    let (from, to) = (*take::<2>(rest)?, *take::<2>(rest)?);
    let address = |ip, port| (IpAddr::V4(Ipv4Addr::from_octets(ip)), u16::from_be_bytes(port));
    Some(proxied(address(source, from), address(destination, to)))
}

fn ipv6(rest: &mut &[u8]) -> Option<Preface> {
    let (source, destination) = (*take::<16>(rest)?, *take::<16>(rest)?);
    let (from, to) = (*take::<2>(rest)?, *take::<2>(rest)?);
    let address = |ip, port| (IpAddr::V6(Ipv6Addr::from_octets(ip)), u16::from_be_bytes(port));
    Some(proxied(address(source, from), address(destination, to)))
}

/// IPv4 inside IPv6 is IPv4, for all who compare addresses.
fn proxied(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Preface {
    let address = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
    Preface::Proxied(Header { source: address(source), destination: address(destination) })
}

/// Type, length and value, again and again from `at` on: only a checksum is looked at.
fn check_values(header: &[u8], at: usize) -> Result<(), Malformed> {
    let mut rest = header.get(at..).unwrap_or_default();
    while !rest.is_empty() {
        let [kind, high, low] = *take::<3>(&mut rest).ok_or(Malformed::Short)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, after) = rest.split_at_checked(length).ok_or(Malformed::Short)?;
        if kind == CHECKSUM_TYPE {
            let value: [u8; 4] = value.try_into().map_err(|_| Malformed::Short)?;
            let place = header.len() - rest.len();
            if checksum(header, place..place + 4) != u32::from_be_bytes(value) {
                return Err(Malformed::Checksum);
            }
        }
        rest = after;
    }
    Ok(())
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}

/// Reads the header that a connection begins with, and nothing behind it. The caller brings the
/// time it may take. [`io::ErrorKind::InvalidData`]: there is none.
pub async fn receive(stream: &mut TcpStream) -> io::Result<Preface> {
    let malformed = |error: Malformed| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut bytes = vec![0; SHORTEST_BYTES];
    let mut filled = 0;
    loop {
        let more = bytes.get_mut(filled..).unwrap_or_default();
        filled += stream.read_exact(more).await?;
        if let Some((preface, _)) = parse(&bytes).map_err(malformed)? {
            return Ok(preface);
        }
        bytes.resize(filled + missing(&bytes, stream).await?, 0);
    }
}

/// How many of the next bytes belong to the header whatever they are; at least one.
async fn missing(bytes: &[u8], stream: &TcpStream) -> io::Result<usize> {
    if !bytes.starts_with(V1_SIGNATURE) {
        let length = bytes.get(V2_HEAD_BYTES - 2..V2_HEAD_BYTES);
        let length = length.map_or(0, |it| it.iter().fold(0, |sum, b| sum << 8 | usize::from(*b)));
        return Ok((V2_HEAD_BYTES + length).saturating_sub(bytes.len()).max(1));
    }
    // A line's end has to be looked for, and what is behind it left where it is.
    let mut ahead = [0; MAX_V1_BYTES];
    let most = MAX_V1_BYTES.saturating_sub(bytes.len()).max(1);
    let ahead = ahead.get_mut(..most).unwrap_or_default();
    let count = stream.peek(ahead).await?;
    let seen = ahead.get(..count).unwrap_or_default();
    let end = seen.iter().position(|b| *b == b'\n');
    Ok(end.map_or(count, |end| end + 1).max(1))
}

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family, length.
const V2_HEAD_BYTES: usize = 16;
/// `PROXY UNKNOWN\r\n`: no header is shorter.
const SHORTEST_BYTES: usize = 15;
/// The longest line, its end included.
const MAX_V1_BYTES: usize = 107;
/// What may follow the first sixteen bytes of a binary header.
const MAX_V2_BYTES: usize = 4096;
/// `PP2_TYPE_CRC32C`.
const CHECKSUM_TYPE: u8 = 0x03;

#[cfg(test)]
mod tests;
