//! The fields of a message, as every codec hands them over: places in one block of bytes, the names
//! that anything here asks for recognised once.
//!
//! Pure. Invariants: a name is a token; a value has no control byte but the tab and no blank at its
//! ends. Whoever makes a [`Line`] has checked that; whoever reads one need not.

use std::ops::Range;

/// A field's name, as far as anything here wants to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Name {
    /// Any other of letters, digits and `-`.
    Other,
    /// One that CGI could take for another: it has neither a letter, a digit nor `-` somewhere.
    Odd,
    Connection,
    ContentLength,
    Date,
    Expect,
    Host,
    Server,
    /// `Strict-Transport-Security`.
    Hsts,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XRequestId,
    /// Says something of one hop only (`http-proxy 1.3`).
    HopByHop,
    /// Says what only a proxy may have said, and this one did not (`http-proxy 3.1`).
    Forged,
    /// Passes, whatever `Connection` says of it (`http-proxy 1.2`).
    Protected,
}

impl Name {
    /// Recognises a name that has no odd byte.
    pub(crate) fn of(name: &[u8]) -> Self {
        let candidates: &[(&str, Self)] = match name.len() {
            2 => &[("te", Self::HopByHop)],
            3 => &[("via", Self::Via)],
            4 => &[("host", Self::Host), ("date", Self::Date)],
            5 => &[("proxy", Self::HopByHop)],
            6 => &[("cookie", Self::Protected), ("expect", Self::Expect), ("server", Self::Server)],
            7 => &[("upgrade", Self::Upgrade), ("trailer", Self::HopByHop)],
            8 => &[("x-scheme", Self::Forged)],
            9 => &[("x-real-ip", Self::Forged), ("forwarded", Self::Forged)],
            10 => &[
                ("connection", Self::Connection),
                ("keep-alive", Self::HopByHop),
                ("tracestate", Self::Protected),
            ],
            11 => &[("traceparent", Self::Protected)],
            12 => &[("content-type", Self::Protected), ("x-request-id", Self::XRequestId)],
            13 => &[("authorization", Self::Protected), ("x-rewrite-url", Self::Forged)],
            14 => &[
                ("content-length", Self::ContentLength),
                ("http2-settings", Self::HopByHop),
                ("x-original-url", Self::Forged),
            ],
            15.. => Self::long(name),
            _ => &[],
        };
        let known = candidates
            .iter()
            .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        match known {
            Some(&(_, known)) => known,
            None if starts_with(name, "ssl-client-") => Self::Forged,
            None if starts_with(name, "x-forwarded-") => Self::Protected,
            None => Self::Other,
        }
    }

    fn long(name: &[u8]) -> &'static [(&'static str, Self)] {
        match name.len() {
            15 => &[("x-forwarded-for", Self::XForwardedFor)],
            16 => &[
                ("x-forwarded-host", Self::XForwardedHost),
                ("x-forwarded-port", Self::Forged),
                ("x-forwarded-user", Self::Forged),
                ("proxy-connection", Self::HopByHop),
            ],
            17 => &[
                ("transfer-encoding", Self::TransferEncoding),
                ("x-forwarded-proto", Self::Forged),
            ],
            18 => &[
                ("x-forwarded-scheme", Self::Forged),
                ("x-forwarded-prefix", Self::Forged),
                ("x-forwarded-server", Self::Forged),
                ("proxy-authenticate", Self::HopByHop),
            ],
            19 => &[("proxy-authorization", Self::HopByHop)],
            24 => &[("x-original-forwarded-for", Self::Forged)],
            25 => &[
                ("strict-transport-security", Self::Hsts),
                ("x-original-forwarded-host", Self::Forged),
            ],
            _ => &[],
        }
    }

    fn bit(self) -> u32 {
        1 << self as u8
    }
}

fn starts_with(name: &[u8], prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Where a field stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) name: Name,
    pub(crate) begin: usize,
    pub(crate) name_end: usize,
    pub(crate) value_begin: usize,
    pub(crate) value_end: usize,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) name: Name,
    /// The name as it was written.
    pub(crate) text: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// All fields of a message, in their order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    lines: &'a [Line],
    present: u32,
}

impl<'a> Fields<'a> {
    /// The fields whose places in `bytes` are `lines`.
    pub(crate) fn new(bytes: &'a [u8], lines: &'a [Line]) -> Self {
        let present = lines.iter().fold(0, |bits, line| bits | line.name.bit());
        Self { bytes, lines, present }
    }

    /// Every field.
    pub(crate) fn iter(self) -> impl Iterator<Item = Field<'a>> {
        let slice = move |range: Range<usize>| self.bytes.get(range).unwrap_or_default();
        self.lines.iter().map(move |line| Field {
            name: line.name,
            text: slice(line.begin..line.name_end),
            value: slice(line.value_begin..line.value_end),
        })
    }

    /// The values of a name.
    pub(crate) fn all(self, name: Name) -> impl Iterator<Item = &'a [u8]> {
        let any = if self.has(name) { self.lines } else { &[] };
        let fields = Self { lines: any, ..self };
        fields
            .iter()
            .filter(move |field| field.name == name)
            .map(|field| field.value)
    }

    /// The value of the first field of a name that nothing else asks for.
    pub(crate) fn first(self, name: &str) -> Option<&'a [u8]> {
        let is_it = |field: &Field<'_>| field.text.eq_ignore_ascii_case(name.as_bytes());
        self.iter().find(is_it).map(|field| field.value)
    }

    /// The values of all fields of a name that nothing else asks for.
    pub(crate) fn every(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.iter();
        fields
            .filter(move |field| field.text.eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value)
    }

    /// The elements of all lines of a name, where it is a list.
    pub(crate) fn elements(self, name: Name) -> impl Iterator<Item = &'a [u8]> {
        let elements = self
            .all(name)
            .flat_map(|line| line.split(|&byte| byte == b','));
        elements.map(<[u8]>::trim_ascii)
    }

    /// Whether a list has a word, in any case.
    pub(crate) fn lists(self, name: Name, word: &str) -> bool {
        self.elements(name)
            .any(|element| element.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether there is a field of this name.
    pub(crate) fn has(self, name: Name) -> bool {
        self.present & name.bit() != 0
    }

    /// How many bytes the fields have.
    pub(crate) fn byte_count(self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_in_any_case() {
        for (text, want) in [
            ("Host", Name::Host),
            ("hOST", Name::Host),
            ("Hosts", Name::Other),
            ("TE", Name::HopByHop),
            ("Proxy", Name::HopByHop),
            ("Keep-Alive", Name::HopByHop),
            ("HTTP2-Settings", Name::HopByHop),
            ("Proxy-Authorization", Name::HopByHop),
            ("Transfer-Encoding", Name::TransferEncoding),
            ("Content-Length", Name::ContentLength),
            ("X-Rewrite-URL", Name::Forged),
            ("X-Original-URL", Name::Forged),
            ("X-Original-Forwarded-For", Name::Forged),
            ("X-Forwarded-Prefix", Name::Forged),
            ("SSL-Client-Verify", Name::Forged),
            ("X-Forwarded-Anything", Name::Protected),
            ("Authorization", Name::Protected),
            ("Accept", Name::Other),
            ("", Name::Other),
        ] {
            assert_eq!(Name::of(text.as_bytes()), want, "{text}");
        }
    }
}
