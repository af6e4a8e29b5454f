//! `portico demo`: a small site with everything included.

use clap::Args;

use crate::settings::ServeArgs;

/// `portico demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Drive one request down each path, print what came back and exit 0 or 1
    #[arg(long)]
    pub once: bool,
    /// Where and how to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}
