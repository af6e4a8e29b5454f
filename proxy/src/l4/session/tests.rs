//! The table by cases, and against a model that keeps a plain list and looks through all of it.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::fair::prefix;
use super::*;

fn client(network: u8, number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, network, number], 40_000))
}

fn key(front: u64, client: SocketAddr) -> Key {
    Key { front: FrontId(front), local: Ipv4Addr::LOCALHOST.into(), client }
}

fn endpoint(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, number], 53))
}

/// Opens a session of `client` to endpoint 1 under stamp 1.
fn open(table: &mut SessionTable<()>, client: SocketAddr, now: Instant) -> SessionId {
    table.open(key(1, client), 1, endpoint(1), 1, (), now)
}

/// What becomes of a datagram: `forward`, `open`, or why its session ended.
fn ask(table: &mut SessionTable<()>, client: SocketAddr, stamp: u64, now: Instant) -> String {
    let serves = |to: SocketAddr| to == endpoint(1);
    match table.ask(&key(1, client), 1, stamp, serves, now) {
        Ask::Forward(_) => "forward".to_owned(),
        Ask::Open => "open".to_owned(),
        Ask::Repick(ended) => format!("{:?}", ended.why),
    }
}

#[test]
fn a_session_lasts_thirty_seconds_and_two_minutes_once_both_directions_repeated() {
    for (case, asked, answered, seconds, want) in [
        ("one question", 1, 0, 29, "forward"),
        ("one question, late", 1, 0, 30, "Idle"),
        ("one exchange, late", 1, 1, 30, "Idle"),
        ("many questions without an answer, late", 9, 0, 30, "Idle"),
        ("one question with many answers, late", 1, 9, 30, "Idle"),
        ("two exchanges", 2, 2, 119, "forward"),
        ("two exchanges, late", 2, 2, 120, "Idle"),
    ] {
        let (mut table, start) = (SessionTable::new(9), Instant::now());
        let id = open(&mut table, client(1, 1), start);
        for _ in 1..asked {
            assert_eq!(ask(&mut table, client(1, 1), 1, start), "forward", "{case}");
        }
        if answered > 0 {
            table.answered(id, answered, start);
        }
        let later = start + Duration::from_secs(seconds);
        assert_eq!(ask(&mut table, client(1, 1), 1, later), want, "{case}");
    }
}

#[test]
fn a_session_is_looked_at_again_where_its_front_has_a_new_stamp() {
    for (case, to, refused, stamp, want) in [
        ("same stamp", 2, false, 1, "forward"),
        ("new stamp, the endpoint serves", 1, false, 2, "forward"),
        ("new stamp, the endpoint is gone", 2, false, 2, "Endpoint"),
        ("refused", 1, true, 1, "Refused"),
    ] {
        let (mut table, now) = (SessionTable::new(9), Instant::now());
        let id = table.open(key(1, client(1, 1)), 1, endpoint(to), 1, (), now);
        if refused {
            table.refused(id);
        }
        assert_eq!(ask(&mut table, client(1, 1), stamp, now), want, "{case}");
        let gone = usize::from(want == "forward");
        assert_eq!((table.len(), table.waiting()), (gone, gone), "{case}");
    }
}

#[test]
fn an_answer_shows_that_an_endpoint_is_back() {
    let (mut table, now) = (SessionTable::new(9), Instant::now());
    let id = open(&mut table, client(1, 1), now);
    table.refused(id);
    table.answered(id, 1, now);
    assert_eq!(ask(&mut table, client(1, 1), 1, now), "forward");
}

#[test]
fn a_full_table_gives_up_the_unanswered_of_the_largest_network_first() {
    let (mut table, now) = (SessionTable::new(5), Instant::now());
    let mut victims = Vec::new();
    let mut come = |table: &mut SessionTable<()>, who: SocketAddr, answered: bool| {
        if let Some(ended) = table.make_room() {
            victims.push(ended.session.key.client);
        }
        let id = open(table, who, now);
        if answered {
            table.answered(id, 1, now);
        }
    };
    for number in 1..=2 {
        come(&mut table, client(1, number), true);
    }
    come(&mut table, client(2, 1), false);
    come(&mut table, client(3, 1), false);
    come(&mut table, client(3, 2), false);
    assert_eq!(ask(&mut table, client(3, 1), 1, now), "forward", "now 3.2 was silent longest");
    come(&mut table, client(4, 1), true); // room: 3.2, of the largest network
    come(&mut table, client(5, 1), true); // room: 2.1, unanswered, came before network 3
    come(&mut table, client(6, 1), true); // room: 3.1, the last unanswered one
    come(&mut table, client(7, 1), false); // room: 1.1, of the largest network
    let want = [(3, 2), (2, 1), (3, 1), (1, 1)].map(|(network, number)| client(network, number));
    assert_eq!(victims, want);
    assert_eq!(table.len(), 5);
}

