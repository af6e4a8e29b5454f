//! What nothing is found about: annotations of ingress-nginx that are done, paths that it serves otherwise, and
//! the keys of its own ConfigMap, for whoever moves from there (`ingress 3`).
//!
//! Pure. A live load does not ask: what is done needs no word, and settings are portico's own. Whatever is
//! found about an annotation elsewhere says more, so that it has no row here.

mod requests;
mod paths;
mod order;

use std::collections::HashSet;

use super::quirks::InNginx;
use super::{Objects, classes, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::controller_key::{self, Becomes};
use crate::model::{ObjectRef, Settings};
use crate::snapshot::RouteTable;
use crate::validate::{InUse, Kind};

/// A row for each annotation of an Ingress of ours that `found` says nothing of, for each path, and each host of
/// `table`, that is served otherwise, and for each key of the controller's ConfigMap.
pub(crate) fn rows(
    objects: &Objects,
    settings: &Settings,
    table: &RouteTable,
    found: &[Diagnostic],
) -> Vec<Diagnostic> {
    let told: HashSet<(&ObjectRef, &str)> = found
        .iter()
        .filter_map(|it| Some((it.object.as_ref()?, it.annotation()?)))
        .collect();
    let is_usual = settings.front_door.limit_status != STATUS_THERE;
    let mut rows = Vec::new();
    let owned = classes::owned(objects, settings, &mut Vec::new());
    for (object, ingress) in &owned {
        for named in &ingress.annotations.named {
            let key = format!("{PREFIX}{}", named.name);
            if told.contains(&(&object.object, &*key)) {
                continue;
            }
            let shown = is_usual || !LIMITS.contains(&named.name);
            let (code, text) = match named.differs.filter(|_| shown) {
                Some(how) => (Code::AnnotationDiffers, how),
                None => (Code::AnnotationSupported, "is served as by ingress-nginx"),
            };
            let field = FieldPath::from("metadata.annotations").key(&key);
            rows.push(finding(code, object, field, text));
        }
    }
    let there = InNginx::new(&owned, settings.front_door.nginx_quirks);
    rows.extend(paths::rows(&owned, |host| there.of(host)));
    rows.extend(order::rows(&owned, table, |host| there.of(host)));
    let maps = objects.config_maps.values();
    let controllers = maps.filter(|map| controller_key::is_controllers(&map.valid.name.name));
    rows.extend(controllers.flat_map(|map| keys(map)));
    rows
}

/// A row for each key of the controller's ConfigMap.
fn keys(map: &InUse) -> Vec<Diagnostic> {
    let Kind::ConfigMap(data) = &map.valid.kind else { return Vec::new() };
    let keys = data.data.iter().map(|(key, value)| {
        let instead = |what: &str| format!("instead: {what}");
        let (code, text, help) = match controller_key::find(key).map(|row| row.becomes) {
            Some(Becomes::Settings(which)) => {
                let text = "is a setting here".to_owned();
                (Code::AnnotationDiffers, text, Some(instead(&format!("setting {which}"))))
            }
            Some(Becomes::Annotation(which)) => {
                let text = "is said by each Ingress here".to_owned();
                (Code::AnnotationDiffers, text, Some(instead(&format!("annotation {which}"))))
            }
            Some(Becomes::Nothing(why)) => {
                (Code::AnnotationSupported, format!("needs nothing: {why}"), None)
            }
            Some(Becomes::Refused(_)) if value.trim() == "false" || value.trim().is_empty() => {
                (Code::AnnotationSupported, "needs nothing".to_owned(), None)
            }
            Some(Becomes::Refused(why)) => (
                Code::AnnotationRefused,
                "is not done for all Ingresses".to_owned(),
                Some(instead(why)),
            ),
            None => {
                let text = "is not known: see whether something relies on it".to_owned();
                (Code::AnnotationDiffers, text, None)
            }
        };
        let mut row = finding(code, map, FieldPath::from("data").key(key), text);
        row.help = help;
        row
    });
    keys.collect()
}

/// What differs about them is the status alone, which a setting says.
const LIMITS: [&str; 3] = ["limit-connections", "limit-rpm", "limit-rps"];
/// Who is over a limit of ingress-nginx gets it.
const STATUS_THERE: u16 = 503;
