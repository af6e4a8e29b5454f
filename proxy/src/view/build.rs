//! The next view from the one before: work for what changed, sharing of what did not.
//!
//! ```text
//! diff::services ─▶ ports (new Arc only where the ServicePort is another)
//! fronts, routes ─▶ the same Arc while snapshot and slots are the same
//! another node or zone ─▶ every port anew: sets are made as this host sees them
//! ```
//!
//! Invariants: the view is the one that a build from nothing would give, but for the order of
//! slots; a port that stays keeps its slot and its living state; a build that ends in a panic
//! leaves the next one to begin from nothing, with living state as it was.

use std::sync::Arc;

use portico_config::model::{AuthPlace, Balancing, Policy, Protocol};
use portico_config::snapshot::diff::{self, Change};
use portico_config::snapshot::{self, Backend, Place, PortId, RouteTable, ServicePort, Snapshot};

use super::{
    Canary, Checks, FastMap, Fronts, Host, Limiters, Location, Routes, Rule, Services, Slot,
    Target, View, rule,
};
use crate::ledger::{self, Ledgers};
use crate::upstream::{AffinityTable, Outs, Port, Registry, SessionKey};

/// Builds views, each from the one that it built before.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    base: Option<Base>,
    registry: Registry,
    ledgers: Ledgers,
}

/// What the last build came from and came to.
#[derive(Debug, Default)]
struct Base {
    snapshot: Arc<Snapshot>,
    view: Arc<View>,
    slots: Slots,
}

impl Builder {
    /// Nothing built yet; `counts_endpoints`: whether each endpoint is to have counters of its own.
    pub(crate) fn new(counts_endpoints: bool, session_key: SessionKey, ledgers: Ledgers) -> Self {
        Self { base: None, registry: Registry::new(counts_endpoints, session_key), ledgers }
    }

    /// Joins `snapshot` with living state, and lets state go that it no longer names.
    pub(crate) fn next(&mut self, snapshot: &Arc<Snapshot>) -> Arc<View> {
        // Taken out, and put back when all is done: a panic in between leaves nothing half done.
        let is_first = self.base.is_none();
        let mut base = self.base.take().unwrap_or_default();
        let mut ports = Vec::from(&*base.view.ports);
        let mut moved = is_first;
        let here = match Arc::ptr_eq(&base.snapshot.cluster, &snapshot.cluster) {
            true => Arc::clone(&base.view.here),
            false => Arc::new(snapshot.cluster.here()),
        };
        let mut apply = |change| self.apply(change, &here, &mut base.slots, &mut ports);
        for change in diff::services(&base.snapshot, snapshot) {
            moved |= apply(of_service(change));
        }
        if !Arc::ptr_eq(&base.snapshot.routes, &snapshot.routes) {
            let [before, after] = [&base.snapshot, snapshot].map(|it| outside(&it.routes));
            moved |= apply((&before, &after));
        }
        let sees_the_same = |place: &Place| (&place.node, &place.zone) == (&here.node, &here.zone);
        if !sees_the_same(&base.view.here) {
            self.see_anew(snapshot, &here, &base.slots, &mut ports);
        }
        let (before, old) = (&base.view, &base.snapshot);
        let slots = &base.slots;
        let fronts = match !moved && Arc::ptr_eq(&old.fronts, &snapshot.fronts) {
            true => Arc::clone(&before.fronts),
            false => Arc::new(fronts(snapshot, slots)),
        };
        let checks = match !moved && Arc::ptr_eq(&old.health_checks, &snapshot.health_checks) {
            true => Arc::clone(&before.checks),
            false => Arc::new(checks(snapshot, slots)),
        };
        let routes = match !moved && Arc::ptr_eq(&old.routes, &snapshot.routes) {
            true => Arc::clone(&before.routes),
            false => {
                // A rule that had no room for a ledger may have it now.
                let was_full = self.ledgers.is_full();
                self.ledgers.renew(rule::subjects(&snapshot.routes));
                let kept = (!moved && !was_full).then_some((&*old.routes, &*before.routes));
                Arc::new(routes(&snapshot.routes, kept, (slots, &self.ledgers)))
            }
        };
        let limiters = match !is_first && Arc::ptr_eq(&old.routes, &snapshot.routes) {
            true => Arc::clone(&before.limiters),
            false => Arc::new(limiters(&snapshot.routes, &before.limiters)),
        };
        let services = match !moved && Arc::ptr_eq(&old.routes, &snapshot.routes) {
            true => Arc::clone(&before.services),
            false => Arc::new(services(snapshot, slots)),
        };
        let certificates = Arc::clone(&snapshot.certificates);
        let view = Arc::new(View {
            ports: ports.into(),
            fronts,
            checks,
            cluster: Arc::clone(&snapshot.cluster),
            here,
            tcp: Arc::clone(&snapshot.tcp),
            routes,
            limiters,
            services,
            certificates,
        });
        if moved {
            self.registry.retain(|id| base.slots.by_id.contains_key(id));
        }
        base.snapshot = Arc::clone(snapshot);
        base.view = Arc::clone(&view);
        self.base = Some(base);
        view
    }

