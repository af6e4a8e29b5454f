//! How a set of endpoints is balanced (`services 4.1.8`), one file for each way.
//!
//! ```text
//! weights, addresses ─▶ Balancer (built with the view) ─▶ pick(turn, client) ─▶ index
//! load of each endpoint ─────────▶ least, better_of_two (when asked) ─┘
//! ```
//!
//! Invariants: pure; what is random is drawn from the turn, which each flow has for itself, so all
//! workers draw from one sequence without a lock. What can be computed beforehand is; nothing here
//! allocates when a flow comes. Who is left out of a choice, and who is next, is `select`'s work.

mod ewma;
mod least;
mod maglev;
mod random;
mod rendezvous;
mod round_robin;

use std::net::{IpAddr, SocketAddr};

use portico_config::model::Balance;

pub(super) use ewma::{Latency, better_of_two};
pub(super) use least::least;
pub(super) use rendezvous::ranked;

/// A set's way to balance, with what it needs.
#[derive(Debug)]
pub(super) enum Balancer {
    RoundRobin(round_robin::Schedule),
    Random(random::Shares),
    LeastConnections,
    Ewma,
    Maglev(maglev::Table),
}

impl Balancer {
    /// For a set in the order of its addresses, each with its weight.
    pub(super) fn new(balance: Balance, members: &[(SocketAddr, u16)]) -> Self {
        let weights = || {
            members
                .iter()
                .map(|(_, weight)| *weight)
                .collect::<Vec<_>>()
        };
        match balance {
            Balance::RoundRobin => Self::RoundRobin(round_robin::Schedule::new(&weights())),
            Balance::Random => Self::Random(random::Shares::new(&weights())),
            Balance::LeastConnections => Self::LeastConnections,
            Balance::Ewma => Self::Ewma,
            Balance::Maglev => Self::Maglev(maglev::Table::new(members)),
        }
    }

    /// The endpoint of a turn or a client; those of further `attempt`s are drawn by weight. None:
    /// load decides.
    pub(super) fn pick(&self, turn: u64, client: IpAddr, attempt: u64) -> Option<usize> {
        match (self, attempt) {
            (Self::RoundRobin(schedule), 0) => Some(schedule.at(turn)),
            (Self::RoundRobin(schedule), _) => Some(schedule.at(mix(turn, attempt))),
            (Self::Random(shares), _) => Some(shares.at(mix(turn, attempt))),
            (Self::Maglev(table), _) => Some(table.at(mix(hash(client), attempt))),
            (Self::LeastConnections | Self::Ewma, _) => None,
        }
    }
}

/// A number that looks random, out of two (SplitMix64).
pub(super) fn mix(seed: u64, round: u64) -> u64 {
    let seed = seed ^ round.wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A place below `below` for a random number, which must not be 0.
pub(super) fn place(random: u64, below: usize) -> usize {
    let product = u128::from(random) * below as u128;
    usize::try_from(product >> 64).unwrap_or(0)
}

/// The same for an address on every machine and in every run.
pub(super) fn hash(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => mix(u64::from(address.to_bits()), 4),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
            mix(mix(u64::try_from(bits >> 64).unwrap_or(0), 6), low)
        }
    }
}

/// Weights of which at least one counts: where all are 0, all are 1.
fn counting(weights: &[u16]) -> Vec<u16> {
    match weights.iter().all(|weight| *weight == 0) {
        true => vec![1; weights.len()],
        false => weights.to_vec(),
    }
}
