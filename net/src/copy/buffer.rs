//! The buffers of one thread, lent for one read or for as long as a receiver is slow.
//!
//! Invariants: a direction at rest holds none; at most [`MOST_SPARE`] wait unused; a buffer is of
//! one size, and what it holds is never read again by another borrower. Nothing is zeroed twice.

use std::cell::RefCell;

/// Bytes that were read and not yet taken: a lent buffer, or a copy of a remainder that is small.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Pending {
    /// What is left of `buffer[from..to]`. A small remainder is copied, so that one slow receiver
    /// does not hold a whole buffer for it.
    pub(super) fn new(buffer: Box<[u8]>, from: usize, to: usize) -> Self {
        match buffer.get(from..to) {
            Some(rest) if rest.len() <= SMALL_BYTES => {
                let bytes: Box<[u8]> = rest.into();
                give(buffer);
                Self { from: 0, to: bytes.len(), bytes }
            }
            _ => Self { bytes: buffer, from, to },
        }
    }

    /// What is still to be sent.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }

    /// The receiver took some; the buffer is given back with the last byte.
    pub(super) fn advance(&mut self, taken: usize) {
        self.from += taken;
        if self.from >= self.to {
            let spent = std::mem::take(self);
            give(spent.bytes);
        }
    }
}

/// Lends a buffer of [`BUFFER_BYTES`]; whoever has it gives it back or makes a [`Pending`] of it.
pub(super) fn take() -> Box<[u8]> {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| vec![0; BUFFER_BYTES].into())
}

/// Takes a buffer back.
pub(super) fn give(buffer: Box<[u8]>) {
    if buffer.len() == BUFFER_BYTES {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MOST_SPARE {
                spare.push(buffer);
            }
        });
    }
}

thread_local! {
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// What one read takes at most, and so what one direction holds at most.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
/// A remainder up to this is copied.
const SMALL_BYTES: usize = 8 * 1024;
/// Unused buffers that a thread keeps for the next that is slow.
const MOST_SPARE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_its_last_byte_and_a_small_rest_holds_none() {
        let spare = || SPARE.with_borrow(Vec::len);
        let mut large = Pending::new(take(), 0, SMALL_BYTES + 1);
        assert_eq!((large.rest().len(), spare()), (SMALL_BYTES + 1, 0));
        large.advance(SMALL_BYTES);
        assert_eq!((large.rest().len(), spare()), (1, 0));
        large.advance(1);
        assert_eq!((large.rest().len(), spare()), (0, 1));
        let mut small = Pending::new(take(), 7, 7 + SMALL_BYTES);
        assert_eq!((small.rest().len(), spare()), (SMALL_BYTES, 1));
        small.advance(SMALL_BYTES);
        assert_eq!((small.rest().len(), spare()), (0, 1));
    }

    #[test]
    fn a_thread_keeps_few_buffers_that_nobody_uses() {
        let all: Vec<_> = (0..MOST_SPARE + 9).map(|_| take()).collect();
        all.into_iter().for_each(give);
        assert_eq!(SPARE.with_borrow(Vec::len), MOST_SPARE);
    }
}
