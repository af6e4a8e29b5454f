//! The objects in use, by what joins them, kept up as they change.
//!
//! Every index is sorted or keyed by name, so the order in which objects come changes nothing.
//! [`Objects::take`] says what a change can reach ([`Dirty`]): more than it does reach costs work,
//! less would be wrong. Nothing is joined here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::secrets::ReadSecrets;
use super::verdicts::Verdicts;
use crate::diagnostic::Diagnostic;
use crate::location::FileName;
use crate::model::{ExecProbe, ObjectName, ProbeVerdict, ProbedPod, Probes};
use crate::snapshot::PodNames;
use crate::snapshot::cluster::AddressSet;
use crate::store::Changed;
use crate::validate::{EndpointSet, InUse, Kind, Labels, Node, Pod, Service, Valid};

/// The objects in use.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(super) services: BTreeMap<ObjectName, Arc<InUse>>,
    /// Services of type LoadBalancer that have names outside, the older first.
    pub(super) named: BTreeMap<Age, Arc<InUse>>,
    /// EndpointSlices, then Endpoints, by the Service that they belong to.
    sets: HashMap<ObjectName, BTreeMap<(bool, ObjectName), Arc<InUse>>>,
    /// Pods by each of their labels.
    pods: HashMap<Label, BTreeMap<ObjectName, Arc<InUse>>>,
    /// Services by the first label that they select.
    selecting: HashMap<Label, BTreeSet<ObjectName>>,
    pub(super) nodes: BTreeMap<Arc<str>, Arc<InUse>>,
    /// Addresses of Pods that have not ended and are not on their host's network.
    pub(super) pod_addresses: AddressSet,
    /// What names of Pods are checked against.
    pub(super) pod_names: PodNames,
    /// What probing Pods has found out.
    verdicts: Verdicts,
    pub(super) secrets: BTreeMap<ObjectName, Arc<InUse>>,
    /// What those of them hold that somebody names.
    pub(super) read: ReadSecrets,
    pub(super) config_maps: BTreeMap<ObjectName, Arc<InUse>>,
    /// In object order (`ingress 1.4`): older first, those without a date last, then by name.
    pub(super) ingresses: BTreeMap<Age, Arc<InUse>>,
    pub(super) classes: BTreeMap<Arc<str>, Arc<InUse>>,
    /// How many objects live in each namespace, or are it.
    pub(super) namespaces: BTreeMap<Arc<str>, usize>,
    /// Namespaces that are objects themselves.
    namespace_objects: BTreeMap<Arc<str>, Arc<InUse>>,
}

/// A label as selectors see it: namespace, key, value.
type Label = (Arc<str>, Arc<str>, Arc<str>);

/// What breaks ties between objects: the older, then the smaller name.
pub(super) type Age = (bool, Option<Arc<str>>, ObjectName);

/// What changes of objects can reach.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    /// Services that come, leave, or may have other endpoints.
    pub(super) services: BTreeSet<ObjectName>,
    /// Whether any Service itself is not what or where it was.
    pub(crate) service_objects: bool,
    /// Files of Services that say what they said and stand elsewhere now: findings about these files
    /// have to be found anew, and nothing else.
    moved: BTreeSet<FileName>,
    /// Whether one that has names outside is not.
    pub(crate) named: bool,
    /// Whether an Ingress or an IngressClass is not.
    pub(super) ingresses: bool,
    /// Whether a Secret is not.
    pub(super) secrets: bool,
    /// Whether a ConfigMap is not.
    pub(super) config_maps: bool,
    /// Whether a namespace came or left, or its labels may be others.
    pub(super) namespaces: bool,
    /// Whether a Node or the address of a Pod is not what it was.
    pub(super) cluster: bool,
    /// Whether a Pod is not what it was.
    pub(super) pods: bool,
    /// Whether a host outside was found elsewhere.
    pub(crate) outside: bool,
}

impl Dirty {
    /// Everything: for a first compilation, and where settings or memory are not what they were.
    pub(crate) fn all(objects: &Objects) -> Self {
        Self {
            services: objects.services.keys().cloned().collect(),
            service_objects: true,
            moved: BTreeSet::new(),
            named: true,
            ingresses: true,
            secrets: true,
            config_maps: true,
            namespaces: true,
            cluster: true,
            pods: true,
            outside: true,
        }
    }
}

