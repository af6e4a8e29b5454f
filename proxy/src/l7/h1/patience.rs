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

/// How long may pass until the next byte: whose turn it is decides.
pub(super) fn ticks(facts: &Facts, usual: &Ticker, upload: &Upload, download: &Download) -> u32 {
    if download.is_paced() {
        return u32::MAX;
    }
    let timeouts = facts.timeouts().unwrap_or_default();
    let of_client = usual.ticks(Phase::Busy);
    let of_backend = match facts.is_call {
        true => CALL_TICKS,
        false => usual.ticks(Phase::Waiting),
    };
    let is_clients = upload.awaits_client && download.is_awaited();
    match (download.is_blocked(), is_clients, upload.is_blocked()) {
        (true, ..) => of_client,
        // Both sides of a call may be silent for long.
        (false, true, _) if facts.is_call => ticks_of(timeouts.read, of_backend),
        (false, true, _) => of_client,
        (false, false, true) => ticks_of(timeouts.send, of_backend),
        (false, false, false) => ticks_of(timeouts.read, of_backend),
    }
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
