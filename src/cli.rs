//! The command line: the commands and what each takes.
//!
//! The flags that are settings come from [`crate::settings`]'s table; here are the commands and
//! the flags of single ones.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use portico_config::diagnostic::Code;

use crate::decision::protocol_of;
use crate::naming::{A, PTR, kind_of, reverse_name};
use crate::routing::is_url;
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
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Say what is wrong with manifests: file, line, field and the way out
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Show what a running portico would change if it were given these manifests
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Say what a finding's code means, where a flow or a request goes or what a name answers, and why
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// See it work: a small WordPress site with everything included
    Demo(DemoArgs),
    /// Be a backend that answers what it was asked, to stand in for a pod
    #[command(after_help = ECHO_EXAMPLES)]
    Echo(EchoArgs),
    /// Print how this host is told to ask portico for names
    #[command(subcommand, subcommand_value_name = "COMMAND")]
    Dns(DnsCommand),
    /// The CA of --dev-tls
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

/// `portico config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the settings that count, each with where it is from
    #[command(after_help = DUMP_EXAMPLES)]
    Dump(DumpArgs),
}

/// `portico dns`.
#[derive(Debug, Subcommand)]
pub enum DnsCommand {
    /// Print the lines for systemd-resolved, resolv.conf, dnsmasq, macOS and Windows; changes nothing
    #[command(after_help = SETUP_EXAMPLES)]
    Setup(SetupArgs),
}

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

/// `portico dns setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The settings of the portico that is asked.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// `portico config dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// As a settings file for --config, or as a list of key, value and origin
    #[arg(long, value_enum, default_value_t, env = "PORTICO_FORMAT")]
    pub format: Format,
    /// The settings to print.
    #[command(flatten)]
    pub serve: ServeArgs,
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

/// `portico explain`.
#[derive(Debug, Args)]
#[command(override_usage = EXPLAIN_USAGE)]
pub struct ExplainArgs {
    /// A finding's code, such as P0304, none for a list; or tcp|udp ADDR:PORT, as a manifest has it or as
    /// it was mapped, and the manifests, none for those of the portico that runs; or http://HOST/PATH, or
    /// https, and the manifests, none for what runs; or dns NAME, a type such as SRV, and the manifests
    #[arg(value_name = "WORD")]
    pub words: Vec<OsString>,
    /// Whom the flow, the request or the question comes from [default: this host, 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    pub from: Option<IpAddr>,
    /// A field of the request, Host too
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Its method [default: GET]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub method: Option<String>,
    /// Explain each line of a file, - is standard input: what stands behind `portico explain`; one JSON
    /// answer a line
    #[arg(long, value_name = "FILE")]
    pub batch: Option<PathBuf>,
    /// How what becomes of a flow is printed
    #[arg(long, value_enum, default_value_t, env = "PORTICO_FORMAT")]
    pub format: Format,
    /// The settings of the portico that runs, or would run.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What is to be explained.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Topic {
    /// A kind of finding.
    Code(Code),
    /// All of them.
    Codes,
    /// What becomes of a flow.
    Flow(Question),
    /// What becomes of a request.
    Request(RequestQuestion),
    /// What is answered to a name.
    Name(NameQuestion),
    /// Each line of a file, with the manifests of those that name none.
    Batch(PathBuf, Vec<PathBuf>),
}

/// A question about a flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Where it goes.
    pub to: SocketAddr,
    /// The manifests; none: those of the portico that runs.
    pub paths: Vec<PathBuf>,
}

/// A question about a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestQuestion {
    /// Where it goes.
    pub url: String,
    /// The manifests; none: those of the portico that runs.
    pub paths: Vec<PathBuf>,
}

/// A question about a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameQuestion {
    /// The name.
    pub name: String,
    /// Its type's number.
    pub kind: u16,
    /// The manifests; none: those of the portico that runs.
    pub paths: Vec<PathBuf>,
}

