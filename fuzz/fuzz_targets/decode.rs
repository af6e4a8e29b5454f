//! Any bytes as the content of a manifest: no panic, bounded time and memory.
//!
//! `cargo fuzz run --sanitizer none decode -- -timeout=10 -rss_limit_mb=1024`

#![no_main]

use std::path::PathBuf;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;

fuzz_target!(|content: &[u8]| {
    let settings = Arc::new(Settings::default());
    let mut pipeline = Pipeline::new(settings, HostFacts::default(), Assignments::default());
    let written = vec![(Arc::new(PathBuf::from("fuzz.yaml")), content.into())];
    pipeline.apply(Changes { written, ..Changes::default() }, 0);
});
