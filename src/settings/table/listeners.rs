//! Where portico listens, and which addresses it takes: for the planes, and for Services.

use crate::settings::kind::Kind;
use crate::settings::{Group, Setting};

/// Listeners and addresses.
pub(super) static SETTINGS: &[Setting] = &[
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
];
