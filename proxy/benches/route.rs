//! `proxy::l7::route`: the location of a request, among few hosts and among many.
//!
//! `cargo bench -p portico-proxy --features bench --bench route`.

use std::sync::Arc;

use divan::{Bencher, black_box};
use portico_proxy::bench::{Views, cluster};

fn main() {
    divan::main();
}

#[divan::bench(args = [10, 1_000])]
fn find(bencher: Bencher<'_, '_>, hosts: usize) {
    let view = Views::default().next(&Arc::new(cluster(hosts * 10)));
    let names: Vec<String> = (0..hosts)
        .map(|number| format!("h{}.test", number * 10))
        .collect();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 7) % names.len();
        view.routes(black_box(&names[at]), "/api/v1/items")
    });
}

#[divan::bench(args = [10, 1_000])]
fn find_nothing(bencher: Bencher<'_, '_>, hosts: usize) {
    let view = Views::default().next(&Arc::new(cluster(hosts * 10)));
    bencher.bench_local(|| view.routes(black_box("no-such-host.test"), "/api/v1/items"));
}
