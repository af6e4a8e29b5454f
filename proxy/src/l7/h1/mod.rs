//! HTTP/1, both sides of the proxy, on one task per client connection.
//!
//! ```text
//! server ─▶ receive: a head ─▶ answer: ours │ query │ exchange ─▶ persistence: next │ end │ tunnel
//!                                                     │
//!                    choose, place ─▶ reach ─▶ relay ─┴▶ outcome        again: repeat
//! relay:    client ── upload ──▶ backend ── download ──▶ client         both at once, one poll
//! ```
//!
//! [`grammar`], [`head`], [`framing`], [`chunked`], `floor`, `pace`, `patience` and `repeat` are pure;
//! the rest moves bytes. Nothing is spawned and nothing is sent through a channel for a request: two
//! reads and two writes are all that a small one costs. A connection at rest holds no buffer: reads go
//! to the worker's [`Scratch`](super::io::Scratch), and only what cannot be used yet is kept.

mod grammar;
pub(crate) mod head;
pub(crate) mod framing;
pub(crate) mod chunked;
mod body;
mod facts;
mod receive;
mod upload;
pub(crate) mod coder;
mod pace;
pub(crate) mod floor;
mod download;
mod patience;
mod relay;
mod place;
mod reach;
mod repeat;
mod outcome;
mod exchange;
mod stand_in;
pub(crate) mod inquiry;
mod query;
mod answer;
mod bookkeeping;
mod persistence;
mod linger;
mod tunnel;
mod recover;
pub(crate) mod server;
#[cfg(any(test, feature = "bench"))]
pub(crate) mod one_form;

use self::facts::Facts;
