//! The annotations about time, repeats and alternatives: what is timed and sent again how, and who
//! gets a canary (`ingress 2.4`).
//!
//! All of them tune: a value that cannot be obeyed leaves the default, and is told.

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::{CanaryHeader, CanaryRule, CanaryValue, Conditions, Retries, Timeouts};

impl Reader<'_> {
    pub(super) fn timeouts(&mut self) -> Timeouts {
        Timeouts {
            connect: self.value("proxy-connect-timeout", seconds),
            send: self.value("proxy-send-timeout", seconds),
            read: self.value("proxy-read-timeout", seconds),
        }
    }

    pub(super) fn retries(&mut self) -> Retries {
        let conditions = |text: &str| Conditions::parse(text).ok_or("holds no condition it knows");
        let tries = |text: &str| match text.parse::<u32>() {
            Ok(0) => Ok(MAX_TRIES),
            Ok(tries) => Ok(u8::try_from(tries).unwrap_or(MAX_TRIES).min(MAX_TRIES)),
            Err(_) => Err("is no number"),
        };
        let buffers = |text: &str| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err("is neither `on` nor `off`"),
        };
        Retries {
            after: self.value("proxy-next-upstream", conditions),
            tries: self.value("proxy-next-upstream-tries", tries),
            timeout: self.value("proxy-next-upstream-timeout", seconds),
            streams: self.value("proxy-request-buffering", buffers) == Some(false),
        }
    }

    /// Whose alternative an Ingress is; none: it is none.
    pub(super) fn canary(&mut self) -> Option<CanaryRule> {
        if self.switch("canary") != Some(true) {
            let rules = RULES.iter().filter(|name| self.first(&[name]).is_some());
            for name in rules.copied().collect::<Vec<_>>() {
                let text = "has no effect without `canary: \"true\"`";
                self.find(Code::AnnotationWithoutEffect, name, text, None);
            }
            return None;
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| "is no number");
        let header = self
            .value("canary-by-header", name)
            .map(|name| CanaryHeader { name, value: self.canary_value() });
        if header.is_none() {
            for name in ["canary-by-header-value", "canary-by-header-pattern"] {
                if self.first(&[name]).is_some() {
                    let text = "has no effect without `canary-by-header`";
                    self.find(Code::AnnotationWithoutEffect, name, text, None);
                }
            }
        }
        let total = self.value("canary-weight-total", number).unwrap_or(100);
        Some(CanaryRule {
            header,
            cookie: self.value("canary-by-cookie", name),
            weight: self.value("canary-weight", number).unwrap_or(0),
            weight_total: total.max(100),
            forgets: self.value("affinity-canary-behavior", behavior) == Some(true),
        })
    }

    fn canary_value(&mut self) -> CanaryValue {
        if let Some((_, value)) = self.first(&["canary-by-header-value"]) {
            return CanaryValue::Equal(value.into());
        }
        let Some((name, pattern)) = self.first(&["canary-by-header-pattern"]) else {
            return CanaryValue::Words;
        };
        let value = CanaryValue::pattern(pattern);
        if value == CanaryValue::Broken {
            let text = "is no pattern: requests with the field go to the main backend";
            self.find(Code::InvalidIngressAnnotation, name, text, None);
        }
        value
    }
}

/// Whether who was served before is asked anew.
fn behavior(text: &str) -> Result<bool, &'static str> {
    match text {
        "sticky" => Ok(false),
        "legacy" => Ok(true),
        _ => Err("is neither `sticky` nor `legacy`"),
    }
}

/// Whole seconds.
fn seconds(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .map_err(|_| "is no number of whole seconds such as 60")
}

/// The name of a field or cookie.
fn name(text: &str) -> Result<Box<str>, &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match text.bytes().all(known) {
        true => Ok(text.into()),
        false => Err("holds something that no such name has"),
    }
}

/// The rules of a canary.
const RULES: [&str; 7] = [
    "affinity-canary-behavior",
    "canary-by-cookie",
    "canary-by-header",
    "canary-by-header-pattern",
    "canary-by-header-value",
    "canary-weight",
    "canary-weight-total",
];
/// As many as `0` stands for (`ingress 2.4`).
const MAX_TRIES: u8 = 16;

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn times_and_repeats_become_numbers() {
        let read = of(&[
            ("proxy-connect-timeout", "2"),
            ("proxy-read-timeout", "3600"),
            ("proxy-send-timeout", "0"),
            ("proxy-next-upstream", "error http_502"),
            ("proxy-next-upstream-tries", "0"),
            ("proxy-next-upstream-timeout", "9"),
            ("proxy-request-buffering", "off"),
        ]);
        assert_eq!(read.findings, []);
        let timeouts = Timeouts { connect: Some(2), send: Some(0), read: Some(3600) };
        assert_eq!(read.policy.timeouts, timeouts, "ingress 2.4");
        let Retries { after, tries, timeout, streams } = read.policy.retries;
        assert_eq!(after, Conditions::parse("error http_502"));
        assert_eq!((tries, timeout, streams), (Some(16), Some(9), true));
    }

    #[test]
    fn what_cannot_be_obeyed_is_told_and_the_default_counts() {
        for (name, value) in [
            ("proxy-read-timeout", "60s"),
            ("proxy-read-timeout", "-1"),
            ("proxy-next-upstream", "error http_418"),
            ("proxy-next-upstream-tries", "many"),
            ("proxy-request-buffering", "true"),
        ] {
            let read = of(&[(name, value)]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, [Code::InvalidIngressAnnotation], "{name}: {value}");
            assert_eq!(read.policy, Default::default(), "ingress 2.1: {name}: {value}");
        }
    }

    #[test]
    fn a_canary_has_rules_and_rules_want_a_canary() {
        let canary = |pairs: &[(&str, &str)]| {
            let read = of(&[&[("canary", "true")], pairs].concat());
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            (read.canary.unwrap(), codes)
        };
        let (rule, codes) = canary(&[("canary-weight", "30"), ("canary-weight-total", "50")]);
        assert_eq!((rule.weight, rule.weight_total, codes), (30, 100, vec![]), "ingress 2.4");
        let value = |pairs: &[(&str, &str)]| {
            let (rule, codes) = canary(&[&[("canary-by-header", "X-Try")], pairs].concat());
            (rule.header.unwrap().value, codes)
        };
        assert_eq!(value(&[]), (CanaryValue::Words, vec![]));
        let (by_value, by_pattern) = ("canary-by-header-value", "canary-by-header-pattern");
        let equal = (CanaryValue::Equal("a".into()), vec![]);
        assert_eq!(value(&[(by_value, "a"), (by_pattern, "(")]), equal);
        let broken = (CanaryValue::Broken, vec![Code::InvalidIngressAnnotation]);
        assert_eq!(value(&[(by_pattern, "(")]), broken);
        assert!(matches!(value(&[(by_pattern, "^a")]).0, CanaryValue::Pattern(_)));
        assert_eq!(canary(&[(by_value, "a")]).1, [Code::AnnotationWithoutEffect]);
        assert!(canary(&[("affinity-canary-behavior", "legacy")]).0.forgets);
        assert!(!canary(&[("affinity-canary-behavior", "sticky")]).0.forgets);
        let read = of(&[("canary-weight", "5")]);
        assert_eq!(read.findings[0].code, Code::AnnotationWithoutEffect);
        assert_eq!(read.canary, None, "ingress 2.4");
    }
}
