//! The report: one HTML page with its plots inside, which needs no network.
//!
//! Pure: `results.json` as it was read in, text out. Each part is there only where something was
//! measured for it.

mod plots;
mod tables;

use self::plots::{costs, edits, events, latencies, memory, overview, overview_plot};
use self::tables::{verdicts, versions};
use crate::plot::escaped;
use crate::results::{Measured, Results};
use crate::template::render;

/// The page.
pub(crate) fn html(results: &Results) -> String {
    let machine = &results.machine;
    let about = format!(
        "<p class=\"soft\">{}, {} cores, {}; {}<br>{}{}</p>",
        escaped(&machine.processor),
        machine.cores,
        escaped(&machine.kernel),
        escaped(&machine.date),
        all_rounds(&results.scenarios),
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

/// How many rounds the scenarios had, before what else is said of them: a folder may be filled by several runs.
fn all_rounds(scenarios: &[Measured]) -> String {
    let all = || scenarios.iter().filter_map(Measured::rounds);
    match (all().min(), all().max()) {
        (Some(fewest), Some(most)) => rounds(fewest, most) + "; ",
        _ => String::new(),
    }
}

fn rounds(fewest: usize, most: usize) -> String {
    match (fewest, most) {
        (1, 1) => "1 round".to_owned(),
        (fewest, most) if fewest == most => format!("{most} rounds"),
        (fewest, most) => format!("{fewest} to {most} rounds"),
    }
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

    pub(super) const RESULTS: &str = r#"{"machine":{"processor":"a <b>","kernel":"Linux 6","cores":2,
        "settings":"runs of 1 s","date":"2026-11-26"},"scenarios":[
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
    fn rounds_are_those_of_the_scenarios_whichever_run_was_last() {
        let mut results: Results = serde_json::from_str(RESULTS).unwrap();
        let page = html(&results);
        for part in
            ["<br>1 to 2 rounds; runs of 1 s</p>", "A of names; 1 round</p>", ">2 rounds</p>"]
        {
            assert!(page.contains(part), "{part} in {page}");
        }
        results
            .scenarios
            .retain(|scenario| scenario.name == "dns-hit");
        assert!(html(&results).contains("<br>1 round; runs of 1 s</p>"));
        results.scenarios.clear();
        assert!(html(&results).contains("<br>runs of 1 s</p>"));
    }

    #[test]
    fn what_was_not_measured_has_no_section() {
        let mut results: Results = serde_json::from_str(RESULTS).unwrap();
        results.scenarios.clear();
        let page = html(&results);
        assert!(!page.contains("<svg") && !page.contains("Latency"), "{page}");
    }
}
