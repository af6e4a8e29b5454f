//! Values that several annotations have: booleans and sizes, as ingress-nginx reads them.

use crate::model::Variable;

/// As ingress-nginx reads them.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// `8m`, `512K`, `0`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, unit) if unit.is_ascii_alphabetic() => (&text[..at], unit.to_ascii_lowercase()),
        _ => (text, 'b'),
    };
    let shift = match unit {
        'b' => 0,
        'k' => 10,
        'm' => 20,
        'g' => 30,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse::<u64>().ok()?.checked_mul(1 << shift))?
}

/// Names of fields with commas between, none of them one that portico needs for itself.
pub(super) fn field_names(text: &str) -> Result<Box<[Box<str>]>, &'static str> {
    let names = text.split(',').map(str::trim);
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    if names.len() > MAX_NAMES {
        return Err("has more than 100 names");
    }
    match names
        .iter()
        .all(|name| is_field_name(name) && !is_own(name))
    {
        true => Ok(names.into_iter().map(Into::into).collect()),
        false => Err("holds what is no name of a field, or one that is portico's to write"),
    }
}

/// Whether a text is the name of a field that says something of a message, and not of how it is sent.
pub(crate) fn is_field_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(known);
    is_name && !TRANSPORT.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Whether a text is what a field may hold.
pub(crate) fn is_field_value(value: &str) -> bool {
    let known = |byte: u8| matches!(byte, b' ' | b'\t') || byte.is_ascii_graphic();
    value.len() <= MAX_VALUE_BYTES && value.bytes().all(known)
}

/// Whether portico writes the field into what it sends to backends.
pub(crate) fn is_own(name: &str) -> bool {
    OWN.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// What a text can ask of any request, whatever its path matched.
pub(super) const VARIABLES: &[Variable] = &[
    Variable::Scheme,
    Variable::Host,
    Variable::HttpHost,
    Variable::RequestUri,
    Variable::EscapedRequestUri,
    Variable::Uri,
    Variable::Args,
    Variable::IsArgs,
    Variable::RequestMethod,
    Variable::RemoteAddr,
    Variable::RequestId,
    Variable::ServerPort,
    Variable::Namespace,
    Variable::IngressName,
    Variable::ServiceName,
    Variable::ServicePort,
];
/// Fields that frame a message, or are about one connection.
const TRANSPORT: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// `ingress 1.9`.
const OWN: [&str; 9] = [
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-real-ip",
    "x-request-id",
    "x-scheme",
];
const MAX_NAMES: usize = 100;
const MAX_NAME_BYTES: usize = 256;
/// Less than what a head may have.
const MAX_VALUE_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_those_of_a_message() {
        for (text, fits) in [
            ("X-User, X-Email", true),
            ("Authorization,", true),
            ("", true),
            ("X_User", false),
            ("X User", false),
            ("X-User\r\nHost", false),
            ("Host", false),
            ("content-length", false),
            ("X-Forwarded-For", false),
            ("x-forwarded-user", true),
        ] {
            assert_eq!(field_names(text).is_ok(), fits, "ingress 2.4: {text:?}");
        }
        assert!(field_names(&"a,".repeat(101)).is_err());
        for (value, fits) in [("a b\tc", true), ("", true), ("a\r\nb: c", false), ("\u{e9}", false)]
        {
            assert_eq!(is_field_value(value), fits, "{value:?}");
        }
    }

    #[test]
    fn booleans_are_those_of_go() {
        for (texts, want) in [
            ("1 t T true True TRUE", Some(true)),
            ("0 f F false False FALSE", Some(false)),
            ("yes on tRUE 2 enabled", None),
        ] {
            for text in texts.split(' ') {
                assert_eq!(boolean(text), want, "ingress 2.1: {text}");
            }
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, want) in [
            ("0", Some(0)),
            ("1", Some(1)),
            ("7b", Some(7)),
            ("8k", Some(8 << 10)),
            ("8K", Some(8 << 10)),
            ("1m", Some(1 << 20)),
            ("2G", Some(2 << 30)),
            ("m", None),
            ("1t", None),
            ("-1", None),
            ("1.5m", None),
            ("1 m", None),
            ("99999999999g", None),
            ("é", None),
        ] {
            assert_eq!(size(text), want, "{text}");
        }
    }
}
