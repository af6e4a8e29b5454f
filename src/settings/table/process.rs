//! The process itself: threads, its end, state, log, metrics, how edits are taken, and limits.

use super::{DAY, MILLISECOND, MINUTE, ZERO};
use crate::settings::kind::Kind;
use crate::settings::{Group, Setting};

/// Process, log, metrics, reload and limits.
pub(super) static SETTINGS: &[Setting] = &[
    // Process.
    Setting::new(
        "workers",
        Group::Process,
        "N",
        "Data-plane threads",
        Kind::Count(1..=256, |to| &mut to.workers),
    )
    .by_default("one per core"),
    Setting::new(
        "drainTimeout",
        Group::Process,
        "TIME",
        "How long open connections may finish at the end",
        Kind::Time(ZERO..=DAY, |to| &mut to.drain_timeout),
    ),
    Setting::new(
        "drainDelay",
        Group::Process,
        "TIME",
        "How long to go on, not ready, before nothing new is accepted",
        Kind::Time(ZERO..=DAY, |to| &mut to.drain_delay),
    ),
    Setting::new(
        "stateDir",
        Group::Process,
        "FOLDER|off",
        "Where assigned addresses are kept over restarts",
        Kind::Folder(|to| &mut to.state_dir),
    )
    .by_default("$STATE_DIRECTORY, or portico in the user's state folder"),
    // Log.
    Setting::new(
        "logFormat",
        Group::Log,
        "text|json",
        "How log lines on stderr look",
        Kind::Format(|to| &mut to.log_format),
    ),
    Setting::new(
        "logLevel",
        Group::Log,
        "LEVEL",
        "What is logged: error, warn, info, debug, trace or target=level pairs",
        Kind::LogFilter(|to| &mut to.log_level),
    )
    .live(),
    // Metrics.
    Setting::new(
        "metrics.endpoints",
        Group::Metrics,
        "N",
        "How many endpoints have metrics of their own, at most; 0 counts nothing for it",
        Kind::Count(0..=1_000_000, |to| &mut to.endpoint_series),
    ),
    Setting::new(
        "metrics.rules",
        Group::Metrics,
        "N",
        "How many rules of Ingress have metrics of their own, at most; others share theirs",
        Kind::Count(0..=100_000, |to| &mut to.rule_series),
    ),
    // Reload.
    Setting::new(
        "reload.quiet",
        Group::Reload,
        "TIME",
        "Edits this close together are taken together",
        Kind::Time(MILLISECOND..=MINUTE, |to| &mut to.settings.reload.quiet),
    ),
    Setting::new(
        "reload.longest",
        Group::Reload,
        "TIME",
        "A stream of edits is cut after this",
        Kind::Time(MILLISECOND..=MINUTE, |to| &mut to.settings.reload.longest),
    ),
    Setting::new(
        "reload.poll",
        Group::Reload,
        "TIME",
        "How often to look where no file events come",
        Kind::Time(MILLISECOND..=DAY, |to| &mut to.settings.reload.poll),
    ),
    Setting::new(
        "reload.rescan",
        Group::Reload,
        "TIME",
        "How often everything is compared, file events or not",
        Kind::Time(MILLISECOND..=DAY, |to| &mut to.settings.reload.rescan),
    ),
    // Limits.
    Setting::new(
        "limits.maxConnections",
        Group::Limits,
        "N|auto",
        "Client connections of all listeners together, as far as descriptors go",
        Kind::CountOrAuto(1..=10_000_000, |to| &mut to.max_connections),
    )
    .by_default("half of the descriptors less 64, at most 50000")
    .live(),
    Setting::new(
        "limits.maxMemory",
        Group::Limits,
        "BYTES|auto|off",
        "Memory of which Ingress does less from 85, 92 and 95 % on",
        Kind::Memory(1..=1 << 50, |to| &mut to.max_memory),
    )
    .by_default("auto: what the control group may have, if that is limited")
    .live(),
    Setting::new(
        "limits.maxFileBytes",
        Group::Limits,
        "BYTES",
        "The largest manifest file",
        Kind::Bytes(1..=1 << 40, |to| &mut to.settings.limits.max_file_bytes),
    ),
    Setting::new(
        "limits.maxTotalBytes",
        Group::Limits,
        "BYTES",
        "All manifest files together",
        Kind::Bytes(1..=1 << 40, |to| &mut to.settings.limits.max_total_bytes),
    ),
    Setting::new(
        "limits.maxFiles",
        Group::Limits,
        "N",
        "Manifest files of all folders together",
        Kind::Count(1..=10_000_000, |to| &mut to.settings.limits.max_files),
    ),
    Setting::new(
        "limits.maxDocuments",
        Group::Limits,
        "N",
        "Documents of one file",
        Kind::Count(1..=10_000_000, |to| &mut to.settings.limits.max_documents),
    ),
    Setting::new(
        "limits.maxDepth",
        Group::Limits,
        "N",
        "Nesting of one document",
        Kind::Count(8..=256, |to| &mut to.settings.limits.max_depth),
    ),
    Setting::new(
        "limits.maxAliases",
        Group::Limits,
        "N",
        "YAML aliases of one document",
        Kind::Count(0..=1_000_000, |to| &mut to.settings.limits.max_aliases),
    ),
    Setting::new(
        "limits.maxReplayedEvents",
        Group::Limits,
        "N",
        "Parser events that the aliases of one document may repeat",
        Kind::Count(0..=10_000_000, |to| &mut to.settings.limits.max_replayed_events),
    ),
];
