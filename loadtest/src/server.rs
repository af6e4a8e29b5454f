//! Who is measured: portico and its peers, and the backends behind them.
//!
//! Each server gets one configuration from `peers/`, one port and one core; it counts as started
//! once it has carried one unit of the scenario's work.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::DnsClient;
use crate::echo::addresses;
use crate::generate::{self, Size};
use crate::load;
use crate::names;
use crate::process::{Running, free_node_port, free_port, local};
use crate::scenario::{HOST, Scenario, Traffic};
use crate::template::render;
use crate::tools;

/// A server that is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    /// HAProxy that leaves bytes in the kernel, by splice(2).
    HaproxySplice,
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
}

impl Site {
    /// The program of a server, else why there is none.
    pub(crate) fn program(&self, kind: Kind) -> Result<PathBuf> {
        match kind {
            Kind::Nginx => {
                if self.scenario.traffic() != Traffic::Http {
                    tools::NGINX_STREAM.require()?;
                }
                tools::NGINX.require()
            }
            Kind::Haproxy | Kind::HaproxySplice => tools::HAPROXY.require(),
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
            Traffic::Http => {
                let program = tools::NGINX.require()?;
                let config = self.write("backend.conf", BACKEND, port, 0)?;
                self.run("backend", &program, &["-c", &config], self.load_core)?
            }
            Traffic::Echo => self.start_echo("tcp-echo", port)?,
            Traffic::Datagrams => self.start_echo("udp-echo", port)?,
            Traffic::Names => return Ok(None),
            Traffic::Bulk => {
                let program = tools::IPERF3.require()?;
                let arguments = ["--server", "--bind=127.0.0.1", &format!("--port={port}")];
                self.run("backend", &program, &arguments, self.load_core)?
            }
        };
        self.ready(Server { address: local(port), process })
            .map(Some)
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

    /// Starts a server of the comparison on the server core.
    pub(crate) fn start(&self, kind: Kind, backend: Option<&Server>) -> Result<Server> {
        let program = self.program(kind)?;
        if self.scenario.traffic() == Traffic::Names {
            let exist = self.scenario.expected_rcode() == "NOERROR";
            names::write_questions(&self.questions(kind), self.scenario.services(kind), exist)?;
        }
        let backend = backend.map_or(NOWHERE, |server| server.address.port());
        let (port, process) = match kind {
            Kind::Nginx => {
                let port = free_port()?;
                let (template, options) = match self.scenario.traffic() {
                    Traffic::Http => (NGINX, ""),
                    Traffic::Datagrams => (NGINX_STREAM, "udp"),
                    _ => (NGINX_STREAM, "backlog=4096"),
                };
                let config = self.write_with("nginx.conf", template, (port, backend), options)?;
                (port, self.run(kind.name(), &program, &["-c", &config], self.server_core)?)
            }
            Kind::Haproxy | Kind::HaproxySplice => {
                let port = free_port()?;
                let template = match self.scenario.traffic() {
                    Traffic::Http => HAPROXY_HTTP,
                    _ => HAPROXY_TCP,
                };
                let file = format!("{}.cfg", kind.name());
                let options = match kind {
                    Kind::HaproxySplice => "option splice-auto",
                    _ => "",
                };
                let config = self.write_with(&file, template, (port, backend), options)?;
                let arguments = ["-db", "-q", "-f", &config];
                (port, self.run(kind.name(), &program, &arguments, self.server_core)?)
            }
            Kind::Knot | Kind::Nsd | Kind::Dnsmasq | Kind::Unbound => {
                self.start_resolver(kind, &program)?
            }
            Kind::PorticoOfFewer | Kind::Portico => self.start_portico(kind, &program, backend)?,
        };
        self.ready(Server { address: local(port), process })
    }

    /// Starts a peer of the resolver, over the zone of the scenario's Services.
    fn start_resolver(&self, kind: Kind, program: &Path) -> Result<(u16, Running)> {
        names::write_zones(&self.folder, self.scenario.services(kind))?;
        let port = free_port()?;
        let (template, arguments): (_, &[&str]) = match kind {
            Kind::Nsd => (NSD, &["-d", "-c"]),
            Kind::Dnsmasq => (DNSMASQ, &["-C"]),
            Kind::Unbound => (UNBOUND, &["-d", "-c"]),
            _ => (KNOT, &["-c"]),
        };
        let config = self.write(&format!("{}.conf", kind.name()), template, port, NOWHERE)?;
        let arguments = [arguments, &[&config]].concat();
        Ok((port, self.run(kind.name(), program, &arguments, self.server_core)?))
    }

    fn start_portico(&self, kind: Kind, program: &Path, backend: u16) -> Result<(u16, Running)> {
        let node_port = free_node_port()?;
        let folder = format!("manifests-{}", kind.name());
        let manifests = self.folder.join(&folder);
        fs::create_dir_all(&manifests).context("making the folder of manifests")?;
        self.write(&format!("{folder}/bench.yaml"), PORTICO, node_port, backend)?;
        let services = self.scenario.services(kind) - 1;
        generate::write(&manifests, Size { services, endpoints: 10, ingresses: 0, secrets: 0 })?;
        // Apart from each other, and from a portico that serves on this machine with the default.
        let service_cidr = match kind {
            Kind::PorticoOfFewer => "127.98.0.0/16",
            _ => "127.97.0.0/16",
        };
        let (http_port, dns_port) = (free_port()?, free_port()?);
        let http = local(http_port).to_string();
        let dns = match self.scenario.traffic() {
            Traffic::Names => local(dns_port).to_string(),
            _ => "off".to_owned(),
        };
        let manifests = manifests.to_string_lossy();
        let arguments = [
            "run",
            &manifests,
            "--workers=1",
            &format!("--http={http}"),
            "--https=off",
            &format!("--dns={dns}"),
            "--dns-max-connections-per-client=1000",
            "--admin=off",
            "--node-address=127.0.0.1",
            &format!("--service-cidr={service_cidr}"),
            "--log-level=warn",
            "--state-dir=off",
        ];
        let port = match self.scenario.traffic() {
            Traffic::Http => http_port,
            Traffic::Names => dns_port,
            _ => node_port,
        };
        Ok((port, self.run(kind.name(), program, &arguments, self.server_core)?))
    }

    fn run(
        &self,
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        core: usize,
    ) -> Result<Running> {
        Running::start(name, program, arguments, core, &self.folder)
    }

    fn ready(&self, mut server: Server) -> Result<Server> {
        let address = server.address;
        server
            .process
            .wait_until(|| match self.scenario.traffic() {
                Traffic::Http => probe_http(address),
                Traffic::Echo => probe_echo(address),
                Traffic::Datagrams => probe_datagrams(address),
                Traffic::Bulk => load::probe_bulk(address),
                Traffic::Names => probe_names(address),
            })?;
        Ok(server)
    }

    /// Writes a configuration and returns its path.
    fn write(&self, file: &str, template: &str, port: u16, backend: u16) -> Result<String> {
        self.write_with(file, template, (port, backend), "")
    }

    /// As [`Site::write`], with lines of its own where the template has room for them.
    fn write_with(
        &self,
        file: &str,
        template: &str,
        (port, backend): (u16, u16),
        options: &str,
    ) -> Result<String> {
        let path = self.folder.join(file);
        let stream_module = tools::NGINX_STREAM.find().unwrap_or_default();
        let stream_module = stream_module.to_string_lossy();
        let backends: Vec<String> =
            addresses(Ipv4Addr::LOCALHOST, self.scenario.backend_addresses())
                .map(|ip| SocketAddr::from((ip, backend)).to_string())
                .collect();
        let servers: Vec<String> = (1..)
            .zip(&backends)
            .map(|(number, address)| format!("server backend{number} {address}"))
            .collect();
        let protocol = match self.scenario.traffic() {
            Traffic::Datagrams => "UDP",
            Traffic::Http | Traffic::Echo | Traffic::Bulk | Traffic::Names => "TCP",
        };
        // Idle connections have room, with one descriptor each way; the others have plenty.
        let (clients, descriptors) = match self.scenario.is_idle() {
            true => (self.connections + 200, self.connections * 2 + 300),
            false => (4_096, 4_096),
        };
        let values = [
            ("user", nginx_user()),
            ("dir", &self.folder.to_string_lossy()),
            ("port", &port.to_string()),
            ("node_port", &port.to_string()),
            ("backend", &backend.to_string()),
            ("backends", &backends.join(",")),
            ("options", options),
            ("servers", &servers.join("\n    ")),
            ("protocol", protocol),
            ("clients", &clients.to_string()),
            ("descriptors", &descriptors.to_string()),
            ("stream_module", &stream_module),
        ];
        let text = render(template, &values).with_context(|| format!("rendering {file}"))?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }
}

/// One request; anything but 200 is an error.
fn probe_http(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    if &answer == b"HTTP/1.1 200" {
        Ok(())
    } else {
        Err(io::Error::other(format!("answered {}", String::from_utf8_lossy(&answer))))
    }
}

/// One exchange; anything but the same bytes is an error.
fn probe_echo(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if &answer == b"ping" { Ok(()) } else { Err(io::Error::other("answered other bytes")) }
}

/// One exchange of datagrams; anything but the same bytes is an error.
fn probe_datagrams(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PROBE_TIMEOUT))?;
    socket.connect(address)?;
    socket.send(b"ping")?;
    let mut answer = [0; 8];
    let length = socket.recv(&mut answer)?;
    match answer.get(..length) {
        Some(b"ping") => Ok(()),
        _ => Err(io::Error::other("answered other bytes")),
    }
}

