//! What a run is told by flags, environment and settings file, as far as the crates need it.
//!
//! Plain values: the binary reads them, `source`, `decode`, `compile` and the planes use them.
//! Worker counts, log formats and other matters of the process stay in the binary.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::{
    AccessLog, Forwarding, FrontDoor, Names, ObjectName, QueryLog, Rewrite, private_networks,
};

/// What is done with a Service's address (`--cluster-ips`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClusterIps {
    /// A Service without an address, or with one that this host cannot bind, gets one inside the
    /// service CIDR by a stable hash of its name.
    #[default]
    Map,
    /// As `Map`, and every address of a service CIDR is this host's by a route that the process
    /// adds and removes: what is inside binds as written.
    Route,
    /// Never change an address: what cannot be bound is not listened on.
    Keep,
}

/// Which Pods portico probes (`--probes`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Probes {
    /// Pods whose manifest has no condition Ready.
    #[default]
    Auto,
    /// Pods whose manifest has one too: what is found out overrides it.
    On,
    /// None.
    Off,
}

/// What a probe comes to that runs a command, which portico cannot (`--exec-probe`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ExecProbe {
    /// Success.
    #[default]
    Ready,
    /// Failure.
    Unready,
}

/// The settings that reach the compiler and the planes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// `--service-cidr`, one per family; default 127.96.0.0/16.
    pub service_cidrs: Vec<IpNet>,
    /// `--cluster-cidr`: networks whose addresses are Pods; none: what Nodes and Pods say.
    pub cluster_cidrs: Vec<IpNet>,
    /// `--cluster-ips`.
    pub cluster_ips: ClusterIps,
    /// `--node-address`: where NodePorts bind; default 127.0.0.1 and ::1.
    pub node_addresses: Vec<IpAddr>,
    /// `--node-name`: which Node object is this host; none: no locality.
    pub node_name: Option<Arc<str>>,
    /// `--http`: plain Ingress listeners; default 127.0.0.1:8080. Empty: off.
    pub http: Vec<SocketAddr>,
    /// `--https`: TLS Ingress listeners; default 127.0.0.1:8443. Empty: off.
    pub https: Vec<SocketAddr>,
    /// `--dns`: resolver listeners, UDP and TCP; default 127.0.0.1:1053. Empty: off.
    pub dns: Vec<SocketAddr>,
    /// `--admin`: metrics, probes and the API; default 127.0.0.1:9080. Empty: off. Never a backend.
    pub admin: Vec<SocketAddr>,
    /// Cluster zones without a trailing dot, the first is primary; default `cluster.local`.
    pub cluster_domains: Vec<Arc<str>>,
    /// Zones that repeat the cluster zone under another name; default `portico.test`.
    pub alias_zones: Vec<Arc<str>>,
    /// TTL of every local DNS record in seconds, `0..=3600`; default 5.
    pub dns_ttl_seconds: u32,
    /// Which names there are.
    pub names: Names,
    /// `dns.tls`: listeners of DNS over TLS; default none.
    pub dns_tls: Vec<SocketAddr>,
    /// `dns.tlsSecret`: the Secret with their certificate; none: chosen by name like Ingress'.
    pub dns_tls_secret: Option<ObjectName>,
    /// `dns.dohHost`: hosts of the HTTPS listeners, in lower case, that answer DNS at `/dns-query` (RFC
    /// 8484); default none.
    pub dns_doh_hosts: Vec<Arc<str>>,
    /// `dns.nsid`: what NSID is answered with (RFC 5001), at most 64 octets; none: nothing.
    pub dns_nsid: Option<Arc<str>>,
    /// `dns.chaos`: whether TXT questions of class CH about the server are answered; default false.
    pub dns_chaos: bool,
    /// `dns.cookieSecretFile`: the secret of DNS cookies in 32 hexadecimal digits; none: one of this
    /// start.
    pub dns_cookie_secret_file: Option<PathBuf>,
    /// `dns.udpSize`: the largest datagram that the resolver sends, `512..=4096` octets; default 1232.
    pub dns_udp_size: usize,
    /// How many TCP and TLS connections a resolver listener has at once.
    pub dns_connections: usize,
    /// How many of them one client has.
    pub dns_connections_per_client: usize,
    /// `dns.allow`: networks whose clients the resolver answers; default loopback and private ones.
    pub dns_allow: Vec<IpNet>,
    /// `--dns-drop-denied`: whether other clients hear nothing instead of a refusal; default false.
    pub dns_drop_denied: bool,
    /// `dns.transferTo`: networks whose clients may have whole zones; default none.
    pub dns_transfer_to: Vec<IpNet>,
    /// `dns.rewrite`: names that are asked as if they were others; default none.
    pub dns_rewrites: Vec<Rewrite>,
    /// Which questions are logged.
    pub dns_log: QueryLog,
    /// Who is asked about names that are not ours.
    pub forwarding: Forwarding,
    /// IngressClass controllers that are ours; default `portico.dev/ingress`, `k8s.io/ingress-nginx`.
    pub controllers: Vec<Arc<str>>,
    /// Class names that are ours without an IngressClass object; default `portico`, `nginx`.
    pub class_names: Vec<Arc<str>>,
    /// Whether an Ingress without any class is served; default true.
    pub serve_classless: bool,
    /// `ingress.proxyProtocol`: whether each client of Ingress begins with a PROXY header; default
    /// off.
    pub proxy_protocol: bool,
    /// `devTls`: whether hosts without a certificate get one of an authority of portico's own; default
    /// false.
    pub dev_tls: bool,
    /// What else is said about Ingress.
    pub front_door: FrontDoor,
    /// The log of requests to Ingress.
    pub access_log: AccessLog,
    /// `trustedProxies`: who may say for which client a connection or a request stands; default none.
    pub trusted_proxies: Vec<IpNet>,
    /// `--probes`: which Pods are probed.
    pub probes: Probes,
    /// `--exec-probe`: what commands come to.
    pub exec_probe: ExecProbe,
    /// How TCP connections are kept.
    pub tcp: Tcp,
    /// What manifests may cost.
    pub limits: Limits,
    /// When edits of files are taken.
    pub reload: Reload,
}

