//! Looks up the hosts outside to which Ingresses lead, on a thread of its own (`ingress 1.5`).
//!
//! ```text
//! compile ─sought─▶ hosts ─due─▶ this host's resolver ─found─▶ hosts ─moved─▶ compile
//! ```
//!
//! [`Hosts`] decides, without I/O and clock. Invariants: no name is looked up on a thread that serves, and
//! none that nobody seeks; a host that moved makes one piece of work; one that cannot be found stays
//! where it was for [`GOOD_FOR`], and is nowhere then. Which addresses are endpoints is `compile`'s to
//! say, so that names, admin listener and settings are asked in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portico_config::model::FoundHost;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::work::Work;

/// The hosts that are sought.
pub(crate) type Sought = BTreeSet<Arc<str>>;

/// Starts the thread; it ends with `close`, or when nobody takes what it found any more.
pub(crate) fn start(
    sought: watch::Receiver<Arc<Sought>>,
    works: SyncSender<Work>,
    close: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("portico-seeker".to_owned());
    thread.spawn(move || {
        // What was found last stays: what serves is worth more than what is known of it.
        match catch_unwind(AssertUnwindSafe(|| serve(sought, &works, &close))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!("hosts outside are not looked up: {error}"),
            Err(_) => error!("hosts outside are not looked up any more: a panic ended that"),
        }
    })
}

fn serve(
    mut sought: watch::Receiver<Arc<Sought>>,
    works: &SyncSender<Work>,
    close: &CancellationToken,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_LOOK_UPS)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        tokio::select! {
            () = close.cancelled() => {}
            () = run(&mut sought, works) => {}
        }
    });
    // Not to wait for a look-up that hangs.
    runtime.shutdown_background();
    Ok(())
}

