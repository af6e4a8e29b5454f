//! What a backend sees of the bytes of a client, without sockets: for properties and fuzzing.

use http::StatusCode;

use super::body::Body;
use super::framing::{self, Length};
use super::head::{self, Fault, Scan};
use super::upload::{self, Upload};
use crate::l7::fields::{Fields, Name};
use crate::l7::forward::{self, Added, Peer, Via};
use crate::l7::io::Scratch;
use crate::l7::order::Incoming;
use crate::l7::policy::max_body_bytes;
use crate::l7::request::{Asked, check};

/// What a backend sees of the first request in `bytes`, and how many bytes of them that was; none
/// of a request that has not come whole.
pub(in crate::l7) fn seen_by_backend(
    bytes: &[u8],
    scratch: &Scratch,
) -> Result<Option<(Vec<u8>, usize)>, StatusCode> {
    let refused = |fault: Fault| fault.status();
    let mut lines = Vec::new();
    let Some(line) = head::request(bytes, &mut lines).map_err(refused)? else { return Ok(None) };
    let fields = Fields::new(&bytes[..line.end], &lines);
    let (method, target, old) = (line.method, line.target, line.minor == 0);
    let asked = Asked { method, target, old, fields };
    let length = framing::of_request(fields, line.minor).map_err(refused)?;
    let checked = check(&asked).map_err(|refused| refused.status)?;
    let incoming = Incoming {
        asked,
        from: &Peer::new([192, 0, 2, 7].into(), ([127, 0, 0, 1], 80).into(), false),
        body: length.announced(),
        expects: false,
        websocket: false,
    };
    let added = Added {
        incoming: &incoming,
        via: &Via::new(7),
        told: None,
        request_id: [b'0'; 32],
        host: None,
        prefix: None,
        lines: &[],
        closes: false,
        withheld: &[],
        http2: false,
    };
    let mut head = Vec::new();
    forward::to_upstream(&mut head, &checked, &added);
    let mut upload = Upload::new(head, length, false, max_body_bytes(None, 1 << 20));
    let mut inbox = bytes[line.end..].to_vec();
    match upload.begin(&mut inbox, scratch) {
        Err(upload::Fault::Refused(status)) => Err(status),
        Err(upload::Fault::Gone) => Ok(None),
        Ok(()) if !upload.is_read() => Ok(None),
        Ok(()) => Ok(Some((upload.take_buffer(), bytes.len() - inbox.len()))),
    }
}

/// Writes requests for a backend, one after the other, as a worker does.
#[cfg(feature = "bench")]
#[derive(Default)]
pub(crate) struct Rewriter(Scratch);

#[cfg(feature = "bench")]
impl Rewriter {
    /// How many bytes a backend gets for the first request in `bytes`; none where it is refused or
    /// not whole.
    pub(crate) fn rewrite(&self, bytes: &[u8]) -> Option<usize> {
        let seen = seen_by_backend(bytes, &self.0);
        seen.ok()?.map(|(head, _)| head.len())
    }
}