impl Dirty {
    /// Whether a finding speaks of a place in one of these files.
    pub(super) fn moves(&self, finding: &Diagnostic) -> bool {
        let related = finding.related.iter().map(|related| &related.file);
        let mut files = finding.file.iter().chain(related);
        files.any(|file| self.moved.contains(file))
    }
}

impl Objects {
    /// Takes what changed among the objects in use.
    pub(crate) fn take(&mut self, changes: Vec<Changed<Valid>>) -> Dirty {
        let mut dirty = Dirty::default();
        let namespaces = self.namespaces.len();
        let mut came = false;
        for Changed { before, after } in changes {
            if let (Some(before), Some(after)) = (&before, &after)
                && Arc::ptr_eq(&before.valid, &after.valid)
                && let Kind::Service(service) = &after.valid.kind
            {
                self.move_service(service, [before, after], &mut dirty);
                continue;
            }
            if let Some(before) = before {
                self.remove(&before, &mut dirty);
            }
            if let Some(after) = after {
                came |= self.insert(after, &mut dirty);
            }
        }
        for object in self.verdicts.take_news() {
            if let Kind::Pod(pod) = &object.valid.kind {
                self.reach_by_labels(&object.valid.name, pod, &mut dirty);
            }
        }
        dirty.namespaces |= came || namespaces != self.namespaces.len();
        dirty
    }

    fn remove(&mut self, object: &Arc<InUse>, dirty: &mut Dirty) {
        let name = &object.valid.name;
        match &object.valid.kind {
            Kind::Service(service) => {
                self.services.remove(name);
                if service.hosts.is_some() {
                    self.named.remove(&age(object));
                }
                if let Some(label) = first_label(name, service) {
                    leave(&mut self.selecting, &label, |set| {
                        set.remove(name);
                        set.is_empty()
                    });
                }
            }
            Kind::EndpointSet(set) => {
                if let Some((service, key)) = belongs(name, set) {
                    leave(&mut self.sets, &service, |sets| {
                        sets.remove(&key);
                        sets.is_empty()
                    });
                }
            }
            Kind::Pod(pod) => {
                for label in labels(name, pod) {
                    leave(&mut self.pods, &label, |pods| {
                        pods.remove(name);
                        pods.is_empty()
                    });
                }
                self.verdicts.remove(name);
                own_addresses(pod).for_each(|address| self.pod_addresses.remove(address));
                for address in named_addresses(pod) {
                    self.pod_names.remove(&name.namespace, address);
                }
            }
            Kind::Node(_) => drop(self.nodes.remove(&name.name)),
            Kind::Secret(_) => drop(self.secrets.remove(name)),
            Kind::Ingress(_) => drop(self.ingresses.remove(&age(object))),
            Kind::Class(_) => drop(self.classes.remove(&name.name)),
            Kind::ConfigMap(_) => drop(self.config_maps.remove(name)),
            Kind::Namespace(_) => drop(self.namespace_objects.remove(&name.name)),
        }
        self.reach(object, dirty);
        if let Some(namespace) = namespace(object)
            && let Some(count) = self.namespaces.get_mut(namespace)
        {
            *count -= 1;
            if *count == 0 {
                self.namespaces.remove(namespace);
            }
        }
    }

    /// Says whether a namespace came with it.
    fn insert(&mut self, object: Arc<InUse>, dirty: &mut Dirty) -> bool {
        let name = object.valid.name.clone();
        let mut came = false;
        if let Some(namespace) = namespace(&object) {
            let count = self.namespaces.entry(Arc::clone(namespace)).or_default();
            came = *count == 0;
            *count += 1;
        }
        self.reach(&object, dirty);
        match &object.valid.kind {
            Kind::Service(service) => {
                if let Some(label) = first_label(&name, service) {
                    self.selecting
                        .entry(label)
                        .or_default()
                        .insert(name.clone());
                }
                if service.hosts.is_some() {
                    self.named.insert(age(&object), Arc::clone(&object));
                }
                self.services.insert(name, object);
            }
            Kind::EndpointSet(set) => {
                if let Some((service, key)) = belongs(&name, set) {
                    self.sets.entry(service).or_default().insert(key, object);
                }
            }
            Kind::Pod(pod) => {
                for label in labels(&name, pod) {
                    let pods = self.pods.entry(label).or_default();
                    pods.insert(name.clone(), Arc::clone(&object));
                }
                own_addresses(pod).for_each(|address| self.pod_addresses.insert(address));
                for address in named_addresses(pod) {
                    self.pod_names.insert(&name.namespace, address);
                }
                self.verdicts.insert(&object);
            }
            Kind::Node(_) => drop(self.nodes.insert(name.name, object)),
            Kind::Secret(_) => drop(self.secrets.insert(name, object)),
            Kind::Ingress(_) => drop(self.ingresses.insert(age(&object), object)),
            Kind::Class(_) => drop(self.classes.insert(name.name, object)),
            Kind::ConfigMap(_) => drop(self.config_maps.insert(name, object)),
            Kind::Namespace(_) => drop(self.namespace_objects.insert(name.name, object)),
        }
        came
    }

