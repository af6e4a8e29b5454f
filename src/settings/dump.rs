//! `portico config dump`: what counts, as a settings file that can be read again, or as JSON.

use serde_json::{Value, json};

use super::kind::Kind;
use super::{Effective, Setting};
use crate::telemetry::escape;

/// A `PorticoConfiguration`; behind each value stands where it is from.
pub(crate) fn yaml(effective: &Effective) -> String {
    let mut text = format!(
        "apiVersion: {}\nkind: {}\n",
        portico_config::settings::API_VERSION,
        portico_config::settings::KIND
    );
    let mut sections: Vec<(&str, String)> = Vec::new();
    for (setting, origin) in effective.iter() {
        let value = value(setting, &setting.kind.show(&effective.options));
        let origin = escape(&origin.to_string());
        match setting.key.split_once('.') {
            None => text.push_str(&format!("{}: {value} # {origin}\n", setting.key)),
            Some((section, name)) => {
                let line = format!("  {name}: {value} # {origin}\n");
                match sections.iter_mut().find(|(known, _)| *known == section) {
                    Some((_, lines)) => lines.push_str(&line),
                    None => sections.push((section, line)),
                }
            }
        }
    }
    for (section, lines) in sections {
        text.push_str(&format!("{section}:\n{lines}"));
    }
    text
}

/// A list of `{key, value, origin}`.
pub(crate) fn json(effective: &Effective) -> Value {
    let one = |(setting, origin): (&'static Setting, _)| {
        let items = setting.kind.show(&effective.options);
        let value = match (&setting.kind, &items[..]) {
            (kind, items) if kind.is_list() => json!(items),
            (_, []) => Value::Null,
            (kind, [item, ..]) if is_bare(kind) => {
                serde_json::from_str(item).unwrap_or_else(|_| json!(item))
            }
            (_, [item, ..]) => json!(item),
        };
        json!({ "key": setting.key, "value": value, "origin": format!("{origin}") })
    };
    effective.iter().map(one).collect()
}

/// A value as YAML, on one line.
fn value(setting: &Setting, items: &[String]) -> String {
    let scalar = |item: &String| match is_bare(&setting.kind) {
        true => item.clone(),
        false => quoted(item),
    };
    match items {
        items if setting.kind.is_list() => {
            let scalars: Vec<_> = items.iter().map(scalar).collect();
            format!("[{}]", scalars.join(", "))
        }
        [] => "null".to_owned(),
        [item, ..] => scalar(item),
    }
}

/// Whether values are numbers or switches, or a number with its unit, which no YAML takes for
/// something else.
fn is_bare(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Switch(_) | Kind::Seconds(..) | Kind::Count(..) | Kind::Bytes(..) | Kind::Time(..)
    )
}

/// A text that YAML reads as that text; quoted unless it is a plain word.
fn quoted(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'/' | b'_');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_plain);
    let is_taken = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    // JSON's quoted texts are YAML's.
    if is_word && !is_taken { text.to_owned() } else { json!(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::effective::resolve;
    use super::super::table::keys;
    use super::*;
    use portico_config::settings::Document;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn read(text: &str) -> Effective {
        let path = Arc::new(PathBuf::from("a b.yaml"));
        let document = Document::read(&path, text.as_bytes(), &keys()).unwrap();
        resolve(&[], Some((&path, &document))).unwrap()
    }

    #[test]
    fn a_dump_is_a_settings_file_that_says_the_same() {
        let head = "apiVersion: portico.dev/v1alpha1\nkind: PorticoConfiguration\n";
        for body in [
            "",
            "http: off\nhttps: ['[::1]:443', 0.0.0.0:444]\ndns: {listen: [], ttl: 0}\n\
             aliasZone: off\nnodeName: 'off'\nstateDir: '/var/lib/a # b'\nlogFormat: json\n\
             logLevel: 'info,portico_dns=debug'\nclusterDomain: ['no']\nserviceCidr: [fd00::/108]\n\
             clusterIps: keep\nnodeAddress: [192.0.2.1, '::1']\ndrainTimeout: 1500ms\n\
             ingress: {controllers: [], classNames: ['true', '1'], serveClassless: false}\n\
             limits: {maxFileBytes: 1000, maxTotalBytes: 1Gi, maxFiles: 7}\n",
            "stateDir: off\n",
            "probes: on\nexecProbe: unready\n",
        ] {
            let first = read(&format!("{head}{body}"));
            let dump = yaml(&first);
            assert_eq!(read(&dump).options, first.options, "{dump}");
        }
    }

    #[test]
    fn each_line_names_where_its_value_is_from() {
        let dump = yaml(&read(
            "apiVersion: portico.dev/v1alpha1\nkind: PorticoConfiguration\ndns: {ttl: 7}\n",
        ));
        for line in [
            "http: [\"127.0.0.1:8080\"] # default",
            "nodeName: null # default",
            "  ttl: 7 # a b.yaml:3:12",
        ] {
            assert!(dump.lines().any(|got| got == line), "{line} in\n{dump}");
        }
    }

    #[test]
    fn json_has_every_setting_with_its_type() {
        let effective = read("apiVersion: portico.dev/v1alpha1\nkind: PorticoConfiguration\n");
        let list = json(&effective);
        let find = |key: &str| {
            let mut all = list.as_array().unwrap().iter();
            all.find(|it| it["key"] == key).unwrap().clone()
        };
        assert_eq!(list.as_array().unwrap().len(), keys().len());
        assert_eq!(find("dns.ttl"), json!({"key": "dns.ttl", "value": 5, "origin": "default"}));
        assert_eq!(find("http")["value"], json!(["127.0.0.1:8080"]));
        assert_eq!(find("nodeName")["value"], Value::Null);
        assert_eq!(find("ingress.serveClassless")["value"], json!(true));
        assert_eq!(find("limits.maxFileBytes")["value"], json!("64Mi"));
    }
}
