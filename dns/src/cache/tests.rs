//! The cache (`dns 4.2`) by its own clock: every `now` is given.

use super::*;
use crate::forward::metrics::Metrics;

const KEEP: Keep = Keep { bytes: 1 << 20, stale: None, prefetch: false };
const SECOND: Duration = Duration::from_secs(1);

fn cache() -> Arc<Cache> {
    Arc::new(Cache::new(Metrics::new().cache_counts()))
}

/// A response that lives this long.
fn lives(seconds: u64) -> Arc<Response> {
    Arc::new(Response::living(Duration::from_secs(seconds), &[]))
}

fn look(cache: &Arc<Cache>, key: &[u8], now: Instant, keep: Keep) -> Looked<()> {
    cache.look(key, now, keep, || Some(()))
}

/// Asks and keeps `response`.
fn put(cache: &Arc<Cache>, key: &[u8], response: &Arc<Response>, now: Instant, keep: Keep) {
    match look(cache, key, now, keep) {
        Looked::Waits { flight: Some(flight), .. } => flight.land(response, now, keep),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_response_is_found_until_it_ends() {
    let (cache, now, response) = (cache(), Instant::now(), lives(10));
    put(&cache, b"a", &response, now, KEEP);
    for (after, want) in [(0, 0), (1, 1), (9, 9)] {
        let found = look(&cache, b"a", now + after * SECOND, KEEP);
        let Looked::Found(found, age, None) = found else { panic!("after {after} s") };
        assert!(Arc::ptr_eq(&found, &response) && age == Age::Kept(want), "after {after} s");
    }
    assert!(matches!(look(&cache, b"a", now + 10 * SECOND, KEEP), Looked::Waits { .. }));
    assert!(matches!(look(&cache, b"b", now, KEEP), Looked::Waits { stale: None, .. }));
}

#[test]
fn one_asks_and_all_who_wait_are_told() {
    let (cache, now, response) = (cache(), Instant::now(), lives(10));
    let Looked::Waits { mut told, flight: Some(flight), .. } = look(&cache, b"a", now, KEEP) else {
        panic!("the first asks")
    };
    let Looked::Waits { told: mut second, flight: None, .. } = look(&cache, b"a", now, KEEP) else {
        panic!("the second waits")
    };
    assert!(told.try_recv().is_err() && second.try_recv().is_err());
    flight.land(&response, now, KEEP);
    assert!(Arc::ptr_eq(&told.try_recv().unwrap(), &response));
    assert!(Arc::ptr_eq(&second.try_recv().unwrap(), &response));
}

#[test]
fn who_waits_hears_that_nobody_asks_any_more() {
    let (cache, now) = (cache(), Instant::now());
    let Looked::Waits { mut told, flight, .. } = look(&cache, b"a", now, KEEP) else { panic!() };
    drop(flight);
    assert!(matches!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    let again = look(&cache, b"a", now, KEEP);
    assert!(matches!(again, Looked::Waits { flight: Some(_), .. }), "the next one asks");
}

#[test]
fn without_a_place_nobody_waits() {
    let (cache, now) = (cache(), Instant::now());
    assert!(matches!(cache.look(b"a", now, KEEP, || None::<()>), Looked::Full));
    assert!(matches!(look(&cache, b"a", now, KEEP), Looked::Waits { flight: Some(_), .. }));
}

#[test]
fn memory_is_bounded_and_what_is_asked_for_stays() {
    let (cache, now) = (cache(), Instant::now());
    let keep = Keep { bytes: SHARDS * 8 * 1024, ..KEEP };
    put(&cache, b"often", &lives(100), now, keep);
    for number in 0..2000_u32 {
        put(&cache, &number.to_be_bytes(), &lives(100), now, keep);
        let found = look(&cache, b"often", now, keep);
        assert!(matches!(found, Looked::Found(..)), "after {number} others");
        assert!(cache.bytes() <= keep.bytes);
    }
    let (entries, _) = cache.entries();
    assert!((100..2000).contains(&entries), "{entries}");
    let huge = Arc::new(Response::living(SECOND, &[7; 9000]));
    put(&cache, b"huge", &huge, now, keep);
    assert!(
        matches!(look(&cache, b"huge", now, keep), Looked::Waits { .. }),
        "larger than a shard"
    );
    let nothing = Keep { bytes: 0, ..KEEP };
    put(&cache, b"c", &lives(100), now, nothing);
    assert!(matches!(look(&cache, b"c", now, nothing), Looked::Waits { .. }));
}

#[test]
fn what_has_expired_stands_in_while_upstreams_fail() {
    let (cache, now, response) = (cache(), Instant::now(), lives(10));
    let keep = Keep { stale: Some(60 * SECOND), ..KEEP };
    put(&cache, b"a", &response, now, keep);
    let late = now + 11 * SECOND;
    let Looked::Waits { stale: Some(stale), flight: Some(flight), .. } =
        look(&cache, b"a", late, keep)
    else {
        panic!("it is asked again, with something to stand in")
    };
    assert!(Arc::ptr_eq(&stale, &response));
    flight.land(&Arc::new(Response::failure(22)), late, keep);
    let Looked::Found(found, Age::Stale, None) = look(&cache, b"a", late + SECOND, keep) else {
        panic!("upstreams rest")
    };
    assert!(Arc::ptr_eq(&found, &response));
    let rested = look(&cache, b"a", late + REST, keep);
    assert!(matches!(rested, Looked::Waits { stale: Some(_), flight: Some(_), .. }));
    drop(rested);
    let over = look(&cache, b"a", now + 70 * SECOND, keep);
    assert!(matches!(over, Looked::Waits { stale: None, .. }), "an end to everything");
    drop(over);
    let off = look(&cache, b"a", late, KEEP);
    assert!(matches!(off, Looked::Waits { stale: None, .. }), "off by default");
}

#[test]
fn what_is_asked_for_often_is_fetched_ahead() {
    let (cache, now) = (cache(), Instant::now());
    let keep = Keep { prefetch: true, ..KEEP };
    put(&cache, b"a", &lives(100), now, keep);
    let due = now + 91 * SECOND;
    let mut refreshes = Vec::new();
    for _ in 0..5 {
        let Looked::Found(_, _, flight) = look(&cache, b"a", due, keep) else { panic!() };
        refreshes.push(flight);
    }
    let begun: Vec<_> = refreshes.iter().map(Option::is_some).collect();
    assert_eq!(begun, [false, false, true, false, false], "once it is often, and once at a time");
    let Some(flight) = refreshes.into_iter().flatten().next() else { panic!() };
    flight.land(&lives(100), due, keep);
    let Looked::Found(_, age, None) = look(&cache, b"a", due + SECOND, keep) else { panic!() };
    assert_eq!(age, Age::Kept(1));
}

#[test]
fn what_was_asked_before_everything_was_forgotten_is_not_kept() {
    let (cache, now) = (cache(), Instant::now());
    put(&cache, b"kept", &lives(10), now, KEEP);
    let Looked::Waits { mut told, flight: Some(flight), .. } = look(&cache, b"a", now, KEEP) else {
        panic!()
    };
    cache.clear();
    assert_eq!((cache.entries(), cache.bytes()), ((0, 0), 0));
    flight.land(&lives(10), now, KEEP);
    assert!(told.try_recv().is_ok(), "who waits is told all the same");
    assert!(matches!(look(&cache, b"a", now, KEEP), Looked::Waits { .. }));
}
