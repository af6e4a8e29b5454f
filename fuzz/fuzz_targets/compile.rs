//! A run of edits over several files: no panic, and what is compiled for a change alone is what is
//! compiled for everything.
//!
//! `cargo fuzz run --sanitizer none compile -- -timeout=10 -max_len=8192`

#![no_main]

#[path = "../../config/tests/same/mod.rs"]
mod same;
#[path = "../../config/tests/script/mod.rs"]
mod script;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| script::play(content, "fuzz"));
