//! What would become of a request, and why: the way of a worker, gone without a socket.
//!
//! ```text
//! server name ─▶ certificate │ passed through      head ─▶ host ─▶ location ─▶ steps ─▶ decide ─▶ outcome
//! ```
//!
//! Invariants: nobody is asked and nothing is opened; what is said of the outcome is what
//! [`Worker::decide`] says of the same head, so that it cannot differ from what is served.

mod chosen;
mod others;
mod steps;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::StatusCode;
use portico_config::model::{Certificate, FrontDoor, HostPattern, ObjectName, PathKind, Policy};
use portico_config::snapshot::{self, PortId, Snapshot};
use rustls::pki_types::UnixTime;

use super::asks::Ask;
use super::clients::{self, Shown};
use super::fields::Fields;
use super::forward::Peer;
use super::h1::{framing, head};
use super::order::{Decided, Incoming, Noted, Order};
use super::policy::{self, Declined, Visit};
use super::request::{Asked, Checked, check};
use super::{Metrics, Queries, Worker, route};
use crate::upstream::{Caller, Lead, Port};
use crate::view::{self, Builder, Target, View};

pub use self::chosen::Choice;
pub use self::others::Other;
pub use self::steps::Step;

/// What is known where somebody asks.
#[derive(Debug)]
pub struct Ground<'a> {
    /// What serves.
    pub snapshot: &'a Arc<Snapshot>,
    /// Limits, and whose word is taken.
    pub door: &'a FrontDoor,
    /// Whether hosts without a certificate get one made (`--dev-tls`).
    pub makes_certificates: bool,
    /// Endpoints that failed again and again.
    pub out: &'a BTreeSet<SocketAddr>,
}

/// A request that somebody thinks of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imagined {
    /// Whether it comes over TLS.
    pub tls: bool,
    /// The name in the URL, which TLS asks for too; lower case, without port.
    pub server_name: String,
    /// The port in the URL, or the one of its scheme.
    pub port: u16,
    /// Whom it comes from.
    pub from: IpAddr,
    /// All of its head, up to the empty line.
    pub head: Vec<u8>,
}

/// What becomes of it, and why.
#[derive(Debug)]
pub struct Explained {
    /// Over TLS: with what the handshake is answered.
    pub certificate: Option<Answering>,
    /// The host of the rules that is responsible.
    pub host: Option<HostPattern>,
    /// The rule.
    pub rule: Option<Found>,
    /// The alternative that the rule has, and whether it gets the request.
    pub canary: Option<Choice>,
    /// What is asked of requests there, in the order in which it is.
    pub steps: Vec<Step>,
    /// What it comes to.
    pub outcome: Outcome,
    /// Rules that could have been thought responsible, and why they are not.
    pub others: Vec<Other>,
}

/// With what a handshake is answered.
#[derive(Debug, Eq, PartialEq)]
pub enum Answering {
    /// With nothing: the bytes go to a backend as they come.
    PassedThrough,
    /// With a certificate of this Secret that was found by the name itself, or by a wildcard.
    Secret(ObjectName, bool),
    /// With one that is made for the name (`--dev-tls`).
    Made,
    /// With the default one: of a Secret, or portico's own.
    Default(Option<ObjectName>),
}

/// The rule that is responsible.
#[derive(Debug, Eq, PartialEq)]
pub struct Found {
    /// Whose it is; none: settings say where requests go.
    pub ingress: Option<ObjectName>,
    /// How it compares; none: it is a default backend.
    pub kind: Option<PathKind>,
    /// Its path as written.
    pub path: Arc<str>,
    /// Whether the path is a pattern, and whether its pathType is ImplementationSpecific for sure.
    pub pattern: (bool, bool),
    /// The alternative that the request is for.
    pub canary: Option<ObjectName>,
}

/// What a request comes to.
#[derive(Debug)]
pub enum Outcome {
    /// An answer of portico's own.
    Answer {
        /// Its status.
        status: u16,
        /// Where it sends the client.
        location: Option<String>,
        /// Who gives it instead (`custom-http-errors`).
        page: Option<Arc<PortId>>,
        /// Why.
        why: String,
    },
    /// It goes to a backend.
    Forward {
        /// Whose endpoints are asked.
        to: Backend,
        /// What they are sent, line by line.
        head: Vec<String>,
    },
    /// Its bytes go to a backend as they come.
    PassedThrough(Option<Backend>),
    /// It is a question for the resolver.
    Query,
}