    /// Takes a Service that says what it said and stands elsewhere, as it does once anything before it in its
    /// file, or beside it, has changed.
    fn move_service(
        &mut self,
        service: &Service,
        [before, after]: [&Arc<InUse>; 2],
        dirty: &mut Dirty,
    ) {
        let name = &after.valid.name;
        for object in [before, after] {
            dirty.moved.insert(Arc::clone(&object.origin.file));
        }
        dirty.services.insert(name.clone());
        if service.hosts.is_some() {
            dirty.named = true;
            self.named.insert(age(after), Arc::clone(after));
        }
        self.services.insert(name.clone(), Arc::clone(after));
    }

    /// Notes what `object` reaches by being there or not.
    fn reach(&self, object: &InUse, dirty: &mut Dirty) {
        let name = &object.valid.name;
        match &object.valid.kind {
            Kind::Service(service) => {
                dirty.service_objects = true;
                dirty.named |= service.hosts.is_some();
                dirty.services.insert(name.clone());
            }
            Kind::EndpointSet(set) => {
                dirty
                    .services
                    .extend(belongs(name, set).map(|(service, _)| service));
            }
            Kind::Pod(pod) => {
                dirty.cluster |= own_addresses(pod).next().is_some();
                dirty.pods = true;
                self.reach_by_labels(name, pod, dirty);
            }
            // Where endpoints are is said by their Nodes: any of them may be on this one.
            Kind::Node(_) => {
                dirty.cluster = true;
                dirty.services.extend(self.services.keys().cloned());
            }
            Kind::Secret(_) => dirty.secrets = true,
            Kind::Ingress(_) | Kind::Class(_) => dirty.ingresses = true,
            Kind::ConfigMap(_) => dirty.config_maps = true,
            Kind::Namespace(_) => dirty.namespaces = true,
        }
    }

    /// Notes the Services that may select a Pod.
    fn reach_by_labels(&self, name: &ObjectName, pod: &Pod, dirty: &mut Dirty) {
        for label in labels(name, pod) {
            let selecting = self.selecting.get(&label);
            dirty
                .services
                .extend(selecting.into_iter().flatten().cloned());
        }
    }

    /// EndpointSlices and Endpoints of a Service, each kind sorted by name.
    pub(super) fn sets_of(&self, service: &ObjectName) -> impl Iterator<Item = &EndpointSet> {
        let sets = self.sets.get(service).into_iter().flatten();
        sets.filter_map(|(_, object)| match &object.valid.kind {
            Kind::EndpointSet(set) => Some(set),
            _ => None,
        })
    }

