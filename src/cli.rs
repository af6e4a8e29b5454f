//! The command line: what was typed, and what it means.
//!
//! Every flag has an environment variable (`--dns-ttl` is `PORTICO_DNS_TTL`); a flag wins. Only
//! this file turns text into [`Settings`]; lists in the environment are separated by commas.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use portico_config::diagnostic::Code;
use portico_config::model::{ClusterIps, Settings};

use crate::app::AppOptions;
use crate::host;

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
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Say what is wrong with manifests: file, line, field and the way out
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Say what a diagnostic's code means, with a wrong and a right example
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// See it work: a small WordPress site with everything included
    Demo(DemoArgs),
    /// Be a backend that answers what it was asked, to stand in for a pod
    #[command(after_help = ECHO_EXAMPLES)]
    Echo(EchoArgs),
}

/// `portico run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Files and folders with manifests (.yaml, .yml, .json); - is standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Where and how to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// `portico check`.
#[derive(Debug, Args)]
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

/// `portico explain`; what else it will explain (connections, names, requests) becomes a
/// subcommand beside the code.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code of a finding, such as P0304; without one, all are listed
    #[arg(value_name = "CODE")]
    pub topic: Option<Topic>,
}

/// What is to be explained.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Topic {
    /// A kind of finding.
    Code(Code),
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(code) = Code::parse(text) {
            return Ok(Self::Code(code));
        }
        let near = Code::nearest(text);
        let hint = match near {
            Some(code) => format!("did you mean {code}: {}?", code.title()),
            None => "`portico explain` lists all codes".to_owned(),
        };
        Err(format!("there is no such code; {hint}"))
    }
}

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

/// `portico echo`.
#[derive(Args, Clone, Debug)]
pub struct EchoArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", env = "PORTICO_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// The port on 127.0.0.1, where --listen does not say more
    #[arg(long, value_name = "PORT", default_value_t = 3000, env = "HTTP_PORT")]
    pub http_port: u16,
    /// The pod's name in answers
    #[arg(long, value_name = "NAME", default_value = "", env = "POD_NAME")]
    pub name: String,
    /// The namespace in answers
    #[arg(long, value_name = "NAME", default_value = "default", env = "NAMESPACE")]
    pub namespace: String,
    /// The Service in answers
    #[arg(long, value_name = "NAME", default_value = "", env = "SERVICE_NAME")]
    pub service: String,
    /// The Ingress in answers
    #[arg(long, value_name = "NAME", default_value = "", env = "INGRESS_NAME")]
    pub ingress: String,
    /// Send back bytes as they come, instead of HTTP
    #[arg(long)]
    pub tcp: bool,
}

/// Flags of everything that serves.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// Plain HTTP for Ingress; repeatable [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR[:PORT]|off", value_delimiter = ',', env = "PORTICO_HTTP")]
    #[arg(help_heading = "Listeners")]
    pub http: Vec<Listen>,
    /// HTTPS for Ingress; repeatable [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDR[:PORT]|off", value_delimiter = ',', env = "PORTICO_HTTPS")]
    #[arg(help_heading = "Listeners")]
    pub https: Vec<Listen>,
    /// Cluster DNS over UDP and TCP; repeatable [default: 127.0.0.1:1053]
    #[arg(long, value_name = "ADDR[:PORT]|off", value_delimiter = ',', env = "PORTICO_DNS")]
    #[arg(help_heading = "Listeners")]
    pub dns: Vec<Listen>,
    /// Metrics, probes and the API; repeatable [default: 127.0.0.1:9080]
    #[arg(long, value_name = "ADDR[:PORT]|off", value_delimiter = ',', env = "PORTICO_ADMIN")]
    #[arg(help_heading = "Listeners")]
    pub admin: Vec<Listen>,

    /// Where Services get addresses, one network per family; repeatable [default: 127.96.0.0/16]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', env = "PORTICO_SERVICE_CIDR")]
    #[arg(help_heading = "Addresses")]
    pub service_cidr: Vec<IpNet>,
    /// What happens to a clusterIP that this host does not have
    #[arg(long, value_enum, default_value_t, env = "PORTICO_CLUSTER_IPS")]
    #[arg(help_heading = "Addresses")]
    pub cluster_ips: ClusterIpsArg,
    /// Where NodePorts listen; repeatable [default: 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDR", value_delimiter = ',', env = "PORTICO_NODE_ADDRESS")]
    #[arg(help_heading = "Addresses")]
    pub node_address: Vec<IpAddr>,
    /// Which Node object is this host
    #[arg(long, value_name = "NAME", env = "PORTICO_NODE_NAME", help_heading = "Addresses")]
    pub node_name: Option<String>,

    /// The cluster's zone; repeatable, the first is primary [default: cluster.local]
    #[arg(long, value_name = "ZONE", value_delimiter = ',', env = "PORTICO_CLUSTER_DOMAIN")]
    #[arg(value_parser = zone, help_heading = "Names")]
    pub cluster_domain: Vec<String>,
    /// A zone with the same names; repeatable [default: portico.test]
    #[arg(long, value_name = "ZONE|off", value_delimiter = ',', env = "PORTICO_ALIAS_ZONE")]
    #[arg(value_parser = zone, help_heading = "Names")]
    pub alias_zone: Vec<String>,
    /// How long answers may be cached, 0 to 3600 [default: 5]
    #[arg(long, value_name = "SECONDS", env = "PORTICO_DNS_TTL", help_heading = "Names")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub dns_ttl: Option<u32>,

    /// Data-plane threads, 1 to 256 [default: one per core]
    #[arg(long, value_name = "N", env = "PORTICO_WORKERS", help_heading = "Process")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// How long open connections may finish at the end, such as 30s or 2m [default: 30s]
    #[arg(long, value_name = "TIME", env = "PORTICO_DRAIN_TIMEOUT", help_heading = "Process")]
    #[arg(value_parser = duration)]
    pub drain_timeout: Option<Duration>,
    /// How long to go on, not ready, before nothing new is accepted [default: 0s]
    #[arg(long, value_name = "TIME", env = "PORTICO_DRAIN_DELAY", help_heading = "Process")]
    #[arg(value_parser = duration)]
    pub drain_delay: Option<Duration>,
}

