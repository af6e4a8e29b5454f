//! How large futures are that many connections or requests have at once: tests hold them small.
//!
//! A task is moved as a whole when it is made, and each connection at rest keeps its own, so both
//! throughput and memory depend on it. What grows one of them is either small, or boxed where few need it.

use std::pin::Pin;

/// The size of what a function gives.
pub(super) fn of<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

/// The same where it is in a box.
pub(super) fn boxed<A, F: Future>(_: impl FnOnce(A) -> Pin<Box<F>>) -> usize {
    size_of::<F>()
}
