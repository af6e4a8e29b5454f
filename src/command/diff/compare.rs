//! Two snapshots as JSON, compared by name: Services, hosts, certificates, names.
//!
//! Each thing is turned into lines of text that a person understands; lines that differ are the
//! difference. A field that this file does not know is a line of its own, so that nothing which
//! the API shows is passed over. Invariant: pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// One thing that differs.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Change {
    sign: char,
    kind: &'static str,
    name: String,
    gone: Vec<String>,
    new: Vec<String>,
}

/// What is not to be shown as removed.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// These Services, `namespace/name`.
    pub(super) services: BTreeSet<String>,
    /// Anything.
    pub(super) all: bool,
}

impl Change {
    /// `~ Service default/web`.
    pub(super) fn title(&self) -> String {
        format!("{} {} {}", self.sign, self.kind, self.name)
    }

    /// The lines that go, then the lines that come.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let gone = self.gone.iter().map(|line| format!("    - {line}"));
        gone.chain(self.new.iter().map(|line| format!("    + {line}")))
    }

    pub(super) fn json(&self) -> Value {
        let change = match self.sign {
            '+' => "added",
            '-' => "removed",
            _ => "changed",
        };
        json!({
            "change": change,
            "kind": self.kind,
            "name": self.name,
            "removed": self.gone,
            "added": self.new,
        })
    }
}

/// What would change from `running` to `wanted`.
pub(super) fn changes(running: &Value, wanted: &Value, kept: &Kept) -> Vec<Change> {
    let mut changes = Vec::new();
    for (kind, things) in KINDS {
        let (before, after) = (things(running), things(wanted));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let change = change(kind, name, before.get(name), after.get(name));
            let stays = |change: &Change| {
                let named = kind == "Service" && kept.services.contains(name);
                change.sign == '-' && (kept.all || named)
            };
            changes.extend(change.filter(|change| !stays(change)));
        }
    }
    changes
}

type Lines = BTreeSet<String>;
type Things = BTreeMap<String, Lines>;
/// A kind of thing, and how its things are read from a snapshot.
type Kind = (&'static str, fn(&Value) -> Things);

/// What is compared, in the order in which it is shown.
const KINDS: [Kind; 5] = [
    ("Service", services),
    ("host", hosts),
    ("certificate", certificates),
    ("name", names),
    ("zone", zones),
];

fn change(
    kind: &'static str,
    name: &str,
    before: Option<&Lines>,
    after: Option<&Lines>,
) -> Option<Change> {
    let empty = Lines::new();
    let (old, new) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
    let sign = match (before, after) {
        (None, _) => '+',
        (_, None) => '-',
        _ if old == new => return None,
        _ => '~',
    };
    let only = |these: &Lines, those: &Lines| these.difference(those).cloned().collect();
    let (gone, new) = (only(old, new), only(new, old));
    Some(Change { sign, kind, name: name.to_owned(), gone, new })
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
}

fn services(snapshot: &Value) -> Things {
    let lines = |service: &Map<String, Value>| {
        let mut lines: Lines = rest(service, &["namespace", "name", "ports"]).collect();
        for port in service
            .get("ports")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let port_name = format!("{}/{}", plain(&port["port"]), plain(&port["protocol"]));
            let Some(port) = port.as_object() else { continue };
            lines.insert(format!("port {port_name}"));
            let known = ["port", "protocol", "endpoints"];
            lines.extend(rest(port, &known).map(|line| format!("port {port_name}: {line}")));
            let endpoints = port.get("endpoints").and_then(Value::as_array);
            for endpoint in endpoints.into_iter().flatten().filter_map(Value::as_object) {
                lines.insert(format!("port {port_name} to {}", self::endpoint(endpoint)));
            }
        }
        lines
    };
    list(snapshot, "services")
        .map(|service| {
            let text = |key: &str| service.get(key).map(plain).unwrap_or_default();
            (format!("{}/{}", text("namespace"), text("name")), lines(service))
        })
        .collect()
}

