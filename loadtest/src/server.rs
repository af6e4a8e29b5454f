//! Who is measured: portico and its peers, and the backends behind them.
//!
//! Each server gets one configuration from `peers/`, one port and one core; it counts as started
//! once it has carried one unit of the scenario's work.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::DnsClient;
use crate::echo::addresses;
use crate::names;
use crate::outcome::{Measured, Outcome};
use crate::peers::{DNSMASQ, KNOT, NSD, UNBOUND};
use crate::probe::probe;
use crate::process::{Running, free_node_port, free_port, local};
use crate::scenario::{Method, Scenario, Traffic};
use crate::tools;

/// A server that is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    /// HAProxy that leaves bytes in the kernel, by splice(2).
    HaproxySplice,
    Caddy,
    Knot,
    Nsd,
    Dnsmasq,
    Unbound,
    /// portico with fewer Services than the one measured.
    PorticoOfFewer,
    Portico,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::HaproxySplice => "haproxy-splice",
            Self::Caddy => "caddy",
            Self::Knot => "knot",
            Self::Nsd => "nsd",
            Self::Dnsmasq => "dnsmasq",
            Self::Unbound => "unbound",
            Self::PorticoOfFewer => "portico-of-fewer",
            Self::Portico => "portico",
        }
    }
}

/// A server or backend that answers.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The port that stands in its configuration.
    pub(crate) config_port: u16,
    pub(crate) process: Running,
}

/// Where things are for one scenario's servers.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) scenario: Scenario,
    /// The folder of configurations and logs; it outlives the servers.
    pub(crate) folder: PathBuf,
    /// The portico to measure.
    pub(crate) portico: PathBuf,
    pub(crate) server_core: usize,
    pub(crate) load_core: usize,
    /// Idle connections, in scenarios that have them.
    pub(crate) connections: u32,
    /// What asks for names, in scenarios that have them.
    pub(crate) dns_client: DnsClient,
    /// The most peers that are measured.
    pub(crate) peers: usize,
}

