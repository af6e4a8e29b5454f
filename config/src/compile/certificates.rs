//! Which certificate each host gets (`ingress 1.6`).
//!
//! The first Ingress in object order with a `tls` entry for a host decides. A Secret that is
//! missing, or whose certificate does not cover the host, gives the default certificate and a
//! warning, never plaintext. A Secret that was served and is gone keeps serving its last
//! certificate until its Ingress names another or the process ends (`reliability 2.6.6`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ingress::{Owned, aliases};
use super::other_names;
use super::{Inputs, Objects, finding, suggestion};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{Certificate, HostPattern, ObjectName, Settings};
use crate::snapshot::CertificateTable;
use crate::validate::{InUse, Secret};

/// What was found when certificates were last chosen, and until when that holds.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) diagnostics: Vec<Diagnostic>,
    next_turn_seconds: i64,
}

impl Memory {
    /// Whether a certificate has become valid or expired since.
    pub(super) fn is_due(&self, inputs: &Inputs<'_>) -> bool {
        self.next_turn_seconds < now_seconds(inputs)
    }
}

/// The certificates of all owned Ingresses.
pub(super) fn compile(
    owned: &[Owned<'_>],
    objects: &Objects,
    inputs: &Inputs<'_>,
    memory: &mut Memory,
) -> CertificateTable {
    memory.diagnostics.clear();
    let mut choice = Choice::default();
    for ingress in owned {
        choose(ingress, objects, inputs, &mut choice, &mut memory.diagnostics);
    }
    let references = std::mem::take(&mut choice.references);
    let hosts = choice.settled(owned, inputs.settings);
    for reference in references {
        gone(reference, &hosts, objects, &mut memory.diagnostics);
    }
    let mut table = CertificateTable {
        dns: of_dns(objects, inputs, &mut memory.diagnostics),
        default: Some(of_others(objects, inputs, &mut memory.diagnostics)),
        ..CertificateTable::default()
    };
    for (host, certificate) in hosts {
        match host {
            HostPattern::Exact(name) => drop(table.exact.insert(name, certificate)),
            HostPattern::Wildcard(suffix) => drop(table.wildcard.insert(suffix, certificate)),
            HostPattern::Any => {}
        }
    }
    // A host that answers DNS and has no certificate of an Ingress has the resolver's own.
    if let Some(own) = table.dns.clone() {
        for host in &inputs.settings.dns_doh_hosts {
            if !table.is_for(host) {
                table.exact.insert(Arc::clone(host), Arc::clone(&own));
            }
        }
    }
    memory.next_turn_seconds = next_turn(&table, inputs);
    table
}

/// Which certificate a host gets.
#[derive(Default)]
struct Choice<'a> {
    /// By host; none: the default one.
    hosts: BTreeMap<HostPattern, Option<Arc<Certificate>>>,
    /// Who names Secrets that are gone.
    references: Vec<Reference<'a>>,
}

/// An Ingress that names a Secret which is gone.
struct Reference<'a> {
    object: &'a InUse,
    field: FieldPath,
    secret: ObjectName,
    /// What is found where its last certificate is still served.
    found: Vec<Diagnostic>,
}

impl Choice<'_> {
    /// The first claim of a host counts, also where it leaves the host the default one.
    fn claim(&mut self, host: &HostPattern, found: Option<&Found>) {
        let certificate = found.map(|found| Arc::clone(&found.certificate));
        self.hosts.entry(host.clone()).or_insert(certificate);
    }

    /// Every host with its certificate; an alias name stands behind every written one.
    fn settled(
        self,
        owned: &[Owned<'_>],
        settings: &Settings,
    ) -> BTreeMap<HostPattern, Arc<Certificate>> {
        let rules = owned.iter().flat_map(|(_, ingress)| &ingress.rules);
        let written: BTreeSet<&HostPattern> = rules.map(|rule| &rule.host).collect();
        let mut all = BTreeMap::new();
        for (host, certificate) in &self.hosts {
            let Some(certificate) = certificate else { continue };
            let aliases = match host {
                HostPattern::Exact(name) => aliases(name, settings),
                _ => Vec::new(),
            };
            for alias in aliases {
                if !written.contains(&alias) && !self.hosts.contains_key(&alias) {
                    all.insert(alias, Arc::clone(certificate));
                }
            }
            all.insert(host.clone(), Arc::clone(certificate));
        }
        all
    }
}