#[test]
fn a_sweep_in_parts_ends_what_is_idle_and_what_the_judge_says() {
    let (mut table, start) = (SessionTable::new(99), Instant::now());
    for number in 0..10 {
        table.open(key(1, client(1, number)), 1, endpoint(number), 1, (), start);
    }
    let later = start + Duration::from_secs(30);
    for number in 4..10 {
        let found = table.ask(&key(1, client(1, number)), 1, 1, |_| true, start + IDLE_ONCE / 2);
        assert!(matches!(found, Ask::Forward(_)), "{number}");
    }
    let mut ended = Vec::new();
    let judge = |key: &Key, stamp: u64, _| match key.client.ip() {
        ip if ip == client(1, 7).ip() => Err(SessionEnd::Endpoint),
        _ => Ok(stamp),
    };
    let mut parts = 1;
    while !table.sweep(3, later, judge, |it| ended.push(it.why)) {
        parts += 1;
    }
    assert_eq!((parts, ended), (4, vec![SessionEnd::Idle; 4]));
    // Its client waits for an answer, so it had that sweep; now it goes.
    let mut ended = Vec::new();
    assert!(table.sweep(99, later, judge, |it| ended.push(it.why)));
    assert_eq!((ended, table.len()), (vec![SessionEnd::Endpoint], 5));
}

#[test]
fn a_client_is_of_the_network_of_its_provider() {
    for (case, one, other, same) in [
        ("a /24", "192.0.2.1", "192.0.2.254", true),
        ("its neighbour", "192.0.2.1", "192.0.3.1", false),
        ("a /56", "2001:db8:0:1200::1", "2001:db8:0:12ff::9", true),
        ("its neighbour", "2001:db8:0:1200::1", "2001:db8:0:1300::1", false),
        ("IPv4 inside IPv6", "::ffff:192.0.2.1", "192.0.2.7", true),
        ("IPv6 of small numbers", "::", "0.0.0.0", false),
    ] {
        let [one, other] = [one, other].map(|text| prefix(text.parse().unwrap()));
        assert_eq!(one == other, same, "{case}");
    }
}

/// The same rules by looking through a list.
#[derive(Debug, Default)]
struct Model {
    /// In the order of their last datagrams.
    sessions: Vec<Entry>,
    /// Networks that have a session, in the order in which they came.
    networks: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    key: Key,
    endpoint: SocketAddr,
    stamp: u64,
    last: Instant,
    asked: usize,
    answered: usize,
    refused: bool,
    waiting: bool,
    stale: bool,
}

impl Entry {
    fn is_idle(&self, now: Instant) -> bool {
        let most = if self.asked > 1 && self.answered > 1 { 120 } else { 30 };
        now >= self.last + Duration::from_secs(most)
    }
}

impl Model {
    fn take(&mut self, key: &Key) -> Option<Entry> {
        let index = self.sessions.iter().position(|it| it.key == *key)?;
        let taken = self.sessions.remove(index);
        self.forget();
        Some(taken)
    }

    fn forget(&mut self) {
        let sessions = &self.sessions;
        let stays = |of: &u64| sessions.iter().any(|it| prefix(it.key.client.ip()) == *of);
        self.networks.retain(stays);
    }

