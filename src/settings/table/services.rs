//! Connections of Services, and the probes that say which Pods are ready.

use super::{DAY, SECOND};
use crate::settings::kind::Kind;
use crate::settings::{Group, Setting};

/// TCP and probes.
pub(super) static SETTINGS: &[Setting] = &[
    // TCP.
    Setting::new(
        "trustedProxies",
        Group::Tcp,
        "CIDR",
        "Whose PROXY headers, where one is required, and X-Forwarded fields are believed",
        Kind::AnyNetworks(|to| &mut to.settings.trusted_proxies),
    )
    .live(),
    Setting::new(
        "tcp.keepalive",
        Group::Tcp,
        "TIME|off",
        "How often a silent peer is asked whether it is still there",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.tcp.keepalive),
    ),
    Setting::new(
        "tcp.userTimeout",
        Group::Tcp,
        "TIME|off",
        "How long a peer may leave what was sent unconfirmed",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.tcp.user_timeout),
    ),
    Setting::new(
        "tcp.idleTimeout",
        Group::Tcp,
        "TIME|off",
        "How long a connection of a Service may carry nothing",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.tcp.idle_timeout),
    )
    .live(),
    Setting::new(
        "tcp.halfClosedTimeout",
        Group::Tcp,
        "TIME|off",
        "The same once one side has ended its half",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.tcp.half_closed_timeout),
    )
    .live(),
    // Probes.
    Setting::new(
        "probes",
        Group::Probes,
        "auto|on|off",
        "Which Pods are probed: those without a condition Ready, also others, or none",
        Kind::Probes(|to| &mut to.settings.probes),
    )
    .live(),
    Setting::new(
        "execProbe",
        Group::Probes,
        "ready|unready",
        "What a probe comes to that runs a command, which portico cannot",
        Kind::ExecProbe(|to| &mut to.settings.exec_probe),
    )
    .live(),
];
