//! Latency at a constant rate: what a request takes where the server has room to spare.
//!
//! ```text
//! each server's most, by a closed loop ─▶ 70 % of the least ─▶ rounds at that rate
//! ```
//!
//! All servers get the same rate, so that their latencies can be laid over each other; the slowest of
//! them is at 70 % of what it can, the others at less.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use crate::CompareArgs;
use crate::compare::{Field, order};
use crate::figures::Spread;
use crate::load;
use crate::paced::Paced;
use crate::rate::RateArgs;
use crate::report::{aligned, json_paced, json_skipped, number, quoted, with_range};
use crate::scenario::{CONNECTIONS, Scenario};
use crate::server::{Kind, Site};

/// All runs of the scenario.
#[derive(Debug)]
pub(crate) struct Outcome {
    scenario: Scenario,
    rate: u32,
    measured: Vec<(Kind, String, Vec<Paced>)>,
    skipped: Vec<(Kind, String)>,
}

/// Measures every server of the scenario, round after round.
#[expect(clippy::print_stdout, reason = "a command-line program")]
pub(crate) fn run(site: &Site, arguments: &CompareArgs) -> Result<Outcome> {
    let mut field = Field::start(site)?;
    let mut most = Vec::new();
    for (kind, server) in &field.servers {
        let done = load::drive(site, *kind, server.address, arguments.warm_up)?;
        println!("  {:<14} can {:>7.0}/s", kind.name(), done.units_per_second);
        most.push(done.units_per_second);
    }
    let rate = share_of_least(&most).context("no server has answered")?;
    println!("  all get    {rate:>7}/s");
    let mut measured: Vec<(Kind, String, Vec<Paced>)> = field
        .servers
        .iter()
        .map(|(kind, _)| (*kind, site.version(*kind), Vec::new()))
        .collect();
    let rounds = arguments.rounds_of(site.scenario);
    for round in 1..=rounds {
        for index in order(round, field.servers.len()) {
            let (Some((kind, server)), Some((.., runs))) =
                (field.servers.get(index), measured.get_mut(index))
            else {
                continue;
            };
            let asked = RateArgs {
                address: server.address,
                rate,
                connections: CONNECTIONS,
                seconds: arguments.seconds,
                timeline: false,
            };
            let run = load::at_rate(asked, Some(site.load_core))?.finish()?;
            println!("  round {round}/{rounds} {}", progress(*kind, &run));
            runs.push(run);
        }
        field.ensure_alive()?;
    }
    Ok(Outcome { scenario: site.scenario, rate, measured, skipped: field.skipped })
}

/// Seven tenths of the smallest, in whole requests a second.
fn share_of_least(most: &[f64]) -> Option<u32> {
    let least = most.iter().copied().reduce(f64::min)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "requests a second, far below 2^32; negative ones become none"
    )]
    let rate = (least * SHARE) as u32;
    (rate > 0).then_some(rate)
}

/// One run in a line.
pub(crate) fn progress(kind: Kind, run: &Paced) -> String {
    let at = |percentile| run.latency.at(percentile).unwrap_or(f64::NAN);
    let mut line = format!(
        "{:<10} p50 {:>6.0} µs  p99 {:>7.0} µs  most {:>8.0} µs",
        kind.name(),
        at(50.0),
        at(99.0),
        at(100.0)
    );
    if run.errors > 0 {
        let _ = write!(line, "  {} ERRORS", run.errors);
    }
    line
}

impl Outcome {
    /// The medians, as Markdown that also reads well on a terminal.
    pub(crate) fn table(&self) -> Result<String> {
        ensure!(!self.measured.is_empty(), "no server to measure");
        let mut rows = vec![[
            "server".to_owned(),
            "p50 µs (min–max)".to_owned(),
            "p90 µs".to_owned(),
            "p99 µs (min–max)".to_owned(),
            "p99.9 µs".to_owned(),
            "errors".to_owned(),
        ]];
        for (kind, _, runs) in &self.measured {
            let spread = |percentile: f64| {
                Spread::of(runs.iter().filter_map(|run| run.latency.at(percentile)))
            };
            let median = |percentile: f64| {
                spread(percentile)
                    .map_or_else(String::new, |spread| format!("{:.0}", spread.median))
            };
            let errors: u64 = runs.iter().map(|run| run.errors).sum();
            rows.push([
                kind.name().to_owned(),
                with_range(spread(50.0)),
                median(90.0),
                with_range(spread(99.0)),
                median(99.9),
                errors.to_string(),
            ]);
        }
        let mut text = aligned(&rows);
        let _ = write!(text, "\n{} requests a second to each", self.rate);
        for (kind, version, _) in &self.measured {
            let _ = write!(text, "\n{}: {version}", kind.name());
        }
        for (kind, why) in &self.skipped {
            let _ = write!(text, "\n{}: left out: {why}", kind.name());
        }
        Ok(text)
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> String {
        let servers: Vec<String> = self
            .measured
            .iter()
            .map(|(kind, version, runs)| {
                let runs: Vec<String> = runs.iter().map(json_paced).collect();
                format!(
                    "{{\"name\":{},\"version\":{},\"cpu_us_per_unit\":null,\"runs\":[{}]}}",
                    quoted(kind.name()),
                    quoted(version),
                    runs.join(",")
                )
            })
            .collect();
        format!(
            "{{\"name\":{},\"summary\":{},\"unit\":{},\"open_loop\":true,\"rate\":{},\"servers\":[{}],\
             \"skipped\":[{}]}}",
            quoted(self.scenario.name()),
            quoted(self.scenario.summary()),
            quoted(self.scenario.unit()),
            number(self.rate.into()),
            servers.join(","),
            json_skipped(&self.skipped)
        )
    }
}

/// How much of what the slowest server can is asked of all.
const SHARE: f64 = 0.7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Curve;

    #[test]
    fn the_slowest_server_says_the_rate() {
        for (most, want) in [
            (&[20_000.0, 10_000.0][..], Some(7_000)),
            (&[], None),
            (&[0.5], None),
            (&[f64::NAN], None),
        ] {
            assert_eq!(share_of_least(most), want, "{most:?}");
        }
    }

    #[test]
    fn the_table_and_the_json_say_what_was_measured() {
        let run = |p50, errors| Paced {
            done: 99,
            errors,
            repeats: 0,
            seconds: 1.0,
            latency: Curve(vec![(50.0, p50), (90.0, 2.0), (99.0, 900.0), (99.9, 1_000.0)]),
            slots: Vec::new(),
        };
        let outcome = Outcome {
            scenario: Scenario::LatencyAt70,
            rate: 7_000,
            measured: vec![(Kind::Portico, "1".to_owned(), vec![run(100.0, 1), run(120.0, 2)])],
            skipped: vec![(Kind::Nginx, "a \"reason\"".to_owned())],
        };
        let table = outcome.table().unwrap();
        for part in ["110.00 (100.00–120.00)", "|      3 |", "nginx: left out", "7000 requests"] {
            assert!(table.contains(part), "{part} in {table}");
        }
        let json: serde_json::Value = serde_json::from_str(&outcome.json()).unwrap();
        assert_eq!(json["servers"][0]["runs"][1]["latency_us"]["50"], 120.0);
        assert_eq!(json["skipped"][0]["why"], "a \"reason\"");
    }
}
