//! Who may ask the resolver, what it logs, and whom it asks itself about names elsewhere.

use super::{DAY, SECOND};
use crate::settings::kind::Kind;
use crate::settings::{Group, Setting};

/// Questions and forwarding.
pub(super) static SETTINGS: &[Setting] = &[
    Setting::new(
        "dns.allow",
        Group::Names,
        "CIDR",
        "Whose questions are answered; everybody else is refused",
        Kind::Networks(|to| &mut to.settings.dns_allow),
    )
    .by_default("loopback and private networks")
    .live(),
    Setting::new(
        "dns.dropDenied",
        Group::Names,
        "true|false",
        "Whether everybody else hears nothing instead of REFUSED",
        Kind::Switch(|to| &mut to.settings.dns_drop_denied),
    )
    .live(),
    Setting::new(
        "dns.nsid",
        Group::Names,
        "NAME",
        "What a client hears that asks which server answers (NSID), at most 64 characters",
        Kind::ShortName(|to| &mut to.settings.dns_nsid),
    )
    .live(),
    Setting::new(
        "dns.chaos",
        Group::Names,
        "true|false",
        "Whether version.bind, and with dns.nsid id.server, are answered in class CH",
        Kind::Switch(|to| &mut to.settings.dns_chaos),
    )
    .live(),
    Setting::new(
        "dns.cookieSecretFile",
        Group::Names,
        "FILE|off",
        "The secret of DNS cookies that several servers share: 32 hexadecimal digits",
        Kind::FileOrOff(|to| &mut to.settings.dns_cookie_secret_file),
    )
    .by_default("one of this start"),
    Setting::new(
        "dns.udpSize",
        Group::Names,
        "BYTES",
        "The largest datagram that is sent",
        Kind::Count(512..=4096, |to| &mut to.settings.dns_udp_size),
    )
    .live(),
    Setting::new(
        "dns.transferTo",
        Group::Names,
        "CIDR",
        "Whose secondaries may have whole zones (AXFR), over TCP and TLS",
        Kind::AnyNetworks(|to| &mut to.settings.dns_transfer_to),
    )
    .by_default("nobody's")
    .live(),
    Setting::new(
        "dns.log",
        Group::Names,
        "off|[ZONE=]CLASS",
        "Which questions are logged: all, or those with a reply of class denial, error or success",
        Kind::QueryLog(|to| &mut to.settings.dns_log.rules),
    )
    .by_default("off")
    .live(),
    Setting::new(
        "dns.logFile",
        Group::Names,
        "FILE|stdout",
        "Where they are logged; a file that is renamed is begun anew",
        Kind::LogFile(|to| &mut to.settings.dns_log.file),
    ),
    Setting::new(
        "dns.maxConnections",
        Group::Names,
        "N",
        "TCP and TLS connections of one listener, shared evenly between workers",
        Kind::Count(1..=1_000_000, |to| &mut to.settings.dns_connections),
    ),
    Setting::new(
        "dns.maxConnectionsPerClient",
        Group::Names,
        "N",
        "How many of them one address has",
        Kind::Count(1..=1_000_000, |to| &mut to.settings.dns_connections_per_client),
    ),
    Setting::new(
        "forward",
        Group::Names,
        "off|system|[@CIDR ][NAME=]ADDR",
        "Who is asked about other names, all or those below one: udp, tcp:// or tls://",
        Kind::Forwards(|to| &mut to.settings.forwarding.rules),
    )
    .by_default("system, the resolvers of this host")
    .live(),
    Setting::new(
        "forwardPolicy",
        Group::Names,
        "random|round-robin|sequential",
        "Which of several is asked first",
        Kind::ForwardPolicy(|to| &mut to.settings.forwarding.policy),
    )
    .live(),
    Setting::new(
        "forwardAllow",
        Group::Names,
        "CIDR",
        "For whom others are asked, of those who may ask",
        Kind::Networks(|to| &mut to.settings.forwarding.allow),
    )
    .by_default("loopback and private networks")
    .live(),
    Setting::new(
        "forwardFailover",
        Group::Names,
        "off|CODE",
        "Replies that make the next of several asked: SERVFAIL, REFUSED, NXDOMAIN, NOTIMP, FORMERR",
        Kind::Failover(|to| &mut to.settings.forwarding.failover),
    )
    .by_default("off")
    .live(),
    Setting::new(
        "forwardFailfast",
        Group::Names,
        "true|false",
        "Whether SERVFAIL is said at once while all of them are down",
        Kind::Switch(|to| &mut to.settings.forwarding.is_failfast),
    )
    .live(),
    Setting::new(
        "forwardRebindFilter",
        Group::Names,
        "true|false",
        "Whether they are kept from leading to private networks, but for those of a NAME",
        Kind::Switch(|to| &mut to.settings.forwarding.filters_rebinding),
    )
    .live(),
    Setting::new(
        "dns.cacheBytes",
        Group::Names,
        "BYTES",
        "Memory for what they say; 0 keeps nothing",
        Kind::Bytes(0..=1 << 40, |to| &mut to.settings.forwarding.cache_bytes),
    )
    .live(),
    Setting::new(
        "dns.serveStale",
        Group::Names,
        "TIME|off",
        "How long what has expired stands in where they do not answer",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.forwarding.serve_stale),
    )
    .live(),
    Setting::new(
        "dns.prefetch",
        Group::Names,
        "true|false",
        "Whether what is asked for often is fetched again before it expires",
        Kind::Switch(|to| &mut to.settings.forwarding.prefetch),
    )
    .live(),
];
