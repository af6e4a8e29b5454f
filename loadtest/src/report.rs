//! How figures are printed: a table for people, JSON for programs.
//!
//! The JSON holds every run, so that anything else can be computed from it later.

use std::fmt::{self, Write};
use std::fs;

use time::OffsetDateTime;

use crate::CompareArgs;
use crate::figures::{LEAST_BUSY, Ratio, Sample, Spread};
use crate::latency::Curve;
use crate::paced::{Paced, Slot};
use crate::scenario::Scenario;
use crate::server::Kind;

/// Where and how the figures were taken.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    processor: String,
    kernel: String,
    cores: usize,
    settings: String,
    date: String,
    quick: bool,
}

/// All runs of one server.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    pub(crate) version: String,
    /// One for each round, in order.
    pub(crate) samples: Vec<Sample>,
}

/// All runs of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) measured: Vec<Measured>,
    /// Servers that were not measured, and why.
    pub(crate) skipped: Vec<(Kind, String)>,
}

impl Outcome {
    fn of(&self, kind: Kind) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.kind == kind)
    }

    /// portico's cost against each peer's, where both were measured.
    fn ratios(&self) -> Vec<(Kind, Ratio)> {
        let Some(ours) = self.of(Kind::Portico) else { return Vec::new() };
        self.measured
            .iter()
            .filter(|peer| peer.kind != Kind::Portico)
            .map(|peer| (peer.kind, Ratio::between(&ours.samples, &peer.samples)))
            .collect()
    }
}

impl Machine {
    /// Describes this machine and the settings of the comparison.
    pub(crate) fn read(arguments: &CompareArgs) -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or("processor unknown", |(_, name)| name.trim());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let CompareArgs { rounds, seconds, warm_up, server_core, load_core, .. } = arguments;
        let rounds = rounds.map_or_else(
            || "rounds".to_owned(),
            |rounds| match rounds {
                1 => "one round".to_owned(),
                more => format!("{more} rounds"),
            },
        );
        Self {
            processor: processor.to_owned(),
            kernel: format!("Linux {}", kernel.trim()),
            quick: arguments.quick,
            date: OffsetDateTime::now_utc().date().to_string(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            settings: format!(
                "{rounds} of {seconds} s after {warm_up} s of warm-up; server on core \
                 {server_core}, load and backend on core {load_core}"
            ),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, kernel, cores, settings, quick, .. } = self;
        write!(f, "{processor}, {cores} cores, {kernel}\n{settings}")?;
        if *quick {
            write!(
                f,
                "\nA quick run: it shows that everything works. Its figures are not to be quoted."
            )?;
        }
        Ok(())
    }
}

