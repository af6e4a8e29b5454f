//! `portico config`: a look at the settings.

use clap::{Args, Subcommand};

use crate::settings::{Format, ServeArgs};

/// `portico config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the settings that count, each with where it is from
    Dump(DumpArgs),
}

/// `portico config dump`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DumpArgs {
    /// As a settings file for --config, or as a list of key, value and origin
    #[arg(long, value_enum, default_value_t, env = "PORTICO_FORMAT")]
    pub format: Format,
    /// The settings to print.
    #[command(flatten)]
    pub serve: ServeArgs,
}

const EXAMPLES: &str = "\
Examples:
  portico config dump
  portico config dump --config portico.yaml --dns-ttl 30
  portico config dump > portico.yaml     a settings file to start from";
