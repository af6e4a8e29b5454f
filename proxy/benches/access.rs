//! `proxy::l7::access`: the line of a request, from its head to the batch.
//!
//! `cargo bench -p portico-proxy --features bench --bench access`. Batches go to a thread that writes them
//! to nowhere.

use divan::{Bencher, black_box};
use portico_proxy::bench::Lines;

fn main() {
    divan::main();
}

#[divan::bench(args = ["common", "combined", "json"])]
fn line(bencher: Bencher<'_, '_>, format: &str) {
    let lines = Lines::new(format).expect("a format that there is");
    bencher.bench_local(|| lines.write(black_box("/shop/items/7?page=2")));
}
