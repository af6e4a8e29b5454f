//! `loadtest`: runs real load tools against portico and its peers, and prints the comparison.
//!
//! `scenario` (what is measured) → `server` (who is measured) → `load` (how it is driven) →
//! `figures` (what it means) → `outcome` → `results` (a folder) → `page` (its plots). `compare` goes from scenario to
//! scenario; each is measured by one of `cost`, `idle`, `steady`, `edits` and `events`, which give it a table and JSON.
//! A new scenario is one more variant in `scenario` and, if no load tool fits, one in `load`.
//! `scale` measures portico alone, on a tree that `generate` writes.
//!
//! Invariants: it shares no code with portico, which it sees as a program like the others; it
//! needs threads and processes alone; whatever it starts is gone when it ends.

#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};

mod template;
mod procfs;
mod tools;
mod process;
mod scenario;
mod certificate;
mod peers;
mod probe;
mod server;
mod echo;
mod message;
mod tcp;
mod connect;
mod tls;
mod websocket;
mod udp;
mod latency;
mod answer;
mod paced;
mod rate;
mod flight;
mod dns;
mod hold;
mod load;
mod figures;
mod table;
mod outcome;
mod field;
mod machine;
mod plot;
mod timeline;
mod results;
mod page;
mod cost;
mod idle;
mod fleet;
mod steady;
mod edits;
mod events;
mod compare;
mod web;
mod pulse;
mod verdict;
mod soak;
mod generate;
mod names;
mod scale;

use echo::Echo;
use scenario::{Method, Scenario};
use tcp::Exchanges;

/// Compares portico with nginx and HAProxy on this machine: one core, the same work
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios against portico and its peers, and print medians and ratios
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Measure a large folder: first load, memory, and how soon an edit is live in every plane
    Scale(scale::ScaleArgs),
    /// Run portico for long under a mixed load with edits, dying backends and new certificates
    Soak(soak::SoakArgs),
    /// Write a folder of manifests as large as a large cluster's
    Generate {
        /// Where; made if it does not exist
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        #[command(flatten)]
        size: generate::Size,
    },
    /// Say what this machine lacks, and which Debian package brings it
    Doctor {
        /// The portico to measure [default: the program beside this one]
        #[arg(long, value_name = "PROGRAM")]
        portico: Option<PathBuf>,
    },
    /// Exchange 64 bytes over and over, and print how often
    #[command(hide = true)]
    TcpLoad(LoadArgs),
    /// Connect, exchange 64 bytes and close, over and over, and print how often
    #[command(hide = true)]
    ConnectLoad(LoadArgs),
    /// Connect, ask over HTTP and see the connection closed, over and over, and print how often
    #[command(hide = true)]
    HttpCloseLoad(LoadArgs),
    /// Send back what comes
    #[command(hide = true)]
    TcpEcho {
        /// Where to listen.
        address: SocketAddr,
        /// On how many addresses, from that one on.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
        addresses: u32,
    },
    /// Exchange datagrams of 64 bytes over and over, and print how often
    #[command(hide = true)]
    UdpLoad(LoadArgs),
    /// Shake hands over TLS and close, over and over, and print how often
    #[command(hide = true)]
    TlsLoad(LoadArgs),
    /// Exchange frames over upgraded connections, and print how often
    #[command(hide = true)]
    WebsocketLoad(LoadArgs),
    /// Send frames back
    #[command(hide = true)]
    WebsocketEcho {
        /// Where to listen.
        address: SocketAddr,
    },
    /// Ask over HTTP at a constant rate, and print how long it took
    #[command(hide = true)]
    RateLoad(rate::RateArgs),
    /// Ask for names over and over, and print how often
    #[command(hide = true)]
    DnsLoad(dns::DnsArgs),
    /// Open connections, say so, and hold them until standard input ends
    #[command(hide = true)]
    IdleLoad(hold::IdleArgs),
    /// Answer every request with the same
    #[command(hide = true)]
    Web {
        /// Where to listen.
        address: SocketAddr,
    },
    /// Send datagrams back
    #[command(hide = true)]
    UdpEcho {
        /// Where to take them.
        address: SocketAddr,
    },
}

