//! Whether a request is for the alternative of its location (`ingress 2.4`: canary).
//!
//! Pure: header, then cookie, then chance. A value that a client sends decides about where its own
//! request goes and about nothing else.

use portico_config::model::{CanaryHeader, CanaryRule, CanaryValue};

use crate::l7::fields::{Fields, Name};

/// What decides whether a request is for the alternative.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decides {
    /// The field, and so.
    Header(bool),
    /// The cookie, and so.
    Cookie(bool),
    /// Chance.
    Weight,
}

/// What decides about a request with these fields.
pub(crate) fn decides(rule: &CanaryRule, fields: Fields<'_>) -> Decides {
    let by_header = rule
        .header
        .as_ref()
        .and_then(|header| by_header(header, fields));
    let by_cookie = || word(cookies(fields, rule.cookie.as_deref()?).next()?);
    match by_header {
        Some(takes) => Decides::Header(takes),
        None => by_cookie().map_or(Decides::Weight, Decides::Cookie),
    }
}

/// Whether it is; `random` is asked where nothing else decides.
pub(crate) fn takes(rule: &CanaryRule, fields: Fields<'_>, random: impl FnOnce() -> u64) -> bool {
    match decides(rule, fields) {
        Decides::Header(takes) | Decides::Cookie(takes) => takes,
        Decides::Weight if rule.weight == 0 => false,
        Decides::Weight => random() % u64::from(rule.weight_total.max(1)) < u64::from(rule.weight),
    }
}

/// The draw of chance that most requests would have.
pub(crate) fn likely(rule: &CanaryRule) -> u64 {
    let (weight, total) = (u64::from(rule.weight), u64::from(rule.weight_total.max(1)));
    if 2 * weight > total { 0 } else { total - 1 }
}

fn by_header(rule: &CanaryHeader, fields: Fields<'_>) -> Option<bool> {
    let is_it = |name: &[u8]| name.eq_ignore_ascii_case(rule.name.as_bytes());
    let value = fields.iter().find(|field| is_it(field.text))?.value;
    match &rule.value {
        CanaryValue::Words => word(value),
        CanaryValue::Equal(wanted) => (wanted.as_bytes() == value).then_some(true),
        CanaryValue::Pattern(pattern) => pattern.is_match(value).then_some(true),
        CanaryValue::Broken => Some(false),
    }
}

fn word(value: &[u8]) -> Option<bool> {
    match value {
        b"always" => Some(true),
        b"never" => Some(false),
        _ => None,
    }
}

/// The values of a cookie: several where it was set for several paths.
pub(crate) fn cookies<'a>(fields: Fields<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let any = fields.has(Name::Protected);
    let lines = fields
        .iter()
        .filter(move |field| any && field.text.eq_ignore_ascii_case(b"cookie"));
    let pairs = lines.flat_map(|field| field.value.split(|&byte| byte == b';'));
    pairs.filter_map(move |pair| {
        let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l7::h1::head;

    fn with<T>(lines: &str, see: impl FnOnce(Fields<'_>) -> T) -> T {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut places = Vec::new();
        assert!(
            head::request(head.as_bytes(), &mut places)
                .unwrap()
                .is_some()
        );
        see(Fields::new(head.as_bytes(), &places))
    }

    #[test]
    fn header_before_cookie_before_chance() {
        let header = |value| Some(CanaryHeader { name: "X-Try".into(), value });
        let rule = |header, weight| CanaryRule {
            header,
            cookie: Some("try".into()),
            weight,
            weight_total: 100,
            forgets: false,
        };
        let words = rule(header(CanaryValue::Words), 0);
        let equal = rule(header(CanaryValue::Equal("v2".into())), 0);
        let pattern = rule(header(CanaryValue::pattern("^v[23]")), 0);
        let broken = rule(header(CanaryValue::Broken), 100);
        let chance = rule(None, 100);
        for (case, rule, lines, want) in [
            ("nothing said", &words, "", false),
            ("always", &words, "x-try: always\r\n", true),
            ("never", &words, "x-try: never\r\nCookie: try=always\r\n", false),
            ("another word", &words, "X-Try: perhaps\r\nCookie: a=b; try=always\r\n", true),
            ("the value", &equal, "X-Try: v2\r\n", true),
            ("another value", &equal, "X-Try: always\r\n", false),
            ("another value, then cookie", &equal, "X-Try: v3\r\ncookie: try=always\r\n", true),
            ("the pattern", &pattern, "X-Try: v3.1\r\n", true),
            ("not the pattern", &pattern, "X-Try: v1\r\n", false),
            ("a broken pattern ends it", &broken, "X-Try: v2\r\n", false),
            ("a broken pattern without field", &broken, "", true),
            ("cookie never", &chance, "Cookie: try=never\r\n", false),
            ("another cookie", &chance, "Cookie: tryst=never\r\n", true),
        ] {
            let got = with(lines, |fields| takes(rule, fields, || 99));
            assert_eq!(got, want, "ingress 2.4: {case}");
        }
    }

    #[test]
    fn chance_is_a_share_of_the_total() {
        for (weight, weight_total, want) in
            [(0, 100, 0), (30, 100, 30), (1, 200, 1), (300, 200, 200)]
        {
            let rule = CanaryRule { weight, weight_total, ..CanaryRule::default() };
            let random = 0..u64::from(weight_total);
            let count = with("", |fields| random.filter(|it| takes(&rule, fields, || *it)).count());
            assert_eq!(count, want, "ingress 2.4: {weight} of {weight_total}");
            let likely = with("", |fields| takes(&rule, fields, || likely(&rule)));
            let most = usize::try_from(weight_total).is_ok_and(|total| 2 * count > total);
            assert_eq!(likely, most, "what is thought of goes where most go: {weight}");
        }
    }
}
