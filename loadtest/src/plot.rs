//! Plots as SVG: bars with their middle half, ratios around one, curves of percentiles, lines.
//!
//! Pure. Colours are the page's: shapes carry the classes `portico` and `peer1` to `peer6`, so that a plot
//! is legible in light and in dark. Invariant: text that came from outside is escaped.

use std::fmt::Write as _;

/// A value with the ends of its middle half.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether it says enough to be compared.
    pub(crate) sure: bool,
}

/// Points to be joined.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Ratios of one scenario, one for each peer.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) ratios: Vec<(Bar, Option<f64>)>,
}

/// Horizontal bars from zero, one for each server.
pub(crate) fn bars(bars: &[Bar], axis: &str) -> String {
    let (left, right, row) = (124.0, 404.0, 28.0);
    let most = bars
        .iter()
        .map(|bar| bar.high.max(bar.median))
        .fold(0.0, f64::max);
    let (most, step) = scale(most);
    let x = |value: f64| left + (right - left) * value / most;
    let bottom = 8.0 + row * bars.len() as f64;
    let mut svg = open(470.0, bottom + 42.0, axis);
    let mut tick = 0.0;
    while tick <= most * 1.0001 {
        vertical(&mut svg, x(tick), 4.0, bottom, "grid");
        text(&mut svg, (x(tick), bottom + 16.0), "middle tick", &short(tick));
        tick += step;
    }
    for (index, bar) in bars.iter().enumerate() {
        let y = 8.0 + row * index as f64 + row / 2.0;
        let class = class(&bar.name, index);
        let unsure = if bar.sure { "" } else { " unsure" };
        text(&mut svg, (left - 10.0, y + 4.0), "end", &bar.name);
        let width = (x(bar.median) - left).max(1.0);
        let _ = write!(
            svg,
            "<rect class=\"{class}{unsure}\" x=\"{left}\" y=\"{:.1}\" width=\"{width:.1}\" \
             height=\"16\" rx=\"2\"/>",
            y - 8.0
        );
        whisker(&mut svg, (x(bar.low), x(bar.high)), y);
        text(&mut svg, (right + 8.0, y + 4.0), "value", &figure(bar.median));
    }
    text(&mut svg, ((left + right) / 2.0, bottom + 35.0), "middle", axis);
    svg + "</svg>"
}

/// Ratios on a logarithmic axis around one, with a mark where the target is.
pub(crate) fn ratios(groups: &[Group], axis: &str) -> String {
    let (left, right, row, gap) = (262.0, 790.0, 20.0, 9.0);
    let all = || groups.iter().flat_map(|group| &group.ratios);
    let least = all()
        .map(|(bar, _)| bar.low.min(bar.median))
        .fold(0.5, f64::min);
    let most = all()
        .map(|(bar, _)| bar.high.max(bar.median))
        .fold(2.0, f64::max);
    let (least, most) = (least.max(0.02) * 0.95, most.min(50.0) * 1.05);
    let x = |value: f64| {
        let place = (value.clamp(least, most) / least).ln() / (most / least).ln();
        left + (right - left) * place
    };
    let rows: usize = groups.iter().map(|group| group.ratios.len()).sum();
    let bottom = 30.0 + row * rows as f64 + gap * groups.len() as f64;
    let mut svg = open(890.0, bottom + 44.0, axis);
    for tick in [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0] {
        if (least..=most).contains(&tick) {
            let kind = if tick == 1.0 { "one" } else { "grid" };
            vertical(&mut svg, x(tick), 24.0, bottom, kind);
            text(&mut svg, (x(tick), bottom + 16.0), "middle tick", &short(tick));
        }
    }
    text(&mut svg, (x(1.0) - 8.0, 16.0), "end tick", "◀ portico costs less");
    text(&mut svg, (x(1.0) + 8.0, 16.0), "tick", "portico costs more ▶");
    let mut y = 30.0;
    for group in groups {
        y += gap;
        text(&mut svg, (0.0, y + 14.0), "name", &group.name);
        for (bar, target) in &group.ratios {
            let middle = y + row / 2.0;
            text(&mut svg, (left - 12.0, middle + 4.0), "end", &format!("÷ {}", bar.name));
            if let Some(target) = target {
                vertical(&mut svg, x(*target), middle - 8.0, middle + 8.0, "target");
            }
            whisker(&mut svg, (x(bar.low), x(bar.high)), middle);
            let unsure = if bar.sure { "" } else { " unsure" };
            let _ = write!(
                svg,
                "<circle class=\"portico{unsure}\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"5\"/>",
                x(bar.median)
            );
            text(&mut svg, (right + 14.0, middle + 4.0), "value", &format!("{:.2} ×", bar.median));
            y += row;
        }
    }
    text(&mut svg, ((left + right) / 2.0, bottom + 36.0), "middle", axis);
    svg + "</svg>"
}

