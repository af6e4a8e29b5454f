//! A request of portico's own, written whole: its answer's head, and what is wanted of it.
//!
//! Invariants: no more than 64 KiB of an answer are read; its body is read for the sake of the
//! connection alone, and thrown away.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::debug;

use super::body::Body;
use super::framing;
use super::head::{self, Scan};
use super::repeat::MAX_TRIES;
use crate::l7::Worker;
use crate::l7::dial::Undialed;
use crate::l7::fields::{Fields, Name};
use crate::l7::forward::line;
use crate::l7::metrics::class;
use crate::l7::policy::Declined;
use crate::l7::pool::Backend;
use crate::l7::request::is_of_connection;
use crate::l7::secured::Secured;
use crate::upstream::{Caller, Fault as Breakdown, Lead, Port};

/// What is asked.
pub(crate) struct Inquiry<'a> {
    /// The whole request.
    pub(crate) head: &'a [u8],
    /// What the connection must be made with; none: in the clear.
    pub(crate) secured: Option<Rc<Secured>>,
    /// Whether the endpoint is spoken to by HTTP/2.
    pub(crate) http2: bool,
    /// Whether its method is HEAD.
    pub(crate) to_head: bool,
    /// Whether it may arrive twice.
    pub(crate) idempotent: bool,
    /// Fields of the answer that are kept.
    pub(crate) wanted: &'a [Box<str>],
}

/// What is kept of an answer.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// The lines of the wanted fields.
    pub(crate) fields: Vec<u8>,
    /// `Set-Cookie`.
    pub(crate) cookies: Vec<HeaderValue>,
    /// `WWW-Authenticate`.
    pub(crate) challenges: Vec<HeaderValue>,
}

impl Reply {
    fn new(status: StatusCode) -> Self {
        Self { status, fields: Vec::new(), cookies: Vec::new(), challenges: Vec::new() }
    }

    /// An answer of portico's own.
    pub(crate) fn of(declined: &Declined) -> Self {
        let mut reply = Self::new(declined.refused.status);
        let edits = declined.edits.iter();
        for (name, value) in edits.flat_map(|edits| edits.added(reply.status)) {
            if name.eq_ignore_ascii_case(b"www-authenticate") {
                reply.challenges.extend(HeaderValue::from_bytes(value));
            }
        }
        reply
    }

    /// What is wanted of an answer's head.
    fn read(status: StatusCode, fields: Fields<'_>, wanted: &[Box<str>]) -> Self {
        let mut reply = Self::new(status);
        for field in fields.iter() {
            let is_it = |name: &str| name.as_bytes().eq_ignore_ascii_case(field.text);
            if is_it("set-cookie") {
                reply.cookies.extend(HeaderValue::from_bytes(field.value));
            } else if is_it("www-authenticate") {
                reply
                    .challenges
                    .extend(HeaderValue::from_bytes(field.value));
            }
            if wanted.iter().any(|name| is_it(name)) {
                line(&mut reply.fields, field.text, field.value);
            }
        }
        reply
    }
}

/// Why there is no answer.
enum Lost {
    Dial(Undialed),
    /// `silent`: not one byte came.
    Broken {
        silent: bool,
    },
}

impl Worker {
    /// Asks the endpoints of a port in turn until one answers.
    pub(crate) async fn inquire(
        &self,
        port: &Port,
        client: IpAddr,
        inquiry: &Inquiry<'_>,
    ) -> Option<Reply> {
        let mut caller = Caller { client, now: Instant::now() };
        for upstream in port.choose(caller, Lead::Turn).take(MAX_TRIES) {
            // Nobody waits for a question: the request that it is about does already.
            let Some(_open) = upstream.enter(port.bounds(self.bounds)) else {
                port.state.overflows.fetch_add(1, Relaxed);
                continue;
            };
            let lost = match self.exchange(upstream.address, inquiry).await {
                Ok(reply) => {
                    port.answered((upstream, Lead::Turn), caller.now, Instant::now);
                    port.state.inquiries[class(reply.status)].fetch_add(1, Relaxed);
                    return Some(reply);
                }
                Err(lost) => lost,
            };
            caller.now = Instant::now();
            match lost {
                Lost::Dial(why) => why.tell(port, upstream, caller),
                Lost::Broken { .. } => {
                    port.failed((None, caller), upstream, Breakdown::Break, caller.now);
                    if !inquiry.idempotent {
                        break;
                    }
                }
            }
        }
        None
    }

    /// Asks the addresses of a host in turn until one answers.
    pub(crate) async fn inquire_any(
        &self,
        addresses: &[SocketAddr],
        inquiry: &Inquiry<'_>,
    ) -> Option<Reply> {
        for address in addresses.iter().take(MAX_TRIES) {
            match self.exchange(*address, inquiry).await {
                Ok(reply) => return Some(reply),
                Err(Lost::Broken { .. }) if !inquiry.idempotent => return None,
                Err(_) => {}
            }
        }
        None
    }

