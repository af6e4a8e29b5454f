//! Ingresses as a table: a line for each path, columns as wide as they need to be, as `kubectl get` prints.
//!
//! Pure. A value that is missing is `-`, so that each line has every column; reasons, which have blanks, come last.

use serde_json::Value;

/// The lines, with the names of the columns first; none where there is nothing to show.
pub(super) fn lines(ingresses: &[&Value], is_wide: bool) -> Vec<String> {
    let rows: Vec<Row> = ingresses.iter().flat_map(|ingress| rows(ingress)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let columns: Vec<usize> = (0..COLUMNS.len())
        .filter(|&at| is_wide || !COLUMNS[at].1)
        .collect();
    let name = |at: usize| COLUMNS[at].0.to_owned();
    let all: Vec<Row> = std::iter::once(std::array::from_fn(name))
        .chain(rows)
        .collect();
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max();
    let widths: Vec<usize> = columns
        .iter()
        .map(|&at| width(at).unwrap_or_default())
        .collect();
    let line = |row: &Row| {
        let cells = columns.iter().zip(&widths);
        let cells = cells.map(|(&at, &width)| format!("{:width$}", row[at]));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

/// A cell for each of [`COLUMNS`].
type Row = [String; COLUMNS.len()];

/// A row for each location of an Ingress; one that is left, or has none, is a row all the same.
fn rows(ingress: &Value) -> Vec<Row> {
    let of = |key: &str| text(&ingress[key]);
    let addresses = addresses(&ingress["status"]["loadBalancer"]["ingress"]);
    let row = |location: &Value, state: String| -> Row {
        let at = |key: &str| text(&location[key]);
        let path = match (&location["host"], &location["path"]) {
            (Value::String(_), Value::Null) => "(rest)".to_owned(),
            (_, path) => text(path),
        };
        [
            of("namespace"),
            of("name"),
            of("class"),
            of("owner"),
            addresses.clone(),
            at("host"),
            path,
            at("pathType"),
            service(location),
            at("endpoints"),
            canary(location),
            at("mode"),
            state,
        ]
    };
    if ingress["served"] == false {
        return vec![row(&Value::Null, format!("left: {}", of("reason")))];
    }
    match &ingress["locations"] {
        Value::Array(all) if !all.is_empty() => all
            .iter()
            .map(|location| row(location, state(location)))
            .collect(),
        _ => vec![row(&Value::Null, "serves nothing: no path of it is in use".to_owned())],
    }
}

/// `shop/web:80`; the name of the port where its number is not known.
fn service(location: &Value) -> String {
    let whole = text(&location["service"]);
    let whole = whole.strip_suffix("/TCP").unwrap_or(&whole);
    match (&location["port"], whole.rsplit_once(':')) {
        (Value::Number(port), Some((service, _))) => format!("{service}:{port}"),
        _ => whole.to_owned(),
    }
}

/// `open`, `closed: why`.
fn state(location: &Value) -> String {
    let state = text(&location["state"]);
    match &location["reason"] {
        Value::String(reason) => format!("{state}: {reason}"),
        _ => state,
    }
}

/// Who else serves a location, or whose alternative it is.
fn canary(location: &Value) -> String {
    match (&location["canary"], &location["canaryOf"]) {
        (Value::String(name), _) => name.clone(),
        (_, Value::String(main)) => format!("of {main}"),
        _ => NONE.to_owned(),
    }
}

/// `127.0.0.1:8080,8443`, each port that could not be had with `!`.
fn addresses(entries: &Value) -> String {
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let entry = |entry: &Value| {
        let ports = entry["ports"].as_array().map(Vec::as_slice);
        let port = |port: &Value| {
            let mark = if port["error"].is_string() { "!" } else { "" };
            format!("{}{mark}", port["port"])
        };
        let ports: Vec<String> = ports.unwrap_or_default().iter().map(port).collect();
        let ip = text(&entry["ip"]);
        let ip = if ip.contains(':') { format!("[{ip}]") } else { ip };
        format!("{ip}:{}", ports.join(","))
    };
    let all: Vec<String> = entries.iter().map(entry).collect();
    if all.is_empty() { NONE.to_owned() } else { all.join(" ") }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => NONE.to_owned(),
    }
}

/// Their names, and whether they are for `--output wide` alone.
const COLUMNS: [(&str, bool); 13] = [
    ("NAMESPACE", false),
    ("NAME", false),
    ("CLASS", false),
    ("OWNER", false),
    ("ADDRESS", false),
    ("HOST", false),
    ("PATH", false),
    ("TYPE", true),
    ("SERVICE", false),
    ("ENDPOINTS", false),
    ("CANARY", true),
    ("MODE", false),
    ("STATE", false),
];
const NONE: &str = "-";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop() -> [Value; 3] {
        let ports = json!([
            { "port": 8080, "protocol": "TCP", "error": null },
            { "port": 8443, "protocol": "TCP", "error": "portico.dev/PortUnavailable" },
        ]);
        let status =
            json!({ "loadBalancer": { "ingress": [{ "ip": "127.0.0.1", "ports": ports }] } });
        let nowhere = json!({ "loadBalancer": { "ingress": [] } });
        [
            json!({
                "namespace": "shop", "name": "web", "class": "nginx", "served": true, "owner": "portico",
                "reason": null, "status": status,
                "locations": [
                    { "host": "shop.test", "path": "/", "pathType": "Prefix", "service": "shop/web:http/TCP",
                      "port": 80, "endpoints": 2, "mode": "spec", "state": "open", "reason": null, "canary": "shop/next" },
                    { "host": "shop.test", "path": "/api", "pathType": "Exact", "service": null,
                      "endpoints": 0, "mode": "spec", "state": "closed", "reason": "no Secret `users`" },
                    { "host": "shop.test", "path": null, "pathType": null, "service": "shop/rest:http/TCP",
                      "endpoints": 1, "mode": "spec", "state": "open", "reason": null },
                ],
            }),
            json!({
                "namespace": "shop", "name": "foreign", "class": "other", "served": false, "owner": null,
                "reason": "there is no IngressClass other", "status": nowhere, "locations": [],
            }),
            json!({
                "namespace": "shop", "name": "empty", "class": null, "served": true, "owner": "portico",
                "reason": null, "status": status, "locations": [],
            }),
        ]
    }

    #[test]
    fn each_path_is_a_line_and_columns_are_as_wide_as_they_need_to_be() {
        let shop = shop();
        let shop: Vec<&Value> = shop.iter().collect();
        let want = "\
NAMESPACE  NAME     CLASS  OWNER    ADDRESS               HOST       PATH    SERVICE         ENDPOINTS  MODE  STATE
shop       web      nginx  portico  127.0.0.1:8080,8443!  shop.test  /       shop/web:80     2          spec  open
shop       web      nginx  portico  127.0.0.1:8080,8443!  shop.test  /api    -               0          spec  closed: no Secret `users`
shop       web      nginx  portico  127.0.0.1:8080,8443!  shop.test  (rest)  shop/rest:http  1          spec  open
shop       foreign  other  -        -                     -          -       -               -          -     left: there is no IngressClass other
shop       empty    -      portico  127.0.0.1:8080,8443!  -          -       -               -          -     serves nothing: no path of it is in use";
        assert_eq!(lines(&shop, false).join("\n"), want, "ingress 1.8");
        let wide = lines(&shop[..1], true);
        let want = "shop web nginx portico 127.0.0.1:8080,8443! shop.test / Prefix shop/web:80 2 shop/next spec open";
        let words: Vec<&str> = wide[1].split_whitespace().collect();
        assert_eq!(words.join(" "), want, "ingress 1.8");
        assert_eq!(lines(&[], true), Vec::<String>::new());
    }
}
