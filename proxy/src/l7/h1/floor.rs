//! How slow a client may be that sends a body or takes a response (`http-proxy 5.13`).
//!
//! A client that sends or takes one byte before each of its times is over holds a request for as long
//! as it likes. So of the time in which it is waited for, a window at a time, so many bytes a second
//! must come or go. Pure: `now` is an argument, in the worker's ticks. Looked at when something moves;
//! where nothing does, the usual times end it.

/// The least that may be expected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Least {
    /// 0: nothing.
    pub(crate) bytes_per_second: u64,
    /// Over so many ticks.
    pub(crate) window: u32,
}

/// The window that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// Whether a response is on its way.
    is_response: bool,
    /// What had moved when the window began.
    bytes: u64,
    /// Since when the client is waited for; none: it is not.
    since: Option<u32>,
    /// How long it was in this window.
    waited: u32,
}

impl Floor {
    /// A window in which nothing was waited for yet.
    pub(super) fn new(is_response: bool, bytes: u64) -> Self {
        Self { is_response, bytes, since: None, waited: 0 }
    }

    /// Whether it is about the same part of the exchange.
    pub(super) fn is_about(&self, is_response: bool) -> bool {
        self.is_response == is_response
    }

    /// Notes that `bytes` have moved by `now`, and whether the client is waited for from now on; true
    /// where it was too slow.
    pub(super) fn note(&mut self, now: u32, waits: bool, bytes: u64, least: Least) -> bool {
        if let Some(since) = self.since {
            self.waited += now.saturating_sub(since);
        }
        self.since = waits.then_some(now);
        if self.waited < least.window.max(1) {
            return false;
        }
        let moved = bytes.saturating_sub(self.bytes);
        let wanted = least
            .bytes_per_second
            .saturating_mul(u64::from(self.waited));
        (self.waited, self.bytes) = (0, bytes);
        waits && moved < wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bytes_a_second_must_move_while_the_client_is_waited_for() {
        let least = Least { bytes_per_second: 256, window: 30 };
        for (case, notes, want) in [
            ("one byte a second", &[(0, true, 0), (29, true, 29), (30, true, 30)][..], true),
            ("just enough", &[(0, true, 0), (30, true, 7_680)], false),
            ("a byte less", &[(0, true, 0), (30, true, 7_679)], true),
            ("within the window", &[(0, true, 0), (29, true, 1)], false),
            ("the backend was waited for", &[(0, true, 0), (1, false, 1), (90, true, 2)], false),
            (
                "and the client for the rest",
                &[(0, true, 0), (10, false, 1), (90, true, 2), (110, true, 3)],
                true,
            ),
            ("it is over", &[(0, true, 0), (31, false, 1)], false),
            ("fast at first", &[(0, true, 0), (30, true, 9_000), (60, true, 9_001)], true),
        ] {
            let mut floor = Floor::new(false, 0);
            let mut is_slow = false;
            for &(now, waits, bytes) in notes {
                is_slow |= floor.note(now, waits, bytes, least);
            }
            assert_eq!(is_slow, want, "http-proxy 5.13: {case}");
        }
        let mut floor = Floor::new(true, 0);
        let none = Least { bytes_per_second: 0, window: 30 };
        floor.note(0, true, 0, none);
        assert!(!floor.note(4_000, true, 0, none), "nothing is expected");
        assert!(floor.is_about(true) && !floor.is_about(false));
    }
}
