//! Every setting there is, in the order of help and documentation.
//!
//! A new setting is one row in the file of its subject and its field in `AppOptions` or `model::Settings`; nothing
//! else has to hear of it but `docs/settings.md`, which `UPDATE_DOCS=1 cargo test -p portico --test meta` writes.
//! Invariant: the settings of one chapter stand together, in one file or at the end of one and the begin of the next.

mod listeners;
mod names;
mod resolver;
mod ingress;
mod requests;
mod services;
mod process;

use std::time::Duration;

use super::Setting;

/// The settings.
pub(crate) fn settings() -> impl DoubleEndedIterator<Item = &'static Setting> {
    SUBJECTS.iter().copied().flatten()
}

/// The keys of all settings.
pub(crate) fn keys() -> Vec<&'static str> {
    settings().map(|setting| setting.key).collect()
}

static SUBJECTS: [&[Setting]; 7] = [
    listeners::SETTINGS,
    names::SETTINGS,
    resolver::SETTINGS,
    ingress::SETTINGS,
    requests::SETTINGS,
    services::SETTINGS,
    process::SETTINGS,
];

const ZERO: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chapter_stands_in_one_piece() {
        let mut chapters: Vec<_> = settings().map(|setting| setting.group.title()).collect();
        chapters.dedup();
        let mut once = chapters.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(chapters.len(), once.len(), "{chapters:?}");
    }
}
