//! `compare`: starts everything, runs the rounds, prints the report.
//!
//! Within a round each server is warmed up and measured in turn (A B C A B C …), so that what
//! drifts on the machine drifts for all. All servers stay up for the whole scenario; those that
//! are not in turn wait for connections and cost nothing.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::CompareArgs;
use crate::figures::Sample;
use crate::idle;
use crate::load::{self, Done};
use crate::procfs::{CoreTicks, cpu_of_tree};
use crate::report::{self, Machine, Measured, Outcome};
use crate::scenario::Scenario;
use crate::server::{Kind, Server, Site};
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
    for scenario in distinct(&arguments.scenarios) {
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
            connections: arguments.connections,
        };
        let (table, json) = outcome(&site, arguments, ticks_per_second)
            .with_context(|| format!("measuring {}", scenario.name()))?;
        println!("\n{table}");
        outcomes.push(json);
    }
    if let Some(file) = &arguments.json {
        fs::write(file, report::json(&machine, &outcomes))
            .with_context(|| format!("writing {}", file.display()))?;
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
    if site.scenario.is_idle() {
        let outcome = idle::run(site, arguments)?;
        return Ok((outcome.table(), outcome.json()));
    }
    let outcome = measure(site, arguments, ticks_per_second)?;
    Ok((report::table(&outcome), report::json_outcome(&outcome)))
}

fn measure(site: &Site, arguments: &CompareArgs, ticks_per_second: u64) -> Result<Outcome> {
    let mut backend = site.start_backend()?;
    let mut servers: Vec<(Kind, Server)> = Vec::new();
    let mut measured: Vec<Measured> = Vec::new();
    let mut skipped = Vec::new();
    for kind in site.scenario.servers() {
        match site.start(*kind, backend.address) {
            Ok(server) => {
                servers.push((*kind, server));
                let version = site.version(*kind);
                measured.push(Measured { kind: *kind, version, samples: Vec::new() });
            }
            Err(error) => {
                println!("  {} is left out: {error:#}", kind.name());
                skipped.push((*kind, format!("{error:#}")));
            }
        }
    }
    ensure!(!servers.is_empty(), "no server to measure");
    for round in 1..=arguments.rounds {
        for ((kind, server), measured) in servers.iter_mut().zip(&mut measured) {
            let sample = turn(site, server, arguments, ticks_per_second)
                .with_context(|| format!("{} in round {round}", kind.name()))?;
            server.process.ensure_alive()?;
            backend.process.ensure_alive()?;
            println!("  round {round}/{} {}", arguments.rounds, report::progress(*kind, &sample));
            measured.samples.push(sample);
        }
    }
    Ok(Outcome { scenario: site.scenario, measured, skipped })
}

/// One server's turn: warm-up, then a run between two readings of the CPU times.
fn turn(
    site: &Site,
    server: &Server,
    arguments: &CompareArgs,
    ticks_per_second: u64,
) -> Result<Sample> {
    load::drive(site.scenario, server.address, arguments.warm_up, site.load_core)
        .context("warming up")?;
    let id = server.process.id();
    let (core, cpu) = (CoreTicks::read(site.server_core)?, cpu_of_tree(id));
    let done = load::drive(site.scenario, server.address, arguments.seconds, site.load_core)?;
    let cpu = cpu_of_tree(id).since(cpu);
    let core = CoreTicks::read(site.server_core)?.since(core);
    let Done { units, units_per_second, errors } = done;
    let tick_us = Duration::from_secs(1).as_micros() as f64 / ticks_per_second as f64;
    let share = |ticks: u64| ticks as f64 / core.total.max(1) as f64;
    Ok(Sample {
        units,
        units_per_second,
        errors,
        user_us: cpu.user as f64 * tick_us,
        system_us: cpu.system as f64 * tick_us,
        busy: share(core.busy),
        others: share(core.programs.saturating_sub(cpu.total())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_named_twice_runs_once() {
        let named = [Scenario::TcpRr, Scenario::Http1Small, Scenario::TcpRr];
        assert_eq!(distinct(&named), [Scenario::Http1Small, Scenario::TcpRr]);
        assert_eq!(distinct(&[Scenario::TcpRr]), [Scenario::TcpRr]);
    }
}
