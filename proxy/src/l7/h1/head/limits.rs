//! What a head may have: bytes, fields, and the length of each (`http-proxy 3`).

/// What a head may have (`http-proxy 3`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Of all of it; each connection keeps them, so they are small.
    head_bytes: u32,
}

impl Limits {
    /// What every head may have.
    pub(crate) const USUAL: Self = Self { head_bytes: MAX_HEAD_BYTES };
    /// Of a head that this proxy wrote: what it was made of was within limits.
    pub(crate) const OWN: Self = Self { head_bytes: u32::MAX };

    /// Of one that may have so many bytes, all of them in one field.
    pub(crate) fn of_bytes(bytes: u32) -> Self {
        Self { head_bytes: bytes }
    }

    pub(super) fn head_bytes(self) -> usize {
        usize::try_from(self.head_bytes).unwrap_or(usize::MAX)
    }

    pub(super) fn line_bytes(self) -> usize {
        if self == Self::USUAL { MAX_LINE_BYTES } else { self.head_bytes() }
    }

    pub(super) fn fields(self) -> usize {
        if self == Self::OWN { usize::MAX } else { MAX_FIELDS }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// A longer method gets 501 (`http-proxy 1.15`).
pub(super) const MAX_METHOD_BYTES: usize = 32;
/// A longer target gets 414.
pub(super) const MAX_TARGET_BYTES: usize = 8 * 1024;
/// What a request line may have beside its target.
pub(super) const START_LINE_BYTES: usize = MAX_METHOD_BYTES + " HTTP/1.1 \r\n".len() + 2;
/// A longer field line gets 431 (`http-proxy 3`), its end not counted.
pub(super) const MAX_LINE_BYTES: usize = 16 * 1024;
/// A longer head gets 431 (`http-proxy 3`).
const MAX_HEAD_BYTES: u32 = 64 * 1024;
/// More fields get 431 (`http-proxy 3`).
pub(crate) const MAX_FIELDS: usize = 100;