/// How TCP connections are kept (`reliability 2.7`, `reliability 4`); none: off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tcp {
    /// `tcp.keepalive`: a silent peer is asked this often whether it is there; default 30 s.
    pub keepalive: Option<Duration>,
    /// `tcp.userTimeout`: how long a peer may leave what was sent unconfirmed; default 60 s.
    pub user_timeout: Option<Duration>,
    /// `tcp.idleTimeout`: how long a connection through a front may carry nothing; default none.
    pub idle_timeout: Option<Duration>,
    /// `tcp.halfClosedTimeout`: the same once one side has ended its half; default 1 h.
    pub half_closed_timeout: Option<Duration>,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            keepalive: Some(Duration::from_secs(30)),
            user_timeout: Some(Duration::from_secs(60)),
            idle_timeout: None,
            half_closed_timeout: Some(Duration::from_secs(3600)),
        }
    }
}

/// What manifests may cost (`reliability 4`): beyond a limit a file or a document is refused with a
/// diagnostic, and nothing more of it is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// `limits.maxFileBytes`: one file; default 64 MiB.
    pub max_file_bytes: u64,
    /// `limits.maxTotalBytes`: all files together; default 512 MiB.
    pub max_total_bytes: u64,
    /// `limits.maxFiles`: files of all folders together; default 100 000.
    pub max_files: usize,
    /// `limits.maxDocuments`: documents of one file; default 10 000.
    pub max_documents: usize,
    /// `limits.maxDepth`: nesting of one document; default 64, 128 at most.
    pub max_depth: usize,
    /// `limits.maxAliases`: YAML aliases of one document; default 1 000.
    pub max_aliases: usize,
    /// `limits.maxReplayedEvents`: parser events that aliases of one document may repeat; default
    /// 100 000.
    pub max_replayed_events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 << 20,
            max_total_bytes: 512 << 20,
            max_files: 100_000,
            max_documents: 10_000,
            max_depth: 64,
            max_aliases: 1_000,
            max_replayed_events: 100_000,
        }
    }
}