/// One question; anything but an address is an error.
fn probe_names(address: SocketAddr) -> io::Result<()> {
    names::resolve(address, &names::probe_name(), PROBE_TIMEOUT)?
        .map(drop)
        .ok_or_else(|| io::Error::other("answered without an address"))
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    Ok(stream)
}

/// Started by root, nginx gives its workers to another user, who may not read our folder.
fn nginx_user() -> &'static str {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if root { "user root root;" } else { "" }
}

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// The port of the backend where there is none.
const NOWHERE: u16 = 9;

pub(crate) const BACKEND: &str = include_str!("../peers/backend.conf.tmpl");
pub(crate) const NGINX: &str = include_str!("../peers/nginx.conf.tmpl");
pub(crate) const NGINX_STREAM: &str = include_str!("../peers/nginx-stream.conf.tmpl");
pub(crate) const HAPROXY_HTTP: &str = include_str!("../peers/haproxy-http.cfg.tmpl");
pub(crate) const HAPROXY_TCP: &str = include_str!("../peers/haproxy-tcp.cfg.tmpl");
pub(crate) const PORTICO: &str = include_str!("../peers/portico.yaml.tmpl");
pub(crate) const KNOT: &str = include_str!("../peers/knot.conf.tmpl");
pub(crate) const NSD: &str = include_str!("../peers/nsd.conf.tmpl");
pub(crate) const DNSMASQ: &str = include_str!("../peers/dnsmasq.conf.tmpl");
pub(crate) const UNBOUND: &str = include_str!("../peers/unbound.conf.tmpl");
