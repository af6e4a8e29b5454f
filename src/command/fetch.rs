//! One GET of a running portico's admin API: plain HTTP/1.0 over a socket with a deadline.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The JSON at a path of the portico at `address`; fails in words that end with the way out.
pub(super) fn get(address: SocketAddr, path: &str) -> Result<Value, String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| {
        format!(
            "{address}: no portico runs there ({error}): start one with portico run, or name its --admin"
        )
    })?;
    let mut answer = Vec::new();
    exchange(&mut stream, (address, path), &mut answer).map_err(|error| {
        format!("{address}: the running portico does not answer ({error}): try again")
    })?;
    let (head, body) = split(&answer).ok_or_else(|| {
        format!(
            "{address}: what listens there speaks no HTTP: name the --admin address of portico run"
        )
    })?;
    let status = head.split_whitespace().nth(1);
    if status != Some("200") {
        if status == Some("400") {
            return Err(String::from_utf8_lossy(body).trim_end().to_owned());
        }
        let path = path.split('?').next().unwrap_or_default();
        return Err(format!(
            "{address}: what listens there has no {path}: name the --admin address of portico run"
        ));
    }
    serde_json::from_slice(body)
        .map_err(|error| format!("{address}: its answer cannot be read ({error}): try again"))
}

/// What serves at `address`.
pub(super) fn snapshot(address: SocketAddr) -> Result<Value, String> {
    let snapshot = get(address, "/api/v1/snapshot")?;
    match snapshot["generation"].as_u64() {
        None => Err(format!(
            "{address}: what listens there is no portico: name the --admin address of portico run"
        )),
        Some(0) => {
            Err(format!("{address}: the running portico has applied nothing yet: try again"))
        }
        Some(_) => Ok(snapshot),
    }
}

/// Where a listener on every address is reached from here.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn exchange(
    stream: &mut TcpStream,
    (address, path): (SocketAddr, &str),
    answer: &mut Vec<u8>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.take(MAX_ANSWER_BYTES).read_to_end(answer)?;
    Ok(())
}

/// The head as text, and the body.
fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    Some((head.strip_prefix("HTTP/1.").map(|_| head)?, &answer[end + 4..]))
}

/// For each step; the admin listener itself gives up after as long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A snapshot of a hundred thousand Services is shorter.
const MAX_ANSWER_BYTES: u64 = 512 << 20;
