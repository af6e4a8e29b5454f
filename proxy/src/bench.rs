//! Private stages for `benches/` and fuzzing, behind the feature `bench`: no contract.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use portico_config::model::{HostPattern, LogFormat, ObjectName, PathKind, Protocol};
use portico_config::snapshot::{
    Backend, Endpoint, Front, FrontKind, Host, Location, PortId, Reach, RouteTable, Service,
    ServicePort, Snapshot,
};

use crate::l7::{Logger, coded, one_form, one_meaning};
use crate::upstream::{Caller, Lead, Port};
use crate::view::{Builder, View};

/// Holds the HTTP/1 codec to its promise for the bytes of a client, cut into two at `cut`: what a
/// backend would see is nothing, or one request in one form. Panics where that is broken.
pub fn hold_codec(bytes: &[u8], cut: usize) {
    one_form::holds(bytes, cut);
}

/// The same of the frames that a client of HTTP/2 sends behind its preface. Panics where that is broken.
pub fn hold_frames(frames: &[u8], cut: usize) {
    one_meaning::holds(frames, cut);
}

/// Builds views, each from the one before.
#[derive(Debug, Default)]
pub struct Views(Builder);

/// Writes requests for a backend, one after the other.
#[derive(Default)]
pub struct Rewriter(one_form::Rewriter);

impl Rewriter {
    /// The bytes that a backend gets for the first request in `bytes`, head and body; none where it
    /// is refused or not whole.
    pub fn rewrite(&self, bytes: &[u8]) -> Option<usize> {
        self.0.rewrite(bytes)
    }
}

/// A browser's request number `number`, for a host that [`cluster`] has.
pub fn request(number: usize) -> Vec<u8> {
    format!(
        "GET /shop/items/{number}?page=2 HTTP/1.1\r\nHost: h{}.test\r\nUser-Agent: Mozilla/5.0 (X11; \
         Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: \
         text/html,application/xhtml+xml\r\nAccept-Language: en\r\nAccept-Encoding: gzip, br\r\nCookie: \
         session=0123456789abcdef{number}\r\nConnection: keep-alive\r\n\r\n",
        number * 10
    )
    .into_bytes()
}

/// Brings bodies into one coding.
pub struct Recoder(coded::Recoder);

impl Recoder {
    /// Into `gzip`, `br` or `zstd`.
    pub fn new(name: &str) -> Option<Self> {
        coded::Recoder::new(name).map(Self)
    }

    /// How long a whole body becomes.
    pub fn whole(&self, body: &[u8]) -> Option<usize> {
        self.0.whole(body)
    }

    /// Begins one more, which has had `body` and stays open; none where there are too many.
    pub fn begin(&mut self, body: &[u8]) -> Option<usize> {
        self.0.begin(body)
    }
}

/// Writes lines of the access log that go nowhere.
pub struct Lines(Logger);

impl Lines {
    /// In `format`, about one request; none where there is no such format.
    pub fn new(format: &str) -> Option<Self> {
        let format: LogFormat = format.parse().ok()?;
        Logger::new(format, &request(0)).map(Self)
    }

    /// The line of a request for `target` that was answered.
    pub fn write(&self, target: &str) {
        self.0.line(target);
    }
}

/// A view, to be dropped outside of the measurement.
#[derive(Debug)]
pub struct Built {
    view: Arc<View>,
}

impl Built {
    /// Whether a request for `host` and `path` has somewhere to go.
    pub fn routes(&self, host: &str, path: &str) -> bool {
        crate::l7::way_of(&self.view.routes, host, path).is_some()
    }

    /// One of the ports of Services.
    pub fn chooser(&self) -> Option<Chooser> {
        let port = self.view.ports().next().map(Arc::clone)?;
        Some(Chooser { port, now: Instant::now() })
    }
}

/// A port of a Service, whose endpoints are chosen from.
#[derive(Debug)]
pub struct Chooser {
    port: Arc<Port>,
    now: Instant,
}

