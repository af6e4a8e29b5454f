//! The plots of the page, a section for each kind: cost, latency, edits, events, memory.

use serde_json::Value;

use super::{card, section};
use crate::figures;
use crate::latency::PERCENTILES;
use crate::plot::{Bar, Group, Line, bars, escaped, lines, percentiles, ratios};
use crate::results::{Measured, Ratio, Server, Spread};
use crate::timeline::{Panel, Step, timeline};

/// Ratios of all scenarios in one plot.
pub(super) fn overview(scenarios: &[Measured]) -> String {
    let Some(plot) = overview_plot(scenarios) else { return String::new() };
    section(
        "CPU time against each peer",
        "CPU time of the server for one unit of work, as a multiple of the peer's, taken within each round; \
         the dot is the median of the rounds that count, the line their middle half, the thick mark the \
         most that the target allows. A hollow dot is too noisy to tell: at most half of the rounds count.",
        &card(&plot),
    )
}

pub(super) fn overview_plot(scenarios: &[Measured]) -> Option<String> {
    let groups: Vec<Group> = scenarios
        .iter()
        .map(|scenario| Group {
            name: scenario.name.clone(),
            ratios: scenario.ratios.iter().filter_map(ratio).collect(),
        })
        .filter(|group| !group.ratios.is_empty())
        .collect();
    if groups.is_empty() {
        return None;
    }
    Some(ratios(&groups, "portico's CPU time ÷ the peer's (logarithmic)"))
}

fn ratio(ratio: &Ratio) -> Option<(Bar, Option<f64>)> {
    let spread = ratio.ratio?;
    Some((bar(&ratio.peer, spread, ratio.compared * 2 > ratio.rounds), ratio.target))
}

/// Bars of every scenario.
pub(super) fn costs(scenarios: &[Measured]) -> String {
    let mut cards = Vec::new();
    for scenario in scenarios {
        let Some(unit) = &scenario.unit else { continue };
        let all: Vec<Bar> = scenario.servers.iter().filter_map(cost).collect();
        if all.is_empty() {
            continue;
        }
        cards.push(plotted(scenario, &bars(&all, &format!("CPU µs per {unit}"))));
    }
    if cards.is_empty() {
        return String::new();
    }
    section(
        "CPU time of each server",
        "Median over all rounds and their middle half; pale where at most half of a server's rounds count.",
        &format!("<div class=\"grid\">{}</div>", cards.concat()),
    )
}

fn cost(server: &Server) -> Option<Bar> {
    let spread = server.cpu_us_per_unit?;
    let good = server
        .runs
        .iter()
        .filter(|run| run.get("objection").is_none_or(Value::is_null))
        .count();
    Some(bar(&server.name, spread, good * 2 > server.runs.len()))
}

/// Percentiles of the scenarios whose generator takes them.
pub(super) fn latencies(scenarios: &[Measured]) -> String {
    let mut cards = Vec::new();
    for scenario in scenarios {
        let curves: Vec<Line> = scenario
            .servers
            .iter()
            .map(|server| Line { name: server.name.clone(), points: curve(server) })
            .filter(|line| !line.points.is_empty())
            .collect();
        if !curves.is_empty() {
            let unit = scenario.unit.as_deref().unwrap_or("unit");
            let axis = format!("share of {unit} latencies at most so long");
            cards.push(plotted(scenario, &percentiles(&curves, &axis)));
        }
    }
    chapter(
        "Latency",
        "The median over the rounds at each percentile. Where the generator is a closed loop, it is as \
         long as the questions that wait before it: compare shapes and servers, not scenarios.",
        &cards,
    )
}

/// The median over a server's runs at each percentile.
fn curve(server: &Server) -> Vec<(f64, f64)> {
    PERCENTILES
        .into_iter()
        .filter_map(|percentile| {
            let at = |run: &Value| {
                run.get("latency_us")?
                    .get(format!("{percentile}"))?
                    .as_f64()
            };
            let spread = figures::Spread::of(server.runs.iter().filter_map(at))?;
            Some((percentile, spread.median))
        })
        .collect()
}

/// How soon an edit is live.
pub(super) fn edits(scenarios: &[Measured]) -> String {
    let mut cards = Vec::new();
    for scenario in scenarios {
        let all: Vec<Bar> = scenario
            .servers
            .iter()
            .filter_map(|server| Some(bar(&server.name, server.milliseconds?, true)))
            .collect();
        if !all.is_empty() {
            cards.push(plotted(scenario, &bars(&all, "ms from the edit until it is live")));
        }
    }
    chapter("Edits", "Median over all edits and their middle half.", &cards)
}

