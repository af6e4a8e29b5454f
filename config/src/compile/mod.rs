//! All objects together: the pure function from what manifests say to what planes serve.
//!
//! ```text
//! objects ─▶ allocate ─▶ join ─▶ cycles ─▶ listeners
//!                 └─▶ ingress ─▶ certificates ─▶ zones
//! ```
//!
//! A step runs again only for what a change can reach ([`Dirty`]); what the others found is in
//! [`Memory`]. With everything dirty and an empty memory the result is the same, which a property
//! test holds. Invariants: no I/O, no clock, no randomness but [`Inputs`]; the order of files
//! changes nothing; what equals its counterpart in the snapshot before is that very `Arc`. Nothing
//! found here refuses an object: it is used, with a warning.

mod verdicts;
mod objects;
mod certificates;
mod cluster;
mod endpoints;
mod topology;
mod backend_tls;
mod guards;
mod error_pages;
mod policies;
mod places;
mod host_tls;
mod quirks;
mod precedence;
mod captures;
mod outside;
mod ingress;
mod classes;
mod secrets;
mod fallback;
mod canaries;
mod claims;
mod moving;
mod other_names;
mod listeners;
mod services;
mod zones;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{Certificate, HostFacts, PodsMode, Settings, StaticRecord};
use crate::snapshot::{PodNames, Snapshot, Tcp, diff};
use crate::validate::InUse;

use self::claims::noted;

pub(crate) use moving::{ingress_places, rows};
pub(crate) use objects::{Dirty, Objects};
pub(crate) use outside::sought;

/// Everything that the result depends on beside the objects.
pub(crate) struct Inputs<'a> {
    /// The snapshot before: keeps addresses and shares what did not change.
    pub(crate) previous: &'a Snapshot,
    /// Flags and environment.
    pub(crate) settings: &'a Settings,
    /// What hosts files say.
    pub(crate) hosts: &'a [StaticRecord],
    /// Where hosts outside were found.
    pub(crate) outside: &'a BTreeMap<Arc<str>, Arc<[IpAddr]>>,
    /// What this host can bind.
    pub(crate) facts: &'a HostFacts,
    /// Served where no other certificate fits.
    pub(crate) default_certificate: &'a Arc<Certificate>,
    /// Seconds since 1970, for the SOA serial.
    pub(crate) now_seconds: u64,
}

/// What the steps found when they last ran, and what they need to run for a part alone.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    services: services::Memory,
    fronts: Vec<Diagnostic>,
    routes: Vec<Diagnostic>,
    certificates: certificates::Memory,
}

impl Memory {
    /// Everything that is wrong with how objects fit together.
    pub(crate) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let parts = [&self.fronts, &self.routes, &self.certificates.diagnostics];
        self.services
            .diagnostics()
            .chain(parts.into_iter().flatten())
    }

    /// Has all Services looked at where what was found about all of them speaks of places that are others
    /// now; what was found about one alone is found anew with it.
    pub(crate) fn follow(&self, dirty: &mut Dirty) {
        let of_all = self.services.of_all().iter();
        let mut findings = of_all.chain(&self.fronts).chain(&self.routes);
        dirty.service_objects |= findings.any(|finding| dirty.moves(finding));
    }
}

