//! Latency at a constant rate: what a request takes where the server has room to spare.
//!
//! ```text
//! each server's most, by a closed loop ─▶ 70 % of the least ─▶ rounds at that rate
//! ```
//!
//! All servers get the same rate, so that their latencies can be laid over each other; the slowest of
//! them is at 70 % of what it can, the others at less.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::CompareArgs;
use crate::field::Field;
use crate::figures::Spread;
use crate::load;
use crate::outcome::{Measured, Outcome};
use crate::paced::Paced;
use crate::rate::RateArgs;
use crate::scenario::CONNECTIONS;
use crate::server::{Kind, Server, Site};
use crate::table::{aligned, median, with_range};

/// Measures every server of the scenario, round after round; with the rate that all got.
#[expect(clippy::print_stdout, reason = "a command-line program")]
pub(crate) fn run(site: &Site, arguments: &CompareArgs) -> Result<(Outcome<Paced>, u32)> {
    let mut field = Field::start(site)?;
    let mut most = Vec::new();
    for (kind, server) in &field.servers {
        let done = load::drive(site, *kind, server.address, arguments.warm_up)?;
        println!("  {:<14} can {:>7.0}/s", kind.name(), done.units_per_second);
        most.push(done.units_per_second);
    }
    let rate = share_of_least(&most).context("no server has answered")?;
    println!("  all get    {rate:>7}/s");
    let turn = |_, server: &Server| {
        let asked = RateArgs {
            address: server.address,
            rate,
            connections: CONNECTIONS,
            seconds: arguments.seconds,
            timeline: false,
        };
        load::at_rate(asked, Some(site.load_core))?.finish()
    };
    let outcome = field.rounds(site, arguments.rounds_of(site.scenario), turn, progress)?;
    Ok((outcome, rate))
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

/// The medians.
pub(crate) fn table(outcome: &Outcome<Paced>, rate: u32) -> String {
    let mut rows = vec![[
        "server".to_owned(),
        "p50 µs (min–max)".to_owned(),
        "p90 µs".to_owned(),
        "p99 µs (min–max)".to_owned(),
        "p99.9 µs".to_owned(),
        "errors".to_owned(),
    ]];
    for Measured { kind, runs, .. } in &outcome.measured {
        let at =
            |percentile: f64| Spread::of(runs.iter().filter_map(|run| run.latency.at(percentile)));
        let errors: u64 = runs.iter().map(|run| run.errors).sum();
        rows.push([
            kind.name().to_owned(),
            with_range(at(50.0)),
            median(at(90.0), 0),
            with_range(at(99.0)),
            median(at(99.9), 0),
            errors.to_string(),
        ]);
    }
    let footer = outcome.footer(|_| 0);
    format!("{}\n{rate} requests a second to each{footer}", aligned(&rows))
}

/// Everything, for programs.
pub(crate) fn json(outcome: &Outcome<Paced>, rate: u32) -> Value {
    let mut all = outcome.json(json_server);
    all["open_loop"] = true.into();
    all["rate"] = rate.into();
    all
}

/// The runs of a server at a constant rate, for programs.
pub(crate) fn json_server(measured: &Measured<Paced>) -> Value {
    json!({"runs": measured.runs.iter().map(Paced::json).collect::<Vec<_>>()})
}

/// How much of what the slowest server can is asked of all.
const SHARE: f64 = 0.7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Curve;
    use crate::scenario::Scenario;

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
            measured: vec![Measured {
                kind: Kind::Portico,
                version: "1".to_owned(),
                runs: vec![run(100.0, 1), run(120.0, 2)],
            }],
            skipped: vec![(Kind::Nginx, "a \"reason\"".to_owned())],
        };
        let table = table(&outcome, 7_000);
        for part in ["110.00 (100.00–120.00)", "|      3 |", "nginx: left out", "7000 requests"] {
            assert!(table.contains(part), "{part} in {table}");
        }
        let json = json(&outcome, 7_000);
        assert_eq!(json["servers"][0]["runs"][1]["latency_us"]["50"], 120.0);
        assert_eq!(json["skipped"][0]["why"], "a \"reason\"");
    }
}