/// When edits of files are taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reload {
    /// `reload.quiet`: edits this close together are taken together; default 10 ms.
    pub quiet: Duration,
    /// `reload.longest`: a stream of edits is cut after this; default 100 ms.
    pub longest: Duration,
    /// `reload.poll`: how often to look where no file events come; default 2 s.
    pub poll: Duration,
    /// `reload.rescan`: how often everything is compared, events or not; default 30 s.
    pub rescan: Duration,
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(10),
            longest: Duration::from_millis(100),
            poll: Duration::from_secs(2),
            rescan: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// What is read beside manifests, in front of them: a hosts file is known by its name.
    pub fn sources(&self, manifests: Vec<PathBuf>) -> Vec<PathBuf> {
        let hosts = self.names.hosts_files.iter();
        hosts.cloned().chain(manifests).collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        let local = |port| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        Self {
            service_cidrs: vec![IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 96, 0, 0), 16))],
            cluster_cidrs: Vec::new(),
            cluster_ips: ClusterIps::Map,
            node_addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            node_name: None,
            http: local(8080),
            https: local(8443),
            dns: local(1053),
            admin: local(9080),
            cluster_domains: vec!["cluster.local".into()],
            alias_zones: vec!["portico.test".into()],
            dns_ttl_seconds: 5,
            names: Names::default(),
            dns_tls: Vec::new(),
            dns_tls_secret: None,
            dns_doh_hosts: Vec::new(),
            dns_nsid: None,
            dns_chaos: false,
            dns_cookie_secret_file: None,
            dns_udp_size: 1232,
            dns_connections: 1024,
            dns_connections_per_client: 64,
            dns_allow: private_networks(),
            dns_drop_denied: false,
            dns_transfer_to: Vec::new(),
            dns_rewrites: Vec::new(),
            dns_log: QueryLog::default(),
            forwarding: Forwarding::default(),
            controllers: vec!["portico.dev/ingress".into(), "k8s.io/ingress-nginx".into()],
            class_names: vec!["portico".into(), "nginx".into()],
            serve_classless: true,
            proxy_protocol: false,
            dev_tls: false,
            front_door: FrontDoor::default(),
            access_log: AccessLog::default(),
            trusted_proxies: Vec::new(),
            probes: Probes::Auto,
            exec_probe: ExecProbe::Ready,
            tcp: Tcp::default(),
            limits: Limits::default(),
            reload: Reload::default(),
        }
    }
}

/// What this host can do, found once at start and given to the pure compiler.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// Addresses of this host's interfaces; all of 127/8 counts as bindable besides.
    pub addresses: Vec<IpAddr>,
    /// Domains in which its own programs look for names that are none by themselves; without final dots.
    pub search: Vec<Arc<str>>,
    /// Networks that are this host's by a route of ours, as [`ClusterIps::Route`] has it.
    pub routed: Vec<IpNet>,
}

impl HostFacts {
    /// The facts once `settings` are in force.
    #[must_use]
    pub(crate) fn under(self, settings: &Settings) -> Self {
        let routed = match settings.cluster_ips {
            ClusterIps::Route => settings.service_cidrs.clone(),
            ClusterIps::Map | ClusterIps::Keep => Vec::new(),
        };
        Self { routed, ..self }
    }

    /// Whether a socket can be bound to `address` on this host without further set-up.
    pub fn can_bind(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) if v4.is_loopback() => {
                cfg!(target_os = "linux") || v4 == Ipv4Addr::LOCALHOST
            }
            address => {
                self.addresses.contains(&address)
                    || self.routed.iter().any(|network| network.contains(&address))
            }
        }
    }
}
