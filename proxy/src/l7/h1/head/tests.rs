//! What is a head, what is none, and how large one may be.

use super::limits::MAX_LINE_BYTES;
use super::*;

fn status(head: &[u8]) -> u16 {
    match request(head, &mut Vec::new()) {
        Ok(Some(_)) => 200,
        Ok(None) => 0,
        Err(fault) => fault.status().as_u16(),
    }
}

#[test]
fn heads_have_one_reading_or_none() {
    for (case, head, want) in [
        ("plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("old", "GET / HTTP/1.0\r\n\r\n", 200),
        ("not ended", "GET / HTTP/1.1\r\nHost: a\r\n", 0),
        ("one empty line before", "\r\nGET / HTTP/1.1\r\n\r\n", 200),
        ("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
        ("a bare line feed before", "\nGET / HTTP/1.1\r\n\r\n", 400),
        ("two blanks", "GET  / HTTP/1.1\r\n\r\n", 400),
        ("tab", "GET\t/ HTTP/1.1\r\n\r\n", 400),
        ("blank behind", "GET / HTTP/1.1 \r\n\r\n", 400),
        ("HTTP/0.9", "GET /\r\n\r\n", 400),
        ("HTTP/1.2", "GET / HTTP/1.2\r\n\r\n", 400),
        ("HTTP/2.0", "GET / HTTP/2.0\r\n\r\n", 505),
        ("HTTP/11.1", "GET / HTTP/11.1\r\n\r\n", 400),
        ("lower case", "GET / http/1.1\r\n\r\n", 400),
        ("preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("fragment", "GET /a#b HTTP/1.1\r\n\r\n", 400),
        ("byte beyond ASCII", "GET /ä HTTP/1.1\r\n\r\n", 400),
        ("odd method", "G(T / HTTP/1.1\r\n\r\n", 400),
        ("no method", " / HTTP/1.1\r\n\r\n", 400),
        ("method of 32", "ABCDEFGHABCDEFGHABCDEFGHABCDEFGH / HTTP/1.1\r\n\r\n", 200),
        ("method of 33", "ABCDEFGHABCDEFGHABCDEFGHABCDEFGHI / HTTP/1.1\r\n\r\n", 501),
        ("line feed alone", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("line feed alone in fields", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("line feed alone at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("return in a value", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400),
        ("NUL", "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 400),
        ("DEL", "GET / HTTP/1.1\r\nA: b\x7fc\r\n\r\n", 400),
        ("control", "GET / HTTP/1.1\r\nA: b\x01c\r\n\r\n", 400),
        ("tab in a value", "GET / HTTP/1.1\r\nA: b\tc\r\n\r\n", 200),
        ("beyond ASCII in a value", "GET / HTTP/1.1\r\nA: ä\r\n\r\n", 200),
        ("fold", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
        ("fold by a tab", "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", 400),
        ("blank before the colon", "GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
        ("no name", "GET / HTTP/1.1\r\n: b\r\n\r\n", 400),
        ("no colon", "GET / HTTP/1.1\r\nA\r\n\r\n", 400),
        ("blank-led first field", "GET / HTTP/1.1\r\n A: b\r\n\r\n", 400),
        ("odd byte in a name", "GET / HTTP/1.1\r\nA(: b\r\n\r\n", 400),
        ("TLS", "\x16\x03\x01\x02\r\n\r\n", 400),
        ("PROXY", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", 400),
    ] {
        assert_eq!(status(head.as_bytes()), want, "http-proxy 2: {case}");
    }
}

#[test]
fn heads_have_limits() {
    let head = |target: usize, fields: usize, value: usize| {
        let mut head = format!("GET /{} HTTP/1.1\r\n", "a".repeat(target - 1));
        (0..fields).for_each(|_| head.push_str(&format!("A: {}\r\n", "v".repeat(value))));
        head + "\r\n"
    };
    for (case, head, want) in [
        ("target at its limit", head(8192, 0, 0), 200),
        ("target beyond it", head(8193, 0, 0), 414),
        ("fields at their limit", head(1, 100, 1), 200),
        ("fields beyond it", head(1, 101, 1), 431),
        ("line at its limit", head(1, 1, MAX_LINE_BYTES - 3), 200),
        ("line beyond it", head(1, 1, MAX_LINE_BYTES - 2), 431),
        ("head at its limit", head(4, 5, 13_098), 200),
        ("head beyond it", head(5, 5, 13_098), 431),
    ] {
        assert_eq!(status(head.as_bytes()), want, "http-proxy 3: {case}, {}", head.len());
        let mut scan = Scan::default();
        let ended =
            (1..=head.len()).find_map(|end| match scan.has_end(&head.as_bytes()[..end], true) {
                Ok(false) => None,
                Ok(true) => Some(status(&head.as_bytes()[..end])),
                Err(fault) => Some(fault.status().as_u16()),
            });
        assert_eq!(ended, Some(want), "http-proxy 3: {case}, byte by byte");
    }
}

#[test]
fn a_response_may_be_given_more_room() {
    let head = |value: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "v".repeat(value));
    let fixed = head(0).len();
    let limits = Limits::of_bytes(100_000);
    let mut lines = Vec::new();
    for (case, length, usual, roomy) in [
        ("small", 100, true, true),
        ("a line of the usual length", fixed + MAX_LINE_BYTES - 3, true, true),
        ("a longer one", fixed + MAX_LINE_BYTES - 2, false, true),
        ("the whole head one line", 100_000, false, true),
        ("more than that", 100_001, false, false),
    ] {
        let head = head(length - fixed);
        let read = response(head.as_bytes(), &mut lines);
        assert_eq!(read.is_ok(), usual, "http-proxy 3: {case}");
        let read = response_within(head.as_bytes(), &mut lines, limits);
        assert_eq!(read.is_ok(), roomy, "ingress 2.4: {case}");
        assert!(response_within(head.as_bytes(), &mut lines, Limits::OWN).is_ok(), "{case}");
        let mut scan = Scan::within(limits);
        let pieces = (1..=head.len()).step_by(999);
        let refused = pieces.map(|end| scan.has_end(&head.as_bytes()[..end], false));
        assert!(
            refused
                .into_iter()
                .all(|it| it != Err(Fault::TooLarge) || !roomy),
            "{case}"
        );
    }
}

#[test]
fn values_are_without_the_blanks_around_them() {
    let head = b"GET / HTTP/1.1\r\nA: \t b c \t\r\nB:\r\nC:x\r\n\r\n";
    let mut lines = Vec::new();
    assert!(request(head, &mut lines).unwrap().is_some());
    let fields = crate::l7::fields::Fields::new(head, &lines);
    let values: Vec<_> = fields.iter().map(|field| field.value).collect();
    assert_eq!(values, [&b"b c"[..], b"", b"x"]);
}

proptest::proptest! {
    /// What is read here, another reader reads alike.
    #[test]
    fn a_second_reader_agrees(
        head in "(\r\n)?[A-Z]{1,3} /[a-z# ]{0,2} HTTP/1\\.[012]\r?\n([A-Za-z_ ]{1,3}: ?[ -~\t\r]{0,3}\r?\n){0,3}\r?\n",
    ) {
        let mut lines = Vec::new();
        let mut theirs = [httparse::EMPTY_HEADER; 8];
        let mut second = httparse::Request::new(&mut theirs);
        if let Ok(Some(line)) = request(head.as_bytes(), &mut lines) {
            let end = second.parse(head.as_bytes());
            proptest::prop_assert_eq!(end, Ok(httparse::Status::Complete(line.end)));
            proptest::prop_assert_eq!(second.method, Some(line.method));
            proptest::prop_assert_eq!(second.path, Some(line.target));
            let fields = crate::l7::fields::Fields::new(head.as_bytes(), &lines);
            let ours: Vec<_> = fields.iter().map(|field| (field.text, field.value)).collect();
            let theirs: Vec<_> = second
                .headers
                .iter()
                .map(|header| (header.name.as_bytes(), header.value))
                .collect();
            proptest::prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn pieces_end_where_the_whole_ends(
        head in "(\r\n){0,2}[A-Z /]{0,3}(\r?\n[a:]{0,2}){0,4}",
    ) {
        let whole = status(head.as_bytes());
        let mut scan = Scan::default();
        let cut = (1..=head.len()).find_map(|end| {
            let piece = &head.as_bytes()[..end];
            match scan.has_end(piece, true) {
                Ok(false) => None,
                Ok(true) => Some(status(piece)),
                Err(fault) => Some(fault.status().as_u16()),
            }
        });
        // What cannot become a head any more may be refused before its end.
        if let Some(cut) = cut && whole != 0 {
            proptest::prop_assert_eq!(cut, whole);
        }
    }
}