/// Flags of the log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// How log lines on stderr look
    #[arg(long, value_enum, default_value_t, global = true, env = "PORTICO_LOG_FORMAT")]
    #[arg(help_heading = "Log")]
    pub log_format: Format,
    /// What is logged: error, warn, info, debug, trace or target=level pairs
    #[arg(long, value_name = "LEVEL", global = true, env = "PORTICO_LOG_LEVEL")]
    #[arg(default_value = "info", help_heading = "Log")]
    pub log_level: String,
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

/// `check --format`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum CheckFormat {
    /// With the line and what is wrong in it.
    #[default]
    Text,
    /// One line each: file:line:column: severity[code]: what is wrong.
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

/// `--cluster-ips`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ClusterIpsArg {
    /// Serve it on an address inside the service CIDR instead.
    #[default]
    Map,
    /// Never change it: what cannot be bound is not listened on.
    Keep,
}

/// One value of a listener flag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listen {
    /// `off`: this listener does not exist.
    Off,
    /// `ADDR:PORT`, or `ADDR` with the listener's own port, or `PORT` on 127.0.0.1.
    At(Option<IpAddr>, Option<u16>),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::At(Some(address.ip()), Some(address.port())));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Ok(Self::At(Some(address), None));
        }
        if let Ok(port) = text.parse() {
            return Ok(Self::At(None, Some(port)));
        }
        Err(match text.strip_prefix(':') {
            Some(port) => format!("name the address too: 127.0.0.1:{port}, or 0.0.0.0:{port}"),
            None => "expected ADDR:PORT, ADDR, PORT or off".to_owned(),
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(Some(ip), Some(port)) => SocketAddr::new(*ip, *port).fmt(f),
            Self::At(Some(ip), None) => ip.fmt(f),
            Self::At(None, Some(port)) => port.fmt(f),
            Self::At(None, None) => f.write_str("default"),
        }
    }
}

impl ServeArgs {
    /// The settings that these flags mean on this host.
    pub fn settings(&self) -> Settings {
        let defaults = Settings::default();
        let names = |given: &[String], default: Vec<Arc<str>>| match given {
            [] => default,
            given => given
                .iter()
                .filter(|name| *name != "off")
                .map(|name| name.as_str().into())
                .collect(),
        };
        Settings {
            http: listeners(&self.http, &defaults.http),
            https: listeners(&self.https, &defaults.https),
            dns: listeners(&self.dns, &defaults.dns),
            admin: listeners(&self.admin, &defaults.admin),
            service_cidrs: or_default(&self.service_cidr, &defaults.service_cidrs),
            cluster_ips: match self.cluster_ips {
                ClusterIpsArg::Map => ClusterIps::Map,
                ClusterIpsArg::Keep => ClusterIps::Keep,
            },
            // Said by nobody, ::1 is a convenience: a host without IPv6 shall not hear of it.
            node_addresses: match &self.node_address[..] {
                [] => defaults
                    .node_addresses
                    .into_iter()
                    .filter(|address| address.is_ipv4() || host::has_ipv6_loopback())
                    .collect(),
                given => given.to_vec(),
            },
            node_name: self.node_name.as_deref().map(Into::into),
            cluster_domains: names(&self.cluster_domain, defaults.cluster_domains),
            alias_zones: names(&self.alias_zone, defaults.alias_zones),
            dns_ttl_seconds: self.dns_ttl.unwrap_or(defaults.dns_ttl_seconds),
            controllers: defaults.controllers,
            class_names: defaults.class_names,
            serve_classless: defaults.serve_classless,
            limits: defaults.limits,
            reload: defaults.reload,
        }
    }

