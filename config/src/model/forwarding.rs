//! Whom the resolver asks about names that are not its own.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::private_networks;

/// What is done with questions that no manifest answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forwarding {
    /// `forward`: who is asked; default the host's own resolvers. Empty: nobody.
    pub rules: Vec<ForwardRule>,
    /// `forwardAllow`: for whose questions; default loopback and private networks.
    pub allow: Vec<IpNet>,
    /// `forwardPolicy`: which of several is asked first; default random.
    pub policy: ForwardPolicy,
    /// `forwardFailover`: replies with these codes make the next upstream asked; default none.
    pub failover: Vec<FailoverCode>,
    /// `forwardFailfast`: whether SERVFAIL is said at once while all upstreams are down; default false.
    pub is_failfast: bool,
    /// `forwardRebindFilter`: whether upstreams for all names are kept from leading to addresses of loopback
    /// and private networks; default false.
    pub filters_rebinding: bool,
    /// `dns.cacheBytes`: memory for their answers; default 16 MiB. 0: nothing is kept.
    pub cache_bytes: u64,
    /// `dns.serveStale`: how long an answer that has expired still stands in for one that does not
    /// come; default none.
    pub serve_stale: Option<Duration>,
    /// `dns.prefetch`: whether an answer that is asked for often is fetched again before it expires.
    pub prefetch: bool,
}

impl Forwarding {
    /// Nothing is asked of anybody.
    pub fn off() -> Self {
        Self { rules: Vec::new(), ..Self::default() }
    }
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            rules: vec![ForwardRule::System],
            allow: private_networks(),
            policy: ForwardPolicy::Random,
            failover: Vec::new(),
            is_failfast: false,
            filters_rebinding: false,
            cache_bytes: 16 << 20,
            serve_stale: None,
            prefetch: false,
        }
    }
}

/// Which upstream is asked first, of several for the same names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ForwardPolicy {
    /// Any.
    #[default]
    Random,
    /// Each in turn.
    RoundRobin,
    /// The first that works, in the order given.
    Sequential,
}

/// A response code that may be one upstream's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailoverCode {
    /// FORMERR.
    FormErr = 1,
    /// SERVFAIL.
    ServFail = 2,
    /// NXDOMAIN, for upstreams that know different names.
    NxDomain = 3,
    /// NOTIMP.
    NotImp = 4,
    /// REFUSED.
    Refused = 5,
}

/// Who is asked about some names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ForwardRule {
    /// `system`: the resolvers of this host, for all names.
    System,
    /// `[@CIDR] [SUFFIX=]ADDR`: one resolver, for a name and all below it.
    Upstream {
        /// For clients of this network alone; none: for everybody.
        view: Option<IpNet>,
        /// In lower case, without a trailing dot; empty: every name.
        suffix: Arc<str>,
        /// Who is asked.
        upstream: UpstreamAddress,
    },
}

/// Where a resolver is, and how it is spoken to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UpstreamAddress {
    /// How.
    pub transport: UpstreamTransport,
    /// Where.
    pub address: SocketAddr,
    /// Over TLS the name in its certificate; none: its address.
    pub server_name: Option<Arc<str>>,
}

/// How a resolver is spoken to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum UpstreamTransport {
    /// Datagrams, and a stream for what is too long for one.
    Udp,
    /// Streams alone.
    Tcp,
    /// Streams behind TLS (RFC 7858).
    Tls,
}

impl FromStr for ForwardRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "system" {
            return Ok(Self::System);
        }
        let (view, text) = match text.strip_prefix('@').and_then(|it| it.split_once(' ')) {
            Some((network, rest)) => (Some(network), rest.trim_start()),
            None => (None, text),
        };
        let view: Option<IpNet> = view.map(str::parse).transpose().map_err(|_| NETWORK)?;
        let view = view.map(|network| network.trunc());
        let (suffix, address) = text.split_once('=').unwrap_or((".", text));
        let suffix = suffix.strip_suffix('.').unwrap_or(suffix);
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.is_ascii();
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
        let is_name = suffix.len() <= MAX_SUFFIX_BYTES
            && suffix.split('.').all(is_label)
            && suffix.chars().all(is_plain);
        if !suffix.is_empty() && !is_name {
            return Err("expected a domain name before the =, such as corp.example".to_owned());
        }
        let upstream = address.parse()?;
        Ok(Self::Upstream { view, suffix: suffix.to_ascii_lowercase().into(), upstream })
    }
}

impl fmt::Display for ForwardRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Upstream { view, suffix, upstream } = self else {
            return f.write_str("system");
        };
        if let Some(view) = view {
            write!(f, "@{view} ")?;
        }
        if !suffix.is_empty() {
            write!(f, "{suffix}=")?;
        }
        upstream.fmt(f)
    }
}

impl FromStr for FailoverCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = CODES.iter().find(|(name, _)| *name == text);
        let (_, code) = found.ok_or("expected SERVFAIL, REFUSED, NXDOMAIN, NOTIMP or FORMERR")?;
        Ok(*code)
    }
}

