//! Bytes to text: what a file must be before its documents are looked for.

use crate::diagnostic::{Code, Diagnostic};
use crate::location::Position;
use crate::model::Limits;

/// The text of a file; fails for what is too large or not UTF-8, with the place and the way out.
pub(super) fn read<'a>(content: &'a [u8], limits: &Limits) -> Result<&'a str, Box<Refusal>> {
    let most_bytes = limits.max_file_bytes.min(u64::from(u32::MAX));
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > most_bytes {
        let text = format!(
            "is {} bytes long, and `limits.maxFileBytes` allows {most_bytes}",
            content.len()
        );
        let help = "split it into several files, or raise the limit";
        return Err(Refusal::new(Code::LimitExceeded, text, help, None));
    }
    if content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]) {
        return Err(Refusal::new(Code::NotText, "is UTF-16", SAVE_AS_UTF_8, None));
    }
    match (std::str::from_utf8(content), content.iter().position(|&byte| byte == 0)) {
        (Ok(text), None) => Ok(text),
        (Err(error), None) => {
            let at = place(content, error.valid_up_to());
            Err(Refusal::new(Code::NotText, "is not valid UTF-8", SAVE_AS_UTF_8, Some(at)))
        }
        // UTF-16 without its mark: every other byte of plain English is zero.
        (_, Some(offset))
            if offset < 2
                && content.iter().filter(|&&byte| byte == 0).count() * 3 > content.len() =>
        {
            Err(Refusal::new(Code::NotText, "is UTF-16 or UTF-32", SAVE_AS_UTF_8, None))
        }
        (_, Some(offset)) => {
            let at = Some(place(content, offset));
            let help = "remove it, or write it as \"\\0\" in double quotes";
            Err(Refusal::new(Code::NotText, "holds a NUL byte: it is not a text file", help, at))
        }
    }
}

/// Why a file is not read at all, and where that shows.
pub(super) struct Refusal {
    pub(super) diagnostic: Diagnostic,
    pub(super) position: Option<Position>,
}

impl Refusal {
    fn new(
        code: Code,
        message: impl Into<String>,
        help: &str,
        position: Option<Position>,
    ) -> Box<Self> {
        Box::new(Self { diagnostic: Diagnostic::new(code, message).help(help), position })
    }
}

/// Line and column of a byte; what is not UTF-8 before it counts as one character.
fn place(content: &[u8], offset: usize) -> Position {
    let before = &content[..offset];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let before = before[start..]
        .strip_prefix(BYTE_ORDER_MARK.as_bytes())
        .unwrap_or_else(|| &before[start..]);
    let column = String::from_utf8_lossy(before).chars().count() + 1;
    let number = |value| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column) }
}

/// U+FEFF, which editors of Windows put in front of a file.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";
const SAVE_AS_UTF_8: &str = "save it as UTF-8";

#[cfg(test)]
mod tests {
    use super::read;
    use crate::model::Limits;

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        for (content, want, at) in [
            (&b"a: \xff"[..], "is not valid UTF-8", Some((1, 4))),
            ("é: ".as_bytes(), "", None),
            (b"\xc3\xa9: \xff", "is not valid UTF-8", Some((1, 4))),
            (b"\xff\xfea\0", "is UTF-16", None),
            (b"a\0:\0 \x001\0", "is UTF-16 or UTF-32", None),
            (b"a: 1\n\0", "holds a NUL byte: it is not a text file", Some((2, 1))),
            (b"a: 1\r\nb: \xed\xa0\x80", "is not valid UTF-8", Some((2, 4))),
        ] {
            match read(content, &Limits::default()) {
                Ok(_) => assert_eq!(want, ""),
                Err(found) => {
                    assert_eq!(found.diagnostic.message, want);
                    assert_eq!(found.position.map(|at| (at.line, at.column)), at, "{want}");
                    assert!(found.diagnostic.help.is_some());
                }
            }
        }
    }

    #[test]
    fn a_file_may_be_as_large_as_its_limit_and_no_larger() {
        let limits = Limits { max_file_bytes: 4, ..Limits::default() };
        assert!(read(b"abcd", &limits).is_ok());
        let found = read(b"abcde", &limits).err().unwrap().diagnostic.message;
        assert_eq!(found, "is 5 bytes long, and `limits.maxFileBytes` allows 4");
    }
}
