//! The status that a call of gRPC ended with, as a number of a closed set (`http-proxy 6.9`).
//!
//! Pure. What a backend says in its place is text of its own choice: what is no status of gRPC is told
//! apart from those that are, and not from one another.

use super::count::Count;

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CallStatus(u8);

impl CallStatus {
    /// An endpoint says that it does no work now.
    pub(crate) const UNAVAILABLE: Self = Self(14);
    /// Nobody has said how: it was cut off, its client left, or an answer was none of gRPC.
    pub(crate) const UNTOLD: Self = Self(18);

    /// That of a number; from 17 on they are not told apart.
    pub(crate) fn of(code: u8) -> Self {
        Self(code.min(OTHER))
    }

    /// What stands in `grpc-status`.
    pub(crate) fn read(value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let code = text.parse().ok().filter(|_| digits);
        Self::of(code.unwrap_or(OTHER))
    }
}

/// Calls by their status, as one worker counts them.
#[derive(Debug, Default)]
pub(super) struct Calls([Count; STATUSES]);

impl Calls {
    /// Counts one.
    pub(super) fn add(&self, status: CallStatus) {
        if let Some(count) = self.0.get(usize::from(status.0)) {
            count.add(1);
        }
    }

    pub(super) fn add_to(&self, sums: &mut [u64; STATUSES]) {
        for (sum, count) in sums.iter_mut().zip(&self.0) {
            *sum += count.get();
        }
    }
}

/// What is no status of gRPC.
const OTHER: u8 = 17;
/// With the two that gRPC does not have.
pub(crate) const STATUSES: usize = 19;
/// What each is called in a label.
pub(crate) const LABELS: [&str; STATUSES] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
    "other", "none",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_of_a_closed_set_whatever_a_backend_says() {
        for (value, want) in [
            ("0", "0"),
            ("14", "14"),
            ("016", "16"),
            ("17", "other"),
            ("300", "other"),
            ("+1", "other"),
            ("", "other"),
            ("OK", "other"),
        ] {
            let status = CallStatus::read(value.as_bytes());
            assert_eq!(LABELS[usize::from(status.0)], want, "http-proxy 6.9: {value:?}");
        }
        assert_eq!(CallStatus::read(b"14"), CallStatus::UNAVAILABLE);
        assert_eq!(CallStatus::of(255), CallStatus::read(b"other"));
        assert_eq!(LABELS[usize::from(CallStatus::UNTOLD.0)], "none");
    }
}
