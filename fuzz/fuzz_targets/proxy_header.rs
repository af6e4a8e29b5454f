//! Any bytes as the beginning of a connection that has to name its client: no panic, and the same
//! answer wherever the bytes were cut.
//!
//! `cargo fuzz run --sanitizer none proxy_header -- -timeout=10 -max_len=4200`

#![no_main]

#[path = "../../net/tests/proxy_header/mod.rs"]
mod proxy_header;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| proxy_header::hold(content));
