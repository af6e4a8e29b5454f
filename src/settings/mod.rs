//! What a run is told: one table of settings, and three places that set them.
//!
//! ```text
//! flags, environment ─▶ Given    ─┐
//! settings file      ─▶ Document ─┼─▶ resolve ─▶ Effective: AppOptions, each value with its origin
//! table              ─▶ defaults ─┘
//! ```
//!
//! [`table`] is the source of truth: from a setting's row come its flag, its environment variable,
//! its key in the file, its help, its line in `docs/settings.md` and in `portico config dump`.
//! Invariants: `--a-b` is the key `aB` and `PORTICO_A_B`, `--dns-x` is `dns.x`; a flag wins over
//! the environment, that over the file, that over the default; a list is replaced, never joined.

mod kind;
mod table;
mod given;
mod effective;
mod follow;
mod dump;
mod reference;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use portico_config::model::Settings;
use portico_net::limit::MemoryLimit;

pub use effective::{Effective, Origin};
pub use follow::{Follow, Loaded, Refused};
pub use given::{LogArgs, ServeArgs};
pub use reference::reference;

pub(crate) use dump::{json, yaml};
pub(crate) use follow::Told;

/// What a process is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AppOptions {
    /// What the compiler and the planes are told.
    pub settings: Settings,
    /// Data-plane threads, at least 1; default: one per core.
    pub workers: usize,
    /// Client connections that may be open at once; none: as many as descriptors allow, and at
    /// most 50,000.
    pub max_connections: Option<usize>,
    /// Memory of which Ingress does less where most of it is taken.
    pub max_memory: MemoryLimit,
    /// Endpoints that have metrics of their own, at most; default 0.
    pub endpoint_series: usize,
    /// How many rules of Ingress have metrics of their own; those beyond share theirs.
    pub rule_series: usize,
    /// How long open connections may finish at the end; default 30 s.
    pub drain_timeout: Duration,
    /// How long everything goes on, not ready, before the drain; default 0.
    pub drain_delay: Duration,
    /// Where address assignments are kept over restarts; none: nowhere.
    pub state_dir: Option<PathBuf>,
    /// How log lines look.
    pub log_format: Format,
    /// What is logged, as `tracing_subscriber::EnvFilter` reads it; default `info`.
    pub log_level: String,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            max_connections: None,
            max_memory: MemoryLimit::Auto,
            endpoint_series: 0,
            rule_series: 500,
            drain_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            state_dir: None,
            log_format: Format::Text,
            log_level: "info".to_owned(),
        }
    }
}

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// One setting: everything that is known about it.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its place in the file: `dns.ttl`.
    pub(crate) key: &'static str,
    /// Its chapter in help and documentation.
    pub(crate) group: Group,
    /// What stands for a value in help: `ADDR[:PORT]|off`.
    pub(crate) value_name: &'static str,
    /// What it is, in one line without a full stop.
    pub(crate) help: &'static str,
    /// The default in words, where [`AppOptions::default`] does not say it.
    default_words: &'static str,
    /// Whether a change in the file takes effect while portico runs.
    pub(crate) is_live: bool,
    /// How its values are read, and where they go.
    pub(crate) kind: kind::Kind,
}

/// Chapters of the settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Group {
    Listeners,
    Addresses,
    Names,
    Ingress,
    Tcp,
    Probes,
    Process,
    Log,
    Metrics,
    Reload,
    Limits,
}

impl Group {
    /// The heading of the chapter.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Listeners => "Listeners",
            Self::Addresses => "Addresses",
            Self::Names => "Names",
            Self::Ingress => "Ingress",
            Self::Tcp => "TCP",
            Self::Probes => "Probes",
            Self::Process => "Process",
            Self::Log => "Log",
            Self::Metrics => "Metrics",
            Self::Reload => "Reload",
            Self::Limits => "Limits",
        }
    }
}

/// What `-h` shows, and the README.
const COMMON: [&str; 14] = [
    "http",
    "https",
    "dns.listen",
    "forward",
    "admin",
    "serviceCidr",
    "nodeAddress",
    "devTls",
    "workers",
    "stateDir",
    "logFormat",
    "logLevel",
    "accessLog",
    "drainTimeout",
];

impl Setting {
    const fn new(
        key: &'static str,
        group: Group,
        value_name: &'static str,
        help: &'static str,
        kind: kind::Kind,
    ) -> Self {
        Self { key, group, value_name, help, default_words: "", is_live: false, kind }
    }

    /// Says that a change in the file takes effect while portico runs.
    const fn live(mut self) -> Self {
        self.is_live = true;
        self
    }

    /// Names a default that depends on the host.
    const fn by_default(mut self, words: &'static str) -> Self {
        self.default_words = words;
        self
    }

    /// Whether it is one of the few that `-h` shows, as the README does; `--help` shows all.
    fn is_common(&self) -> bool {
        COMMON.contains(&self.key)
    }

    /// Its flag, without the dashes: `dns-ttl`.
    ///
    /// `--dns` is older than the section `dns`, in which its key is `dns.listen`.
    pub(crate) fn flag(&self) -> String {
        if self.key == "dns.listen" {
            return "dns".to_owned();
        }
        let mut flag = String::new();
        for letter in self.key.chars() {
            match letter {
                '.' => flag.push('-'),
                letter if letter.is_ascii_uppercase() => {
                    flag.push('-');
                    flag.push(letter.to_ascii_lowercase());
                }
                letter => flag.push(letter),
            }
        }
        flag
    }

    /// Its environment variable: `PORTICO_DNS_TTL`.
    pub(crate) fn variable(&self) -> String {
        format!("PORTICO_{}", self.flag().replace('-', "_").to_ascii_uppercase())
    }

    /// Its default, for help and documentation.
    pub(crate) fn default_text(&self) -> String {
        match (self.default_words, &self.kind.show(&AppOptions::default())[..]) {
            ("", []) => "none".to_owned(),
            ("", items) => items.join(", "),
            (words, _) => words.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::table::settings;

    #[test]
    fn names_follow_from_the_key() {
        for (key, flag, variable) in [
            ("http", "http", "PORTICO_HTTP"),
            ("dns.listen", "dns", "PORTICO_DNS"),
            ("dns.ttl", "dns-ttl", "PORTICO_DNS_TTL"),
            ("serviceCidr", "service-cidr", "PORTICO_SERVICE_CIDR"),
            ("ingress.classNames", "ingress-class-names", "PORTICO_INGRESS_CLASS_NAMES"),
        ] {
            let setting = settings().find(|setting| setting.key == key).unwrap();
            assert_eq!(
                (setting.flag(), setting.variable()),
                (flag.to_owned(), variable.to_owned())
            );
        }
    }

    #[test]
    fn help_is_one_line_and_no_name_is_given_twice() {
        let mut flags = std::collections::BTreeSet::new();
        for setting in settings() {
            assert!(flags.insert(setting.flag()), "{}", setting.key);
            assert!(!setting.help.ends_with('.') && setting.help.len() < 100, "{}", setting.key);
        }
    }
}
