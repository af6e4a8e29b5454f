//! Where traffic goes: the living state of ServicePorts and endpoints, and the choice among them.
//!
//! `Registry` (process-wide, survives generations) ─▶ [`Port`] (one ServicePort of one view)
//! ─▶ `Choice` (the endpoints of one flow, in the order to try). Used alike by l4 and l7.

mod datagrams;
mod registry;
mod select;

pub(crate) use datagrams::{Loss, SessionEnd};
pub(crate) use registry::{Padded, PortState, Registry, STATUS_CLASSES};
pub(crate) use select::{Port, Refusal, Way};
