//! Endpoints that are out, until their time is over: what the log hears of who comes back.
//!
//! Whoever puts one out adds to the list, which is rare; the control side looks through it now and
//! then. Invariants: at most [`MOST`] are remembered, the return of one more is not told; one that
//! nobody names any more is forgotten in silence; no endpoint lives longer for being here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use portico_config::snapshot::PortId;

use super::endpoint::EndpointState;

/// The endpoints that are out.
#[derive(Debug, Default)]
pub(crate) struct Outs(Mutex<Vec<Out>>);

/// One endpoint that was put out.
#[derive(Debug)]
pub(crate) struct Out {
    /// Which.
    pub(crate) endpoint: SocketAddr,
    /// Whose flow saw its last failure.
    pub(crate) port: Arc<PortId>,
    state: Weak<EndpointState>,
    until: Instant,
}

impl Out {
    /// `endpoint`, out until then.
    pub(super) fn new(
        (endpoint, state): (SocketAddr, &Arc<EndpointState>),
        port: &Arc<PortId>,
        until: Instant,
    ) -> Self {
        Self { endpoint, port: Arc::clone(port), state: Arc::downgrade(state), until }
    }
}

impl Outs {
    /// Remembers one.
    pub(super) fn put(&self, out: Out) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST {
            all.push(out);
        }
    }

    /// Forgets those whose time is over, and gives the ones of them that somebody still names.
    pub(crate) fn take_returned(&self, now: Instant) -> Vec<Out> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let returned = all.extract_if(.., |out| out.until <= now);
        returned
            .filter(|out| out.state.strong_count() > 0)
            .collect()
    }
}

const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portico_config::model::{ObjectName, Protocol};

    use super::*;

    #[test]
    fn who_comes_back_is_told_once_when_its_time_is_over_and_while_it_is_named() {
        let now = Instant::now();
        let service = ObjectName::new("default", "web");
        let port = Arc::new(PortId { service, name: "".into(), protocol: Protocol::Tcp });
        let outs = Outs::default();
        let states = [(); 3].map(|()| Arc::new(EndpointState::new(now)));
        for (number, state) in (1..).zip(&states) {
            let until = now + Duration::from_secs(10 * u64::from(number));
            outs.put(Out::new((([10, 0, 0, number], 80).into(), state), &port, until));
        }
        let [_first, second, _third] = states;
        drop(second);
        for (seconds, want) in
            [(9, &[][..]), (10, &["10.0.0.1:80"]), (11, &[]), (30, &["10.0.0.3:80"])]
        {
            let returned = outs.take_returned(now + Duration::from_secs(seconds));
            let returned: Vec<_> = returned.iter().map(|it| it.endpoint.to_string()).collect();
            assert_eq!(returned, want, "after {seconds} s");
        }
    }
}
