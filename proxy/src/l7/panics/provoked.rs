//! Panics on demand: in tests alone, and by requests that ask for one in the field `x-panic`.

use std::cell::Cell;

use super::super::fields::Fields;

/// Where a panic may be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::l7) enum Point {
    /// While it is found out where a request goes.
    Deciding,
    /// Before an endpoint is asked.
    Waiting,
    /// Once the head of a response has been passed on.
    Answering,
    /// Where bytes are carried through a tunnel.
    Tunnelling,
}

thread_local! {
    static ASKED: Cell<Option<Point>> = const { Cell::new(None) };
}

/// Notes what a request asks for.
pub(in crate::l7) fn note(fields: Fields<'_>) {
    let asked = match fields.first("x-panic") {
        Some(b"deciding") => Some(Point::Deciding),
        Some(b"waiting") => Some(Point::Waiting),
        Some(b"answering") => Some(Point::Answering),
        Some(b"tunnelling") => Some(Point::Tunnelling),
        _ => None,
    };
    ASKED.set(asked.or_else(|| ASKED.get()));
}

/// Panics, once, where that was asked for.
pub(in crate::l7) fn reach(point: Point) {
    if ASKED.get() == Some(point) {
        ASKED.set(None);
        panic!("as it was asked to");
    }
}