/// Latency in microseconds by percentile: nines to the right, both axes logarithmic.
pub(crate) fn percentiles(lines: &[Line], axis: &str) -> String {
    let nines = |percentile: f64| -(1.0 - percentile / 100.0).max(1e-4).log10();
    let values = || {
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|(_, value)| *value)
    };
    let least = values().reduce(f64::min).unwrap_or(1.0).max(0.1);
    let most = values().fold(least, f64::max);
    let (low, high) = (least.log10().floor(), most.log10().ceil().max(least.log10().floor() + 1.0));
    let frame = Frame { left: 74.0, right: 850.0, top: 40.0, bottom: 300.0 };
    let x = |percentile: f64| frame.x(nines(percentile) / 4.0);
    let y = |value: f64| frame.y((value.max(0.01).log10().max(low) - low) / (high - low));
    let mut svg = open(890.0, 352.0, axis);
    for percentile in [0.0, 50.0, 90.0, 99.0, 99.9, 99.99] {
        vertical(&mut svg, x(percentile), frame.top, frame.bottom, "grid");
        let label = format!("{percentile} %");
        text(&mut svg, (x(percentile), frame.bottom + 18.0), "middle tick", &label);
    }
    let mut decade = low;
    while decade <= high {
        let value = 10_f64.powf(decade);
        horizontal(&mut svg, (frame.left, frame.right), y(value), "grid");
        text(&mut svg, (frame.left - 8.0, y(value) + 4.0), "end tick", &duration(value));
        decade += 1.0;
    }
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<(f64, f64)> = line
            .points
            .iter()
            .filter(|(percentile, _)| *percentile < 100.0)
            .map(|(percentile, value)| (x(*percentile), y(*value)))
            .collect();
        path(&mut svg, &points, class(&line.name, index));
    }
    legend(&mut svg, lines);
    text(&mut svg, (frame.middle(), frame.bottom + 42.0), "middle", axis);
    svg + "</svg>"
}

/// Lines from zero on two even axes.
pub(crate) fn lines(lines: &[Line], across: &str, up: &str) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (wide, wide_step) = scale(points().map(|(x, _)| *x).fold(0.0, f64::max));
    let (tall, tall_step) = scale(points().map(|(_, y)| *y).fold(0.0, f64::max));
    let frame = Frame { left: 74.0, right: 850.0, top: 40.0, bottom: 280.0 };
    let mut svg = open(890.0, 332.0, &format!("{up} by {across}"));
    let mut tick = 0.0;
    while tick <= wide * 1.0001 {
        vertical(&mut svg, frame.x(tick / wide), frame.top, frame.bottom, "grid");
        text(&mut svg, (frame.x(tick / wide), frame.bottom + 18.0), "middle tick", &short(tick));
        tick += wide_step;
    }
    tick = 0.0;
    while tick <= tall * 1.0001 {
        horizontal(&mut svg, (frame.left, frame.right), frame.y(tick / tall), "grid");
        text(&mut svg, (frame.left - 8.0, frame.y(tick / tall) + 4.0), "end tick", &short(tick));
        tick += tall_step;
    }
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<(f64, f64)> = line
            .points
            .iter()
            .map(|(x, y)| (frame.x(x / wide), frame.y(y / tall)))
            .collect();
        path(&mut svg, &points, class(&line.name, index));
    }
    legend(&mut svg, lines);
    text(&mut svg, (frame.middle(), frame.bottom + 42.0), "middle", &format!("{across} → {up} ↑"));
    svg + "</svg>"
}

/// Where a plot's lines may be.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame {
    fn x(&self, share: f64) -> f64 {
        self.left + (self.right - self.left) * share
    }

    fn y(&self, share: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * share
    }

    fn middle(&self) -> f64 {
        self.x(0.5)
    }
}

pub(crate) fn open(width: f64, height: f64, label: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\" aria-label=\"{}\">",
        escaped(label)
    )
}

pub(crate) fn text(svg: &mut String, (x, y): (f64, f64), class: &str, words: &str) {
    let words = escaped(words);
    let _ = write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}

