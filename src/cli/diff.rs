//! `portico diff`: what a running portico would change.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{Format, ServeArgs};

/// `portico diff`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// Files and folders with manifests (.yaml, .yml, .json); - is standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How differences are printed
    #[arg(long, value_enum, default_value_t, env = "PORTICO_FORMAT")]
    pub format: Format,
    /// The settings of the portico that runs; its --admin is asked.
    #[command(flatten)]
    pub serve: ServeArgs,
}

const EXAMPLES: &str = "\
Examples:
  portico diff ./manifests
  portico diff ./manifests --admin 127.0.0.1:9080 --format json | jq '.changes[].name'

Give the flags that the running portico was started with. Exit codes: 0 no difference, 1 some,
2 wrong usage, unreadable input, or no portico there.";
