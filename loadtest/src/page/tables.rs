//! The tables of the page: targets and what came of them, and the versions of what was measured.

use std::fmt::Write as _;

use super::{card, section};
use crate::plot::escaped;
use crate::results::Measured;

/// Targets and what came of them, and what was left out.
pub(super) fn verdicts(scenarios: &[Measured]) -> String {
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
pub(super) fn versions(scenarios: &[Measured]) -> String {
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