pub(crate) fn vertical(svg: &mut String, x: f64, top: f64, bottom: f64, class: &str) {
    let _ = write!(
        svg,
        "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
    );
}

pub(crate) fn horizontal(svg: &mut String, (left, right): (f64, f64), y: f64, class: &str) {
    let _ = write!(
        svg,
        "<line class=\"{class}\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
    );
}

/// The middle half of the values.
fn whisker(svg: &mut String, (low, high): (f64, f64), y: f64) {
    horizontal(svg, (low, high), y, "whisker");
    for end in [low, high] {
        vertical(svg, end, y - 4.0, y + 4.0, "whisker");
    }
}

fn path(svg: &mut String, points: &[(f64, f64)], class: &str) {
    let points: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let _ = write!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
}

fn legend(svg: &mut String, lines: &[Line]) {
    let mut x = 74.0;
    for (index, line) in lines.iter().enumerate() {
        let class = class(&line.name, index);
        horizontal(svg, (x, x + 22.0), 18.0, class);
        text(svg, (x + 28.0, 22.0), "", &line.name);
        x += 56.0 + 7.5 * line.name.chars().count() as f64;
    }
}

/// portico's colour is its own, whatever its place.
fn class(name: &str, index: usize) -> &'static str {
    match name {
        "portico" => "portico",
        _ => PEERS.get(index % PEERS.len()).copied().unwrap_or("peer1"),
    }
}

/// The end of an axis that holds `most`, and the step of its ticks: four to eight of 1, 2 or 5 tens.
fn scale(most: f64) -> (f64, f64) {
    let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
    let ten = 10_f64.powf((most / 4.0).log10().floor());
    let step = [5.0, 2.0, 1.0]
        .map(|digit| digit * ten)
        .into_iter()
        .find(|step| most / step >= 4.0)
        .unwrap_or(ten);
    ((most / step).ceil() * step, step)
}

/// A tick's number, without digits that say nothing.
fn short(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    match rounded {
        thousands if thousands >= 10_000.0 => format!("{}k", thousands / 1e3),
        _ => format!("{rounded}"),
    }
}

/// Three digits.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub(crate) fn duration(microseconds: f64) -> String {
    match microseconds {
        us if us >= 1e6 => format!("{} s", short(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", short(us / 1e3)),
        us => format!("{} µs", short(us)),
    }
}

/// Text as HTML wants it.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const PEERS: [&str; 6] = ["peer1", "peer2", "peer3", "peer4", "peer5", "peer6"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_tick_beyond_its_values() {
        for (most, want) in
            [(8.2, (10.0, 2.0)), (43.8, (50.0, 10.0)), (0.7, (0.7, 0.1)), (0.0, (1.0, 0.2))]
        {
            let (end, step) = scale(most);
            assert!(
                (end - want.0).abs() < 1e-9 && (step - want.1).abs() < 1e-9,
                "{most}: {end} {step}"
            );
        }
    }

    #[test]
    fn a_plot_is_whole_and_escapes_what_it_says() {
        let bar = |name: &str| Bar {
            name: name.to_owned(),
            median: 1.0,
            low: 0.9,
            high: 1.1,
            sure: true,
        };
        let line = Line { name: "a<b".to_owned(), points: vec![(50.0, 10.0), (99.0, 200.0)] };
        let group = Group { name: "a<b".to_owned(), ratios: vec![(bar("x"), Some(1.1))] };
        for plot in [
            bars(&[bar("a<b"), bar("portico")], "µs"),
            ratios(&[group], "ratio"),
            percentiles(std::slice::from_ref(&line), "percentile"),
            lines(&[line], "connections", "MB"),
        ] {
            assert!(plot.starts_with("<svg ") && plot.ends_with("</svg>"), "{plot}");
            assert!(plot.contains("a&lt;b") && !plot.contains("NaN"), "{plot}");
        }
    }

    #[test]
    fn each_decade_of_latency_has_a_place_of_its_own() {
        let line = Line { name: "a".to_owned(), points: vec![(50.0, 99.0), (99.0, 20_000.0)] };
        let plot = percentiles(&[line], "percentile");
        for tick in ["y=\"304.0\">10 µs", "y=\"239.0\">100 µs", "y=\"44.0\">100 ms"] {
            assert!(plot.contains(tick), "{tick} in {plot}");
        }
    }

    #[test]
    fn a_plot_of_nothing_is_no_nonsense() {
        for plot in [bars(&[], ""), ratios(&[], ""), percentiles(&[], ""), lines(&[], "", "")] {
            assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
        }
    }
}
