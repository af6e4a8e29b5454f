//! HTTP/2 from clients and to backends, as adapters around the one HTTP/1 state machine (`http-proxy 6`).
//!
//! ```text
//! connection ─accept─▶ stream ── request: HEADERS, DATA ─▶ head and body as HTTP/1.1 ─▶ h1::server
//!   limits, drain        ◀── HEADERS, DATA, RST_STREAM ── head and body as HTTP/1.1 ◀── (one request)
//! ```
//!
//! Each stream is a [`Downstream`](super::io::Downstream) with a task of its own, which serves one
//! request as if it had come over a connection of HTTP/1.1. So checks, policies, limits and time exist
//! once. [`backend`] is the same the other way around. What HTTP/2 lets be and HTTP/1.1 does not is written as the HTTP/1.1 that is refused.
//! A WebSocket that is asked for by extended CONNECT becomes the handshake of HTTP/1.1 (`socket`).
//! Frames, HPACK and flow control are the crate `h2`'s work; its settings are all in [`settings`].

mod chunks;
mod incoming;
mod outgoing;
mod trailers;
mod request;
mod response;
mod socket;
mod stream;
pub(crate) mod connection;
pub(crate) mod backend;
#[cfg(any(test, feature = "bench"))]
pub(crate) mod one_meaning;

use std::io;
use std::time::Duration;

/// What is written is no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Fault;

/// What clients are told and held to (`http-proxy 6.1`).
fn settings() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .header_table_size(HEADER_TABLE_BYTES)
        .enable_connect_protocol()
        .max_pending_accept_reset_streams(MAX_RESET_UNSEEN)
        .max_local_error_reset_streams(Some(MAX_FAULTY))
        .max_concurrent_reset_streams(MAX_RESET_KEPT)
        .reset_stream_duration(RESET_KEPT_FOR);
    builder
}

/// The stream or its connection is no more.
fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// What was written is no message.
fn odd(_: Fault) -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Streams of one connection that are open at once.
const MAX_STREAMS: u32 = 100;
/// What a client may send of one body before it is read.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// What it may send of all bodies.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// What of one response waits for the client's window or socket.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// A longer list of fields gets 431.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
const MAX_FRAME_BYTES: u32 = 16 * 1024;
const HEADER_TABLE_BYTES: u32 = 4 * 1024;
/// Streams that the client reset before they were looked at; more end the connection.
const MAX_RESET_UNSEEN: usize = 20;
/// Streams that were reset here for what the client did; more end the connection.
const MAX_FAULTY: usize = 128;
/// Streams that were reset here and may still get frames.
const MAX_RESET_KEPT: usize = 20;
const RESET_KEPT_FOR: Duration = Duration::from_secs(1);
