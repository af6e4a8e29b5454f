//! What every TCP connection through a front is told by the settings, whichever Service it is for.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::model;

/// How connections of Services are treated.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tcp {
    /// How long one may carry nothing; none: for ever.
    pub idle_timeout: Option<Duration>,
    /// The same once one side has ended its half.
    pub half_closed_timeout: Option<Duration>,
    /// Peers whose PROXY headers are believed; empty: nobody's.
    pub trusted_proxies: Vec<IpNet>,
}

impl Tcp {
    /// Out of the settings; those that count from the next start alone are not here.
    pub(crate) fn of(settings: &model::Settings) -> Self {
        let model::Tcp { idle_timeout, half_closed_timeout, .. } = settings.tcp;
        let trusted_proxies = settings.trusted_proxies.clone();
        Self { idle_timeout, half_closed_timeout, trusted_proxies }
    }

    /// Whether a peer's PROXY header is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|it| it.contains(&peer))
    }
}
