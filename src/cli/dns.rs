//! `portico dns`: how this host is told to ask portico.

use clap::{Args, Subcommand};

use crate::settings::ServeArgs;

/// `portico dns`.
#[derive(Debug, Subcommand)]
pub enum DnsCommand {
    /// Print the lines for systemd-resolved, resolv.conf, dnsmasq, macOS and Windows; changes nothing
    Setup(SetupArgs),
}

/// `portico dns setup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SetupArgs {
    /// The settings of the portico that is asked.
    #[command(flatten)]
    pub serve: ServeArgs,
}

const EXAMPLES: &str = "\
Examples:
  portico dns setup
  portico dns setup --dns 127.0.0.1:53 --alias-zone lab.test";
