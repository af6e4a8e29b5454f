//! What nothing is found about: annotations of ingress-nginx that are done, paths that it serves otherwise, and
//! the keys of its own ConfigMap, for whoever moves from there (`ingress 3`).
//!
//! Pure. A live load does not ask: what is done needs no word, and settings are portico's own. Whatever is
//! found about an annotation elsewhere says more, so that it has no row here.

mod requests;
mod paths;
mod order;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::quirks::InNginx;
use super::{Objects, classes, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::{FieldPath, FileName};
use crate::model::annotation::PREFIX;
use crate::model::controller_key::{self, Becomes};
use crate::model::{ObjectName, ObjectRef, Settings};
use crate::snapshot::RouteTable;
use crate::validate::{InUse, Kind, snippet_lines};

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

/// File and line of each Ingress.
pub(crate) fn ingress_places(objects: &Objects) -> BTreeMap<ObjectName, (FileName, u32)> {
    let places = objects.ingresses.values().map(|object| {
        let origin = &object.origin;
        (object.valid.name.clone(), (Arc::clone(&origin.file), origin.line()))
    });
    places.collect()
}

/// A row for each key of the controller's ConfigMap; of a snippet for each of its lines.
fn keys(map: &InUse) -> Vec<Diagnostic> {
    let Kind::ConfigMap(data) = &map.valid.kind else { return Vec::new() };
    let field = |key: &str| FieldPath::from("data").key(key);
    let row = |key: &str, (code, text, help): Told| Diagnostic {
        help,
        ..finding(code, map, field(key), text)
    };
    let rows = data.data.iter().flat_map(|(key, value)| {
        let becomes = controller_key::find(key).map(|row| row.becomes);
        let told = match becomes {
            Some(Becomes::Lines) => lines(value),
            becomes => vec![of_key(becomes, value)],
        };
        told.into_iter()
            .map(|told| row(key, told))
            .collect::<Vec<_>>()
    });
    rows.collect()
}

/// What is told of a key, and what takes its place.
type Told = (Code, String, Option<String>);

fn of_key(becomes: Option<Becomes>, value: &str) -> Told {
    let instead = |what: String| Some(format!("instead: {what}"));
    let is_off = value.trim() == "false" || value.trim().is_empty();
    match becomes {
        Some(Becomes::Settings(which)) => {
            let text = "is a setting here".to_owned();
            (Code::AnnotationDiffers, text, instead(format!("setting {which}")))
        }
        Some(Becomes::Annotation(which)) => {
            let text = "is said by each Ingress here".to_owned();
            (Code::AnnotationDiffers, text, instead(format!("annotation {which}")))
        }
        Some(Becomes::Nothing(why)) => {
            (Code::AnnotationSupported, format!("needs nothing: {why}"), None)
        }
        Some(_) if is_off => (Code::AnnotationSupported, "needs nothing".to_owned(), None),
        Some(Becomes::Each(which)) => {
            let text = "is not done for all Ingresses".to_owned();
            (Code::AnnotationRefused, text, instead(format!("annotation {which} on each of them")))
        }
        Some(Becomes::Refused(why)) => {
            (Code::AnnotationRefused, format!("is not done: {why}"), None)
        }
        Some(Becomes::Lines) | None => {
            let text = "is not known: see whether something relies on it".to_owned();
            (Code::AnnotationDiffers, text, None)
        }
    }
}

/// What is told of each line of a snippet, whose text is not repeated.
fn lines(text: &str) -> Vec<Told> {
    let mut told: Vec<Told> = snippet_lines(text)
        .take(MAX_LINES + 1)
        .map(|line| {
            let said = format!("line {}, `{}`: snippets are not read", line.number, line.directive);
            (Code::AnnotationRefused, said, Some(format!("instead: {}", line.instead)))
        })
        .collect();
    if told.len() > MAX_LINES {
        told.truncate(MAX_LINES);
        let text = format!("has over {MAX_LINES} lines: the others are not named");
        told.push((Code::AnnotationRefused, text, None));
    }
    if told.is_empty() {
        told.push((
            Code::AnnotationSupported,
            "needs nothing: no line says anything".to_owned(),
            None,
        ));
    }
    told
}

/// Of one snippet, that are named.
const MAX_LINES: usize = 200;
/// What differs about them is the status alone, which a setting says.
const LIMITS: [&str; 3] = ["limit-connections", "limit-rpm", "limit-rps"];
/// Who is over a limit of ingress-nginx gets it.
const STATUS_THERE: u16 = 503;
