//! Manifests to snapshot: the configuration pipeline.
//!
//! ```text
//! source ─▶ decode ─▶ store ─▶ validate ─▶ compile ─▶ snapshot ─▶ publish
//! bytes     api       objects  each alone  all joined  for planes
//! ```
//!
//! Each stage makes its output only from the one before and returns it with the diagnostics it
//! found; nothing flows back. A plane sees [`snapshot`] and [`model`] alone and so *cannot* name a
//! manifest type. The crate knows no socket and imports no other crate of ours.

pub mod model;
mod location;
mod parallel;
pub mod diagnostic;
pub mod source;
mod api;
mod decode;
pub mod settings;
mod store;
mod validate;
pub mod snapshot;
mod compile;
pub mod publish;
pub mod pipeline;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
