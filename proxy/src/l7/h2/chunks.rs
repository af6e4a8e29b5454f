//! A body with chunks as the state machine writes it, taken apart again.
//!
//! Pure. Reads only what this proxy wrote itself, in pieces of any size; what it would never write is
//! a [`Fault`], on which the stream is reset.

use super::Fault;

/// A chunked body that is being taken apart.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    /// A line that has not come whole.
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    /// The line behind the last chunk.
    End,
}

/// What some bytes are.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// So many bytes only frame.
    Frame(usize),
    /// So many bytes are data; whoever sends some of them says so with [`Chunks::sent`].
    Data(usize),
    /// The same, and behind them is nothing but the body's end, [`END_BYTES`].
    Last(usize),
    /// So many bytes end the body.
    End(usize),
}

impl Chunks {
    /// What `bytes`, which are not empty, begin with.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        if let State::Data(left) = self.state {
            let data = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            // The bytes end before the chunk does, or something is behind it.
            return Ok(match bytes[data..] == *END {
                true => Step::Last(data),
                false => Step::Data(data),
            });
        }
        let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
        let taken = end.unwrap_or(bytes.len());
        if self.line.len() + taken > MAX_LINE_BYTES {
            return Err(Fault);
        }
        // Most come whole.
        if end.is_none() || !self.line.is_empty() {
            self.line.extend_from_slice(&bytes[..taken]);
        }
        if end.is_none() {
            return Ok(Step::Frame(taken));
        }
        let begun = std::mem::take(&mut self.line);
        let whole = if begun.is_empty() { &bytes[..taken] } else { &begun };
        let line = whole.strip_suffix(b"\r\n").ok_or(Fault)?;
        self.state = match (self.state, line) {
            (State::Size, size) => match size_of(size)? {
                0 => State::End,
                left => State::Data(left),
            },
            (State::DataEnd, []) => State::Size,
            (State::End, []) => return Ok(Step::End(taken)),
            (State::DataEnd | State::Data(_) | State::End, _) => return Err(Fault),
        };
        Ok(Step::Frame(taken))
    }

    /// So many bytes of the data were sent.
    pub(super) fn sent(&mut self, count: usize) {
        if let State::Data(left) = self.state {
            self.state = match left.saturating_sub(count as u64) {
                0 => State::DataEnd,
                left => State::Data(left),
            };
        }
    }
}

fn size_of(digits: &[u8]) -> Result<u64, Fault> {
    let text = std::str::from_utf8(digits).map_err(|_| Fault)?;
    u64::from_str_radix(text, 16).map_err(|_| Fault)
}

/// What is behind the data of the last chunk.
const END: &[u8] = b"\r\n0\r\n\r\n";
/// How much that is.
pub(super) const END_BYTES: usize = END.len();
/// A line of a chunked body: a size.
const MAX_LINE_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of a body that comes in pieces of `size` bytes, and whether it ended.
    fn decoded(body: &[u8], size: usize) -> Result<(Vec<u8>, bool), Fault> {
        let (mut chunks, mut data) = (Chunks::default(), Vec::new());
        for mut piece in body.chunks(size) {
            while !piece.is_empty() {
                let taken = match chunks.step(piece)? {
                    Step::Frame(taken) => taken,
                    Step::Data(taken) => {
                        data.extend_from_slice(&piece[..taken]);
                        chunks.sent(taken);
                        taken
                    }
                    Step::Last(taken) => {
                        data.extend_from_slice(&piece[..taken]);
                        assert_eq!(taken + END_BYTES, piece.len(), "nothing follows");
                        return Ok((data, true));
                    }
                    Step::End(taken) => {
                        assert_eq!(taken, piece.len(), "nothing follows");
                        return Ok((data, true));
                    }
                };
                piece = &piece[taken..];
            }
        }
        Ok((data, false))
    }

    #[test]
    fn chunks_are_taken_apart_however_they_are_cut() {
        let body = b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n";
        for size in 1..=body.len() {
            let want = (b"hello world".to_vec(), true);
            assert_eq!(decoded(body, size), Ok(want), "in pieces of {size}");
        }
        assert_eq!(decoded(b"5\r\nhel", 2), Ok((b"hel".to_vec(), false)), "not ended");
        let looks = b"7\r\n\r\n0\r\n\r\n\r\n";
        assert_eq!(decoded(looks, 64), Ok((END.to_vec(), false)), "data that looks like an end");
        for odd in [&b"x\r\n"[..], b"1\n", b"0\r\na: b\r\n\r\n", b"1\r\naXX\r\n"] {
            assert_eq!(decoded(odd, 64), Err(Fault), "{odd:?}");
        }
    }
}