    /// Settings and the matters of the process.
    pub fn app_options(&self) -> AppOptions {
        let defaults = AppOptions::default();
        AppOptions {
            settings: self.settings(),
            workers: self.workers.map_or(defaults.workers, usize::from),
            drain_timeout: self.drain_timeout.unwrap_or(defaults.drain_timeout),
            drain_delay: self.drain_delay.unwrap_or(defaults.drain_delay),
        }
    }
}

/// `given` in the order typed, completed by the default's port; `off` empties what came before it.
fn listeners(given: &[Listen], default: &[SocketAddr]) -> Vec<SocketAddr> {
    if given.is_empty() {
        return default.to_vec();
    }
    let own_port = default.first().map_or(0, SocketAddr::port);
    let mut listeners = Vec::new();
    for listen in given {
        match *listen {
            Listen::Off => listeners.clear(),
            Listen::At(ip, port) => listeners.push(SocketAddr::new(
                ip.unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()),
                port.unwrap_or(own_port),
            )),
        }
    }
    listeners.dedup();
    listeners
}

fn or_default<T: Clone>(given: &[T], default: &[T]) -> Vec<T> {
    if given.is_empty() { default.to_vec() } else { given.to_vec() }
}

fn zone(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() <= 200 && name.split('.').all(label) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err("expected a domain name such as cluster.local".to_owned())
    }
}

/// Go's duration text with one unit: `250ms`, `30s`, `2m`, `1h`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a time such as 30s or 2m".to_owned())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("{unit} is no unit of time: use ms, s, m or h")),
    };
    number
        .checked_mul(milliseconds)
        .filter(|total| *total <= LONGEST_TIME_MS)
        .map(Duration::from_millis)
        .ok_or_else(|| "at most 24h".to_owned())
}

const LONGEST_TIME_MS: u64 = 24 * 3_600_000;

const EXAMPLES: &str = "\
Start here:
  portico demo                       see it work, with nothing else installed
  portico run ./manifests            serve your own Services and Ingresses
  portico check ./manifests          find mistakes before they are served

Every flag can be set in the environment: --dns-ttl 30 is PORTICO_DNS_TTL=30.
Exit codes: 0 fine, 1 errors in manifests, 2 wrong usage or unreadable input.";

const RUN_EXAMPLES: &str = "\
Examples:
  portico run ./manifests
  portico run site.yaml more/ --http 0.0.0.0:8080
  kubectl get svc,ep,ing,secret,pods -A -o yaml | portico run -
  portico run ./manifests --https off --dns 127.0.0.1:5353 --log-format json

Signals: TERM and INT drain and end, a second one ends now; HUP reads every file again.";

const CHECK_EXAMPLES: &str = "\
Examples:
  portico check ./manifests
  portico check --strict --format json ./manifests | jq '.[].message'";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  portico explain P0304
  portico explain                    list all codes";

const ECHO_EXAMPLES: &str = "\
Examples:
  portico echo --name wp-1 --listen 127.0.10.101:8080
  portico echo --tcp --name mariadb --listen 127.0.10.103:3306

Answers HTTP with what it was asked, as JSON. Also: /health, /status/503, ?delay=250ms,
request header X-Echo-Set-Header: Name:value.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn run(arguments: &[&str]) -> Result<AppOptions, clap::Error> {
        let line = ["portico", "run", "manifests"].iter().chain(arguments);
        match Cli::try_parse_from(line)?.command {
            Command::Run(run) => Ok(run.serve.app_options()),
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
            (&["--http", "192.0.2.1"], &["192.0.2.1:8080"]),
            (&["--http", "::1"], &["[::1]:8080"]),
            (&["--http", "[::1]:81"], &["[::1]:81"]),
            (&["--http", "81"], &["127.0.0.1:81"]),
            (&["--http", "off"], &[]),
            (&["--http", "81", "--http", "127.0.0.2:82"], &["127.0.0.1:81", "127.0.0.2:82"]),
            (&["--http", "81,82"], &["127.0.0.1:81", "127.0.0.1:82"]),
        ] {
            let http = run(arguments).unwrap().settings.http;
            assert_eq!(http.iter().map(ToString::to_string).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn bad_values_are_refused_with_the_way_out() {
        for (arguments, want) in [
            (&["--http", ":8080"][..], "127.0.0.1:8080"),
            (&["--http", "web"], "ADDR:PORT"),
            (&["--dns-ttl", "3601"], "3601"),
            (&["--workers", "0"], "0"),
            (&["--service-cidr", "127.96.0.0"], "service-cidr"),
            (&["--drain-timeout", "1y"], "no unit"),
            (&["--drain-timeout", "25h"], "at most 24h"),
            (&["--alias-zone", "a..b"], "domain name"),
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
            "--workers=3",
            "--drain-timeout=2m",
            "--drain-delay=250ms",
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
        assert_eq!(options.workers, 3);
        assert_eq!(options.drain_timeout, Duration::from_secs(120));
        assert_eq!(options.drain_delay, Duration::from_millis(250));
    }
}