/// Joins the objects in use; `dirty` says what of them is not as it was when `memory` was made.
pub(crate) fn compile(
    objects: &Objects,
    dirty: &Dirty,
    memory: &mut Memory,
    inputs: &Inputs<'_>,
) -> Snapshot {
    let previous = inputs.previous;
    let first = previous.generation == 0;
    let (services, assignments) = services::compile(objects, dirty, &mut memory.services, inputs);
    let (fronts, unbound, health_checks) = if dirty.service_objects {
        memory.fronts.clear();
        let found = listeners::compile(objects, &services, inputs, &mut memory.fronts);
        let checks = listeners::health_checks(&services, inputs);
        (
            share(found.open, &previous.fronts),
            share(found.unbound, &previous.unbound),
            share(checks, &previous.health_checks),
        )
    } else {
        let Snapshot { fronts, unbound, health_checks, .. } = previous;
        (Arc::clone(fronts), Arc::clone(unbound), Arc::clone(health_checks))
    };
    let cluster = match dirty.cluster || first {
        true => share(cluster::compile(objects, inputs), &previous.cluster),
        false => Arc::clone(&previous.cluster),
    };
    let names = &inputs.settings.names;
    let pods = match names.pods == PodsMode::Verified || names.autopath {
        true if dirty.pods || first => share(objects.pod_names.clone(), &previous.pods),
        true => Arc::clone(&previous.pods),
        false => share(PodNames::default(), &previous.pods),
    };
    let named = dirty.secrets || dirty.config_maps;
    let rules = dirty.ingresses || dirty.service_objects || dirty.outside || named;
    let certificates = dirty.ingresses || dirty.secrets || memory.certificates.is_due(inputs);
    let named = has_moved(objects, dirty, &services, inputs);
    let zones = dirty.ingresses || dirty.namespaces || named || first;
    let mut snapshot = Snapshot {
        generation: previous.generation,
        services,
        fronts,
        unbound,
        health_checks,
        cluster,
        pods,
        tcp: share(Tcp::of(inputs.settings), &previous.tcp),
        routes: Arc::clone(&previous.routes),
        certificates: Arc::clone(&previous.certificates),
        zones: Arc::clone(&previous.zones),
        assignments,
    };
    if rules || certificates || zones {
        let mut found = Vec::new();
        let owned = classes::owned(objects, inputs.settings, &mut found);
        if rules {
            let routes = ingress::compile(&owned, objects, &snapshot.services, inputs, &mut found);
            snapshot.routes = share(noted(routes, objects, inputs.settings), &previous.routes);
            memory.routes = found;
        }
        if certificates {
            let table = certificates::compile(&owned, objects, inputs, &mut memory.certificates);
            snapshot.certificates = certificates::share(table, &previous.certificates);
        }
        if zones {
            snapshot.zones =
                share(zones::compile(objects, &snapshot.services, &owned, inputs), &previous.zones);
        }
    }
    if differs(&snapshot, previous) {
        snapshot.generation += 1;
        let now = u32::try_from(inputs.now_seconds).unwrap_or(u32::MAX);
        let mut zones = (*snapshot.zones).clone();
        zones.serial = now.max(previous.zones.serial.wrapping_add(1));
        snapshot.zones = Arc::new(zones);
    }
    snapshot
}

/// Whether the addresses of names outside may be others than before.
fn has_moved(
    objects: &Objects,
    dirty: &Dirty,
    services: &services::Services,
    inputs: &Inputs<'_>,
) -> bool {
    // Whatever Services come may move the address of one that has names.
    dirty.named
        || (dirty.service_objects && !objects.named.is_empty())
        || zones::moves_front(objects, &dirty.services, services, inputs)
}

/// Whether `new` is to take the place of `old`.
fn differs(new: &Snapshot, old: &Snapshot) -> bool {
    old.generation == 0
        || diff::services(old, new).next().is_some()
        || !Arc::ptr_eq(&new.fronts, &old.fronts)
        || !Arc::ptr_eq(&new.unbound, &old.unbound)
        || !Arc::ptr_eq(&new.health_checks, &old.health_checks)
        || !Arc::ptr_eq(&new.cluster, &old.cluster)
        || !Arc::ptr_eq(&new.pods, &old.pods)
        || !Arc::ptr_eq(&new.tcp, &old.tcp)
        || !Arc::ptr_eq(&new.routes, &old.routes)
        || !Arc::ptr_eq(&new.certificates, &old.certificates)
        || !Arc::ptr_eq(&new.zones, &old.zones)
        // No plane sees them, but the next compilation and the state folder do.
        || !Arc::ptr_eq(&new.assignments, &old.assignments)
}

/// The `Arc` of before where the value is the same.
fn share<T: PartialEq>(new: T, old: &Arc<T>) -> Arc<T> {
    if new == **old { Arc::clone(old) } else { Arc::new(new) }
}

/// What is found in a field of an object in use.
fn finding(
    code: Code,
    object: &InUse,
    field: impl Into<FieldPath>,
    message: impl Into<String>,
) -> Diagnostic {
    Diagnostic::new(code, message)
        .object(object.object.clone())
        .at(&object.origin, field.into())
}

/// `did you mean …?`, if one of `names` is near enough to `name`.
fn suggestion<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|other| (crate::decode::distance(name, other), other))
        .filter(|(distance, other)| *distance <= 1 + other.len() / 4)
        .min()
        .map(|(_, other)| format!("did you mean `{other}`?"))
}
