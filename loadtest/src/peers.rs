//! The configurations of `peers/`, filled in for one server of one scenario.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::certificate::Certificate;
use crate::generate::{self, Size};
use crate::scenario::{HOST, Method, Scenario, Traffic};
use crate::server::{Kind, Site};
use crate::template::render;
use crate::tools;

impl Site {
    /// Writes what a backend of HTTP scenarios reads, and what it serves; `name` is one of its own.
    pub(crate) fn write_backend(&self, name: &str, port: u16) -> Result<String> {
        if self.scenario == Scenario::Http1Large {
            let large = self.folder.join("large");
            fs::write(&large, [b'.'; LARGE_BYTES])
                .with_context(|| format!("writing {}", large.display()))?;
        }
        self.write(&format!("{name}.conf"), BACKEND, port)
    }

    /// Writes what the backend of gRPC reads, and what it is sent.
    pub(crate) fn write_grpc_backend(&self, port: u16) -> Result<String> {
        // A message as gRPC frames it: not compressed, 64 bytes.
        let call = [&[0, 0, 0, 0, 64][..], &[b'.'; 64]].concat();
        fs::write(self.folder.join("call"), call).context("writing the call")?;
        self.write("grpc-backend.cfg", GRPC_BACKEND, port)
    }

    /// Writes what nginx reads, as an Ingress or as a NodePort.
    pub(crate) fn write_nginx(&self, port: u16, backends: &[SocketAddr]) -> Result<String> {
        let (template, options) = match self.scenario.traffic() {
            Traffic::Http => (NGINX, ""),
            Traffic::Websocket => (NGINX_WEBSOCKET, ""),
            Traffic::Grpc => (NGINX_GRPC, ""),
            Traffic::Tls if self.scenario == Scenario::Http2 => (NGINX, "ssl http2"),
            Traffic::Tls => (NGINX, "ssl"),
            Traffic::Datagrams => (NGINX_STREAM, "udp"),
            _ => (NGINX_STREAM, "backlog=4096"),
        };
        let tls = match self.certificate()? {
            true => format!(
                "ssl_certificate {0}/bench.crt;\n        ssl_certificate_key {0}/bench.key;",
                self.folder.display()
            ),
            false => String::new(),
        };
        self.write_with("nginx.conf", template, (port, backends), (options, &tls))
    }

    /// Writes what HAProxy reads, as an Ingress or as a NodePort.
    pub(crate) fn write_haproxy(
        &self,
        kind: Kind,
        port: u16,
        backends: &[SocketAddr],
    ) -> Result<String> {
        let template = if self.scenario.is_http() { HAPROXY_HTTP } else { HAPROXY_TCP };
        let options = match (kind, self.scenario.method()) {
            (Kind::HaproxySplice, _) => "option splice-auto".to_owned(),
            _ if self.scenario.traffic() == Traffic::Grpc => "default-server proto h2".to_owned(),
            (_, Method::Events | Method::Edits) => HAPROXY_FAILOVER.to_owned(),
            _ => String::new(),
        };
        let tls = match self.certificate()? {
            true => format!("ssl crt {}/bench.pem alpn h2,http/1.1", self.folder.display()),
            false if self.scenario.traffic() == Traffic::Grpc => "proto h2".to_owned(),
            false => String::new(),
        };
        let file = format!("{}.cfg", kind.name());
        self.write_with(&file, template, (port, backends), (&options, &tls))
    }

    /// Writes what Caddy reads, as an Ingress.
    pub(crate) fn write_caddy(&self, port: u16, backends: &[SocketAddr]) -> Result<String> {
        let tls = match self.certificate()? {
            true => format!("tls {0}/bench.crt {0}/bench.key", self.folder.display()),
            false => String::new(),
        };
        self.write_with("Caddyfile", CADDY, (port, backends), ("", &tls))
    }

    /// The listeners of a peer for all Services but the one that is measured, by `one`: its number, the
    /// address that it is served at, and the endpoints.
    fn all_services(&self, one: impl Fn(u32, SocketAddr, &[SocketAddr]) -> String) -> String {
        if !self.scenario.peers_have_all_services() {
            return String::new();
        }
        let services = self.scenario.services(Kind::Nginx) - 1;
        let with_address = (0..services).filter(|number| !generate::is_headless(*number));
        let mut text = String::new();
        for number in with_address {
            let [_, _, high, low] = number.to_be_bytes();
            let address = SocketAddr::from(([127, 99, high, low], 80));
            let endpoints: Vec<SocketAddr> = generate::addresses(number, ENDPOINTS)
                .map(|ip| SocketAddr::from((ip, 8080)))
                .collect();
            text.push_str(&one(number, address, &endpoints));
        }
        text
    }

