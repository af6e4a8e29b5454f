//! `portico explain http://HOST/PATH`: what becomes of a request, by manifests or by the portico that
//! runs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use portico_proxy::{Ground, Imagined};
use serde_json::Value;

use super::super::fetch;
use super::flow::Asker;
use super::name::encoded;
use crate::cli::{ExplainArgs, LogArgs, RequestQuestion};
use crate::routing;

/// The answer to one question, else why there is none.
pub(super) fn ask(
    arguments: &ExplainArgs,
    question: &RequestQuestion,
    log: &LogArgs,
) -> Result<Value, String> {
    let mut asker = Asker::new(log);
    let settings = asker.settings(&arguments.serve)?;
    let from = arguments.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let method = arguments.method.as_deref().unwrap_or("GET");
    let asked = (method, &*question.url);
    let imagined: Imagined = routing::imagined(asked, &arguments.headers, from)?;
    if question.paths.is_empty() {
        let admin = settings.admin.first().copied();
        let admin = admin.ok_or("--admin off: name a PATH, or the --admin of a portico")?;
        let (url, method) = (encoded(&question.url), encoded(method));
        let mut query = format!("url={url}&method={method}&from={from}");
        for header in &arguments.headers {
            query.push_str(&format!("&header={}", encoded(header)));
        }
        return fetch::get(fetch::reachable(admin), &format!("/api/v1/explain?{query}"));
    }
    let (door, makes_certificates) = (settings.front_door.clone(), settings.dev_tls);
    let snapshot = asker.snapshot(&question.paths, settings)?;
    let out = BTreeSet::new();
    let ground = Ground { snapshot: &snapshot, door: &door, makes_certificates, out: &out };
    Ok(routing::json(&portico_proxy::explain(&ground, &imagined), &imagined))
}