    /// Puts the ports of one Service, or all of hosts outside, in their slots, in place of those before;
    /// says whether a port came or left.
    fn apply(
        &mut self,
        (before, after): (&[Arc<ServicePort>], &[Arc<ServicePort>]),
        here: &Place,
        slots: &mut Slots,
        ports: &mut Vec<Option<Arc<Port>>>,
    ) -> bool {
        let mut moved = false;
        for port in before {
            if !after.iter().any(|stays| stays.id == port.id)
                && let Some(slot) = slots.remove(&port.id)
            {
                ports[slot.0] = None;
                moved = true;
            }
        }
        for port in after {
            if before.iter().any(|stays| Arc::ptr_eq(stays, port)) {
                continue;
            }
            let slot = slots.find(&port.id).unwrap_or_else(|| {
                moved = true;
                slots.add(&port.id, ports)
            });
            self.renew(&mut ports[slot.0], port, here);
        }
        moved
    }

    /// Makes every port once more, as another place sees it.
    fn see_anew(
        &mut self,
        snapshot: &Snapshot,
        here: &Place,
        slots: &Slots,
        ports: &mut [Option<Arc<Port>>],
    ) {
        let services = snapshot.services.values();
        let of_services = services.flat_map(|service| &service.ports);
        let outside = snapshot.routes.outside.iter().map(|outside| &outside.port);
        for port in of_services.chain(outside) {
            if let Some(slot) = slots.find(&port.id) {
                self.renew(&mut ports[slot.0], port, here);
            }
        }
    }

    /// Puts a port where another, or the one before, was.
    fn renew(&mut self, place: &mut Option<Arc<Port>>, port: &Arc<ServicePort>, here: &Place) {
        let before = place.take();
        let next = Port::new(port, here, &mut self.registry, before.as_deref());
        *place = Some(Arc::new(next));
    }

    /// What the requests of rules without a ledger of their own come to.
    pub(crate) fn shared_ledger(&self) -> &ledger::Shared {
        self.ledgers.shared()
    }

    /// The list of endpoints that are out.
    pub(crate) fn outs(&self) -> &Arc<Outs> {
        self.registry.outs()
    }

    /// The table of clients that return.
    pub(crate) fn affinity(&self) -> &Arc<AffinityTable> {
        self.registry.affinity()
    }
}

/// The ports of a Service before a change and after it.
fn of_service(change: Change<'_>) -> (&[Arc<ServicePort>], &[Arc<ServicePort>]) {
    match change {
        Change::Added(service) => (&[], &service.ports),
        Change::Removed(service) => (&service.ports, &[]),
        Change::Changed(before, after) => (&before.ports, &after.ports),
    }
}

/// The ports of hosts outside.
fn outside(routes: &RouteTable) -> Vec<Arc<ServicePort>> {
    let ports = routes.outside.iter();
    ports.map(|outside| Arc::clone(&outside.port)).collect()
}

/// Which ServicePort has which slot. Slots of those that left are given out again, so there are
/// never more than ServicePorts at one time.
#[derive(Debug, Default)]
struct Slots {
    by_id: FastMap<Arc<PortId>, Slot>,
    free: Vec<Slot>,
}

impl Slots {
    fn find(&self, id: &PortId) -> Option<Slot> {
        self.by_id.get(id).copied()
    }

    /// A slot in `ports`, the list that these slots are of.
    fn add(&mut self, id: &Arc<PortId>, ports: &mut Vec<Option<Arc<Port>>>) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            ports.push(None);
            Slot(ports.len() - 1)
        });
        self.by_id.insert(Arc::clone(id), slot);
        slot
    }

    fn remove(&mut self, id: &PortId) -> Option<Slot> {
        let slot = self.by_id.remove(id)?;
        self.free.push(slot);
        Some(slot)
    }

    fn target(&self, backend: &Backend) -> Target<Slot> {
        match backend {
            Backend::Service(port) => self.find(port).map_or(Target::Missing, Target::Port),
            Backend::Missing(_) => Target::Missing,
            Backend::Resource => Target::Resource,
        }
    }
}

fn fronts(snapshot: &Snapshot, slots: &Slots) -> Fronts {
    let fronts = snapshot.fronts.iter();
    fronts
        .filter_map(|front| {
            Some(((front.address, front.protocol), (slots.find(&front.port)?, front.kind)))
        })
        .collect()
}

fn checks(snapshot: &Snapshot, slots: &Slots) -> Checks {
    let checks = snapshot.health_checks.iter().map(|check| {
        let ports = check.ports.iter().filter_map(|id| slots.find(id));
        (check.address, (check.service.clone(), ports.collect()))
    });
    checks.collect()
}

/// Where the ports are, and what requests come to.
type With<'a> = (&'a Slots, &'a Ledgers);

