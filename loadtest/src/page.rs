//! The report: one HTML page with its plots inside, which needs no network.
//!
//! Pure: `results.json` as it was read in, text out. Each part is there only where something was
//! measured for it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::latency::PERCENTILES;
use crate::plot::{Bar, Group, Line, bars, escaped, lines, percentiles, ratios};
use crate::results::{Measured, Results, Server};
use crate::template::render;
use crate::timeline::{Panel, Step, timeline};

/// The page.
pub(crate) fn html(results: &Results) -> String {
    let machine = &results.machine;
    let about = format!(
        "<p class=\"soft\">{}, {} cores, {}; {}<br>{}</p>",
        escaped(&machine.processor),
        machine.cores,
        escaped(&machine.kernel),
        escaped(&machine.date),
        escaped(&machine.settings)
    );
    let warning = match machine.quick {
        true => {
            "<p class=\"warning\">A quick run: it shows that everything works. Its figures are not to be quoted.</p>"
        }
        false => "",
    };
    let about = about + warning;
    let body = [overview, costs, latencies, edits, events, memory, verdicts, versions]
        .map(|part| part(&results.scenarios))
        .concat();
    render(PAGE, &[("machine", &about), ("body", &body)]).expect("the page has these two places")
}

/// The ratios of all scenarios as a picture of its own, for a README; none where there are none that may
/// be quoted.
pub(crate) fn picture(results: &Results) -> Option<String> {
    if results.machine.quick {
        return None;
    }
    let plot = overview_plot(&results.scenarios)?;
    let (_, style) = PAGE.split_once("<style>")?;
    let (style, _) = style.split_once("</style>")?;
    // The ground is the card's, and the text's family is the plot's own.
    let opened = "<svg xmlns=\"http://www.w3.org/2000/svg\" style=\"background: var(--card); padding: 14px\" \
                  font-family=\"system-ui, sans-serif\" font-size=\"12.5\" ";
    let plot = plot.replacen("<svg ", opened, 1);
    let (head, rest) = plot.split_once('>')?;
    Some(format!("{head}><style>{style}</style>{rest}\n"))
}

/// Ratios of all scenarios in one plot.
fn overview(scenarios: &[Measured]) -> String {
    let Some(plot) = overview_plot(scenarios) else { return String::new() };
    section(
        "CPU time against each peer",
        "CPU time of the server for one unit of work, as a multiple of the peer's, taken within each round; \
         the dot is the median of the rounds that count, the line their middle half, the thick mark the \
         most that the target allows. A hollow dot is too noisy to tell: at most half of the rounds count.",
        &card(&plot),
    )
}

fn overview_plot(scenarios: &[Measured]) -> Option<String> {
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

fn ratio(ratio: &crate::results::Ratio) -> Option<(Bar, Option<f64>)> {
    let spread = ratio.ratio?;
    let bar = Bar {
        name: ratio.peer.clone(),
        median: spread.median,
        low: spread.quartiles[0],
        high: spread.quartiles[1],
        sure: ratio.compared * 2 > ratio.rounds,
    };
    Some((bar, ratio.target))
}

/// Bars of every scenario.
fn costs(scenarios: &[Measured]) -> String {
    let mut cards = String::new();
    for scenario in scenarios {
        let Some(unit) = &scenario.unit else { continue };
        let all: Vec<Bar> = scenario.servers.iter().filter_map(cost).collect();
        if all.is_empty() {
            continue;
        }
        let plot = bars(&all, &format!("CPU µs per {unit}"));
        let summary = escaped(&scenario.summary);
        let _ = write!(
            cards,
            "<div class=\"card\"><h3>{}</h3><p class=\"soft\">{summary}</p>{plot}</div>",
            escaped(&scenario.name)
        );
    }
    if cards.is_empty() {
        return cards;
    }
    section(
        "CPU time of each server",
        "Median over all rounds and their middle half; pale where at most half of a server's rounds count.",
        &format!("<div class=\"grid\">{cards}</div>"),
    )
}

fn cost(server: &Server) -> Option<Bar> {
    let spread = server.cpu_us_per_unit?;
    let good = server
        .runs
        .iter()
        .filter(|run| run.get("objection").is_none_or(Value::is_null))
        .count();
    Some(Bar {
        name: server.name.clone(),
        median: spread.median,
        low: spread.quartiles[0],
        high: spread.quartiles[1],
        sure: good * 2 > server.runs.len(),
    })
}

/// Percentiles of the scenarios whose generator takes them.
fn latencies(scenarios: &[Measured]) -> String {
    let mut cards = String::new();
    for scenario in scenarios {
        let curves: Vec<Line> = scenario
            .servers
            .iter()
            .map(|server| Line { name: server.name.clone(), points: curve(server) })
            .filter(|line| !line.points.is_empty())
            .collect();
        if !curves.is_empty() {
            let unit = scenario.unit.as_deref().unwrap_or("unit");
            let plot = percentiles(&curves, &format!("share of {unit} latencies at most so long"));
            let name = escaped(&scenario.name);
            let _ = write!(cards, "<div class=\"card\"><h3>{name}</h3>{plot}</div>");
        }
    }
    match cards.is_empty() {
        true => cards,
        false => section(
            "Latency",
            "The median over the rounds at each percentile. Where the generator is a closed loop, it is as \
             long as the questions that wait before it: compare shapes and servers, not scenarios.",
            &cards,
        ),
    }
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
            let spread = crate::figures::Spread::of(server.runs.iter().filter_map(at))?;
            Some((percentile, spread.median))
        })
        .collect()
}

