//! Where one request goes, and what is said if it goes nowhere; the same for every codec.
//!
//! Decided before a byte is sent on: checks, loops, host and path. Connections to endpoints are dialed
//! here too; what is said over them is a codec's work.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::StatusCode;
use portico_config::model::{Balancing, Coding, Mirror, Policy, Template};
use tokio::net::TcpStream;
use tracing::debug;

use super::access::Entry;
use super::asks::{Asks, Pending};
use super::calls::is_call;
use super::clients;
use super::coding;
use super::edits::Edits;
use super::external::Asking;
use super::forward::{self, Added, Announced, ForwardedFor};
use super::mirror::{Copied, Original};
use super::pages::{self, Page};
use super::policy::{self, Declined, Visit};
use super::pool::{Backend, Stream};
use super::queries::Query;
use super::request::{Asked, Checked, Refused, check, is_idempotent, refuse};
use super::secured::Secured;
use super::session::Session;
use super::trust::{self, Told};
use super::{Routed, Worker};
use crate::ledger::Verb;
use crate::limiter::Permit;
use crate::upstream::{Lead, Port};
use crate::view::{Rule, Target};

/// Why no endpoint answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// There is none to ask.
    NoEndpoint,
    /// All of them are full, and as many wait as may.
    Full,
    /// It refused, broke off, or answered with something that is no response.
    Bad,
    /// It did not answer in time.
    TimedOut,
    /// It did not answer in the time that the client gave for all of it (`http-proxy 6.9`).
    Deadline,
}

impl Failure {
    /// `http-proxy 0.4`.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoEndpoint | Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Bad => StatusCode::BAD_GATEWAY,
            Self::TimedOut | Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// A request as a codec read it.
pub(crate) struct Incoming<'a> {
    pub(crate) asked: Asked<'a>,
    /// The connection that it came over.
    pub(crate) from: &'a ForwardedFor,
    /// How its body is announced.
    pub(crate) body: Announced,
    /// Whether the client waits to be told to send its body.
    pub(crate) expects: bool,
    pub(crate) websocket: bool,
}

/// What is known of a request whatever becomes of it.
#[derive(Default)]
pub(crate) struct Noted {
    /// What the log says of it, where there is one.
    pub(crate) entry: Option<Box<Entry>>,
    /// The rule that was found for it.
    pub(crate) rule: Option<Arc<Rule>>,
    /// Its method, as far as methods are told apart.
    pub(crate) verb: Verb,
    /// What it is called where the client calls it nothing; zeros: nobody asked for a name yet.
    pub(crate) id: [u8; 32],
}

/// What becomes of a request that is not declined.
pub(crate) enum Decided {
    /// It goes to a backend.
    Order(Order),
    /// It goes there, or is declined, once somebody has been asked about it.
    Pending(Box<Pending>),
    /// It asks for a name, for this client.
    Query(Query, IpAddr),
}

/// A request that goes to a backend.
pub(crate) struct Order {
    /// Whose endpoints are asked.
    pub(crate) port: Arc<Port>,
    /// What they are sent before the body.
    pub(crate) head: Vec<u8>,
    /// For whom it is: the peer, or whom a trusted proxy names.
    pub(crate) client: IpAddr,
    /// What else is asked of the exchange; none where no annotation is about the location.
    pub(crate) terms: Option<Box<Terms>>,
}

impl Order {
    /// The longest body that it may have, where `usual` is what settings say.
    pub(crate) fn max_body_bytes(&self, usual: u64) -> u64 {
        policy::max_body_bytes(self.terms.as_ref().map(|terms| &*terms.policy), usual)
    }
}

/// What the annotations of a location ask of one exchange.
#[derive(Debug)]
pub(crate) struct Terms {
    /// All that is asked.
    pub(crate) policy: Arc<Policy>,
    /// What is done to its response.
    pub(crate) edits: Edits,
    /// Its place among those that its client may have in progress.
    pub(crate) permit: Option<Permit>,
    /// What its backend's connection must have been made with; none: in the clear.
    pub(crate) secured: Option<Rc<Secured>>,
    /// The client's session, where it has one.
    pub(crate) session: Option<Session>,
    /// In which coding its client has the response best, where it may be had in several.
    pub(crate) coding: Option<Coding>,
    /// Which endpoint is asked first.
    pub(crate) lead: Lead,
    /// What of it goes to another place too.
    pub(crate) copy: Option<Box<Copied>>,
    /// Who answers in the place of an error, if anybody does.
    pub(crate) page: Option<Rc<Page>>,
    /// Whether another backend than the location's is asked.
    pub(crate) is_aside: bool,
}

