//! What to open, to close and to hand over, from the fronts before and the fronts wanted.
//!
//! Pure: a walk over two sorted lists. SCTP has no front.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::sync::Arc;

use portico_config::model::Protocol;
use portico_config::snapshot::{Front, FrontKind, HealthCheck};

/// What is listened on; at most one listener each.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) role: Role,
    pub(crate) address: SocketAddr,
}

impl Key {
    /// What its sockets speak.
    pub(crate) fn protocol(self) -> Protocol {
        match self.role {
            Role::Http | Role::Https | Role::HealthCheck => Protocol::Tcp,
            Role::Front(protocol) => protocol,
        }
    }
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Role {
    Http,
    Https,
    HealthCheck,
    Front(Protocol),
}

/// A listener that should be there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    /// As users read it: `http`, `ClusterIP`.
    pub(crate) label: &'static str,
    /// Where its connections go, if that has a name.
    pub(crate) serves: Option<Arc<str>>,
}

impl Wanted {
    fn front(front: &Front) -> Self {
        Self {
            key: Key { role: Role::Front(front.protocol), address: front.address },
            label: FrontKind::label(front.kind),
            serves: Some(front.port.to_string().into()),
        }
    }
}

impl From<&HealthCheck> for Wanted {
    fn from(check: &HealthCheck) -> Self {
        Self {
            key: Key { role: Role::HealthCheck, address: check.address },
            label: "healthCheck",
            serves: Some(check.service.to_string().into()),
        }
    }
}

/// The way from the listeners before to those wanted.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Plan {
    pub(crate) open: Vec<Wanted>,
    pub(crate) close: Vec<Key>,
    /// Those that stay open and lead elsewhere or are called otherwise now.
    pub(crate) hand_over: Vec<Wanted>,
}

/// The plan for fronts; both lists are sorted by address and protocol, as a snapshot's are.
pub(crate) fn plan(before: &[Front], wanted: &[Front]) -> Plan {
    let (mut old, mut new) = (before.iter().peekable(), wanted.iter().peekable());
    let mut plan = Plan::default();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return plan,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => (old.address, old.protocol).cmp(&(new.address, new.protocol)),
        };
        let left = if order.is_le() { old.next() } else { None };
        let came = if order.is_ge() { new.next() } else { None };
        match (left, came) {
            (None, None) => {}
            (None, Some(new)) => plan.open.push(Wanted::front(new)),
            (Some(old), None) => plan.close.push(Wanted::front(old).key),
            (Some(old), Some(new)) => {
                let same_port = Arc::ptr_eq(&old.port, &new.port) || old.port == new.port;
                if !same_port || old.kind != new.kind {
                    plan.hand_over.push(Wanted::front(new));
                }
            }
        }
    }
}

/// Adds the health checks to a plan; there are few.
pub(crate) fn add_checks(plan: &mut Plan, before: &[HealthCheck], wanted: &[HealthCheck]) {
    let at = |checks: &[HealthCheck], address| -> Option<HealthCheck> {
        let found = checks.binary_search_by_key(&address, |check| check.address);
        found.ok().and_then(|index| checks.get(index)).cloned()
    };
    for check in wanted {
        match at(before, check.address) {
            None => plan.open.push(check.into()),
            Some(old) if old.service != check.service => plan.hand_over.push(check.into()),
            Some(_) => {}
        }
    }
    let left = before
        .iter()
        .filter(|check| at(wanted, check.address).is_none());
    plan.close.extend(left.map(|check| Wanted::from(check).key));
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_config::model::ObjectName;
    use portico_config::snapshot::PortId;

    #[test]
    fn health_checks_come_stay_and_leave() {
        let check = |port: u16, service: &str| HealthCheck {
            address: ([127, 0, 0, 1], port).into(),
            service: ObjectName::new("default", service),
            ports: Vec::new(),
        };
        let mut plan = Plan::default();
        let before = [check(1, "a"), check(2, "b"), check(3, "c")];
        add_checks(&mut plan, &before, &[check(2, "b"), check(3, "x"), check(4, "d")]);
        let ports = |wanted: &[Wanted]| -> Vec<u16> {
            wanted.iter().map(|it| it.key.address.port()).collect()
        };
        assert_eq!((ports(&plan.open), ports(&plan.hand_over)), (vec![4], vec![3]));
        let closed: Vec<_> = plan.close.iter().map(|key| key.address.port()).collect();
        assert_eq!(closed, [1]);
    }

    fn fronts(text: &str) -> Vec<Front> {
        let front = |word: &str| {
            let (port, service) = word.split_once('=').unwrap();
            let (port, protocol) = match port.strip_suffix('u') {
                Some(port) => (port, Protocol::Udp),
                None => (port, Protocol::Tcp),
            };
            let name = ObjectName::new("default", service);
            Front {
                address: ([127, 0, 0, 1], port.parse().unwrap()).into(),
                protocol,
                kind: FrontKind::ClusterIp,
                port: Arc::new(PortId { service: name, name: "".into(), protocol }),
            }
        };
        text.split_whitespace().map(front).collect()
    }

    #[test]
    fn what_stays_is_neither_opened_nor_closed() {
        for (case, before, wanted, want) in [
            ("first", "", "1=a 2=b", "+1 +2"),
            ("one comes, one leaves", "1=a 2=b", "2=b 3=c", "-1 +3"),
            ("nothing", "1=a", "1=a", ""),
            ("last", "1=a", "", "-1"),
            ("another Service takes it", "1=a 2=b", "1=b 2=b", "~1"),
            ("UDP beside TCP", "1=a 1u=a", "1u=a", "-1"),
            ("UDP comes and leaves", "1u=a 2=b", "1=c 2=b 3u=d", "+1 -1u +3u"),
            ("another Service takes UDP", "1=a 1u=a", "1=a 1u=b", "~1u"),
        ] {
            let plan = plan(&fronts(before), &fronts(wanted));
            let mut found: Vec<(Key, char)> = Vec::new();
            found.extend(plan.open.iter().map(|it| (it.key, '+')));
            found.extend(plan.close.iter().map(|key| (*key, '-')));
            found.extend(plan.hand_over.iter().map(|it| (it.key, '~')));
            found.sort_unstable_by_key(|(key, _)| (key.address, key.role));
            let show = |(key, change): &(Key, char)| {
                let udp = if key.role == Role::Front(Protocol::Udp) { "u" } else { "" };
                format!("{change}{}{udp}", key.address.port())
            };
            let found: Vec<String> = found.iter().map(show).collect();
            assert_eq!(found.join(" "), want, "{case}");
        }
    }
}
