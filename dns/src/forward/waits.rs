//! How many questions wait for upstreams: over all workers, and of one client, so that who asks for
//! many names that nobody knows keeps nobody else from asking (`reliability 2.9`).

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use portico_net::limit::{Seat, SourceLimit};

/// Those that wait.
#[derive(Debug)]
pub(crate) struct Waits {
    all: AtomicUsize,
    of_clients: SourceLimit,
}

impl Default for Waits {
    fn default() -> Self {
        Self { all: AtomicUsize::new(0), of_clients: SourceLimit::new(MOST_OF_CLIENT) }
    }
}

impl Waits {
    /// A place for one more question of `client`, which [`leave`](Self::leave) gives back; none where
    /// there is none.
    pub(crate) fn enter(&self, client: IpAddr) -> Option<Seat> {
        let seat = self.of_clients.enter(client)?;
        if self.all.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            self.leave();
            return None;
        }
        Some(seat)
    }

    /// Takes a place back, beside the client's own.
    pub(crate) fn leave(&self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Of all clients.
const MOST_WAITING: usize = 1000;
/// Of one.
const MOST_OF_CLIENT: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_thousand_places_and_a_hundred_for_one_client() {
        let waits = Waits::default();
        for _ in 0..2 {
            let mut held = Vec::new();
            for (client, want) in [("192.0.2.1", 100), ("127.0.0.1", 900), ("192.0.2.2", 0)] {
                let client = client.parse().unwrap();
                let seats: Vec<Seat> = std::iter::from_fn(|| waits.enter(client)).collect();
                assert_eq!(seats.len(), want, "reliability 4: {client}");
                held.extend(seats);
            }
            held.iter().for_each(|_| waits.leave());
        }
    }
}
