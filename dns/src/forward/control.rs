//! The control side of forwarding: settings and the host's file to routes, and nothing of queries.
//!
//! The host's file is read again every [`LOOK_AGAIN`]: a VPN that comes or goes rewrites it. With
//! other upstreams everything that was kept is forgotten, since it may have been another's word.
//! Invariants: our own listeners are never upstreams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_config::model::{ForwardRule, Forwarding, UpstreamAddress, UpstreamTransport};
use portico_net::tls_dial::{ClientTls, host_roots};
use tracing::{info, warn};

use super::Shared;
use super::host::Files;
use super::routes::{Routes, Rule};
use crate::cache::Keep;
use crate::wire::wire;

/// What forwarding follows.
#[derive(Debug)]
pub(crate) struct Control {
    shared: Arc<Shared>,
    settings: Forwarding,
    files: Files,
    /// Our own listeners, once they are open.
    listen: Option<Vec<SocketAddr>>,
    /// What the routes were made from.
    rules: Vec<Rule>,
    look_again: Option<Instant>,
}

impl Control {
    /// Nobody is asked before [`Control::listening`].
    pub(crate) fn new(shared: Arc<Shared>, settings: Forwarding) -> Self {
        let files = Files::default();
        Self { shared, settings, files, listen: None, rules: Vec::new(), look_again: None }
    }

    /// Takes other settings.
    pub(crate) fn follow(&mut self, settings: &Forwarding, now: Instant) {
        if self.settings == *settings {
            return;
        }
        self.settings = settings.clone();
        self.apply(now, true);
    }

    /// Takes the addresses of our own listeners, and begins.
    pub(crate) fn listening(&mut self, listen: Vec<SocketAddr>, now: Instant) {
        if self.listen.as_ref() != Some(&listen) {
            self.listen = Some(listen);
            self.apply(now, true);
        }
    }

    /// Looks at the host's file where that is due.
    pub(crate) fn retry(&mut self, now: Instant) {
        if self.look_again.is_some_and(|due| due <= now) {
            self.apply(now, false);
        }
    }

    fn apply(&mut self, now: Instant, is_new: bool) {
        let Some(listen) = &self.listen else { return };
        let follows_host = self.settings.rules.contains(&ForwardRule::System);
        self.look_again = follows_host.then_some(now + LOOK_AGAIN);
        let rules = self.rules(listen);
        let is_other = rules != self.rules;
        if !is_other && !is_new {
            return;
        }
        let uses_tls = |rule: &Rule| rule.upstream.transport == UpstreamTransport::Tls;
        if rules.iter().any(uses_tls) && self.shared.tls.get().is_none() {
            match ClientTls::new(host_roots(), &[b"dot"]) {
                // Only this side does it.
                Ok(tls) => _ = self.shared.trust(tls),
                Err(error) => warn!(%error, "upstreams over TLS cannot be asked"),
            }
        }
        let bytes = usize::try_from(self.settings.cache_bytes).unwrap_or(usize::MAX);
        let keep =
            Keep { bytes, stale: self.settings.serve_stale, prefetch: self.settings.prefetch };
        let metrics = &self.shared.metrics;
        let before = self.shared.routes.load_full();
        let routes = Routes::new(&rules, &self.settings, keep, &before, metrics);
        let routes = Arc::new(routes);
        self.shared.routes.store(Arc::clone(&routes));
        if is_other {
            self.shared.cache.clear();
            // Where nobody listens, nobody asks: `--dns off`.
            if !listen.is_empty() {
                tell(&rules);
            }
        }
        self.rules = rules;
        for upstream in before.upstreams() {
            if !routes.upstreams().any(|it| it.address == upstream.address) {
                upstream.gone.cancel();
                let (to, protocol) = upstream.label();
                metrics.forget(&to, protocol);
            }
        }
    }