/// `10.0.0.1:80 (not ready, pod web-1)`.
fn endpoint(endpoint: &Map<String, Value>) -> String {
    let address = endpoint.get("address").map(plain).unwrap_or_default();
    let notes: Vec<String> = endpoint
        .iter()
        .filter_map(|(key, value)| match (&**key, value) {
            ("address" | "usable", _) | (_, Value::Null) => None,
            ("ready" | "serving", Value::Bool(true)) => None,
            ("ready" | "serving", Value::Bool(false)) => Some(format!("not {key}")),
            (_, Value::Bool(false)) => None,
            (key, Value::Bool(true)) => Some(key.to_owned()),
            (key, value) => Some(format!("{key} {}", plain(value))),
        })
        .collect();
    if notes.is_empty() { address } else { format!("{address} ({})", notes.join(", ")) }
}

fn hosts(snapshot: &Value) -> Things {
    let lines = |host: &Map<String, Value>| {
        let known = ["host", "locations", "defaultPolicy", "clients", "tls"];
        let mut lines: Lines = rest(host, &known).collect();
        lines.extend(asked(host, "defaultPolicy").map(|line| format!("default: {line}")));
        lines.extend(asked(host, "clients").map(|line| format!("clients: {line}")));
        lines.extend(asked(host, "tls").map(|line| format!("TLS: {line}")));
        let locations = host.get("locations").and_then(Value::as_array);
        for location in locations.into_iter().flatten().filter_map(Value::as_object) {
            let text = |key: &str| location.get(key).map(plain).unwrap_or_default();
            let place = format!("{} {}", text("pathType"), text("path"));
            lines.insert(format!("{place} to {}", text("backend")));
            let known = ["path", "pathType", "backend", "policy", "canary"];
            lines.extend(rest(location, &known).map(|line| format!("{place}: {line}")));
            lines.extend(asked(location, "policy").map(|line| format!("{place}: {line}")));
            if let Some(canary) = location.get("canary").and_then(Value::as_object) {
                let parts = rest(canary, &["rule", "policy"]);
                let parts = parts
                    .chain(asked(canary, "rule"))
                    .chain(asked(canary, "policy"));
                lines.extend(parts.map(|line| format!("{place}: canary: {line}")));
            }
        }
        lines
    };
    named(snapshot, "routes", "host", lines)
}

fn certificates(snapshot: &Value) -> Things {
    let lines = |certificate: &Map<String, Value>| rest(certificate, &["host"]).collect();
    named(snapshot, "certificates", "host", lines)
}

fn names(snapshot: &Value) -> Things {
    let zones = snapshot.get("zones").unwrap_or(&Value::Null);
    named(zones, "hosts", "host", |record| rest(record, &["host"]).collect())
}

/// What all names have in common; the serial counts changes and is none itself.
fn zones(snapshot: &Value) -> Things {
    let zones = snapshot.get("zones").and_then(Value::as_object);
    let lines = |zones: &Map<String, Value>| rest(zones, &["hosts", "serial"]).collect();
    zones
        .map(|zones| ("settings".to_owned(), lines(zones)))
        .into_iter()
        .collect()
}

fn named(
    value: &Value,
    key: &str,
    name: &str,
    lines: impl Fn(&Map<String, Value>) -> Lines,
) -> Things {
    list(value, key)
        .map(|thing| (thing.get(name).map(plain).unwrap_or_default(), lines(thing)))
        .collect()
}

/// What annotations ask, a line for each: `allowlist-source-range 10.0.0.0/8`.
fn asked<'a>(thing: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = String> + 'a {
    let asked = thing.get(key).and_then(Value::as_object);
    asked.into_iter().flat_map(|asked| rest(asked, &[]))
}

/// `key value` for every other field that says something.
fn rest<'a>(thing: &'a Map<String, Value>, known: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    };
    thing
        .iter()
        .filter(move |(key, value)| !known.contains(&key.as_str()) && says(value))
        .map(|(key, value)| format!("{key} {}", plain(value)))
}

