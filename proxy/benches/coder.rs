//! `proxy::l7::h1::coder`: a MiB of JSON brought into each coding, and what a body takes that is open.
//!
//! `cargo bench -p portico-proxy --features bench --bench coder`. Memory is what the process has more of it
//! resident for each of a hundred bodies, those of C included.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use portico_proxy::bench::Recoder;

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

fn main() {
    // All stay open to the end, so that nobody gets what another gave back.
    let all: Vec<Recoder> = CODINGS.into_iter().map(memory).collect();
    drop(all);
    divan::main();
}

#[allow(clippy::print_stdout, reason = "a bench says what it finds")]
fn memory(name: &str) -> Recoder {
    let mut recoder = Recoder::new(name).expect("a coding that there is");
    let body = body(BODY_BYTES);
    let before = resident_kib();
    for _ in 0..OPEN {
        recoder.begin(&body).expect("room for that many");
    }
    let more = resident_kib() - before;
    let length = Recoder::new(name).and_then(|it| it.whole(&body));
    let percent = 100 * length.expect("it is coded") / body.len();
    println!("{name}: {} KiB for each that is open; {percent} % of the body's length", more / OPEN);
    recoder
}

#[divan::bench(args = CODINGS)]
fn recode(bencher: Bencher<'_, '_>, name: &str) {
    let recoder = Recoder::new(name).expect("a coding that there is");
    let body = body(BODY_BYTES);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench_local(|| recoder.whole(black_box(&body)));
}

/// JSON such as an API would list: names and numbers that differ, words that return.
fn body(bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "lamp", "blue", "large", "paper", "river", "stone", "cloud", "north", "table", "green",
        "small", "glass", "light", "round", "metal", "south",
    ];
    let (mut body, mut state) = (String::from("["), 1_u32);
    let mut next = |most: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % most
    };
    while body.len() < bytes {
        let words: Vec<&str> = (0..6).map(|_| WORDS[next(WORDS.len())]).collect();
        body.push_str(&format!(
            "{{\"id\":{},\"name\":\"{} {}\",\"price\":{}.{:02},\"text\":\"a {} {} with {} and {}\"}},\n",
            next(1_000_000),
            words[0],
            words[1],
            next(900),
            next(100),
            words[2],
            words[3],
            words[4],
            words[5],
        ));
    }
    body.truncate(bytes);
    body.into_bytes()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).unwrap_or(0)
}

const BODY_BYTES: usize = 1 << 20;
/// Fewer than a worker may have.
const OPEN: usize = 100;
