//! How long the next byte of an exchange, or of a tunnel, may be waited for (`http-proxy 5`).
//!
//! Whose turn it is decides: the client's, to send or to take, or the backend's. Usual times are the
//! watch's phases; an annotation says others for the backend, and calls of gRPC have one for both.
//! Pure.

use portico_config::model::Timeouts;

use super::Facts;
use super::download::Download;
use super::upload::Upload;
use crate::l7::watch::{Phase, Ticker};

/// Whose turn it is in an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    /// The client's, to take what there is of the response.
    ClientTakes,
    /// The client's, to send its body.
    ClientSends,
    /// The backend's, to take what there is of the request.
    BackendTakes,
    /// The backend's, to say something.
    BackendSays,
}

impl Turn {
    fn of(upload: &Upload, download: &Download) -> Self {
        let sends = upload.awaits_client && download.is_awaited();
        match (download.is_blocked(), sends, upload.is_blocked()) {
            (true, ..) => Self::ClientTakes,
            (false, true, _) => Self::ClientSends,
            (false, false, true) => Self::BackendTakes,
            (false, false, false) => Self::BackendSays,
        }
    }

    /// How long it may last, where these are the usual times.
    fn ticks(self, is_call: bool, timeouts: Timeouts, [of_client, of_backend]: [u32; 2]) -> u32 {
        let of_backend = if is_call { CALL_TICKS } else { of_backend };
        match self {
            Self::ClientTakes => of_client,
            // Both sides of a call may be silent for long.
            Self::ClientSends if is_call => ticks_of(timeouts.read, of_backend),
            Self::ClientSends => of_client,
            Self::BackendTakes => ticks_of(timeouts.send, of_backend),
            Self::BackendSays => ticks_of(timeouts.read, of_backend),
        }
    }
}

/// How long may pass until the next byte: whose turn it is decides. A response that waits for its own
/// pace is late for nobody.
pub(super) fn ticks(facts: &Facts, usual: &Ticker, upload: &Upload, download: &Download) -> u32 {
    if download.is_paced() {
        return u32::MAX;
    }
    let timeouts = facts.timeouts().unwrap_or_default();
    let usual = [Phase::Busy, Phase::Waiting].map(|phase| usual.ticks(phase));
    Turn::of(upload, download).ticks(facts.is_call, timeouts, usual)
}

/// How long a tunnel may carry nothing (`http-proxy 5`: an explicit time counts).
pub(super) fn tunnel_ticks(timeouts: Timeouts, usual: u32) -> u32 {
    let given = [timeouts.send, timeouts.read].into_iter().flatten();
    let longest = given.map(|seconds| ticks_of(Some(seconds), usual)).max();
    longest.unwrap_or(usual)
}

/// What an annotation says, where it does; 0: for ever.
fn ticks_of(seconds: Option<u32>, usual: u32) -> u32 {
    match seconds {
        None => usual,
        Some(0) => u32::MAX,
        Some(seconds) => seconds,
    }
}

/// What both sides of a call of gRPC have for their next byte (`http-proxy 5`).
const CALL_TICKS: u32 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_turn_it_is_decides_how_long_it_may_last() {
        use Turn::{BackendSays, BackendTakes, ClientSends, ClientTakes};
        let said = Timeouts { send: Some(5), read: Some(7), ..Timeouts::default() };
        let ever = Timeouts { send: Some(0), read: Some(0), ..Timeouts::default() };
        let none = Timeouts::default();
        for (case, turn, is_call, timeouts, want) in [
            ("the client takes", ClientTakes, false, said, 60),
            ("the client sends", ClientSends, false, said, 60),
            ("the backend takes", BackendTakes, false, none, 61),
            ("as an annotation says", BackendTakes, false, said, 5),
            ("for ever", BackendTakes, false, ever, u32::MAX),
            ("the backend says", BackendSays, false, none, 61),
            ("as another annotation says", BackendSays, false, said, 7),
            ("a call's client takes", ClientTakes, true, none, 60),
            ("a call's client sends", ClientSends, true, none, 300),
            ("a call's backend says", BackendSays, true, none, 300),
            ("both as an annotation says", ClientSends, true, said, 7),
        ] {
            assert_eq!(turn.ticks(is_call, timeouts, [60, 61]), want, "http-proxy 5: {case}");
        }
    }

    #[test]
    fn a_tunnel_has_the_longer_of_two_times() {
        for (send, read, want) in [
            (None, None, 3_600),
            (Some(5), None, 5),
            (Some(5), Some(7), 7),
            (Some(0), Some(7), u32::MAX),
        ] {
            let timeouts = Timeouts { send, read, ..Timeouts::default() };
            assert_eq!(tunnel_ticks(timeouts, 3_600), want, "http-proxy 5: {send:?}, {read:?}");
        }
    }
}
