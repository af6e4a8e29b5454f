//! What some clients are answered otherwise (`dns 4.7`): records for networks, each with a table of its own.
//!
//! ```text
//! draft's table ─▶ records for everybody ─▶ table
//!              └─▶ those, and in their place the records of a network and of wider ones ─▶ its view
//! ```
//!
//! A client sees the view of the narrowest network that it is in. Invariants: pure; views share all that
//! their records do not touch; without such records a look-up costs a look at an empty list.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use portico_config::model::StaticRecord;

use crate::statics;
use crate::table::AnswerTable;
use crate::zones::ZoneNames;

/// The views of a table, those of narrower networks first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Views(Arc<[(IpNet, Arc<AnswerTable>)]>);

impl Views {
    /// Those that `records` make of `table`, which holds no record of settings yet.
    pub(crate) fn new(table: &AnswerTable, records: &[StaticRecord], numbers: &ZoneNames) -> Self {
        let mut networks: Vec<IpNet> = records.iter().filter_map(|record| record.view).collect();
        networks.sort_by(|a, b| b.prefix_len().cmp(&a.prefix_len()).then_with(|| a.cmp(b)));
        networks.dedup();
        let view = |network: IpNet| {
            let mut view = table.clone();
            statics::lay(&seen_from(Some(network), records), &mut view);
            view.numbers = numbers.number(&network.to_string(), &view.zones);
            (network, Arc::new(view))
        };
        Self(networks.into_iter().map(view).collect())
    }

    /// What `client` sees, where that is a view.
    pub(crate) fn of(&self, client: IpAddr) -> Option<&Arc<AnswerTable>> {
        if self.0.is_empty() {
            return None;
        }
        let client = client.to_canonical();
        let found = self.0.iter().find(|(network, _)| network.contains(&client));
        found.map(|(_, table)| table)
    }
}

impl AnswerTable {
    /// What answers `client`.
    pub(crate) fn seen_by(&self, client: IpAddr) -> &Self {
        self.views.of(client).map_or(self, |view| view)
    }
}

/// The records that count in a network, or for everybody: of those of one name the narrowest.
pub(crate) fn seen_from(
    network: Option<IpNet>,
    records: &[StaticRecord],
) -> Cow<'_, [StaticRecord]> {
    if records.iter().all(|record| record.view.is_none()) {
        return records.into();
    }
    let counts = |record: &&StaticRecord| match (record.view, network) {
        (None, _) => true,
        (Some(view), Some(network)) => view.contains(&network),
        (Some(_), None) => false,
    };
    let rank = |record: &StaticRecord| {
        record
            .view
            .map_or(0, |view| 1 + u32::from(view.prefix_len()))
    };
    let mut narrowest: HashMap<&str, u32> = HashMap::new();
    for record in records.iter().filter(counts) {
        let known = narrowest.entry(&record.name).or_default();
        *known = rank(record).max(*known);
    }
    let is_narrowest = |record: &&StaticRecord| narrowest.get(&*record.name) == Some(&rank(record));
    let seen = records.iter().filter(counts).filter(is_narrowest);
    seen.cloned().collect::<Vec<_>>().into()
}
