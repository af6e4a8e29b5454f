//! How much one client may ask of one Ingress (`ingress 2.4`: `limit-rps`, `limit-connections`).
//!
//! Data only: who counts is `proxy`'s work.

use std::net::IpAddr;

use ipnet::IpNet;

use super::ObjectName;

/// The limits of an Ingress, each for one client's address; all its locations count as one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientLimits {
    /// Whose limits: what was counted stays with this name while it has limits.
    pub ingress: ObjectName,
    /// Requests a second (`limit-rps`) and a minute (`limit-rpm`); an absent one is not counted.
    pub rates: Rates,
    /// Requests that may be in progress at one time; 0: any number.
    pub connections: u32,
    /// What who is over one gets: the setting `ingress.limitStatus`, 429 or 503.
    pub status: u16,
    /// Clients without limits.
    pub exempt: Box<[IpNet]>,
}

/// How fast requests may come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rates {
    /// `limit-rps`; none: any.
    pub per_second: Option<Rate>,
    /// `limit-rpm`; none: any.
    pub per_minute: Option<Rate>,
}

/// A leaky bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// Requests that leak out in the time of the bucket; at least 1.
    pub requests: u32,
    /// How many it holds beyond the one that comes: the limit times `limit-burst-multiplier`.
    pub burst: u64,
}

impl ClientLimits {
    /// Whether a client is one whom the limits are about.
    pub fn concern(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        !self.exempt.iter().any(|network| network.contains(&client))
    }
}

/// How fast one answer may go to its client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DownloadRate {
    /// `limit-rate`: 1 at least.
    pub bytes_per_second: u64,
    /// `limit-rate-after`: what goes before that counts.
    pub free_bytes: u64,
}