impl Chooser {
    /// How many endpoints may be tried, the next one in turn first.
    pub fn choose(&self) -> usize {
        let caller = Caller { client: IpAddr::V4(Ipv4Addr::LOCALHOST), now: self.now };
        let mut choice = self.port.choose(caller, Lead::Turn);
        let first = usize::from(choice.next().is_some());
        first * choice.set_len()
    }
}

impl Views {
    /// The view of `snapshot`.
    pub fn next(&mut self, snapshot: &Arc<Snapshot>) -> Built {
        Built { view: self.0.next(snapshot) }
    }
}

/// Services `s0` and up with ten endpoints each, a ClusterIP front for each and a NodePort for
/// each hundredth, and a host for each tenth.
pub fn cluster(services: usize) -> Snapshot {
    let all: Vec<Arc<Service>> = (0..services).map(|number| service(number, 0)).collect();
    let front = |address: SocketAddr, kind, service: &Service| Front {
        address,
        protocol: Protocol::Tcp,
        kind,
        port: Arc::clone(&service.ports[0].id),
    };
    let mut fronts: Vec<Front> = all
        .iter()
        .enumerate()
        .map(|(number, service)| front(address(127, number, 18_080), FrontKind::ClusterIp, service))
        .collect();
    fronts.extend(
        all.iter()
            .step_by(100)
            .zip(30_000..)
            .map(|(service, port)| {
                front(SocketAddr::from(([127, 0, 0, 1], port)), FrontKind::NodePort, service)
            }),
    );
    fronts.sort_by_key(|front| front.address);
    let mut routes = RouteTable::default();
    for (number, service) in all.iter().enumerate().step_by(10) {
        let name: Arc<str> = format!("h{number}.test").into();
        let location = Location {
            kind: PathKind::Prefix,
            path: "/".into(),
            backend: Backend::Service(Arc::clone(&service.ports[0].id)),
            ingress: ObjectName::new("default", format!("h{number}")),
            policy: Arc::default(),
            canary: None,
        };
        let host = Host {
            pattern: HostPattern::Exact(Arc::clone(&name)),
            locations: vec![location],
            default_backend: None,
            default_policy: Arc::default(),
            clients: None,
            suites: None,
            passed_to: None,
            default_ingress: None,
            is_nginx: false,
        };
        routes.exact.insert(name, Arc::new(host));
    }
    Snapshot {
        generation: 1,
        services: all.into_iter().map(|it| (it.name.clone(), it)).collect(),
        fronts: Arc::new(fronts),
        routes: Arc::new(routes),
        ..Snapshot::default()
    }
}

/// The same with Service `s{number}` on other endpoints.
pub fn with_moved(before: &Snapshot, number: usize, turn: usize) -> Snapshot {
    let mut next = before.clone();
    next.generation += 1;
    let moved = service(number, turn);
    next.services.insert(moved.name.clone(), moved);
    next
}

fn service(number: usize, turn: usize) -> Arc<Service> {
    let name = ObjectName::new("default", format!("s{number}"));
    let port = 8_080 + u16::try_from(turn % 1_000).unwrap_or(0);
    let endpoint = |index: usize| Endpoint::at(address(10, number * 10 + index, port));
    let port = ServicePort {
        id: Arc::new(PortId { service: name.clone(), name: "".into(), protocol: Protocol::Tcp }),
        port: 80,
        node_port: None,
        endpoints: (0..10).map(endpoint).collect(),
        traffic: Arc::default(),
    };
    Arc::new(Service {
        name,
        reach: Reach::Headless,
        has_selector: false,
        is_nameless: false,
        ports: vec![Arc::new(port)],
        addresses: Vec::new(),
        traffic: Arc::default(),
    })
}

/// The `number`th address of a network of class A, its first two hundred and fifty six left out.
fn address(network: u8, number: usize, port: u16) -> SocketAddr {
    let number = u32::try_from(number + 256).unwrap_or(0);
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([network, a, b, c], port))
}
