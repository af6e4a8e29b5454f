//! A worker with a door and one endpoint, for tests over real sockets that have to look inside.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use portico_config::model::Protocol;
use portico_config::model::{AccessLog, FrontDoor, HostPattern, LogTarget, ObjectName, PathKind};
use portico_config::snapshot::{Backend, Endpoint, Host, Location, PortId, Reach};
use portico_config::snapshot::{RouteTable, Service, ServicePort, Snapshot};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::{Options, Proxy};

/// What the log heard, a line for each event.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(pub(super) Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// One worker, an endpoint and a log.
pub(super) struct Plane {
    pub(super) proxy: Proxy,
    pub(super) door: SocketAddr,
    pub(super) heard: Heard,
    pub(super) log: tempfile::TempDir,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Plane {
    pub(super) fn start() -> Self {
        Self::told(FrontDoor { max_loop_lag: None, ..FrontDoor::default() })
    }

    /// With these limits and timeouts.
    pub(super) fn told(front_door: FrontDoor) -> Self {
        let log = tempfile::tempdir().unwrap();
        let file = LogTarget::File(log.path().join("access"));
        let format = "$status $request_id $request".parse().unwrap();
        let options = Options {
            workers: 1,
            http: vec![([127, 0, 0, 1], 0).into()],
            descriptors: 1024,
            rule_series: 10,
            front_door,
            access_log: AccessLog { target: file, format },
            ..Options::default()
        };
        let (mut proxy, mut workers) = Proxy::new(options);
        let prepared = proxy.prepare(&snapshot(endpoint()));
        let (stop, heard) = (CancellationToken::new(), Heard::default());
        let (worker, until, told) = (workers.pop().unwrap(), stop.clone(), heard.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default())
                .unwrap();
            tracing::subscriber::with_default(told, || {
                runtime.block_on(worker.run(until, Duration::ZERO, None));
            });
        });
        proxy.commit(prepared);
        let door = proxy.listeners().iter().next().unwrap().address;
        Self { proxy, door, heard, log, stop, thread: Some(thread) }
    }

    /// All that comes back over a connection of its own until its end, in order or not.
    pub(super) fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.door).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut got = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            got.extend_from_slice(&piece[..count]);
        }
        String::from_utf8(got).unwrap()
    }

    /// The value of a series without labels, or of all of it together.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let families = self.proxy.collector().collect();
        let mut of_name = families.iter().filter(|family| family.name() == name);
        let metrics = of_name.next().unwrap().get_metric();
        let values = metrics
            .iter()
            .map(|it| it.get_counter().get_value() + it.get_gauge().get_value());
        format!("{}", values.sum::<f64>()).parse().unwrap()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok(), "the worker lives to its end");
        }
    }
}

/// A backend that says `ok`, or at `/half` half of it and no more.
fn endpoint() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Answers each read as if it were a whole request, and agrees to a WebSocket.
fn answer(mut stream: TcpStream) {
    let mut head = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut head) {
        if let Some(agreed) = agreed(&head[..count]) {
            let _ = stream.write_all(agreed.as_bytes());
            // Until the other side has enough of it.
            let _ = stream.read(&mut head);
            return;
        }
        let body = if head[..count].starts_with(b"GET /half") { "o" } else { "ok" };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The answer to a handshake, if that is what was asked.
fn agreed(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).unwrap();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let (_, key) = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))?;
    let accept = derive_accept_key(key.as_bytes());
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// `a.test` leads to the endpoint.
fn snapshot(endpoint: SocketAddr) -> Arc<Snapshot> {
    let name = ObjectName::new("default", "web");
    let id = Arc::new(PortId { service: name.clone(), name: "".into(), protocol: Protocol::Tcp });
    let port = ServicePort {
        id: Arc::clone(&id),
        port: 80,
        node_port: None,
        endpoints: vec![Endpoint::at(endpoint)],
        traffic: Arc::default(),
    };
    let service = Service {
        name: name.clone(),
        reach: Reach::Headless,
        ports: vec![Arc::new(port)],
        addresses: Vec::new(),
        has_selector: false,
        is_nameless: false,
        traffic: Arc::default(),
    };
    let location = Location {
        kind: PathKind::Prefix,
        path: "/".into(),
        backend: Backend::Service(id),
        ingress: ObjectName::new("default", "site"),
        policy: Arc::default(),
        canary: None,
    };
    let host = Host {
        pattern: HostPattern::Exact("a.test".into()),
        locations: vec![location],
        default_backend: None,
        default_policy: Arc::default(),
        clients: None,
        suites: None,
        passed_to: None,
        default_ingress: None,
        is_nginx: false,
    };
    let mut routes = RouteTable::default();
    routes.exact.insert("a.test".into(), Arc::new(host));
    Arc::new(Snapshot {
        generation: 1,
        services: [(name, Arc::new(service))].into(),
        routes: Arc::new(routes),
        ..Snapshot::default()
    })
}

/// Waits until it holds.
pub(super) fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("it did not come to be");
}
