//! The routes of `--cluster-ips=route`: every service CIDR is this host's while the process runs.
//!
//! Invariants: what could not be added is said once, with the remedy, and tried again; what was added
//! goes when the settings no longer want it, and when the last owner is dropped, by then without
//! listeners. Networks inside 127/8 need no route.

use std::net::IpAddr;

use ipnet::IpNet;
use portico_config::model::{ClusterIps, Settings};
use portico_net::any_ip;
use tracing::{error, info, warn};

/// The routes of one process.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    wanted: Vec<IpNet>,
    /// What serves now: ours, or made by others.
    present: Vec<IpNet>,
    told: bool,
}

impl Routes {
    /// Adds what `settings` want.
    pub(crate) fn follow(&mut self, settings: &Settings) {
        self.wanted = wanted(settings);
        self.told = false;
        self.add();
    }

    /// Removes what is not wanted any more; nothing listens there by now.
    pub(crate) fn settle(&mut self) {
        let wanted = &self.wanted;
        let unwanted = self
            .present
            .extract_if(.., |network| !wanted.contains(network));
        unwanted.for_each(remove);
    }

    /// Tries again what is missing.
    pub(crate) fn retry(&mut self) {
        if self.present.len() < self.wanted.len() {
            self.add();
        }
    }

    fn add(&mut self) {
        for network in &self.wanted {
            if self.present.contains(network) {
                continue;
            }
            match any_ip::add((network.network(), network.prefix_len())) {
                Ok(is_new) => {
                    let how = if is_new { "is" } else { "was already" };
                    info!("{network} {how} local by a route");
                    self.present.push(*network);
                }
                Err(error) if !self.told => {
                    self.told = true;
                    error!("no local route for {network}: {error}{}", remedy(&error));
                }
                Err(_) => {}
            }
        }
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        std::mem::take(&mut self.present)
            .into_iter()
            .for_each(remove);
    }
}

fn wanted(settings: &Settings) -> Vec<IpNet> {
    let is_local = |network: &&IpNet| match network.network() {
        IpAddr::V4(v4) => v4.is_loopback() && network.prefix_len() >= 8,
        IpAddr::V6(_) => false,
    };
    match settings.cluster_ips {
        ClusterIps::Route => {
            let networks = settings.service_cidrs.iter();
            networks
                .filter(|it| !is_local(it))
                .map(IpNet::trunc)
                .collect()
        }
        ClusterIps::Map | ClusterIps::Keep => Vec::new(),
    }
}

fn remove(network: IpNet) {
    match any_ip::remove((network.network(), network.prefix_len())) {
        Ok(true) => info!("the route that made {network} local is removed"),
        // Somebody else's, or removed by hand.
        Ok(false) => {}
        Err(error) => warn!("the local route for {network} stays: {error}"),
    }
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "; --cluster-ips=route needs CAP_NET_ADMIN, --cluster-ips=map needs nothing"
        }
        std::io::ErrorKind::NetworkDown => "; bring it up: ip link set lo up",
        _ => "",
    }
}
