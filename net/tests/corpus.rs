//! The seeds of the fuzz target `proxy_header`, replayed.

mod proxy_header;

use std::path::Path;

#[test]
fn every_seed_is_a_header_or_refused_however_it_is_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/proxy_header");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("it can be listed").path();
        proxy_header::hold(&std::fs::read(&path).expect("a seed"));
        count += 1;
    }
    assert!(count >= 12, "{count} seeds");
}
