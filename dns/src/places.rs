//! The connections of one listener on one worker: how many, whose, and which goes where there is no
//! room (`dns 3.4`; RFC 7766 §6.2, RFC 9210 §3).
//!
//! A connection *rests* while nothing of its is owed: no question is being answered and no reply being
//! sent. Where all places are taken, or all of one client, the one that has rested longest gives its up;
//! where none rests, the new one is closed. Once half are taken each may idle for less time, down to
//! [`SHORTEST_IDLE`]. Invariants: no I/O; what is owed is never given up; a place is counted until it is
//! dropped or given up, once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};
use tokio::task::AbortHandle;

/// The places of one listener.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_of_client: usize,
    open: RefCell<Open>,
    metrics: Metrics,
}

/// One of them, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Rc<Places>,
    number: u64,
    seat: Rc<Seat>,
}

/// What is counted of connections, over all listeners and workers.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    open: IntGauge,
    /// By limit: of the listener, of one client.
    refused: [IntCounter; 2],
    given_up: [IntCounter; 2],
    vectors: [IntCounterVec; 2],
}

#[derive(Debug, Default)]
struct Open {
    seats: HashMap<u64, Rc<Seat>>,
    by_client: HashMap<IpAddr, usize>,
    last: u64,
}

#[derive(Debug)]
struct Seat {
    client: IpAddr,
    /// None while something is owed.
    rests_since: Cell<Option<Instant>>,
    /// Ends the task that serves it.
    task: RefCell<Option<AbortHandle>>,
}

impl Places {
    /// At most `most` places, and of one client at most `most_of_client`.
    pub(crate) fn new((most, most_of_client): (usize, usize), metrics: Metrics) -> Rc<Self> {
        Rc::new(Self { most, most_of_client, open: RefCell::default(), metrics })
    }

    /// A place for a client; none where all are taken by such that wait for something.
    pub(crate) fn enter(self: &Rc<Self>, client: IpAddr, now: Instant) -> Option<Place> {
        let of_client = self.open.borrow().of_client(client);
        let is_room = (of_client < self.most_of_client || self.give_up(Some(client)))
            && (self.open.borrow().seats.len() < self.most || self.give_up(None));
        if !is_room {
            return None;
        }
        let rests_since = Cell::new(Some(now));
        let seat = Rc::new(Seat { client, rests_since, task: RefCell::default() });
        let mut open = self.open.borrow_mut();
        open.last += 1;
        let number = open.last;
        open.seats.insert(number, Rc::clone(&seat));
        *open.by_client.entry(client).or_default() += 1;
        self.metrics.open.inc();
        Some(Place { places: Rc::clone(self), number, seat })
    }

    /// Closes what has rested longest, of one client or of all; whether there was any.
    fn give_up(&self, client: Option<IpAddr>) -> bool {
        let limit = usize::from(client.is_some());
        let longest = {
            let open = self.open.borrow();
            let of_client = |seat: &Seat| client.is_none_or(|client| seat.client == client);
            let seats = open.seats.iter().filter(|(_, seat)| of_client(seat));
            let resting =
                seats.filter_map(|(number, seat)| Some((seat.rests_since.get()?, *number)));
            resting.min()
        };
        let Some((_, number)) = longest else {
            self.metrics.refused[limit].inc();
            return false;
        };
        self.metrics.given_up[limit].inc();
        let task = self.leave(number).and_then(|seat| seat.task.take());
        if let Some(task) = task {
            task.abort();
        }
        true
    }

    fn leave(&self, number: u64) -> Option<Rc<Seat>> {
        let mut open = self.open.borrow_mut();
        let seat = open.seats.remove(&number)?;
        self.metrics.open.dec();
        match open.of_client(seat.client) {
            0 | 1 => _ = open.by_client.remove(&seat.client),
            more => _ = open.by_client.insert(seat.client, more - 1),
        }
        Some(seat)
    }
}

impl Open {
    fn of_client(&self, client: IpAddr) -> usize {
        self.by_client.get(&client).copied().unwrap_or(0)
    }
}

impl Place {
    /// Takes what ends the task that serves it, once the place itself is with that task.
    pub(crate) fn served_by(&self) -> impl FnOnce(AbortHandle) + use<> {
        let seat = Rc::clone(&self.seat);
        move |task| drop(seat.task.replace(Some(task)))
    }

    /// Something is owed from now on.
    pub(crate) fn works(&self) {
        self.seat.rests_since.set(None);
    }

