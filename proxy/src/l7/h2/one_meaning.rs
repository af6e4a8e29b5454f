//! What a backend of HTTP/1.1 sees of the frames of a client of HTTP/2, without sockets: for properties
//! and fuzzing.
//!
//! The frames are read twice. Once as streams are served, through the adapter and the strict reader of
//! HTTP/1.1; once with the crate `h2` alone. What the backend would see must be what the other reader
//! says: the same method, authority, path, fields and body, in one request with nothing behind it.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::request::Parts;
use http::{HeaderMap, Request};
use portico_config::model::normalize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Live;
use super::settings;
use super::socket::Key;
use super::stream::Stream;
use crate::l7::fields::Name;
use crate::l7::h1::chunked::Decoder;
use crate::l7::h1::head::MAX_FIELDS;
use crate::l7::h1::one_form::{self, seen_by_backend};
use crate::l7::io::{Downstream, Scratch, poll_read};

/// Holds the adapter to its promise for these frames, which a client sends behind its preface; a cut at
/// `cut` changes nothing.
///
/// Panics where that is broken.
pub(crate) fn holds(frames: &[u8], cut: usize) {
    let meant = converse(frames, cut, Meant::new);
    let served = converse(frames, cut, Served::new);
    assert_eq!(served.len(), meant.len(), "as many requests for both readers");
    for (served, meant) in served.into_iter().zip(&meant) {
        held(served, meant);
    }
    let whole = converse(frames, usize::MAX, Served::new);
    let again = converse(frames, cut, Served::new);
    let said = |it: &Served| (it.text.clone(), it.end);
    assert!(whole.iter().map(said).eq(again.iter().map(said)), "a cut changes what is said");
}

/// What a backend would see of a stream is what the other reader says of it.
fn held(mut served: Served, meant: &Meant) {
    let text = std::mem::take(&mut served.text);
    one_form::holds(&text, text.len() / 2);
    if served.end == End::Whole
        && let Some(trailers) = served.stream.take_trailers()
    {
        assert!(
            trailers
                .keys()
                .all(|name| Name::of(name.as_str().as_bytes()) == Name::Other)
        );
    }
    let Ok(Some((upstream, used))) = seen_by_backend(&text, &Scratch::default()) else { return };
    let mut headers = [httparse::EMPTY_HEADER; 2 * MAX_FIELDS];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(end)) = request.parse(&upstream) else {
        panic!("another reader reads no head")
    };
    let (parts, behind) = (&meant.parts, &text[used..]);
    let key = Key::of(parts, || 0);
    let method = key.as_ref().map_or(parts.method.as_str(), |_| "GET");
    assert_eq!(request.method, Some(method), "the method");
    assert_eq!(request.path, Some(&*target(parts)), "the target");
    assert!(["http", "https"].contains(&parts.uri.scheme_str().unwrap_or("http")), "the scheme");
    let host = value(&request, "host");
    assert!(hosts(parts).all(|it| it.eq_ignore_ascii_case(host)), "one authority");
    assert_eq!(fields(&request), meant_fields(parts), "the fields");
    assert_eq!(value(&request, "cookie"), cookies(parts), "the cookies");
    if key.is_some() {
        assert_eq!(behind, meant.data, "what goes through the tunnel");
        return;
    }
    assert!(behind.is_empty(), "something is behind the request");
    let mut body = upstream[end..].to_vec();
    if value(&request, "transfer-encoding").is_empty() {
        assert_eq!(body, meant.data, "the body");
        return;
    }
    let decoded = Decoder::default().decode(&mut body).expect("chunks");
    assert_eq!(&body[decoded.data], &meant.data[..], "the body, chunk by chunk");
    assert!(meant.has_ended, "a body is ended that did not end");
}

/// Path and query, as a backend gets them.
fn target(parts: &Parts) -> String {
    let path = normalize(parts.uri.path()).expect("it was not refused");
    match parts.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    }
}

/// What stands for the host, wherever it stands.
fn hosts(parts: &Parts) -> impl Iterator<Item = &[u8]> {
    let authority = parts.uri.authority().map(|it| it.as_str().as_bytes());
    let fields = parts.headers.get_all("host").into_iter();
    authority.into_iter().chain(fields.map(|it| it.as_bytes()))
}

fn value<'a>(request: &httparse::Request<'_, 'a>, name: &str) -> &'a [u8] {
    let mut headers = request.headers.iter();
    let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
    found.map_or(b"", |header| header.value)
}

type Field = (String, Vec<u8>);

/// Whether a field passes as it came, and is none of ours.
fn passes(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain && Name::of(name.as_bytes()) == Name::Other && !name.starts_with("sec-websocket-key")
}

fn fields(request: &httparse::Request<'_, '_>) -> Vec<Field> {
    let fields = request.headers.iter();
    let fields = fields.map(|it| (it.name.to_ascii_lowercase(), it.value.to_vec()));
    fields
        .filter(|(name, _)| passes(name) && name != "max-forwards")
        .collect()
}

fn meant_fields(parts: &Parts) -> Vec<Field> {
    let fields = parts.headers.iter();
    let fields = fields
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().trim_ascii().to_vec()));
    fields
        .filter(|(name, _)| passes(name) && name != "max-forwards")
        .collect()
}