/// What one Ingress says of its hosts.
fn choose<'a>(
    (object, ingress): &Owned<'a>,
    objects: &Objects,
    inputs: &Inputs<'_>,
    choice: &mut Choice<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut usable = Vec::new();
    for (index, entry) in ingress.tls.iter().enumerate() {
        let field = FieldPath::from("spec.tls").index(index).key("secretName");
        let secret = entry.secret.as_ref();
        let found =
            secret.and_then(|secret| find(object, secret, &field, objects, inputs, diagnostics));
        let mut misfits = Vec::new();
        for host in &entry.hosts {
            let fits = found.as_ref().filter(|found| found.covers(host));
            if let (Some(_), None, Some(secret)) = (&found, fits, secret) {
                let text = format!("the certificate of Secret `{secret}` is not for {host}");
                let code = Code::CertificateForOtherHost;
                misfits.push(finding(code, object, field.clone(), text));
            }
            choice.claim(host, fits);
        }
        let Some(found) = found else { continue };
        match &found.certificate.secret {
            Some(secret) if found.is_gone => {
                let secret = secret.clone();
                choice
                    .references
                    .push(Reference { object, field, secret, found: misfits });
            }
            _ => diagnostics.append(&mut misfits),
        }
        if entry.hosts.is_empty() {
            for host in &found.certificate.names {
                choice.claim(host, Some(&found));
            }
        }
        usable.push(found);
    }
    // A host that no entry holds gets the certificate of any entry that is for it.
    let others = other_names::asked(ingress);
    for host in ingress.rules.iter().map(|rule| &rule.host).chain(&others) {
        let fits = usable
            .iter()
            .find(|found| covers(&found.certificate.names, host));
        if fits.is_some() {
            choice.claim(host, fits);
        }
    }
}

