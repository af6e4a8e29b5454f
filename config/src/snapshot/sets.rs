//! The two sets of a ServicePort among which flows choose (`services 4.1`): all of the cluster's
//! endpoints as far as hints leave them, and those of one node.
//!
//! ```text
//! endpoints of the family ─▶ ready ─▶ hints of the node, else of the zone ─▶ cluster set
//!                              └────▶ on this node                        ─▶ local set
//! serving ∧ terminating: the last resort of each set by itself, without hints
//! ```
//!
//! Invariants: pure; depends on the endpoints and the place, never on a flow, so a view computes it
//! once. Which set a flow chooses from is `decide`'s to say.

use crate::model::IpFamily;
use crate::snapshot::{Endpoint, Place, ServicePort};

/// The sets of one ServicePort for fronts of one family, at one place; endpoints by their index.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sets {
    /// Endpoints anywhere: the ready ones that hints leave, else the last resort.
    pub cluster: Vec<usize>,
    /// Endpoints on this node: the ready ones whatever hints say, else the last resort.
    pub local: Vec<usize>,
    /// Whether any node has an endpoint that could be used: without one, flows are rejected.
    pub has_any: bool,
    /// What the hints for nodes come to.
    pub node_hints: Hinting,
    /// What the hints for zones come to.
    pub zone_hints: Hinting,
}

/// One of the two sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetKind {
    /// [`Sets::cluster`].
    Cluster,
    /// [`Sets::local`].
    Local,
}

/// What the hints of one level come to, over the ready endpoints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Hinting {
    /// There is none.
    #[default]
    Absent,
    /// This ready endpoint has none, which switches the level off for all.
    Missing(usize),
    /// This node has no name, or no zone: no hint can name it.
    Nameless,
    /// Every ready endpoint has one, and none names this node, or its zone.
    Elsewhere,
    /// Only endpoints that are hinted here are used.
    Used,
}

/// Why an endpoint is not in a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exclusion {
    /// It is of the family that the front does not lead to.
    Family,
    /// It is not ready, and not on its way out either.
    NotReady,
    /// It terminates and no longer serves.
    Gone,
    /// It terminates, and others of the set are ready.
    Terminating,
    /// It is on another node, or on none.
    NotLocal,
    /// Its hints name other nodes.
    NodeHints,
    /// Its hints name other zones.
    ZoneHints,
    /// It is in the set, and the flow is refused for another reason.
    Refused,
}

impl ServicePort {
    /// The sets for fronts of a family at a place.
    pub fn sets(&self, family: IpFamily, place: &Place) -> Sets {
        let family = self.traffic.endpoint_family(family);
        let mine = |endpoint: &Endpoint| family.is_none_or(|it| endpoint.family() == it);
        let ready = |endpoint: &Endpoint| mine(endpoint) && endpoint.ready;
        let last = |endpoint: &Endpoint| mine(endpoint) && endpoint.is_last_resort();
        let node_hints =
            self.hinting(ready, place.node.as_deref(), |endpoint| endpoint.hinted_nodes());
        let zone_hints =
            self.hinting(ready, place.zone.as_deref(), |endpoint| endpoint.hinted_zones());
        let mut sets = Sets { node_hints, zone_hints, ..Sets::default() };
        let hinted = |endpoint: &Endpoint| sets.excluding_hints(endpoint, place).is_none();
        let cluster = self.indices(|it| ready(it) && hinted(it), last);
        let local =
            self.indices(|it| ready(it) && it.is_on(place), |it| last(it) && it.is_on(place));
        sets.has_any = !cluster.is_empty();
        (sets.cluster, sets.local) = (cluster, local);
        sets
    }

    /// Endpoints of the first kind, else of the second.
    fn indices(
        &self,
        first: impl Fn(&Endpoint) -> bool,
        second: impl Fn(&Endpoint) -> bool,
    ) -> Vec<usize> {
        let all = |is: &dyn Fn(&Endpoint) -> bool| -> Vec<usize> {
            let found = self.endpoints.iter().enumerate();
            found.filter(|(_, it)| is(it)).map(|(at, _)| at).collect()
        };
        let found = all(&first);
        if found.is_empty() { all(&second) } else { found }
    }

    fn hinting<'a>(
        &'a self,
        ready: impl Fn(&Endpoint) -> bool,
        here: Option<&str>,
        hints: impl Fn(&'a Endpoint) -> &'a [std::sync::Arc<str>],
    ) -> Hinting {
        let (mut missing, mut some, mut used) = (None, false, false);
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            if !ready(endpoint) {
                continue;
            }
            let hints = hints(endpoint);
            match hints.is_empty() {
                true => missing = missing.or(Some(at)),
                false => some = true,
            }
            used |= here.is_some_and(|here| hints.iter().any(|hint| **hint == *here));
        }
        match (some, missing, here) {
            (false, ..) => Hinting::Absent,
            (true, Some(at), _) => Hinting::Missing(at),
            (true, None, None) => Hinting::Nameless,
            (true, None, Some(_)) if used => Hinting::Used,
            (true, None, Some(_)) => Hinting::Elsewhere,
        }
    }
}

impl Sets {
    /// The endpoints of one of the sets.
    pub fn of(&self, kind: SetKind) -> &[usize] {
        match kind {
            SetKind::Cluster => &self.cluster,
            SetKind::Local => &self.local,
        }
    }

    /// Why an endpoint of `port`, from which these sets were made, is not in one of them; none: it
    /// is, or would be if nothing better were.
    pub fn exclusion(
        &self,
        kind: SetKind,
        (port, family): (&ServicePort, IpFamily),
        at: usize,
        place: &Place,
    ) -> Option<Exclusion> {
        let endpoint = port.endpoints.get(at)?;
        if self.of(kind).contains(&at) {
            return None;
        }
        let family = port.traffic.endpoint_family(family);
        if family.is_some_and(|family| endpoint.family() != family) {
            return Some(Exclusion::Family);
        }
        match (endpoint.is_usable(), endpoint.terminating) {
            (false, true) => return Some(Exclusion::Gone),
            (false, false) => return Some(Exclusion::NotReady),
            (true, _) => {}
        }
        let hints = self.excluding_hints(endpoint, place);
        match kind {
            SetKind::Local if !endpoint.is_on(place) => Some(Exclusion::NotLocal),
            SetKind::Cluster if endpoint.ready && hints.is_some() => hints,
            _ => Some(Exclusion::Terminating),
        }
    }

    /// Whether hints that are used name somebody else.
    fn excluding_hints(&self, endpoint: &Endpoint, place: &Place) -> Option<Exclusion> {
        let names = |hints: &[std::sync::Arc<str>], here: &Option<std::sync::Arc<str>>| {
            here.as_ref().is_some_and(|here| hints.contains(here))
        };
        if self.node_hints == Hinting::Used {
            return (!names(endpoint.hinted_nodes(), &place.node)).then_some(Exclusion::NodeHints);
        }
        let zones = endpoint.hinted_zones();
        (self.zone_hints == Hinting::Used && !names(zones, &place.zone))
            .then_some(Exclusion::ZoneHints)
    }
}
