//! Any bytes as an upstream's reply: no panic, and what clients are told of it is never longer than
//! they take and as readable as it came, behind an alias of ours too.
//!
//! `cargo fuzz run --sanitizer none dns_reply -- -timeout=10 -max_len=4096`

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| portico_dns::bench::hold_reply(input));
