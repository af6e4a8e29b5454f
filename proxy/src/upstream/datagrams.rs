//! What is counted of UDP, by ServicePort: counters and the reasons that tell them apart, no more.

use std::sync::atomic::AtomicU64;

/// Counters of one ServicePort, shared by all workers; bytes are counted with TCP's.
#[derive(Debug, Default)]
pub(crate) struct DatagramCounters {
    /// Datagrams from clients that were sent to an endpoint.
    pub(crate) received: AtomicU64,
    /// Datagrams from endpoints that were sent to their client.
    pub(crate) sent: AtomicU64,
    /// Sessions opened.
    pub(crate) sessions: AtomicU64,
    /// Sessions that are open now.
    pub(crate) active: AtomicU64,
    /// Sessions that ended, in the order of [`SessionEnd::ALL`].
    pub(crate) ended: [AtomicU64; SessionEnd::ALL.len()],
    /// Datagrams that went nowhere, in the order of [`Loss::ALL`].
    pub(crate) lost: [AtomicU64; Loss::ALL.len()],
}

/// Why a UDP session ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SessionEnd {
    /// Nothing came for its idle time.
    Idle,
    /// The table was full and others were younger, or answered.
    Limit,
    /// Its endpoint does not serve this ServicePort any more.
    Endpoint,
    /// Nobody listens at its endpoint.
    Refused,
    /// Its front was closed, or leads to another ServicePort.
    Front,
}

/// Why a datagram went nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// There is no endpoint to send it to.
    NoEndpoint,
    /// Policy or source ranges leave it unanswered.
    Policy,
    /// Every endpoint that was tried refused it.
    Refused,
    /// It was longer than datagrams can be here.
    Truncated,
    /// Nobody can be answered at its source: port 0, or a front of ours.
    Source,
    /// No descriptor, port or memory for a session.
    Limit,
    /// The kernel did not take it.
    Unsent,
}

impl SessionEnd {
    /// Every reason.
    pub(crate) const ALL: [Self; 5] =
        [Self::Idle, Self::Limit, Self::Endpoint, Self::Refused, Self::Front];

    /// As metrics call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Limit => "limit",
            Self::Endpoint => "endpoint",
            Self::Refused => "refused",
            Self::Front => "front",
        }
    }
}

impl Loss {
    /// Every reason.
    pub(crate) const ALL: [Self; 7] = [
        Self::NoEndpoint,
        Self::Policy,
        Self::Refused,
        Self::Truncated,
        Self::Source,
        Self::Limit,
        Self::Unsent,
    ];

    /// As metrics call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::Policy => "policy",
            Self::Refused => "refused",
            Self::Truncated => "truncated",
            Self::Source => "source",
            Self::Limit => "limit",
            Self::Unsent => "unsent",
        }
    }
}
