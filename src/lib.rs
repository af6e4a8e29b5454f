//! portico as a process: what starts the planes, feeds them and tells how they are.
//!
//! ```text
//! cli ─▶ command ─▶ app ─┬─▶ worker × N: proxy and dns on one thread each
//!                        ├─▶ compile thread: source ─▶ pipeline ─▶ prepare ─▶ commit ─▶ publication
//!                        ├─▶ prober thread: probes of Pods ─▶ compile thread
//!                        ├─▶ seeker thread: hosts outside ─▶ compile thread
//!                        └─▶ control thread: admin
//! ```
//!
//! It knows every crate and decides nothing: what a manifest means is `portico_config`'s work, what
//! happens to traffic is `portico_proxy`'s and `portico_dns`'. Several instances may run in one
//! process, which is how the tests use it.

pub mod exit;
mod host;
mod routes;
mod state;
pub mod settings;
pub mod cli;
pub mod telemetry;
mod signal;
mod notify;
mod http_io;
mod protobuf;
mod findings;
mod readiness;
mod sentence;
mod metrics;
mod planes;
mod thread;
mod work;
mod worker;
mod prober;
mod seeker;
mod shared;
mod compiler;
mod retry;
mod plane_options;
mod report;
mod decision;
mod naming;
mod routing;
mod admin;
mod control;
pub mod app;
pub mod command;

pub use app::{App, AppOptions, Running};