    async fn exchange(&self, endpoint: SocketAddr, inquiry: &Inquiry<'_>) -> Result<Reply, Lost> {
        let secured = inquiry.secured.as_ref();
        if inquiry.http2 {
            let opened =
                Box::pin(self.open_stream(endpoint, secured, self.door.timeouts.connect)).await;
            let (_, backend) = opened.map_err(Lost::Dial)?;
            return self.speak(backend, inquiry).await;
        }
        if let Some(backend) = self.pool.take(endpoint, secured) {
            self.metrics.reused.0.fetch_add(1, Relaxed);
            match self.speak(backend, inquiry).await {
                // It had died at rest.
                Err(Lost::Broken { silent: true }) if inquiry.idempotent => {}
                told => return told,
            }
        }
        let dialed = Box::pin(self.dial(endpoint, secured, self.door.timeouts.connect)).await;
        let backend = dialed.map_err(Lost::Dial)?;
        self.speak(backend, inquiry).await
    }

    /// Asks over a connection, and keeps it where it can be used again.
    async fn speak(&self, mut backend: Backend, inquiry: &Inquiry<'_>) -> Result<Reply, Lost> {
        backend.served += 1;
        backend.knows_client = shows_ticket(inquiry.head);
        let stream = &mut backend.stream;
        let written = async {
            stream.write_all(inquiry.head).await?;
            stream.flush().await
        };
        if let Err(error) = written.await {
            debug!(%error, endpoint = %backend.endpoint, "a question cannot be asked");
            return Err(Lost::Broken { silent: true });
        }
        let mut inbox = Vec::with_capacity(READ_BYTES);
        let (reply, body, keeps) = hear(&mut backend, &mut inbox, inquiry).await?;
        backend.knows_client |= reply
            .challenges
            .iter()
            .any(|it| is_of_connection(it.as_bytes()));
        if backend.knows_client
            && let Some(stream) = backend.stream.http2()
        {
            stream.retire();
        }
        if keeps && drain(&mut backend, body, inbox).await {
            self.pool.put(backend);
        }
        Ok(reply)
    }
}

/// Whether a request has the client's credentials for a whole connection (`http-proxy 5.4`).
fn shows_ticket(request: &[u8]) -> bool {
    let mut lines = Vec::new();
    let read = head::request(request, &mut lines);
    // What cannot be read is trusted with nothing.
    read.map_or(true, |line| {
        let end = line.map_or(request.len(), |line| line.end);
        let fields = Fields::new(&request[..end], &lines);
        fields.every("authorization").any(is_of_connection)
    })
}

/// Reads the head of an answer; leaves of `inbox` what is of its body.
async fn hear(
    backend: &mut Backend,
    inbox: &mut Vec<u8>,
    inquiry: &Inquiry<'_>,
) -> Result<(Reply, Body, bool), Lost> {
    let mut lines = Vec::new();
    let mut interims = 0;
    loop {
        if let Some(line) = head::response(inbox, &mut lines).map_err(|_| broken_off(false))? {
            let end = line.end;
            if line.status.is_informational() {
                interims += 1;
                if interims > MAX_INTERIMS || line.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(broken_off(false));
                }
                inbox.drain(..end);
                continue;
            }
            let fields = Fields::new(&inbox[..end], &lines);
            let length = framing::of_response(fields, line.minor, line.status, inquiry.to_head)
                .map_err(|_| broken_off(false))?;
            let keeps = match line.minor {
                0 => fields.lists(Name::Connection, "keep-alive"),
                _ => !fields.lists(Name::Connection, "close"),
            };
            let reply = Reply::read(line.status, fields, inquiry.wanted);
            inbox.drain(..end);
            return Ok((reply, Body::new(length), keeps));
        }
        if Scan::default().has_end(inbox, false) != Ok(false) || inbox.len() > MAX_BYTES {
            return Err(broken_off(false));
        }
        inbox.reserve(READ_BYTES);
        match backend.stream.read_buf(inbox).await {
            Ok(0) | Err(_) => return Err(broken_off(inbox.is_empty() && interims == 0)),
            Ok(_) => {}
        }
    }
}

/// Reads the rest of an answer; whether its connection may carry another.
async fn drain(backend: &mut Backend, mut body: Body, mut inbox: Vec<u8>) -> bool {
    let mut left = MAX_BYTES;
    loop {
        let Ok(decoded) = body.take(&mut inbox) else { return false };
        if body.is_done() {
            return decoded.taken == inbox.len();
        }
        if inbox.len() >= left {
            return false;
        }
        left -= inbox.len();
        inbox.clear();
        inbox.reserve(READ_BYTES);
        match backend.stream.read_buf(&mut inbox).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

fn broken_off(silent: bool) -> Lost {
    Lost::Broken { silent }
}

const READ_BYTES: usize = 4_096;
/// Of one answer: its head, and as much of its body.
const MAX_BYTES: usize = 64 << 10;
/// `http-proxy 1.25`.
const MAX_INTERIMS: u8 = 16;
