//! L7: the Ingress front door.
//!
//! ```text
//! connection ─▶ preface ─▶ h2 ─▶ h1: a head                                  a codec reads
//!                                │ Incoming
//!                              decide: request ─▶ locate ─▶ obey ─▶ forward
//!                                │ Order │ Pending │ Query                   the same for all
//!                              h1: endpoint ─▶ pool │ dial ─▶ response ─▶ client │ upgrade
//! ```
//!
//! A connection and the backends' connections that serve it live and die on one [`Worker`], and one
//! task does all the work of a client's connection: nothing here is locked. The view is looked at
//! once per request. A codec knows bytes and no rule, `decide` knows rules and no socket.

mod fields;
mod edits;
mod coding;
mod h1;
mod h2;
mod io;
mod request;
mod route;
mod policy;
mod verify;
mod passwords;
mod outside;
mod errand;
mod external;
mod mirror;
mod asks;
mod queries;
mod forward;
mod forwarded;
mod calls;
mod trust;
mod order;
mod locate;
mod obey;
mod decide;
mod respond;
mod watch;
mod secured;
mod session;
mod pages;
mod failure;
mod dial;
mod pool;
mod metrics;
mod tls;
mod clients;
mod agreed;
mod access;
mod account;
mod panics;
mod shed;
mod random;
mod clock;
mod worker;
mod upgrade;
mod preface;
mod passed;
mod server_name;
mod connection;
pub(crate) mod explain;
#[cfg(test)]
mod one_worker;
#[cfg(test)]
mod sizes;

#[cfg(feature = "bench")]
pub(crate) use self::access::bench::Logger;
#[cfg(feature = "bench")]
pub(crate) use self::h1::coder::bench as coded;
#[cfg(feature = "bench")]
pub(crate) use self::h1::one_form;
#[cfg(feature = "bench")]
pub(crate) use self::h2::one_meaning;
#[cfg(feature = "bench")]
pub(crate) use self::route::route as way_of;

pub(crate) use self::access::Access;
pub(crate) use self::connection::{HttpListener, Shaking};
pub(crate) use self::metrics::{Metrics, Refusal};
pub(crate) use self::outside::Forbidden;
pub use self::queries::{Answered, Answering, Resolver};
pub(crate) use self::queries::{Queries, QueryHosts};
pub(crate) use self::worker::Worker;
