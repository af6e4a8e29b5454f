//! `Forwarded` (RFC 7239), for backends that read it: what the `X-Forwarded` fields say, in one line
//! (`http-proxy 3.3`).
//!
//! Pure; written only where the setting `ingress.forwarded` asks for it. Invariant: there is one source
//! of truth. Whatever came as `Forwarded` is dropped, a trusted proxy's too; this line is made of what
//! made `X-Forwarded-For`, and names the same addresses in the same order.

use std::net::{IpAddr, SocketAddr};

use super::forward::{Peer, put};
use super::trust::Told;

/// Writes the line; `host` is what the client asked for, `asked` what was asked of this proxy.
pub(super) fn write(
    out: &mut Vec<u8>,
    from: &Peer,
    told: Option<&Told<'_>>,
    (host, asked): (Option<&str>, Option<&str>),
) {
    put(out, &["Forwarded: "]);
    match told {
        None => element(out, &node(from.client), (host, from.tls)),
        Some(told) if from.full && !told.chain.is_empty() => {
            for (index, of) in told.chain.iter().enumerate() {
                match index {
                    0 => element(out, &said(of), (host, told.tls)),
                    _ => put(out, &["for=", &said(of)]),
                }
                put(out, &[", "]);
            }
            element(out, &node(from.client), (asked, from.tls));
        }
        Some(told) => element(out, &node(told.client), (host, told.tls)),
    }
    put(out, &["\r\n"]);
}

/// One hop: who came, for which host and how.
fn element(out: &mut Vec<u8>, node: &str, (host, tls): (Option<&str>, bool)) {
    put(out, &["for=", node]);
    match host {
        Some(host) if host.contains([':', '[']) => put(out, &[";host=\"", host, "\""]),
        Some(host) => put(out, &[";host=", host]),
        None => {}
    }
    put(out, &[";proto=", if tls { "https" } else { "http" }]);
}

/// An address as a node (RFC 7239 6): IPv6 in brackets, which need quotes.
fn node(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    }
}

/// What an element of `X-Forwarded-For` names, as a node; what is no address has no other name here.
fn said(element: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(element) else { return UNKNOWN.to_owned() };
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return node(address.to_canonical());
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => {
            format!("\"{}\"", SocketAddr::new(address.ip().to_canonical(), address.port()))
        }
        Err(_) => UNKNOWN.to_owned(),
    }
}

/// RFC 7239 6.2.
const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use super::*;

    fn written(
        peer: &str,
        tls: bool,
        told: Option<&Told<'_>>,
        full: bool,
        hosts: (Option<&str>, Option<&str>),
    ) -> String {
        let listener = ([127, 0, 0, 1], 80).into();
        let mut from = Peer::new(peer.parse().unwrap(), listener, tls);
        if told.is_some() {
            from = from.trusted(full);
        }
        let mut out = Vec::new();
        write(&mut out, &from, told, hosts);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_client_is_named_with_its_host_and_scheme() {
        for (peer, tls, host, want) in [
            ("192.0.2.7", false, Some("a.test"), "for=192.0.2.7;host=a.test;proto=http"),
            (
                "192.0.2.7",
                true,
                Some("a.test:8443"),
                "for=192.0.2.7;host=\"a.test:8443\";proto=https",
            ),
            (
                "2001:db8::7",
                false,
                Some("[::1]"),
                "for=\"[2001:db8::7]\";host=\"[::1]\";proto=http",
            ),
            ("::ffff:192.0.2.7", false, None, "for=192.0.2.7;proto=http"),
        ] {
            let got = written(peer, tls, None, false, (host, host));
            assert_eq!(got, format!("Forwarded: {want}\r\n"), "http-proxy 3.3: {peer}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_says_is_told_as_x_forwarded_for_tells_it() {
        let told = |chain: &[&'static [u8]]| Told {
            client: "2001:db8::7".parse().unwrap(),
            tls: true,
            authority: None,
            port: None,
            lines: Vec::new(),
            chain: chain.to_vec(),
        };
        let chain: &[&[u8]] =
            &[b"6.6.6.6:80", b"[2001:db8::7]:80", b"2001:db8::8", b"who", b"::ffff:10.0.0.2"];
        let hosts = (Some("out.test"), Some("in.test"));
        for (case, chain, full, want) in [
            ("the client alone", chain, false, "for=\"[2001:db8::7]\";host=out.test;proto=https"),
            ("nothing said", &[], true, "for=\"[2001:db8::7]\";host=out.test;proto=https"),
            (
                "all of the way",
                chain,
                true,
                "for=\"6.6.6.6:80\";host=out.test;proto=https, for=\"[2001:db8::7]:80\", \
                 for=\"[2001:db8::8]\", for=unknown, for=10.0.0.2, \
                 for=10.0.0.1;host=in.test;proto=http",
            ),
        ] {
            let got = written("10.0.0.1", false, Some(&told(chain)), full, hosts);
            assert_eq!(got, format!("Forwarded: {want}\r\n"), "http-proxy 3.3: {case}");
        }
    }
}
