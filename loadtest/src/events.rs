//! Requests at a constant rate while something happens: a reload, a death, a restart.
//!
//! ```text
//! fresh backends and server ─▶ rate-load with its timeline │ events at their times ─▶ what came of it
//! ```
//!
//! Every round starts everything anew, and every server has the same events at the same times. What
//! counts is what a client sees: requests that failed, and the longest wait around each event.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::CompareArgs;
use crate::fleet::{Event, Fleet};
use crate::load;
use crate::outcome::{Measured, Outcome};
use crate::paced::Paced;
use crate::process::pause;
use crate::rate::RateArgs;
use crate::scenario::Scenario;
use crate::server::{Kind, Site};
use crate::steady::{json_server, progress};
use crate::table::aligned;

/// What happens, and how long after the first request.
fn plan(scenario: Scenario) -> (&'static [usize], &'static [(u64, Event)]) {
    match scenario {
        Scenario::BackendFailure => (&[0, 1], &[(2_000, Event::Kill(0)), (5_000, Event::Start(0))]),
        Scenario::RollingRestart => (
            &[0, 1],
            &[
                (1_000, Event::Start(2)),
                (1_500, Event::Lead(&[1, 2])),
                (2_500, Event::Stop(0)),
                (4_000, Event::Start(3)),
                (4_500, Event::Lead(&[2, 3])),
                (5_500, Event::Stop(1)),
            ],
        ),
        _ => (
            &[0, 1],
            &[
                (1_000, Event::Lead(&[1])),
                (2_000, Event::Lead(&[0])),
                (3_000, Event::Lead(&[1])),
                (4_000, Event::Lead(&[0])),
                (5_000, Event::Lead(&[1])),
                (6_000, Event::Lead(&[0])),
            ],
        ),
    }
}

/// Measures every server of the scenario, round after round.
#[expect(clippy::print_stdout, reason = "a command-line program")]
pub(crate) fn run(site: &Site, arguments: &CompareArgs) -> Result<Outcome<Paced>> {
    let mut outcome = site.present()?;
    let rounds = arguments.rounds_of(site.scenario);
    for round in 1..=rounds {
        for Measured { kind, runs, .. } in &mut outcome.measured {
            let run = measure(site, *kind)
                .with_context(|| format!("{} in round {round}", kind.name()))?;
            println!("  round {round}/{rounds} {}", progress(*kind, &run));
            runs.push(run);
        }
    }
    Ok(outcome)
}

fn measure(site: &Site, kind: Kind) -> Result<Paced> {
    let (first, events) = plan(site.scenario);
    let mut fleet = Fleet::new()?;
    for number in first {
        fleet.start(site, *number)?;
    }
    let led_to = match site.scenario {
        Scenario::ReloadUnderLoad => &first[..1],
        _ => first,
    };
    let mut server = site.start_before(kind, &fleet.addresses(led_to))?;
    let asked = RateArgs {
        address: server.address,
        rate: RATE,
        connections: CLIENTS,
        seconds: SECONDS,
        timeline: true,
    };
    let generator = load::at_rate(asked, Some(site.load_core))?;
    let start = Instant::now();
    for (after, event) in events {
        pause(Duration::from_millis(*after).saturating_sub(start.elapsed()));
        fleet.happen(*event, site, (kind, &server))?;
    }
    let run = generator.finish()?;
    server.process.ensure_alive()?;
    Ok(run)
}

/// The sums.
pub(crate) fn table(outcome: &Outcome<Paced>) -> String {
    let mut rows = vec![[
        "server".to_owned(),
        "requests".to_owned(),
        "errors".to_owned(),
        "sent twice".to_owned(),
        "longest wait ms, by round".to_owned(),
    ]];
    for Measured { kind, runs, .. } in &outcome.measured {
        let sum = |figure: fn(&Paced) -> u64| runs.iter().map(figure).sum::<u64>().to_string();
        let longest: Vec<String> = runs
            .iter()
            .filter_map(|run| run.latency.at(100.0))
            .map(|longest| format!("{:.1}", longest / 1e3))
            .collect();
        rows.push([
            kind.name().to_owned(),
            sum(|run| run.done + run.errors),
            sum(|run| run.errors),
            sum(|run| run.repeats),
            longest.join(", "),
        ]);
    }
    aligned(&rows) + &outcome.footer(|_| 0)
}

/// Everything, for programs.
pub(crate) fn json(outcome: &Outcome<Paced>) -> Value {
    let (_, events) = plan(outcome.scenario);
    let event = |(after, event): &(u64, Event)| {
        let seconds = *after as f64 / 1e3;
        json!({"seconds": seconds, "what": event.text()})
    };
    let mut all = outcome.json(json_server);
    all["events"] = events.iter().map(event).collect();
    all
}

const RATE: u32 = 1_000;
const CLIENTS: u16 = 32;
const SECONDS: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Curve;
    use crate::paced::Slot;
    use crate::scenario::Method;

    #[test]
    fn events_are_in_order_and_leave_time_to_see_what_comes_of_them() {
        for scenario in Scenario::ALL {
            if scenario.method() == Method::Events {
                let (_, events) = plan(scenario);
                let times: Vec<u64> = events.iter().map(|(after, _)| *after).collect();
                assert!(times.is_sorted(), "{scenario:?}");
                assert!(times.last().unwrap() + 1_000 < SECONDS * 1_000, "{scenario:?}");
            }
        }
    }

    #[test]
    fn the_table_sums_errors_and_the_json_has_the_timeline() {
        let slots = vec![Slot { done: 99, errors: 1, median_us: 100, worst_us: 2_500 }];
        let latency = Curve(vec![(100.0, 2_500.0)]);
        let run = Paced { done: 99, errors: 1, repeats: 3, seconds: 8.0, latency, slots };
        let outcome = Outcome {
            scenario: Scenario::BackendFailure,
            measured: vec![Measured {
                kind: Kind::Portico,
                version: "1".to_owned(),
                runs: vec![run.clone(), run],
            }],
            skipped: Vec::new(),
        };
        let table = table(&outcome);
        assert!(table.contains("|      200 |      2 |          6 |"), "{table}");
        assert!(table.contains("2.5, 2.5"), "{table}");
        let json = json(&outcome);
        assert_eq!(json["events"][0]["what"], "backend 1 is killed");
        assert_eq!(
            json["servers"][0]["runs"][0]["slots"][0],
            serde_json::json!([99, 1, 100, 2500])
        );
    }
}
