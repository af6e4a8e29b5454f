//! What becomes of a request and why, as JSON and as text: what `explain` says, over manifests or of
//! the portico that runs.
//!
//! Invariants: the text is made of the JSON alone, so that both say the same; what is read from the
//! command line or from a query is a request that could be sent, or is refused in words.

use std::net::{IpAddr, Ipv6Addr};

use portico_config::model::PathKind;
use portico_proxy::{Backend, Explained, Handshake, Imagined, Outcome};
use serde_json::{Map, Value, json};

/// Whether a word is the URL of a request.
pub(crate) fn is_url(word: &str) -> bool {
    word.starts_with("http://") || word.starts_with("https://")
}

/// The request that a client like curl would send.
pub(crate) fn imagined(
    (method, url): (&str, &str),
    headers: &[String],
    from: IpAddr,
) -> Result<Imagined, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let tls = match scheme {
        "http" => false,
        "https" => true,
        _ => return Err(format!("{url}: is no URL that begins with http:// or https://")),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let (server_name, port) = host_and_port(authority)
        .ok_or_else(|| format!("{url}: names no host, such as http://shop.test:8080/cart"))?;
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut host = authority.to_owned();
    let mut lines = String::new();
    for header in headers {
        let (name, value) = header
            .split_once(':')
            .filter(|_| !header.contains(['\r', '\n']))
            .ok_or_else(|| format!("{header:?}: is no field, such as \"X-Try: always\""))?;
        match name.eq_ignore_ascii_case("host") {
            true => value.trim().clone_into(&mut host),
            false => lines.push_str(&format!("{name}: {}\r\n", value.trim())),
        }
    }
    if method.is_empty() || method.contains(|letter: char| !letter.is_ascii_graphic()) {
        return Err(format!("{method:?}: is no method"));
    }
    let target = encoded(target);
    let head = format!("{method} {slash}{target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    Ok(Imagined { tls, server_name, port, from, head: head.into_bytes() })
}

/// An authority without a user; an address is no name that TLS could ask for.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (authority, None),
    };
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Some(address) = address {
        return address
            .parse::<Ipv6Addr>()
            .ok()
            .map(|_| (String::new(), port));
    }
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    if host.is_empty() || !host.chars().all(is_letter) {
        return None;
    }
    let is_address = host.parse::<IpAddr>().is_ok();
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    Some((if is_address { String::new() } else { name }, port))
}

/// What no target may hold, as browsers write it.
fn encoded(target: &str) -> String {
    let mut text = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            0x21..=0x7e => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Everything that is known of a request.
pub(crate) fn json(explained: &Explained, imagined: &Imagined) -> Value {
    let head = String::from_utf8_lossy(&imagined.head);
    let rule = explained.rule.as_ref().map(|rule| {
        json!({
            "ingress": rule.ingress.as_ref().map(ToString::to_string),
            "pathType": rule.kind.map(|kind| path_type(kind, rule.pattern)),
            "pattern": rule.pattern.0,
            "path": rule.kind.map(|_| &*rule.path),
            "canary": rule.canary.as_ref().map(ToString::to_string),
        })
    });
    let canary = explained.canary.as_ref().map(|choice| {
        json!({
            "ingress": choice.ingress.to_string(),
            "taken": choice.is_taken,
            "because": choice.why,
        })
    });
    let steps = explained
        .steps
        .iter()
        .map(|step| json!({ "step": step.number, "annotation": step.name, "asks": step.asks }));
    let others = explained.others.iter().map(|other| {
        json!({
            "ingress": other.ingress.to_string(),
            "host": other.host.to_string(),
            "pathType": path_type(other.kind, other.pattern),
            "pattern": other.pattern.0,
            "path": &*other.path,
            "because": other.why,
        })
    });
    let mut answer = json!({
        "request": head.lines().next(),
        "scheme": if imagined.tls { "https" } else { "http" },
        "from": imagined.from.to_string(),
        "certificate": explained.certificate.as_ref().map(certificate),
        "serverName": Some(&imagined.server_name).filter(|name| imagined.tls && !name.is_empty()),
        "host": explained.host.as_ref().map(ToString::to_string),
        "rule": rule,
        "canary": canary,
        "steps": steps.collect::<Vec<_>>(),
        "others": others.collect::<Vec<_>>(),
    });
    if let Some(members) = answer.as_object_mut() {
        members.append(&mut outcome(&explained.outcome));
    }
    answer
}

fn path_type(kind: PathKind, (_, is_specific): (bool, bool)) -> &'static str {
    match kind {
        _ if is_specific => "ImplementationSpecific",
        PathKind::Exact => "Exact",
        PathKind::Prefix => "Prefix",
        PathKind::Text => "Text",
    }
}

