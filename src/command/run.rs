//! `portico run`: serve files and folders until told to end.

use std::path::PathBuf;

use anyhow::Context;
use portico_config::model::{HostPattern, ObjectName};
use portico_config::snapshot::{HostOwner, HostRecord, Reach, Service, Snapshot, Zones};
use portico_config::source::files::FileSource;
use portico_net::listeners::ListenerState;

use super::{complain, curl, dig, missing, say, serve};
use crate::app::{App, Running};
use crate::exit::Exit;
use crate::settings::Loaded;
use crate::signal::Signals;

/// Runs the command.
pub(super) fn run(paths: Vec<PathBuf>, loaded: Loaded) -> anyhow::Result<Exit> {
    // One that comes later is followed, but not if nothing is there at all.
    let missing = missing(&paths);
    if missing.len() == paths.len() {
        missing.iter().for_each(|reason| complain(reason));
        return Ok(Exit::Usage);
    }
    let signals = Signals::new().context("take over signals")?;
    let settings = &loaded.effective.options.settings;
    let source =
        Box::new(FileSource::new(settings.sources(paths), &settings.limits, &settings.reload));
    let running = App::start_following(loaded.effective.options, source, loaded.follow)?;
    running.wait_ready();
    announce(&running);
    Ok(serve(running, signals))
}

/// One line per listener, then what to try.
pub(super) fn announce(running: &Running) {
    for listener in running.listeners() {
        match &listener.state {
            ListenerState::Degraded(reason) => {
                complain(&format!("{} is degraded: {reason}", listener));
            }
            _ => say(&format!("listening: {}", listener)),
        }
    }
    let published = running.published();
    let mut tries = Vec::new();
    // Where another program has the port, it would answer.
    let serving = |role: &str| {
        let listeners = running.listeners();
        let mut of_role = listeners.iter().filter(|listener| listener.role == role);
        of_role
            .find(|listener| !matches!(listener.state, ListenerState::Degraded(_)))
            .map(|listener| listener.address)
    };
    if let Some(http) = serving("http") {
        let exact = |host: &HostPattern| match host {
            HostPattern::Exact(name) => Some(curl(name, http)),
            _ => None,
        };
        // A Service has a name of its own, but no rule that sends requests there.
        let is_served = |record: &&HostRecord| matches!(record.owner, HostOwner::Ingress(_));
        let hosts = published.snapshot.zones.hosts.iter();
        tries.extend(
            hosts
                .filter(is_served)
                .filter_map(|record| exact(&record.host))
                .take(2),
        );
    }
    let zone = published.snapshot.zones.cluster_domains.first();
    if let (Some(dns), Some(zone)) = (serving("dns"), zone) {
        let Snapshot { services, zones, .. } = &*published.snapshot;
        let found = services
            .values()
            .find(|service| is_answered(service, zones));
        tries.extend(found.map(|service| {
            let ObjectName { name, namespace } = &service.name;
            dig(&format!("{name}.{namespace}.svc.{zone}"), dns)
        }));
    }
    if let Some(admin) = serving("admin") {
        tries.push(format!("curl http://{admin}/readyz"));
    }
    if !tries.is_empty() {
        say("try:");
    }
    for line in tries {
        say(&format!("  {line}"));
    }
}

/// Whether the name of a Service has an address.
fn is_answered(service: &Service, zones: &Zones) -> bool {
    let is_empty = service.addresses.is_empty();
    let is_there = match &service.reach {
        Reach::ClusterIp(own) if own.is_empty() => false,
        Reach::ClusterIp(_) => !is_empty || !zones.ignore_empty_service,
        Reach::Headless => !is_empty,
        Reach::ExternalName(_) => false,
    };
    is_there && !service.is_nameless && zones.exposes(&service.name.namespace)
}
