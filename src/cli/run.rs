//! `portico run`: serve the manifests in files and folders.

use std::path::PathBuf;

use clap::Args;

use crate::settings::ServeArgs;

/// `portico run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Files and folders with manifests (.yaml, .yml, .json); - is standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Where and how to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

const EXAMPLES: &str = "\
Examples:
  portico run ./manifests
  portico run site.yaml more/ --http 0.0.0.0:8080
  kubectl get svc,ep,ing,secret,pods -A -o yaml | portico run -
  portico run ./manifests --https off --dns 127.0.0.1:5353 --log-format json

Signals: TERM, INT and QUIT drain and end, a second one ends now; HUP reads every file again; USR1
begins the files of logs anew.";
