//! Annotations that have no effect where they stand: without the one that they say more of, or on a
//! canary, whose location is the main Ingress's (`ingress 2.4`).
//!
//! Nothing is decided here: who wrote one believes that it does something, and is told that it does not.

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::annotation::{self, PREFIX, Role};

impl Reader<'_> {
    /// Tells of those that say more of what nobody asks.
    pub(super) fn without_need(&mut self) {
        for (needed, names) in NEEDS {
            if needed.iter().any(|name| self.says(name)) {
                continue;
            }
            let lone: Vec<_> = names.iter().filter(|name| self.says(name)).collect();
            let needed: Vec<String> = needed.iter().map(|name| format!("`{name}`")).collect();
            for name in lone {
                let text = format!("has no effect without {}", needed.join(" or "));
                self.find_first(Code::AnnotationWithoutEffect, name, text);
            }
        }
    }

    /// Tells of those that guard or lead elsewhere, and stand on a canary.
    pub(super) fn on_canary(&mut self) {
        let names = self.annotations.keys();
        let rows = names.filter_map(|key| annotation::find(key.strip_prefix(PREFIX)?));
        let rows = rows.filter(|row| matches!(row.role, Role::Guard | Role::Route));
        let rows = rows.filter(|row| row.name != "canary" && self.says(row.name));
        for row in rows.collect::<Vec<_>>() {
            let text = "has no effect on a canary: what the main Ingress asks counts for both";
            self.find_first(Code::AnnotationWithoutEffect, row.name, text);
        }
    }
}

/// By what one of which must be there: those that say more of it. What must be there for a guard closes
/// where it is missing, and is not here.
const NEEDS: &[(&[&str], &[&str])] = &[
    (
        &["auth-url"],
        &[
            "auth-signin",
            "auth-signin-redirect-param",
            "auth-request-redirect",
            "auth-always-set-cookie",
        ],
    ),
    (&["auth-type"], &["auth-realm", "auth-secret-type"]),
    (
        &["auth-tls-secret"],
        &["auth-tls-error-page", "auth-tls-pass-certificate-to-upstream", "auth-tls-verify-depth"],
    ),
    (
        &["enable-cors"],
        &[
            "cors-allow-credentials",
            "cors-allow-headers",
            "cors-allow-methods",
            "cors-allow-origin",
            "cors-expose-headers",
            "cors-max-age",
        ],
    ),
    (&["limit-rate"], &["limit-rate-after"]),
    (&["limit-rps", "limit-rpm"], &["limit-burst-multiplier"]),
    (&["limit-rps", "limit-rpm", "limit-connections"], &["limit-allowlist", "limit-whitelist"]),
    (&["mirror-target"], &["mirror-host", "mirror-request-body"]),
    (&["permanent-redirect"], &["permanent-redirect-code"]),
    (&["proxy-ssl-verify"], &["proxy-ssl-verify-depth"]),
    (&["proxy-ssl-verify", "proxy-ssl-server-name"], &["proxy-ssl-name"]),
    (&["rewrite-target"], &["x-forwarded-prefix"]),
    (&["temporal-redirect"], &["temporal-redirect-code"]),
    (&["upstream-hash-by"], &["upstream-hash-by-subset", "upstream-hash-by-subset-size"]),
];

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn what_says_more_of_nothing_is_told() {
        for (needed, names) in NEEDS {
            let all = needed.iter().chain(*names);
            for name in all {
                assert!(annotation::find(name).is_some(), "{name}");
            }
        }
        for (pairs, told) in [
            (&[("cors-allow-origin", "https://a.test")][..], &["cors-allow-origin"][..]),
            (&[("enable-cors", "false"), ("cors-max-age", "5")], &["cors-max-age"]),
            (&[("enable-cors", "true"), ("cors-max-age", "5")], &[]),
            (&[("cors-max-age", "1728000")], &[]),
            (&[("cors-max-age", "long")], &["cors-max-age"]),
            (&[("auth-signin", "https://a.test")], &["auth-signin"]),
            (&[("limit-burst-multiplier", "3"), ("limit-rpm", "6")], &[]),
            (&[("permanent-redirect-code", "308")], &["permanent-redirect-code"]),
            (&[("proxy-ssl-verify", "off"), ("proxy-ssl-name", "a.test")], &["proxy-ssl-name"]),
            (&[("proxy-ssl-server-name", "on"), ("proxy-ssl-name", "a.test")], &[]),
        ] {
            let read = of(pairs);
            let keys = read
                .findings
                .iter()
                .map(|it| it.key.trim_start_matches(PREFIX));
            assert_eq!(keys.collect::<Vec<_>>(), told, "ingress 2.4: {pairs:?}");
            assert!(read.policy.closed.is_none());
        }
    }

    #[test]
    fn a_guard_on_a_canary_is_told_to_be_none() {
        let codes = |pairs: &[(&str, &str)]| {
            let all = [&[("canary", "true"), ("canary-weight", "5")], pairs].concat();
            let read = of(&all);
            read.findings.iter().map(|it| it.code).collect::<Vec<_>>()
        };
        for (name, value) in [
            ("auth-url", "http://a.test/"),
            ("denylist-source-range", "10.0.0.0/8"),
            ("rewrite-target", "/x"),
            ("backend-protocol", "HTTPS"),
        ] {
            assert_eq!(codes(&[(name, value)]), [Code::AnnotationWithoutEffect], "{name}");
        }
        for (name, value) in
            [("proxy-body-size", "9m"), ("upstream-hash-by", "$host"), ("use-regex", "false")]
        {
            assert_eq!(codes(&[(name, value)]), [], "ingress 2.4: {name}");
        }
    }

    #[test]
    fn a_name_that_is_asked_of_certificates_needs_who_signs() {
        let read = of(&[("auth-tls-match-cn", "CN=a")]);
        assert!(read.policy.closed.is_some(), "ingress 2.1: it guards");
        let read = of(&[("auth-tls-match-cn", "CN=a"), ("auth-tls-verify-client", "off")]);
        assert_eq!(read.policy.closed, None, "nobody is asked for any");
    }
}
