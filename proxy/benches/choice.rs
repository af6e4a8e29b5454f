//! `proxy::upstream::choice`: the endpoint next in turn of a Service that has ten.
//!
//! `cargo bench -p portico-proxy --features bench --bench choice`.

use std::sync::Arc;

use divan::{Bencher, black_box};
use portico_proxy::bench::{Views, cluster};

fn main() {
    divan::main();
}

#[divan::bench]
fn choose(bencher: Bencher<'_, '_>) {
    let view = Views::default().next(&Arc::new(cluster(100)));
    let chooser = view.chooser().expect("there are Services");
    bencher.bench_local(|| black_box(&chooser).choose());
}
