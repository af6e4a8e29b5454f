//! Who goes first when the table is full (`reliability 2.8`).
//!
//! Sessions without an answer before answered ones; of these, one of the network (/24, /56) that
//! has the most of them, of several such networks the one that came first; there the session that
//! was silent longest. So a flood of invented senders pushes out itself, and who was answered stays.
//! Invariants: each session is in one list of its network; no network without a session is kept;
//! a change costs a logarithm of the networks, a datagram nothing of it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// The order in which sessions, named by their place, would have to go.
#[derive(Debug, Default)]
pub(super) struct Order {
    links: Vec<Link>,
    networks: Vec<Network>,
    free: Vec<u32>,
    by_prefix: HashMap<u64, u32>,
    /// For either class, every network that has some: most first, then the oldest.
    ranks: [BTreeSet<(u32, Reverse<u64>, u32)>; 2],
    births: u64,
}

/// Where one session stands.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    network: u32,
    class: Class,
}

/// The sessions of one network.
#[derive(Debug)]
struct Network {
    prefix: u64,
    birth: u64,
    lists: [List; 2],
}

/// From the one that was silent longest to the one that spoke last.
#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    length: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Unanswered = 0,
    Answered = 1,
}

impl Order {
    /// A new session, unanswered yet.
    pub(super) fn join(&mut self, place: u32, client: IpAddr) {
        let network = self.network(prefix(client));
        let link = Link { before: NONE, after: NONE, network, class: Class::Unanswered };
        if self.links.len() <= place as usize {
            self.links.resize(place as usize + 1, link);
        }
        self.links[place as usize] = link;
        self.append(place);
        self.rank(network, Class::Unanswered, 1);
    }

    /// The session spoke.
    pub(super) fn touch(&mut self, place: u32) {
        if self.links[place as usize].after != NONE {
            self.unlink(place);
            self.append(place);
        }
    }

    /// The session was answered.
    pub(super) fn answered(&mut self, place: u32) {
        let Link { network, class, .. } = self.links[place as usize];
        if class == Class::Answered {
            return self.touch(place);
        }
        self.unlink(place);
        self.rank(network, Class::Unanswered, -1);
        self.links[place as usize].class = Class::Answered;
        self.append(place);
        self.rank(network, Class::Answered, 1);
    }

    /// The session ended.
    pub(super) fn leave(&mut self, place: u32) {
        let Link { network, class, .. } = self.links[place as usize];
        self.unlink(place);
        self.rank(network, class, -1);
        let left = &self.networks[network as usize];
        if left.lists.iter().all(|list| list.length == 0) {
            self.by_prefix.remove(&left.prefix);
            self.free.push(network);
        }
    }

    /// Who goes first.
    pub(super) fn victim(&self) -> Option<u32> {
        let mut ranks = [Class::Unanswered, Class::Answered].into_iter();
        ranks.find_map(|class| {
            let (_, _, network) = self.ranks[class as usize].last()?;
            Some(self.networks[*network as usize].lists[class as usize].first)
        })
    }

    fn network(&mut self, prefix: u64) -> u32 {
        if let Some(network) = self.by_prefix.get(&prefix) {
            return *network;
        }
        self.births += 1;
        let new = Network { prefix, birth: self.births, lists: [EMPTY; 2] };
        let network = match self.free.pop() {
            Some(free) => {
                self.networks[free as usize] = new;
                free
            }
            None => {
                self.networks.push(new);
                u32::try_from(self.networks.len() - 1).expect("no more networks than sessions")
            }
        };
        self.by_prefix.insert(prefix, network);
        network
    }

    /// Counts one session more or less of a network, whose list was changed already.
    fn rank(&mut self, network: u32, class: Class, change: i32) {
        let of = &self.networks[network as usize];
        let (length, birth) = (of.lists[class as usize].length, Reverse(of.birth));
        let ranks = &mut self.ranks[class as usize];
        ranks.remove(&(length.saturating_add_signed(-change), birth, network));
        if length > 0 {
            ranks.insert((length, birth, network));
        }
    }

    fn append(&mut self, place: u32) {
        let Link { network, class, .. } = self.links[place as usize];
        let list = &mut self.networks[network as usize].lists[class as usize];
        let before = std::mem::replace(&mut list.last, place);
        list.length += 1;
        match before {
            NONE => list.first = place,
            _ => self.links[before as usize].after = place,
        }
        let link = &mut self.links[place as usize];
        (link.before, link.after) = (before, NONE);
    }

    fn unlink(&mut self, place: u32) {
        let Link { before, after, network, class } = self.links[place as usize];
        let list = &mut self.networks[network as usize].lists[class as usize];
        list.length -= 1;
        match before {
            NONE => list.first = after,
            _ => self.links[before as usize].after = after,
        }
        let list = &mut self.networks[network as usize].lists[class as usize];
        match after {
            NONE => list.last = before,
            _ => self.links[after as usize].before = before,
        }
    }
}

/// The network of a client: its /24, or its /56.
pub(super) fn prefix(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(v4) => 1 << 60 | u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 72).unwrap_or(0),
    }
}

const NONE: u32 = u32::MAX;
const EMPTY: List = List { first: NONE, last: NONE, length: 0 };