/// One run in a line.
pub(crate) fn progress(kind: Kind, sample: &Sample) -> String {
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

/// The medians and ratios of one scenario, as Markdown that also reads well on a terminal.
pub(crate) fn table(outcome: &Outcome) -> String {
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
    let ratios = outcome.ratios();
    for measured in &outcome.measured {
        let ratio = ratios.iter().find(|(kind, _)| *kind == measured.kind);
        rows.push(row(measured, ratio.map(|(_, ratio)| ratio)));
    }
    let mut text = aligned(&rows);
    for measured in &outcome.measured {
        let _ = write!(text, "\n{}: {}", measured.kind.name(), measured.version);
        let errors: u64 = measured.samples.iter().map(|sample| sample.errors).sum();
        if errors > 0 {
            let _ = write!(text, "; {errors} ERRORS");
        }
    }
    for (kind, why) in &outcome.skipped {
        let _ = write!(text, "\n{}: left out: {why}", kind.name());
    }
    let _ = write!(text, "\n{}", verdict(outcome));
    text
}

fn row(measured: &Measured, ratio: Option<&Ratio>) -> [String; 7] {
    let samples = &measured.samples;
    let median = |figure: fn(&Sample) -> f64| Spread::of(samples.iter().map(figure));
    let one = |spread: Option<Spread>, digits: usize| match spread {
        Some(spread) => format!("{:.digits$}", spread.median),
        None => "–".to_owned(),
    };
    let user = median(|sample| sample.user_us / sample.units);
    let system = median(|sample| sample.system_us / sample.units);
    [
        measured.kind.name().to_owned(),
        one(median(|sample| sample.units_per_second), 0),
        with_range(median(Sample::cost_us)),
        format!("{} + {}", one(user, 2), one(system, 2)),
        format!("{} %", one(median(|sample| sample.busy * 100.0), 1)),
        ratio.map_or_else(String::new, |ratio| with_middle_half(ratio.spread)),
        ratio.map_or_else(String::new, |ratio| format!("{} of {}", ratio.compared, ratio.rounds)),
    ]
}

pub(crate) fn with_range(spread: Option<Spread>) -> String {
    match spread {
        Some(Spread { median, min, max, .. }) => format!("{median:.2} ({min:.2}–{max:.2})"),
        None => "–".to_owned(),
    }
}

fn with_middle_half(spread: Option<Spread>) -> String {
    match spread {
        Some(Spread { median, low, high, .. }) => format!("{median:.2} ({low:.2}–{high:.2})"),
        None => "–".to_owned(),
    }
}

/// `target: at most 0.95 × nginx: met (0.94)`
fn verdict(outcome: &Outcome) -> String {
    let Some(target) = outcome.scenario.target() else { return String::new() };
    let ratios = outcome.ratios();
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

/// Rows as a Markdown table: the first column to the left, figures to the right.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        text.push('|');
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, " {cell:<width$} |"),
                _ => write!(text, " {cell:>width$} |"),
            };
        }
        text.push('\n');
        if index == 0 {
            text.push('|');
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(width + 1);
                let _ = match column {
                    0 => write!(text, "{line}-|"),
                    _ => write!(text, "{line}:|"),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// Everything, for programs; the scenarios are JSON already.
pub(crate) fn json(machine: &Machine, outcomes: &[String]) -> String {
    format!(
        "{{\"machine\":{{\"processor\":{},\"kernel\":{},\"cores\":{},\"settings\":{},\
         \"date\":{},\"quick\":{}}},\
         \"scenarios\":[{}]}}\n",
        quoted(&machine.processor),
        quoted(&machine.kernel),
        machine.cores,
        quoted(&machine.settings),
        quoted(&machine.date),
        machine.quick,
        outcomes.join(","),
    )
}

/// One scenario, for programs.
pub(crate) fn json_outcome(outcome: &Outcome) -> String {
    let target = outcome.scenario.target();
    let servers: Vec<String> = outcome.measured.iter().map(json_server).collect();
    let ratios = outcome
        .ratios()
        .iter()
        .map(|(kind, ratio)| {
            let target = target.filter(|target| *kind == target.peer);
            let verdict = target.map(|target| ratio.verdict(target).text());
            format!(
                "{{\"peer\":{},\"ratio\":{},\"compared\":{},\"rounds\":{},\"target\":{},\
                 \"verdict\":{}}}",
                quoted(kind.name()),
                json_spread(ratio.spread),
                ratio.compared,
                ratio.rounds,
                target.map_or_else(|| "null".to_owned(), |target| number(target.ratio)),
                verdict.map_or_else(|| "null".to_owned(), quoted),
            )
        })
        .collect::<Vec<_>>();
    format!(
        "{{\"name\":{},\"summary\":{},\"unit\":{},\"servers\":[{}],\"ratios\":[{}],\"skipped\":[{}]}}",
        quoted(outcome.scenario.name()),
        quoted(outcome.scenario.summary()),
        quoted(outcome.scenario.unit()),
        servers.join(","),
        ratios.join(","),
        json_skipped(&outcome.skipped),
    )
}

fn json_server(measured: &Measured) -> String {
    let runs: Vec<String> = measured.samples.iter().map(json_run).collect();
    format!(
        "{{\"name\":{},\"version\":{},\"cpu_us_per_unit\":{},\"runs\":[{}]}}",
        quoted(measured.kind.name()),
        quoted(&measured.version),
        json_spread(Spread::of(measured.samples.iter().map(Sample::cost_us))),
        runs.join(","),
    )
}

fn json_run(sample: &Sample) -> String {
    let Sample { units, units_per_second, errors, user_us, system_us, busy, others, latency } =
        sample;
    format!(
        "{{\"units\":{},\"units_per_second\":{},\"errors\":{errors},\"user_us\":{},\
         \"system_us\":{},\"busy\":{},\"others\":{},\"objection\":{},\
         \"latency_us\":{}}}",
        number(*units),
        number(*units_per_second),
        number(*user_us),
        number(*system_us),
        number(*busy),
        number(*others),
        sample.objection().map_or_else(|| "null".to_owned(), quoted),
        json_curve(latency),
    )
}

/// A run at a constant rate; slots as `[done,errors,median_us,worst_us]`.
pub(crate) fn json_paced(run: &Paced) -> String {
    let Paced { done, errors, repeats, seconds, latency, slots } = run;
    let slots: Vec<String> = slots
        .iter()
        .map(|Slot { done, errors, median_us, worst_us }| {
            format!("[{done},{errors},{median_us},{worst_us}]")
        })
        .collect();
    format!(
        "{{\"done\":{done},\"errors\":{errors},\"repeats\":{repeats},\"seconds\":{},\"latency_us\":{},\
         \"slots\":[{}]}}",
        number(*seconds),
        json_curve(latency),
        slots.join(",")
    )
}

/// Servers that were left out, as the elements of a list.
pub(crate) fn json_skipped(skipped: &[(Kind, String)]) -> String {
    let skipped: Vec<String> = skipped
        .iter()
        .map(|(kind, why)| format!("{{\"name\":{},\"why\":{}}}", quoted(kind.name()), quoted(why)))
        .collect();
    skipped.join(",")
}

/// `{"50":812.2,"99":1230.5}`, or null where nothing was recorded.
fn json_curve(curve: &Curve) -> String {
    let points: Vec<String> = curve
        .0
        .iter()
        .map(|(percentile, microseconds)| format!("\"{percentile}\":{}", number(*microseconds)))
        .collect();
    if points.is_empty() { "null".to_owned() } else { format!("{{{}}}", points.join(",")) }
}

pub(crate) fn json_spread(spread: Option<Spread>) -> String {
    let Some(Spread { median, min, max, low, high }) = spread else { return "null".to_owned() };
    format!(
        "{{\"median\":{},\"min\":{},\"max\":{},\"quartiles\":[{},{}]}}",
        number(median),
        number(min),
        number(max),
        number(low),
        number(high)
    )
}

/// JSON has no infinity and no NaN.
pub(crate) fn number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { "null".to_owned() }
}

pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
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
        let measured = |kind, samples| Measured { kind, version: "1.0".to_owned(), samples };
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
        for sample in &mut outcome.measured[0].samples {
            sample.busy = 0.5;
        }
        let line = progress(Kind::Nginx, &outcome.measured[0].samples[0]);
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
    fn json_text_is_escaped_and_numbers_are_finite() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\u000ad""#);
        assert_eq!(number(f64::NAN), "null");
        assert_eq!(number(1.5), "1.5");
        let text = json_outcome(&outcome());
        assert!(text.contains(r#""why":"a \"reason\"""#), "{text}");
        assert!(text.contains(r#""target":0.95,"verdict":"met""#), "{text}");
        assert_eq!(text.matches(['{', '[']).count(), text.matches(['}', ']']).count());
    }
}
