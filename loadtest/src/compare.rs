//! `compare`: measures scenario after scenario, and keeps what came out.
//!
//! How a scenario is measured is left to its method's module; what they have in common is in `field` and `outcome`.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::CompareArgs;
use crate::cost;
use crate::edits;
use crate::events;
use crate::idle;
use crate::machine::Machine;
use crate::procfs::CoreTicks;
use crate::results;
use crate::scenario::{Method, Scenario};
use crate::server::Site;
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
        let (table, outcome) = outcome(&site, arguments, ticks_per_second)
            .with_context(|| format!("measuring {}", scenario.name()))?;
        println!("\n{table}");
        if let Some(folder) = &arguments.report {
            results::write(folder, report(&machine, std::slice::from_ref(&outcome)))?;
        }
        outcomes.push(outcome);
        // After each scenario: what was measured is kept, whatever becomes of the next.
        if let Some(file) = &arguments.json {
            fs::write(file, format!("{}\n", report(&machine, &outcomes)))
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
fn outcome(site: &Site, arguments: &CompareArgs, ticks_per_second: u64) -> Result<(String, Value)> {
    Ok(match site.scenario.method() {
        Method::Cost => {
            let outcome = cost::run(site, arguments, ticks_per_second)?;
            (cost::table(&outcome), cost::json(&outcome))
        }
        Method::Memory => {
            let outcome = idle::run(site, arguments)?;
            let connections = site.connections;
            (idle::table(&outcome, connections), idle::json(&outcome, connections))
        }
        Method::Latency => {
            let (outcome, rate) = steady::run(site, arguments)?;
            (steady::table(&outcome, rate), steady::json(&outcome, rate))
        }
        Method::Edits => {
            let outcome = edits::run(site, arguments)?;
            (edits::table(&outcome), edits::json(&outcome))
        }
        Method::Events => {
            let outcome = events::run(site, arguments)?;
            (events::table(&outcome), events::json(&outcome))
        }
    })
}

/// All of it, for programs.
fn report(machine: &Machine, scenarios: &[Value]) -> Value {
    json!({"machine": machine.json(), "scenarios": scenarios})
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
