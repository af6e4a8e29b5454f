//! Every setting there is, in the order of help and documentation.
//!
//! A new setting is one row here and its field in `AppOptions` or `model::Settings`; nothing else
//! has to hear of it but `docs/settings.md`, which `UPDATE_DOCS=1 cargo test -p portico --test meta` writes.

use std::time::Duration;

use super::kind::Kind;
use super::{Group, Setting};

/// The settings.
pub(crate) static SETTINGS: &[Setting] = &[
    // Listeners.
    Setting::new(
        "http",
        Group::Listeners,
        "ADDR[:PORT]|off",
        "Plain HTTP for Ingress",
        Kind::Listeners(|to| &mut to.settings.http),
    ),
    Setting::new(
        "https",
        Group::Listeners,
        "ADDR[:PORT]|off",
        "HTTPS for Ingress, with certificates from Secrets",
        Kind::Listeners(|to| &mut to.settings.https),
    ),
    Setting::new(
        "dns.listen",
        Group::Listeners,
        "ADDR[:PORT]|off",
        "Cluster DNS over UDP and TCP",
        Kind::Listeners(|to| &mut to.settings.dns),
    ),
    Setting::new(
        "dns.tls",
        Group::Listeners,
        "ADDR[:PORT]|off",
        "Cluster DNS over TLS",
        Kind::Listeners(|to| &mut to.settings.dns_tls),
    ),
    Setting::new(
        "dns.tlsSecret",
        Group::Listeners,
        "NAMESPACE/NAME",
        "The Secret with its certificate",
        Kind::Object(|to| &mut to.settings.dns_tls_secret),
    )
    .by_default("by server name, as Ingress")
    .live(),
    Setting::new(
        "dns.dohHost",
        Group::Listeners,
        "NAME|off",
        "A host of the HTTPS listeners that answers DNS at /dns-query (RFC 8484)",
        Kind::Zones { may_be_off: true, lens: |to| &mut to.settings.dns_doh_hosts },
    )
    .live(),
    Setting::new(
        "admin",
        Group::Listeners,
        "ADDR[:PORT]|off",
        "Metrics, probes and the API, without authentication",
        Kind::Listeners(|to| &mut to.settings.admin),
    ),
    // Addresses.
    Setting::new(
        "serviceCidr",
        Group::Addresses,
        "CIDR",
        "Where Services get addresses, one network per family",
        Kind::Networks(|to| &mut to.settings.service_cidrs),
    )
    .live(),
    Setting::new(
        "clusterCidr",
        Group::Addresses,
        "CIDR",
        "Networks of Pods, where Nodes do not say it: sources inside count as Pods",
        Kind::AnyNetworks(|to| &mut to.settings.cluster_cidrs),
    )
    .by_default("what Nodes and Pods say")
    .live(),
    Setting::new(
        "clusterIps",
        Group::Addresses,
        "map|route|keep",
        "What happens to a clusterIP that this host does not have",
        Kind::ClusterIps(|to| &mut to.settings.cluster_ips),
    )
    .live(),
    Setting::new(
        "nodeAddress",
        Group::Addresses,
        "ADDR",
        "Where NodePorts listen",
        Kind::Addresses(|to| &mut to.settings.node_addresses),
    )
    .live(),
    Setting::new(
        "nodeName",
        Group::Addresses,
        "NAME",
        "Which Node object is this host",
        Kind::Name(|to| &mut to.settings.node_name),
    )
    .live(),
    // Names.
    Setting::new(
        "clusterDomain",
        Group::Names,
        "ZONE",
        "The cluster's zone; of several, the first is primary",
        Kind::Zones { may_be_off: false, lens: |to| &mut to.settings.cluster_domains },
    )
    .live(),
    Setting::new(
        "aliasZone",
        Group::Names,
        "ZONE|off",
        "A zone with the same names",
        Kind::Zones { may_be_off: true, lens: |to| &mut to.settings.alias_zones },
    )
    .live(),
    Setting::new(
        "dns.ttl",
        Group::Names,
        "SECONDS",
        "How long answers may be cached",
        Kind::Seconds(0..=3600, |to| &mut to.settings.dns_ttl_seconds),
    )
    .live(),
    Setting::new(
        "dns.reverseCidr",
        Group::Names,
        "CIDR",
        "A network whose reverse zone is ours too: unknown addresses in it have no name",
        Kind::AnyNetworks(|to| &mut to.settings.names.reverse_cidrs),
    )
    .live(),
    Setting::new(
        "dns.namespaces",
        Group::Names,
        "NAME",
        "Namespaces whose Services and Pods have names",
        Kind::Names(|to| &mut to.settings.names.namespaces),
    )
    .by_default("all")
    .live(),
    Setting::new(
        "dns.hostSuffix",
        Group::Names,
        "ZONE",
        "A zone of hosts of Ingresses and LoadBalancer Services, in which there is nothing else",
        Kind::Zones { may_be_off: true, lens: |to| &mut to.settings.names.host_suffixes },
    )
    .by_default("the alias zones")
    .live(),
    Setting::new(
        "dns.publish",
        Group::Names,
        "all|suffixes|off",
        "Which hosts of Ingresses and LoadBalancer Services have names: all, or those in zones of ours",
        Kind::Publish(|to| &mut to.settings.names.publish),
    )
    .live(),
    Setting::new(
        "dns.ingressAddress",
        Group::Names,
        "IP",
        "Where hosts of Ingresses are that no object says",
        Kind::Addresses(|to| &mut to.settings.names.ingress_addresses),
    )
    .by_default("the http listeners")
    .live(),
    Setting::new(
        "dns.record",
        Group::Names,
        "RECORD",
        "A name of your own as in a zone file: [@CIDR] NAME [TTL] A|AAAA|CNAME|TXT|SRV|MX DATA",
        Kind::Records(|to| &mut to.settings.names.records),
    )
    .live(),
    Setting::new(
        "dns.hosts",
        Group::Names,
        "FILE",
        "A hosts file, whose names are answered; followed as it changes",
        Kind::Files(|to| &mut to.settings.names.hosts_files),
    ),
    Setting::new(
        "dns.fallthrough",
        Group::Names,
        "ZONE",
        "A zone in which upstreams are asked for names that we do not have",
        Kind::Zones { may_be_off: true, lens: |to| &mut to.settings.names.fallthrough },
    )
    .live(),
    Setting::new(
        "dns.rewrite",
        Group::Names,
        "RULE",
        "A name that is asked as another: [exact|prefix|suffix|substring|regex] FROM TO",
        Kind::Rewrites(|to| &mut to.settings.dns_rewrites),
    )
    .live(),
    Setting::new(
        "dns.autopath",
        Group::Names,
        "true|false",
        "Whether a Pod hears at once what its search path leads to",
        Kind::Switch(|to| &mut to.settings.names.autopath),
    )
    .live(),
    Setting::new(
        "dns.autopathFrom",
        Group::Names,
        "CIDR=NAMESPACE",
        "Clients that are taken for Pods of a namespace there",
        Kind::AutopathFrom(|to| &mut to.settings.names.autopath_from),
    )
    .live(),
    Setting::new(
        "podsMode",
        Group::Names,
        "disabled|insecure|verified",
        "Whether 10-0-0-1.NAMESPACE.pod.ZONE has no address, the one it spells, or a Pod's alone",
        Kind::PodsMode(|to| &mut to.settings.names.pods),
    )
    .live(),
    Setting::new(
        "ignoreEmptyService",
        Group::Names,
        "true|false",
        "Whether a Service without a ready endpoint has no name",
        Kind::Switch(|to| &mut to.settings.names.ignore_empty_service),
    )
    .live(),
    Setting::new(
        "endpointPodNames",
        Group::Names,
        "true|false",
        "Whether endpoints without a hostname are called as their Pods are",
        Kind::Switch(|to| &mut to.settings.names.endpoint_pod_names),
    )
    .live(),
    Setting::new(
        "dns.allow",
        Group::Names,
        "CIDR",
        "Whose questions are answered; everybody else is refused",
        Kind::Networks(|to| &mut to.settings.dns_allow),
    )
    .by_default("loopback and private networks")
    .live(),
    Setting::new(
        "dns.dropDenied",
        Group::Names,
        "true|false",
        "Whether everybody else hears nothing instead of REFUSED",
        Kind::Switch(|to| &mut to.settings.dns_drop_denied),
    )
    .live(),
    Setting::new(
        "dns.nsid",
        Group::Names,
        "NAME",
        "What a client hears that asks which server answers (NSID), at most 64 characters",
        Kind::ShortName(|to| &mut to.settings.dns_nsid),
    )
    .live(),
    Setting::new(
        "dns.transferTo",
        Group::Names,
        "CIDR",
        "Whose secondaries may have whole zones (AXFR), over TCP and TLS",
        Kind::AnyNetworks(|to| &mut to.settings.dns_transfer_to),
    )
    .by_default("nobody's")
    .live(),
    Setting::new(
        "dns.log",
        Group::Names,
        "off|[ZONE=]CLASS",
        "Which questions are logged: all, or those with a reply of class denial, error or success",
        Kind::QueryLog(|to| &mut to.settings.dns_log.rules),
    )
    .by_default("off")
    .live(),
    Setting::new(
        "dns.logFile",
        Group::Names,
        "FILE|stdout",
        "Where they are logged; a file that is renamed is begun anew",
        Kind::LogFile(|to| &mut to.settings.dns_log.file),
    ),
    Setting::new(
        "dns.maxConnections",
        Group::Names,
        "N",
        "TCP and TLS connections of one listener, shared evenly between workers",
        Kind::Count(1..=1_000_000, |to| &mut to.settings.dns_connections),
    ),
    Setting::new(
        "dns.maxConnectionsPerClient",
        Group::Names,
        "N",
        "How many of them one address has",
        Kind::Count(1..=1_000_000, |to| &mut to.settings.dns_connections_per_client),
    ),
    Setting::new(
        "forward",
        Group::Names,
        "off|system|[@CIDR ][NAME=]ADDR",
        "Who is asked about other names, all or those below one: udp, tcp:// or tls://",
        Kind::Forwards(|to| &mut to.settings.forwarding.rules),
    )
    .by_default("system, the resolvers of this host")
    .live(),
    Setting::new(
        "forwardPolicy",
        Group::Names,
        "random|round-robin|sequential",
        "Which of several is asked first",
        Kind::ForwardPolicy(|to| &mut to.settings.forwarding.policy),
    )
    .live(),
    Setting::new(
        "forwardAllow",
        Group::Names,
        "CIDR",
        "For whom others are asked, of those who may ask",
        Kind::Networks(|to| &mut to.settings.forwarding.allow),
    )
    .by_default("loopback and private networks")
    .live(),
    Setting::new(
        "forwardFailover",
        Group::Names,
        "off|CODE",
        "Replies that make the next of several asked: SERVFAIL, REFUSED, NXDOMAIN, NOTIMP, FORMERR",
        Kind::Failover(|to| &mut to.settings.forwarding.failover),
    )
    .by_default("off")
    .live(),
    Setting::new(
        "dns.cacheBytes",
        Group::Names,
        "BYTES",
        "Memory for what they say; 0 keeps nothing",
        Kind::Bytes(0..=1 << 40, |to| &mut to.settings.forwarding.cache_bytes),
    )
    .live(),
    Setting::new(
        "dns.serveStale",
        Group::Names,
        "TIME|off",
        "How long what has expired stands in where they do not answer",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.forwarding.serve_stale),
    )
    .live(),
    Setting::new(
        "dns.prefetch",
        Group::Names,
        "true|false",
        "Whether what is asked for often is fetched again before it expires",
        Kind::Switch(|to| &mut to.settings.forwarding.prefetch),
    )
    .live(),
    // Ingress.
    Setting::new(
        "ingress.controllers",
        Group::Ingress,
        "CONTROLLER",
        "Controllers of IngressClass objects that are served",
        Kind::Names(|to| &mut to.settings.controllers),
    )
    .live(),
    Setting::new(
        "ingress.classNames",
        Group::Ingress,
        "NAME",
        "Classes that are served without an IngressClass object",
        Kind::Names(|to| &mut to.settings.class_names),
    )
    .live(),
    Setting::new(
        "ingress.serveClassless",
        Group::Ingress,
        "true|false",
        "Whether an Ingress without any class is served",
        Kind::Switch(|to| &mut to.settings.serve_classless),
    )
    .live(),
    Setting::new(
        "devTls",
        Group::Ingress,
        "true|false",
        "Whether hosts of Ingresses without a certificate get one of a CA in the state folder",
        Kind::Switch(|to| &mut to.settings.dev_tls),
    ),
    Setting::new(
        "ingress.proxyProtocol",
        Group::Ingress,
        "off|required",
        "Whether clients of Ingress begin with a PROXY header, from a trusted proxy",
        Kind::Required(|to| &mut to.settings.proxy_protocol),
    ),
    Setting::new(
        "accessLog",
        Group::Ingress,
        "off|-|FILE",
        "Where requests are logged, - for standard output; SIGUSR1 begins a file anew",
        Kind::LogTarget(|to| &mut to.settings.access_log.target),
    ),
    Setting::new(
        "accessLogFormat",
        Group::Ingress,
        "common|combined|upstreaminfo|json|TEXT",
        "What a line says; TEXT has variables by nginx's names, such as $status and $http_user_agent",
        Kind::LogShape(|to| &mut to.settings.access_log.format),
    ),
    Setting::new(
        "ingress.fullForwardedFor",
        Group::Ingress,
        "true|false",
        "Whether X-Forwarded-For keeps what a trusted proxy said, and adds its address",
        Kind::Switch(|to| &mut to.settings.front_door.full_forwarded_for),
    ),
    Setting::new(
        "ingress.sslRedirect",
        Group::Ingress,
        "true|false",
        "Whether plain HTTP is redirected to HTTPS where an Ingress does not say it",
        Kind::Switch(|to| &mut to.settings.front_door.ssl_redirect),
    )
    .live(),
    Setting::new(
        "ingress.nginxQuirks",
        Group::Ingress,
        "true|false",
        "Whether paths are compared and ordered as ingress-nginx does it, where no Ingress says otherwise",
        Kind::Switch(|to| &mut to.settings.front_door.nginx_quirks),
    )
    .live(),
    Setting::new(
        "ingress.hsts",
        Group::Ingress,
        "true|false",
        "Whether answers over HTTPS say Strict-Transport-Security, where the certificate is a Secret's",
        Kind::Switch(|to| &mut to.settings.front_door.hsts.on),
    ),
    Setting::new(
        "ingress.hstsMaxAge",
        Group::Ingress,
        "SECONDS",
        "For how long browsers come by HTTPS alone then; 0: they forget it",
        Kind::Seconds(0..=315_360_000, |to| &mut to.settings.front_door.hsts.max_age_seconds),
    ),
    Setting::new(
        "ingress.hstsIncludeSubdomains",
        Group::Ingress,
        "true|false",
        "Whether that holds for all names below the host's",
        Kind::Switch(|to| &mut to.settings.front_door.hsts.include_subdomains),
    ),
    Setting::new(
        "ingress.hstsPreload",
        Group::Ingress,
        "true|false",
        "Whether browsers may be delivered with that knowledge",
        Kind::Switch(|to| &mut to.settings.front_door.hsts.preload),
    ),
    Setting::new(
        "ingress.limitStatus",
        Group::Ingress,
        "429|503",
        "What who is over a limit of rate or connections gets",
        Kind::LimitStatus(|to| &mut to.settings.front_door.limit_status),
    )
    .live(),
    Setting::new(
        "ingress.defaultBackend",
        Group::Ingress,
        "NAMESPACE/NAME:PORT",
        "Which Service answers what no Ingress has a rule for",
        Kind::ServicePort(|to| &mut to.settings.front_door.default_backend),
    )
    .by_default("none: 404")
    .live(),
    Setting::new(
        "ingress.defaultTlsSecret",
        Group::Ingress,
        "NAMESPACE/NAME",
        "The Secret with the certificate of hosts that have none",
        Kind::Object(|to| &mut to.settings.front_door.default_tls_secret),
    )
    .by_default("a certificate made at start")
    .live(),
    Setting::new(
        "ingress.allowedResponseHeaders",
        Group::Ingress,
        "NAME",
        "Fields of responses that annotations may set by custom-headers",
        Kind::FieldNames(|to| &mut to.settings.front_door.allowed_response_headers),
    )
    .live(),
    Setting::new(
        "ingress.outboundHosts",
        Group::Ingress,
        "HOST",
        "Hosts that annotations may send requests to, such as by auth-url, and ExternalName Services lead to",
        Kind::Names(|to| &mut to.settings.front_door.outbound_hosts),
    )
    .by_default("all but link-local and metadata addresses")
    .live(),
    Setting::new(
        "ingress.maxBodyBytes",
        Group::Ingress,
        "BYTES",
        "The longest body of a request; 0 for any",
        Kind::Bytes(0..=1 << 50, |to| &mut to.settings.front_door.max_body_bytes),
    ),
    Setting::new(
        "ingress.maxRequestsPerConnection",
        Group::Ingress,
        "N",
        "After so many requests a connection of a client ends",
        Kind::Count(1..=1_000_000_000, |to| {
            &mut to.settings.front_door.max_requests_per_connection
        }),
    ),
    Setting::new(
        "ingress.maxConnectionAge",
        Group::Ingress,
        "TIME|off",
        "After this long a connection of a client ends with its next response",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.front_door.max_connection_age),
    ),
    Setting::new(
        "ingress.maxEndpointRequests",
        Group::Ingress,
        "N",
        "Requests that one endpoint has at once, each over a connection of its own by HTTP/1.1",
        Kind::Count(1..=1_000_000, |to| &mut to.settings.front_door.max_endpoint_requests),
    ),
    Setting::new(
        "ingress.maxEndpointPending",
        Group::Ingress,
        "N",
        "Requests that wait for a place at one endpoint; beyond, they get 503",
        Kind::Count(0..=1_000_000, |to| &mut to.settings.front_door.max_endpoint_pending),
    ),
    Setting::new(
        "ingress.requestHeaderTimeout",
        Group::Ingress,
        "TIME",
        "How long the head of a request may take from its first byte",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.request_header),
    ),
    Setting::new(
        "ingress.keepAliveTimeout",
        Group::Ingress,
        "TIME",
        "How long a client may keep a connection without a request",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.keep_alive),
    ),
    Setting::new(
        "ingress.upstreamReadTimeout",
        Group::Ingress,
        "TIME",
        "How long a backend may say nothing before its response, or a client amid its body",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.upstream_read),
    ),
    Setting::new(
        "ingress.downstreamSendTimeout",
        Group::Ingress,
        "TIME",
        "How long a response may stand still",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.downstream_send),
    ),
    Setting::new(
        "ingress.tunnelIdleTimeout",
        Group::Ingress,
        "TIME",
        "How long a WebSocket may carry nothing",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.tunnel_idle),
    ),
    Setting::new(
        "ingress.connectTimeout",
        Group::Ingress,
        "TIME",
        "How long a connection to an endpoint may take",
        Kind::Time(SECOND..=DAY, |to| &mut to.settings.front_door.timeouts.connect),
    ),
    // TCP.
    Setting::new(
        "trustedProxies",
        Group::Tcp,
        "CIDR",
        "Whose PROXY headers, where one is required, and X-Forwarded fields are believed",
        Kind::AnyNetworks(|to| &mut to.settings.trusted_proxies),
    )
    .live(),
    Setting::new(
        "tcp.keepalive",
        Group::Tcp,
        "TIME|off",
        "How often a silent peer is asked whether it is still there",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.tcp.keepalive),
    ),
    Setting::new(
        "tcp.userTimeout",
        Group::Tcp,
        "TIME|off",
        "How long a peer may leave what was sent unconfirmed",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.tcp.user_timeout),
    ),
    Setting::new(
        "tcp.idleTimeout",
        Group::Tcp,
        "TIME|off",
        "How long a connection of a Service may carry nothing",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.tcp.idle_timeout),
    )
    .live(),
    Setting::new(
        "tcp.halfClosedTimeout",
        Group::Tcp,
        "TIME|off",
        "The same once one side has ended its half",
        Kind::TimeOrOff(SECOND..=DAY, |to| &mut to.settings.tcp.half_closed_timeout),
    )
    .live(),
    // Probes.
    Setting::new(
        "probes",
        Group::Probes,
        "auto|on|off",
        "Which Pods are probed: those without a condition Ready, also others, or none",
        Kind::Probes(|to| &mut to.settings.probes),
    )
    .live(),
    Setting::new(
        "execProbe",
        Group::Probes,
        "ready|unready",
        "What a probe comes to that runs a command, which portico cannot",
        Kind::ExecProbe(|to| &mut to.settings.exec_probe),
    )
    .live(),
    // Process.
    Setting::new(
        "workers",
        Group::Process,
        "N",
        "Data-plane threads",
        Kind::Count(1..=256, |to| &mut to.workers),
    )
    .by_default("one per core"),
    Setting::new(
        "drainTimeout",
        Group::Process,
        "TIME",
        "How long open connections may finish at the end",
        Kind::Time(ZERO..=DAY, |to| &mut to.drain_timeout),
    ),
    Setting::new(
        "drainDelay",
        Group::Process,
        "TIME",
        "How long to go on, not ready, before nothing new is accepted",
        Kind::Time(ZERO..=DAY, |to| &mut to.drain_delay),
    ),
    Setting::new(
        "stateDir",
        Group::Process,
        "FOLDER|off",
        "Where assigned addresses are kept over restarts",
        Kind::Folder(|to| &mut to.state_dir),
    )
    .by_default("$STATE_DIRECTORY, or portico in the user's state folder"),
    // Log.
    Setting::new(
        "logFormat",
        Group::Log,
        "text|json",
        "How log lines on stderr look",
        Kind::Format(|to| &mut to.log_format),
    ),
    Setting::new(
        "logLevel",
        Group::Log,
        "LEVEL",
        "What is logged: error, warn, info, debug, trace or target=level pairs",
        Kind::LogFilter(|to| &mut to.log_level),
    )
    .live(),
    // Metrics.
    Setting::new(
        "metrics.endpoints",
        Group::Metrics,
        "N",
        "How many endpoints have metrics of their own, at most; 0 counts nothing for it",
        Kind::Count(0..=1_000_000, |to| &mut to.endpoint_series),
    ),
    Setting::new(
        "metrics.rules",
        Group::Metrics,
        "N",
        "How many rules of Ingress have metrics of their own, at most; others share theirs",
        Kind::Count(0..=100_000, |to| &mut to.rule_series),
    ),
    // Reload.
    Setting::new(
        "reload.quiet",
        Group::Reload,
        "TIME",
        "Edits this close together are taken together",
        Kind::Time(MILLISECOND..=MINUTE, |to| &mut to.settings.reload.quiet),
    ),
    Setting::new(
        "reload.longest",
        Group::Reload,
        "TIME",
        "A stream of edits is cut after this",
        Kind::Time(MILLISECOND..=MINUTE, |to| &mut to.settings.reload.longest),
    ),
    Setting::new(
        "reload.poll",
        Group::Reload,
        "TIME",
        "How often to look where no file events come",
        Kind::Time(MILLISECOND..=DAY, |to| &mut to.settings.reload.poll),
    ),
    Setting::new(
        "reload.rescan",
        Group::Reload,
        "TIME",
        "How often everything is compared, file events or not",
        Kind::Time(MILLISECOND..=DAY, |to| &mut to.settings.reload.rescan),
    ),
    // Limits.
    Setting::new(
        "limits.maxConnections",
        Group::Limits,
        "N|auto",
        "Client connections of all listeners together, as far as descriptors go",
        Kind::CountOrAuto(1..=10_000_000, |to| &mut to.max_connections),
    )
    .by_default("half of the descriptors less 64, at most 50000")
    .live(),
    Setting::new(
        "limits.maxFileBytes",
        Group::Limits,
        "BYTES",
        "The largest manifest file",
        Kind::Bytes(1..=1 << 40, |to| &mut to.settings.limits.max_file_bytes),
    ),
    Setting::new(
        "limits.maxTotalBytes",
        Group::Limits,
        "BYTES",
        "All manifest files together",
        Kind::Bytes(1..=1 << 40, |to| &mut to.settings.limits.max_total_bytes),
    ),
    Setting::new(
        "limits.maxFiles",
        Group::Limits,
        "N",
        "Manifest files of all folders together",
        Kind::Count(1..=10_000_000, |to| &mut to.settings.limits.max_files),
    ),
    Setting::new(
        "limits.maxDocuments",
        Group::Limits,
        "N",
        "Documents of one file",
        Kind::Count(1..=10_000_000, |to| &mut to.settings.limits.max_documents),
    ),
    Setting::new(
        "limits.maxDepth",
        Group::Limits,
        "N",
        "Nesting of one document",
        Kind::Count(8..=256, |to| &mut to.settings.limits.max_depth),
    ),
    Setting::new(
        "limits.maxAliases",
        Group::Limits,
        "N",
        "YAML aliases of one document",
        Kind::Count(0..=1_000_000, |to| &mut to.settings.limits.max_aliases),
    ),
    Setting::new(
        "limits.maxReplayedEvents",
        Group::Limits,
        "N",
        "Parser events that the aliases of one document may repeat",
        Kind::Count(0..=10_000_000, |to| &mut to.settings.limits.max_replayed_events),
    ),
];

/// The keys of all settings.
pub(crate) fn keys() -> Vec<&'static str> {
    SETTINGS.iter().map(|setting| setting.key).collect()
}

const ZERO: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
