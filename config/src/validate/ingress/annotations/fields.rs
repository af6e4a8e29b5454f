//! Fields that owners of an Ingress set themselves: `portico.dev/request-headers` and
//! `portico.dev/response-headers` (`ingress 2.1`).
//!
//! Guards: they stand where nginx's users had snippets, and a field that keeps somebody out must not
//! be left out, so a line that cannot be read closes.

use super::reader::Reader;
use super::values::{is_field_name, is_own};
use crate::model::{FieldEdits, Template};

impl Reader<'_> {
    /// What is done to requests: nothing to fields that portico writes itself.
    pub(super) fn request_fields(&mut self) -> FieldEdits {
        self.field_lines(REQUEST, |name| is_field_name(name) && !is_own(name))
    }

    /// What is done to answers.
    pub(super) fn response_fields(&mut self) -> FieldEdits {
        self.field_lines(RESPONSE, is_field_name)
    }

    fn field_lines(&mut self, key: &'static str, may: impl Fn(&str) -> bool) -> FieldEdits {
        let Some(text) = self.annotations.get(key) else { return FieldEdits::default() };
        lines(text, may).unwrap_or_else(|why| {
            self.close_own(key, &why);
            FieldEdits::default()
        })
    }
}

/// Lines `Name: value`; one without a value takes out all fields of its name.
fn lines(text: &str, may: impl Fn(&str) -> bool) -> Result<FieldEdits, String> {
    let mut removed: Vec<Box<str>> = Vec::new();
    let mut set: Vec<(Box<str>, Template)> = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() {
            continue;
        }
        if removed.len() + set.len() >= MAX_LINES {
            return Err(format!("has more than {MAX_LINES} lines"));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("line {number} is no `Name: value`"))?;
        let (name, value) = (name.trim_end(), value.trim());
        if !may(name) {
            return Err(format!("line {number} has no name of a field that may be set"));
        }
        let is_it = |other: &str| other.eq_ignore_ascii_case(name);
        if removed.iter().any(|it| is_it(it)) || set.iter().any(|(it, _)| is_it(it)) {
            return Err(format!("line {number} has a name that stands before"));
        }
        if value.is_empty() {
            removed.push(name.into());
            continue;
        }
        let value =
            Template::phrase(value).map_err(|why| format!("the value in line {number} {why}"))?;
        set.push((name.into(), value));
    }
    Ok(FieldEdits { removed: removed.into(), set: set.into() })
}

const REQUEST: &str = "portico.dev/request-headers";
const RESPONSE: &str = "portico.dev/response-headers";
const MAX_LINES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_a_value() {
        let read = |text: &str| lines(text, is_field_name);
        let edits = read("X-A: one two\n\n  X-B:\nX-C: $remote_addr\n").unwrap();
        assert_eq!((edits.removed.len(), edits.set.len()), (1, 2), "ingress 2.1");
        for text in [
            "X-A",
            "X A: b",
            ": b",
            "Host: b",
            "Connection: close",
            "X-A: $nothing",
            "X-A: $1",
            "X-A: \u{e9}",
            "X-A: 1\nx-a: 2",
            &"a: b\n".repeat(2),
        ] {
            assert!(read(text).is_err(), "ingress 2.1: {text:?}");
        }
        let many: String = (0..=MAX_LINES).map(|n| format!("x-{n}: 1\n")).collect();
        assert!(read(&many).is_err());
    }
}
