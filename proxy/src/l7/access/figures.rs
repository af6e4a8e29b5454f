//! Numbers, times and addresses of a line as text.
//!
//! Pure. Most of a line is these, and the machinery of format strings costs ten times as much as the
//! digits: what every line has is written by hand here, and in no other place.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A number.
pub(super) fn decimal(out: &mut Vec<u8>, number: impl Into<u64>) {
    padded(out, number, 1);
}

/// A number of at least `width` digits, zeros before it.
pub(super) fn padded(out: &mut Vec<u8>, number: impl Into<u64>, width: usize) {
    let mut left = number.into();
    let mut digits = [b'0'; MOST_DIGITS];
    let mut begin = MOST_DIGITS;
    for digit in digits.iter_mut().rev() {
        let [last, ..] = (left % 10).to_le_bytes();
        *digit = b'0' + last;
        left /= 10;
        begin -= 1;
        if left == 0 {
            break;
        }
    }
    let begin = begin.min(MOST_DIGITS.saturating_sub(width));
    out.extend_from_slice(digits.get(begin..).unwrap_or_default());
}

/// Seconds with three places, as nginx has times.
pub(super) fn seconds(out: &mut Vec<u8>, time: Duration) {
    decimal(out, time.as_secs());
    out.push(b'.');
    padded(out, time.subsec_millis(), 3);
}

/// Milliseconds with three places.
pub(super) fn millis(out: &mut Vec<u8>, time: Duration) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    decimal(out, micros / 1_000);
    out.push(b'.');
    padded(out, micros % 1_000, 3);
}

/// An address.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, byte) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                decimal(out, byte);
            }
        }
        // Writing to memory does not fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// An address with its port.
pub(super) fn socket(out: &mut Vec<u8>, socket: SocketAddr) {
    match socket {
        SocketAddr::V4(_) => {
            address(out, socket.ip());
            out.push(b':');
            decimal(out, socket.port());
        }
        SocketAddr::V6(socket) => drop(write!(out, "{socket}")),
    }
}

/// Of 2^64 - 1.
const MOST_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn figures_are_as_format_strings_have_them(
            number: u64,
            width in 0_usize..=20,
            time: Duration,
            ip: IpAddr,
            port: u16,
        ) {
            for number in [number, number % 1_000, number % 10] {
                prop_assert_eq!(written(|out| decimal(out, number)), number.to_string());
                prop_assert_eq!(written(|out| padded(out, number, width)), format!("{number:0width$}"));
            }
            let want = format!("{}.{:03}", time.as_secs(), time.subsec_millis());
            prop_assert_eq!(written(|out| seconds(out, time)), want);
            prop_assert_eq!(written(|out| address(out, ip)), ip.to_string());
            let from = SocketAddr::new(ip, port);
            prop_assert_eq!(written(|out| socket(out, from)), from.to_string());
        }
    }

    #[test]
    fn milliseconds_have_three_places() {
        for (micros, want) in
            [(0, "0.000"), (7, "0.007"), (1_000, "1.000"), (61_020_300, "61020.300")]
        {
            let time = Duration::from_micros(micros);
            assert_eq!(written(|out| millis(out, time)), want);
        }
    }
}
