//! Where and how figures were taken: the machine, and what was asked for.

use std::fmt;
use std::fs;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::CompareArgs;

/// This machine, today, and the settings of a comparison.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    processor: String,
    kernel: String,
    cores: usize,
    /// How many rounds, where the scenarios do not say it themselves.
    rounds: Option<u16>,
    settings: String,
    date: String,
    quick: bool,
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
        Self {
            processor: processor.to_owned(),
            kernel: format!("Linux {}", kernel.trim()),
            quick: arguments.quick,
            date: OffsetDateTime::now_utc().date().to_string(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            rounds: *rounds,
            settings: format!(
                "{seconds} s after {warm_up} s of warm-up; server on core {server_core}, load and \
                 backend on core {load_core}"
            ),
        }
    }

    /// For programs. How many rounds there were is said by each scenario: not all have as many.
    pub(crate) fn json(&self) -> Value {
        let Self { processor, kernel, cores, settings, date, quick, .. } = self;
        json!({
            "processor": processor,
            "kernel": kernel,
            "cores": cores,
            "settings": format!("runs of {settings}"),
            "date": date,
            "quick": quick,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, kernel, cores, rounds, settings, quick, .. } = self;
        let rounds = match rounds {
            None => "rounds".to_owned(),
            Some(1) => "one round".to_owned(),
            Some(more) => format!("{more} rounds"),
        };
        write!(f, "{processor}, {cores} cores, {kernel}\n{rounds} of {settings}")?;
        if *quick {
            write!(
                f,
                "\nA quick run: it shows that everything works. Its figures are not to be quoted."
            )?;
        }
        Ok(())
    }
}