/// Holds the codec to its promise for these bytes: what goes to a backend is one request, which
/// another reader reads alike, with one length that is that of its body, and nothing behind it;
/// and a cut at `cut` changes nothing.
///
/// Panics where that is broken.
pub(crate) fn holds(bytes: &[u8], cut: usize) {
    let whole = seen_by_backend(bytes, &Scratch::default());
    let mut scan = Scan::default();
    let early = scan.has_end(&bytes[..cut.min(bytes.len())], true);
    if early == Ok(false) && whole.as_ref().is_ok_and(Option::is_some) {
        assert_eq!(scan.has_end(bytes, true), Ok(true), "an end that a cut hides");
    }
    let Ok(Some((upstream, _))) = whole else { return };
    let mut headers = [httparse::EMPTY_HEADER; 2 * head::MAX_FIELDS];
    let mut second = httparse::Request::new(&mut headers);
    let end = match second.parse(&upstream) {
        Ok(httparse::Status::Complete(end)) => end,
        other => panic!("another reader says {other:?}"),
    };
    let values = |name: Name| {
        let named = second.headers.iter();
        let mut named = named.filter(|header| Name::of(header.name.as_bytes()) == name);
        let value = named.next().map(|header| header.value);
        assert!(named.next().is_none(), "{name:?} twice");
        value
    };
    assert!(values(Name::Host).is_some(), "no Host");
    let length = match (values(Name::ContentLength), values(Name::TransferEncoding)) {
        (None, None) => Length::Absent,
        (Some(digits), None) => {
            let digits = std::str::from_utf8(digits).expect("digits");
            Length::Exact(digits.parse().expect("a number"))
        }
        (None, Some(b"chunked")) => Length::Chunked,
        other => panic!("two lengths or none that is known: {other:?}"),
    };
    let mut body = Body::new(length);
    let mut rest = upstream[end..].to_vec();
    let decoded = body.take(&mut rest).expect("a body of our own making");
    assert!(body.is_done() && decoded.taken == rest.len(), "no more and no less than the body");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_one_form() {
        for (bytes, want, taken) in [
            (
                "\r\nGET /a/./b?c HTTP/1.1\r\nhost:a\r\nConnection: x\r\nX: 1\r\nY:  2 \r\n\r\nGET",
                "GET /a/b?c HTTP/1.1|Host: a|Y: 2||",
                "GET".len(),
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n1;x\r\na\r\n0\r\nT: u\r\n\r\n",
                "PUT / HTTP/1.1|Host: a|Transfer-Encoding: chunked||1|a|0||",
                0,
            ),
            (
                "PUT / HTTP/1.0\r\ncontent-length:003\r\n\r\nabcd",
                "PUT / HTTP/1.1|Host: 127.0.0.1:80|Content-Length: 3||abc",
                1,
            ),
        ] {
            let (upstream, used) = seen_by_backend(bytes.as_bytes(), &Scratch::default())
                .unwrap()
                .unwrap();
            let text = String::from_utf8(upstream).unwrap();
            let ours = |line: &&str| !line.starts_with("X-") && !line.starts_with("Via: ");
            let lines: Vec<_> = text.split("\r\n").filter(ours).collect();
            assert_eq!((&*lines.join("|"), used), (want, bytes.len() - taken), "http-proxy 0.1");
        }
    }

    /// The seeds of the fuzz target `request`: where the bytes are cut, an octet before the other, and
    /// the bytes.
    fn seeds() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/request");
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect()
    }

    fn replay(seed: &[u8]) {
        if let Some((cut, bytes)) = seed.split_first_chunk() {
            holds(bytes, usize::from(u16::from_le_bytes(*cut)));
        }
    }

    #[test]
    fn every_seed_of_the_fuzz_target_holds() {
        let seeds = seeds();
        assert!(seeds.len() >= 30, "{} seeds", seeds.len());
        seeds.iter().for_each(|seed| replay(seed));
    }

    proptest::proptest! {
        #[test]
        fn changed_seeds_hold(
            mut seed in proptest::sample::select(seeds()),
            behind in proptest::option::weighted(0.3, proptest::sample::select(seeds())),
            changes in proptest::collection::vec(
                (proptest::prelude::any::<proptest::sample::Index>(), 0_u8..=255), 0..6),
            cut in proptest::option::weighted(0.3, proptest::prelude::any::<proptest::sample::Index>()),
        ) {
            if let Some(cut) = cut {
                seed.truncate(cut.index(seed.len() + 1));
            }
            seed.extend(behind.into_iter().flatten().skip(2));
            for (at, octet) in changes {
                if !seed.is_empty() {
                    let at = at.index(seed.len());
                    seed[at] = octet;
                }
            }
            replay(&seed);
        }

        #[test]
        fn whatever_comes_goes_on_as_one_request_or_not_at_all(
            start in "(\r\n)?(GET|POST|G\\{T) (/|http://b/|\\*|/\\.\\./)[a-z%#\\\\]{0,2} HTTP/1\\.[01]\r?\n",
            host in "(Host: [a-c@,:0-9]{1,3}\r\n)?",
            fields in "((content-length|transfer-encoding|TE|Connection|X_Y|Expect|[A-Z]{1,2}) ?:[ \t]?(chunked|[0-4]|close|gzip, chunked|[ -~\\x00\\x80]{0,3})\r?\n){0,3}\r\n",
            body in "([0-3]\r\n[a-c]{0,3}\r\n|0\r\n|[A-Za-z]: x\r?\n|\r\n){0,5}",
            cut in 0_usize..120,
        ) {
            holds([start, host, fields, body].concat().as_bytes(), cut);
        }
    }
}
