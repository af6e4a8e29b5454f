//! All objects together: the pure function from what manifests say to what planes serve.
//!
//! ```text
//! endpoints ─▶ services ─▶ listeners ─▶ conflicts
//!                  └─▶ ingress ─▶ certificates ─▶ zones
//! ```
//!
//! Invariants: no I/O, no clock, no randomness but [`Inputs`]; the order of files changes nothing;
//! what equals its counterpart in the snapshot before is that very `Arc`. Nothing found here
//! refuses an object: it is used, with a warning.

mod certificates;
mod endpoints;
mod ingress;
mod listeners;
mod services;
mod zones;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{Certificate, HostFacts, ObjectName, Settings};
use crate::snapshot::Snapshot;
use crate::validate::{InUse, Kind};

/// Everything that the result depends on beside the objects.
pub(crate) struct Inputs<'a> {
    /// The snapshot before: keeps addresses and shares what did not change.
    pub(crate) previous: &'a Snapshot,
    /// Flags and environment.
    pub(crate) settings: &'a Settings,
    /// What this host can bind.
    pub(crate) facts: &'a HostFacts,
    /// Served where no other certificate fits.
    pub(crate) default_certificate: &'a Arc<Certificate>,
    /// Seconds since 1970, for the SOA serial.
    pub(crate) now_seconds: u64,
}

/// Joins the objects in use.
pub(crate) fn compile(objects: &[InUse], inputs: &Inputs<'_>) -> (Snapshot, Vec<Diagnostic>) {
    let objects = Objects::new(objects);
    let mut diagnostics = Vec::new();
    let (services, assignments) = services::compile(&objects, inputs, &mut diagnostics);
    let fronts = listeners::compile(&objects, &services, inputs, &mut diagnostics);
    let owned = ingress::owned(&objects, inputs.settings, &mut diagnostics);
    let routes = ingress::compile(&owned, &objects, &services, inputs, &mut diagnostics);
    let certificates = certificates::compile(&owned, &objects, inputs, &mut diagnostics);
    let zones = zones::compile(&objects, &owned, inputs);
    let previous = inputs.previous;
    let mut snapshot = Snapshot {
        generation: previous.generation,
        services,
        fronts: share(fronts, &previous.fronts),
        routes: share(routes, &previous.routes),
        certificates: certificates::share(certificates, &previous.certificates),
        zones: share(zones, &previous.zones),
        assignments: share(assignments, &previous.assignments),
    };
    if differs(&snapshot, previous) {
        snapshot.generation += 1;
        let now = u32::try_from(inputs.now_seconds).unwrap_or(u32::MAX);
        let mut zones = (*snapshot.zones).clone();
        zones.serial = now.max(previous.zones.serial.wrapping_add(1));
        snapshot.zones = Arc::new(zones);
    }
    (snapshot, diagnostics)
}

/// Whether planes need to hear of `new`.
fn differs(new: &Snapshot, old: &Snapshot) -> bool {
    old.generation == 0
        || new.services != old.services
        || !Arc::ptr_eq(&new.fronts, &old.fronts)
        || !Arc::ptr_eq(&new.routes, &old.routes)
        || !Arc::ptr_eq(&new.certificates, &old.certificates)
        || !Arc::ptr_eq(&new.zones, &old.zones)
}

/// The `Arc` of before where the value is the same.
fn share<T: PartialEq>(new: T, old: &Arc<T>) -> Arc<T> {
    if new == **old { Arc::clone(old) } else { Arc::new(new) }
}

/// The objects in use, by kind and name.
#[derive(Default)]
struct Objects<'a> {
    services: BTreeMap<&'a ObjectName, &'a InUse>,
    sets: Vec<&'a InUse>,
    pods: Vec<&'a InUse>,
    nodes: BTreeMap<&'a str, &'a InUse>,
    secrets: BTreeMap<&'a ObjectName, &'a InUse>,
    /// In object order (`ingress 1.4`): older first, those without a date last, then by name.
    ingresses: Vec<&'a InUse>,
    classes: BTreeMap<&'a str, &'a InUse>,
    all: &'a [InUse],
}

impl<'a> Objects<'a> {
    fn new(all: &'a [InUse]) -> Self {
        let mut objects = Self { all, ..Self::default() };
        for object in all {
            let name = &object.valid.name;
            match &object.valid.kind {
                Kind::Service(_) => drop(objects.services.insert(name, object)),
                Kind::EndpointSet(_) => objects.sets.push(object),
                Kind::Pod(_) => objects.pods.push(object),
                Kind::Node(_) => drop(objects.nodes.insert(&name.name, object)),
                Kind::Secret(_) => drop(objects.secrets.insert(name, object)),
                Kind::Ingress(_) => objects.ingresses.push(object),
                Kind::Class(_) => drop(objects.classes.insert(&name.name, object)),
                Kind::Namespace | Kind::ConfigMap => {}
            }
        }
        objects.sets.sort_by_key(|set| &set.valid.name);
        objects.pods.sort_by_key(|pod| &pod.valid.name);
        objects.ingresses.sort_by_key(|ingress| age(ingress));
        objects
    }
}

/// What breaks ties between objects: the older, then the smaller name.
fn age(object: &InUse) -> (bool, Option<&str>, &ObjectName) {
    let created = object.valid.created.as_deref();
    (created.is_none(), created, &object.valid.name)
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
