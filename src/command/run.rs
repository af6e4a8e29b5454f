//! `portico run`: serve files and folders until told to end.

use std::path::PathBuf;

use anyhow::Context;
use portico_config::model::HostPattern;
use portico_config::source::files::FileSource;
use portico_net::listeners::ListenerState;

use super::{complain, curl, dig, say, serve};
use crate::app::{App, Running};
use crate::exit::Exit;
use crate::settings::Loaded;
use crate::signal::Signals;

/// Runs the command.
pub(super) fn run(paths: Vec<PathBuf>, loaded: Loaded) -> anyhow::Result<Exit> {
    let exists = |path: &PathBuf| path.as_os_str() == "-" || path.exists();
    if !paths.iter().any(exists) {
        for path in &paths {
            complain(&format!("{}: no such file or folder", path.display()));
        }
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
    if let Some(http) = running.listener("http") {
        let exact = |host: &HostPattern| match host {
            HostPattern::Exact(name) => Some(curl(name, http)),
            _ => None,
        };
        let hosts = &published.snapshot.zones.hosts;
        tries.extend(
            hosts
                .iter()
                .filter_map(|record| exact(&record.host))
                .take(2),
        );
    }
    let zone = published.snapshot.zones.cluster_domains.first();
    if let (Some(dns), Some(zone)) = (running.listener("dns"), zone) {
        let names = published.snapshot.services.keys().take(1);
        tries.extend(names.map(|it| dig(&format!("{}.{}.svc.{zone}", it.name, it.namespace), dns)));
    }
    if let Some(admin) = running.listener("admin") {
        tries.push(format!("curl http://{admin}/readyz"));
    }
    if !tries.is_empty() {
        say("try:");
    }
    for line in tries {
        say(&format!("  {line}"));
    }
}
