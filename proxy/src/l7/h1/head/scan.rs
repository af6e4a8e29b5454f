//! The end of a head that comes in pieces: each byte is looked at once.
//!
//! What has no end yet and can no longer become a head is refused at once, so that no more of it is
//! kept. Whether what has an end is one is the reader's to say, who reads it whole.

use super::limits::{MAX_TARGET_BYTES, START_LINE_BYTES};
use super::{Fault, Limits};
use crate::l7::h1::grammar::{NO_TOKEN, class};

/// Looks for the end of a head that comes in pieces: each byte once.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// What was looked at.
    at: usize,
    /// Where the line begins in which `at` is.
    line: usize,
    /// Lines that have ended.
    count: u32,
    limits: Limits,
}

impl Scan {
    /// One for a head that may have so much.
    pub(crate) fn within(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What the head may have.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether it is worth reading the head in `bytes`, which begin with those of the last call.
    /// Refuses what can no longer become one.
    pub(crate) fn has_end(&mut self, bytes: &[u8], strict: bool) -> Result<bool, Fault> {
        if strict
            && bytes
                .first()
                .is_some_and(|&b| class(b) == NO_TOKEN && b != b'\r')
        {
            return Err(Fault::Malformed);
        }
        while let Some(end) = memchr::memchr(b'\n', &bytes[self.at..]) {
            let line = bytes[self.line..self.at + end].strip_suffix(b"\r");
            if line.is_none() && strict {
                return Err(Fault::Malformed);
            }
            let empty = line.map_or(end + self.at == self.line, <[u8]>::is_empty);
            (self.at, self.line) = (self.at + end + 1, self.at + end + 1);
            if empty && (self.count > 0 || self.line > 2) {
                return Ok(true);
            }
            self.count += u32::from(!empty);
            // The empty line, the start line and as many fields: the reader refuses the rest.
            if self.count as usize > self.limits.fields().saturating_add(1) {
                return Ok(true);
            }
        }
        self.at = bytes.len();
        let long = bytes.len() - self.line;
        if self.count == 0 && strict && long > MAX_TARGET_BYTES + START_LINE_BYTES {
            return Err(Fault::TargetTooLong);
        }
        let limits = self.limits;
        if long > limits.line_bytes().saturating_add(2) || bytes.len() > limits.head_bytes() {
            return Err(Fault::TooLarge);
        }
        Ok(false)
    }
}
