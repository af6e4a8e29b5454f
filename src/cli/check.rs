//! `portico check`: what is wrong with manifests, and how that is printed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::settings::ServeArgs;

/// `portico check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Files and folders with manifests (.yaml, .yml, .json); - is standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Exit 1 for warnings too
    #[arg(long, env = "PORTICO_STRICT")]
    pub strict: bool,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t, env = "PORTICO_FORMAT")]
    pub format: CheckFormat,
    /// Whether the text has colours; auto asks the terminal, NO_COLOR and CLICOLOR_FORCE
    #[arg(long, value_enum, default_value_t, env = "PORTICO_COLOR", value_name = "WHEN")]
    pub color: Color,
    /// Show a mistake that is made more than 20 times in one file each time
    #[arg(long, env = "PORTICO_ALL")]
    pub all: bool,
    /// Print only how many errors and warnings there are
    #[arg(short, long, env = "PORTICO_QUIET")]
    pub quiet: bool,
    /// The settings that the manifests are checked against.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// `check --format`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum CheckFormat {
    /// With the line and what is wrong in it.
    #[default]
    Text,
    /// One line each: `file:line:column: severity[code]: what is wrong`.
    Short,
    /// A list of objects, for programs.
    Json,
    /// Workflow commands of GitHub.
    Github,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Wherever it goes.
    Always,
    /// Nowhere.
    Never,
}

const EXAMPLES: &str = "\
Examples:
  portico check ./manifests
  portico check --strict --format json ./manifests | jq '.[].message'";