impl ExplainArgs {
    /// What the words ask about; fails with what is wrong and the way out.
    pub fn topic(&self) -> Result<Topic, String> {
        let paths = |words: &[OsString]| words.iter().map(PathBuf::from).collect();
        if let Some(file) = &self.batch {
            return Ok(Topic::Batch(file.clone(), paths(&self.words)));
        }
        let text = |at: usize| self.words.get(at).map(|word| word.to_string_lossy());
        let Some(first) = text(0) else { return Ok(Topic::Codes) };
        if is_url(&first) {
            let paths = paths(&self.words[1..]);
            return Ok(Topic::Request(RequestQuestion { url: first.into_owned(), paths }));
        }
        if first == "dns" {
            let name =
                text(1).ok_or("name what is asked for: dns web.default.svc.cluster.local")?;
            // A type in small letters is one where there is no such file.
            let kind = text(2).and_then(|word| {
                let is_file = || Path::new(&*word).exists();
                kind_of(&word).or_else(|| kind_of(&word.to_uppercase()).filter(|_| !is_file()))
            });
            let paths = paths(
                self.words
                    .get(2 + usize::from(kind.is_some())..)
                    .unwrap_or(&[]),
            );
            // An address stands for its reverse name, as `dig -x` has it.
            let (name, usual) = match name.parse() {
                Ok(address) => (reverse_name(address), PTR),
                Err(_) => (name.into_owned(), A),
            };
            let kind = kind.unwrap_or(usual);
            return Ok(Topic::Name(NameQuestion { name, kind, paths }));
        }
        if protocol_of(&first).is_some() {
            let to = text(1).unwrap_or_default();
            let to = to.parse().map_err(|_| {
                format!("{first} \"{to}\" is not ADDR:PORT, such as 10.96.0.10:80 or [fd00::1]:80")
            })?;
            let paths = paths(&self.words[2..]);
            return Ok(Topic::Flow(Question { protocol: first.into_owned(), to, paths }));
        }
        if first.contains("://") {
            return Err(format!("{first}: only http:// and https:// can be explained"));
        }
        let hint = match (Code::parse(&first), Code::nearest(&first)) {
            (Some(code), _) if self.words.len() == 1 => return Ok(Topic::Code(code)),
            (Some(_), _) => return Err("explain one code at a time".to_owned()),
            (None, Some(code)) => format!("did you mean {code}: {}?", code.title()),
            (None, None) => "`portico explain` lists all codes".to_owned(),
        };
        Err(format!("{first}: there is no such code; {hint}"))
    }
}

/// `portico diff`.
#[derive(Debug, Args)]
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
    /// A port beside it for HTTP/2 with prior knowledge, and nothing else
    #[arg(long, value_name = "PORT", env = "H2C_PORT")]
    pub h2c_port: Option<u16>,
    /// The port for TLS, where there is a certificate
    #[arg(long, value_name = "PORT", default_value_t = 8443, env = "HTTPS_PORT")]
    pub https_port: u16,
    /// Certificate chain for TLS, in PEM
    #[arg(long, value_name = "FILE", env = "TLS_SERVER_CERT")]
    pub tls_server_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", env = "TLS_SERVER_PRIVKEY")]
    pub tls_server_privkey: Option<PathBuf>,
    /// The same, as others spell it
    #[arg(long, value_name = "FILE", env = "TLS_SERVER_PRIV_KEY", hide = true)]
    pub tls_server_priv_key: Option<PathBuf>,
    /// Who signs client certificates, which are verified if they are shown, in PEM
    #[arg(long, value_name = "FILE", env = "TLS_CLIENT_CACERTS")]
    pub tls_client_cacerts: Option<PathBuf>,
    /// Be a service of gRPC instead, on the same ports
    #[arg(long, value_name = "ANY", num_args = 0..=1, default_missing_value = "1")]
    #[arg(env = "GRPC_ECHO_SERVER")]
    pub grpc_echo_server: Option<String>,
    /// Answer lines over TCP instead: TEST, IS_TLS and PING
    #[arg(long, value_name = "ANY", num_args = 0..=1, default_missing_value = "1")]
    #[arg(env = "TCP_ECHO_SERVER")]
    pub tcp_echo_server: Option<String>,
    /// Its port
    #[arg(long, value_name = "PORT", default_value_t = 3000, env = "TCP_PORT")]
    pub tcp_port: u16,
    /// Its port for TLS
    #[arg(long, value_name = "PORT", default_value_t = 8443, env = "TLS_PORT")]
    pub tls_port: u16,
    /// Answer datagrams over UDP instead
    #[arg(long, value_name = "ANY", num_args = 0..=1, default_missing_value = "1")]
    #[arg(env = "UDP_ECHO_SERVER")]
    pub udp_echo_server: Option<String>,
    /// Its port
    #[arg(long, value_name = "PORT", default_value_t = 8080, env = "UDP_PORT")]
    pub udp_port: u16,
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
Start here:
  portico demo                       see it work, with nothing else installed
  portico run ./manifests            serve your own Services and Ingresses
  portico check ./manifests          find mistakes before they are served
  portico diff ./manifests           see what a running portico would change

