//! What a plain scalar means: the types that `kubectl` reads into a text without quotes.
//!
//! `kubectl` reads YAML 1.1 as go-yaml 2 does (`yes` and `off` are booleans, `0644` is octal,
//! `1_000` a thousand) and hands it on as JSON. Times stay texts.

use std::borrow::Cow;

/// A plain scalar, typed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Absent.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A whole number that 64 bits do not hold.
    LargeInt,
    /// Any other number.
    Float(f64),
    /// A text.
    Text,
}

/// What a scalar without quotes is.
pub(super) fn resolve(text: &str) -> Scalar {
    match text.as_bytes() {
        [] => Scalar::Null,
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] if text.len() <= MAX_NUMBER_BYTES => number(text),
        [b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~', ..]
            if text.len() <= 5 =>
        {
            word(text)
        }
        _ => Scalar::Text,
    }
}

/// A key as JSON has it, where every key is a text: `1` and `yes` are keys too.
pub(super) fn key(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    Some(match resolve(&text) {
        Scalar::Null => return None,
        Scalar::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
        Scalar::Int(value) => Cow::Owned(value.to_string()),
        Scalar::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
            Cow::Owned(format!("{value:.0}"))
        }
        Scalar::LargeInt | Scalar::Float(_) | Scalar::Text => text,
    })
}

fn word(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Scalar {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        _ => {}
    }
    let plain = if text.contains('_') && !text.starts_with('.') {
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    };
    let (negative, digits) = match plain.as_bytes() {
        [b'-', ..] => (true, &plain[1..]),
        [b'+', ..] => (false, &plain[1..]),
        _ => (false, &*plain),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base)) {
        let value = i128::from_str_radix(digits, base).ok();
        let value = value.map(|value| if negative { -value } else { value });
        return match value.and_then(|value| i64::try_from(value).ok()) {
            Some(value) => Scalar::Int(value),
            None => Scalar::LargeInt,
        };
    }
    let is_float = plain.bytes().any(|byte| byte.is_ascii_digit())
        && plain
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    match plain.parse::<f64>() {
        Ok(value) if is_float && value.is_finite() => Scalar::Float(value),
        _ => Scalar::Text,
    }
}

/// No number is longer.
const MAX_NUMBER_BYTES: usize = 400;

#[cfg(test)]
mod tests {
    use super::{Scalar, key, resolve};

    #[test]
    fn plain_scalars_are_what_go_yaml_reads() {
        for (texts, want) in [
            (&["", "~", "null", "Null", "NULL"][..], Scalar::Null),
            (&["y", "Yes", "TRUE", "on", "On"], Scalar::Bool(true)),
            (&["n", "No", "false", "OFF"], Scalar::Bool(false)),
            (
                &["yEs", "nULL", "truee", "o", "none", "x", "a b", "-", "--", "+", ".", "..."],
                Scalar::Text,
            ),
            (&["80", "+80", "8_0", "0x50", "0120", "0o120", "0b1010000"], Scalar::Int(80)),
            (&["-0x10", "-16", "-020"], Scalar::Int(-16)),
            (&["9223372036854775807"], Scalar::Int(i64::MAX)),
            (
                &[
                    "9223372036854775808",
                    "-9223372036854775809",
                    "99999999999999999999999999999999999999999",
                ],
                Scalar::LargeInt,
            ),
            (&["80.0", "8e1", "80.", "8.0E+1"], Scalar::Float(80.0)),
            (&[".5", "0.5", "5e-1"], Scalar::Float(0.5)),
            (&["089"], Scalar::Float(89.0)),
            (&[".inf", "+.INF"], Scalar::Float(f64::INFINITY)),
            (
                &[
                    "1e999",
                    "2001-01-01",
                    "2001-12-14T21:59:43.10-05:00",
                    "10.0.0.1",
                    "1.2.3",
                    "64Mi",
                    "1e",
                    "0x",
                    "0xg",
                    "-x",
                    "12:30",
                    "e1",
                    ".e1",
                    "+-1",
                    "infinity",
                    "1-1",
                ],
                Scalar::Text,
            ),
        ] {
            for text in texts {
                assert_eq!(resolve(text), want, "{text}");
            }
        }
        assert!(matches!(resolve(".nan"), Scalar::Float(value) if value.is_nan()));
    }

    #[test]
    fn keys_are_texts() {
        for (text, want) in [
            ("a", Some("a")),
            ("1", Some("1")),
            ("0x10", Some("16")),
            ("yes", Some("true")),
            ("off", Some("false")),
            ("1.5", Some("1.5")),
            ("2.0", Some("2")),
            ("~", None),
        ] {
            assert_eq!(key(text.into()).as_deref(), want, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[-+.0-9_xobeEyn~]{0,12}") {
            let _ = resolve(&text);
        }
    }
}
