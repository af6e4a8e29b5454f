//! What a request's path becomes, and templates filled in with what the request has (`ingress 2.3`).
//!
//! Pure. A path that was rewritten is brought into its normal form again, so that no backend sees
//! another one than rules are about.

use http::StatusCode;
use portico_config::model::{Part, Policy, Template, Variable, normalize};

use super::{Declined, Visit, cookies, scheme};
use crate::l7::forward::is_request_id;
use crate::l7::request::{Checked, refuse};

/// The path in place of the one that was asked for, in its normal form; none: it stays.
pub(crate) fn rewrite(policy: &Policy, visit: &Visit<'_>) -> Result<Option<String>, Declined> {
    let Some(template) = &policy.rewrite else { return Ok(None) };
    let mut path = render(template, visit);
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    match normalize(&path) {
        Ok(path) => Ok(Some(path.into_owned())),
        Err(_) => Err(refuse(StatusCode::BAD_REQUEST).into()),
    }
}

/// A template with what the request has for its variables.
pub(crate) fn render(template: &Template, visit: &Visit<'_>) -> String {
    let checked = visit.checked;
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Variable(variable) => match variable {
                Variable::Scheme => text.push_str(scheme(visit)),
                Variable::Host => text.push_str(&checked.host),
                Variable::HttpHost => text.push_str(checked.authority.unwrap_or_default()),
                Variable::RequestUri => uri(&mut text, checked),
                Variable::Uri => text.push_str(&checked.path),
                Variable::Args => text.push_str(checked.query.unwrap_or_default()),
                Variable::IsArgs if checked.query.is_some_and(|query| !query.is_empty()) => {
                    text.push('?');
                }
                Variable::IsArgs => {}
                Variable::EscapedRequestUri => {
                    let mut whole = String::new();
                    uri(&mut whole, checked);
                    escape(&mut text, &whole);
                }
                Variable::RequestMethod => text.push_str(visit.method),
                Variable::RemoteAddr => text.push_str(&visit.client.to_string()),
                Variable::RequestId => text.push_str(&String::from_utf8_lossy(id(visit))),
                Variable::ServerPort => text.push_str(&visit.server_port.to_string()),
                // Text since the manifest was compiled, where the location is its own.
                Variable::Namespace
                | Variable::IngressName
                | Variable::ServiceName
                | Variable::ServicePort => {}
                Variable::Field(_) | Variable::Cookie(_) | Variable::Argument(_) => {
                    text.push_str(&String::from_utf8_lossy(said(variable, visit)));
                }
                Variable::Capture(number) => text.push_str(visit.captures.get(*number)),
            },
        }
    }
    text
}

/// A text as it can stand in the value of a parameter (RFC 3986 2.3).
pub(crate) fn escape(text: &mut String, part: &str) {
    for byte in part.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// What backends are told that the request is called.
fn id<'a>(visit: &Visit<'a>) -> &'a [u8] {
    let own = visit.fields.and_then(|fields| fields.first("x-request-id"));
    own.filter(|id| is_request_id(id))
        .unwrap_or(visit.request_id)
}

/// What the client says under a name of its own; nothing where it does not.
fn said<'a>(variable: &Variable, visit: &Visit<'a>) -> &'a [u8] {
    let is_field = |name: &str, text: &[u8]| {
        let same = |(want, byte): (u8, &u8)| match byte {
            b'-' => want == b'_',
            byte => want.eq_ignore_ascii_case(byte),
        };
        name.len() == text.len() && name.bytes().zip(text).all(same)
    };
    let found = match (variable, visit.fields) {
        (Variable::Field(name), Some(fields)) => fields
            .iter()
            .find(|field| is_field(name, field.text))
            .map(|field| field.value),
        (Variable::Cookie(name), Some(fields)) => cookies(fields, name).next(),
        (Variable::Argument(name), _) => {
            let mut pairs = visit.checked.query.unwrap_or_default().split('&');
            pairs.find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                key.eq_ignore_ascii_case(name).then_some(value.as_bytes())
            })
        }
        _ => None,
    };
    found.unwrap_or_default()
}

/// Path and query as they were asked for.
pub(crate) fn uri(text: &mut String, checked: &Checked<'_>) {
    text.push_str(&checked.path);
    if let Some(query) = checked.query {
        text.push('?');
        text.push_str(query);
    }
}

#[cfg(test)]
mod tests {
    use portico_config::model::Pattern;

    use super::*;

    #[test]
    fn a_path_is_rewritten_and_normal_again() {
        let rewritten = |pattern: &str, target: &str, path: &str| {
            let policy = Policy {
                pattern: Some(Pattern::new(pattern).unwrap()),
                rewrite: Some(Template::parse(target, &[Variable::Capture(1)]).unwrap()),
                ..Policy::default()
            };
            let checked =
                Checked { host: "a".into(), authority: Some("a"), path: path.into(), query: None };
            let visit = Visit::new(([192, 0, 2, 7].into(), false), &checked, &policy);
            rewrite(&policy, &visit).map_err(|declined| declined.refused.status.as_u16())
        };
        for (pattern, target, path, want) in [
            ("/a(/|$)(.*)", "/$2", "/a/b/c", Ok("/b/c")),
            ("/a(/|$)(.*)", "/$2", "/a", Ok("/")),
            ("/a/(.*)", "$1", "/a/b", Ok("/b")),
            ("/a/(.*)", "/x/$1", "/a/b%2Fc", Ok("/x/b%2Fc")),
            ("/(.*)/(.*)", "/$1/../$2", "/a/b", Ok("/b")),
            ("/(.*)", "/..", "/a", Err(400)),
        ] {
            let got = rewritten(pattern, target, path);
            let want = want.map(|path| Some(path.to_owned()));
            assert_eq!(got, want, "ingress 2.4, http-proxy 4.7: {pattern} {target} {path}");
        }
    }
}