Settings come from flags, then the environment (--dns-ttl 30 is PORTICO_DNS_TTL=30), then the
file of --config (dns: {ttl: 30}): portico config dump prints what counts and where it is from.
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
  portico explain                    list all codes
  portico explain tcp 10.96.0.10:80 --from 10.244.1.9 --node-name node-1 ./manifests
  portico explain tcp 127.96.12.34:80              ask the portico that runs
  portico explain https://shop.test/cart -H 'X-Try: always' ./manifests
  portico explain http://shop.test:8080/              ask the portico that runs
  portico explain dns _http._tcp.web.default.svc.cluster.local SRV ./manifests
  portico explain dns web.default.svc.cluster.local   ask the portico that runs
  portico explain --batch flows.txt ./manifests    a line each: tcp 10.96.0.10:80 --from 10.0.0.9

Verdicts: forward, reject (refused at once), drop (no answer), not_handled (no Service's).";

const EXPLAIN_USAGE: &str = "\
portico explain [CODE]
       portico explain tcp|udp ADDR:PORT [--from ADDR] [OPTIONS] [PATH]...
       portico explain http|https://HOST/PATH [-H 'NAME: VALUE']... [-X METHOD] [OPTIONS] [PATH]...
       portico explain dns NAME [TYPE] [--from ADDR] [OPTIONS] [PATH]...
       portico explain --batch FILE [OPTIONS] [PATH]...";
const SETUP_EXAMPLES: &str = "\
Examples:
  portico dns setup
  portico dns setup --dns 127.0.0.1:53 --alias-zone lab.test";
const DUMP_EXAMPLES: &str = "\
Examples:
  portico config dump
  portico config dump --config portico.yaml --dns-ttl 30
  portico config dump > portico.yaml     a settings file to start from";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(portico completions bash)
  portico completions fish > ~/.config/fish/completions/portico.fish";

const DIFF_EXAMPLES: &str = "\
Examples:
  portico diff ./manifests
  portico diff ./manifests --admin 127.0.0.1:9080 --format json | jq '.changes[].name'

Give the flags that the running portico was started with. Exit codes: 0 no difference, 1 some,
2 wrong usage, unreadable input, or no portico there.";

const ECHO_EXAMPLES: &str = "\
Examples:
  portico echo --name wp-1 --listen 127.0.10.101:8080
  portico echo --tcp --name mariadb --listen 127.0.10.103:3306

Answers HTTP with what it was asked, as JSON. Also: /health, /status/503, ?delay=250ms, /ws,
/retry/x?uuid=1&succeedAfter=2&responseCode=503, request header X-Echo-Set-Header: Name:value.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::AppOptions;
    use clap::CommandFactory;
    use portico_config::model::ClusterIps;
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
    fn what_cannot_be_explained_is_refused_with_the_way_out() {
        for (word, want) in [
            ("htps://a.test/", "only http:// and https:// can be explained"),
            ("P9999", "there is no such code"),
            ("nothing", "`portico explain` lists all codes"),
        ] {
            let cli = Cli::try_parse_from(["portico", "explain", word]).unwrap();
            let Command::Explain(explain) = cli.command else { panic!("not explain") };
            let reason = explain.topic().unwrap_err();
            assert!(reason.contains(word) && reason.contains(want), "{reason}");
        }
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
