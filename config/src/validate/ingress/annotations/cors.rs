//! Answers for scripts of other origins (`ingress 2.4`: `enable-cors` and `cors-…`).
//!
//! Tuning: what cannot be read leaves its default. An origin without a scheme is dropped; where none
//! is left, no origin matches.

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::{Cors, Origin};

impl Reader<'_> {
    /// What `enable-cors: "true"` asks; the other annotations are read and told all the same.
    pub(super) fn cors(&mut self) -> Option<Cors> {
        let enabled = self.switch("enable-cors").unwrap_or(false);
        let origins = self.value(ORIGINS, origins);
        let (_, written) = self.first(&[ORIGINS]).unwrap_or_default();
        if origins
            .as_ref()
            .is_some_and(|kept| entries(written).count() > kept.len())
        {
            let text = "holds what is no origin such as https://a.test: that matches nobody";
            self.find(Code::InvalidIngressAnnotation, ORIGINS, text, None);
        }
        let methods = self.value("cors-allow-methods", |text| list(text, b", "));
        let headers = self.value("cors-allow-headers", |text| list(text, b"-_., "));
        let credentials = self.switch("cors-allow-credentials").unwrap_or(true);
        let exposed = self.value("cors-expose-headers", |text| list(text, b"-_.*, "));
        let seconds = |text: &str| text.parse::<u32>().map_err(|_| "is no number of seconds");
        let max_age_seconds = self
            .value("cors-max-age", seconds)
            .unwrap_or(MAX_AGE_SECONDS);
        enabled.then(|| Cors {
            origins: origins.unwrap_or_else(|| Box::new([Origin::Any])),
            methods: methods.unwrap_or_else(|| METHODS.into()),
            headers: headers.unwrap_or_else(|| HEADERS.into()),
            credentials,
            exposed,
            max_age_seconds,
        })
    }
}

/// The entries of a list.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    let entries = text.split(',').map(str::trim);
    entries.filter(|entry| !entry.is_empty())
}

/// A list of origins.
fn origins(text: &str) -> Result<Box<[Origin]>, &'static str> {
    // One more than may be, to see that there are too many.
    let written: Vec<&str> = entries(text).take(MAX_ORIGINS + 1).collect();
    if written.len() > MAX_ORIGINS {
        return Err("has more than 1000 entries");
    }
    Ok(written.into_iter().filter_map(origin).collect())
}

/// `*`, `null`, `scheme://host[:port]` or `scheme://*.host[:port]`; none where it is neither.
fn origin(text: &str) -> Option<Origin> {
    let text = text.to_ascii_lowercase();
    match &*text {
        "*" => return Some(Origin::Any),
        "null" => return Some(Origin::Exact(text.into())),
        _ => {}
    }
    let (scheme, authority) = text.split_once("://")?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(known);
    let host = authority.strip_prefix("*.");
    let name = host.unwrap_or(authority);
    if !is_scheme || name.is_empty() || !name.bytes().all(in_host) {
        return None;
    }
    Some(match host {
        Some(host) => Origin::Below(format!("{scheme}://").into(), format!(".{host}").into()),
        None => Origin::Exact(text.into()),
    })
}

/// Words with commas between, of letters, digits and `other`.
fn list(text: &str, other: &[u8]) -> Result<Box<str>, &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || other.contains(&byte);
    match text.bytes().all(known) {
        true => Ok(text.into()),
        false => Err("is no list of names with commas between"),
    }
}

const ORIGINS: &str = "cors-allow-origin";
const METHODS: &str = "GET, PUT, POST, DELETE, PATCH, OPTIONS";
const HEADERS: &str = "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,\
                       Content-Type,Range,Authorization";
/// 20 days.
const MAX_AGE_SECONDS: u32 = 1_728_000;
/// `ingress 6.9`.
const MAX_ORIGINS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn origins_without_scheme_are_dropped() {
        let below = || Origin::Below("https://".into(), ".b.test:8443".into());
        for (text, want) in [
            ("*", vec![Origin::Any]),
            ("null", vec![Origin::Exact("null".into())]),
            ("https://A.test", vec![Origin::Exact("https://a.test".into())]),
            ("https://*.b.test:8443", vec![below()]),
            ("a.test, https://*.b.test:8443,", vec![below()]),
            ("https://a.test/path", vec![]),
            ("https://a.test\r\nX: y", vec![]),
            ("https://", vec![]),
            ("https://*.", vec![]),
            ("https://a.*.test", vec![]),
            ("://a.test", vec![]),
        ] {
            assert_eq!(*origins(text).unwrap(), want[..], "ingress 2.4: {text:?}");
        }
        assert!(origins(&"https://a.test,".repeat(1_001)).is_err(), "ingress 6.9");
        let on = ("enable-cors", "true");
        let told = |list: &str| of(&[on, ("cors-allow-origin", list)]).findings.len();
        let (good, bad) = ("https://a.test, *, null", "https://a.test, b.test");
        assert_eq!((told(good), told(bad)), (0, 1), "ingress 2.1: what is dropped is told");
    }

    #[test]
    fn a_list_holds_names_alone() {
        for (text, fits) in
            [("GET, POST", true), ("GET,POST", true), ("GET\r\nX: y", false), ("G;T", false)]
        {
            assert_eq!(list(text, b", ").is_ok(), fits, "ingress 2.4: {text:?}");
        }
    }
}
