//! `compare`: starts everything, runs the rounds, prints the report.
//!
//! Rounds are many and short. Within a round each server is measured in turn, and every other round
//! goes backwards (A B C C B A …), so that a core that gets slower does so for all. Servers are
//! warmed up once and stay for the whole scenario; those that are not in turn cost nothing.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::CompareArgs;
use crate::edits;
use crate::events;
use crate::figures::Sample;
use crate::idle;
use crate::load::{self, Done};
use crate::procfs::{CoreTicks, cpu_of_tree, time_of_tree};
use crate::report::{self, Machine, Measured, Outcome};
use crate::results;
use crate::scenario::{Method, Scenario};
use crate::server::{Kind, Server, Site};
use crate::steady;
use crate::tools;

/// Measures all scenarios asked for; fails when one cannot be measured at all.
pub(crate) fn run(arguments: &CompareArgs, portico: std::path::PathBuf) -> Result<()> {
    let ticks_per_second = tools::ticks_per_second()?;
    for core in [arguments.server_core, arguments.load_core] {
        CoreTicks::read(core).context("see --server-core and --load-core")?;
    }
    let idle = arguments.scenarios.iter().any(|one| one.is_idle());
    idle::raise_descriptor_limit(if idle { arguments.connections } else { 0 })?;
    let machine = Machine::read(arguments);
    println!("{machine}");
    let mut outcomes = Vec::new();
    let done = match &arguments.report {
        Some(folder) if arguments.resume => results::measured_in(folder)?,
        _ => Vec::new(),
    };
    for scenario in distinct(&arguments.scenarios) {
        if done.contains(&scenario) {
            println!("\n{}: measured before", scenario.name());
            continue;
        }
        println!("\n{}: {}", scenario.name(), scenario.summary());
        // The folder is declared before the servers that use it, so it goes after them.
        let folder = tempfile::Builder::new()
            .prefix("loadtest-")
            .tempdir()
            .context("making a folder for configurations")?;
        let site = Site {
            scenario,
            folder: folder.path().to_owned(),
            portico: portico.clone(),
            server_core: arguments.server_core,
            load_core: arguments.load_core,
            connections: scenario.idle_connections(arguments.connections),
            dns_client: arguments.dns_client,
            peers: if arguments.quick { 2 } else { usize::MAX },
        };
        let (table, json) = outcome(&site, arguments, ticks_per_second)
            .with_context(|| format!("measuring {}", scenario.name()))?;
        println!("\n{table}");
        if let Some(folder) = &arguments.report {
            results::write(folder, &report::json(&machine, std::slice::from_ref(&json)))?;
        }
        outcomes.push(json);
        // After each scenario: what was measured is kept, whatever becomes of the next.
        if let Some(file) = &arguments.json {
            fs::write(file, report::json(&machine, &outcomes))
                .with_context(|| format!("writing {}", file.display()))?;
        }
    }
    Ok(())
}

fn distinct(scenarios: &[Scenario]) -> Vec<Scenario> {
    Scenario::ALL
        .into_iter()
        .filter(|scenario| scenarios.contains(scenario))
        .collect()
}

/// What came out, for people and for programs.
fn outcome(
    site: &Site,
    arguments: &CompareArgs,
    ticks_per_second: u64,
) -> Result<(String, String)> {
    Ok(match site.scenario.method() {
        Method::Cost => {
            let outcome = measure(site, arguments, ticks_per_second)?;
            (report::table(&outcome), report::json_outcome(&outcome))
        }
        Method::Memory => {
            let outcome = idle::run(site, arguments)?;
            (outcome.table(), outcome.json())
        }
        Method::Latency => {
            let outcome = steady::run(site, arguments)?;
            (outcome.table()?, outcome.json())
        }
        Method::Edits => {
            let outcome = edits::run(site, arguments)?;
            (outcome.table(), outcome.json())
        }
        Method::Events => {
            let outcome = events::run(site, arguments)?;
            (outcome.table(), outcome.json())
        }
    })
}

/// All servers of a scenario at once, and the backend behind them.
pub(crate) struct Field {
    backend: Option<Server>,
    pub(crate) servers: Vec<(Kind, Server)>,
    /// Servers that did not start, and why.
    pub(crate) skipped: Vec<(Kind, String)>,
}

impl Field {
    /// Starts them; fails where none starts.
    pub(crate) fn start(site: &Site) -> Result<Self> {
        let backend = site.start_backend()?;
        let (mut servers, mut skipped) = (Vec::new(), Vec::new());
        for kind in site.kinds() {
            match site.start(kind, backend.as_ref()) {
                Ok(server) => servers.push((kind, server)),
                Err(error) => {
                    println!("  {} is left out: {error:#}", kind.name());
                    skipped.push((kind, format!("{error:#}")));
                }
            }
        }
        ensure!(!servers.is_empty(), "no server to measure");
        Ok(Self { backend, servers, skipped })
    }

    /// Fails if one of them has ended.
    pub(crate) fn ensure_alive(&mut self) -> Result<()> {
        for (_, server) in &mut self.servers {
            server.process.ensure_alive()?;
        }
        match &mut self.backend {
            Some(backend) => backend.process.ensure_alive(),
            None => Ok(()),
        }
    }
}

fn measure(site: &Site, arguments: &CompareArgs, ticks_per_second: u64) -> Result<Outcome> {
    let mut field = Field::start(site)?;
    let mut measured: Vec<Measured> = field
        .servers
        .iter()
        .map(|(kind, _)| Measured {
            kind: *kind,
            version: site.version(*kind),
            samples: Vec::new(),
        })
        .collect();
    for (kind, server) in &field.servers {
        load::drive(site, *kind, server.address, arguments.warm_up).context("warming up")?;
    }
    let rounds = arguments.rounds_of(site.scenario);
    for round in 1..=rounds {
        for index in order(round, field.servers.len()) {
            let (Some((kind, server)), Some(measured)) =
                (field.servers.get(index), measured.get_mut(index))
            else {
                continue;
            };
            let sample = turn(site, (*kind, server), arguments.seconds, ticks_per_second)
                .with_context(|| format!("{} in round {round}", kind.name()))?;
            println!("  round {round}/{rounds} {}", report::progress(*kind, &sample));
            measured.samples.push(sample);
            field.ensure_alive()?;
        }
    }
    Ok(Outcome { scenario: site.scenario, measured, skipped: field.skipped })
}

/// The turns of a round: forwards in odd ones, backwards in even ones.
pub(crate) fn order(round: u16, servers: usize) -> Vec<usize> {
    match round % 2 {
        1 => (0..servers).collect(),
        _ => (0..servers).rev().collect(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_goes_backwards() {
        assert_eq!([order(1, 3), order(2, 3)].concat(), [0, 1, 2, 2, 1, 0]);
    }

    #[test]
    fn a_scenario_named_twice_runs_once() {
        let named = [Scenario::TcpRr, Scenario::Http1Small, Scenario::TcpRr];
        assert_eq!(distinct(&named), [Scenario::Http1Small, Scenario::TcpRr]);
        assert_eq!(distinct(&[Scenario::TcpRr]), [Scenario::TcpRr]);
    }
}
