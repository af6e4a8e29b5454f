//! Chance on one worker: fast, seeded by the operating system, and nothing to keep a secret with.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// xorshift64*.
#[derive(Debug)]
pub(super) struct Random(Cell<u64>);

impl Random {
    /// Seeded anew.
    pub(super) fn new() -> Self {
        // Anything but 0, which would stay 0.
        Self(Cell::new(RandomState::new().hash_one(0_u8) | 1))
    }

    /// The next number.
    pub(super) fn next(&self) -> u64 {
        let mut word = self.0.get();
        word ^= word >> 12;
        word ^= word << 25;
        word ^= word >> 27;
        self.0.set(word);
        word.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// 32 hex digits.
    pub(super) fn digits(&self) -> [u8; 32] {
        let mut digits = [0; 32];
        for half in digits.chunks_mut(16) {
            let mut word = self.next();
            for digit in half {
                *digit = HEX[usize::from(word.to_le_bytes()[0] & 15)];
                word >>= 4;
            }
        }
        digits
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