    /// Writes the folder that portico serves: what is measured, and everything beside it.
    pub(crate) fn write_manifests(
        &self,
        kind: Kind,
        node_port: u16,
        backends: &[SocketAddr],
    ) -> Result<PathBuf> {
        let folder = self.manifests(kind);
        fs::create_dir_all(&folder).context("making the folder of manifests")?;
        self.write_bench(kind, node_port, backends)?;
        if self.certificate()? {
            let from = self.folder.join("secret.yaml");
            fs::copy(from, folder.join("secret.yaml")).context("copying the Secret")?;
        }
        let services = self.scenario.services(kind) - 1;
        generate::write(
            &folder,
            Size { services, endpoints: ENDPOINTS, ingresses: 0, secrets: 0 },
        )?;
        if let Some(ingresses) = self.scenario.ingresses(kind) {
            generate::write_hosts(&folder, ingresses)?;
            let script = generate::script_of_hosts(ingresses);
            fs::write(self.script(kind), script).context("writing wrk's script")?;
        }
        Ok(folder)
    }

    /// Writes the Service and the Ingress that are measured.
    pub(crate) fn write_bench(
        &self,
        kind: Kind,
        node_port: u16,
        backends: &[SocketAddr],
    ) -> Result<()> {
        let tls = match self.certificate()? {
            true => "  tls: [{hosts: [bench.test], secretName: bench}]",
            false => "",
        };
        let file = self.manifests(kind).join("bench.yaml");
        let file = file.to_string_lossy();
        let annotations = match self.scenario.traffic() {
            Traffic::Grpc => "annotations: {nginx.ingress.kubernetes.io/backend-protocol: GRPC}",
            _ => "",
        };
        self.write_with(&file, PORTICO, (node_port, backends), (annotations, tls))?;
        Ok(())
    }

    fn manifests(&self, kind: Kind) -> PathBuf {
        self.folder.join(format!("manifests-{}", kind.name()))
    }

    fn dir(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    /// The script by which wrk asks for one host after the other.
    pub(crate) fn script(&self, kind: Kind) -> PathBuf {
        self.folder.join(format!("hosts-{}.lua", kind.name()))
    }

    /// Makes the certificate of a scenario over TLS, once; whether the scenario has one.
    fn certificate(&self) -> Result<bool> {
        let tls = self.scenario.traffic() == Traffic::Tls;
        if tls && !self.folder.join("bench.pem").exists() {
            let made = Certificate::make(&[HOST])?;
            made.write(&self.folder)?;
            fs::write(self.folder.join("secret.yaml"), made.secret("default", "bench"))
                .context("writing the Secret")?;
        }
        Ok(tls)
    }

    /// Writes a configuration without a backend and returns its path.
    pub(crate) fn write(&self, file: &str, template: &str, port: u16) -> Result<String> {
        self.write_with(file, template, (port, &[]), ("", ""))
    }

    /// As [`Site::write`], with backends, and lines of its own where the template has room for them.
    fn write_with(
        &self,
        file: &str,
        template: &str,
        (port, backends): (u16, &[SocketAddr]),
        (options, tls): (&str, &str),
    ) -> Result<String> {
        let path = self.folder.join(file);
        let stream_module = tools::NGINX_STREAM.find().unwrap_or_default();
        let stream_module = stream_module.to_string_lossy();
        let backend = backends.first().map_or(0, SocketAddr::port);
        let joined: Vec<String> = backends.iter().map(SocketAddr::to_string).collect();
        let upstreams: Vec<String> = backends
            .iter()
            .map(|address| format!("server {address};"))
            .collect();
        // Named for their ports, so that one that stays keeps its name, and with it its connections.
        let servers: Vec<String> = backends
            .iter()
            .map(|address| format!("server {} {address}", address.to_string().replace(':', "-")))
            .collect();
        let body = match self.scenario.method() {
            Method::Edits => format!("backend {port:<55}\\n"),
            _ => BODY.to_owned(),
        };
        let protocol = match self.scenario.traffic() {
            Traffic::Datagrams => "UDP",
            _ => "TCP",
        };
        let scheme = if self.scenario.traffic() == Traffic::Tls { "https" } else { "http" };
        // Idle connections have room, with one descriptor each way; the others have plenty. A listener is a
        // descriptor too.
        let listeners = match self.scenario.peers_have_all_services() {
            true => self.scenario.services(Kind::Nginx),
            false => 0,
        };
        let (clients, descriptors) = match self.scenario.is_idle() {
            true => (self.connections + 200, self.connections * 2 + listeners + 300),
            false => (4_096, 4_096),
        };
        let (log, more) = self.log_and_more(file);
        let values = [
            ("user", nginx_user()),
            ("dir", &self.dir()),
            ("port", &port.to_string()),
            ("node_port", &port.to_string()),
            ("backend", &backend.to_string()),
            ("backends", &joined.join(",")),
            ("upstreams", &upstreams.join("\n        ")),
            ("body", &body),
            ("name", file.split('.').next().unwrap_or(file)),
            ("options", options),
            ("tls", tls),
            ("scheme", scheme),
            ("servers", &servers.join("\n    ")),
            ("protocol", protocol),
            ("clients", &clients.to_string()),
            ("descriptors", &descriptors.to_string()),
            ("stream_module", &stream_module),
            ("log", &log),
            ("more", &more),
        ];
        let text = render(template, &values).with_context(|| format!("rendering {file}"))?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }
}

impl Site {
    /// How the server that reads `file` logs requests, and what it serves besides.
    fn log_and_more(&self, file: &str) -> (String, String) {
        let log = match (file, self.scenario.logs()) {
            // In steps, as its documentation advises for many lines.
            ("nginx.conf", true) => format!(
                "access_log {}/nginx-access.log combined buffer=64k flush=1s;",
                self.folder.display()
            ),
            ("nginx.conf", false) => "access_log off;".to_owned(),
            // Its standard output is a file here.
            ("haproxy.cfg", true) => "log stdout format raw local0\n    option httplog".to_owned(),
            _ => String::new(),
        };
        let more = match file {
            "nginx.conf" => self.all_services(|number, address, endpoints| {
                let servers: String =
                    endpoints.iter().map(|endpoint| format!(" server {endpoint};")).collect();
                format!(
                    "\n    upstream app-{number} {{{servers} }}\n    server {{ listen {address}; proxy_pass app-{number}; }}"
                )
            }),
            "haproxy.cfg" => self.all_services(|number, address, endpoints| {
                let servers: String = endpoints
                    .iter()
                    .enumerate()
                    .map(|(index, endpoint)| format!("    server s{index} {endpoint}\n"))
                    .collect();
                format!("\nlisten app-{number}\n    bind {address}\n{servers}")
            }),
            _ => String::new(),
        };
        (log, more)
    }
}

/// Started by root, nginx gives its workers to another user, who may not read our folder.
fn nginx_user() -> &'static str {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if root { "user root root;" } else { "" }
}