/// Timelines of the scenarios with events.
pub(super) fn events(scenarios: &[Measured]) -> String {
    let mut cards = Vec::new();
    for scenario in scenarios {
        if scenario.events.is_empty() {
            continue;
        }
        let panels: Vec<Panel> = scenario
            .servers
            .iter()
            .map(|server| Panel { name: server.name.clone(), steps: steps(server) })
            .collect();
        let marks: Vec<(f64, String)> = scenario
            .events
            .iter()
            .map(|event| (event.seconds, event.what.clone()))
            .collect();
        let axis = "seconds; area: median wait, line: longest wait";
        cards.push(plotted(scenario, &timeline(&panels, &marks, axis)));
    }
    chapter(
        "Around events",
        "Requests by when they were due: in each tenth of a second the median over the rounds of their median \
         wait, the longest wait of all rounds, and all that failed.",
        &cards,
    )
}

/// The runs of a server, laid over each other.
fn steps(server: &Server) -> Vec<Step> {
    let slots = |run: &Value| -> Vec<[f64; 4]> {
        run.get("slots")
            .and_then(|slots| serde_json::from_value(slots.clone()).ok())
            .unwrap_or_default()
    };
    let runs: Vec<Vec<[f64; 4]>> = server.runs.iter().map(slots).collect();
    let length = runs.iter().map(Vec::len).max().unwrap_or(0);
    (0..length)
        .map(|index| {
            let at = |place: usize| {
                runs.iter()
                    .filter_map(move |run| run.get(index)?.get(place).copied())
            };
            Step {
                errors: at(1).sum(),
                median_us: figures::Spread::of(at(2)).map_or(0.0, |spread| spread.median),
                worst_us: at(3).fold(0.0, f64::max),
            }
        })
        .collect()
}

/// Memory of the scenarios of idle connections.
pub(super) fn memory(scenarios: &[Measured]) -> String {
    let mut cards = Vec::new();
    for scenario in scenarios {
        let Some(connections) = scenario.connections else { continue };
        let of = |server: &Server, field: &str| {
            let values = server
                .runs
                .iter()
                .filter_map(|run| run.pointer(field)?.as_f64());
            figures::Spread::of(values).map(|spread| spread.median / 1e6)
        };
        let all: Vec<Line> = scenario
            .servers
            .iter()
            .filter_map(|server| {
                let points = [
                    ("/bytes_before", 0.0),
                    ("/bytes_on_the_way/0", 0.25),
                    ("/bytes_on_the_way/1", 0.5),
                    ("/bytes_on_the_way/2", 0.75),
                    ("/bytes_at_the_top", 1.0),
                ];
                let points: Vec<(f64, f64)> = points
                    .into_iter()
                    .filter_map(|(field, share)| {
                        Some((f64::from(connections) * share, of(server, field)?))
                    })
                    .collect();
                if points.is_empty() {
                    return None;
                }
                Some(Line { name: server.name.clone(), points })
            })
            .collect();
        if !all.is_empty() {
            cards.push(plotted(scenario, &lines(&all, "connections open", "resident MB")));
        }
    }
    chapter(
        "Memory against connections",
        "Resident memory of all processes of a server, with none, each quarter and all of the connections open and idle.",
        &cards,
    )
}

fn bar(name: &str, spread: Spread, sure: bool) -> Bar {
    let [low, high] = spread.quartiles;
    Bar { name: name.to_owned(), median: spread.median, low, high, sure }
}

/// A plot below the name of its scenario, what is done there and how often.
fn plotted(scenario: &Measured, plot: &str) -> String {
    let (name, summary) = (escaped(&scenario.name), escaped(&scenario.summary));
    let rounds = scenario
        .rounds()
        .map(|rounds| super::rounds(rounds, rounds));
    let about: Vec<String> = [summary, rounds.unwrap_or_default()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    card(&format!("<h3>{name}</h3><p class=\"soft\">{}</p>{plot}", about.join("; ")))
}

/// A section of such cards; nothing where there is none.
fn chapter(title: &str, about: &str, cards: &[String]) -> String {
    if cards.is_empty() { String::new() } else { section(title, about, &cards.concat()) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::RESULTS;
    use super::*;
    use crate::results::Results;

    #[test]
    fn rounds_are_laid_over_each_other() {
        let results: Results = serde_json::from_str(RESULTS).unwrap();
        let server = &results.scenarios.last().unwrap().servers[0];
        let want = Step { errors: 3.0, median_us: 400.0, worst_us: 900.0 };
        assert_eq!(steps(server).first(), Some(&want));
    }
}
