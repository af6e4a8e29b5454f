//! `portico explain dns NAME`: what the resolver says, and why; over manifests, or of the portico that runs.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use portico_config::snapshot::Snapshot;
use portico_dns::Asking;
use serde_json::Value;

use super::super::fetch;
use super::flow::Asker;
use crate::cli::{ExplainArgs, LogArgs, NameQuestion};
use crate::naming;

/// The answer to one question, else why there is none.
pub(super) fn ask(
    arguments: &ExplainArgs,
    question: &NameQuestion,
    log: &LogArgs,
) -> Result<Value, String> {
    let mut asker = Asker::new(log);
    let settings = asker.settings(&arguments.serve)?;
    let from = arguments.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if question.paths.is_empty() {
        let admin = settings.admin.first().copied();
        let admin = admin.ok_or("--admin off: name a PATH, or the --admin of a portico")?;
        let (name, kind) = (encoded(&question.name), question.kind);
        let query = format!("name={name}&type={kind}&from={from}");
        return fetch::get(fetch::reachable(admin), &format!("/api/v1/explain?{query}"));
    }
    let snapshot: Arc<Snapshot> = asker.snapshot(&question.paths, settings.clone())?;
    let asking = Asking { name: &question.name, kind: question.kind, from };
    let found = portico_dns::explain(&snapshot, &settings, asking)
        .ok_or_else(|| format!("{}: is no name", question.name))?;
    naming::json(&found, asking)
}

/// A name as a part of a query.
pub(super) fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                text.push(char::from(byte));
            }
            // Writing to memory does not fail.
            byte => _ = write!(text, "%{byte:02X}"),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_part_of_the_query() {
        assert_eq!(encoded("_http._tcp.Web-1"), "_http._tcp.Web-1");
        assert_eq!(encoded("a b&type=1#é"), "a%20b%26type%3D1%23%C3%A9");
    }
}
