//! What came of a scenario: the runs of each server, and who was left out.
//!
//! A run is what its method makes of it; here is what all methods have in common: the lines below their tables,
//! and the frame of their JSON, which holds every run, so that anything else can be computed from it later.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::server::Kind;

/// All runs of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<R> {
    pub(crate) scenario: Scenario,
    pub(crate) measured: Vec<Measured<R>>,
    /// Servers that were not measured, and why.
    pub(crate) skipped: Vec<(Kind, String)>,
}

/// All runs of one server.
#[derive(Clone, Debug)]
pub(crate) struct Measured<R> {
    pub(crate) kind: Kind,
    pub(crate) version: String,
    /// In order: one for each round, or each edit.
    pub(crate) runs: Vec<R>,
}

impl<R> Outcome<R> {
    /// The runs of one server, where it was measured.
    pub(crate) fn of(&self, kind: Kind) -> Option<&[R]> {
        let mut all = self.measured.iter();
        all.find(|measured| measured.kind == kind)
            .map(|measured| measured.runs.as_slice())
    }

    /// Lines below a table: what each server says that it is, how many errors its runs had, and who was left out.
    pub(crate) fn footer(&self, errors: impl Fn(&R) -> u64) -> String {
        let mut text = String::new();
        for Measured { kind, version, runs } in &self.measured {
            let _ = write!(text, "\n{}: {version}", kind.name());
            let errors: u64 = runs.iter().map(&errors).sum();
            if errors > 0 {
                let _ = write!(text, "; {errors} ERRORS");
            }
        }
        for (kind, why) in &self.skipped {
            let _ = write!(text, "\n{}: left out: {why}", kind.name());
        }
        text
    }

    /// Everything, for programs; `server` says what there is of one beside its name and version.
    pub(crate) fn json(&self, server: impl Fn(&Measured<R>) -> Value) -> Value {
        let named = |measured: &Measured<R>| {
            let mut all = server(measured);
            all["name"] = measured.kind.name().into();
            all["version"] = measured.version.as_str().into();
            all
        };
        let skipped = |(kind, why): &(Kind, String)| json!({"name": kind.name(), "why": why});
        json!({
            "name": self.scenario.name(),
            "summary": self.scenario.summary(),
            "unit": self.scenario.unit(),
            "servers": self.measured.iter().map(named).collect::<Vec<_>>(),
            "skipped": self.skipped.iter().map(skipped).collect::<Vec<_>>(),
        })
    }
}