/// `kept`: the table before and what it became, where no slot moved since.
fn routes(table: &RouteTable, kept: Option<(&RouteTable, &Routes)>, with: With<'_>) -> Routes {
    type Hosts<H> = FastMap<Arc<str>, Arc<H>>;
    let all = |hosts: &Hosts<snapshot::Host>,
               kept: Option<(&Hosts<snapshot::Host>, &Hosts<Host>)>| {
        let same = |name: &Arc<str>, host: &Arc<snapshot::Host>| {
            let (old, built) = kept?;
            let stays = old.get(name).is_some_and(|old| Arc::ptr_eq(old, host));
            built.get(name).filter(|_| stays).map(Arc::clone)
        };
        hosts
            .iter()
            .map(|(name, host)| {
                let built = same(name, host).unwrap_or_else(|| Arc::new(self::host(host, with)));
                (Arc::clone(name), built)
            })
            .collect()
    };
    Routes {
        exact: all(&table.exact, kept.map(|(old, built)| (&old.exact, &built.exact))),
        wildcard: all(&table.wildcard, kept.map(|(old, built)| (&old.wildcard, &built.wildcard))),
        any: table.any.as_ref().map(|any| Arc::new(host(any, with))),
        asks_of_tls: asks_of_tls(table),
    }
}

fn host(host: &snapshot::Host, (slots, ledgers): With<'_>) -> Host {
    let canary = |location: &snapshot::Location, canary: &Arc<snapshot::Canary>| {
        let target = slots.target(&canary.backend);
        let rule = Rule::of_canary(host, location, canary, ledgers);
        Box::new(Canary { of: Arc::clone(canary), target, rule })
    };
    let location = |location: &snapshot::Location| Location {
        kind: location.kind,
        path: Arc::clone(&location.path),
        target: slots.target(&location.backend),
        // A policy that asks nothing is there all the same where an alternative asks something.
        policy: asking(&location.policy).or_else(|| {
            let canary = location.canary.as_ref()?;
            let asks = canary.balancing != Balancing::default();
            asks.then(|| Arc::clone(&location.policy))
        }),
        canary: location.canary.as_ref().map(|it| canary(location, it)),
        rule: Rule::of(host, location, ledgers),
    };
    Host {
        locations: host.locations.iter().map(location).collect(),
        default_target: host.default_backend.as_ref().map(|it| slots.target(it)),
        default_policy: asking(&host.default_policy),
        clients: host.clients.clone(),
        suites: host.suites.clone(),
        passed_to: host.passed_to.as_ref().map(|it| slots.target(it)),
        default_rule: Rule::rest(host, ledgers),
    }
}

fn asks_of_tls(table: &RouteTable) -> bool {
    let mut hosts = table
        .exact
        .values()
        .chain(table.wildcard.values())
        .chain(&table.any);
    hosts.any(|host| host.clients.is_some() || host.suites.is_some() || host.passed_to.is_some())
}

/// One limiter for each Ingress with limits: the one `before`, if it had any.
fn limiters(table: &RouteTable, before: &Limiters) -> Limiters {
    let mut limiters = Limiters::default();
    for limits in policies(table).filter_map(|policy| policy.limits.as_ref()) {
        let kept = || {
            before
                .get(&limits.ingress)
                .map(Arc::clone)
                .unwrap_or_default()
        };
        limiters.entry(limits.ingress.clone()).or_insert_with(kept);
    }
    limiters
}

/// The slots of the Services' ports that policies name; those that do not exist have none.
fn services(snapshot: &Snapshot, slots: &Slots) -> Services {
    let asked = policies(&snapshot.routes).flat_map(|policy| {
        let external = policy.external.as_ref().map(|external| &external.place);
        let mirror = policy.mirror.as_ref().map(|mirror| &mirror.place);
        let places = external.into_iter().chain(mirror);
        let services = places.filter_map(|place| match place {
            AuthPlace::Service(address) => Some(address),
            AuthPlace::Host(..) | AuthPlace::OwnHost => None,
        });
        let pages = policy.error_pages.as_ref().map(|pages| &pages.backend);
        services.chain(pages)
    });
    let found = asked.filter_map(|address| {
        let service = snapshot.services.get(&address.service)?;
        let is_it = |port: &&Arc<ServicePort>| {
            port.port == address.port && port.id.protocol == Protocol::Tcp
        };
        let port = service.ports.iter().find(is_it)?;
        Some((address.clone(), slots.find(&port.id)?))
    });
    found.collect()
}

/// What is asked anywhere.
fn policies(table: &RouteTable) -> impl Iterator<Item = &Arc<Policy>> {
    let hosts = table.exact.values().chain(table.wildcard.values());
    hosts.chain(&table.any).flat_map(|host| {
        let policies = host.locations.iter().map(|location| &location.policy);
        policies.chain([&host.default_policy])
    })
}

/// A policy that asks something: most ask nothing, and cost nothing. Whether requests are logged is
/// the rule's.
fn asking(policy: &Arc<Policy>) -> Option<Arc<Policy>> {
    let nothing = Policy { unlogged: policy.unlogged, ..Policy::default() };
    (**policy != nothing).then(|| Arc::clone(policy))
}