/// What a load generator of our own does.
#[derive(Args, Clone, Copy, Debug)]
struct LoadArgs {
    /// Where something echoes.
    address: SocketAddr,
    /// Connections, or clients with a datagram under way, at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// How long.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// `tcp::load` and its like.
type Generator = fn(SocketAddr, usize, Duration) -> Result<Exchanges>;

impl LoadArgs {
    fn run(self, load: Generator) -> Result<ExitCode> {
        let done = load(self.address, self.connections.into(), Duration::from_secs(self.seconds))?;
        println!("{done}");
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args, Clone, Debug)]
struct CompareArgs {
    /// What to measure [default: all]
    #[arg(value_name = "SCENARIO", value_enum)]
    scenarios: Vec<Scenario>,
    /// Runs of each server: many and short ones tell more than a few long ones [default: 25 where
    /// time is measured, 5 where memory is, 3 around events]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Length of a run
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Length of the warm-up of each server before the first run
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    warm_up: u64,
    /// Three rounds against two peers at most, few idle connections, and the headline scenarios unless some
    /// are named: a first look in some minutes, whose figures are not to be quoted
    #[arg(long, conflicts_with_all = ["rounds", "seconds", "warm_up", "connections"])]
    quick: bool,
    /// Idle connections of idle-connections, idle-http and idle-https
    #[arg(long, value_name = "N", default_value_t = idle::CONNECTIONS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=18_000))]
    connections: u32,
    /// What asks for names
    #[arg(long, value_enum, default_value_t = DnsClient::Own)]
    dns_client: DnsClient,
    /// The core of the server under test
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    server_core: usize,
    /// The core of the load generator and the backend
    #[arg(long, value_name = "CORE", default_value_t = 1)]
    load_core: usize,
    /// The portico to measure [default: the program beside this one]
    #[arg(long, value_name = "PROGRAM")]
    portico: Option<PathBuf>,
    /// Write results.json and a page with plots, index.html, to this folder, beside what is in there
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Leave out what the folder of --report has figures of already: goes on with a run that was cut off
    #[arg(long, requires = "report")]
    resume: bool,
    /// Write every figure of every run to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The load generator of the DNS scenarios.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum DnsClient {
    /// Cheap enough to keep any server's core busy
    Own,
    /// What others measure with
    Dnsperf,
}

impl CompareArgs {
    /// Puts what was meant in place of what was left out.
    fn settle(&mut self) {
        if self.quick {
            (self.rounds, self.seconds, self.warm_up, self.connections) = (Some(3), 1, 1, 500);
        }
        if self.scenarios.is_empty() {
            self.scenarios = match self.quick {
                true => Scenario::HEADLINES.to_vec(),
                false => Scenario::ALL.to_vec(),
            };
        }
    }

    /// The rounds asked for, else as many as suit the scenario.
    fn rounds_of(&self, scenario: Scenario) -> u16 {
        let usual = match scenario.method() {
            Method::Cost | Method::Latency => 25,
            Method::Memory => 5,
            Method::Events | Method::Edits => 3,
        };
        self.rounds.unwrap_or(usual)
    }
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Compare(mut arguments) => {
            arguments.settle();
            ensure!(
                arguments.server_core != arguments.load_core,
                "--server-core and --load-core are the same: the load would be measured too"
            );
            let portico = portico_program(arguments.portico.clone())?;
            compare::run(&arguments, portico)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Scale(arguments) => {
            let portico = portico_program(arguments.portico.clone())?;
            scale::run(&arguments, &portico)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Soak(arguments) => {
            let portico = portico_program(arguments.portico.clone())?;
            let good = soak::run(&arguments, &portico)?;
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Generate { folder, size } => {
            let files = generate::write(&folder, size)?;
            println!("{files} files in {}", folder.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor { portico } => {
            let complete = tools::doctor(&portico_program(portico)?);
            Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::TcpLoad(arguments) => arguments.run(tcp::load),
        Command::ConnectLoad(arguments) => arguments.run(connect::load),
        Command::HttpCloseLoad(arguments) => arguments.run(connect::load_http),
        Command::TlsLoad(arguments) => arguments.run(tls::load),
        Command::UdpLoad(arguments) => arguments.run(udp::load),
        Command::WebsocketLoad(arguments) => arguments.run(websocket::load),
        Command::WebsocketEcho { address } => {
            websocket::echo(address)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::RateLoad(arguments) => {
            println!("{}", rate::load(arguments)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::DnsLoad(arguments) => {
            println!("{}", dns::load(&arguments)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::IdleLoad(arguments) => {
            hold::hold(arguments, &mut std::io::stdin(), &mut std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::TcpEcho { address, addresses } => {
            Echo::listen(address, addresses)?.serve()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Web { address } => {
            web::serve(address)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::UdpEcho { address } => {
            udp::echo(address)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The portico named, else the one that cargo put beside this program.
fn portico_program(named: Option<PathBuf>) -> Result<PathBuf> {
    match named {
        Some(program) => {
            ensure!(program.is_file(), "--portico {}: no such program", program.display());
            Ok(program)
        }
        None => {
            let own = std::env::current_exe().context("finding this program's folder")?;
            Ok(own.with_file_name("portico"))
        }
    }
}

const COMPARE_EXAMPLES: &str = "\
Build portico first: cargo build --release
Examples:
  loadtest compare
  loadtest compare --quick
  loadtest compare http1-small --rounds 50 --json http1.json
  loadtest compare dns-hit dns-nxdomain --report report
  loadtest compare --report report --resume
  loadtest compare idle-connections --connections 2000
  loadtest compare tcp-rr --portico ./portico-of-yesterday

Wants two cores with nothing else on them. A figure counts only from runs in which the server
had its core full; the busy share is printed.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_portico_that_is_named_must_be_there() {
        let error = portico_program(Some("/nowhere/at/all".into())).unwrap_err();
        assert_eq!(error.to_string(), "--portico /nowhere/at/all: no such program");
        let own = std::env::current_exe().unwrap();
        assert_eq!(portico_program(Some(own.clone())).unwrap(), own);
        assert!(portico_program(None).unwrap().ends_with("portico"));
    }

    #[test]
    fn compare_runs_every_scenario_unless_told_which() {
        for (arguments, want) in [
            (&["loadtest", "compare"][..], Scenario::ALL.to_vec()),
            (&["loadtest", "compare", "tcp-rr"], vec![Scenario::TcpRr]),
            (&["loadtest", "compare", "--quick"], Scenario::HEADLINES.to_vec()),
            (&["loadtest", "compare", "--quick", "dns-tcp"], vec![Scenario::DnsTcp]),
        ] {
            let Command::Compare(mut compare) = Cli::try_parse_from(arguments).unwrap().command
            else {
                panic!("not compare");
            };
            compare.settle();
            assert_eq!(compare.scenarios, want);
        }
    }
}
