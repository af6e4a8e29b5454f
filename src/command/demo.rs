//! `portico demo`: the WordPress site of `examples/wordpress`, with everything included.
//!
//! The manifests are compiled in, the pods are echo servers of this process. What is taken on this
//! machine is replaced by something free, in the manifest's text, and said. With `--once` it
//! drives requests down the paths itself and exits 0 or 1.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;
use portico_config::model::ObjectName;
use portico_config::snapshot::{Reach, Snapshot};
use portico_config::source::memory::{Editor, MemorySource};
use portico_net::listeners::ListenerState;

use super::echo::{self, EchoOptions, EchoServer, Serves};
use super::lookup::lookup;
use super::{run::announce, say, serve};
use crate::app::{App, Running};
use crate::cli::DemoArgs;
use crate::exit::Exit;
use crate::settings::Loaded;
use crate::signal::Signals;

/// The files of `examples/wordpress`.
const FILES: [(&str, &str); 4] = [
    ("mariadb.yaml", include_str!("../../examples/wordpress/mariadb.yaml")),
    ("wp-1.yaml", include_str!("../../examples/wordpress/wp-1.yaml")),
    ("wp-2.yaml", include_str!("../../examples/wordpress/wp-2.yaml")),
    ("site.yaml", include_str!("../../examples/wordpress/site.yaml")),
];

/// Runs the command.
pub(super) fn demo(arguments: &DemoArgs, loaded: Loaded) -> anyhow::Result<Exit> {
    let signals = Signals::new().context("take over signals")?;
    let Loaded { effective, follow } = loaded;
    let mut options = effective.options.clone();
    // Its addresses are of no interest to a later run.
    options.state_dir = options
        .state_dir
        .filter(|_| !effective.is_default("stateDir"));
    let settings = &mut options.settings;
    // It needs no network, so nobody is asked for other names unless somebody says whom.
    if effective.is_default("forward") {
        settings.forwarding.rules.clear();
    }
    for (key, addresses) in [
        ("http", &mut settings.http),
        ("https", &mut settings.https),
        ("dns.listen", &mut settings.dns),
        ("admin", &mut settings.admin),
    ] {
        for address in addresses.iter_mut().filter(|_| effective.is_default(key)) {
            *address = free(*address)?;
        }
    }
    let mut files = FILES.map(|(name, text)| (name, text.to_owned()));
    let mut pods = Vec::new();
    for (name, ip, port) in PODS {
        pods.push(start_pod(&mut files, name, ip, port)?);
    }
    if let Some(http) = settings.http.first() {
        files[3].1 = files[3].1.replace("127.0.0.1:8080", &http.to_string());
    }
    let node = settings.node_addresses.first().copied();
    let node_port = node.map_or(Ok(NODE_PORT), free_node_port)?;
    files[3].1 = files[3].1.replace("30080", &node_port.to_string());
    let source = MemorySource::new(files.iter().map(|(name, text)| (*name, text.as_str())));
    let editor = source.editor();
    let running = App::start_following(options, Box::new(source), follow)?;
    running.wait_ready();
    announce(&running);
    if let Some(database) = cluster_ip(&running.published().snapshot, "mi-bbdd-wp", 3307) {
        say(&format!("  echo hello | nc -w 1 {} {}", database.ip(), database.port()));
    }
    if !arguments.once {
        say("Ctrl-C ends it.");
        return Ok(serve(running, signals));
    }
    let fine = drive(&running, &editor, &files, pods, node.map(|ip| (ip, node_port).into()));
    running.shutdown();
    Ok(if fine { Exit::Fine } else { Exit::Errors })
}

/// Drives one request down each path; tells whether all came back as they should.
fn drive(
    running: &Running,
    editor: &Editor,
    files: &[(&str, String)],
    mut pods: Vec<EchoServer>,
    node: Option<SocketAddr>,
) -> bool {
    let mut fine = true;
    let mut tell = |path: &str, result: anyhow::Result<String>| match result {
        Ok(text) => say(&format!("✓ {path}: {text}")),
        Err(error) => {
            fine = false;
            say(&format!("✗ {path}: {error:#}"));
        }
    };
    if let Some(http) = running.listener("http") {
        tell("Ingress mi-web", both_copies(http));
    }
    if let Some(node) = node {
        tell("NodePort of mi-ingress", pod_of(node).map(|pod| format!("{node} gave {pod}")));
    }
    if let Some(dns) = running.listener("dns") {
        for (name, kind) in NAMES {
            tell(&format!("{kind} {name}"), lookup(dns, name, kind));
        }
        if let Some(SocketAddr::V4(database)) =
            cluster_ip(&running.published().snapshot, "mi-bbdd-wp", 3307)
        {
            let [a, b, c, d] = database.ip().octets();
            let name = format!("{d}.{c}.{b}.{a}.in-addr.arpa.");
            tell(&format!("PTR {name}"), lookup(dns, &name, "PTR"));
        }
    }
    let Some(database) = cluster_ip(&running.published().snapshot, "mi-bbdd-wp", 3307) else {
        tell("ClusterIP mi-bbdd-wp:3307", Err(anyhow::anyhow!("it has no address")));
        return false;
    };
    let mut is_ours = true;
    for listener in running.listeners() {
        if let ListenerState::Degraded(reason) = &listener.state {
            say(&format!("– {} {}: {reason}", listener.role, listener.address));
            is_ours &= listener.address != database;
        }
    }
    // Where another program has the address, it would answer.
    if is_ours {
        tell("ClusterIP mi-bbdd-wp:3307", bytes(database));
        // The database's pod dies and comes back elsewhere; only its manifest says so.
        let moved = move_database(running, editor, files, &mut pods).and_then(|()| bytes(database));
        tell("edit seen live, the database moved", moved);
    }
    fine
}