/// What annotations ask of the head that goes to a backend, and of the way there.
#[derive(Default)]
struct Wanted {
    /// Its Host.
    host: Option<String>,
    /// Its `X-Forwarded-Prefix`.
    prefix: Option<String>,
    /// Its path.
    path: Option<String>,
    /// Lines beside the client's.
    lines: Vec<u8>,
    permit: Option<Permit>,
    secured: Option<Rc<Secured>>,
    coding: Option<Coding>,
    /// Path and query of its copy.
    mirrored: Option<String>,
    /// Which endpoint is asked first, where no session says that.
    lead: Lead,
}

/// For whom a request is: its peer, or whom a trusted proxy names.
#[derive(Clone, Copy)]
struct Seen<'a> {
    client: IpAddr,
    /// Whether the client spoke TLS.
    tls: bool,
    /// What it asked the proxy for.
    authority: Option<&'a str>,
}

impl<'a> Seen<'a> {
    fn new(from: &ForwardedFor, told: Option<&Told<'a>>) -> Self {
        match told {
            Some(told) => Self { client: told.client, tls: told.tls, authority: told.authority },
            None => Self { client: from.client, tls: from.tls, authority: None },
        }
    }
}

impl Worker {
    /// What becomes of a request; the same for every codec.
    pub(crate) fn decide(
        &self,
        incoming: &Incoming<'_>,
        noted: &mut Noted,
    ) -> Result<Decided, Declined> {
        let checked = check(&incoming.asked)?;
        match self.queries.of(incoming, &checked) {
            Some(query) => {
                let told = self.told(incoming);
                let client = Seen::new(incoming.from, told.as_ref()).client;
                query.map(|query| Decided::Query(query, client))
            }
            None => self.routed(incoming, checked, noted),
        }
    }

