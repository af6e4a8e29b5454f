//! What two snapshots of the same manifests have in common, whichever way they came about.
//!
//! Invariant: whatever a snapshot says to planes and to the next compilation is compared, but for
//! generation, serial and portico's own default certificate, which say nothing of the manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use portico_config::diagnostic::Code;
use portico_config::model::Settings;
use portico_config::pipeline::{Pipeline, Update};
use portico_config::snapshot::Snapshot;
use portico_config::source::Changes;

/// Everything that manifests and assignments decide, as text: what differs can be read.
pub(crate) fn content(snapshot: &Snapshot) -> String {
    let mut zones = (*snapshot.zones).clone();
    zones.serial = 0;
    let tables = [&snapshot.certificates.exact, &snapshot.certificates.wildcard];
    let certificates = tables.map(|table| {
        let named = table.iter().map(|(host, certificate)| {
            let leaf = certificate.key.cert.first().map(|leaf| leaf.len());
            let until = certificate.not_after_seconds;
            (Arc::clone(host), (certificate.secret.clone(), leaf, until))
        });
        named.collect::<BTreeMap<_, _>>()
    });
    let Snapshot { services, fronts, unbound, health_checks, cluster, assignments, .. } = snapshot;
    let hosts = snapshot.routes.hosts();
    let addresses =
        format!("{fronts:#?}{unbound:#?}{health_checks:?}{assignments:#?}\n{cluster:?}\n");
    format!("{services:#?}{addresses}{hosts:#?}{certificates:#?}{zones:#?}")
}

/// What is wrong now, but for what only the compilation that moved something can say.
pub(crate) fn lasting(update: &Update) -> Vec<String> {
    let found = update.diagnostics.iter();
    found
        .filter(|found| found.code != Code::Evicted)
        .map(|found| format!("{found:?}"))
        .collect()
}

/// Compiles everything anew and holds it against `update`, which was compiled for a change alone.
pub(crate) fn assert_whole(
    pipeline: &mut Pipeline,
    settings: &Arc<Settings>,
    update: &Update,
    when: &str,
) {
    pipeline.reconfigure(Arc::clone(settings));
    let whole = pipeline.apply(Changes::default(), 1);
    pretty(&content(&update.snapshot), &content(&whole.snapshot), when);
    pretty(&lasting(update).join("\n"), &lasting(&whole).join("\n"), when);
    assert!(!whole.changed, "{when}: the parts are the same Arcs");
}

/// Asserts that two texts are equal, and shows the first line that is not.
pub(crate) fn pretty(left: &str, right: &str, when: &str) {
    if left != right {
        let mut lines = left.lines().zip(right.lines()).enumerate();
        let first = lines.find(|(_, (left, right))| left != right);
        let (left, right) = (left.lines().count(), right.lines().count());
        panic!("{when}: {left} and {right} lines, first different: {first:#?}");
    }
}