/// The certificate of the Secret that settings name for DNS over TLS, or the last that it had.
fn of_dns(
    objects: &Objects,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Arc<Certificate>> {
    let name = inputs.settings.dns_tls_secret.as_ref()?;
    let (last, told) =
        (&inputs.previous.certificates.dns, ("dns.tlsSecret", Code::DnsSecretUnusable));
    of_setting((name, last), (objects, inputs), told, diagnostics)
}

/// The certificate of hosts that have none: that of the Secret which settings name, else our own
/// (`ingress 1.6`).
fn of_others(
    objects: &Objects,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Arc<Certificate> {
    let named = inputs.settings.front_door.default_tls_secret.as_ref();
    let found = named.and_then(|name| {
        let (last, told) = (
            &inputs.previous.certificates.default,
            ("ingress.defaultTlsSecret", Code::MissingSecret),
        );
        of_setting((name, last), (objects, inputs), told, diagnostics)
    });
    found.unwrap_or_else(|| Arc::clone(inputs.default_certificate))
}

/// The certificate of a Secret that a setting names, or the `last` that it had; a Secret without one
/// is told of.
fn of_setting(
    (name, last): (&ObjectName, &Option<Arc<Certificate>>),
    (objects, inputs): (&Objects, &Inputs<'_>),
    (setting, code): (&str, Code),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Arc<Certificate>> {
    match objects.secret(name) {
        Some((found, Secret { certificate: Some(certificate), .. })) => {
            validity(found, certificate, inputs, diagnostics);
            Some(Arc::clone(certificate))
        }
        Some(_) => {
            let message = format!("{setting}: Secret {name} holds no certificate");
            diagnostics.push(Diagnostic::new(code, message));
            None
        }
        None => {
            let message = format!("{setting}: there is no Secret {name}");
            diagnostics.push(Diagnostic::new(code, message));
            let last = last.as_ref();
            last.filter(|it| it.secret.as_ref() == Some(name)).cloned()
        }
    }
}

/// When the next of the served certificates begins to be valid or expires.
fn next_turn(table: &CertificateTable, inputs: &Inputs<'_>) -> i64 {
    let now = now_seconds(inputs);
    let all = table
        .exact
        .values()
        .chain(table.wildcard.values())
        .chain(&table.dns)
        .chain(&table.default);
    // The last second before each change.
    let turns = all.flat_map(|certificate| {
        [certificate.not_before_seconds.saturating_sub(1), certificate.not_after_seconds]
    });
    turns.filter(|turn| *turn >= now).min().unwrap_or(i64::MAX)
}

fn now_seconds(inputs: &Inputs<'_>) -> i64 {
    i64::try_from(inputs.now_seconds).unwrap_or(i64::MAX)
}

/// The certificate of a Secret.
struct Found {
    certificate: Arc<Certificate>,
    /// The Secret is no more.
    is_gone: bool,
}

impl Found {
    /// A certificate without names is taken at the Ingress's word.
    fn covers(&self, host: &HostPattern) -> bool {
        let names = &self.certificate.names;
        names.is_empty() || covers(names, host)
    }
}

/// The certificate of a Secret, or the last that it had.
fn find(
    object: &InUse,
    secret: &Arc<str>,
    field: &FieldPath,
    objects: &Objects,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Found> {
    let namespace = &object.valid.name.namespace;
    let name = ObjectName { namespace: Arc::clone(namespace), name: Arc::clone(secret) };
    if let Some((found, secret)) = objects.secret(&name) {
        if let Some(certificate) = &secret.certificate {
            validity(found, certificate, inputs, diagnostics);
            return Some(Found { certificate: Arc::clone(certificate), is_gone: false });
        }
        let text =
            format!("Secret `{}` holds no certificate: tls.crt and tls.key are missing", name.name);
        diagnostics.push(finding(Code::SecretWithoutCertificate, object, field.clone(), text));
        return None;
    }
    let tables = &inputs.previous.certificates;
    let mut served = tables.exact.values().chain(tables.wildcard.values());
    if let Some(last) = served.find(|certificate| certificate.secret.as_ref() == Some(&name)) {
        return Some(Found { certificate: Arc::clone(last), is_gone: true });
    }
    diagnostics.push(missing(object, &name, field, objects));
    None
}

fn missing(
    object: &InUse,
    secret: &ObjectName,
    field: &FieldPath,
    objects: &Objects,
) -> Diagnostic {
    let ObjectName { namespace, name } = secret;
    let others = objects.secrets.keys();
    let others = others.filter(|other| other.namespace == *namespace && *other != secret);
    let text = format!("{}: the default certificate serves", objects.lacks_secret(secret));
    let mut found = finding(Code::MissingSecret, object, field.clone(), text);
    found.help = suggestion(name, others.map(|other| &*other.name));
    found
}

/// What is said of a Secret that is gone: whether its last certificate still has a name to serve.
fn gone(
    reference: Reference<'_>,
    table: &BTreeMap<HostPattern, Arc<Certificate>>,
    objects: &Objects,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Reference { object, field, secret, found } = reference;
    let mut served = table.values();
    if served.any(|certificate| certificate.secret.as_ref() == Some(&secret)) {
        let name = &secret.name;
        let text = format!("Secret `{name}` is gone: its last certificate is still served");
        diagnostics.push(finding(Code::SecretGone, object, field, text));
        diagnostics.extend(found);
    } else {
        diagnostics.push(missing(object, &secret, &field, objects));
    }
}

/// Too old or too young is served all the same.
fn validity(
    secret: &InUse,
    certificate: &Certificate,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if certificate.not_after_seconds < now_seconds(inputs) {
        let text = "the certificate has expired; it is still served";
        diagnostics.push(finding(Code::CertificateExpired, secret, "metadata.name", text));
    } else if certificate.not_before_seconds > now_seconds(inputs) {
        let text = "the certificate is not valid yet; it is served all the same";
        diagnostics.push(finding(Code::CertificateNotYetValid, secret, "metadata.name", text));
    }
}

fn covers(names: &[HostPattern], host: &HostPattern) -> bool {
    names.iter().any(|name| match host {
        HostPattern::Exact(host) => name.matches(host),
        other => name == other,
    })
}

/// The table of before, if every host has the certificate that it had.
pub(super) fn share(new: CertificateTable, old: &Arc<CertificateTable>) -> Arc<CertificateTable> {
    let same = |a: &Arc<Certificate>, b: &Arc<Certificate>| Arc::ptr_eq(a, b);
    let equal = |a: &CertificateTable, b: &CertificateTable| {
        let maps = [(&a.exact, &b.exact), (&a.wildcard, &b.wildcard)];
        maps.into_iter().all(|(a, b)| {
            a.len() == b.len()
                && a.iter()
                    .all(|(k, v)| b.get(k).is_some_and(|other| same(v, other)))
        })
    };
    let alone = |new: &Option<Arc<Certificate>>, old: &Option<Arc<Certificate>>| match (new, old) {
        (Some(new), Some(old)) => same(new, old),
        (new, old) => new.is_none() && old.is_none(),
    };
    let default = alone(&new.default, &old.default) && alone(&new.dns, &old.dns);
    if default && equal(&new, old) { Arc::clone(old) } else { Arc::new(new) }
}