    /// Pods that carry every label of a Service's selector, sorted by name; none without a selector.
    pub(super) fn pods_of<'a>(
        &'a self,
        name: &ObjectName,
        service: &'a Service,
    ) -> impl Iterator<Item = (&'a ObjectName, &'a Pod)> {
        let buckets = service.selector.iter().map(|(key, value)| {
            let label = (Arc::clone(&name.namespace), Arc::clone(key), Arc::clone(value));
            self.pods.get(&label)
        });
        let fewest = buckets
            .min_by_key(|pods| pods.map_or(0, BTreeMap::len))
            .flatten();
        let selects = |pod: &Pod| {
            service
                .selector
                .iter()
                .all(|(key, value)| pod.labels.get(key) == Some(value))
        };
        let pods = fewest.into_iter().flatten();
        pods.filter_map(move |(name, object)| match &object.valid.kind {
            Kind::Pod(pod) if selects(pod) => Some((name, pod)),
            _ => None,
        })
    }

    /// Whether a Pod's condition Ready is True, by its manifest or by probing it.
    pub(super) fn is_ready(&self, name: &ObjectName, pod: &Pod) -> bool {
        self.verdicts.is_ready(name, pod)
    }

    /// Somebody probes Pods from now on, those that `mode` says.
    pub(crate) fn expect_verdicts(&mut self, mode: Probes) {
        self.verdicts.set_mode(mode);
    }

    /// Takes what probing has found out, for the next compilation.
    pub(crate) fn take_verdicts(&mut self, verdicts: Vec<ProbeVerdict>) {
        verdicts
            .into_iter()
            .for_each(|verdict| self.verdicts.take(verdict));
    }

    /// What there is to say about probes under these settings.
    pub(crate) fn notes_on_probes(&self, mode: Probes, exec: ExecProbe) -> Vec<Diagnostic> {
        self.verdicts.notes(mode, exec)
    }

    /// Who is to be probed how; none where that is as it was when last asked.
    pub(crate) fn take_probed(&mut self) -> Option<Vec<ProbedPod>> {
        self.verdicts.take_probed()
    }

    /// The labels of a namespace, among them the one that every cluster gives it; one without an object
    /// has no other.
    pub(super) fn namespace_labels(&self, namespace: &Arc<str>) -> Labels {
        let object = self.namespace_objects.get(namespace);
        let mut labels = match object.map(|object| &object.valid.kind) {
            Some(Kind::Namespace(labels)) => labels.clone(),
            _ => Labels::new(),
        };
        labels.insert("kubernetes.io/metadata.name".into(), Arc::clone(namespace));
        labels
    }

    /// Every Node.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes
            .values()
            .filter_map(|object| match &object.valid.kind {
                Kind::Node(node) => Some(node),
                _ => None,
            })
    }

    /// Whether a Node of this name is written.
    pub(super) fn has_node(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    /// The zone of a Node.
    pub(super) fn zone_of(&self, node: &str) -> Option<Arc<str>> {
        match &self.nodes.get(node)?.valid.kind {
            Kind::Node(node) => node.zone.clone(),
            _ => None,
        }
    }
}

/// What breaks ties between objects: the older, then the smaller name.
pub(super) fn age(object: &InUse) -> Age {
    let created = object.valid.created.clone();
    (created.is_none(), created, object.valid.name.clone())
}

/// The Service that a set belongs to, and the set's place among those of the Service.
fn belongs(name: &ObjectName, set: &EndpointSet) -> Option<(ObjectName, (bool, ObjectName))> {
    let service = set.service.as_ref()?;
    let service = ObjectName { namespace: Arc::clone(&name.namespace), name: Arc::clone(service) };
    Some((service, (set.mirrored, name.clone())))
}

fn first_label(name: &ObjectName, service: &Service) -> Option<Label> {
    let (key, value) = service.selector.first_key_value()?;
    Some((Arc::clone(&name.namespace), Arc::clone(key), Arc::clone(value)))
}

fn labels<'a>(name: &'a ObjectName, pod: &'a Pod) -> impl Iterator<Item = Label> + 'a {
    let label = |(key, value): (&Arc<str>, &Arc<str>)| {
        (Arc::clone(&name.namespace), Arc::clone(key), Arc::clone(value))
    };
    pod.labels.iter().map(label)
}

/// Addresses that are a Pod's alone.
fn own_addresses(pod: &Pod) -> impl Iterator<Item = IpAddr> + '_ {
    let is_own = !pod.host_network && !pod.finished;
    pod.addresses.iter().copied().filter(move |_| is_own)
}

/// Addresses by which a Pod can be asked for (`dns 1.9`).
fn named_addresses(pod: &Pod) -> impl Iterator<Item = IpAddr> + '_ {
    let is_there = !pod.terminating && !pod.finished;
    pod.addresses.iter().copied().filter(move |_| is_there)
}

/// The namespace that exists because of an object.
fn namespace(object: &InUse) -> Option<&Arc<str>> {
    let name = &object.valid.name;
    match &object.valid.kind {
        Kind::Namespace(_) => Some(&name.name),
        _ => Some(&name.namespace).filter(|namespace| !namespace.is_empty()),
    }
}

/// Takes something out of a bucket, and the bucket away once it is empty.
fn leave<K: Eq + std::hash::Hash, T>(
    buckets: &mut HashMap<K, T>,
    key: &K,
    remove: impl FnOnce(&mut T) -> bool,
) {
    if buckets.get_mut(key).is_some_and(remove) {
        buckets.remove(key);
    }
}
