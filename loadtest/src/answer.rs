//! The answers of HTTP/1.1 as our own generators take them: whole, with a Content-Length.

use std::io;

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of head and body together.
    pub(crate) length: usize,
    /// Whether the server closes the connection behind it.
    pub(crate) closes: bool,
}

impl Answer {
    /// Reads the head once all of it is there; an answer without a Content-Length is an error.
    pub(crate) fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return match bytes.len() > MAX_HEAD_BYTES {
                true => Err(io::Error::other("a long head")),
                false => Ok(None),
            };
        };
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        let field = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        let body = field("content-length").and_then(|value| value.parse::<usize>().ok());
        match (status, body) {
            (Some(status), Some(body)) if body <= MAX_BODY_BYTES => Ok(Some(Self {
                status,
                length: end + 4 + body,
                closes: field("connection")
                    .is_some_and(|value| value.eq_ignore_ascii_case("close")),
            })),
            _ => Err(io::Error::other(format!("answered {head}"))),
        }
    }
}

const MAX_HEAD_BYTES: usize = 16 * 1_024;
const MAX_BODY_BYTES: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_is_once_its_head_is_there() {
        let head = "HTTP/1.1 503 No\r\nConnection: Close\r\ncontent-length: 7\r\n\r\n";
        let want = Answer { status: 503, length: head.len() + 7, closes: true };
        assert_eq!(Answer::read(head.as_bytes()).unwrap(), Some(want));
        assert_eq!(Answer::read(&head.as_bytes()[..head.len() - 1]).unwrap(), None);
        for head in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "SSH-2.0-x\r\ncontent-length: 1\r\n\r\n",
            &"a".repeat(20_000),
        ] {
            assert!(Answer::read(head.as_bytes()).is_err(), "{head}");
        }
    }
}