    fn rules(&self, listen: &[SocketAddr]) -> Vec<Rule> {
        let mut rules = Vec::new();
        for rule in &self.settings.rules {
            match rule {
                ForwardRule::System => {
                    let host = self.files.resolvers();
                    let to_rule = |address| {
                        let upstream = UpstreamAddress::datagrams(address);
                        Rule { view: None, suffix: vec![0], upstream }
                    };
                    rules.extend(host.into_iter().map(to_rule));
                }
                ForwardRule::Upstream { view, suffix, upstream } => {
                    let (view, upstream) = (*view, upstream.clone());
                    // Settings take no suffix that is too long.
                    rules.extend(wire(suffix).map(|suffix| Rule { view, suffix, upstream }));
                }
            }
        }
        rules.retain(|Rule { upstream, .. }| {
            let is_own = is_own(upstream.address, listen);
            if is_own {
                warn!(%upstream, "this upstream is portico itself and is not asked");
            }
            !is_own
        });
        rules
    }
}

/// Whether `address` is one of our listeners.
fn is_own(address: SocketAddr, listen: &[SocketAddr]) -> bool {
    listen.iter().any(|own| {
        let same_place = own.ip() == address.ip();
        let anywhere = own.ip().is_unspecified() && address.ip().is_loopback();
        own.port() == address.port() && (same_place || anywhere)
    })
}

fn tell(rules: &[Rule]) {
    let upstreams: Vec<_> = rules.iter().map(|rule| rule.upstream.to_string()).collect();
    if upstreams.is_empty() {
        info!("names elsewhere are not forwarded");
    } else {
        info!(upstreams = upstreams.join(" "), "names elsewhere are forwarded");
    }
}

/// How often the host's file is read again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::OpenTo;

    #[test]
    fn our_own_listeners_are_never_asked() {
        for (address, listen, want) in [
            ("127.0.0.1:53", &["127.0.0.1:53"][..], true),
            ("127.0.0.1:53", &["127.0.0.1:1053"], false),
            ("127.0.0.2:53", &["127.0.0.1:53"], false),
            ("127.0.0.2:53", &["0.0.0.0:53"], true),
            ("192.0.2.1:53", &["0.0.0.0:53"], false),
            ("[::1]:53", &["127.0.0.1:53", "[::]:53"], true),
            ("127.0.0.1:53", &[], false),
        ] {
            let listen: Vec<_> = listen.iter().map(|it| it.parse().unwrap()).collect();
            assert_eq!(is_own(address.parse().unwrap(), &listen), want, "{address} {listen:?}");
        }
    }

    #[test]
    fn routes_follow_settings_and_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = Files { main: path("main"), behind_stub: path("behind") };
        std::fs::write(&files.main, "nameserver 192.0.2.1\nnameserver 127.0.0.1\n").unwrap();
        let shared = Shared::new();
        let settings = Forwarding::default();
        let mut control = Control { files, ..Control::new(Arc::clone(&shared), settings) };
        let asked = || {
            let routes = shared.routes.load();
            routes
                .upstreams()
                .map(|it| it.address.to_string())
                .collect::<Vec<_>>()
        };
        let now = Instant::now();
        control.retry(now);
        assert_eq!(shared.open(), OpenTo::Nobody, "nobody is asked before the listeners are known");
        control.listening(vec!["127.0.0.1:53".parse().unwrap()], now);
        assert_eq!(asked(), ["192.0.2.1:53"], "and never portico itself");
        let upstream = Arc::clone(shared.routes.load().upstreams().next().unwrap());

        std::fs::write(&control.files.main, "nameserver 192.0.2.2\n").unwrap();
        control.retry(now + Duration::from_secs(1));
        assert_eq!(asked(), ["192.0.2.1:53"], "not due");
        control.retry(now + LOOK_AGAIN);
        assert_eq!(asked(), ["192.0.2.2:53"]);
        assert!(upstream.gone.is_cancelled());

        let rules = vec!["corp=192.0.2.3".parse().unwrap(), "tcp://192.0.2.4".parse().unwrap()];
        control.follow(&Forwarding { rules, ..Forwarding::default() }, now);
        assert_eq!(asked(), ["192.0.2.3:53", "tcp://192.0.2.4:53"]);
        control.follow(&Forwarding::off(), now);
        assert_eq!(shared.open(), OpenTo::Nobody);
    }
}
