//! `portico run`: serve files and folders until told to end.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use portico_config::model::{HostPattern, ObjectName};
use portico_config::publish::Published;
use portico_config::snapshot::{HostOwner, HostRecord, Reach, Service, Snapshot, Zones};
use portico_config::source::files::FileSource;
use portico_net::listeners::{ListenerState, ListenerStatus};

use super::{complain, curl, dig, missing, reachable, say, serve};
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
    let listeners = running.listeners();
    lines(&listeners).iter().for_each(|line| say(line));
    let published = running.published();
    if is_bare(&published) {
        say(NOTHING_YET);
    }
    let mut tries = Vec::new();
    // Where another program has the port, it would answer.
    let serving = |role: &str| {
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
        tries.push(format!("curl http://{}/readyz", reachable(admin)));
    }
    if !tries.is_empty() {
        say("try:");
    }
    for line in tries {
        say(&format!("  {line}"));
    }
}

/// A line for each listener; the reason of degraded ones stands once below those that share it: the log has it
/// for each.
fn lines(listeners: &[Arc<ListenerStatus>]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for listener in listeners {
        let ListenerState::Degraded(reason) = &listener.state else {
            lines.push(format!("listening: {listener}"));
            continue;
        };
        let place = format!("{}/{} ", listener.address, listener.protocol);
        let reason = reason.strip_prefix(&place).unwrap_or(reason);
        let line = format!("degraded: {listener}");
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, those)) => those.push(line),
            None => reasons.push((reason.to_owned(), vec![line])),
        }
    }
    for (reason, those) in reasons {
        lines.extend(those);
        lines.push(format!("  {reason}"));
    }
    lines
}

/// Whether there is nothing to serve, and nothing wrong that would say why.
fn is_bare(published: &Published) -> bool {
    let Snapshot { services, routes, .. } = &*published.snapshot;
    services.is_empty() && routes.claims.is_empty() && published.diagnostics.is_empty()
}

/// What is said then.
const NOTHING_YET: &str = "nothing to serve yet: no Service and no Ingress is in files that end in .yaml, .yml or .json; \
                           they are served as soon as they are there";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_several_listeners_share_is_said_once() {
        let taken = "is taken by nginx (pid 7); stop the program that holds it";
        let rows = [
            ("admin", "127.0.0.1:9080", ""),
            ("http", "127.0.0.1:80", taken),
            ("dns", "127.0.0.1:53", "may not be bound by this user"),
            ("https", "127.0.0.1:443", taken),
        ];
        let status = |(role, address, reason): (&'static str, &str, &str)| ListenerStatus {
            role,
            address: address.parse().unwrap(),
            protocol: "tcp",
            serves: None,
            state: match reason {
                "" => ListenerState::Serving,
                reason => ListenerState::Degraded(format!("{address}/tcp {reason}")),
            },
        };
        let listeners: Vec<_> = rows.into_iter().map(|row| Arc::new(status(row))).collect();
        let taken = format!("  {taken}");
        let want = [
            "listening: admin 127.0.0.1:9080/tcp",
            "degraded: http 127.0.0.1:80/tcp",
            "degraded: https 127.0.0.1:443/tcp",
            &taken,
            "degraded: dns 127.0.0.1:53/tcp",
            "  may not be bound by this user",
        ];
        assert_eq!(lines(&listeners), want);
    }
}
