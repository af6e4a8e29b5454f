//! What both planes are told at start, from the settings: their options, and secrets that are read once.
//!
//! Nothing is decided here that a plane could decide; what settings cannot mean together is said to the
//! log. What can change while the process runs goes another way, by `planes`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use ipnet::IpNet;
use portico_config::model::{ClusterIps, Settings};
use portico_dns::CookieSecret;
use portico_net::dev_ca::DevCa;
use portico_net::stream::StreamOptions;
use tracing::{info, warn};

use crate::host;

/// What the proxy is told at start.
pub(crate) fn proxy(
    workers: usize,
    (max_connections, endpoint_series, rule_series): (Option<usize>, usize, usize),
    settings: &Settings,
) -> portico_proxy::Options {
    portico_proxy::Options {
        workers,
        http: settings.http.clone(),
        https: settings.https.clone(),
        query_hosts: settings.dns_doh_hosts.clone(),
        proxy_protocol: settings.proxy_protocol,
        front_door: settings.front_door.clone(),
        access_log: settings.access_log.clone(),
        descriptors: portico_net::limit::raise_descriptor_limit(),
        max_connections,
        endpoint_series,
        rule_series,
        stream: StreamOptions {
            keepalive: settings.tcp.keepalive,
            user_timeout: settings.tcp.user_timeout,
        },
        ..portico_proxy::Options::default()
    }
}

/// What the resolver is told at start.
pub(crate) fn dns(workers: usize, settings: &Settings) -> anyhow::Result<portico_dns::Options> {
    Ok(portico_dns::Options {
        workers,
        listen: settings.dns.clone(),
        tls: settings.dns_tls.clone(),
        nsid: settings.dns_nsid.clone(),
        cookie_secret: cookie_secret(settings)?,
        connections: settings.dns_connections,
        connections_per_client: settings.dns_connections_per_client,
        allow: settings.dns_allow.clone(),
        drop_denied: settings.dns_drop_denied,
        rewrites: settings.dns_rewrites.clone(),
        transfer_to: settings.dns_transfer_to.clone(),
        log: settings.dns_log.clone(),
        forwarding: settings.forwarding.clone(),
        own: host::facts().addresses,
        ..portico_dns::Options::default()
    })
}

/// The authority for development, where settings ask for it. Without it hosts have the certificate
/// that they had before.
pub(crate) fn dev_ca(is_asked_for: bool, folder: Option<&Path>) -> Option<Arc<DevCa>> {
    if !is_asked_for {
        return None;
    }
    let Some(folder) = folder else {
        warn!("--dev-tls needs a state folder to keep its CA in: --state-dir");
        return None;
    };
    match DevCa::open(folder) {
        Ok(ca) => {
            info!("hosts without a certificate get one of the CA that `portico ca export` prints");
            Some(Arc::new(ca))
        }
        Err(error) => {
            warn!("{}: {error}; --dev-tls has no CA", folder.display());
            None
        }
    }
}

/// What the file of `--dns-cookie-secret-file` says.
fn cookie_secret(settings: &Settings) -> anyhow::Result<Option<CookieSecret>> {
    let Some(file) = &settings.dns_cookie_secret_file else { return Ok(None) };
    let secret = || -> anyhow::Result<CookieSecret> {
        let text = std::fs::read_to_string(file)?;
        text.trim().parse().map_err(anyhow::Error::msg)
    };
    let secret = secret().with_context(|| format!("--dns-cookie-secret-file {}", file.display()));
    secret.map(Some)
}

/// Says what of the settings of names cannot be meant.
pub(crate) fn doubt_names(settings: &Settings) {
    let Settings { dns, https, dns_doh_hosts, service_cidrs, cluster_ips, .. } = settings;
    let is_open = dns.iter().any(|listener| !listener.ip().is_loopback());
    let is_own = |network: &IpNet| network.network().is_loopback();
    if is_open && *cluster_ips == ClusterIps::Map && service_cidrs.iter().all(is_own) {
        warn!(
            "--dns is asked by other hosts, and names of Services lead to loopback addresses, which \
             are of use here alone: give Services addresses of this host by --service-cidr, or keep \
             theirs by --cluster-ips route"
        );
    }
    if !dns_doh_hosts.is_empty() && https.is_empty() {
        warn!("--dns-doh-host is answered on --https, which is off");
    }
}
