//! Which answers are compressed: `portico.dev/compression`, `-types` and `-min-length`.
//!
//! Tuning: what cannot be read leaves answers as they are, or the default, and is told.

use super::reader::Reader;
use super::values::size;
use crate::model::{Coding, Compression};

impl Reader<'_> {
    /// What is compressed; none: nothing.
    pub(super) fn compression(&mut self) -> Option<Compression> {
        let types = self.own_value(TYPES_KEY, types);
        let min_bytes =
            self.own_value(MIN_LENGTH_KEY, |text| size(text).ok_or("is no size such as 1k"));
        let codings = self.own_value(KEY, codings)?;
        (!codings.is_empty()).then(|| Compression {
            codings,
            types: types.unwrap_or_else(|| TYPES.map(Into::into).into()),
            min_bytes: min_bytes.unwrap_or(MIN_BYTES),
        })
    }
}

/// Names of codings with commas between, the preferred one first; `on` for all, `off` for none.
fn codings(text: &str) -> Result<Box<[Coding]>, &'static str> {
    match text {
        "on" => return Ok(Coding::ALL.into()),
        "off" => return Ok(Box::default()),
        _ => {}
    }
    let mut codings = Vec::new();
    for name in text.split(',').map(str::trim) {
        match Coding::named(name) {
            Some(coding) if !codings.contains(&coding) => codings.push(coding),
            Some(_) => {}
            None => return Err("is neither `on` nor `off`, nor a list of `zstd`, `br` and `gzip`"),
        }
    }
    Ok(codings.into())
}

/// Media types with commas between.
fn types(text: &str) -> Result<Box<[Box<str>]>, &'static str> {
    let names = text.split(',').map(str::trim);
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte);
    let is_type = |name: &&str| name.split('/').count() == 2 && name.bytes().all(known);
    match names.len() <= MAX_TYPES && names.iter().all(is_type) {
        true => Ok(names
            .iter()
            .map(|name| name.to_ascii_lowercase().into())
            .collect()),
        false => Err("holds what is no media type such as `text/html`, or more than 100"),
    }
}

const KEY: &str = "portico.dev/compression";
const TYPES_KEY: &str = "portico.dev/compression-types";
const MIN_LENGTH_KEY: &str = "portico.dev/compression-min-length";
/// Those of ingress-nginx's `gzip-types`, and `text/xml`.
const TYPES: [&str; 19] = [
    "application/atom+xml",
    "application/javascript",
    "application/json",
    "application/rss+xml",
    "application/vnd.ms-fontobject",
    "application/x-font-ttf",
    "application/x-javascript",
    "application/x-web-app-manifest+json",
    "application/xhtml+xml",
    "application/xml",
    "font/opentype",
    "image/svg+xml",
    "image/x-icon",
    "text/css",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/x-component",
    "text/xml",
];
/// As `gzip-min-length` of ingress-nginx.
const MIN_BYTES: u64 = 256;
const MAX_TYPES: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;
    use crate::diagnostic::Code;

    #[test]
    fn nothing_is_compressed_unless_it_is_asked_for() {
        for pairs in [&[][..], &[(KEY, "off")], &[(KEY, "")], &[(MIN_LENGTH_KEY, "1k")]] {
            let read = of(pairs);
            assert_eq!((read.policy.compression, read.findings.len()), (None, 0), "{pairs:?}");
        }
        let on = of(&[(KEY, "on")]).policy.compression.unwrap();
        assert_eq!((&*on.codings, on.min_bytes), (&Coding::ALL[..], 256));
        assert!(on.has_type(b"text/html") && !on.has_type(b"text/event-stream"));
    }

    #[test]
    fn codings_types_and_lengths_are_read() {
        let read = of(&[
            (KEY, "gzip, BR, gzip"),
            (TYPES_KEY, "Text/Event-Stream, application/ld+json"),
            (MIN_LENGTH_KEY, "1k"),
        ]);
        let some = read.policy.compression.unwrap();
        assert_eq!(&*some.codings, [Coding::Gzip, Coding::Brotli]);
        assert_eq!(some.min_bytes, 1024);
        assert!(some.has_type(b"text/event-stream") && !some.has_type(b"text/html"));
    }

    #[test]
    fn what_cannot_be_read_is_told_and_closes_nothing() {
        let long = "a/b,".repeat(MAX_TYPES + 1);
        for (key, value) in [
            (KEY, "deflate"),
            (KEY, "true"),
            (KEY, "gzip,"),
            (TYPES_KEY, "html"),
            (TYPES_KEY, "text/html; charset=utf-8"),
            (TYPES_KEY, &long),
            (MIN_LENGTH_KEY, "many"),
        ] {
            let read = of(&[(key, value)]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, [Code::InvalidIngressAnnotation], "{key}: {value}");
            assert_eq!((read.policy.closed, read.policy.compression), (None, None), "{value}");
        }
    }
}
