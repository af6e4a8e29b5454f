//! `portico diff`: what a running portico would change if it were given these manifests.
//!
//! ```text
//! PATH ─▶ pipeline of `run` ─▶ JSON ─┐
//! running portico ─▶ /api/v1/snapshot ┴▶ compare ─▶ text | json
//! ```
//!
//! Invariants: it reads the admin API and changes nothing; addresses and ports that the running one
//! has assigned are kept, and what it has found out by probing, so that the same manifests differ in
//! nothing; what would be refused keeps its last good version there, so it is never shown as removed.

mod compare;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use portico_config::diagnostic::Diagnostic;
use portico_config::model::{ObjectName, ProbeVerdict, ProbedPod};
use portico_config::pipeline::Pipeline;
use portico_config::publish::Published;
use portico_config::snapshot::Assignments;
use portico_config::source::files::read_once;
use serde_json::{Value, json};

use self::compare::{Change, Kept};
use super::{complain, fetch, missing, say};
use crate::cli::{DiffArgs, Format};
use crate::exit::Exit;
use crate::settings::Loaded;
use crate::{admin, host, telemetry};

/// Runs the command.
pub(super) fn diff(arguments: DiffArgs, loaded: Loaded) -> anyhow::Result<Exit> {
    let settings = Arc::new(loaded.effective.options.settings);
    let Some(address) = settings.admin.first().copied().map(fetch::reachable) else {
        complain("--admin off: name the address of the portico that runs, such as 127.0.0.1:9080");
        return Ok(Exit::Usage);
    };
    let running = match fetch::snapshot(address) {
        Ok(running) => running,
        Err(reason) => {
            complain(&reason);
            return Ok(Exit::Usage);
        }
    };
    let missing = missing(&arguments.paths);
    if !missing.is_empty() {
        missing.iter().for_each(|reason| complain(reason));
        return Ok(Exit::Usage);
    }
    let changes = read_once(settings.sources(arguments.paths), &settings.limits);
    if !changes.unreadable.is_empty() {
        for (path, reason) in &changes.unreadable {
            complain(&telemetry::escape(&format!("{}: {reason}", path.display())));
        }
        return Ok(Exit::Usage);
    }
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let mut pipeline = Pipeline::new(settings, host::facts(), assignments(&running));
    pipeline.expect_probes();
    pipeline.apply(changes, now.as_secs());
    let probed = pipeline.take_probed().unwrap_or_default();
    pipeline.take_verdicts(verdicts(&running, probed.pods));
    let update = pipeline.compile(now.as_secs());
    let refused: Vec<_> = update
        .diagnostics
        .iter()
        .filter(|found| found.refuses_object())
        .collect();
    let published =
        Published { snapshot: update.snapshot, diagnostics: Arc::clone(&update.diagnostics) };
    let wanted = admin::snapshot_json(&published, &[]);
    let changes = compare::changes(&running, &wanted, &kept(&refused));
    match arguments.format {
        Format::Json => say(&format!("{:#}", report(address, &changes, &refused))),
        Format::Text => print(&changes, &refused),
    }
    Ok(if changes.is_empty() { Exit::Fine } else { Exit::Errors })
}

/// What the running portico has assigned; what cannot be read is assigned anew.
fn assignments(running: &Value) -> Assignments {
    let name = |text: &str| {
        let (namespace, name) = text.split_once('/')?;
        Some(ObjectName::new(namespace, name))
    };
    let mut assignments = Assignments::default();
    let assigned = &running["assignments"];
    for (service, addresses) in assigned["clusterIps"].as_object().into_iter().flatten() {
        let addresses = addresses.as_array().into_iter().flatten();
        let addresses = addresses.filter_map(|address| address.as_str()?.parse().ok());
        if let Some(service) = name(service) {
            assignments.cluster_ips.insert(service, addresses.collect());
        }
    }
    for entry in assigned["nodePorts"].as_array().into_iter().flatten() {
        let number = |key: &str| entry[key].as_u64().and_then(|it| u16::try_from(it).ok());
        let service = entry["service"].as_str().and_then(name);
        if let (Some(service), Some(port), Some(node_port)) =
            (service, number("port"), number("nodePort"))
        {
            assignments.node_ports.insert((service, port), node_port);
        }
    }
    assignments
}

/// What the running portico takes Pods for that it probes, where they stand behind a Service; one that
/// does not is taken for what it is at first.
fn verdicts(running: &Value, probed: Vec<ProbedPod>) -> Vec<ProbeVerdict> {
    let mut known = HashMap::new();
    for service in running["services"].as_array().into_iter().flatten() {
        let Some(namespace) = service["namespace"].as_str() else { continue };
        let ports = service["ports"].as_array().into_iter().flatten();
        let endpoints = ports.filter_map(|port| port["endpoints"].as_array());
        for endpoint in endpoints.flatten() {
            if let (Some(pod), Some(serving)) =
                (endpoint["pod"].as_str(), endpoint["serving"].as_bool())
            {
                known.insert((namespace, pod), serving);
            }
        }
    }
    let verdict = |ProbedPod { name, probes, .. }: ProbedPod| {
        let is_ready = *known.get(&(&*name.namespace, &*name.name))?;
        Some(ProbeVerdict { pod: name, probes, is_ready })
    };
    probed.into_iter().filter_map(verdict).collect()
}

/// What stays as it is because its new version is refused.
fn kept(refused: &[&Diagnostic]) -> Kept {
    let services = refused
        .iter()
        .filter_map(|found| found.object.as_ref())
        .filter(|object| &*object.kind == "Service")
        .map(|object| {
            let namespace = object.namespace.as_deref().unwrap_or("default");
            format!("{namespace}/{}", object.name)
        });
    // Where it cannot be said which objects a text was to hold, or where others hang on the one
    // that is refused, nothing is said to go.
    let all = refused.iter().any(|found| {
        found
            .object
            .as_ref()
            .is_none_or(|object| &*object.kind != "Service")
    });
    Kept { services: services.collect(), all }
}

fn print(changes: &[Change], refused: &[&Diagnostic]) {
    for change in changes {
        say(&telemetry::escape(&change.title()));
        for line in change.lines() {
            say(&telemetry::escape(&line));
        }
    }
    for found in refused {
        complain(&telemetry::escape(&format!("{found}; its last good version would stay")));
    }
    if changes.is_empty() {
        say("no difference");
    }
}

fn report(address: SocketAddr, changes: &[Change], refused: &[&Diagnostic]) -> Value {
    json!({
        "running": address,
        "changes": changes.iter().map(Change::json).collect::<Vec<_>>(),
        "refused": refused.iter().map(|it| crate::report::diagnostic_json(it)).collect::<Vec<_>>(),
    })
}
