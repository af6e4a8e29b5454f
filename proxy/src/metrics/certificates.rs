//! Until when certificates of Secrets are good (`http-proxy 7.5`, `http-proxy 9.4`).

use std::collections::BTreeMap;

use portico_config::model::ObjectName;
use portico_config::snapshot::CertificateTable;
use prometheus::{IntGaugeVec, Opts, Registry};

/// Registers a series for each Secret whose certificate some name gets, for those that end first.
pub(super) fn count(table: &CertificateTable, registry: &Registry) -> prometheus::Result<()> {
    let ends = IntGaugeVec::new(
        Opts::new(
            "portico_l7_certificate_expiry_timestamp_seconds",
            "When the certificate of a Secret ends.",
        ),
        &["namespace", "secret"],
    )?;
    registry.register(Box::new(ends.clone()))?;
    for (end, secret) in of_secrets(table).into_iter().take(MAX_SERIES) {
        ends.with_label_values(&[&*secret.namespace, &*secret.name])
            .set(end);
    }
    Ok(())
}

/// The end of each Secret's certificate, in seconds since 1970; the first is first.
fn of_secrets(table: &CertificateTable) -> Vec<(i64, &ObjectName)> {
    let named = table.exact.values().chain(table.wildcard.values());
    let all = named.chain(&table.dns).chain(&table.default);
    let of_secret = all.filter_map(|it| Some((it.secret.as_ref()?, it.not_after_seconds)));
    let once: BTreeMap<&ObjectName, i64> = of_secret.collect();
    let mut ends: Vec<_> = once
        .into_iter()
        .map(|(secret, end)| (end, secret))
        .collect();
    ends.sort_unstable();
    ends
}

/// Secrets with a series of their own (`http-proxy 9.5`).
const MAX_SERIES: usize = 1_000;
