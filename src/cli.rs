//! The command line: the commands, and in a file for each what it takes.
//!
//! The flags that are settings come from [`crate::settings`]'s table; here are the commands and
//! the flags of single ones.

mod run;
mod check;
mod diff;
mod explain;
mod status;
mod demo;
mod echo;
mod dns;
mod ca;
mod config;
mod environment;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub use self::ca::{CaCommand, ExportArgs};
pub use self::check::{CheckArgs, CheckFormat, Color};
pub use self::config::{ConfigCommand, DumpArgs};
pub use self::demo::DemoArgs;
pub use self::diff::DiffArgs;
pub use self::dns::{DnsCommand, SetupArgs};
pub use self::echo::EchoArgs;
pub(crate) use self::environment::strangers;
pub use self::explain::{ExplainArgs, NameQuestion, Question, RequestQuestion, Topic};
pub use self::run::RunArgs;
pub use self::status::{Output, StatusArgs};
pub use crate::settings::{Format, LogArgs, ServeArgs};

/// Kubernetes Services, cluster DNS and Ingress from a folder of manifests, with no cluster.
#[derive(Debug, Parser)]
#[command(name = "portico", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, subcommand_value_name = "COMMAND")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How the log on stderr looks.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the manifests in files and folders, and follow every edit
    Run(RunArgs),
    /// Say what is wrong with manifests: file, line, field and the way out
    Check(CheckArgs),
    /// Show what a running portico would change if it were given these manifests
    Diff(DiffArgs),
    /// Say what a finding's code means, where a flow or a request goes or what a name answers, and why
    Explain(ExplainArgs),
    /// Show how each Ingress of a running portico is: whose, where, open, closed or shadowed, and why
    Status(StatusArgs),
    /// See it work: a small WordPress site with everything included
    Demo(DemoArgs),
    /// Be a backend that answers what it was asked, to stand in for a pod
    Echo(EchoArgs),
    /// Print how this host is told to ask portico for names
    #[command(subcommand, subcommand_value_name = "COMMAND")]
    Dns(DnsCommand),
    /// Print the certificate of the CA of --dev-tls, for browsers and tools to trust
    #[command(subcommand, subcommand_value_name = "COMMAND")]
    Ca(CaCommand),
    /// Look at the settings
    #[command(subcommand, subcommand_value_name = "COMMAND")]
    Config(ConfigCommand),
    /// Print a script that completes portico's commands and flags in a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
}

const EXAMPLES: &str = "\
Start here:
  portico demo                       see it work, with nothing else installed
  portico run ./manifests            serve your own Services and Ingresses
  portico check ./manifests          find mistakes before they are served
  portico diff ./manifests           see what a running portico would change
  portico status                     see how each of its Ingresses is

Settings come from flags, then the environment (--dns-ttl 30 is PORTICO_DNS_TTL=30), then the
file of --config (dns: {ttl: 30}): portico config dump prints what counts and where it is from.
Exit codes: 0 fine, 1 errors in manifests, 2 wrong usage or unreadable input.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(portico completions bash)
  portico completions fish > ~/.config/fish/completions/portico.fish";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::AppOptions;
    use clap::CommandFactory;
    use portico_config::model::ClusterIps;
    use std::net::IpAddr;
    use std::time::Duration;

    fn run(arguments: &[&str]) -> Result<AppOptions, clap::Error> {
        let line = ["portico", "run", "manifests"].iter().chain(arguments);
        let cli = Cli::try_parse_from(line)?;
        match cli.command {
            Command::Run(run) => Ok(run.serve.load(&cli.log).unwrap().effective.options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_listen_on_loopback_alone() {
        let settings = run(&[]).unwrap().settings;
        let all = [settings.http, settings.https, settings.dns, settings.admin].concat();
        assert_eq!(
            all.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1:8080", "127.0.0.1:8443", "127.0.0.1:1053", "127.0.0.1:9080"]
        );
    }

    #[test]
    fn a_listener_flag_takes_addresses_ports_and_off() {
        for (arguments, want) in [
            (&["--http", "0.0.0.0:80"][..], &["0.0.0.0:80"][..]),
            (&["--http", "off"], &[]),
            (&["--http", "81", "--http", "127.0.0.2:82"], &["127.0.0.1:81", "127.0.0.2:82"]),
            (&["--http", "81,82"], &["127.0.0.1:81", "127.0.0.1:82"]),
        ] {
            let http = run(arguments).unwrap().settings.http;
            assert_eq!(http.iter().map(ToString::to_string).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn a_switch_alone_is_on_and_takes_nothing_that_follows() {
        for (arguments, want) in [
            (&["."][..], false),
            (&["--dns-autopath", "."], true),
            (&[".", "--dns-autopath"], true),
            (&["--dns-autopath=true", "."], true),
            (&["--dns-autopath=false", "."], false),
        ] {
            let settings = run(arguments).unwrap().settings;
            assert_eq!(settings.names.autopath, want, "{arguments:?}");
        }
        let error = run(&["--dns-autopath=maybe"]).unwrap_err();
        assert!(error.to_string().contains("possible values: true, false"), "{error}");
    }

    #[test]
    fn bad_values_are_refused_with_the_flag_and_the_way_out() {
        for (arguments, want) in [
            (&["--http", ":8080"][..], "127.0.0.1:8080"),
            (&["--dns-ttl", "3601"], "'--dns-ttl <SECONDS>'"),
            (&["--cluster-ips", "mapp"], "possible values: map, route, keep"),
            (&["--service-cidr", "127.96.0.0"], "expected a network"),
        ] {
            let error = run(arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
            assert!(error.to_string().contains(want), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn what_is_typed_reaches_the_settings() {
        let options = run(&[
            "--service-cidr=10.96.0.0/12",
            "--service-cidr=fd00::/108",
            "--cluster-ips=keep",
            "--node-address=192.0.2.7",
            "--node-name=node1",
            "--cluster-domain=Corp.Example.",
            "--alias-zone=off",
            "--dns-ttl=0",
            "--ingress-class-names=a,b",
            "--ingress-serve-classless=false",
            "--limits-max-file-bytes=1Mi",
            "--workers=3",
            "--drain-timeout=2m",
            "--drain-delay=250ms",
            "--log-level=debug",
        ])
        .unwrap();
        let settings = options.settings;
        assert_eq!(settings.service_cidrs.len(), 2);
        assert_eq!(settings.cluster_ips, ClusterIps::Keep);
        assert_eq!(settings.node_addresses, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(settings.node_name.as_deref(), Some("node1"));
        assert_eq!(settings.cluster_domains, ["corp.example".into()]);
        assert!(settings.alias_zones.is_empty());
        assert_eq!(settings.dns_ttl_seconds, 0);
        assert_eq!(settings.class_names, ["a".into(), "b".into()]);
        assert!(!settings.serve_classless);
        assert_eq!(settings.limits.max_file_bytes, 1 << 20);
        assert_eq!(options.workers, 3);
        assert_eq!(options.drain_timeout, Duration::from_secs(120));
        assert_eq!(options.drain_delay, Duration::from_millis(250));
        assert_eq!(options.log_level, "debug");
    }

    #[test]
    fn the_log_s_flags_stand_before_and_behind_the_command() {
        for line in [
            ["portico", "--log-level", "debug", "run", "x"],
            ["portico", "run", "x", "--log-level", "debug"],
        ] {
            assert_eq!(Cli::parse_from(line).log.options().log_level, "debug", "{line:?}");
        }
    }
}
