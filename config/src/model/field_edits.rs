//! What is done to the fields of a message on its way (`ingress 2.1`: `portico.dev/request-headers`,
//! `portico.dev/response-headers`).
//!
//! Invariants: names are letters, digits and `-`, none that frames a message or is about one
//! connection; values are templates of visible ASCII and blanks, so that none ends its line.

use super::template::Template;

/// Fields to take out of a message, and fields to put in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FieldEdits {
    /// Names whose fields do not pass.
    pub removed: Box<[Box<str>]>,
    /// Names, once each, and what takes the place of all of their fields.
    pub set: Box<[(Box<str>, Template)]>,
}