    /// Puts a session last; its network stays known meanwhile.
    fn put(&mut self, entry: Entry) {
        let network = prefix(entry.key.client.ip());
        if !self.networks.contains(&network) {
            self.networks.push(network);
        }
        self.sessions.push(entry);
    }

    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Entry)) {
        if let Some(index) = self.sessions.iter().position(|it| it.key == *key) {
            let mut entry = self.sessions.remove(index);
            change(&mut entry);
            self.sessions.push(entry);
        }
    }

    fn victim(&self) -> Option<Key> {
        let class = self.sessions.iter().any(|it| it.answered == 0);
        let of = |network: u64| {
            self.sessions.iter().filter(move |it| {
                (it.answered == 0) == class && prefix(it.key.client.ip()) == network
            })
        };
        let most = self
            .networks
            .iter()
            .map(|network| of(*network).count())
            .max()?;
        let network = self
            .networks
            .iter()
            .find(|network| of(**network).count() == most)?;
        of(*network).next().map(|it| it.key)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask { front: u64, network: u8, number: u8, to: u8 },
    Answer(usize),
    Refuse(usize),
    Endpoints(u8),
    Wait(u64),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask = (0..2_u64, 0..3_u8, 0..4_u8, 0..4_u8)
        .prop_map(|(front, network, number, to)| Step::Ask { front, network, number, to });
    let step = prop_oneof![
        12 => ask,
        6 => (0..8_usize).prop_map(Step::Answer),
        1 => (0..8_usize).prop_map(Step::Refuse),
        1 => (1..16_u8).prop_map(Step::Endpoints),
        2 => (1..70_u64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Both, side by side.
struct Pair {
    table: SessionTable<()>,
    model: Model,
    /// The endpoints that serve, as bits, and the stamp of every front.
    serving: u8,
    stamp: u64,
    now: Instant,
}

const MOST: usize = 6;

impl Pair {
    fn step(&mut self, step: &Step) {
        let serving = self.serving;
        let serves = |to: SocketAddr| (0..8).any(|n| to == endpoint(n) && serving & (1 << n) != 0);
        match *step {
            Step::Ask { front, network, number, to } => {
                self.ask(&key(front, client(network, number)), endpoint(to), serves);
            }
            Step::Answer(index) => self.at(
                index,
                |table, id, now| table.answered(id, 1, now),
                |it, now| {
                    (it.answered, it.last) = (it.answered + 1, now);
                    (it.refused, it.waiting) = (false, false);
                },
            ),
            Step::Refuse(index) => {
                let Some(entry) = self.model.sessions.get_mut(index) else { return };
                (entry.refused, entry.waiting) = (true, false);
                let id = SessionId(self.table.index[&entry.key]);
                self.table.refused(id);
            }
            Step::Endpoints(now_serving) => {
                (self.serving, self.stamp) = (now_serving, self.stamp + 1);
            }
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
            Step::Sweep => {
                let (stamp, now) = (self.stamp, self.now);
                let judge = |_: &Key, old: u64, to| match old == stamp || serves(to) {
                    true => Ok(stamp),
                    false => Err(SessionEnd::Endpoint),
                };
                while !self.table.sweep(2, now, judge, drop) {}
                self.model.sessions.retain_mut(|it| {
                    if it.stamp != stamp && !serves(it.endpoint) {
                        return it.waiting && !std::mem::replace(&mut it.stale, true);
                    }
                    it.stamp = stamp;
                    !it.is_idle(now)
                });
                self.model.forget();
            }
        }
    }

    fn ask(&mut self, key: &Key, to: SocketAddr, serves: impl Fn(SocketAddr) -> bool) {
        let (stamp, now) = (self.stamp, self.now);
        let found = self.table.ask(key, 1, stamp, &serves, now);
        let known = self.model.sessions.iter().find(|it| it.key == *key);
        let stays = known.is_some_and(|it| {
            !it.refused && !it.is_idle(now) && (it.stamp == stamp || serves(it.endpoint))
        });
        match found {
            Ask::Forward(id) => {
                assert!(stays, "forwarded by a session that should have ended: {known:?}");
                assert_eq!(self.table.session(id).unwrap().key, *key);
                return self.model.change(key, |it| {
                    (it.asked, it.last, it.stamp) = (it.asked + 1, now, stamp);
                    (it.waiting, it.stale) = (true, false);
                });
            }
            Ask::Repick(ended) => {
                assert_eq!(Some(ended.session.endpoint), known.map(|it| it.endpoint))
            }
            Ask::Open => assert_eq!(known, None),
        }
        assert!(!stays);
        self.model.take(key);
        if !serves(to) {
            return;
        }
        let victim = (self.model.sessions.len() == MOST)
            .then(|| self.model.victim())
            .flatten();
        assert_eq!(self.table.make_room().map(|it| it.session.key), victim);
        if let Some(victim) = victim {
            self.model.take(&victim);
        }
        self.table.open(*key, 1, to, stamp, (), now);
        let (key, endpoint) = (*key, to);
        self.model.put(Entry {
            key,
            endpoint,
            stamp,
            last: now,
            asked: 1,
            answered: 0,
            refused: false,
            waiting: true,
            stale: false,
        });
    }

    fn at(
        &mut self,
        index: usize,
        table: impl FnOnce(&mut SessionTable<()>, SessionId, Instant),
        model: impl FnOnce(&mut Entry, Instant),
    ) {
        let now = self.now;
        let Some(key) = self.model.sessions.get(index).map(|it| it.key) else { return };
        let id = SessionId(self.table.index[&key]);
        table(&mut self.table, id, now);
        self.model.change(&key, |it| model(it, now));
    }
}

proptest! {
    #[test]
    fn the_table_does_what_a_plain_list_would_do(steps in steps()) {
        let (table, model) = (SessionTable::new(MOST), Model::default());
        let mut pair = Pair { table, model, serving: 15, stamp: 1, now: Instant::now() };
        for step in &steps {
            pair.step(step);
            let mut found: Vec<_> = pair.table.slots.iter().flatten().map(|it| (it.key, it.endpoint)).collect();
            let mut wanted: Vec<_> = pair.model.sessions.iter().map(|it| (it.key, it.endpoint)).collect();
            found.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(found, wanted, "{:?}", step);
            prop_assert!(pair.table.len() <= MOST && pair.table.waiting() <= pair.table.len());
        }
    }
}
