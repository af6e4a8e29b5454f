//! Hosts that are in no manifest: where they are, and whose certificates they show (`ingress 6.7`).
//!
//! Names are asked of this host's own resolver, apart from the workers, and kept for a short time, as is
//! that there is none. Invariants: a name is asked for once, however many wait for it; an address that only
//! this machine's surroundings have, such as that of a cloud's metadata, is never dialed, unless
//! settings list its host; what a name leads to is looked at each time that it is asked for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use portico_config::model::{BackendTls, Same};
use portico_net::dial::why_not;
use portico_net::tls_dial::host_roots;
use tokio::sync::OnceCell;
use tracing::debug;

/// What one worker knows of hosts outside.
#[derive(Default)]
pub(crate) struct Outside {
    known: RefCell<HashMap<Key, Lookup>>,
}

type Key = (Box<str>, u16);
/// What comes of asking for a name once; empty while somebody asks.
type Lookup = Rc<OnceCell<Found>>;

#[derive(Clone)]
struct Found {
    /// None: nowhere.
    addresses: Option<Addresses>,
    until: Instant,
}

type Addresses = Arc<[SocketAddr]>;

/// Addresses that are never dialed, whatever leads there.
pub(crate) struct Forbidden(Box<dyn Fn(SocketAddr) -> bool + Send + Sync>);

impl Forbidden {
    /// Those of which `is_it` says so.
    pub(crate) fn new(is_it: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Box::new(is_it))
    }

    pub(crate) fn has(&self, address: SocketAddr) -> bool {
        self.0(address)
    }
}

impl std::fmt::Debug for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forbidden").finish_non_exhaustive()
    }
}

impl Outside {
    /// Where a host is; none: nowhere.
    pub(crate) async fn addresses(
        &self,
        (host, port): (&str, u16),
        listed: bool,
    ) -> Option<Addresses> {
        let is_reachable = |found: &Addresses| listed || is_reachable(found);
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = [SocketAddr::new(address, port)].into();
            return is_reachable(&address).then_some(address);
        }
        let ask = async || match tokio::net::lookup_host((host, port)).await {
            Ok(found) => Some(found.take(MAX_ADDRESSES).collect()),
            Err(error) => {
                debug!(%error, host, "a host cannot be found");
                None
            }
        };
        let found = self.once((host.into(), port), ask).await;
        found.filter(is_reachable)
    }

    /// What is known under a key, or what `ask` says where nothing is; others who want to know wait for
    /// the same answer, and ask themselves only where who asked has left.
    async fn once(
        &self,
        key: Key,
        ask: impl AsyncFnOnce() -> Option<Addresses>,
    ) -> Option<Addresses> {
        let lookup = self.lookup(key, Instant::now())?;
        let found = lookup.get_or_init(|| async move {
            let addresses = ask().await;
            let time = if addresses.is_some() { FOUND_TIME } else { MISSED_TIME };
            Found { addresses, until: Instant::now() + time }
        });
        found.await.addresses.clone()
    }

    /// The lookup of a name that counts now; none: too many are under way.
    fn lookup(&self, key: Key, now: Instant) -> Option<Lookup> {
        let counts = |lookup: &Lookup| lookup.get().is_none_or(|found| now < found.until);
        let mut known = self.known.borrow_mut();
        if let Some(lookup) = known.get(&key).filter(|lookup| counts(lookup)) {
            return Some(Rc::clone(lookup));
        }
        if known.len() >= MAX_KNOWN && !known.contains_key(&key) {
            known.retain(|_, lookup| counts(lookup));
        }
        if known.len() >= MAX_KNOWN && !known.contains_key(&key) {
            let ends = known
                .iter()
                .filter_map(|(key, lookup)| Some((lookup.get()?.until, key)));
            let next = ends.min().map(|(_, key)| key.clone())?;
            known.remove(&next);
        }
        let lookup = Lookup::default();
        known.insert(key, Rc::clone(&lookup));
        Some(lookup)
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
fn is_reachable(addresses: &Addresses) -> bool {
    let may = |address: &SocketAddr| why_not(address.ip()).is_none();
    !addresses.is_empty() && addresses.iter().all(may)
}

/// Of one host.
const MAX_ADDRESSES: usize = 8;
/// Hosts that one worker knows, or asks for.
const MAX_KNOWN: usize = 256;
const FOUND_TIME: Duration = Duration::from_secs(30);
/// So long nobody asks again where a name could not be found.
const MISSED_TIME: Duration = Duration::from_secs(2);
/// Certificates between a server's and an authority's.
const MAX_DEPTH: u8 = 6;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn key(number: usize) -> Key {
        (number.to_string().into(), 80)
    }

    fn somewhere() -> Option<Addresses> {
        Some([SocketAddr::from(([192, 0, 2, 1], 80))].into())
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_however_many_want_to_know() {
        let (outside, asked) = (Outside::default(), Cell::new(0));
        let ask = async || {
            asked.set(asked.get() + 1);
            tokio::task::yield_now().await;
            somewhere()
        };
        let (one, other) = tokio::join!(outside.once(key(1), &ask), outside.once(key(1), &ask));
        assert_eq!((one, other, asked.get()), (somewhere(), somewhere(), 1), "at the same time");
        assert_eq!(outside.once(key(1), &ask).await, somewhere());
        assert_eq!(asked.get(), 1, "and later");
        outside.once(key(2), &ask).await;
        assert_eq!(asked.get(), 2, "another name");
    }

    #[tokio::test]
    async fn who_waits_asks_where_who_asked_has_left() {
        let outside = Outside::default();
        let leaves = outside.once(key(1), async || std::future::pending().await);
        let stays = async {
            tokio::task::yield_now().await;
            outside.once(key(1), async || somewhere()).await
        };
        let leaves = tokio::time::timeout(Duration::from_millis(1), leaves);
        let (left, found) = tokio::join!(leaves, stays);
        assert!(left.is_err());
        assert_eq!(found, somewhere());
    }

    #[tokio::test]
    async fn what_is_known_has_an_end_and_a_limit() {
        let outside = Outside::default();
        assert_eq!(outside.once(key(0), async || None).await, None);
        let now = Instant::now();
        let is_new = |lookup: Option<Lookup>| lookup.unwrap().get().is_none();
        assert!(!is_new(outside.lookup(key(0), now)), "a miss is known too, for a moment");
        assert!(is_new(outside.lookup(key(0), now + MISSED_TIME)));
        for number in 0..2 * MAX_KNOWN {
            assert_eq!(outside.once(key(number), async || somewhere()).await, somewhere());
        }
        assert_eq!(outside.known.borrow().len(), MAX_KNOWN, "ingress 6.7");
        let all: Vec<_> = (0..MAX_KNOWN)
            .map(|it| outside.lookup(key(it), now + FOUND_TIME * 2))
            .collect();
        assert!(all.iter().all(Option::is_some));
        assert!(outside.lookup(key(MAX_KNOWN), now).is_none(), "all of them are asked for");
    }
}