impl fmt::Display for FailoverCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = CODES.iter().find(|(_, code)| code == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

impl UpstreamAddress {
    /// One that is spoken to in datagrams.
    pub fn datagrams(address: SocketAddr) -> Self {
        Self { transport: UpstreamTransport::Udp, address, server_name: None }
    }
}

impl FromStr for UpstreamAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (transport, rest) = match text.split_once("://") {
            None => (UpstreamTransport::Udp, text),
            Some(("udp", rest)) => (UpstreamTransport::Udp, rest),
            Some(("tcp", rest)) => (UpstreamTransport::Tcp, rest),
            Some(("tls", rest)) => (UpstreamTransport::Tls, rest),
            Some((scheme, _)) => return Err(format!("{scheme}:// is none of udp, tcp and tls")),
        };
        let (rest, server_name) = match (transport, rest.split_once('%')) {
            (UpstreamTransport::Tls, Some((rest, name))) if !name.is_empty() => {
                (rest, Some(name.to_ascii_lowercase().into()))
            }
            (_, None) => (rest, None),
            _ => return Err(EXPECTED.to_owned()),
        };
        let own_port = transport.port();
        let address = rest
            .parse::<SocketAddr>()
            .ok()
            .or_else(|| {
                let ip: IpAddr = rest.trim_matches(['[', ']']).parse().ok()?;
                Some(SocketAddr::new(ip, own_port))
            })
            .filter(|address| address.port() != 0)
            .ok_or(EXPECTED)?;
        if address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err("is no address of a single resolver".to_owned());
        }
        Ok(Self { transport, address, server_name })
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            UpstreamTransport::Udp => {}
            UpstreamTransport::Tcp => f.write_str("tcp://")?,
            UpstreamTransport::Tls => f.write_str("tls://")?,
        }
        self.address.fmt(f)?;
        match &self.server_name {
            Some(name) => write!(f, "%{name}"),
            None => Ok(()),
        }
    }
}

impl UpstreamTransport {
    /// Where resolvers listen that say no other port.
    pub fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 53,
            Self::Tls => 853,
        }
    }
}

const CODES: [(&str, FailoverCode); 5] = [
    ("SERVFAIL", FailoverCode::ServFail),
    ("REFUSED", FailoverCode::Refused),
    ("NXDOMAIN", FailoverCode::NxDomain),
    ("NOTIMP", FailoverCode::NotImp),
    ("FORMERR", FailoverCode::FormErr),
];
const EXPECTED: &str = "expected ADDR, ADDR:PORT, tcp://ADDR or tls://ADDR[%NAME], each also \
                        behind SUFFIX=, or system or off";
const NETWORK: &str = "expected a network behind @, such as @10.0.0.0/8";
/// Room for a label below it within a name's 253 characters.
const MAX_SUFFIX_BYTES: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_as_it_is_shown() {
        for (text, want) in [
            ("system", "system"),
            ("192.0.2.1", "192.0.2.1:53"),
            ("udp://192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:54", "[2001:db8::1]:54"),
            ("tcp://192.0.2.1", "tcp://192.0.2.1:53"),
            ("tls://192.0.2.1", "tls://192.0.2.1:853"),
            ("tls://192.0.2.1:8853%Dns.Example", "tls://192.0.2.1:8853%dns.example"),
            ("Corp.Example.=192.0.2.1", "corp.example=192.0.2.1:53"),
            (".=192.0.2.1", "192.0.2.1:53"),
            ("@10.1.2.3/8  corp=192.0.2.1", "@10.0.0.0/8 corp=192.0.2.1:53"),
            ("@fd00::/8 tls://192.0.2.1", "@fd00::/8 tls://192.0.2.1:853"),
            ("10.in-addr.arpa=tls://192.0.2.1", "10.in-addr.arpa=tls://192.0.2.1:853"),
        ] {
            let rule: ForwardRule = text.parse().unwrap();
            assert_eq!(rule.to_string(), want, "{text}");
            assert_eq!(want.parse::<ForwardRule>().unwrap(), rule, "{text} again");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_way_out() {
        for (text, want) in [
            ("dns.example", "expected ADDR"),
            ("192.0.2.1:0", "expected ADDR"),
            ("192.0.2.1%name", "expected ADDR"),
            ("tls://192.0.2.1%", "expected ADDR"),
            ("https://192.0.2.1", "https:// is none of udp, tcp and tls"),
            ("0.0.0.0", "no address of a single resolver"),
            ("a..b=192.0.2.1", "expected a domain name"),
            ("a b=192.0.2.1", "expected a domain name"),
            ("corp=", "expected ADDR"),
            ("@10.0.0.0 192.0.2.1", "expected a network behind @"),
            ("@10.0.0.0/8", "expected ADDR"),
            ("@10.0.0.0/8 system", "expected ADDR"),
            ("", "expected ADDR"),
        ] {
            let error = text.parse::<ForwardRule>().unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
