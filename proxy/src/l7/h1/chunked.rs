//! Chunked bodies: taken apart as they come, put together anew (`http-proxy 2`, RFC 9112 7.1).
//!
//! ```text
//! Size ─▶ [Extension] ─▶ SizeEnd ─▶ Data ─▶ DataCr ─▶ DataLf ─▶ Size …   a size of 0 ─▶ trailers ─▶ Done
//! ```
//!
//! Pure. Extensions and trailers are read, counted and dropped. Bytes are decoded where they lie: what
//! was said between two runs of data closes up.

use std::ops::Range;

use super::grammar::{NO_TOKEN, class, is_text};
use super::head::{Fault, MAX_FIELDS};

/// Takes one body apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Decoder {
    state: State,
    /// Data of this chunk that has not come.
    left: u64,
    digits: u8,
    /// Bytes of extensions so far.
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_lines: usize,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    Done,
}

/// What became of some bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Decoded {
    /// Where the data is now.
    pub(crate) data: Range<usize>,
    /// How many bytes were looked at: all, but for those behind the body's end.
    pub(crate) taken: usize,
}

impl Decoder {
    /// Whether the body has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes `bytes` apart where they lie.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Fault> {
        let mut data = 0..0;
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let rest = bytes.len() - at;
                let run = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                if data.is_empty() {
                    data = at..at + run;
                } else {
                    bytes.copy_within(at..at + run, data.end);
                    data.end += run;
                }
                at += run;
                self.left -= run as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.after(bytes[at])?;
                at += 1;
            }
        }
        Ok(Decoded { data, taken: at })
    }

    /// The state behind a byte that is no data.
    fn after(&mut self, byte: u8) -> Result<State, Fault> {
        use State::{
            Data, DataCr, DataLf, Done, Extension, LastLf, Size, SizeEnd, Trailer, TrailerEnd,
            TrailerName, TrailerValue,
        };
        Ok(match (self.state, byte) {
            (Size, b'\r') if self.digits > 0 => SizeEnd,
            (Size, b';') if self.digits > 0 => self.extension()?,
            (Size, byte) => self.size(byte)?,
            (Extension, b'\r') => SizeEnd,
            (Extension, byte) if is_text(&[byte]) => self.extension()?,
            (SizeEnd, b'\n') => {
                self.digits = 0;
                if self.left == 0 { Trailer } else { Data }
            }
            (DataCr, b'\r') => DataLf,
            (DataLf, b'\n') => Size,
            (Trailer, b'\r') => LastLf,
            (LastLf, b'\n') => Done,
            (Trailer, byte) if class(byte) != NO_TOKEN => {
                self.trailer_lines += 1;
                self.trailer(TrailerName)?
            }
            (TrailerName, b':') => self.trailer(TrailerValue)?,
            (TrailerName, byte) if class(byte) != NO_TOKEN => self.trailer(TrailerName)?,
            (TrailerValue, b'\r') => TrailerEnd,
            (TrailerValue, byte) if is_text(&[byte]) => self.trailer(TrailerValue)?,
            (TrailerEnd, b'\n') => Trailer,
            _ => return Err(Fault::Malformed),
        })
    }

    fn size(&mut self, byte: u8) -> Result<State, Fault> {
        let digit = char::from(byte).to_digit(16).ok_or(Fault::Malformed)?;
        if self.digits == MAX_SIZE_DIGITS {
            return Err(Fault::Malformed);
        }
        self.digits += 1;
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn extension(&mut self) -> Result<State, Fault> {
        self.extension_bytes += 1;
        let fits = self.extension_bytes <= MAX_EXTENSION_BYTES;
        if fits { Ok(State::Extension) } else { Err(Fault::Malformed) }
    }

    fn trailer(&mut self, state: State) -> Result<State, Fault> {
        self.trailer_bytes += 1;
        let fits = self.trailer_bytes <= MAX_TRAILER_BYTES && self.trailer_lines <= MAX_FIELDS;
        if fits { Ok(state) } else { Err(Fault::TooLarge) }
    }
}

/// Makes `data` in `bytes` one chunk where it lies, between [`ROOM_BEFORE`] and [`ROOM_BEHIND`]
/// bytes that are overwritten, and the last one if `last`. Nothing of nothing.
pub(crate) fn encode(bytes: &mut [u8], data: Range<usize>, last: bool) -> Range<usize> {
    let mut whole = data.clone();
    if !data.is_empty() {
        let (size, digits) = size_line(data.len());
        let size = &size[size.len() - digits..];
        whole.start -= size.len();
        bytes[whole.start..data.start].copy_from_slice(size);
        bytes[data.end..data.end + 2].copy_from_slice(b"\r\n");
        whole.end += 2;
    }
    if last {
        let end = whole.end + LAST.len();
        bytes[whole.end..end].copy_from_slice(LAST);
        whole.end = end;
    }
    whole
}

