//! `portico ca`: the CA of `--dev-tls`.

use clap::{Args, Subcommand};

use crate::settings::ServeArgs;

/// `portico ca`.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Print its certificate, to be trusted by browsers and tools; it is made if there is none yet
    Export(ExportArgs),
}

/// `portico ca export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The settings of the portico whose CA it is.
    #[command(flatten)]
    pub serve: ServeArgs,
}
