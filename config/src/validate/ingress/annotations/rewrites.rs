//! What backends say of places and domains, in other words for clients: `proxy-cookie-…`,
//! `proxy-redirect-…` (`ingress 2.5`).
//!
//! Tuning: what cannot be obeyed leaves answers as they are, and is told.

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::{Rewrites, Swap};

impl Reader<'_> {
    /// What is put for what; none: nothing.
    pub(super) fn rewrites(&mut self) -> Option<Rewrites> {
        let bare = |swap: Swap| {
            let dotless = |text: &str| text.strip_prefix('.').unwrap_or(text).into();
            Swap { from: dotless(&swap.from), to: dotless(&swap.to) }
        };
        let rewrites = Rewrites {
            cookie_domain: self.value("proxy-cookie-domain", pair).flatten().map(bare),
            cookie_path: self.value("proxy-cookie-path", pair).flatten(),
            redirect: self.redirect_swap(),
        };
        (rewrites != Rewrites::default()).then_some(rewrites)
    }

    fn redirect_swap(&mut self) -> Option<Swap> {
        let (from_name, to_name) = ("proxy-redirect-from", "proxy-redirect-to");
        let from = self.value(from_name, |text| side(text, false));
        let to = self.value(to_name, |text| side(text, false));
        let other = match (&from, &to) {
            (Some(Some(_)), None) => Some((from_name, to_name)),
            (None, Some(Some(_))) => Some((to_name, from_name)),
            _ => None,
        };
        if let Some((name, other)) = other
            && self.first(&[other]).is_none()
        {
            let text = format!("has no effect without `{other}`");
            self.find(Code::AnnotationWithoutEffect, name, text, None);
        }
        Some(Swap { from: from??, to: to?? })
    }
}

/// Two texts with a blank between; none: `off`.
fn pair(text: &str) -> Result<Option<Swap>, &'static str> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(3).collect();
    match words[..] {
        ["off"] => Ok(None),
        [from, to] => match (side(from, true)?, side(to, true)?) {
            (Some(from), Some(to)) => Ok(Some(Swap { from, to })),
            _ => Err("is neither `off` nor two texts with a blank between"),
        },
        _ => Err("is neither `off` nor two texts with a blank between"),
    }
}

/// One text; none: `off`, or what nginx does by itself and has no use here. `in_cookie`: it stands in
/// an attribute.
fn side(text: &str, in_cookie: bool) -> Result<Option<Box<str>>, &'static str> {
    if matches!(text, "off" | "default") {
        return Ok(None);
    }
    if text.starts_with('~') || text.contains('$') {
        return Err("is a pattern or holds a variable, and texts alone are known");
    }
    let known = |byte: u8| byte.is_ascii_graphic() && !(in_cookie && byte == b';');
    match text.bytes().all(known) {
        true => Ok(Some(text.into())),
        false => Err("holds something that may not stand there"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    fn swap(from: &str, to: &str) -> Option<Swap> {
        Some(Swap { from: from.into(), to: to.into() })
    }

    #[test]
    fn pairs_of_texts_are_read() {
        let read = of(&[
            ("proxy-cookie-domain", ".inner.test shop.test"),
            ("proxy-cookie-path", "/app/   /"),
            ("proxy-redirect-from", "http://inner.test/"),
            ("proxy-redirect-to", "https://shop.test/"),
        ]);
        assert_eq!(read.findings, []);
        let want = Rewrites {
            cookie_domain: swap("inner.test", "shop.test"),
            cookie_path: swap("/app/", "/"),
            redirect: swap("http://inner.test/", "https://shop.test/"),
        };
        assert_eq!(read.policy.rewrites.as_deref(), Some(&want), "ingress 2.5");
    }

    #[test]
    fn what_cannot_be_obeyed_leaves_answers_as_they_are() {
        for (name, value, code) in [
            ("proxy-cookie-domain", "inner.test", Code::InvalidIngressAnnotation),
            ("proxy-cookie-domain", "a b c", Code::InvalidIngressAnnotation),
            ("proxy-cookie-path", "/a /; Domain=x", Code::InvalidIngressAnnotation),
            ("proxy-cookie-path", "/a /;x", Code::InvalidIngressAnnotation),
            ("proxy-cookie-path", "~^/a /b", Code::InvalidIngressAnnotation),
            ("proxy-redirect-from", "http://a.test/", Code::AnnotationWithoutEffect),
            ("proxy-redirect-to", "http://a.test/", Code::AnnotationWithoutEffect),
            ("proxy-redirect-to", "http://$host/", Code::InvalidIngressAnnotation),
        ] {
            let read = of(&[(name, value)]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, [code], "ingress 2.1: {name}: {value}");
            assert_eq!(read.policy, Default::default(), "{name}: {value}");
        }
        for pair in [("proxy-cookie-path", "off"), ("proxy-redirect-from", "off")] {
            assert_eq!(of(&[pair]).findings, [], "{pair:?}");
        }
    }
}
