//! What measurements of a plane share: a snapshot of one Service, a worker on a thread, memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use portico_config::model::{ObjectName, Protocol};
use portico_config::snapshot::{Endpoint, Front, FrontKind, PortId, Reach};
use portico_config::snapshot::{Service, ServicePort, Snapshot};
use portico_proxy::Worker;
use tokio_util::sync::CancellationToken;

/// One Service with a front on each of `fronts`, and one endpoint.
pub(crate) fn snapshot(
    protocol: Protocol,
    fronts: &[SocketAddr],
    endpoint: SocketAddr,
) -> Arc<Snapshot> {
    let name = ObjectName::new("default", "web");
    let id = Arc::new(PortId { service: name.clone(), name: "".into(), protocol });
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
        has_selector: false,
        is_nameless: false,
        ports: vec![Arc::new(port)],
        addresses: Vec::new(),
        traffic: Arc::default(),
    };
    let kind = FrontKind::ClusterIp;
    let front = |&address| Front { address, protocol, kind, port: Arc::clone(&id) };
    Arc::new(Snapshot {
        services: [(name, Arc::new(service))].into(),
        fronts: Arc::new(fronts.iter().map(front).collect()),
        ..Snapshot::default()
    })
}

/// Runs a worker on a thread of its own until `stop`.
pub(crate) fn start(worker: Worker, stop: &CancellationToken) -> JoinHandle<()> {
    let stop = stop.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .expect("a test may have a runtime");
        runtime.block_on(worker.run(stop, Duration::ZERO, None));
    })
}

/// Memory that this process has resident.
pub(crate) fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<usize>().ok());
    pages.expect("the second column is a number") * 4096
}
