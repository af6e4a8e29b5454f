//! Listing everything beside the source's own thread, so that no edit waits for it.
//!
//! ```text
//! time, lost events ─▶ begin ─thread: walk─▶ Message::Surveyed ─▶ compare, as any listing
//! ```
//!
//! Invariants: at most one listing is under way; what asks for one meanwhile gets another after it;
//! a listing is a hint, so one that is older than an event costs a look and nothing else. A folder
//! that only the listing knew is watched and then listed again, since it was listed first.

use std::path::{Path, PathBuf};

use super::look::Listed;
use super::wait::Dirty;
use super::walk::{self, Identity, Tree};
use super::watch::{Message, Sender};
use super::{FileSource, Instant};
use crate::source::Changes;

/// Every folder that was named, as it was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    roots: Vec<(PathBuf, Identity, Listed)>,
}

/// Whether everything is being listed now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Surveying {
    /// It is not.
    No,
    /// It is.
    Once,
    /// It is, and events were lost since it began.
    AndAgain,
}

impl Survey {
    fn of(roots: &[PathBuf]) -> Self {
        let listed = roots.iter().filter_map(|root| {
            let found = std::fs::metadata(root)
                .ok()
                .filter(std::fs::Metadata::is_dir)?;
            let canonical_root = root.canonicalize().ok()?;
            let tree = Tree { top: root, canonical_root: &canonical_root, depth: 0 };
            let listed = Listed::new(tree, |_, _| {});
            Some((root.clone(), walk::identity(&found), listed))
        });
        Self { roots: listed.collect() }
    }
}

impl FileSource {
    /// Lets a thread list what is to be compared, unless contents are asked for.
    pub(super) fn survey_instead(&mut self, dirty: &mut Dirty) {
        if !dirty.all || dirty.thorough {
            return;
        }
        dirty.all = false;
        self.next_rescan = Instant::now() + self.reload.rescan;
        if self.surveying != Surveying::No {
            self.surveying = Surveying::AndAgain;
            return;
        }
        let roots: Vec<PathBuf> = self
            .roots
            .iter()
            .map(|root| root.absolute.clone())
            .collect();
        let answer = Answer { sender: self.watch.sender(), survey: Survey::default() };
        let listing = move || {
            let mut answer = answer;
            answer.survey = Survey::of(&roots);
        };
        let thread = std::thread::Builder::new().name("portico-survey".to_owned());
        match thread.spawn(listing) {
            Ok(_) => self.surveying = Surveying::Once,
            // No thread is to be had: it is done here.
            Err(_) => dirty.all = true,
        }
    }

    /// Takes note of a survey; says whether there is something to look at.
    pub(super) fn survey_came(&mut self, survey: Survey, dirty: &mut Dirty) -> bool {
        if self.surveying == Surveying::AndAgain {
            dirty.all = true;
        }
        self.surveying = Surveying::No;
        dirty.survey = Some(survey);
        true
    }

    /// Compares everything with what a survey found.
    pub(super) fn take_survey(&mut self, survey: Survey, changes: &mut Changes) {
        let mut found = survey.roots;
        self.rechecks.clear();
        self.watch.begin();
        for index in 0..self.roots.len() {
            let Some(root) = self.roots.get(index) else { continue };
            let at = found.iter().position(|(path, ..)| *path == root.absolute);
            let listed = at.map(|at| found.swap_remove(at));
            let listed = listed.map(|(_, identity, listed)| (identity, listed));
            self.look_at_root(index, false, listed, changes);
        }
        self.watch.end();
    }

    /// Watches what a survey found; gives the folders that were not watched while it listed them.
    pub(super) fn watch_listed(&mut self, listed: &Listed) -> Vec<PathBuf> {
        let mut fresh: Vec<PathBuf> = Vec::new();
        for (folder, identity) in &listed.folders {
            let began = self.watch.ensure(folder, *identity);
            let is_inside = |folder: &Path| fresh.last().is_some_and(|top| folder.starts_with(top));
            if began && !is_inside(folder) {
                fresh.push(folder.clone());
            }
        }
        fresh
    }
}

/// Sends the survey when it is dropped: also after a panic, so that the next can begin.
struct Answer {
    sender: Sender,
    survey: Survey,
}

impl Drop for Answer {
    fn drop(&mut self) {
        // Nobody listens at the end of the source.
        let _ = self
            .sender
            .send(Message::Surveyed(std::mem::take(&mut self.survey)));
    }
}
