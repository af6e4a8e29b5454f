//! Which Secrets are read, and what they hold (`ingress 6.3`).
//!
//! A Secret is read once an Ingress of ours or a setting names it, and what was read of it is let go, and
//! written over, once nobody does. Invariants: what nobody names brings no finding, whatever stands in it; a
//! Secret that is named and cannot be read any more serves on as it last could be read, as long as it
//! stands in the same file and somebody names it. Who looks a Secret up in `compile` names it in [`named`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::classes::owned;
use super::{Dirty, Objects};
use crate::diagnostic::Diagnostic;
use crate::model::{ObjectName, Settings};
use crate::validate::{InUse, Kind, Secret};

/// The Secrets that somebody names, and that are there.
#[derive(Debug, Default)]
pub(super) struct ReadSecrets(BTreeMap<ObjectName, Reading>);

/// What came of reading one.
#[derive(Clone, Debug)]
struct Reading {
    /// As it stands in its file.
    object: Arc<InUse>,
    /// What it holds, or last held; none: it could never be read.
    secret: Option<Arc<Secret>>,
    /// What is wrong with it as it stands now.
    findings: Vec<Diagnostic>,
}

impl Objects {
    /// Reads the Secrets that are named now, and forgets the others.
    pub(crate) fn read_secrets(&mut self, dirty: &Dirty, settings: &Settings) {
        if !dirty.ingresses && !dirty.secrets {
            return;
        }
        let (mut read, mut due) = (BTreeMap::new(), Vec::new());
        for name in named(self, settings) {
            let Some(object) = self.secrets.get(&name) else { continue };
            match self.read.0.get(&name) {
                Some(last) if last.is_of(object) => {
                    let reading = Reading { object: Arc::clone(object), ..last.clone() };
                    read.insert(name, reading);
                }
                last => due.push((name, Arc::clone(object), last)),
            }
        }
        let new = crate::parallel::map(&due, |(_, object, last)| Reading::of(object, *last));
        read.extend(due.into_iter().map(|(name, ..)| name).zip(new));
        self.read = ReadSecrets(read);
    }

    /// A Secret that somebody names, and what it holds; none: it is not there, or cannot be read.
    pub(super) fn secret(&self, name: &ObjectName) -> Option<(&InUse, &Secret)> {
        let reading = self.read.0.get(name)?;
        Some((&*reading.object, &**reading.secret.as_ref()?))
    }

    /// Why there is nothing to use in a Secret that somebody names.
    pub(super) fn lacks_secret(&self, secret: &ObjectName) -> String {
        let ObjectName { namespace, name } = secret;
        match self.secrets.contains_key(secret) {
            true => format!("Secret `{name}` in namespace {namespace} cannot be read"),
            false => format!("no Secret `{name}` in namespace {namespace}"),
        }
    }

    /// What is wrong with Secrets that are named.
    pub(crate) fn notes_on_secrets(&self) -> impl Iterator<Item = &Diagnostic> {
        self.read.0.values().flat_map(|reading| &reading.findings)
    }
}

impl Reading {
    /// Reads a Secret; `last` is what was read of the one of its name before.
    fn of(object: &Arc<InUse>, last: Option<&Self>) -> Self {
        let (secret, findings) = match &object.valid.kind {
            Kind::Secret(secret) => secret.read(object),
            _ => (None, Vec::new()),
        };
        let before = last.and_then(|last| last.secret.as_ref());
        let secret = match (secret, before) {
            // The same content: the same value, so that later stages see that nothing changed.
            (Some(secret), Some(before)) if secret == **before => Some(Arc::clone(before)),
            (Some(secret), _) => Some(Arc::new(secret)),
            (None, before) => {
                let stays = last.is_some_and(|last| last.object.origin.file == object.origin.file);
                before.filter(|_| stays).cloned()
            }
        };
        Self { object: Arc::clone(object), secret, findings }
    }

    /// Whether reading `object` would come to the same, also to findings in the same places.
    fn is_of(&self, object: &Arc<InUse>) -> bool {
        let is_same = Arc::ptr_eq(&self.object.valid, &object.valid);
        Arc::ptr_eq(&self.object, object) || (is_same && self.findings.is_empty())
    }
}

/// The Secrets that settings and Ingresses of ours name, whether they are there or not.
fn named(objects: &Objects, settings: &Settings) -> BTreeSet<ObjectName> {
    let of_settings = [&settings.dns_tls_secret, &settings.front_door.default_tls_secret];
    let mut named: BTreeSet<_> = of_settings.into_iter().flatten().cloned().collect();
    for (object, ingress) in owned(objects, settings, &mut Vec::new()) {
        let namespace = &object.valid.name.namespace;
        let own = |name: &Arc<str>| ObjectName {
            namespace: Arc::clone(namespace),
            name: Arc::clone(name),
        };
        let of_hosts = ingress.tls.iter().filter_map(|entry| entry.secret.as_ref());
        named.extend(of_hosts.map(own));
        let asks = &ingress.annotations;
        named.extend(asks.basic.as_ref().map(|basic| basic.secret.clone()));
        let clients = asks.clients.as_ref().map(|clients| &clients.secret);
        for (other, name) in clients.into_iter().chain(&asks.backend.secret) {
            if other.as_ref().is_none_or(|other| other == namespace) {
                named.insert(own(name));
            }
        }
    }
    named
}
