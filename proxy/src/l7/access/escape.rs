//! Texts of clients in a line: nothing that they hold ends the line, a quote, or turns what follows
//! around (`http-proxy 9.3`).
//!
//! Pure. Queries lose the values of what looks like a secret.

/// How a line quotes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    /// `\xHH` for each byte.
    Text,
    /// `\u00HH`.
    Json,
}

/// Writes `text`, in at most `room` bytes; what is cut ends in `…`.
pub(super) fn put(out: &mut Vec<u8>, text: &[u8], style: Style, room: usize) {
    if text.len() <= room && is_plain(text) {
        return out.extend_from_slice(text);
    }
    let most = out.len() + room;
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = letter.encode_utf8(&mut bytes).as_bytes();
            let fits = match needs_escape(letter) {
                false => within(out, bytes, most),
                true => within(out, &escaped(letter, bytes, style), most),
            };
            if !fits {
                return out.extend_from_slice("…".as_bytes());
            }
        }
        for &byte in chunk.invalid() {
            let letter = char::from(byte);
            if !within(out, &escaped(letter, &[byte], style), most) {
                return out.extend_from_slice("…".as_bytes());
            }
        }
    }
}

/// Whether a line holds `text` as it is: nearly always, so blocks of it are looked at as a whole.
fn is_plain(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| {
        let is_printable = byte.wrapping_sub(0x20) < 0x5f;
        is_printable & (*byte != b'"') & (*byte != b'\\')
    };
    let (blocks, rest) = text.as_chunks::<16>();
    let all = |block: &[u8; 16]| {
        block
            .iter()
            .fold(true, |so_far, byte| so_far & is_plain(byte))
    };
    blocks.iter().all(all) && rest.iter().all(is_plain)
}

fn within(out: &mut Vec<u8>, bytes: &[u8], most: usize) -> bool {
    let fits = out.len() + bytes.len() + "…".len() <= most;
    if fits {
        out.extend_from_slice(bytes);
    }
    fits
}

fn needs_escape(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '"' | '\\' | '\u{2028}' | '\u{2029}')
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(letter: char, bytes: &[u8], style: Style) -> Vec<u8> {
    match style {
        Style::Text => bytes
            .iter()
            .flat_map(|byte| format!("\\x{byte:02X}").into_bytes())
            .collect(),
        Style::Json => format!("\\u{:04x}", u32::from(letter)).into_bytes(),
    }
}

/// Writes a target or a URL: of its query, the values of secrets are `***`.
pub(super) fn put_masked(out: &mut Vec<u8>, text: &[u8], style: Style, room: usize) {
    let query = text.iter().position(|&byte| byte == b'?');
    let query = query.map_or(&[][..], |at| &text[at + 1..]);
    if !has_secret(query) {
        return put(out, text, style, room);
    }
    let mut masked = text[..text.len() - query.len()].to_vec();
    mask(&mut masked, query);
    put(out, &masked, style, room);
}

/// The same of a query alone.
pub(super) fn put_query(out: &mut Vec<u8>, query: &[u8], style: Style, room: usize) {
    if !has_secret(query) {
        return put(out, query, style, room);
    }
    let mut masked = Vec::new();
    mask(&mut masked, query);
    put(out, &masked, style, room);
}

fn has_secret(query: &[u8]) -> bool {
    !query.is_empty() && query.split(|&byte| byte == b'&').any(is_secret)
}

/// Whether the name of a piece ends in one of the words that secrets have.
fn is_secret(piece: &[u8]) -> bool {
    let Some(end) = piece.iter().position(|&byte| byte == b'=') else { return false };
    SECRETS.iter().any(|word| {
        let begin = end.checked_sub(word.len());
        begin.is_some_and(|begin| piece[begin..end].eq_ignore_ascii_case(word))
    })
}

fn mask(out: &mut Vec<u8>, query: &[u8]) {
    for (index, piece) in query.split(|&byte| byte == b'&').enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        match piece.iter().position(|&byte| byte == b'=') {
            Some(end) if is_secret(piece) => {
                out.extend_from_slice(&piece[..=end]);
                out.extend_from_slice(b"***");
            }
            _ => out.extend_from_slice(piece),
        }
    }
}

const SECRETS: [&[u8]; 4] = [b"token", b"key", b"password", b"signature"];

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &[u8], style: Style, room: usize) -> String {
        let mut out = Vec::new();
        put(&mut out, text, style, room);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_leaves_its_quotes() {
        for (text, plain, json) in [
            (&b"plain /a?b=c"[..], "plain /a?b=c", "plain /a?b=c"),
            (b"a\"b\\", r"a\x22b\x5C", r"a\u0022b\u005c"),
            (
                b"a\r\n\tb\x1b[31m\x7f",
                r"a\x0D\x0A\x09b\x1B[31m\x7F",
                "a\\u000d\\u000a\\u0009b\\u001b[31m\\u007f",
            ),
            ("ä€".as_bytes(), "ä€", "ä€"),
            (b"\xffz\xc3", r"\xFFz\xC3", r"\u00ffz\u00c3"),
            ("\u{85}\u{2028}".as_bytes(), r"\xC2\x85\xE2\x80\xA8", r"\u0085\u2028"),
            ("\u{202e}\u{2066}".as_bytes(), r"\xE2\x80\xAE\xE2\x81\xA6", r"\u202e\u2066"),
        ] {
            assert_eq!(written(text, Style::Text, 100), plain, "http-proxy 9.3");
            assert_eq!(written(text, Style::Json, 100), json, "http-proxy 9.3");
        }
    }

    #[test]
    fn every_byte_is_looked_at_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let plain = (0x20..0x7f).contains(&byte) && !b"\"\\".contains(&byte);
            for place in 0..40 {
                let mut text = [b'a'; 40];
                text[place] = byte;
                assert_eq!(is_plain(&text), plain, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_cut_where_a_letter_ends() {
        assert_eq!(written(b"abcdefgh", Style::Text, 8), "abcdefgh");
        assert_eq!(written(b"abcdefghi", Style::Text, 8), "abcde…");
        assert_eq!(written("aaaä".as_bytes(), Style::Text, 6), "aaa…");
        assert_eq!(written(b"a\n\n", Style::Text, 8), "a\\x0A…");
    }

    #[test]
    fn secrets_in_queries_are_masked() {
        for (text, want) in [
            ("/a?b=c", "/a?b=c"),
            ("/a?token=1&b=2&access_token=3", "/a?token=***&b=2&access_token=***"),
            ("/a?X-Amz-Signature=1", "/a?X-Amz-Signature=***"),
            ("/a?API_KEY=&Password=x=y", "/a?API_KEY=***&Password=***"),
            ("/key=1", "/key=1"),
            ("/a?token", "/a?token"),
        ] {
            let mut out = Vec::new();
            put_masked(&mut out, text.as_bytes(), Style::Text, 100);
            assert_eq!(String::from_utf8(out).unwrap(), want, "http-proxy 9.3");
            if let Some((_, query)) = text.split_once('?') {
                let mut out = Vec::new();
                put_query(&mut out, query.as_bytes(), Style::Json, 100);
                assert_eq!(Some(&*String::from_utf8(out).unwrap()), want.split('?').nth(1));
            }
        }
    }
}
