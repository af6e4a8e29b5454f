//! CPU time for one unit of work, of servers that have as much to do as they can.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::CompareArgs;
use crate::field::Field;
use crate::figures::{LEAST_BUSY, Ratio, Sample, Spread};
use crate::load::{self, Done};
use crate::outcome::{Measured, Outcome};
use crate::procfs::{CoreTicks, cpu_of_tree, time_of_tree};
use crate::server::{Kind, Server, Site};
use crate::table::{aligned, median, with_middle_half, with_range};

/// Measures every server of the scenario, round after round.
pub(crate) fn run(
    site: &Site,
    arguments: &CompareArgs,
    ticks_per_second: u64,
) -> Result<Outcome<Sample>> {
    let mut field = Field::start(site)?;
    for (kind, server) in &field.servers {
        load::drive(site, *kind, server.address, arguments.warm_up).context("warming up")?;
    }
    let turn =
        |kind, server: &Server| turn(site, (kind, server), arguments.seconds, ticks_per_second);
    field.rounds(site, arguments.rounds_of(site.scenario), turn, progress)
}

/// One server's turn: a run between two readings of the CPU times.
fn turn(
    site: &Site,
    (kind, server): (Kind, &Server),
    seconds: u64,
    ticks_per_second: u64,
) -> Result<Sample> {
    let id = server.process.id();
    let (core, cpu) = (CoreTicks::read(site.server_core)?, cpu_of_tree(id));
    let exact = time_of_tree(id);
    let done = load::drive(site, kind, server.address, seconds)?;
    let exact = time_of_tree(id).saturating_sub(exact);
    let cpu = cpu_of_tree(id).since(cpu);
    let core = CoreTicks::read(site.server_core)?.since(core);
    let Done { units, units_per_second, errors, latency } = done;
    let tick_us = match exact.is_zero() {
        true => Duration::from_secs(1).as_micros() as f64 / ticks_per_second as f64,
        // The exact time, in the parts that the ticks say.
        false => exact.as_secs_f64() * 1e6 / cpu.total().max(1) as f64,
    };
    let share = |ticks: u64| ticks as f64 / core.total.max(1) as f64;
    Ok(Sample {
        units,
        units_per_second,
        errors,
        user_us: cpu.user as f64 * tick_us,
        system_us: cpu.system as f64 * tick_us,
        busy: share(core.busy),
        others: share(core.programs.saturating_sub(cpu.total())),
        latency,
    })
}

/// One run in a line.
fn progress(kind: Kind, sample: &Sample) -> String {
    let flag = match sample.objection() {
        Some(why) => format!("  not compared: {why}"),
        None if sample.busy < LEAST_BUSY => "  core not full".to_owned(),
        None => String::new(),
    };
    let p99 = sample.latency.at(99.0);
    let p99 = p99.map_or_else(String::new, |p99| format!("  p99 {p99:>7.0} µs"));
    format!(
        "{:<14} {:>9.0}/s  {:>7.2} µs{p99}  busy {:>5.1} %{flag}",
        kind.name(),
        sample.units_per_second,
        sample.cost_us(),
        sample.busy * 100.0,
    )
}

/// The medians and ratios of one scenario.
pub(crate) fn table(outcome: &Outcome<Sample>) -> String {
    let unit = outcome.scenario.unit();
    let mut rows = vec![[
        "server".to_owned(),
        format!("{}/s", outcome.scenario.units()),
        format!("CPU µs/{unit} (min–max)"),
        "user + system µs".to_owned(),
        "core busy".to_owned(),
        "portico ÷ it (middle half)".to_owned(),
        "rounds compared".to_owned(),
    ]];
    let ratios = ratios(outcome);
    for measured in &outcome.measured {
        let ratio = ratios.iter().find(|(kind, _)| *kind == measured.kind);
        rows.push(row(measured, ratio.map(|(_, ratio)| ratio)));
    }
    let footer = outcome.footer(|sample| sample.errors);
    format!("{}{footer}\n{}", aligned(&rows), verdict(outcome))
}

fn row(measured: &Measured<Sample>, ratio: Option<&Ratio>) -> [String; 7] {
    let of = |figure: fn(&Sample) -> f64| Spread::of(measured.runs.iter().map(figure));
    let user = of(|sample| sample.user_us / sample.units);
    let system = of(|sample| sample.system_us / sample.units);
    [
        measured.kind.name().to_owned(),
        median(of(|sample| sample.units_per_second), 0),
        with_range(of(Sample::cost_us)),
        format!("{} + {}", median(user, 2), median(system, 2)),
        format!("{} %", median(of(|sample| sample.busy * 100.0), 1)),
        ratio.map_or_else(String::new, |ratio| with_middle_half(ratio.spread)),
        ratio.map_or_else(String::new, |ratio| format!("{} of {}", ratio.compared, ratio.rounds)),
    ]
}

/// portico's cost against each peer's, where both were measured.
fn ratios(outcome: &Outcome<Sample>) -> Vec<(Kind, Ratio)> {
    let Some(ours) = outcome.of(Kind::Portico) else { return Vec::new() };
    outcome
        .measured
        .iter()
        .filter(|peer| peer.kind != Kind::Portico)
        .map(|peer| (peer.kind, Ratio::between(ours, &peer.runs)))
        .collect()
}

