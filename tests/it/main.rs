//! Whole-process scenarios: manifests in, real clients on real sockets, answers out.
//!
//! One file per subject; the harness makes each read as a sentence.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a scenario ends where it is surprised, and says what it skipped"
)]

mod harness;

mod access_log;
mod annotations;
mod backend_tls;
mod bad_input;
mod balance;
mod bounds;
mod causes;
mod client_certs;
mod certificates;
mod command_line;
mod conduct;
mod confidential;
mod compression;
mod connections;
mod dashboard;
mod decide;
mod dev_tls;
mod diagnostics;
mod diff;
mod dns_tls;
mod doh;
mod echo;
mod echo_tls;
mod door;
mod door_metrics;
mod error_pages;
mod exchange;
mod external_auth;
mod external_name;
mod explain;
mod explain_request;
mod figure;
mod flood;
mod forward;
mod framing;
mod front_door;
mod grpc;
mod guards;
mod handshakes;
mod hostile;
mod hsts;
mod http2;
mod http2_abuse;
mod http2_backends;
mod http2_sockets;
mod life_cycle;
mod merging;
mod messages;
mod migration;
mod mirror;
mod names;
mod node_health;
mod pairs;
mod probes;
mod quirks;
mod reload;
mod resolver;
mod resolvers;
mod rotation;
mod routes;
mod rule_metrics;
mod services;
mod sessions;
mod settings;
mod status;
mod tickets;
mod tls;
mod traffic;
mod udp;