fn certificate(answering: &Handshake) -> Value {
    match answering {
        Handshake::PassedThrough => json!({ "kind": "passed_through" }),
        Handshake::Made => json!({ "kind": "made" }),
        Handshake::Default(secret) => {
            json!({ "kind": "default", "secret": secret.as_ref().map(ToString::to_string) })
        }
        Handshake::Secret(secret, is_wildcard) => json!({
            "kind": "secret",
            "secret": secret.to_string(),
            "by": if *is_wildcard { "wildcard" } else { "name" },
        }),
    }
}

fn outcome(outcome: &Outcome) -> Map<String, Value> {
    let value = match outcome {
        Outcome::Query => json!({ "verdict": "query" }),
        Outcome::Answer { status, location, page, why } => json!({
            "verdict": "answer",
            "status": status,
            "location": location,
            "page": page.as_ref().map(|page| page.service.to_string()),
            "because": why,
        }),
        Outcome::PassedThrough(to) => {
            let mut all = to.as_ref().map(backend).unwrap_or_default();
            all.insert("verdict".to_owned(), json!("passed_through"));
            Value::Object(all)
        }
        Outcome::Forward { to, head } => {
            let mut all = backend(to);
            all.insert("verdict".to_owned(), json!("forward"));
            all.insert("sent".to_owned(), json!(head));
            Value::Object(all)
        }
    };
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn backend(to: &Backend) -> Map<String, Value> {
    let endpoints = to.endpoints.iter().map(|(address, is_out)| {
        let health = if *is_out { "out" } else { "in" };
        json!({ "endpoint": address.to_string(), "health": health })
    });
    let value = json!({
        "service": to.port.service.to_string(),
        "portName": &*to.port.name,
        "protocol": to.protocol,
        "tls": to.tls,
        "standsIn": to.stands_in,
        "guards": to.guards,
        "endpoints": endpoints.collect::<Vec<_>>(),
    });
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// An answer of [`json()`] in lines.
pub(crate) fn text(answer: &Value) -> String {
    let word = |key: &str| answer[key].as_str().unwrap_or_default();
    let list = |key: &str| answer[key].as_array().into_iter().flatten();
    let mut lines =
        vec![format!("{} over {}, from {}", word("request"), word("scheme"), word("from"))];
    lines.push(verdict(answer));
    if let Some(why) = answer["because"].as_str() {
        lines.push(format!("  because      {why}"));
    }
    for guard in list("guards") {
        lines.push(format!("  if           {}", guard.as_str().unwrap_or_default()));
    }
    if answer["certificate"].is_object() {
        lines.push(format!("  certificate  {}", handshake(answer)));
    }
    if let Some(host) = answer["host"].as_str() {
        lines.push(format!("  host         {host}"));
    }
    if answer["rule"].is_object() {
        lines.push(format!("  rule         {}", rule(&answer["rule"])));
    }
    if answer["canary"].is_object() {
        let canary = &answer["canary"];
        let of = |key: &str| canary[key].as_str().unwrap_or_default();
        let takes = if canary["taken"] == true { "takes it" } else { "does not take it" };
        lines.push(format!("  canary       {} {takes}: {}", of("ingress"), of("because")));
    }
    for step in list("steps") {
        let of = |key: &str| step[key].as_str().unwrap_or_default();
        let number = step["step"].as_u64().unwrap_or_default();
        lines.push(format!("  step {number:<7} {}: {}", of("annotation"), of("asks")));
    }
    for endpoint in list("endpoints") {
        let is_out = endpoint["health"] == "out";
        let note = if is_out { ", out: it failed again and again" } else { "" };
        let address = endpoint["endpoint"].as_str().unwrap_or_default();
        lines.push(format!("  to           {address}{note}"));
    }
    for line in list("sent") {
        lines.push(format!("  sent         {}", line.as_str().unwrap_or_default()));
    }
    for other in list("others") {
        let of = |key: &str| other[key].as_str().unwrap_or_default();
        let place = format!("{} {}{}", of("pathType"), of("host"), of("path"));
        lines.push(format!("  not          {} {place}: {}", of("ingress"), of("because")));
    }
    lines.join("\n")
}

fn verdict(answer: &Value) -> String {
    let word = |key: &str| answer[key].as_str().unwrap_or_default();
    match word("verdict") {
        "forward" => {
            let tls = if answer["tls"] == true { " over TLS" } else { "" };
            let whom = if answer["standsIn"] == true { ", which stands in" } else { "" };
            format!("forward: {}{tls} to Service {}{whom}", word("protocol"), word("service"))
        }
        "passed_through" if answer["service"].is_string() => {
            format!("passed through: TLS as it comes to Service {}", word("service"))
        }
        "passed_through" => "passed through: to nobody, its Service is not there".to_owned(),
        "query" => "query: the resolver answers".to_owned(),
        _ => {
            let to = answer["location"].as_str();
            let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
            let page = answer["page"].as_str();
            let page = page.map(|it| format!(", in the words of Service {it}"));
            format!("answer: {}{to}{}", answer["status"], page.unwrap_or_default())
        }
    }
}

fn handshake(answer: &Value) -> String {
    let certificate = &answer["certificate"];
    let secret = certificate["secret"].as_str();
    let name = answer["serverName"].as_str();
    let name =
        name.map_or_else(|| "no name is asked for".to_owned(), |name| format!("name {name}"));
    match (certificate["kind"].as_str().unwrap_or_default(), secret) {
        ("secret", Some(secret)) if certificate["by"] == "wildcard" => {
            format!("Secret {secret}, by a wildcard ({name})")
        }
        ("secret", Some(secret)) => format!("Secret {secret} ({name})"),
        ("made", _) => format!("made for it by --dev-tls ({name})"),
        ("passed_through", _) => format!("the backend's own ({name})"),
        (_, Some(secret)) => format!("the default one, Secret {secret} ({name})"),
        (_, None) => format!("the default one, which nobody trusts ({name})"),
    }
}

fn rule(rule: &Value) -> String {
    let ingress = match rule["ingress"].as_str() {
        Some(ingress) => format!("Ingress {ingress}"),
        None => "the settings".to_owned(),
    };
    let place = match (rule["pathType"].as_str(), rule["path"].as_str()) {
        (Some(kind), Some(path)) if rule["pattern"] == true => {
            format!("{kind} {path}, a pattern,")
        }
        (Some(kind), Some(path)) => format!("{kind} {path}"),
        _ => "the default backend".to_owned(),
    };
    match rule["canary"].as_str() {
        Some(canary) => format!("{place} of {ingress}, its alternative {canary}"),
        None => format!("{place} of {ingress}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, url: &str, headers: &[&str]) -> Result<(String, String, u16), String> {
        let headers: Vec<_> = headers.iter().map(|&header| header.to_owned()).collect();
        let found = imagined((method, url), &headers, [127, 0, 0, 1].into())?;
        let head = String::from_utf8(found.head).unwrap();
        Ok((head, found.server_name, found.port))
    }

    #[test]
    fn a_url_is_the_request_that_a_client_would_send() {
        for (url, headers, first, host, name, port) in [
            ("http://a.test", &[][..], "/", "a.test", "a.test", 80),
            ("https://A.test.:8443/x?y#z", &[], "/x?y", "A.test.:8443", "a.test", 8443),
            ("https://a.test?x", &["Host: b.test"], "/?x", "b.test", "a.test", 443),
            ("http://[::1]:80/", &[], "/", "[::1]:80", "", 80),
            ("https://127.0.0.1/", &[], "/", "127.0.0.1", "", 443),
            ("http://a.test/é x", &[], "/%C3%A9%20x", "a.test", "a.test", 80),
        ] {
            let want = format!("GET {first} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let want = (want, name.to_owned(), port);
            assert_eq!(head("GET", url, headers), Ok(want), "{url}");
        }
        let (text, ..) = head("POST", "http://a.test/", &["X-A:1", "X-B: 2 "]).unwrap();
        assert_eq!(text, "POST / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\nX-B: 2\r\n\r\n");
    }

    #[test]
    fn what_no_client_would_send_is_refused_in_words() {
        for (method, url, header, want) in [
            ("GET", "ftp://a.test/", "A: b", "begins with http://"),
            ("GET", "http:///x", "A: b", "names no host"),
            ("GET", "http://u@a.test/", "A: b", "names no host"),
            ("GET", "http://a.test:x/", "A: b", "names no host"),
            ("GET", "http://[::g]/", "A: b", "names no host"),
            ("GET", "http://a.test/", "A", "is no field"),
            ("GET", "http://a.test/", "A: b\r\nC: d", "is no field"),
            ("", "http://a.test/", "A: b", "is no method"),
            ("G T", "http://a.test/", "A: b", "is no method"),
        ] {
            let refused = head(method, url, &[header]).unwrap_err();
            assert!(refused.contains(want), "{method} {url} {header}: {refused}");
        }
    }
}
