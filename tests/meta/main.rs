//! Tests about the repository itself: who imports whom, what the documents promise, what is built.
//!
//! They read files and ask cargo and the built binary; no socket is opened.

mod bans;
mod clauses;
mod conformance;
mod diagnostics;
mod docs;
mod ingress;
mod layers;
mod examples;
mod lexer;
mod operation;
mod tree;
