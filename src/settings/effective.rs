//! What counts in the end: for each setting the value of the strongest place, and which it is.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use portico_config::diagnostic::{Diagnostic, Position};
use portico_config::settings::Document;

use super::given::Given;
use super::table::settings;
use super::{AppOptions, Setting};
use crate::{host, state};

/// The settings that count, each with where it is from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The values.
    pub options: AppOptions,
    /// In the order of the table.
    origins: Vec<Origin>,
}

/// Where a value is from, from the weakest place to the strongest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The settings file and the place in it.
    File(Arc<PathBuf>, Option<Position>),
    /// An environment variable, by name.
    Environment(String),
    /// A flag, by name without dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(file, None) => write!(f, "{}", file.display()),
            Self::File(file, Some(Position { line, column })) => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

impl Effective {
    /// The settings with where each is from, in the order of the table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Setting, &Origin)> {
        settings().zip(&self.origins)
    }

    /// Whether nobody set `key`.
    pub(crate) fn is_default(&self, key: &str) -> bool {
        self.iter()
            .any(|(setting, origin)| setting.key == key && *origin == Origin::Default)
    }
}

/// Lays what was given over the file, and that over the defaults of this host; fails with every
/// value of the file that is not taken, also where another place would win over it.
pub(super) fn resolve(
    given: &[Given],
    file: Option<(&Arc<PathBuf>, &Document)>,
) -> Result<Effective, Vec<Diagnostic>> {
    let mut options = host_defaults();
    let mut origins = vec![Origin::Default; settings().count()];
    let mut wrong = file.map_or_else(Vec::new, |(_, document)| document.wrong.clone());
    for (setting, origin) in settings().zip(&mut origins) {
        let entry = file.and_then(|(name, document)| {
            let mut entries = document.entries.iter();
            let entry = entries.find(|entry| entry.key == setting.key)?;
            Some((name, document, entry))
        });
        if let Some((name, document, entry)) = entry {
            let taken = setting
                .kind
                .items(&entry.value)
                .and_then(|items| setting.kind.set(&mut options, &items));
            match taken {
                Ok(()) => *origin = Origin::File(Arc::clone(name), entry.position),
                Err(fault) => {
                    wrong.push(document.refuse(setting.key, fault.index, &fault.message));
                }
            }
        }
        if let Some(given) = given.iter().find(|given| given.setting.key == setting.key) {
            // Checked item by item when it was read; as a whole a list of flags is never empty.
            if setting.kind.set(&mut options, &given.items).is_ok() {
                *origin = given.origin.clone();
            }
        }
    }
    wrong.sort_by_key(|found| found.position);
    if wrong.is_empty() { Ok(Effective { options, origins }) } else { Err(wrong) }
}

/// The defaults, as far as they depend on this host.
fn host_defaults() -> AppOptions {
    let mut options = AppOptions { state_dir: state::default_folder(), ..AppOptions::default() };
    // Said by nobody, ::1 is a convenience: a host without IPv6 shall not hear of it.
    if !host::has_ipv6_loopback() {
        options
            .settings
            .node_addresses
            .retain(|address| address.is_ipv4());
    }
    options
}