/// Writes `data` as [`encode`] does, behind what there is.
pub(crate) fn append(out: &mut Vec<u8>, data: &[u8], last: bool) {
    if !data.is_empty() {
        let (size, digits) = size_line(data.len());
        out.extend_from_slice(&size[size.len() - digits..]);
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
    if last {
        out.extend_from_slice(LAST);
    }
}

/// The line that says a chunk's size, and how many bytes at the end of the array it has.
fn size_line(mut size: usize) -> ([u8; ROOM_BEFORE], usize) {
    let mut line = [0; ROOM_BEFORE];
    let mut at = ROOM_BEFORE - 2;
    line[at..].copy_from_slice(b"\r\n");
    while size > 0 {
        at -= 1;
        line[at] = b"0123456789abcdef"[size & 15];
        size >>= 4;
    }
    (line, ROOM_BEFORE - at)
}

/// The end of a body.
const LAST: &[u8] = b"0\r\n\r\n";
/// Bytes that a chunk's size takes.
pub(crate) const ROOM_BEFORE: usize = 18;
/// Bytes that the ends of chunk and body take.
pub(crate) const ROOM_BEHIND: usize = 2 + LAST.len();
/// More say more than 64 bits.
const MAX_SIZE_DIGITS: u8 = 16;
/// More extensions in one body get 400 (`http-proxy 2`).
const MAX_EXTENSION_BYTES: usize = 1024;
/// More trailers get 431 (`http-proxy 2`).
const MAX_TRAILER_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Data, the rest behind the end, and whether the end came; in pieces of `step`.
    fn decode(text: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>, bool), u16> {
        let mut decoder = Decoder::default();
        let (mut data, mut rest) = (Vec::new(), Vec::new());
        for piece in text.chunks(step) {
            let mut piece = piece.to_vec();
            let decoded = decoder
                .decode(&mut piece)
                .map_err(|fault| fault.status().as_u16())?;
            data.extend_from_slice(&piece[decoded.data]);
            rest.extend_from_slice(&piece[decoded.taken..]);
        }
        Ok((data, rest, decoder.is_done()))
    }

    #[test]
    fn chunks_mean_the_same_however_they_are_cut() {
        let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(MAX_EXTENSION_BYTES - 1));
        let longer = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(MAX_EXTENSION_BYTES));
        let lines = |count| format!("0\r\n{}\r\n", "a: b\r\n".repeat(count));
        let (hundred, more) = (lines(MAX_FIELDS), lines(MAX_FIELDS + 1));
        let large = format!("0\r\na: {}\r\n\r\n", "b".repeat(MAX_TRAILER_BYTES - 3));
        let larger = format!("0\r\na: {}\r\n\r\n", "b".repeat(MAX_TRAILER_BYTES - 2));
        for (case, text, want) in [
            ("one", "3\r\nabc\r\n0\r\n\r\n", Ok(("abc", "", true))),
            ("two and what follows", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\nGET", Ok(("abc", "GET", true))),
            ("not at its end", "3\r\nab", Ok(("ab", "", false))),
            ("zeros, letters", "00A\r\n0123456789\r\n0\r\n\r\n", Ok(("0123456789", "", true))),
            ("extension dropped", "1;a=\"b\"\r\nx\r\n0;c\r\n\r\n", Ok(("x", "", true))),
            ("extensions at their limit", &long, Ok(("x", "", true))),
            ("extensions beyond it", &longer, Err(400)),
            ("trailers dropped", "0\r\nHost: a\r\nX: y\r\n\r\n", Ok(("", "", true))),
            ("trailers at their limit", &hundred, Ok(("", "", true))),
            ("trailers beyond it", &more, Err(431)),
            ("trailer at its limit", &large, Ok(("", "", true))),
            ("trailer beyond it", &larger, Err(431)),
            ("sign", "+1\r\na\r\n", Err(400)),
            ("minus", "-1\r\na\r\n", Err(400)),
            ("prefix", "0x1\r\na\r\n", Err(400)),
            ("no size", "\r\na\r\n", Err(400)),
            ("no size but an extension", ";a\r\n", Err(400)),
            ("overflow", "10000000000000000\r\n", Err(400)),
            ("line feed alone", "1\na\r\n", Err(400)),
            ("carriage return alone", "1\ra\r\n", Err(400)),
            ("blank behind the size", "1 \r\na\r\n", Err(400)),
            ("blank before the size", " 1\r\na\r\n", Err(400)),
            ("return in an extension", "1;a\rb\r\na\r\n", Err(400)),
            ("line feed in an extension", "1;a\nb\r\na\r\n", Err(400)),
            ("longer than said", "1\r\nab\r\n0\r\n\r\n", Err(400)),
            ("shorter than said", "3\r\nab\r\n0\r\n\r\n", Err(400)),
            ("no return behind data", "1\r\na\n0\r\n\r\n", Err(400)),
            ("trailer ended by a line feed", "0\r\nX: y\n\r\n", Err(400)),
            ("end by a line feed", "0\r\n\n", Err(400)),
            ("folded trailer", "0\r\nX: y\r\n z\r\n\r\n", Err(400)),
            ("trailer without a colon", "0\r\nGET / HTTP/1.1\r\n\r\n", Err(400)),
        ] {
            for step in [1, 2, 3, 7, text.len()] {
                let got = decode(text.as_bytes(), step);
                let want = want.map(|(data, rest, done)| (data.into(), rest.into(), done));
                assert_eq!(got, want, "http-proxy 2: {case}, in pieces of {step}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_put_together_is_taken_apart(body in ".{0,300}", step in 1_usize..400) {
            let mut bytes = vec![0; ROOM_BEFORE + body.len() + ROOM_BEHIND];
            let data = ROOM_BEFORE..ROOM_BEFORE + body.len();
            bytes[data.clone()].copy_from_slice(body.as_bytes());
            let mut appended = Vec::new();
            append(&mut appended, body.as_bytes(), true);
            let whole = encode(&mut bytes, data, true);
            let want = (body.into_bytes(), Vec::new(), true);
            proptest::prop_assert_eq!(&appended[..], &bytes[whole.clone()]);
            proptest::prop_assert_eq!(decode(&bytes[whole], step), Ok(want));
        }
    }
}
