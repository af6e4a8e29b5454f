//! portico in this process: `Portico::with(manifests).workers(2).start()`.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portico::app::{App, AppOptions, Running};
use portico_config::diagnostic::Severity;
use portico_config::model::{Forwarding, ObjectName, Settings};
use portico_config::snapshot::{Reach, Service, ServicePort, Snapshot};
use portico_config::source::memory::{Editor, MemorySource};
use portico_net::limit::MemoryLimit;

use super::{eventually, http};

/// What is started.
pub(crate) struct Builder {
    source: MemorySource,
    workers: usize,
    adjust: Box<dyn FnOnce(&mut Settings)>,
    told: Box<dyn FnOnce(&mut AppOptions)>,
}

/// A running instance; it ends with this value.
pub(crate) struct Portico {
    running: Option<Running>,
    editor: Editor,
    node_address: IpAddr,
    service_cidr: String,
    /// Given back last.
    _place: Place,
}

impl Portico {
    /// An instance over these files (name, content).
    pub(crate) fn with(files: &[(&str, &str)]) -> Builder {
        Builder {
            source: MemorySource::new(files.iter().copied()),
            workers: 2,
            adjust: Box::new(|_| {}),
            told: Box::new(|_| {}),
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("running until dropped")
    }

    /// The http listener.
    pub(crate) fn http(&self) -> SocketAddr {
        self.running().http()
    }

    /// The https listener.
    pub(crate) fn https(&self) -> SocketAddr {
        self.running().https()
    }

    /// The resolver.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.running().dns()
    }

    /// The first listener of a role.
    pub(crate) fn listener(&self, role: &str) -> SocketAddr {
        let listener = self.running().listener(role);
        listener.expect("a listener of this role")
    }

    /// Where NodePorts bind.
    pub(crate) fn node_address(&self) -> IpAddr {
        self.node_address
    }

    /// The admin listener.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.running().admin()
    }

    /// Where Services get their addresses.
    pub(crate) fn service_cidr(&self) -> String {
        self.service_cidr.clone()
    }

    /// What serves now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.running().published().snapshot)
    }

    /// How many snapshots were published.
    pub(crate) fn generation(&self) -> u64 {
        self.running().published().snapshot.generation
    }

    #[track_caller]
    fn service(&self, service: &str) -> Arc<Service> {
        let snapshot = self.snapshot();
        let found = snapshot.services.get(&name(service));
        Arc::clone(found.expect("the Service exists"))
    }

    /// The ClusterIP front of `namespace/name` on a port.
    #[track_caller]
    pub(crate) fn cluster_ip(&self, service: &str, port: u16) -> SocketAddr {
        let service = self.service(service);
        match &service.reach {
            Reach::ClusterIp(addresses) => SocketAddr::new(addresses[0], port),
            other => panic!("{other:?} has no ClusterIP"),
        }
    }

    /// The NodePort front of a port of `namespace/name`.
    #[track_caller]
    pub(crate) fn node_port(&self, service: &str, port: u16) -> SocketAddr {
        let service = self.service(service);
        let node_port = |p: &Arc<ServicePort>| p.node_port.filter(|_| p.port == port);
        let node_port = service
            .ports
            .iter()
            .find_map(node_port)
            .expect("a NodePort");
        SocketAddr::new(self.node_address, node_port)
    }

    /// Where a Service's health check listens.
    pub(crate) fn health_check(&self, service: &str) -> SocketAddr {
        let published = self.running().published();
        let mut checks = published.snapshot.health_checks.iter();
        let check = checks.find(|check| check.service == name(service));
        check.expect("the Service has a health check").address
    }

    /// Has logs in files begun anew.
    pub(crate) fn reopen_logs(&self) {
        self.running().reopen_logs();
    }

    /// The value of a series of `/metrics`, by its name with labels; 0 where there is none.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let admin = self.running().admin();
        let answer = http::get(admin, &admin.to_string(), "/metrics");
        let mut lines = answer.text().lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// A free port of the NodePort range, taken by a foreign socket.
    pub(crate) fn take_node_port(&self) -> (u16, TcpListener) {
        (30_000..32_768)
            .find_map(|port| Some((port, TcpListener::bind((self.node_address, port)).ok()?)))
            .expect("a free port in the range")
    }

    /// Writes a file and waits until portico has taken it.
    #[track_caller]
    pub(crate) fn edit(&self, file: &str, content: &str) {
        let before = self.running().applied();
        self.editor.write(file, content);
        self.wait_applied(before);
    }

    /// Removes a file and waits until portico has taken it.
    #[track_caller]
    pub(crate) fn remove(&self, file: &str) {
        let before = self.running().applied();
        self.editor.remove(file);
        self.wait_applied(before);
    }

    #[track_caller]
    fn wait_applied(&self, before: u64) {
        eventually("the edit is applied", || (self.running().applied() > before).then_some(()));
    }

    /// Diagnostics that refuse something, as `check` prints them.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.diagnostics(Severity::Error)
    }

    /// Diagnostics of what is used all the same.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.diagnostics(Severity::Warning)
    }

    fn diagnostics(&self, severity: Severity) -> Vec<String> {
        let published = self.running().published();
        let found = published
            .diagnostics
            .iter()
            .filter(|found| found.severity() == severity);
        found.map(ToString::to_string).collect()
    }

    /// The body of `/readyz`.
    pub(crate) fn readyz(&self) -> String {
        let admin = self.running().admin();
        http::get(admin, &admin.to_string(), "/readyz")
            .text()
            .to_owned()
    }
}

