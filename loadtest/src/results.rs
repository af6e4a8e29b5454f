//! `results.json`: everything that was measured, kept beside the page that is made of it.
//!
//! A folder may be filled scenario by scenario: what is measured again replaces what was there. Scenarios
//! stand in the order of `scenario`, whenever they were measured.
//! Invariant: all figures of a folder are of one machine.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;

use crate::page;
use crate::scenario::Scenario;

/// What the page is made of; more than that stands in the file.
#[derive(Debug, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) scenarios: Vec<Measured>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) cores: usize,
    pub(crate) settings: String,
    /// Whether rounds were so few and short that figures show no more than that everything works.
    #[serde(default)]
    pub(crate) quick: bool,
    pub(crate) date: String,
}

/// One scenario.
#[derive(Debug, Deserialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) summary: String,
    /// Where time is measured.
    pub(crate) unit: Option<String>,
    /// Where memory is.
    pub(crate) connections: Option<u32>,
    pub(crate) servers: Vec<Server>,
    #[serde(default)]
    pub(crate) ratios: Vec<Ratio>,
    #[serde(default)]
    pub(crate) skipped: Vec<Skipped>,
    /// What happened during each run, where something did.
    #[serde(default)]
    pub(crate) events: Vec<Event>,
}

impl Measured {
    /// How many rounds there were; none where a run is one of many edits.
    pub(crate) fn rounds(&self) -> Option<usize> {
        if self
            .servers
            .iter()
            .any(|server| server.milliseconds.is_some())
        {
            return None;
        }
        let most = self.servers.iter().map(|server| server.runs.len()).max();
        most.filter(|rounds| *rounds > 0)
    }
}

/// Something that happened so long after the first request.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) seconds: f64,
    pub(crate) what: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) cpu_us_per_unit: Option<Spread>,
    /// Until an edit is live, where that is measured.
    pub(crate) milliseconds: Option<Spread>,
    pub(crate) runs: Vec<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) quartiles: [f64; 2],
}

/// portico's cost as a multiple of a peer's.
#[derive(Debug, Deserialize)]
pub(crate) struct Ratio {
    pub(crate) peer: String,
    pub(crate) ratio: Option<Spread>,
    pub(crate) compared: usize,
    pub(crate) rounds: usize,
    pub(crate) target: Option<f64>,
    pub(crate) verdict: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Skipped {
    pub(crate) name: String,
    pub(crate) why: String,
}

/// Puts what `compare` measured into `folder`, and makes the page anew of all that is there.
pub(crate) fn write(folder: &Path, new: Value) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let file = folder.join("results.json");
    let all = match fs::read_to_string(&file) {
        Ok(text) => {
            let old = serde_json::from_str(&text)
                .with_context(|| format!("reading {}", file.display()))?;
            merged(old, new).with_context(|| format!("adding to {}", file.display()))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => new,
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    let text = serde_json::to_string_pretty(&all).context("writing JSON")?;
    let results = Results::deserialize(&all).context("reading what was measured")?;
    fs::write(&file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    if let Some(picture) = page::picture(&results) {
        let file = folder.join("overview.svg");
        fs::write(&file, picture).with_context(|| format!("writing {}", file.display()))?;
    }
    let file = folder.join("index.html");
    fs::write(&file, page::html(&results)).with_context(|| format!("writing {}", file.display()))
}

/// The scenarios that `folder` has figures of; none where it has no figures yet.
pub(crate) fn measured_in(folder: &Path) -> Result<Vec<Scenario>> {
    let file = folder.join("results.json");
    match fs::read_to_string(&file) {
        Ok(text) => {
            let results: Results = serde_json::from_str(&text)
                .with_context(|| format!("reading {}", file.display()))?;
            let scenarios = results.scenarios.iter();
            Ok(scenarios
                .filter_map(|one| Scenario::from_str(&one.name, false).ok())
                .collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// `old` with the machine's settings and the scenarios of `new` in place of its own.
fn merged(old: Value, mut new: Value) -> Result<Value> {
    for field in ["/machine/processor", "/machine/kernel", "/machine/cores"] {
        ensure!(
            old.pointer(field) == new.pointer(field),
            "it is of another machine: name another folder"
        );
    }
    // One quick run among them, and the page is no longer to be quoted.
    if old.pointer("/machine/quick") == Some(&Value::Bool(true)) {
        *new.pointer_mut("/machine/quick")
            .context("no word on quick")? = Value::Bool(true);
    }
    let mut kept = old
        .get("scenarios")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let scenarios = new
        .get_mut("scenarios")
        .and_then(Value::as_array_mut)
        .context("no scenarios")?;
    kept.retain(|one| {
        scenarios
            .iter()
            .all(|fresh| fresh.get("name") != one.get("name"))
    });
    kept.append(scenarios);
    // One of another version's scenarios comes last.
    kept.sort_by_key(|one| {
        let name = one.get("name").and_then(Value::as_str);
        Scenario::ALL
            .iter()
            .position(|scenario| Some(scenario.name()) == name)
            .unwrap_or(usize::MAX)
    });
    *scenarios = kept;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(processor: &str, name: &str, version: &str) -> Value {
        let text = format!(
            r#"{{"machine":{{"processor":"{processor}","kernel":"Linux","cores":2,
                "settings":"1 round","date":"2026-11-26","quick":{}}},
                "scenarios":[{{"name":"{name}","unit":"query","servers":[{{"name":"portico",
                "version":"{version}","cpu_us_per_unit":null,"runs":[]}}]}}]}}"#,
            version == "quick"
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_scenario_measured_again_replaces_the_one_before_and_all_stand_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for (name, version) in [("dns-hit", "1"), ("tcp-rr", "1"), ("dns-hit", "2"), ("http2", "1")]
        {
            write(folder.path(), measured("a", name, version)).unwrap();
        }
        let text = fs::read_to_string(folder.path().join("results.json")).unwrap();
        let results: Results = serde_json::from_str(&text).unwrap();
        let found: Vec<(&str, &str)> = results
            .scenarios
            .iter()
            .map(|one| (one.name.as_str(), one.servers[0].version.as_str()))
            .collect();
        assert_eq!(found, [("http2", "1"), ("tcp-rr", "1"), ("dns-hit", "2")]);
        assert_eq!(
            measured_in(folder.path()).unwrap(),
            [Scenario::Http2, Scenario::TcpRr, Scenario::DnsHit]
        );
        assert_eq!(measured_in(&folder.path().join("nowhere")).unwrap(), []);
        assert!(folder.path().join("index.html").is_file());
    }

    #[test]
    fn one_quick_run_makes_the_whole_folder_one() {
        let folder = tempfile::tempdir().unwrap();
        for (version, want) in [("1", false), ("quick", true), ("2", true)] {
            write(folder.path(), measured("a", "dns-hit", version)).unwrap();
            let page = fs::read_to_string(folder.path().join("index.html")).unwrap();
            assert_eq!(page.contains("not to be quoted"), want, "{version}");
        }
    }

    #[test]
    fn figures_of_two_machines_are_not_mixed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), measured("a", "dns-hit", "1")).unwrap();
        let error = write(folder.path(), measured("b", "dns-hit", "1")).unwrap_err();
        assert!(format!("{error:#}").contains("another machine"), "{error:#}");
    }
}
