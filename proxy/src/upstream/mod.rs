//! Where traffic goes: the living state of ServicePorts and endpoints, and the choice among them.
//!
//! `Registry` (process-wide, survives generations) ─▶ [`Port`] (one ServicePort of one view)
//! ─▶ `Choice` (the endpoints of one flow, in the order to try). Used alike by l4 and l7.
//!
//! What decides is pure and knows neither socket nor clock: `balance`, `health`, `affinity`,
//! `choice`, `select`, `outcome`. `room` holds back what is too much for an endpoint.

mod datagrams;
mod balance;
mod dial_error;
mod health;
mod tally;
mod endpoint;
mod room;
mod affinity;
mod outs;
mod budget;
mod registry;
mod choice;
mod port;
mod select;
mod sessions;
mod outcome;

pub(crate) use affinity::AffinityTable;
pub(crate) use budget::Allowance;
pub(crate) use choice::{Caller, Choice, Upstream};
pub(crate) use datagrams::{Loss, SessionEnd};
pub(crate) use dial_error::DialError;
pub(crate) use endpoint::Open;
pub(crate) use health::Fault;
pub(crate) use outs::Outs;
pub(crate) use port::Port;
pub(crate) use registry::{Padded, PortState, Registry, STATUS_CLASSES};
pub(crate) use room::{Bounds, Waiting};
pub(crate) use select::{Lead, Refusal, Way};
pub use sessions::SessionKey;
pub(crate) use tally::Tally;