/// Who may be asked.
#[derive(Debug)]
pub struct Backend {
    /// The ServicePort.
    pub port: Arc<PortId>,
    /// Its endpoints in the order in which they would be tried, and whether each is put out.
    pub endpoints: Vec<(SocketAddr, bool)>,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'static str,
    /// Whether it is spoken to through TLS.
    pub tls: bool,
    /// Whether it stands in for one without endpoints (`default-backend`).
    pub stands_in: bool,
    /// Who must let the request in first.
    pub guards: Vec<&'static str>,
}

/// Says what becomes of a request.
pub fn explain(ground: &Ground<'_>, imagined: &Imagined) -> Explained {
    let view = Arc::new(ArcSwap::from(Builder::default().next(ground.snapshot)));
    let metrics = Arc::new(Metrics::new(0));
    let hosts = Arc::default();
    let queries = Queries { hosts, resolver: None };
    let worker = Worker::at_rest(Arc::clone(&view), (metrics, 0), queries, (ground.door, None));
    let view = view.load_full();
    let asker = Asker { ground, worker, view, imagined };
    asker.explain()
}

/// One question.
struct Asker<'a> {
    ground: &'a Ground<'a>,
    worker: Worker,
    view: Arc<View>,
    imagined: &'a Imagined,
}

impl Asker<'_> {
    fn explain(&self) -> Explained {
        let Imagined { tls, server_name, .. } = self.imagined;
        let mut explained = Explained {
            certificate: None,
            host: None,
            rule: None,
            canary: None,
            steps: Vec::new(),
            outcome: refused(StatusCode::BAD_REQUEST, "it is no request that HTTP/1.1 knows"),
            others: Vec::new(),
        };
        let named = route::find_host(&self.view.routes, server_name);
        if *tls {
            explained.certificate = Some(self.certificate(named));
            if let Some(target) = named.and_then(|host| host.passed_to.as_ref()) {
                explained.host = self.host(server_name).map(|host| host.pattern.clone());
                explained.outcome = Outcome::PassedThrough(match self.view.resolve(target) {
                    Target::Port(port) => Some(self.backend(&port, Lead::Turn)),
                    Target::Missing | Target::Resource => None,
                });
                return explained;
            }
        }
        let mut lines = Vec::new();
        let line = match head::request(&self.imagined.head, &mut lines) {
            Ok(Some(line)) => line,
            Ok(None) => return explained,
            Err(fault) => {
                explained.outcome = refused(fault.status(), "its head is refused as it stands");
                return explained;
            }
        };
        let fields = Fields::new(&self.imagined.head[..line.end], &lines);
        let (method, target, old) = (line.method, line.target, line.minor == 0);
        let asked = Asked { method, target, old, fields };
        let length = match framing::of_request(fields, line.minor) {
            Ok(length) => length,
            Err(fault) => {
                explained.outcome = refused(fault.status(), "how long its body is cannot be told");
                return explained;
            }
        };
        let from = self.connection(named);
        let body = length.announced();
        let incoming = Incoming { asked, from: &from, body, expects: false, websocket: false };
        match check(&asked) {
            Err(declined) => {
                let why = "its method, target or Host is not one that is served";
                explained.outcome = refused(declined.status, why);
            }
            Ok(checked) => self.follow(&incoming, &checked, &mut explained),
        }
        explained
    }

    /// The connection that it would come over: its client shows no certificate.
    fn connection(&self, named: Option<&view::Host>) -> Peer {
        let Imagined { tls, port, from, .. } = self.imagined;
        let listener = SocketAddr::from(([0, 0, 0, 0], *port));
        let mut connection = Peer::new(*from, listener, *tls);
        if self.view.trusts(connection.client) {
            connection = connection.trusted(self.ground.door.full_forwarded_for);
        }
        connection.tells_forwarded = self.ground.door.forwarded;
        let asks = named.and_then(|host| host.clients.as_ref());
        if let Some(auth) = asks.filter(|_| *tls) {
            connection.shown = Some(Shown::of(Arc::clone(auth), None, UnixTime::now()));
        }
        connection
    }

    /// Goes on with a request that may be routed.
    fn follow(&self, incoming: &Incoming<'_>, checked: &Checked<'_>, explained: &mut Explained) {
        let host = self.host(&checked.host);
        let table = &self.ground.snapshot.routes;
        explained.host = host.map(|host| host.pattern.clone());
        explained.others = others::others(table, host, checked);
        let policy = host.map(|host| self.location(host, checked, explained));
        let canary = self.canary(checked);
        // Where chance decides, the request is one of the many.
        let draw = canary.map(|canary| policy::likely_draw(&canary.of.rule));
        self.worker.drawn.set(draw);
        let mut noted = Noted::default();
        let decided = self.worker.decide(incoming, &mut noted);
        let is_canary = noted.rule.as_ref().is_some_and(|rule| rule.is_canary);
        explained.canary =
            canary.map(|canary| self.choice((canary, is_canary), checked, incoming.asked.fields));
        if let (Some(found), Some(choice)) = (&mut explained.rule, &explained.canary) {
            found.canary = choice.is_taken.then(|| choice.ingress.clone());
        }
        let policy = policy.flatten();
        explained.outcome = match decided {
            Ok(Decided::Order(order)) => self.forward(order, Vec::new()),
            Ok(Decided::Query(..)) => Outcome::Query,
            Ok(Decided::Pending(pending)) => {
                let (asks, then) = pending.into_parts();
                let guards = asks.iter().map(guard).collect();
                match then {
                    Ok(order) => self.forward(order, guards),
                    Err(declined) => self.declined(&declined, (incoming, checked), policy),
                }
            }
            Err(declined) => self.declined(&declined, (incoming, checked), policy),
        };
    }

    /// Notes the location, and gives what is asked there.
    fn location<'a>(
        &self,
        host: &'a snapshot::Host,
        checked: &Checked<'_>,
        explained: &mut Explained,
    ) -> Option<&'a Arc<Policy>> {
        let (found, policy) = match others::matching(host, &checked.path) {
            Some(location) => {
                let ingress = Some(location.ingress.clone());
                let (kind, path) = (Some(location.kind), Arc::clone(&location.path));
                let pattern = others::pattern(host, location);
                (Found { ingress, kind, path, pattern, canary: None }, &location.policy)
            }
            None => {
                host.default_backend.as_ref()?;
                let ingress = host.default_ingress.clone();
                let (path, pattern) = (Arc::default(), (false, false));
                let found = Found { ingress, kind: None, path, pattern, canary: None };
                (found, &host.default_policy)
            }
        };
        explained.rule = Some(found);
        explained.steps = steps::steps(policy, host.clients.as_deref());
        Some(policy)
    }

    fn forward(&self, order: Order, guards: Vec<&'static str>) -> Outcome {
        let terms = order.terms.as_ref();
        let lead = terms.map_or(Lead::Turn, |terms| terms.lead);
        let mut to = self.backend(&order.port, lead);
        to.guards = guards;
        to.stands_in = terms.is_some_and(|terms| terms.is_aside);
        to.tls = terms.is_some_and(|terms| terms.secured.is_some());
        let speaks_http2 = terms.is_some_and(|it| it.policy.backend_http2 && !it.is_aside);
        to.protocol = if speaks_http2 { "HTTP/2" } else { "HTTP/1.1" };
        if to.endpoints.is_empty() {
            let why = format!("Service {} has no endpoint that may be asked", to.port.service);
            return refused(StatusCode::SERVICE_UNAVAILABLE, &why);
        }
        let text = String::from_utf8_lossy(&order.head);
        // What is another one each time, or says who portico is, explains nothing.
        let is_told = |line: &&str| {
            !line.starts_with("X-Request-ID: ") && !line.starts_with("Via: 1.1 portico ")
        };
        let head = text.lines().filter(is_told).filter(|line| !line.is_empty());
        Outcome::Forward { head: head.map(str::to_owned).collect(), to }
    }

    fn backend(&self, port: &Arc<Port>, lead: Lead) -> Backend {
        let caller = Caller { client: self.imagined.from, now: Instant::now() };
        let endpoints = port.choose(caller, lead).map(|upstream| upstream.address);
        let mut endpoints: Vec<_> = endpoints
            .map(|address| (address, self.ground.out.contains(&address)))
            .collect();
        endpoints.sort_by_key(|(_, is_out)| *is_out);
        Backend {
            port: Arc::clone(&port.state.id),
            endpoints,
            protocol: "HTTP/1.1",
            tls: false,
            stands_in: false,
            guards: Vec::new(),
        }
    }

    fn declined(
        &self,
        declined: &Declined,
        (incoming, checked): (&Incoming<'_>, &Checked<'_>),
        policy: Option<&Arc<Policy>>,
    ) -> Outcome {
        let status = declined.refused.status;
        let edits = declined.edits.as_ref();
        let location = edits.and_then(|edits| {
            let mut added = edits.added(status);
            let found = added.find(|(name, _)| name.eq_ignore_ascii_case(b"location"))?;
            Some(String::from_utf8_lossy(found.1).into_owned())
        });
        let why = self.why(status, (incoming, checked), policy);
        let page = declined.page.as_ref();
        let page = page.map(|page| Arc::clone(&page.port.state.id));
        Outcome::Answer { status: status.as_u16(), location, page, why }
    }

    /// Who declined it.
    fn why(
        &self,
        status: StatusCode,
        (incoming, checked): (&Incoming<'_>, &Checked<'_>),
        policy: Option<&Arc<Policy>>,
    ) -> String {
        let Some(host) = route::find_host(&self.view.routes, &checked.host) else {
            return "no rule names the host, and none is for all hosts".to_owned();
        };
        if let Err(declined) = clients::admit(host, incoming.from) {
            return by_certificate(host, declined.refused.status, incoming.from.tls);
        }
        let Some(policy) = policy else {
            return "no path of the host matches, and it has no default backend".to_owned();
        };
        let client = match self.worker.told(incoming) {
            Some(told) => (told.client, told.tls),
            None => (incoming.from.client, incoming.from.tls),
        };
        let visit = Visit {
            method: incoming.asked.method,
            fields: Some(incoming.asked.fields),
            origin: incoming.asked.fields.first("origin"),
            ..Visit::new(client, checked, policy)
        };
        if let Some(step) = policy::blame(policy, &visit) {
            return step.to_owned();
        }
        match status {
            StatusCode::UNAUTHORIZED => "auth-type: name and password are missing".to_owned(),
            StatusCode::PAYLOAD_TOO_LARGE => "proxy-body-size: its body is longer".to_owned(),
            StatusCode::BAD_REQUEST => "auth-tls: the host wants a certificate".to_owned(),
            _ => {
                let host = self.host(&checked.host);
                let location = host.and_then(|host| others::matching(host, &checked.path));
                let rest = || host.and_then(|host| host.default_backend.as_ref());
                let backend = location.map(|location| &location.backend).or_else(rest);
                backend.map_or_else(|| "its backend is not there".to_owned(), missing)
            }
        }
    }

    fn host(&self, name: &str) -> Option<&snapshot::Host> {
        others::host(&self.ground.snapshot.routes, name)
    }

    fn certificate(&self, named: Option<&view::Host>) -> Answering {
        if named.is_some_and(|host| host.passed_to.is_some()) {
            return Answering::PassedThrough;
        }
        let name = &*self.imagined.server_name;
        let table = &self.ground.snapshot.certificates;
        let secret = |found: &Arc<Certificate>| found.secret.clone();
        let is_default = |found: &Arc<Certificate>| {
            let default = table.default.as_ref();
            default.is_some_and(|default| Arc::ptr_eq(default, found))
        };
        let suffix = name.split_once('.').map(|(_, suffix)| suffix);
        let by_wildcard = || table.wildcard.get(suffix?).map(|found| (found, true));
        let own = table.exact.get(name).map(|found| (found, false));
        match own.or_else(by_wildcard) {
            Some((found, is_wildcard)) if !is_default(found) && found.secret.is_some() => {
                let secret = secret(found).unwrap_or_else(|| ObjectName::new("", ""));
                Answering::Secret(secret, is_wildcard)
            }
            _ if self.ground.makes_certificates && route::has_host(&self.view.routes, name) => {
                Answering::Made
            }
            _ => Answering::Default(table.default.as_ref().and_then(secret)),
        }
    }
}