async fn run(sought: &mut watch::Receiver<Arc<Sought>>, works: &SyncSender<Work>) {
    let mut hosts = Hosts::default();
    loop {
        let wanted = Arc::clone(&sought.borrow_and_update());
        let mut asked = JoinSet::new();
        for host in hosts.due(&wanted, Instant::now()) {
            asked.spawn(async move {
                let found = look_up(&host).await;
                (host, found)
            });
        }
        let mut moved = Vec::new();
        while let Some(answered) = asked.join_next().await {
            if let Ok((host, found)) = answered {
                moved.extend(hosts.answered(&host, found, Instant::now()));
            }
        }
        if !moved.is_empty() && works.send(Work::Hosts(moved)).is_err() {
            return;
        }
        let next = async {
            match hosts.next() {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = sought.changed() => if changed.is_err() { return },
            () = next => {}
        }
    }
}

/// The addresses of a host; none: it cannot be found.
async fn look_up(host: &str) -> Option<Vec<IpAddr>> {
    let asked = tokio::net::lookup_host((host, 0));
    let found = tokio::time::timeout(LOOK_UP_TIME, asked).await.ok()?.ok()?;
    Some(found.map(|address| address.ip()).collect())
}

/// What is known of the hosts that are sought.
#[derive(Debug, Default)]
struct Hosts(BTreeMap<Arc<str>, Known>);

/// What is known of one.
#[derive(Debug)]
struct Known {
    addresses: Arc<[IpAddr]>,
    /// When it is looked up next.
    due: Instant,
    /// Until when it is taken to be where it was.
    good_until: Instant,
    /// Whether the log has heard that it cannot be found.
    told: bool,
}

impl Hosts {
    /// Those of `sought` that are to be looked up now; forgets all that are not sought any more.
    fn due(&mut self, sought: &Sought, now: Instant) -> Vec<Arc<str>> {
        self.0.retain(|host, _| sought.contains(host));
        for host in sought {
            let unknown = || Known { addresses: [].into(), due: now, good_until: now, told: false };
            self.0.entry(Arc::clone(host)).or_insert_with(unknown);
        }
        let due = self.0.iter_mut().filter(|(_, known)| known.due <= now);
        let asked = due.take(MAX_AT_ONCE).map(|(host, known)| {
            // Whatever becomes of the question, it is not asked again at once.
            known.due = now + AGAIN_AFTER;
            Arc::clone(host)
        });
        asked.collect()
    }

    /// When the next one is due.
    fn next(&self) -> Option<Instant> {
        self.0.values().map(|known| known.due).min()
    }

    /// Takes where a host was found; tells whether it moved.
    fn answered(
        &mut self,
        host: &Arc<str>,
        found: Option<Vec<IpAddr>>,
        now: Instant,
    ) -> Option<FoundHost> {
        let known = self.0.get_mut(host)?;
        let addresses = match found.filter(|found| !found.is_empty()) {
            Some(mut found) => {
                // Resolvers turn them round: the order says nothing.
                found.sort_unstable();
                found.dedup();
                found.truncate(MAX_ADDRESSES);
                (known.due, known.good_until) = (now + FOUND_FOR, now + GOOD_FOR);
                known.told = false;
                Arc::from(found)
            }
            None => {
                known.due = now + AGAIN_AFTER;
                if !std::mem::replace(&mut known.told, true) {
                    warn!(%host, "a host that an Ingress leads to cannot be found");
                }
                if now < known.good_until {
                    return None;
                }
                Arc::default()
            }
        };
        if addresses == known.addresses {
            return None;
        }
        info!(%host, ?addresses, "found where an Ingress leads");
        known.addresses = Arc::clone(&addresses);
        Some(FoundHost { host: Arc::clone(host), addresses })
    }
}

/// Threads that wait for the resolver.
const MAX_LOOK_UPS: usize = 4;
/// Hosts that are asked for together.
const MAX_AT_ONCE: usize = 64;
/// Of one host.
const MAX_ADDRESSES: usize = 8;
const LOOK_UP_TIME: Duration = Duration::from_secs(5);
/// The resolver of this host gives no time with its answers; this is one that most names have.
const FOUND_FOR: Duration = Duration::from_secs(30);
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long a host that cannot be found is taken to be where it was.
const GOOD_FOR: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Option<Vec<IpAddr>> {
        Some(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_host_is_looked_up_again_and_told_of_where_it_moved() {
        let (mut hosts, now) = (Hosts::default(), Instant::now());
        let host: Arc<str> = "a.test".into();
        let sought = Sought::from([Arc::clone(&host)]);
        let mut step = |at, found: Option<Vec<IpAddr>>| {
            let now = now + seconds(at);
            let asked = hosts.due(&sought, now);
            assert_eq!(asked, [Arc::clone(&host)], "due after {at} s");
            assert_eq!(hosts.due(&sought, now), [], "asked once");
            let moved = hosts.answered(&host, found, now);
            let next = hosts.next().unwrap().duration_since(now);
            (moved.map(|moved| moved.addresses.len()), next)
        };
        for (case, at, found, want) in [
            ("not there yet", 0, None, (None, 5)),
            ("found", 5, addresses(&["192.0.2.2", "192.0.2.1", "192.0.2.2"]), (Some(2), 30)),
            ("turned round", 35, addresses(&["192.0.2.1", "192.0.2.2"]), (None, 30)),
            ("lost: it is where it was", 65, None, (None, 5)),
            ("for a while", 334, None, (None, 5)),
            ("and then nowhere", 340, None, (Some(0), 5)),
            ("nothing new", 345, Some(Vec::new()), (None, 5)),
            ("elsewhere", 350, addresses(&["2001:db8::1"]), (Some(1), 30)),
        ] {
            let (moved, next) = step(at, found);
            assert_eq!((moved, next.as_secs()), want, "ingress 1.5: {case}");
        }
    }

    #[test]
    fn nobody_is_looked_up_who_is_not_sought_and_not_all_at_once() {
        let (mut hosts, now) = (Hosts::default(), Instant::now());
        let many: Sought = (0..MAX_AT_ONCE + 1)
            .map(|n| format!("{n}.test").into())
            .collect();
        assert_eq!(hosts.due(&many, now).len(), MAX_AT_ONCE);
        assert_eq!(hosts.due(&many, now).len(), 1, "the rest is next");
        assert_eq!(hosts.next(), Some(now + AGAIN_AFTER));
        assert!(hosts.due(&Sought::new(), now).is_empty() && hosts.next().is_none());
        let gone: Arc<str> = "0.test".into();
        assert_eq!(hosts.answered(&gone, addresses(&["192.0.2.1"]), now), None);
        let all: Vec<IpAddr> = (0..20).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        hosts.due(&Sought::from([Arc::clone(&gone)]), now);
        let found = hosts.answered(&gone, Some(all), now).unwrap();
        assert_eq!(found.addresses.len(), MAX_ADDRESSES);
    }
}
