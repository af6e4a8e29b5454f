//! Any bytes as what a client sends to the front door: a backend sees nothing, or one request that
//! another reader reads alike, wherever the bytes were cut.
//!
//! `cargo fuzz run --sanitizer none request -- -timeout=10 -max_len=8192`

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    portico_proxy::bench::hold_codec(bytes, usize::from(cut));
});