/// How soon an edit is live.
fn edits(scenarios: &[Measured]) -> String {
    let mut cards = String::new();
    for scenario in scenarios {
        let all: Vec<Bar> = scenario
            .servers
            .iter()
            .filter_map(|server| {
                let spread = server.milliseconds?;
                Some(Bar {
                    name: server.name.clone(),
                    median: spread.median,
                    low: spread.quartiles[0],
                    high: spread.quartiles[1],
                    sure: true,
                })
            })
            .collect();
        if !all.is_empty() {
            let (name, summary) = (escaped(&scenario.name), escaped(&scenario.summary));
            let plot = bars(&all, "ms from the edit until it is live");
            let _ = write!(
                cards,
                "<div class=\"card\"><h3>{name}</h3><p class=\"soft\">{summary}</p>{plot}</div>"
            );
        }
    }
    match cards.is_empty() {
        true => cards,
        false => section("Edits", "Median over all edits and their middle half.", &cards),
    }
}

/// Timelines of the scenarios with events.
fn events(scenarios: &[Measured]) -> String {
    let mut cards = String::new();
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
        let (name, summary) = (escaped(&scenario.name), escaped(&scenario.summary));
        let plot = timeline(&panels, &marks, "seconds; area: median wait, line: longest wait");
        let _ = write!(
            cards,
            "<div class=\"card\"><h3>{name}</h3><p class=\"soft\">{summary}</p>{plot}</div>"
        );
    }
    match cards.is_empty() {
        true => cards,
        false => section(
            "Around events",
            "Requests by when they were due: in each tenth of a second the median over the rounds of their median \
             wait, the longest wait of all rounds, and all that failed.",
            &cards,
        ),
    }
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
                median_us: crate::figures::Spread::of(at(2)).map_or(0.0, |spread| spread.median),
                worst_us: at(3).fold(0.0, f64::max),
            }
        })
        .collect()
}

/// Memory of the scenarios of idle connections.
fn memory(scenarios: &[Measured]) -> String {
    let mut cards = String::new();
    for scenario in scenarios {
        let Some(connections) = scenario.connections else { continue };
        let of = |server: &Server, field: &str| {
            let values = server
                .runs
                .iter()
                .filter_map(|run| run.pointer(field)?.as_f64());
            crate::figures::Spread::of(values).map(|spread| spread.median / 1e6)
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
            let name = escaped(&scenario.name);
            let plot = lines(&all, "connections open", "resident MB");
            let _ = write!(cards, "<div class=\"card\"><h3>{name}</h3>{plot}</div>");
        }
    }
    match cards.is_empty() {
        true => cards,
        false => section(
            "Memory against connections",
            "Resident memory of all processes of a server, with none, each quarter and all of the connections open and idle.",
            &cards,
        ),
    }
}