/// A value as a person would write it: no quotes, no brackets around one thing.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let fields = map.iter().filter(|(_, value)| !value.is_null());
            let fields = fields.map(|(key, value)| format!("{key} {}", plain(value)));
            fields.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(endpoint: &str, ready: bool, path: &str, serial: u64) -> Value {
        json!({
            "generation": serial,
            "services": [{
                "namespace": "default", "name": "web", "kind": "ClusterIP",
                "addresses": ["127.96.0.9"], "externalName": null,
                "ports": [{
                    "name": "", "protocol": "TCP", "port": 80, "nodePort": null,
                    "endpoints": [{
                        "address": endpoint, "ready": ready, "serving": true,
                        "terminating": false, "usable": ready, "pod": "web-1", "node": null
                    }]
                }]
            }],
            "routes": [{"host": "web.test", "defaultBackend": null, "locations": [{
                "path": path, "pathType": "Prefix", "ingress": "default/i",
                "backend": {"service": "default/web:/TCP"}
            }]}],
            "certificates": [],
            "zones": {"hosts": [{"host": "web.test", "addresses": ["127.0.0.1"]}], "serial": serial}
        })
    }

    fn text(running: &Value, wanted: &Value, kept: &Kept) -> String {
        let mut text = String::new();
        for change in changes(running, wanted, kept) {
            text += &format!("{}\n", change.title());
            change.lines().for_each(|line| text += &format!("{line}\n"));
        }
        text
    }

    #[test]
    fn what_differs_is_shown_by_name_and_line() {
        let one = snapshot("127.0.0.1:81", true, "/", 1);
        let none = json!({"services": [], "zones": {}});
        let added = "+ Service default/web\n    + addresses 127.96.0.9\n    + kind ClusterIP\n    + \
                     port 80/TCP\n    + port 80/TCP to 127.0.0.1:81 (pod web-1)\n+ host web.test\n    \
                     + Prefix / to service default/web:/TCP\n    + Prefix /: ingress default/i\n+ \
                     name web.test\n    + addresses 127.0.0.1\n";
        for (case, before, after, want) in [
            ("nothing but the serial", &one, &snapshot("127.0.0.1:81", true, "/", 2), String::new()),
            ("all is new", &none, &one, added.to_owned()),
            ("all goes", &one, &none, added.replace('+', "-")),
            (
                "an endpoint and a path",
                &one,
                &snapshot("127.0.0.1:82", false, "/shop", 2),
                "~ Service default/web\n    - port 80/TCP to 127.0.0.1:81 (pod web-1)\n    + port \
                 80/TCP to 127.0.0.1:82 (pod web-1, not ready)\n~ host web.test\n    - Prefix / to \
                 service default/web:/TCP\n    - Prefix /: ingress default/i\n    + Prefix /shop to \
                 service default/web:/TCP\n    + Prefix /shop: ingress default/i\n"
                    .to_owned(),
            ),
        ] {
            assert_eq!(text(before, after, &Kept::default()), want, "{case}");
        }
    }

    #[test]
    fn what_annotations_ask_is_a_line_each() {
        let of = |policy: Value| {
            json!({ "routes": [{
                "host": "web.test",
                "defaultPolicy": policy,
                "clients": null,
                "locations": [{
                    "path": "/", "pathType": "Prefix", "backend": {"service": "default/web:/TCP"},
                    "policy": policy,
                    "canary": {"ingress": "default/c", "rule": policy, "policy": {}},
                }],
            }] })
        };
        let (before, after) =
            (of(json!({"limit-rps": 5})), of(json!({"limit-rps": 6, "a": ["b", "c"]})));
        let want = "~ host web.test\n    - Prefix /: canary: limit-rps 5\n    - Prefix /: limit-rps 5\n    \
                    - default: limit-rps 5\n    + Prefix /: a b, c\n    + Prefix /: canary: a b, c\n    \
                    + Prefix /: canary: limit-rps 6\n    + Prefix /: limit-rps 6\n    + default: a b, c\n    \
                    + default: limit-rps 6\n";
        assert_eq!(text(&before, &after, &Kept::default()), want);
    }

    #[test]
    fn what_is_refused_is_not_shown_as_removed() {
        let one = snapshot("127.0.0.1:81", true, "/", 1);
        let none = json!({"zones": {}});
        let web = Kept { services: BTreeSet::from(["default/web".to_owned()]), all: false };
        assert!(!text(&one, &none, &web).contains("Service"));
        assert!(text(&one, &none, &web).contains("- host web.test"));
        assert_eq!(text(&one, &none, &Kept { all: true, ..Kept::default() }), "");
    }
}
