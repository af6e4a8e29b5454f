//! Which certificate each host gets (`ingress 1.6`).
//!
//! The first Ingress in object order with a `tls` entry for a host decides. A Secret that is
//! missing, or whose certificate does not cover the host, gives the default certificate and a
//! warning, never plaintext. A Secret that was served and is gone keeps serving its last
//! certificate until the process ends (`reliability 2.6.6`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ingress::{Owned, aliases};
use super::{Inputs, Objects, finding, suggestion};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{Certificate, HostPattern, ObjectName};
use crate::snapshot::CertificateTable;
use crate::validate::{InUse, Kind, Secret};

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
    let diagnostics = &mut memory.diagnostics;
    let mut hosts: BTreeMap<HostPattern, Arc<Certificate>> = BTreeMap::new();
    for (object, ingress) in owned {
        for (index, entry) in ingress.tls.iter().enumerate() {
            let field = FieldPath::from("spec.tls").index(index);
            let Some(secret) = &entry.secret else { continue };
            let field = field.key("secretName");
            let Some((certificate, names)) =
                find(object, secret, &field, objects, inputs, diagnostics)
            else {
                continue;
            };
            let wanted = if entry.hosts.is_empty() { &names } else { &entry.hosts };
            for host in wanted {
                if !entry.hosts.is_empty() && !names.is_empty() && !covers(&names, host) {
                    let text = format!("the certificate of Secret `{secret}` is not for {host}");
                    diagnostics.push(finding(
                        Code::CertificateForOtherHost,
                        object,
                        field.clone(),
                        text,
                    ));
                    continue;
                }
                let alias = match host {
                    HostPattern::Exact(name) => aliases(name, inputs.settings),
                    _ => Vec::new(),
                };
                for host in [host.clone()].into_iter().chain(alias) {
                    hosts
                        .entry(host)
                        .or_insert_with(|| Arc::clone(&certificate));
                }
            }
        }
    }
    let mut table = CertificateTable {
        default: Some(Arc::clone(inputs.default_certificate)),
        ..CertificateTable::default()
    };
    for (host, certificate) in hosts {
        match host {
            HostPattern::Exact(name) => drop(table.exact.insert(name, certificate)),
            HostPattern::Wildcard(suffix) => drop(table.wildcard.insert(suffix, certificate)),
            HostPattern::Any => {}
        }
    }
    memory.next_turn_seconds = next_turn(&table, inputs);
    table
}

/// When the next of the served certificates begins to be valid or expires.
fn next_turn(table: &CertificateTable, inputs: &Inputs<'_>) -> i64 {
    let now = now_seconds(inputs);
    let all = table.exact.values().chain(table.wildcard.values());
    // The last second before each change.
    let turns = all.flat_map(|certificate| {
        [certificate.not_before_seconds.saturating_sub(1), certificate.not_after_seconds]
    });
    turns.filter(|turn| *turn >= now).min().unwrap_or(i64::MAX)
}

fn now_seconds(inputs: &Inputs<'_>) -> i64 {
    i64::try_from(inputs.now_seconds).unwrap_or(i64::MAX)
}

/// The certificate of a Secret and the names that it is for.
fn find(
    object: &InUse,
    secret: &Arc<str>,
    field: &FieldPath,
    objects: &Objects,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(Arc<Certificate>, Vec<HostPattern>)> {
    let namespace = &object.valid.name.namespace;
    let name = ObjectName { namespace: Arc::clone(namespace), name: Arc::clone(secret) };
    if let Some(found) = objects.secrets.get(&name) {
        if let Kind::Secret(Secret { certificate: Some(certificate), hosts, .. }) =
            &found.valid.kind
        {
            validity(found, certificate, inputs, diagnostics);
            return Some((Arc::clone(certificate), hosts.clone()));
        }
        let text =
            format!("Secret `{secret}` holds no certificate: tls.crt and tls.key are missing");
        diagnostics.push(finding(Code::SecretWithoutCertificate, object, field.clone(), text));
        return None;
    }
    let tables = &inputs.previous.certificates;
    let mut served = tables.exact.values().chain(tables.wildcard.values());
    if let Some(last) = served.find(|certificate| certificate.secret.as_ref() == Some(&name)) {
        let text = format!("Secret `{secret}` is gone: its last certificate is still served");
        diagnostics.push(finding(Code::SecretGone, object, field.clone(), text));
        return Some((Arc::clone(last), Vec::new()));
    }
    let names = objects
        .secrets
        .keys()
        .filter(|other| other.namespace == *namespace);
    let text =
        format!("no Secret `{secret}` in namespace {namespace}: the default certificate serves");
    let mut found = finding(Code::MissingSecret, object, field.clone(), text);
    found.help = suggestion(secret, names.map(|name| &*name.name));
    diagnostics.push(found);
    None
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
    let default = match (&new.default, &old.default) {
        (Some(new), Some(old)) => same(new, old),
        (new, old) => new.is_none() && old.is_none(),
    };
    if default && equal(&new, old) { Arc::clone(old) } else { Arc::new(new) }
}
