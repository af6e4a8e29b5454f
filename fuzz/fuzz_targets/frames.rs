//! Any bytes as the frames of a client of HTTP/2: a backend sees of each stream nothing, or one request
//! that another reader reads alike, wherever the bytes were cut.
//!
//! `cargo fuzz run --sanitizer none frames -- -timeout=10 -max_len=8192`

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    portico_proxy::bench::hold_frames(bytes, usize::from(cut));
});
