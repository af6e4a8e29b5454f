//! A body as it comes, whatever says where it ends: a length, chunks, or the end of the connection.
//!
//! Pure. Taken apart where it lies; which of the three it is `framing` has said.

use super::chunked::{Decoded, Decoder};
use super::framing::Length;
use super::head::Fault;

/// A body that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// So many bytes are to come.
    Exact(u64),
    /// Chunks are to come.
    Chunked(Decoder),
    /// All that comes.
    UntilClose,
}

impl Body {
    pub(super) fn new(length: Length) -> Self {
        match length {
            Length::Absent => Self::Exact(0),
            Length::Exact(bytes) => Self::Exact(bytes),
            Length::Chunked => Self::Chunked(Decoder::default()),
            Length::UntilClose => Self::UntilClose,
        }
    }

    /// Whether all of it has come.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Exact(left) => *left == 0,
            Self::Chunked(decoder) => decoder.is_done(),
            Self::UntilClose => false,
        }
    }

    /// Takes what of `bytes` belongs to it, where it lies.
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> Result<Decoded, Fault> {
        let taken = match self {
            Self::Exact(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |n| n.min(bytes.len()));
                *left -= taken as u64;
                taken
            }
            Self::Chunked(decoder) => return decoder.decode(bytes),
            Self::UntilClose => bytes.len(),
        };
        Ok(Decoded { data: 0..taken, taken })
    }
}