fn cookies(parts: &Parts) -> Vec<u8> {
    let crumbs = parts.headers.get_all("cookie").into_iter();
    let crumbs: Vec<&[u8]> = crumbs.map(|it| it.as_bytes()).collect();
    crumbs.join(&b"; "[..]).trim_ascii().to_vec()
}

/// What is made of one stream.
trait Reader {
    /// Takes what has come.
    fn poll(&mut self, cx: &mut Context<'_>);
}

/// A stream as it is served.
struct Served {
    stream: Stream,
    /// What its connection of HTTP/1.1 brings.
    text: Vec<u8>,
    end: End,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// More may come, or all has come and an answer is awaited.
    Whole,
    /// The client broke it off.
    Broken,
}

impl Served {
    fn new(request: Request<RecvStream>, respond: SendResponse<Bytes>) -> Self {
        let stream = Stream::new(request, respond, Live::alone(), || 0);
        Self { stream, text: Vec::new(), end: End::Whole }
    }
}

impl Reader for Served {
    fn poll(&mut self, cx: &mut Context<'_>) {
        let mut piece = [0; 4096];
        while self.end == End::Whole {
            match poll_read(&mut self.stream, cx, &mut piece) {
                Poll::Ready(Ok(count @ 1..)) => self.text.extend_from_slice(&piece[..count]),
                Poll::Ready(Ok(_) | Err(_)) => self.end = End::Broken,
                Poll::Pending => return,
            }
        }
    }
}

/// A stream as the crate `h2` reads it.
struct Meant {
    parts: Parts,
    body: RecvStream,
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    has_ended: bool,
    is_broken: bool,
    /// Dropped, it would end the stream.
    _respond: SendResponse<Bytes>,
}

impl Meant {
    fn new(request: Request<RecvStream>, respond: SendResponse<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            parts,
            body,
            data: Vec::new(),
            trailers: None,
            has_ended: false,
            is_broken: false,
            _respond: respond,
        }
    }
}

impl Reader for Meant {
    fn poll(&mut self, cx: &mut Context<'_>) {
        while !self.has_ended && !self.is_broken {
            match self.body.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    let _ = self.body.flow_control().release_capacity(data.len());
                    self.data.extend_from_slice(&data);
                }
                Poll::Ready(Some(Err(_))) => self.is_broken = true,
                Poll::Ready(None) => match self.body.poll_trailers(cx) {
                    Poll::Ready(Ok(trailers)) => {
                        (self.trailers, self.has_ended) = (trailers, true);
                    }
                    Poll::Ready(Err(_)) => self.is_broken = true,
                    Poll::Pending => return,
                },
                Poll::Pending => return,
            }
        }
    }
}

/// What becomes of all streams of a client that sends these frames and then waits.
fn converse<R: Reader>(
    frames: &[u8],
    cut: usize,
    begin: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> R,
) -> Vec<R> {
    let mut cx = Context::from_waker(Waker::noop());
    let bytes = [PREFACE, frames].concat();
    let wire = Wire { bytes, at: 0, cut: cut.saturating_add(PREFACE.len()) };
    let mut handshake = pin!(settings().handshake::<_, Bytes>(wire));
    let handshake = (0..ROUNDS).find_map(|_| match handshake.as_mut().poll(&mut cx) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    });
    let Some(Ok(mut connection)) = handshake else { return Vec::new() };
    let mut streams = Vec::new();
    for _ in 0..ROUNDS {
        while let Poll::Ready(Some(Ok((request, respond)))) = connection.poll_accept(&mut cx) {
            streams.push(begin(request, respond));
        }
        streams
            .iter_mut()
            .for_each(|stream: &mut R| stream.poll(&mut cx));
    }
    streams
}

/// A connection that brings its bytes in two pieces and no more, and takes whatever is written.
struct Wire {
    bytes: Vec<u8>,
    at: usize,
    cut: usize,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let end = if self.at < self.cut { self.cut } else { usize::MAX };
        let end = end.min(self.bytes.len());
        let rest = &self.bytes[self.at..end];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.at += count;
        if count == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// More than a connection needs to take two pieces and to read what they bring.
const ROUNDS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    /// The seeds of the fuzz target `frames`: where the bytes are cut, an octet before the other, and
    /// the bytes.
    fn seeds() -> Vec<Vec<u8>> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/frames");
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

    /// Otherwise nothing would be held to anything.
    #[test]
    fn seeds_bring_requests_of_every_kind_to_a_backend() {
        let mut seen: Vec<String> = Vec::new();
        for seed in seeds() {
            for served in converse(&seed[2..], usize::MAX, Served::new) {
                let Ok(Some((upstream, _))) = seen_by_backend(&served.text, &Scratch::default())
                else {
                    continue;
                };
                let text = String::from_utf8_lossy(&upstream);
                seen.push(text.lines().next().unwrap_or_default().to_owned());
            }
        }
        for line in ["GET / HTTP/1.1", "POST /body HTTP/1.1", "GET /chat HTTP/1.1"] {
            assert!(seen.iter().any(|it| it == line), "{line}: {seen:?}");
        }
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
    }
}