/// `target: at most 0.95 × nginx: met (0.94)`
fn verdict(outcome: &Outcome<Sample>) -> String {
    let Some(target) = outcome.scenario.target() else { return String::new() };
    let ratios = ratios(outcome);
    let said = match ratios.iter().find(|(kind, _)| *kind == target.peer) {
        Some((_, ratio)) => {
            let median = ratio
                .spread
                .map_or_else(String::new, |spread| format!(" ({:.2})", spread.median));
            format!("{}{median}", ratio.verdict(target).text())
        }
        None => "open: portico or the peer was not measured".to_owned(),
    };
    format!("target: at most {:.2} × {}: {said}", target.ratio, target.peer.name())
}

/// Everything, for programs.
pub(crate) fn json(outcome: &Outcome<Sample>) -> Value {
    let target = outcome.scenario.target();
    let ratio = |(kind, ratio): &(Kind, Ratio)| {
        let target = target.filter(|target| *kind == target.peer);
        json!({
            "peer": kind.name(),
            "ratio": ratio.spread.map(Spread::json),
            "compared": ratio.compared,
            "rounds": ratio.rounds,
            "target": target.map(|target| target.ratio),
            "verdict": target.map(|target| ratio.verdict(target).text()),
        })
    };
    let mut all = outcome.json(|measured| {
        json!({
            "cpu_us_per_unit": Spread::of(measured.runs.iter().map(Sample::cost_us)).map(Spread::json),
            "runs": measured.runs.iter().map(json_run).collect::<Vec<_>>(),
        })
    });
    all["ratios"] = ratios(outcome).iter().map(ratio).collect();
    all
}

fn json_run(sample: &Sample) -> Value {
    let Sample { units, units_per_second, errors, user_us, system_us, busy, others, latency } =
        sample;
    json!({
        "units": units,
        "units_per_second": units_per_second,
        "errors": errors,
        "user_us": user_us,
        "system_us": system_us,
        "busy": busy,
        "others": others,
        "objection": sample.objection(),
        "latency_us": latency.json(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Curve;
    use crate::scenario::Scenario;

    fn outcome() -> Outcome<Sample> {
        let sample = |user_us, busy| Sample {
            units: 100_000.0,
            units_per_second: 20_000.4,
            errors: 0,
            user_us,
            system_us: 3_000_000.0,
            busy,
            others: 0.0,
            latency: Curve::default(),
        };
        let measured = |kind, runs| Measured { kind, version: "1.0".to_owned(), runs };
        Outcome {
            scenario: Scenario::Http1Small,
            measured: vec![
                measured(Kind::Nginx, vec![sample(1_000_000.0, 1.0), sample(1_000_000.0, 0.99)]),
                measured(Kind::Portico, vec![sample(780_000.0, 1.0), sample(740_000.0, 1.0)]),
            ],
            skipped: vec![(Kind::Haproxy, "a \"reason\"".to_owned())],
        }
    }

    #[test]
    fn the_table_says_cost_ratio_and_verdict() {
        let want = "\
| server  | requests/s | CPU µs/request (min–max) | user + system µs | core busy | portico ÷ it (middle half) | rounds compared |
|---------|-----------:|-------------------------:|-----------------:|----------:|---------------------------:|----------------:|
| nginx   |      20000 |      40.00 (40.00–40.00) |    10.00 + 30.00 |    99.5 % |           0.94 (0.94–0.94) |          2 of 2 |
| portico |      20000 |      37.60 (37.40–37.80) |     7.60 + 30.00 |   100.0 % |                            |                 |

nginx: 1.0
portico: 1.0
haproxy: left out: a \"reason\"
target: at most 0.95 × nginx: met (0.94)";
        assert_eq!(table(&outcome()), want);
    }

    #[test]
    fn a_run_that_is_not_compared_says_why() {
        let mut outcome = outcome();
        for sample in &mut outcome.measured[0].runs {
            sample.busy = 0.5;
        }
        let line = progress(Kind::Nginx, &outcome.measured[0].runs[0]);
        assert!(line.ends_with("busy  50.0 %  core not full"), "{line}");
        let table = table(&outcome);
        assert!(table.contains("| 0 of 2 |") || table.contains(" 0 of 2 |"), "{table}");
        assert!(table.ends_with("open: too few rounds may be compared"), "{table}");
    }

    #[test]
    fn without_portico_the_target_stays_open() {
        let mut outcome = outcome();
        outcome.measured.pop();
        assert!(table(&outcome).ends_with("open: portico or the peer was not measured"));
    }

    #[test]
    fn the_json_has_ratio_verdict_and_who_was_left_out() {
        let json = json(&outcome());
        assert_eq!(json["skipped"][0]["why"], "a \"reason\"");
        assert_eq!(json["ratios"][0]["target"], 0.95);
        assert_eq!(json["ratios"][0]["verdict"], "met");
        assert_eq!(json["servers"][0]["runs"][1]["busy"], 0.99);
        assert!(json["servers"][0]["runs"][0]["latency_us"].is_null());
    }
}
