//! The plot of requests around events: one panel for each server, below each other on one time axis.
//!
//! Pure. In a panel the area is the median wait of the requests that were due within a tenth of a
//! second, the line the longest, both logarithmic and the same for all panels; bars at the top count
//! the requests that failed.

use std::fmt::Write as _;

use crate::plot::{duration, horizontal, open, text, vertical};

/// What became of the requests to one server.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) name: String,
    /// In order, each [`STEP`] long.
    pub(crate) steps: Vec<Step>,
}

/// The requests that were due within one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Step {
    pub(crate) errors: f64,
    pub(crate) median_us: f64,
    pub(crate) worst_us: f64,
}

/// The panels, with a mark across all of them at each event.
pub(crate) fn timeline(panels: &[Panel], events: &[(f64, String)], axis: &str) -> String {
    let steps = panels
        .iter()
        .map(|panel| panel.steps.len())
        .max()
        .unwrap_or(0)
        .max(1);
    let length = steps as f64 * STEP;
    let worst = panels
        .iter()
        .flat_map(|panel| &panel.steps)
        .map(|step| step.worst_us)
        .fold(10_000.0, f64::max);
    let (low, high) = (2.0, worst.log10().ceil());
    let (left, right) = (74.0, 850.0);
    let x = |seconds: f64| left + (right - left) * seconds / length;
    let top = 10.0 + ROWS_OF_LABELS as f64 * 15.0;
    let bottom = top + panels.len() as f64 * (HEIGHT + GAP);
    let mut svg = open(890.0, bottom + 44.0, axis);
    for (index, panel) in panels.iter().enumerate() {
        let frame = (top + index as f64 * (HEIGHT + GAP) + GAP, low, high);
        draw(&mut svg, panel, (left, right), frame, x);
    }
    for (index, (seconds, what)) in events.iter().enumerate() {
        let row = 14.0 + (index % ROWS_OF_LABELS) as f64 * 15.0;
        vertical(&mut svg, x(*seconds), row + 3.0, bottom, "event");
        text(&mut svg, (x(*seconds) + 4.0, row), "tick", what);
    }
    let mut second = 0.0;
    while second <= length + 1e-9 {
        text(&mut svg, (x(second), bottom + 16.0), "middle tick", &format!("{second}"));
        second += 1.0;
    }
    text(&mut svg, (f64::midpoint(left, right), bottom + 36.0), "middle", axis);
    svg + "</svg>"
}

fn draw(
    svg: &mut String,
    panel: &Panel,
    (left, right): (f64, f64),
    (top, low, high): (f64, f64, f64),
    x: impl Fn(f64) -> f64,
) {
    let y = |us: f64| {
        let share = (us.max(1.0).log10().clamp(low, high) - low) / (high - low);
        top + HEIGHT * (1.0 - share)
    };
    let mut decade = low;
    while decade <= high {
        let value = 10_f64.powf(decade);
        horizontal(svg, (left, right), y(value), "grid");
        // Each second one, so that the labels of a low panel do not touch.
        if (high - decade) % 2.0 == 0.0 {
            text(svg, (left - 8.0, y(value) + 4.0), "end tick", &duration(value));
        }
        decade += 1.0;
    }
    let edge = |figure: fn(&Step) -> f64| {
        panel
            .steps
            .iter()
            .enumerate()
            .fold(String::new(), |mut path, (index, step)| {
                let (from, to) = (x(index as f64 * STEP), x((index + 1) as f64 * STEP));
                let height = y(figure(step));
                let _ = write!(path, "{from:.1},{height:.1} {to:.1},{height:.1} ");
                path
            })
    };
    let end = x(panel.steps.len() as f64 * STEP);
    let class = if panel.name == "portico" { "portico" } else { "other" };
    let floor = top + HEIGHT;
    let _ = write!(
        svg,
        "<polygon class=\"area {class}\" points=\"{left:.1},{floor:.1} {}{end:.1},{floor:.1}\"/>",
        edge(|step| step.median_us)
    );
    let _ = write!(
        svg,
        "<polyline class=\"wait {class}\" points=\"{}\"/>",
        edge(|step| step.worst_us).trim_end()
    );
    let mut errors = 0.0;
    for (index, step) in panel.steps.iter().enumerate() {
        if step.errors > 0.0 {
            errors += step.errors;
            let from = x(index as f64 * STEP);
            let width = x((index + 1) as f64 * STEP) - from;
            let _ = write!(
                svg,
                "<rect class=\"error\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"10\"/>"
            );
        }
    }
    let failed = if errors > 0.0 { format!("{errors} failed") } else { "none failed".to_owned() };
    text(svg, (right - 4.0, top + 14.0), "end name", &format!("{}: {failed}", panel.name));
}

/// Seconds of a step.
pub(crate) const STEP: f64 = 0.1;
const HEIGHT: f64 = 92.0;
const GAP: f64 = 18.0;
const ROWS_OF_LABELS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_says_what_failed_and_when_something_happened() {
        let step = Step { errors: 0.0, median_us: 300.0, worst_us: 900.0 };
        let panel = |name: &str, errors| Panel {
            name: name.to_owned(),
            steps: vec![step, Step { errors, ..step }],
        };
        let events = [(0.1, "a <b>".to_owned())];
        let plot = timeline(&[panel("nginx", 3.0), panel("portico", 0.0)], &events, "seconds");
        for part in ["nginx: 3 failed", "portico: none failed", "a &lt;b&gt;", "class=\"error\""] {
            assert!(plot.contains(part), "{part} in {plot}");
        }
        assert_eq!(plot.matches("class=\"error\"").count(), 1);
        assert!(plot.ends_with("</svg>") && !plot.contains("NaN"), "{plot}");
    }

    #[test]
    fn nothing_measured_is_no_nonsense() {
        let plot = timeline(&[], &[], "seconds");
        assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
    }
}
