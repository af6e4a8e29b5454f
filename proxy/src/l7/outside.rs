//! Hosts that are in no manifest: where they are, and whose certificates they show (`ingress 6.7`).
//!
//! Names are asked of this host's own resolver, apart from the workers, and kept for a short time.
//! Invariant: an address that only this machine's surroundings have, such as that of a cloud's
//! metadata, is never dialed, unless settings list its host; what a name leads to is looked at each time that it is asked for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use portico_config::model::{BackendTls, Same, is_surroundings};
use portico_net::tls_dial::host_roots;
use tracing::debug;

/// What one worker knows of hosts outside.
#[derive(Default)]
pub(crate) struct Outside {
    found: RefCell<HashMap<(Box<str>, u16), Found>>,
}

#[derive(Clone)]
struct Found {
    addresses: Arc<[SocketAddr]>,
    until: Instant,
}

impl Outside {
    /// Where a host is; none: nowhere.
    pub(crate) async fn addresses(
        &self,
        (host, port): (&str, u16),
        listed: bool,
    ) -> Option<Arc<[SocketAddr]>> {
        let is_reachable = |found: &Arc<[SocketAddr]>| listed || is_reachable(found);
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = [SocketAddr::new(address, port)].into();
            return is_reachable(&address).then_some(address);
        }
        let now = Instant::now();
        let key = (Box::from(host), port);
        let known = self.found.borrow().get(&key).cloned();
        if let Some(found) = known.filter(|found| now < found.until) {
            return Some(found.addresses).filter(is_reachable);
        }
        let found = match tokio::net::lookup_host((host, port)).await {
            Ok(found) => found.take(MAX_ADDRESSES).collect(),
            Err(error) => {
                debug!(%error, host, "a host cannot be found");
                return None;
            }
        };
        if !is_reachable(&found) {
            return None;
        }
        let mut all = self.found.borrow_mut();
        if all.len() >= MAX_FOUND {
            all.retain(|_, found| now < found.until);
        }
        if all.len() < MAX_FOUND {
            let addresses = Arc::clone(&found);
            all.insert(key, Found { addresses, until: now + FOUND_TIME });
        }
        Some(found)
    }

    /// How TLS is spoken there; none where this host's authorities cannot be read.
    pub(crate) async fn tls(&self, verifies: bool) -> Option<Arc<BackendTls>> {
        static VERIFIED: OnceLock<Arc<BackendTls>> = OnceLock::new();
        static UNVERIFIED: OnceLock<Arc<BackendTls>> = OnceLock::new();
        let plain = || BackendTls { sends_name: true, depth: MAX_DEPTH, ..BackendTls::default() };
        if !verifies {
            return Some(Arc::clone(UNVERIFIED.get_or_init(|| Arc::new(plain()))));
        }
        if let Some(known) = VERIFIED.get() {
            return Some(Arc::clone(known));
        }
        // Files are read: not on a worker's own thread.
        let roots = tokio::task::spawn_blocking(host_roots).await.ok()?;
        let authorities = Some(Same(Arc::new(roots)));
        let made = || Arc::new(BackendTls { authorities, ..plain() });
        Some(Arc::clone(VERIFIED.get_or_init(made)))
    }
}

/// Whether all addresses of a host may be dialed, and there are any.
fn is_reachable(addresses: &Arc<[SocketAddr]>) -> bool {
    let may = |address: &SocketAddr| !is_surroundings(address.ip());
    !addresses.is_empty() && addresses.iter().all(may)
}

/// Of one host.
const MAX_ADDRESSES: usize = 8;
/// Hosts that one worker knows.
const MAX_FOUND: usize = 256;
const FOUND_TIME: Duration = Duration::from_secs(30);
/// Certificates between a server's and an authority's.
const MAX_DEPTH: u8 = 6;
