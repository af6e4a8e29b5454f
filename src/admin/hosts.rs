//! Which Host a request to the admin listener may carry.
//!
//! A page in a browser can make its own name point to 127.0.0.1, but it cannot change the Host
//! that the browser sends: an IP literal or `localhost` is never the name of such a page.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether `host`, with or without a port, is an IP literal or `localhost`.
pub(crate) fn is_local_name(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest
            .split_once(']')
            .is_some_and(|(ip, port)| ip.parse::<Ipv6Addr>().is_ok() && is_port(port));
    }
    let (name, port) = match host.find(':') {
        Some(colon) => host.split_at(colon),
        None => (host, ""),
    };
    is_port(port) && (name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok())
}

/// Empty, or a colon and a number.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|digits| digits.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_local_name;

    #[test]
    fn only_literals_and_localhost_pass() {
        for (host, want) in [
            ("127.0.0.1", true),
            ("127.0.0.1:9080", true),
            ("[::1]:9080", true),
            ("[::1]", true),
            ("localhost:9080", true),
            ("LOCALHOST", true),
            ("evil.example", false),
            ("evil.example:9080", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1:x", false),
            ("[::1", false),
            ("", false),
        ] {
            assert_eq!(is_local_name(host), want, "{host}");
        }
    }
}
