//! The fields of a protobuf message, one after the other, for the few messages of gRPC that the process itself
//! reads: the health of a Pod, and what is asked of `portico echo`.
//!
//! Pure; a message may come from anybody and is read without a copy. What a field means is its reader's work.

/// What a field holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Held<'a> {
    /// A number, a switch or one of several values.
    Number(u64),
    /// Bytes, a text or another message.
    Bytes(&'a [u8]),
    /// A number of 4 or of 8 bytes, which nothing here asks for.
    Fixed,
}

/// Takes a field off the front of a message: its number and what it holds; none where that is no field.
pub(crate) fn take_field<'a>(message: &mut &'a [u8]) -> Option<(u64, Held<'a>)> {
    let key = take_number(message)?;
    let held = match key & 7 {
        0 => Held::Number(take_number(message)?),
        1 => take(message, 8).map(|_| Held::Fixed)?,
        2 => {
            let length = usize::try_from(take_number(message)?).ok()?;
            Held::Bytes(take(message, length)?)
        }
        5 => take(message, 4).map(|_| Held::Fixed)?,
        _ => return None,
    };
    Some((key >> 3, held))
}

/// Takes a number off the front: seven bits a byte, the last byte without the eighth.
fn take_number(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let &[byte] = take(message, 1)? else { return None };
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_one_after_the_other() {
        let mut message = &[0x08, 0xac, 0x02, 0x12, 2, b'o', b'k', 0x1d, 1, 2, 3, 4][..];
        for want in [(1, Held::Number(300)), (2, Held::Bytes(b"ok")), (3, Held::Fixed)] {
            assert_eq!(take_field(&mut message), Some(want));
        }
        assert!(message.is_empty());
    }

    #[test]
    fn what_is_no_field_is_none() {
        for (case, mut message) in [
            ("nothing", &[][..]),
            ("a key alone", &[0x08]),
            ("a number without an end", &[0x08, 0xff]),
            ("a number of more than ten bytes", &[0xff; 11]),
            ("bytes that are missing", &[0x12, 3, b'o']),
            ("a length beyond all", &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
            ("a fixed one cut short", &[0x19, 1, 2]),
            ("a kind that there is not", &[0x0b]),
        ] {
            assert_eq!(take_field(&mut message), None, "{case}");
        }
    }
}