fn move_database(
    running: &Running,
    editor: &Editor,
    files: &[(&str, String)],
    pods: &mut Vec<EchoServer>,
) -> anyhow::Result<()> {
    let old = pods.remove(0);
    let address = old.address;
    drop(old);
    let new = echo::start(pod("mariadb", SocketAddr::new(address.ip(), 0)))?;
    let text = files[0].1.replace(
        &format!("containerPort: {}", address.port()),
        &format!("containerPort: {}", new.address.port()),
    );
    let want = new.address;
    pods.push(new);
    editor.write(files[0].0, &text);
    let seen = running.wait_for(PATIENCE, |published| {
        let services = published.snapshot.services.values();
        let mut ports = services.flat_map(|service| &service.ports);
        ports.any(|port| {
            port.endpoints
                .iter()
                .any(|endpoint| endpoint.address == want)
        })
    });
    anyhow::ensure!(seen, "the edit was not seen");
    Ok(())
}

/// Asks until both copies of the site have answered, at most a few times.
fn both_copies(http: SocketAddr) -> anyhow::Result<String> {
    let (first, second) = (pod_of(http)?, pod_of(http)?);
    anyhow::ensure!(first != second, "{first} answered twice in a row");
    Ok(format!("{first}, then {second}"))
}

/// The pod that answers `GET /` of host mi-web.
fn pod_of(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: mi-web\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    let pod = answer.split("\"pod\": \"").nth(1);
    let pod = pod.and_then(|rest| rest.split('"').next());
    let status = answer.lines().next().unwrap_or("nothing");
    Ok(pod
        .with_context(|| format!("answered {status}"))?
        .to_owned())
}

/// Sends a line and expects it back.
fn bytes(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = connect(address)?;
    stream.write_all(b"SELECT 1\n")?;
    let mut back = [0; 9];
    stream.read_exact(&mut back)?;
    anyhow::ensure!(&back == b"SELECT 1\n", "other bytes came back");
    Ok(format!("{address} gave the bytes back"))
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn cluster_ip(snapshot: &Snapshot, name: &str, port: u16) -> Option<SocketAddr> {
    match &snapshot
        .services
        .get(&ObjectName::new("default", name))?
        .reach
    {
        Reach::ClusterIp(ips) => ips.first().map(|ip| SocketAddr::new(*ip, port)),
        _ => None,
    }
}

/// Starts a pod where its manifest says, or elsewhere, and then changes the manifest.
fn start_pod(
    files: &mut [(&str, String)],
    name: &str,
    ip: &str,
    port: u16,
) -> anyhow::Result<EchoServer> {
    let wanted = SocketAddr::new(ip.parse()?, port);
    let server = [wanted, SocketAddr::new(wanted.ip(), 0), ([127, 0, 0, 1], 0).into()]
        .into_iter()
        .map(|address| echo::start(pod(name, address)))
        .find_map(Result::ok)
        .context("no address is free for a pod")?;
    if server.address != wanted {
        say(&format!("{wanted} is taken: pod {name} is on {}", server.address));
        for (_, text) in files.iter_mut().filter(|(file, _)| file.starts_with(name)) {
            *text = text
                .replace(&format!("podIP: {ip}"), &format!("podIP: {}", server.address.ip()))
                .replace(
                    &format!("containerPort: {port}"),
                    &format!("containerPort: {}", server.address.port()),
                );
        }
    }
    Ok(server)
}

fn pod(name: &str, listen: SocketAddr) -> EchoOptions {
    EchoOptions {
        listen,
        name: name.to_owned(),
        serves: if name == "mariadb" { Serves::Bytes } else { Serves::Http },
        ..EchoOptions::default()
    }
}

/// `wanted`, or a free port beside it.
fn free(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    let is_free = |address| {
        portico_net::bind::udp(address, 1).is_ok() && portico_net::bind::tcp(address, 1).is_ok()
    };
    if is_free(wanted) {
        return Ok(wanted);
    }
    let mut sockets = portico_net::bind::tcp(SocketAddr::new(wanted.ip(), 0), 1)?;
    let socket = sockets.pop().context("one socket was asked for")?;
    let address = socket.local_addr()?;
    say(&format!("{wanted} is taken: {address} is used instead"));
    Ok(address)
}

/// The figure's NodePort, or the next one that is free.
fn free_node_port(ip: std::net::IpAddr) -> anyhow::Result<u16> {
    let mut ports = NODE_PORT..=32_767;
    let port = ports
        .find(|port| portico_net::bind::tcp((ip, *port).into(), 1).is_ok())
        .context("no NodePort is free")?;
    if port != NODE_PORT {
        say(&format!("{ip}:{NODE_PORT} is taken: {port} is used instead"));
    }
    Ok(port)
}

/// Name, address and port of each pod, as the manifests say.
const PODS: [(&str, &str, u16); 3] = [
    ("mariadb", "127.0.10.103", 3306),
    ("wp-1", "127.0.10.101", 8080),
    ("wp-2", "127.0.10.104", 8080),
];
/// The names of the figure.
const NAMES: [(&str, &str); 5] = [
    ("mi-bbdd-wp.default.svc.cluster.local.", "A"),
    ("mi-wp.default.svc.portico.test.", "A"),
    ("_mysql._tcp.mi-bbdd-wp.default.svc.cluster.local.", "SRV"),
    ("mi-web.", "A"),
    ("mi-web.portico.test.", "A"),
];
const NODE_PORT: u16 = 30_080;
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