    /// Where a request goes, and with which head.
    fn routed(
        &self,
        incoming: &Incoming<'_>,
        checked: Checked<'_>,
        noted: &mut Noted,
    ) -> Result<Decided, Declined> {
        let Incoming { asked, .. } = incoming;
        if forward::names_too_much(asked.fields) {
            return Err(refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).into());
        }
        if self.via.seen(asked.fields) >= MAX_PASSES {
            return Err(refuse(StatusCode::LOOP_DETECTED).into());
        }
        let mut routed = self.target(&checked, asked.fields, incoming.from)?;
        noted.rule = routed.rule.take();
        if let Some(id) = noted.entry.as_ref().and_then(|entry| entry.own_id()) {
            routed.request_id = id;
        }
        noted.id = routed.request_id;
        #[cfg(test)]
        super::panics::provoked::reach(super::panics::provoked::Point::Deciding);
        let unproven = routed.unproven.take();
        let (mut edits, mut asks) = <(Edits, Asks)>::default();
        let page = self.page(incoming, &checked, &routed);
        let to = (routed, page.as_ref());
        let mut ordered = self.order(incoming, checked, to, (&mut edits, &mut asks));
        // Who has come without TLS is sent there, or nowhere.
        if let Some(auth) = unproven
            && ordered.is_ok()
        {
            ordered = Err(clients::unproven(&auth));
        }
        if asks.is_empty() {
            return ordered
                .map(Decided::Order)
                .map_err(|declined| declined.with(edits).or_page(page.as_ref()));
        }
        let then = ordered.map_err(|declined| declined.with(edits.clone()).or_page(page.as_ref()));
        Ok(Decided::Pending(Box::new(asks.hold((edits, page), then))))
    }

    /// The order for a request whose location is known; `edits` are done to the answer, whoever
    /// gives it, and `asks` come before it is given.
    fn order(
        &self,
        incoming: &Incoming<'_>,
        checked: Checked<'_>,
        (routed, page): (Routed, Option<&Rc<Page>>),
        (edits, asks): (&mut Edits, &mut Asks),
    ) -> Result<Order, Declined> {
        let Incoming { asked, from, .. } = incoming;
        let told = self.told(incoming);
        let told = told.as_ref();
        let seen = Seen::new(from, told);
        let request_id = routed.request_id;
        let policy = routed.policy.as_ref().map(Arc::clone);
        let balancing = routed.balancing();
        let asking = (incoming, seen, &request_id[..]);
        let Wanted { host, prefix, path, lines, permit, secured, coding, mirrored, lead } =
            match &policy {
                Some(policy) => self.obey((policy, balancing), asking, &checked, (edits, asks))?,
                None => Wanted::default(),
            };
        self.fits(incoming, policy.as_deref())?;
        let affinity = balancing.filter(|it| !it.by_service);
        let affinity = affinity.and_then(|it| it.affinity.as_ref().map(Arc::clone));
        let (port, stands_in) = place(routed.target, page)?;
        let path = path.map_or(checked.path, Cow::Owned);
        let checked = Checked { path, ..checked };
        let added = Added {
            incoming,
            via: &self.via,
            told,
            request_id,
            host: host.as_deref(),
            prefix: prefix.as_deref(),
            lines: &lines,
            closes: policy.as_ref().is_some_and(|policy| policy.backend_closes),
            withheld: match &stands_in {
                Some((page, _)) => page.withheld(),
                None => policy.as_ref().map_or(&[], |policy| &policy.withheld),
            },
            http2: stands_in.is_none() && policy.as_ref().is_some_and(|it| it.backend_http2),
        };
        let mut head = self.scratch.take();
        forward::to_upstream(&mut head, &checked, &added);
        if let Some((page, target)) = &stands_in {
            pages::tell(&mut head, (page, target), incoming);
        }
        let edits = if asks.is_empty() { std::mem::take(edits) } else { edits.clone() };
        let session = affinity.map(|affinity| {
            let came = (asked.fields, seen.tls);
            Session::of(&affinity, &port, came, || self.next_random())
        });
        let lead = session.as_ref().map_or(lead, Session::lead);
        let copy = mirrored.and_then(|path| {
            let mirror = policy.as_ref()?.mirror.as_ref()?;
            self.copied((mirror, path), checked.authority, &added)
        });
        let terms = policy.map(|policy| match stands_in {
            Some(_) => Terms { permit, copy, ..Terms::aside(&policy, edits) },
            None => {
                let (page, is_aside) = (page.map(Rc::clone), false);
                Terms {
                    policy,
                    edits,
                    permit,
                    secured,
                    session,
                    coding,
                    lead,
                    copy,
                    page,
                    is_aside,
                }
            }
        });
        Ok(Order { port, head, client: seen.client, terms: terms.map(Box::new) })
    }

    /// Whether a body of the length that a request announces may come.
    fn fits(&self, incoming: &Incoming<'_>, policy: Option<&Policy>) -> Result<(), Declined> {
        let most = policy::max_body_bytes(policy, self.door.max_body_bytes);
        match incoming.body {
            Announced::Length(bytes) if bytes > most => {
                Err(refuse(StatusCode::PAYLOAD_TOO_LARGE).into())
            }
            _ => Ok(()),
        }
    }

    /// What of a request goes to another place too. A tunnel is not copied, nor is a call of gRPC.
    fn copied(
        &self,
        (mirror, path): (&Arc<Mirror>, String),
        authority: Option<&str>,
        added: &Added<'_>,
    ) -> Option<Box<Copied>> {
        let Incoming { asked, from, websocket, .. } = added.incoming;
        if *websocket || is_call(asked.method, asked.fields) {
            return None;
        }
        let seen = Seen::new(from, added.told);
        let original = Original {
            client: seen.client,
            local: from.local,
            to_head: asked.method == "HEAD",
            idempotent: is_idempotent(asked.method),
        };
        self.copy(mirror, original, |head| {
            let body = Announced::Nothing;
            let incoming = Incoming { asked: *asked, from, body, expects: false, websocket: false };
            let checked = Checked { host: "".into(), authority, path: path.into(), query: None };
            let added = Added {
                incoming: &incoming,
                host: Some(&mirror.host),
                prefix: None,
                closes: false,
                http2: false,
                ..*added
            };
            forward::to_upstream(head, &checked, &added);
        })
    }

    /// What a trusted proxy says of a request; none: nobody who is trusted says anything.
    pub(super) fn told<'a>(&self, incoming: &Incoming<'a>) -> Option<Told<'a>> {
        let Incoming { asked, from, .. } = incoming;
        (from.is_trusted && self.trusts(from.client))
            .then(|| trust::told(asked.fields, from, |ip| self.trusts(ip)))
    }

    /// Takes the steps that annotations ask for; an error is the answer.
    fn obey(
        &self,
        (policy, balancing): (&Policy, Option<&Balancing>),
        (incoming, seen, request_id): (&Incoming<'_>, Seen<'_>, &[u8]),
        checked: &Checked<'_>,
        (edits, asks): (&mut Edits, &mut Asks),
    ) -> Result<Wanted, Declined> {
        let Incoming { asked, from, .. } = incoming;
        let client = (seen.client, seen.tls);
        let limiter = self.limiter(policy);
        let outside = seen.authority.and_then(|it| checked.seen_as(it));
        let outside = Visit {
            method: asked.method,
            fields: Some(asked.fields),
            request_id,
            server_port: from.listener.port(),
            origin: policy
                .cors
                .as_ref()
                .and_then(|_| asked.fields.first("origin")),
            limiter: limiter.as_ref(),
            ..Visit::new(client, outside.as_ref().unwrap_or(checked), policy)
        };
        *edits = policy::edits(policy, &outside);
        let permit = policy::judge(policy, &outside)?;
        if policy.asks_credentials() {
            let asking = Asking { asked, from, visit: &outside, request_id };
            *asks = self.asks(policy, asking, policy::outside(policy, &outside))?;
            policy::moved(policy, &outside)?;
        }
        let visit = Visit {
            method: asked.method,
            fields: Some(asked.fields),
            request_id,
            server_port: from.listener.port(),
            ..Visit::new(client, checked, policy)
        };
        let path = policy::rewrite(policy, &visit)?;
        let render = |template: &Template| policy::render(template, &visit);
        let host = policy.upstream_host.as_ref().map(render);
        let prefix = policy.forwarded_prefix.as_ref().map(render);
        let secured = Secured::of(policy, seen.tls, || {
            let asked = || {
                host.clone()
                    .or_else(|| checked.authority.map(str::to_owned))
            };
            policy.backend_name.as_ref().map(render).or_else(asked)
        });
        let lead = balancing.map_or(Lead::Turn, |balancing| policy::lead(balancing, &visit));
        let lines = policy::request_lines(policy, &visit);
        let coding = policy.compression.as_ref();
        let coding = coding.and_then(|it| coding::wanted(it, asked.fields));
        let mirrored = policy.mirror.as_ref().map(|mirror| render(&mirror.target));
        Ok(Wanted { host, prefix, path, lines, permit, secured, coding, mirrored, lead })
    }

    /// Opens a connection to an endpoint, through TLS where `secured` says how. The handshake is part
    /// of the time to connect (`http-proxy 5`).
    pub(crate) async fn dial(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
        timeout: Duration,
    ) -> Result<Backend, Undialed> {
        let dialed = tokio::time::timeout(timeout, self.connect(endpoint, secured)).await;
        let why = match dialed {
            Ok(Ok(stream)) => {
                self.metrics.opened.0.fetch_add(1, Relaxed);
                let secured = secured.map(Rc::clone);
                return Ok(Backend::new(stream, endpoint, secured));
            }
            Ok(Err((why, error))) => {
                debug!(%endpoint, %error, "dial failed");
                why
            }
            Err(_) => Undialed { failure: Failure::TimedOut, blames: true },
        };
        Err(why)
    }

    async fn connect(
        &self,
        endpoint: SocketAddr,
        secured: Option<&Rc<Secured>>,
    ) -> Result<Stream, (Undialed, io::Error)> {
        let failed = |blames| move |error| (Undialed { failure: Failure::Bad, blames }, error);
        let stream = TcpStream::connect(endpoint).await.map_err(failed(true))?;
        let _ = stream.set_nodelay(true);
        let Some(secured) = secured else { return Ok(Stream::Plain(stream)) };
        let handshake = self
            .handshakes
            .dial(stream, endpoint, secured, &self.ticker);
        let stream = Box::pin(handshake)
            .await
            .map_err(failed(!secured.depends_on_name()))?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// Whose endpoints are asked: those of `target`, or of who stands in where it has none.
fn place(
    target: Target<Arc<Port>>,
    page: Option<&Rc<Page>>,
) -> Result<(Arc<Port>, StandsIn<'_>), Declined> {
    let kept = |status| Declined::from(Refused { status, close: false });
    match (target, page.filter(|page| page.stands_in())) {
        (Target::Resource, _) => Err(kept(StatusCode::NOT_FOUND)),
        (Target::Missing, None) => Err(kept(StatusCode::SERVICE_UNAVAILABLE)),
        (Target::Port(port), None) => Ok((port, None)),
        (Target::Port(port), Some(_)) if !port.upstreams().is_empty() => Ok((port, None)),
        (target, Some(page)) => Ok((Arc::clone(&page.port), Some((page, target)))),
    }
}

/// Who stands in for whom.
type StandsIn<'a> = Option<(&'a Rc<Page>, Target<Arc<Port>>)>;

/// No connection to an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Undialed {
    pub(crate) failure: Failure,
    /// Whether it is the endpoint's fault: a name that a client chose must put none of them out.
    pub(crate) blames: bool,
}

/// Endpoints asked for one request (`http-proxy 5.10`).
pub(crate) const MAX_TRIES: usize = 3;
/// Own instance in `Via` as often as this: the request goes round (`http-proxy 1.5`).
const MAX_PASSES: usize = 3;
