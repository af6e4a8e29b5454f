//! Private stages for `benches/` and fuzzing: no contract.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use portico_config::snapshot::Snapshot;

use crate::answer::{self, Transport};
use crate::build;
use crate::table::{AnswerTable, Found};

/// Holds the reader of questions and what answers them to their promise for any octets; panics where
/// it is broken.
pub fn hold_query(message: &[u8]) {
    crate::hold::query(message);
}

/// The same of the reader of upstreams' replies.
pub fn hold_reply(input: &[u8]) {
    crate::hold::reply(input);
}

/// Makes tables, each from the one before.
#[derive(Debug, Default)]
pub struct Tables(build::Tables);

/// The answers of one generation.
#[derive(Clone, Debug)]
pub struct Table(Arc<AnswerTable>);

impl Tables {
    /// The answers of `snapshot`.
    pub fn next(&mut self, snapshot: &Arc<Snapshot>) -> Table {
        Table(self.0.next(snapshot, &[SocketAddr::new(LOCAL, 53)]))
    }
}

impl Table {
    /// How many names it has.
    pub fn names(&self) -> usize {
        self.0.names.len()
    }

    /// Whether `key`, a lower-case wire name, is one of them.
    pub fn holds(&self, key: &[u8]) -> bool {
        matches!(self.0.find(key), Found::Node(..))
    }

    /// The reply to `message`, over UDP.
    pub fn answer(&self, message: &[u8], reply: &mut Vec<u8>) {
        let peer = SocketAddr::new(LOCAL, 40_000);
        answer::answer(message, peer, LOCAL, Transport::Udp, &self.0, reply);
    }
}

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
