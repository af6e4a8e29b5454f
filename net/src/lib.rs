//! Sockets, and nothing of manifests: binding, accepting, draining, copying, datagrams.
//!
//! The only crate with `unsafe`, each block small and tested. It imports no other crate of ours;
//! the planes import it.

pub mod stream;
pub mod any_ip;
pub mod proxy_protocol;
pub mod bind;
pub mod dial;
pub mod accept;
pub mod copy;
pub mod limit;
pub mod line_log;
pub mod listeners;
pub mod datagram;
pub mod ready;
mod signatures;
pub mod client_cert;
pub mod tls_accept;
pub mod dev_ca;
pub mod tls_dial;
pub mod tls_verify;
