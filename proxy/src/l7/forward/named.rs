//! The fields that `Connection` names, which end here (`http-proxy 1.1`).

use crate::l7::fields::{Fields, Name};

/// The fields that `Connection` names, beside the words that every client says.
pub(in crate::l7) struct Named<'a> {
    fields: Fields<'a>,
    any: bool,
}

impl<'a> Named<'a> {
    pub(in crate::l7) fn of(fields: Fields<'a>) -> Self {
        let plain: &[&[u8]] = &[b"keep-alive", b"close", b"upgrade"];
        let known = |line: &[u8]| plain.iter().any(|p| line.eq_ignore_ascii_case(p));
        Self { fields, any: !fields.all(Name::Connection).all(known) }
    }

    pub(in crate::l7) fn has(&self, name: &[u8]) -> bool {
        let mut names = self.fields.elements(Name::Connection).take(MAX_NAMED);
        self.any && names.any(|named| named.eq_ignore_ascii_case(name))
    }
}

/// Whether `Connection` names more than is looked at: such a request is refused.
pub(crate) fn names_too_much(fields: Fields<'_>) -> bool {
    fields.has(Name::Connection) && fields.elements(Name::Connection).nth(MAX_NAMED).is_some()
}

/// Names in `Connection`, so that a list costs little; more get 431.
const MAX_NAMED: usize = 32;