fn refused(status: StatusCode, why: &str) -> Outcome {
    let (location, page) = (None, None);
    Outcome::Answer { status: status.as_u16(), location, page, why: why.to_owned() }
}

fn guard(ask: &Ask) -> &'static str {
    match ask {
        Ask::Password(_) => "auth-type: the password must be right",
        Ask::Service(_) => "auth-url: the service must let it in",
    }
}

/// Why a host does not let in who comes so.
fn by_certificate(host: &view::Host, status: StatusCode, tls: bool) -> String {
    match status {
        StatusCode::MISDIRECTED_REQUEST if host.passed_to.is_some() => {
            "TLS for this host is passed through, and this connection's ends here: the name that TLS \
             asked for is another host's"
        }
        StatusCode::MISDIRECTED_REQUEST => {
            "the host that TLS asked for and the one in Host ask for client certificates in different \
             ways"
        }
        StatusCode::FORBIDDEN if !tls => "auth-tls-secret: the Secret is missing",
        StatusCode::FORBIDDEN => "auth-tls: the Secret is missing, or the certificate's name is wrong",
        _ => "auth-tls-verify-client: the client must show a certificate",
    }
    .to_owned()
}

fn missing(backend: &snapshot::Backend) -> String {
    match backend {
        snapshot::Backend::Missing(why) => why.to_string(),
        snapshot::Backend::Resource => "a resource backend serves nothing here".to_owned(),
        snapshot::Backend::Service(port) => format!("{port} declines it"),
    }
}