impl Site {
    /// Who is measured, in the order of their runs within a round.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let (peers, own): (Vec<Kind>, Vec<Kind>) = self
            .scenario
            .servers()
            .iter()
            .partition(|kind| **kind != Kind::Portico);
        peers.into_iter().take(self.peers).chain(own).collect()
    }

    /// The servers that are on this machine, of which nothing is measured yet, and those that are not, with the
    /// reason; fails where none is.
    #[expect(clippy::print_stdout, reason = "a command-line program")]
    pub(crate) fn present<R>(&self) -> Result<Outcome<R>> {
        let (mut measured, mut skipped) = (Vec::new(), Vec::new());
        for kind in self.kinds() {
            match self.program(kind) {
                Ok(_) => {
                    measured.push(Measured { kind, version: self.version(kind), runs: Vec::new() });
                }
                Err(error) => {
                    println!("  {} is left out: {error:#}", kind.name());
                    skipped.push((kind, format!("{error:#}")));
                }
            }
        }
        ensure!(!measured.is_empty(), "no server to measure");
        Ok(Outcome { scenario: self.scenario, measured, skipped })
    }

    /// The program of a server, else why there is none.
    pub(crate) fn program(&self, kind: Kind) -> Result<PathBuf> {
        match kind {
            Kind::Nginx => {
                if !self.scenario.is_http() {
                    tools::NGINX_STREAM.require()?;
                }
                tools::NGINX.require()
            }
            Kind::Haproxy | Kind::HaproxySplice => tools::HAPROXY.require(),
            Kind::Caddy => tools::CADDY.require(),
            Kind::Knot => tools::KNOT.require(),
            Kind::Nsd => tools::NSD.require(),
            Kind::Dnsmasq => tools::DNSMASQ.require(),
            Kind::Unbound => tools::UNBOUND.require(),
            Kind::PorticoOfFewer | Kind::Portico if self.portico.is_file() => {
                Ok(self.portico.clone())
            }
            Kind::PorticoOfFewer | Kind::Portico => bail!(tools::build_remedy(&self.portico)),
        }
    }

    /// What a server says that it is.
    pub(crate) fn version(&self, kind: Kind) -> String {
        let argument = match kind {
            Kind::PorticoOfFewer | Kind::Portico | Kind::Knot | Kind::Dnsmasq => "--version",
            Kind::Unbound => "-V",
            Kind::Caddy => "version",
            Kind::Nginx | Kind::Haproxy | Kind::HaproxySplice | Kind::Nsd => "-v",
        };
        self.program(kind)
            .ok()
            .and_then(|program| tools::version(&program, argument))
            .unwrap_or_else(|| kind.name().to_owned())
    }

    /// Starts the scenario's backend on the load core, if it has one.
    pub(crate) fn start_backend(&self) -> Result<Option<Server>> {
        let port = free_port()?;
        let process = match self.scenario.traffic() {
            Traffic::Grpc => {
                let program = tools::HAPROXY.require()?;
                let config = self.write_grpc_backend(port)?;
                self.run("backend", &program, &["-db", "-q", "-f", &config], self.load_core)?
            }
            Traffic::Http | Traffic::Tls => {
                let program = tools::NGINX.require()?;
                let config = self.write_backend("backend", port)?;
                self.run("backend", &program, &["-c", &config], self.load_core)?
            }
            Traffic::Websocket => self.start_echo("websocket-echo", port)?,
            Traffic::Echo => self.start_echo("tcp-echo", port)?,
            Traffic::Datagrams => self.start_echo("udp-echo", port)?,
            Traffic::Names => return Ok(None),
            Traffic::Bulk => {
                let program = tools::IPERF3.require()?;
                let arguments = ["--server", "--bind=127.0.0.1", &format!("--port={port}")];
                self.run("backend", &program, &arguments, self.load_core)?
            }
        };
        // Behind TLS too it is asked without.
        let traffic = match self.scenario.traffic() {
            Traffic::Tls => Traffic::Http,
            other => other,
        };
        ready(traffic, Server { address: local(port), config_port: port, process }).map(Some)
    }

    /// Starts a backend of HTTP on the load core, at a port of one's own, beside others.
    pub(crate) fn start_http_backend(&self, name: &'static str, port: u16) -> Result<Server> {
        let program = tools::NGINX.require()?;
        let config = self.write_backend(name, port)?;
        let process = self.run(name, &program, &["-c", &config], self.load_core)?;
        ready(Traffic::Http, Server { address: local(port), config_port: port, process })
    }

    /// Starts one of this program's own backends on the load core.
    fn start_echo(&self, command: &str, port: u16) -> Result<Running> {
        let own = std::env::current_exe().context("finding this program")?;
        let (address, count) = (local(port).to_string(), self.scenario.backend_addresses());
        let mut arguments = vec![command.to_owned(), address];
        if count > 1 {
            arguments.push(format!("--addresses={count}"));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run("backend", &own, &arguments, self.load_core)
    }

    /// The file of what one server is asked for, in the DNS scenarios.
    pub(crate) fn questions(&self, kind: Kind) -> PathBuf {
        self.folder.join(format!("questions-{}", kind.name()))
    }

    /// Starts a server of the comparison on the server core, in front of the scenario's backend.
    pub(crate) fn start(&self, kind: Kind, backend: Option<&Server>) -> Result<Server> {
        let port = backend.map_or(NOWHERE, |server| server.address.port());
        let backends: Vec<SocketAddr> =
            addresses(Ipv4Addr::LOCALHOST, self.scenario.backend_addresses())
                .map(|ip| SocketAddr::from((ip, port)))
                .collect();
        self.start_before(kind, &backends)
    }

    /// As [`Site::start`], in front of backends of one's own.
    pub(crate) fn start_before(&self, kind: Kind, backends: &[SocketAddr]) -> Result<Server> {
        let program = self.program(kind)?;
        if self.scenario.traffic() == Traffic::Names {
            let exist = self.scenario.expected_rcode() == "NOERROR";
            names::write_questions(&self.questions(kind), self.scenario.services(kind), exist)?;
        }
        let port = free_port()?;
        let process = match kind {
            Kind::Nginx => {
                let config = self.write_nginx(port, backends)?;
                self.run(kind.name(), &program, &["-c", &config], self.server_core)?
            }
            Kind::Haproxy | Kind::HaproxySplice => {
                let config = self.write_haproxy(kind, port, backends)?;
                // A master is there where the configuration will change.
                let master = match self.scenario.method() {
                    Method::Events | Method::Edits => "-W",
                    _ => "-db",
                };
                let arguments = [master, "-q", "-f", &config];
                self.run(kind.name(), &program, &arguments, self.server_core)?
            }
            Kind::Caddy => {
                let config = self.write_caddy(port, backends)?;
                let arguments = ["run", "--adapter=caddyfile", "--config", &config];
                self.run(kind.name(), &program, &arguments, self.server_core)?
            }
            Kind::Knot | Kind::Nsd | Kind::Dnsmasq | Kind::Unbound => {
                self.start_resolver(kind, &program, port)?
            }
            Kind::PorticoOfFewer | Kind::Portico => {
                return self.start_portico(kind, &program, backends);
            }
        };
        ready(self.scenario.traffic(), Server { address: local(port), config_port: port, process })
    }

    /// Has a running server lead to other backends from now on.
    pub(crate) fn lead(&self, kind: Kind, server: &Server, backends: &[SocketAddr]) -> Result<()> {
        let port = server.config_port;
        match kind {
            Kind::Nginx => {
                self.write_nginx(port, backends)?;
                server.process.signal(Signal::HUP)
            }
            Kind::Haproxy | Kind::HaproxySplice => {
                self.write_haproxy(kind, port, backends)?;
                server.process.signal(Signal::USR2)
            }
            Kind::PorticoOfFewer | Kind::Portico => self.write_bench(kind, port, backends),
            Kind::Caddy => bail!("{} is not led elsewhere", kind.name()),
            Kind::Knot | Kind::Nsd | Kind::Dnsmasq | Kind::Unbound => {
                bail!("{} has no backends", kind.name())
            }
        }
    }

    /// Starts a peer of the resolver, over the zone of the scenario's Services.
    fn start_resolver(&self, kind: Kind, program: &Path, port: u16) -> Result<Running> {
        names::write_zones(&self.folder, self.scenario.services(kind))?;
        let (template, arguments): (_, &[&str]) = match kind {
            Kind::Nsd => (NSD, &["-d", "-c"]),
            Kind::Dnsmasq => (DNSMASQ, &["-C"]),
            Kind::Unbound => (UNBOUND, &["-d", "-c"]),
            _ => (KNOT, &["-c"]),
        };
        let config = self.write(&format!("{}.conf", kind.name()), template, port)?;
        let arguments = [arguments, &[&config]].concat();
        self.run(kind.name(), program, &arguments, self.server_core)
    }

    fn start_portico(&self, kind: Kind, program: &Path, backends: &[SocketAddr]) -> Result<Server> {
        let node_port = free_node_port()?;
        let manifests = self.write_manifests(kind, node_port, backends)?;
        // Apart from each other, and from a portico that serves on this machine with the default.
        let service_cidr = match kind {
            Kind::PorticoOfFewer => "127.98.0.0/16",
            _ => "127.97.0.0/16",
        };
        let (front_port, http_port) = (free_port()?, free_port()?);
        let traffic = self.scenario.traffic();
        let front = |wanted: bool| match wanted {
            true => local(front_port).to_string(),
            false => "off".to_owned(),
        };
        // Where the front is TLS, HTTP listens too and nobody asks it: both are one program's.
        let http = match traffic {
            Traffic::Http | Traffic::Grpc | Traffic::Websocket => front(true),
            _ => local(http_port).to_string(),
        };
        let access_log = match self.scenario.logs() {
            true => self
                .folder
                .join("portico-access.log")
                .to_string_lossy()
                .into_owned(),
            false => "off".to_owned(),
        };
        let arguments = [
            "run",
            &manifests.to_string_lossy(),
            &format!("--workers={}", self.scenario.workers(kind)),
            &format!("--http={http}"),
            &format!("--https={}", front(traffic == Traffic::Tls)),
            &format!("--dns={}", front(traffic == Traffic::Names)),
            "--dns-max-connections-per-client=1000",
            "--admin=off",
            "--node-address=127.0.0.1",
            &format!("--service-cidr={service_cidr}"),
            &format!("--access-log={access_log}"),
            "--log-level=warn",
            "--state-dir=off",
        ];
        let port = match traffic {
            Traffic::Http | Traffic::Tls | Traffic::Grpc | Traffic::Websocket | Traffic::Names => {
                front_port
            }
            Traffic::Echo | Traffic::Bulk | Traffic::Datagrams => node_port,
        };
        let cores = match self.scenario.workers(kind) {
            1 => self.server_core.to_string(),
            _ => format!("{},{}", self.server_core, self.load_core),
        };
        let process = Running::start(kind.name(), program, &arguments, &cores, &self.folder)?;
        ready(traffic, Server { address: local(port), config_port: node_port, process })
    }

    fn run(
        &self,
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        core: usize,
    ) -> Result<Running> {
        Running::start(name, program, arguments, &core.to_string(), &self.folder)
    }
}

fn ready(traffic: Traffic, mut server: Server) -> Result<Server> {
    let address = server.address;
    server.process.wait_until(|| probe(traffic, address))?;
    Ok(server)
}

/// The port of the backend where there is none.
const NOWHERE: u16 = 9;
