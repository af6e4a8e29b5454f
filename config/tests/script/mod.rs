//! A run of edits as text, for the fuzzer and for the seeds that CI replays.
//!
//! A line `%% NAME` begins what the file NAME holds from now on, and what stands before the first
//! such line is the file `0`; `%%& NAME` does so in the batch of the edit before. Nothing at all is
//! a removal. After each batch what was compiled for the change is held against a compilation of
//! everything, and at the end the order of files against its reverse.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::{Pipeline, Update};
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;

use crate::same::{assert_whole, content, lasting, pretty};

/// Files by name; nothing: the file is gone.
type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// Plays `script`; panics where a result depends on the way to it.
pub(crate) fn play(script: &[u8], name: &str) {
    let settings = settings();
    let mut pipeline = pipeline(&settings);
    let mut files = Files::new();
    for batch in batches(script) {
        files.extend(batch.clone());
        let update = pipeline.apply(changes(batch), 1);
        assert_whole(&mut pipeline, &settings, &update, name);
    }
    let fresh = |reverse: bool| -> Update {
        let mut all = changes(files.clone());
        if reverse {
            all.written.reverse();
        }
        self::pipeline(&settings).apply(all, 1)
    };
    let (forth, back) = (fresh(false), fresh(true));
    pretty(&content(&forth.snapshot), &content(&back.snapshot), name);
    pretty(&lasting(&forth).join("\n"), &lasting(&back).join("\n"), name);
}

/// So few addresses that they run out.
fn settings() -> Arc<Settings> {
    let service_cidrs = vec!["127.96.0.0/29".parse().expect("a network")];
    Arc::new(Settings { service_cidrs, ..Settings::default() })
}

fn pipeline(settings: &Arc<Settings>) -> Pipeline {
    Pipeline::new(Arc::clone(settings), HostFacts::default(), Assignments::default())
}

fn batches(script: &[u8]) -> Vec<Files> {
    let mut batches = vec![Files::new()];
    let mut name = b"0".to_vec();
    for line in script.split_inclusive(|byte| *byte == b'\n') {
        let batch = batches.last_mut().expect("there is one from the start");
        let Some(header) = line.strip_prefix(b"%%") else {
            batch
                .entry(name.clone())
                .or_default()
                .extend_from_slice(line);
            continue;
        };
        let (same, next) = match header.strip_prefix(b"&") {
            Some(next) => (true, next),
            None => (false, header),
        };
        name = next.trim_ascii().iter().copied().take(32).collect();
        if same {
            batch.insert(name.clone(), Vec::new());
        } else {
            batches.push(Files::from([(name.clone(), Vec::new())]));
        }
    }
    batches.truncate(MAX_BATCHES);
    batches
}

fn changes(files: Files) -> Changes {
    let mut changes = Changes::default();
    for (name, content) in files {
        let name = String::from_utf8_lossy(&name).into_owned();
        let name = Arc::new(PathBuf::from(format!("{name}.yaml")));
        if content.is_empty() {
            changes.removed.push(name);
        } else {
            changes.written.push((name, content.into()));
        }
    }
    changes
}

/// More would only make the fuzzer slow.
const MAX_BATCHES: usize = 64;