    /// Nothing is owed; where that is not new it rests as long as it did.
    pub(crate) fn rests(&self) {
        if self.seat.rests_since.get().is_none() {
            self.seat.rests_since.set(Some(Instant::now()));
        }
    }

    /// How long it may idle now.
    pub(crate) fn idle(&self) -> Duration {
        idle(self.places.open.borrow().seats.len(), self.places.most)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.places.leave(self.number));
    }
}

/// How long each may idle where `taken` of `most` places are.
fn idle(taken: usize, most: usize) -> Duration {
    let free = most.saturating_sub(taken);
    if free >= most.div_ceil(2) {
        return IDLE;
    }
    let share = u32::try_from(2 * free * 1000 / most.max(1)).unwrap_or(1000);
    (IDLE * share / 1000).max(SHORTEST_IDLE)
}

impl Metrics {
    /// All of them at zero.
    pub(crate) fn new() -> Self {
        let open = IntGauge::new("portico_dns_tcp_connections", "Connections to the resolver now.");
        let vectors = [
            (
                "portico_dns_tcp_refused_total",
                "Connections closed at once because a limit was reached.",
            ),
            (
                "portico_dns_tcp_given_up_total",
                "Idle connections closed for others because a limit was reached.",
            ),
        ];
        let vectors = vectors.map(|(name, help)| {
            IntCounterVec::new(Opts::new(name, help), &["limit"]).expect("the names are valid")
        });
        let [refused, given_up] = [&vectors[0], &vectors[1]]
            .map(|vector| ["listener", "client"].map(|limit| vector.with_label_values(&[limit])));
        Self { open: open.expect("the name is valid"), refused, given_up, vectors }
    }

    fn all(&self) -> [&dyn Collector; 3] {
        [&self.open, &self.vectors[0], &self.vectors[1]]
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let all = self.all().into_iter();
        all.flat_map(Collector::collect).collect()
    }
}

/// How long a connection may idle.
const IDLE: Duration = Duration::from_secs(10);
/// The same where there is hardly room.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn a_client_has_a_limit_and_gets_its_place_back() {
        let places = Places::new((4, 3), Metrics::new());
        let now = Instant::now();
        let enter = |last| {
            let place = places.enter(client(last), now);
            place.inspect(Place::works)
        };
        let mut taken: Vec<_> = (0..3).map(|_| enter(1).unwrap()).collect();
        assert!(enter(1).is_none(), "dns 3.4: of one client");
        taken.push(enter(2).unwrap());
        assert!(enter(3).is_none(), "dns 3.4: in all");
        taken.swap_remove(0);
        assert!(enter(1).is_some());
        drop(taken);
        let open = places.open.borrow();
        assert_eq!((open.seats.len(), open.by_client.len()), (0, 0));
        let counts = [&places.metrics.refused, &places.metrics.given_up];
        let counts = counts.map(|of| of.each_ref().map(IntCounter::get));
        assert_eq!(counts, [[1, 1], [0, 0]]);
    }

    #[test]
    fn what_has_rested_longest_goes_and_what_works_stays() {
        let places = Places::new((3, 2), Metrics::new());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = places.enter(client(1), at(0)).unwrap();
        let second = places.enter(client(1), at(1)).unwrap();
        let third = places.enter(client(2), at(2)).unwrap();
        first.works();
        let fourth = places.enter(client(1), at(3)).unwrap();
        let numbers = || {
            let mut numbers: Vec<_> = places.open.borrow().seats.keys().copied().collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(numbers(), [1, 3, 4], "of this client the one that rests");
        let _fifth = places.enter(client(3), at(4)).unwrap();
        assert_eq!(numbers(), [1, 4, 5], "the oldest of all that rest");
        drop((second, third));
        assert_eq!(numbers(), [1, 4, 5], "given up and dropped counts once");
        fourth.works();
        assert!(places.enter(client(1), at(5)).is_none(), "nothing of this client rests");
    }

    #[test]
    fn the_fuller_it_is_the_less_may_idle() {
        for (taken, most, want) in [
            (1, 1024, 10_000),
            (512, 1024, 10_000),
            (768, 1024, 5_000),
            (1000, 1024, 1_000),
            (1024, 1024, 1_000),
            (1, 1, 1_000),
            (1, 2, 10_000),
            (0, 0, 10_000),
        ] {
            assert_eq!(idle(taken, most), Duration::from_millis(want), "{taken} of {most}");
        }
    }
}