/// What every backend answers, 64 bytes.
const BODY: &str = "a small answer of sixty-four bytes, as a health check would be.\\n";
/// What HAProxy needs to lose no request when a backend goes or its configuration changes: another
/// try, a look at each backend, and listeners that are handed over.
const HAPROXY_FAILOVER: &str = "option redispatch 1
    retries 3
    retry-on all-retryable-errors
    default-server check inter 200ms fall 1 rise 1";
/// Endpoints of every Service but the one that is measured.
const ENDPOINTS: u32 = 10;
/// The body of `http1-1m`.
const LARGE_BYTES: usize = 1 << 20;

pub(crate) const BACKEND: &str = include_str!("../peers/backend.conf.tmpl");
pub(crate) const GRPC_BACKEND: &str = include_str!("../peers/grpc-backend.cfg.tmpl");
pub(crate) const NGINX: &str = include_str!("../peers/nginx.conf.tmpl");
pub(crate) const NGINX_GRPC: &str = include_str!("../peers/nginx-grpc.conf.tmpl");
pub(crate) const NGINX_WEBSOCKET: &str = include_str!("../peers/nginx-websocket.conf.tmpl");
pub(crate) const NGINX_STREAM: &str = include_str!("../peers/nginx-stream.conf.tmpl");
pub(crate) const HAPROXY_HTTP: &str = include_str!("../peers/haproxy-http.cfg.tmpl");
pub(crate) const HAPROXY_TCP: &str = include_str!("../peers/haproxy-tcp.cfg.tmpl");
pub(crate) const CADDY: &str = include_str!("../peers/Caddyfile.tmpl");
pub(crate) const PORTICO: &str = include_str!("../peers/portico.yaml.tmpl");
pub(crate) const KNOT: &str = include_str!("../peers/knot.conf.tmpl");
pub(crate) const NSD: &str = include_str!("../peers/nsd.conf.tmpl");
pub(crate) const DNSMASQ: &str = include_str!("../peers/dnsmasq.conf.tmpl");
pub(crate) const UNBOUND: &str = include_str!("../peers/unbound.conf.tmpl");
