//! What one request came to: its status and its bytes, for the log and for metrics.

use std::sync::Arc;

use crate::view::Rule;

/// What is known of a request that goes on.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The rule that was found for it.
    pub(crate) rule: Option<Arc<Rule>>,
    /// Of the response that the client was sent, or began to be; 0: none.
    pub(crate) status: u16,
    /// Bytes of the request's head.
    pub(crate) head_in: u64,
    /// Bytes of its body, without what frames it.
    pub(crate) body_in: u64,
    /// All bytes that the client was sent.
    pub(crate) sent: u64,
    /// How many of them came before the body.
    pub(crate) head_out: u64,
}