/// Targets and what came of them, and what was left out.
fn verdicts(scenarios: &[Measured]) -> String {
    let mut rows = String::new();
    for scenario in scenarios {
        for ratio in &scenario.ratios {
            let (Some(target), Some(verdict)) = (ratio.target, &ratio.verdict) else { continue };
            let median = ratio
                .ratio
                .map_or_else(|| "–".to_owned(), |spread| format!("{:.2}", spread.median));
            let _ = write!(
                rows,
                "<tr><td>{}</td><td>{}</td><td class=\"figure\">≤ {target:.2}</td>\
                 <td class=\"figure\">{median}</td><td class=\"figure\">{} of {}</td><td>{}</td></tr>",
                escaped(&scenario.name),
                escaped(&ratio.peer),
                ratio.compared,
                ratio.rounds,
                escaped(verdict)
            );
        }
        for skipped in &scenario.skipped {
            let _ = write!(
                rows,
                "<tr><td>{}</td><td>{}</td><td colspan=\"4\" class=\"soft\">left out: {}</td></tr>",
                escaped(&scenario.name),
                escaped(&skipped.name),
                escaped(&skipped.why)
            );
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let head = "<tr><th>scenario</th><th>peer</th><th class=\"figure\">target</th>\
                <th class=\"figure\">median</th><th class=\"figure\">rounds that count</th><th>verdict</th></tr>";
    section("Verdicts", "", &card(&format!("<table>{head}{rows}</table>")))
}

/// What each server says that it is.
fn versions(scenarios: &[Measured]) -> String {
    let mut seen: Vec<(&str, &str)> = scenarios
        .iter()
        .flat_map(|scenario| &scenario.servers)
        .map(|server| (server.name.as_str(), server.version.as_str()))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    let rows = seen.iter().fold(String::new(), |rows, (name, version)| {
        rows + &format!("<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(version))
    });
    let head = "<tr><th>server</th><th>version</th></tr>";
    section("Versions", "", &card(&format!("<table>{head}{rows}</table>")))
}

fn section(title: &str, about: &str, content: &str) -> String {
    let about = match about {
        "" => String::new(),
        about => format!("<p class=\"soft\">{about}</p>"),
    };
    format!("<h2>{title}</h2>{about}{content}\n")
}

fn card(content: &str) -> String {
    format!("<div class=\"card\">{content}</div>")
}

const PAGE: &str = include_str!("page.html");

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: &str = r#"{"machine":{"processor":"a <b>","kernel":"Linux 6","cores":2,
        "settings":"5 rounds","date":"2026-11-26"},"scenarios":[
        {"name":"dns-hit","summary":"A of names","unit":"query","servers":[
            {"name":"knot","version":"3.2","cpu_us_per_unit":{"median":8.0,"min":7,"max":9,"quartiles":[7.5,8.5]},
             "runs":[{"objection":null,"latency_us":{"50":900.0,"99":1500.0}}]},
            {"name":"portico","version":"0.1","cpu_us_per_unit":null,"runs":[]}],
         "ratios":[{"peer":"knot","ratio":{"median":1.0,"quartiles":[0.9,1.1]},"compared":1,"rounds":1,
            "target":1.0,"verdict":"met"}],
         "skipped":[{"name":"nsd","why":"nsd is missing"}]},
        {"name":"idle-http","connections":9000,"servers":[{"name":"nginx","version":"1","cpu_us_per_unit":null,
            "runs":[{"bytes_before":1e6,"bytes_at_the_top":2e6}]}]},
        {"name":"reload-latency","unit":"edit","servers":[{"name":"portico","version":"0.1","cpu_us_per_unit":null,
            "milliseconds":{"median":12.0,"quartiles":[11.0,13.0]},"runs":[11.0,12.0,13.0]}]},
        {"name":"backend-failure","unit":"request","events":[{"seconds":0.1,"what":"backend 1 is killed"}],
         "servers":[{"name":"portico","version":"0.1","cpu_us_per_unit":null,
            "runs":[{"slots":[[9,1,300,900],[10,0,300,400]]},{"slots":[[8,2,500,700],[10,0,300,400]]}]}]}]}"#;

    #[test]
    fn the_page_shows_what_was_measured_and_fetches_nothing() {
        let page = html(&serde_json::from_str(RESULTS).unwrap());
        for part in [
            "a &lt;b&gt;, 2 cores, Linux 6",
            "CPU time against each peer",
            "CPU µs per query",
            "Latency",
            "Memory against connections",
            "ms from the edit until it is live",
            "backend 1 is killed",
            "portico: 3 failed",
            "left out: nsd is missing",
            "<td>3.2</td>",
            "prefers-color-scheme: dark",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        for fetched in ["http:", "https:", "url(", "<script", "src=", "@import"] {
            assert!(!page.contains(fetched), "{fetched}");
        }
    }

    #[test]
    fn the_picture_stands_alone() {
        let mut results: Results = serde_json::from_str(RESULTS).unwrap();
        let picture = picture(&results).unwrap();
        assert!(picture.starts_with("<svg xmlns=") && picture.ends_with("</svg>\n"), "{picture}");
        for part in ["prefers-color-scheme: dark", "dns-hit", "÷ knot"] {
            assert!(picture.contains(part), "{part} in {picture}");
        }
        results.machine.quick = true;
        assert!(super::picture(&results).is_none());
        results.machine.quick = false;
        results.scenarios.clear();
        assert!(super::picture(&results).is_none());
    }

    #[test]
    fn a_quick_run_says_that_it_is_one() {
        let mut results: Results = serde_json::from_str(RESULTS).unwrap();
        assert!(!html(&results).contains("not to be quoted"));
        results.machine.quick = true;
        assert!(html(&results).contains("not to be quoted"));
    }

    #[test]
    fn rounds_are_laid_over_each_other() {
        let results: Results = serde_json::from_str(RESULTS).unwrap();
        let server = &results.scenarios.last().unwrap().servers[0];
        let want = Step { errors: 3.0, median_us: 400.0, worst_us: 900.0 };
        assert_eq!(steps(server).first(), Some(&want));
    }

    #[test]
    fn what_was_not_measured_has_no_section() {
        let mut results: Results = serde_json::from_str(RESULTS).unwrap();
        results.scenarios.clear();
        let page = html(&results);
        assert!(!page.contains("<svg") && !page.contains("Latency"), "{page}");
    }
}
