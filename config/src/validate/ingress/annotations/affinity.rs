//! Who returns to the endpoint that it had: `affinity`, `affinity-mode` and `session-cookie-…`
//! (`ingress 2.4`).
//!
//! Tuning: what cannot be obeyed leaves its default, and is told.

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::{AffinityMode, CookieAffinity, SameSite, is_cookie_path};

impl Reader<'_> {
    /// What `affinity: cookie` asks; the other annotations are read and told all the same.
    pub(super) fn affinity(&mut self) -> Option<CookieAffinity> {
        let cookie = |text: &str| match text {
            "cookie" => Ok(()),
            _ => Err("is not `cookie`, and nothing else is known"),
        };
        let written = self.first(&["affinity"]).is_some();
        let asked = self.value("affinity", cookie);
        let affinity = CookieAffinity {
            name: self
                .value("session-cookie-name", name)
                .unwrap_or_else(|| NAME.into()),
            mode: self.value("affinity-mode", mode).unwrap_or_default(),
            path: self.value("session-cookie-path", path),
            domain: self.value("session-cookie-domain", domain),
            expires_seconds: self.value("session-cookie-expires", seconds),
            max_age_seconds: self.value("session-cookie-max-age", seconds),
            same_site: self.value("session-cookie-samesite", same_site),
            spares_old_browsers: self
                .switch("session-cookie-conditional-samesite-none")
                .unwrap_or_default(),
            secure: self.switch("session-cookie-secure").unwrap_or_default(),
            follows_failure: self
                .switch("session-cookie-change-on-failure")
                .unwrap_or_default(),
        };
        if !written {
            let alone = OTHERS.iter().filter(|name| self.first(&[name]).is_some());
            for name in alone.copied().collect::<Vec<_>>() {
                let text = "has no effect without `affinity: cookie`";
                self.find(Code::AnnotationWithoutEffect, name, text, None);
            }
        }
        asked.map(|()| affinity)
    }
}

/// A token, as cookies have it.
fn name(text: &str) -> Result<Box<str>, &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match text.bytes().all(known) {
        true => Ok(text.into()),
        false => Err("holds something that no name of a cookie has"),
    }
}

fn mode(text: &str) -> Result<AffinityMode, &'static str> {
    match text {
        "balanced" => Ok(AffinityMode::Balanced),
        "persistent" => Ok(AffinityMode::Persistent),
        _ => Err("is neither `balanced` nor `persistent`"),
    }
}

fn path(text: &str) -> Result<Box<str>, &'static str> {
    match is_cookie_path(text) {
        true => Ok(text.into()),
        false => Err("is no path that can stand in a cookie"),
    }
}

/// A name, with or without a dot before it.
fn domain(text: &str) -> Result<Box<str>, &'static str> {
    let bare = text.strip_prefix('.').unwrap_or(text);
    match crate::validate::names::domain(&bare.to_ascii_lowercase()) {
        Ok(()) => Ok(text.into()),
        Err(_) => Err("is no domain"),
    }
}

fn seconds(text: &str) -> Result<u32, &'static str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| plain);
    seconds.ok_or("is no number of seconds")
}

fn same_site(text: &str) -> Result<SameSite, &'static str> {
    let all = [SameSite::None, SameSite::Lax, SameSite::Strict];
    let mut all = all.into_iter();
    let found = all.find(|it| it.as_str().eq_ignore_ascii_case(text));
    found.ok_or("is none of `None`, `Lax` and `Strict`")
}

/// As in ingress-nginx.
const NAME: &str = "INGRESSCOOKIE";
/// What says nothing by itself.
const OTHERS: [&str; 10] = [
    "affinity-mode",
    "session-cookie-change-on-failure",
    "session-cookie-conditional-samesite-none",
    "session-cookie-domain",
    "session-cookie-expires",
    "session-cookie-max-age",
    "session-cookie-name",
    "session-cookie-path",
    "session-cookie-samesite",
    "session-cookie-secure",
];

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn a_cookie_is_as_its_annotations_say() {
        let read = of(&[
            ("affinity", "cookie"),
            ("affinity-mode", "persistent"),
            ("session-cookie-name", "route"),
            ("session-cookie-path", "/shop"),
            ("session-cookie-domain", ".shop.test"),
            ("session-cookie-expires", "172800"),
            ("session-cookie-max-age", "3600"),
            ("session-cookie-samesite", "lax"),
            ("session-cookie-conditional-samesite-none", "true"),
            ("session-cookie-secure", "true"),
            ("session-cookie-change-on-failure", "true"),
        ]);
        assert_eq!(read.findings, []);
        let want = CookieAffinity {
            name: "route".into(),
            mode: AffinityMode::Persistent,
            path: Some("/shop".into()),
            domain: Some(".shop.test".into()),
            expires_seconds: Some(172_800),
            max_age_seconds: Some(3_600),
            same_site: Some(SameSite::Lax),
            spares_old_browsers: true,
            secure: true,
            follows_failure: true,
        };
        assert_eq!(read.policy.balancing.affinity.as_deref(), Some(&want), "ingress 2.4: affinity");
        let plain = of(&[("affinity", "cookie")])
            .policy
            .balancing
            .affinity
            .unwrap();
        assert_eq!((&*plain.name, plain.mode), ("INGRESSCOOKIE", AffinityMode::Balanced));
    }

    #[test]
    fn what_cannot_stand_in_a_cookie_leaves_the_default() {
        let plain = of(&[("affinity", "cookie")]).policy;
        for (name, value) in [
            ("session-cookie-name", "a=b"),
            ("session-cookie-name", "a b"),
            ("session-cookie-path", "shop"),
            ("session-cookie-path", "/; Secure"),
            ("session-cookie-domain", "a.test; Path=/"),
            ("session-cookie-domain", "a\r\nX: y"),
            ("session-cookie-expires", "-1"),
            ("session-cookie-max-age", "1h"),
            ("session-cookie-samesite", "perhaps"),
            ("session-cookie-secure", "yes"),
            ("affinity-mode", "sticky"),
        ] {
            let read = of(&[("affinity", "cookie"), (name, value)]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, [Code::InvalidIngressAnnotation], "{name}: {value}");
            assert_eq!(read.policy, plain, "ingress 2.1: {name}: {value}");
        }
        let read = of(&[("affinity", "ip")]);
        assert_eq!(read.findings[0].code, Code::InvalidIngressAnnotation);
        assert_eq!(read.policy.balancing.affinity, None, "ingress 2.4: only `cookie`");
    }

    #[test]
    fn a_cookie_without_affinity_is_told() {
        for name in OTHERS {
            let value = match name {
                "affinity-mode" => "persistent",
                "session-cookie-domain" => "a.test",
                "session-cookie-path" => "/a",
                "session-cookie-samesite" => "Lax",
                "session-cookie-expires" | "session-cookie-max-age" => "5",
                "session-cookie-name" => "route",
                _ => "true",
            };
            let read = of(&[(name, value)]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, [Code::AnnotationWithoutEffect], "{name}");
            assert_eq!(read.policy, Default::default(), "{name}");
        }
    }
}
