//! Which answers are compressed for their clients (`portico.dev/compression`).
//!
//! Words alone: `proxy::l7` obeys. Off unless an annotation asks for it: an answer that holds a secret
//! beside what a client chose tells of it by its length.

/// What is compressed, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compression {
    /// In the order in which they are preferred; at least one.
    pub codings: Box<[Coding]>,
    /// Media types in lower case, without parameters.
    pub types: Box<[Box<str>]>,
    /// Shorter answers, where their length is known, stay as they are.
    pub min_bytes: u64,
}

/// A content coding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coding {
    /// `gzip` (RFC 1952).
    Gzip,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}

impl Coding {
    /// All of them, the one first that costs least for what it saves.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of a name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|coding| coding.name().eq_ignore_ascii_case(name))
    }
}

impl Compression {
    /// The coding that a client accepts best, by all values of its `Accept-Encoding`; none: it wants
    /// answers as they are (RFC 9110 12.5.3).
    pub fn choose<'a>(&self, accepted: impl Iterator<Item = &'a [u8]>) -> Option<Coding> {
        let (mut qualities, mut others, mut plain) = ([None; 3], None, None);
        let elements = accepted.flat_map(|value| value.split(|byte| *byte == b','));
        for element in elements.take(MAX_ELEMENTS) {
            let Ok(element) = std::str::from_utf8(element) else { continue };
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            let (name, quality) = (name.trim(), quality(parameters));
            match Coding::named(name) {
                Some(coding) => qualities[coding as usize] = Some(quality),
                None if name == "*" => others = Some(quality),
                None if name.eq_ignore_ascii_case("identity") => plain = Some(quality),
                None => {}
            }
        }
        let of = |coding: Coding| qualities[coding as usize].or(others).unwrap_or(0);
        let least = plain.unwrap_or(0).max(1);
        let fit = self.codings.iter().copied();
        // Of equal ones the last is taken, which is the first here.
        let fit = fit.rev().filter(|coding| of(*coding) >= least);
        fit.max_by_key(|coding| of(*coding))
    }

    /// Whether answers of this `Content-Type` are compressed; never those of gRPC, whose messages say
    /// that of themselves.
    pub fn has_type(&self, value: &[u8]) -> bool {
        let name = value.split(|byte| *byte == b';').next();
        let name = name.unwrap_or_default().trim_ascii();
        let mut types = self.types.iter().map(|known| known.as_bytes());
        let begin = name.get(..GRPC.len()).unwrap_or_default();
        types.any(|known| known.eq_ignore_ascii_case(name)) && !begin.eq_ignore_ascii_case(GRPC)
    }
}

/// A `q` in thousandths, from 0 to 1000; what cannot be read is nothing.
fn quality(parameters: &str) -> u16 {
    let mut parameters = parameters.split(';').map(str::trim);
    let value = parameters.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
    let Some(value) = value else { return 1_000 };
    let value = value.trim();
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    let digits = part.bytes().chain(*b"000").take(3);
    match whole {
        "1" => 1_000,
        "0" => digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')),
        _ => 0,
    }
}

/// More are not looked at.
const MAX_ELEMENTS: usize = 32;
const GRPC: &[u8] = b"application/grpc";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_accepts_best() {
        let all = |codings: &[Coding]| Compression {
            codings: codings.into(),
            types: Box::default(),
            min_bytes: 0,
        };
        let usual = all(&Coding::ALL);
        for (accepted, want) in [
            ("gzip", Some(Coding::Gzip)),
            ("GZIP, deflate", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", Some(Coding::Gzip)),
            ("gzip;q=0, br; q=0.001", Some(Coding::Brotli)),
            ("*", Some(Coding::Zstd)),
            ("*;q=0.5, zstd;q=0", Some(Coding::Brotli)),
            ("*;q=0", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Coding::Gzip)),
            ("identity;q=0", None),
            ("gzip;q=x", None),
            ("gzip;q=0.0001", None),
            ("gzip;q=0.000", None),
            ("gzip;q=2", None),
            ("deflate", None),
            ("", None),
        ] {
            let got = usual.choose([accepted.as_bytes()].into_iter());
            assert_eq!(got, want, "RFC 9110 12.5.3: {accepted}");
        }
        assert_eq!(usual.choose([].into_iter()), None, "who says nothing gets it as it is");
        let lines = [&b"gzip"[..], b"br"];
        assert_eq!(usual.choose(lines.into_iter()), Some(Coding::Brotli), "several lines are one");
        let gzip = all(&[Coding::Gzip]);
        assert_eq!(gzip.choose([&b"br, zstd"[..]].into_iter()), None);
        let far = [b"x,".repeat(MAX_ELEMENTS), b"gzip".to_vec()].concat();
        assert_eq!(gzip.choose([&far[..]].into_iter()), None, "a list has an end");
    }

    #[test]
    fn a_type_is_compared_without_its_parameters() {
        let types = ["text/html".into(), "application/grpc-web+proto".into()].into();
        let html = Compression { codings: Box::default(), types, min_bytes: 0 };
        for (value, want) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            ("text/html2", false),
            ("text/plain", false),
            ("application/grpc-web+proto", false),
            ("", false),
        ] {
            assert_eq!(html.has_type(value.as_bytes()), want, "{value}");
        }
    }
}
