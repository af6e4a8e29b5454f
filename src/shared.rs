//! What the threads of the control side share; readers never wait for a compilation.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use portico_config::publish::Publication;
use portico_net::listeners::ListenerStatus;

use crate::metrics::Metrics;
use crate::planes::PlaneListeners;
use crate::prober;
use crate::readiness::Readiness;

/// What each of them may read, and where each tells its own part.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) publication: Publication,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    /// What the probes of Pods say.
    pub(crate) probes: prober::Board,
    /// Which endpoints failed again and again.
    pub(crate) ejections: portico_proxy::Ejections,
    /// What becomes of requests, and why.
    pub(crate) requests: portico_proxy::Explainer,
    /// Why names are answered as they are.
    pub(crate) names: portico_dns::Explainer,
    pub(crate) planes: ArcSwap<PlaneListeners>,
    pub(crate) batches: AtomicU64,
    pub(crate) admin: ArcSwap<Vec<ListenerStatus>>,
}

impl Shared {
    /// Whether `address` leads to the admin listener of this host, which has the addresses `own`.
    pub(crate) fn is_admin(&self, address: SocketAddr, own: &[IpAddr]) -> bool {
        let ip = address.ip().to_canonical();
        let is_here = ip.is_loopback() || own.contains(&ip);
        self.admin.load().iter().any(|listener| {
            let bound = listener.address;
            bound.port() == address.port()
                && (bound.ip() == ip || (bound.ip().is_unspecified() && is_here))
        })
    }

    /// Every listener of the process, admin first.
    pub(crate) fn listeners(&self) -> Vec<Arc<ListenerStatus>> {
        let (admin, planes) = (self.admin.load(), self.planes.load());
        let few = admin.iter().map(|status| Arc::new(status.clone()));
        let dns = planes.dns.iter().map(|status| Arc::new(status.clone()));
        few.chain(planes.proxy.iter().map(Arc::clone))
            .chain(dns)
            .collect()
    }
}
