//! Amounts of bytes as Kubernetes writes them: `64Mi`, `1G`, `1.5Ki`, `1e6`, `4096`.

/// Reads a Kubernetes quantity (`resource.Quantity`) as whole bytes; a fraction is rounded up, as
/// there. Fails, with the way out in words, for anything else and beyond 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let expected = || "expected bytes such as 64Mi, 1G or 4096".to_owned();
    let (number, suffix) = split(text);
    let factor = factor(suffix).ok_or_else(expected)?;
    let (digits, divisor) = digits(number).ok_or_else(expected)?;
    digits
        .checked_mul(factor)
        .map(|scaled| scaled.div_ceil(divisor))
        .and_then(|bytes| u64::try_from(bytes).ok())
        .ok_or_else(|| "is more bytes than can be counted".to_owned())
}

/// Reads an amount of CPU, `4`, `3.5` or `3920m`, as thousandths, rounded up; none for anything else.
pub(crate) fn parse_millis(text: &str) -> Option<u64> {
    let (number, suffix) = split(text);
    let (digits, divisor) = digits(number)?;
    let (factor, divisor) = match suffix {
        "m" => (1, divisor),
        "u" => (1, divisor * 1_000),
        "n" => (1, divisor * 1_000_000),
        suffix => (factor(suffix)?.checked_mul(1_000)?, divisor),
    };
    let millis = digits.checked_mul(factor)?.div_ceil(divisor);
    u64::try_from(millis).ok()
}

/// The number of an amount, and its suffix.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A decimal number as a whole one and what to divide it by.
fn digits(number: &str) -> Option<(u128, u128)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > MAX_DIGITS {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    let divisor = fraction.bytes().fold(1_u128, |divisor, _| divisor * 10);
    Some((digits, divisor))
}

/// Writes bytes with the largest binary suffix that loses nothing: `64Mi`, `1000`.
pub fn format_bytes(bytes: u64) -> String {
    let suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let (mut number, mut at) = (bytes, 0);
    while number != 0 && number.is_multiple_of(1024) && at + 1 < suffixes.len() {
        number /= 1024;
        at += 1;
    }
    format!("{number}{}", suffixes[at])
}

/// What a suffix multiplies with.
fn factor(suffix: &str) -> Option<u128> {
    let binary = |power: u32| Some(1_u128 << (10 * power));
    let decimal = |power: u32| Some(1_000_u128.pow(power));
    match suffix {
        "" => Some(1),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        "k" => decimal(1),
        "M" => decimal(2),
        "G" => decimal(3),
        "T" => decimal(4),
        "P" => decimal(5),
        "E" => decimal(6),
        _ => {
            let exponent: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (exponent <= 18).then(|| 10_u128.pow(exponent))
        }
    }
}

/// Digits of one amount: more than 64 bits hold, few enough that 128 bits hold them scaled.
const MAX_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written() {
        for (text, bytes, written) in [
            ("64Mi", 64 << 20, "64Mi"),
            ("4096", 4096, "4Ki"),
            ("1000", 1000, "1000"),
            ("1k", 1000, "1000"),
            ("1.5Ki", 1536, "1536"),
            ("0.1", 1, "1"),
            ("1e3", 1000, "1000"),
            ("1E", 1_000_000_000_000_000_000, "976562500000000Ki"),
            ("0", 0, "0"),
        ] {
            let read = parse_bytes(text).unwrap();
            assert_eq!(read, bytes, "{text}");
            if bytes < 1 << 50 {
                assert_eq!(format_bytes(read), written);
            }
        }
    }

    #[test]
    fn amounts_of_cpu_are_thousandths() {
        for (text, want) in [
            ("4", Some(4_000)),
            ("3.5", Some(3_500)),
            ("3920m", Some(3_920)),
            ("0.1m", Some(1)),
            ("1500000u", Some(1_500)),
            ("1500000000n", Some(1_500)),
            ("1k", Some(1_000_000)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("4 cores", None),
            ("99999999999999999999E", None),
        ] {
            assert_eq!(parse_millis(text), want, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_way_out() {
        for (text, want) in [
            ("", "such as 64Mi"),
            (".", "such as 64Mi"),
            ("1.2.3", "such as 64Mi"),
            ("-1", "such as 64Mi"),
            ("64MB", "such as 64Mi"),
            ("100m", "such as 64Mi"),
            ("1e99", "such as 64Mi"),
            ("999999999999999999999", "such as 64Mi"),
            ("100Ei", "more bytes"),
            ("99999999999999999999Ei", "more bytes"),
        ] {
            let error = parse_bytes(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes: u64) {
            proptest::prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in "[0-9.eEKMi]{0,30}") {
            let _ = parse_bytes(&text);
            let _ = parse_millis(&text);
        }
    }
}
