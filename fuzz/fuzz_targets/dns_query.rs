//! Any bytes as a message to the resolver: no panic, and a reply that belongs to it, keeps to its
//! limit and decodes; another reader reads the same question.
//!
//! `cargo fuzz run --sanitizer none dns_query -- -timeout=10 -max_len=4096`

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| portico_dns::bench::hold_query(message));
