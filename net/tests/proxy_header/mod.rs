//! What holds of any bytes as the beginning of a connection, for the fuzzer and for the seeds that
//! CI replays.

use portico_net::proxy_protocol::{Preface, Version, encode, parse};

/// Panics where the parser reads beyond its header, decides otherwise where bytes come in pieces, or
/// takes a client that cannot be told on.
pub(crate) fn hold(bytes: &[u8]) {
    let whole = parse(bytes);
    let decided = (0..=bytes.len()).find(|end| parse(&bytes[..*end]) != Ok(None));
    let Some(decided) = decided else { return assert_eq!(whole, Ok(None)) };
    for end in decided..=bytes.len() {
        assert_eq!(parse(&bytes[..end]), whole, "what {decided} octets say is said");
    }
    let Ok(Some((preface, length))) = whole else { return };
    assert_eq!(length, decided, "a header is known with its last octet and not before");
    let Preface::Proxied(header) = preface else { return };
    for version in [Version::V1, Version::V2] {
        let told = encode(&header, version);
        assert_eq!(parse(&told), Ok(Some((preface, told.len()))), "{version:?}");
    }
}
