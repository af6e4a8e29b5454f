//! `proxy::view` and what a commit does around it, at the size of a large cluster.
//!
//! `cargo bench -p portico-proxy --features bench --bench view`. The listeners of `first_load` and
//! `one_moved_commit` are real sockets on 127/8: about 10,100 descriptors.

use std::sync::Arc;

use divan::{Bencher, black_box};
use portico_config::snapshot::Snapshot;
use portico_proxy::bench::{Views, cluster, with_moved};
use portico_proxy::{Options, Proxy, Worker};

fn main() {
    divan::main();
}

const SERVICES: usize = 10_000;

/// A view from nothing.
#[divan::bench]
fn full(bencher: Bencher<'_, '_>) {
    let snapshot = Arc::new(cluster(SERVICES));
    bencher.bench(|| Views::default().next(black_box(&snapshot)));
}

/// A view from the one before, in which one Service has other endpoints.
#[divan::bench]
fn one_moved(bencher: Bencher<'_, '_>) {
    let (mut views, mut turn) = (Views::default(), 0);
    let first = cluster(SERVICES);
    let _ = views.next(&Arc::new(first.clone()));
    bencher
        .with_inputs(move || next(&first, &mut turn))
        .bench_local_refs(|snapshot| views.next(snapshot));
}

/// A view from the one before, to which a Service came and from which one left.
#[divan::bench]
fn one_came_one_left(bencher: Bencher<'_, '_>) {
    let mut views = Views::default();
    let all = cluster(SERVICES);
    let (mut even, mut odd) = (all.clone(), all);
    even.services.pop_first();
    odd.services.pop_last();
    let (even, odd) = (Arc::new(even), Arc::new(odd));
    let mut turn = 0_u32;
    bencher.bench_local(move || {
        turn += 1;
        views.next(if turn.is_multiple_of(2) { &even } else { &odd })
    });
}

/// Everything that the proxy does on the control side, with open listeners.
#[divan::bench]
fn one_moved_commit(bencher: Bencher<'_, '_>) {
    let (mut proxy, _workers) = plane();
    let first = cluster(SERVICES);
    commit(&mut proxy, &Arc::new(first.clone()));
    let mut turn = 0;
    bencher
        .with_inputs(move || next(&first, &mut turn))
        .bench_local_refs(|snapshot| commit(&mut proxy, snapshot));
}

/// The first snapshot: every view and every socket.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn first_load(bencher: Bencher<'_, '_>) {
    let snapshot = Arc::new(cluster(SERVICES));
    bencher
        .with_inputs(plane)
        .bench_local_values(|(mut proxy, workers)| {
            commit(&mut proxy, &snapshot);
            (proxy, workers)
        });
}

fn plane() -> (Proxy, Vec<Worker>) {
    let descriptors = 4 * u64::try_from(SERVICES).unwrap_or(u64::MAX);
    Proxy::new(Options { workers: 2, descriptors, ..Options::default() })
}

fn commit(proxy: &mut Proxy, snapshot: &Arc<Snapshot>) {
    let prepared = proxy.prepare(snapshot);
    proxy.commit(prepared);
}

fn next(first: &Snapshot, turn: &mut usize) -> Arc<Snapshot> {
    *turn += 1;
    Arc::new(with_moved(first, *turn * 7 % SERVICES, *turn))
}
