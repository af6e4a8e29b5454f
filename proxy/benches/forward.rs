//! `proxy::l7::forward`: a browser's request read, checked and written for a backend.
//!
//! `cargo bench -p portico-proxy --features bench --bench forward`.

use divan::Bencher;
use portico_proxy::bench::{Rewriter, request};

fn main() {
    divan::main();
}

#[divan::bench]
fn rewrite(bencher: Bencher<'_, '_>) {
    let requests: Vec<Vec<u8>> = (0..16).map(request).collect();
    let (rewriter, mut at) = (Rewriter::default(), 0);
    bencher.bench_local(|| {
        at = (at + 1) % requests.len();
        rewriter
            .rewrite(&requests[at])
            .expect("each request is right")
    });
}