impl Builder {
    /// Worker threads.
    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Other settings than an instance in tests has.
    pub(crate) fn adjust(mut self, adjust: impl FnOnce(&mut Settings) + 'static) -> Self {
        self.adjust = Box::new(adjust);
        self
    }

    /// Other options of the process.
    pub(crate) fn told(mut self, told: impl FnOnce(&mut AppOptions) + 'static) -> Self {
        self.told = Box::new(told);
        self
    }

    /// Starts and waits until it is ready.
    pub(crate) fn start(self) -> Portico {
        let place = Place::take();
        let [cidr, node] = [FIRST_CIDR, FIRST_CIDR + INSTANCES].map(|first| first + place.0);
        let node_address = IpAddr::V4(Ipv4Addr::new(127, node, 0, 1));
        let service_cidr = format!("127.{cidr}.0.0/16");
        let any_port = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let mut settings = Settings {
            service_cidrs: vec![service_cidr.parse().expect("a network")],
            node_addresses: vec![node_address],
            http: any_port.clone(),
            https: any_port.clone(),
            dns: any_port.clone(),
            admin: any_port,
            forwarding: Forwarding::off(),
            ..Settings::default()
        };
        // A machine that is busy with other tests is no reason to turn requests away.
        settings.front_door.max_loop_lag = None;
        (self.adjust)(&mut settings);
        let editor = self.source.editor();
        let mut options = AppOptions {
            settings,
            workers: self.workers,
            max_memory: MemoryLimit::Off,
            ..AppOptions::default()
        };
        (self.told)(&mut options);
        let running = App::start(options, Box::new(self.source)).expect("portico starts");
        running.wait_ready();
        Portico { running: Some(running), editor, node_address, service_cidr, _place: place }
    }
}

impl Drop for Portico {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown();
        }
    }
}

fn name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').expect("namespace/name");
    ObjectName::new(namespace, name)
}

/// The number of a living instance. No other has it: two with the same addresses would answer for
/// each other.
#[derive(Debug)]
struct Place(u8);

impl Place {
    /// The one that was given back longest ago.
    fn take() -> Self {
        let mut free = lock(&FREE);
        let free = free.get_or_insert_with(|| (0..INSTANCES).collect());
        Self(
            free.pop_front()
                .expect("so many instances do not live at once"),
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(free) = lock(&FREE).as_mut() {
            free.push_back(self.0);
        }
    }
}

fn lock(free: &Mutex<Option<VecDeque<u8>>>) -> MutexGuard<'_, Option<VecDeque<u8>>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

static FREE: Mutex<Option<VecDeque<u8>>> = Mutex::new(None);
/// Instances that may live at once in this process.
const INSTANCES: u8 = 60;
/// Second octet of the first instance's service CIDR; node addresses follow behind the last.
const FIRST_CIDR: u8 = 110;
