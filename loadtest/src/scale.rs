//! `loadtest scale`: what a large folder costs portico, and how soon an edit of it is live.
//!
//! ```text
//! generate ─▶ start, until ready ─▶ edits, each until all planes show it ─▶ edits without traffic
//! ```
//!
//! One EndpointSlice beside the generated tree is edited: its Service's TCP front, an Ingress host
//! and a headless name lead to one of two servers here, which say who they are. The time counts
//! from the close of the file.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::generate::{self, Size};
use crate::process::{Running, free_port, local};
use crate::{names, procfs};

/// `loadtest scale`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ScaleArgs {
    #[command(flatten)]
    pub(crate) size: Size,
    /// Edits whose way into every plane is timed
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub(crate) edits: usize,
    /// Time between two timed edits, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200)]
    pub(crate) gap_ms: u64,
    /// Edits without traffic, for memory and the workers' time
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) reloads: usize,
    /// The portico to measure [default: the program beside this one]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) portico: Option<PathBuf>,
}

/// Runs and prints.
#[expect(clippy::print_stdout, reason = "a command-line program")]
pub(crate) fn run(arguments: &ScaleArgs, portico: &Path) -> Result<()> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let tree = folder.path().join("tree");
    let files = generate::write(&tree, arguments.size)?;
    let probe = Probe::write(&tree)?;
    println!(
        "{files} files: {} Services of {} endpoints, {} Ingresses, {} Secrets",
        arguments.size.services,
        arguments.size.endpoints,
        arguments.size.ingresses,
        arguments.size.secrets
    );
    let begun = Instant::now();
    let mut server = probe.start(portico, &tree, folder.path())?;
    let admin = local(probe.admin);
    server.wait_until(|| ready(admin))?;
    println!("first load: {:.2} s until ready", begun.elapsed().as_secs_f64());
    let id = server.id();
    println!("memory after the first load: {:.1} MB", memory(id)?);
    timed_edits(arguments, &probe, &mut server)?;
    println!("memory after {} edits: {:.1} MB", arguments.edits, memory(id)?);
    quiet_reloads(arguments.reloads, &probe, &mut server)?;
    println!("memory after {} reloads more: {:.1} MB", arguments.reloads, memory(id)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command-line program")]
fn timed_edits(arguments: &ScaleArgs, probe: &Probe, server: &mut Running) -> Result<()> {
    let mut times: [Vec<Duration>; 4] = Default::default();
    probe.edit(0)?;
    probe.wait_all(0, Instant::now(), server)?;
    for number in 1..=arguments.edits {
        pause(Duration::from_millis(arguments.gap_ms));
        let closed = probe.edit(number)?;
        let took = probe.wait_all(number, closed, server)?;
        for (times, took) in times.iter_mut().zip(took) {
            times.push(took);
        }
        let all = took.into_iter().max().unwrap_or_default();
        times[3].push(all);
    }
    println!("from the close of the file, {} edits:", arguments.edits);
    println!("  {:<5} {:>9} {:>9} {:>9} {:>9}", "", "p50 ms", "p90 ms", "p99 ms", "max ms");
    for (name, times) in ["L4", "L7", "DNS", "all"].into_iter().zip(&mut times) {
        times.sort_unstable();
        let at = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an index far below 2^52"
            )]
            let index = (times.len() as f64 * share).ceil() as usize;
            let time = times.get(index.saturating_sub(1)).copied();
            time.unwrap_or_default().as_secs_f64() * 1_000.0
        };
        println!(
            "  {name:<5} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command-line program")]
fn quiet_reloads(reloads: usize, probe: &Probe, server: &mut Running) -> Result<()> {
    let id = server.id();
    let period = Duration::from_millis(50);
    let idle = worker_time(id)?;
    (0..reloads).for_each(|_| pause(period));
    let idle = worker_time(id)?.saturating_sub(idle);
    let busy = worker_time(id)?;
    for number in 0..reloads {
        probe.edit(number)?;
        pause(period);
    }
    let busy = worker_time(id)?.saturating_sub(busy);
    let last = reloads.saturating_sub(1);
    probe.wait_all(last, Instant::now(), server)?;
    let swap = busy.saturating_sub(idle) / u32::try_from(reloads.max(1)).unwrap_or(u32::MAX);
    println!(
        "worker thread time of a swap: {:.1} us (busiest worker, {reloads} reloads, idle taken off)",
        swap.as_secs_f64() * 1e6
    );
    Ok(())
}

/// What is edited, and what shows it.
struct Probe {
    slice: PathBuf,
    http: u16,
    dns: u16,
    admin: u16,
    port: u16,
}

impl Probe {
    /// Two servers, and the Service, Ingress and EndpointSlice that lead to one of them.
    fn write(tree: &Path) -> Result<Self> {
        let first = TcpListener::bind((server(0), 0)).context("opening a server")?;
        let port = first.local_addr().context("reading a port")?.port();
        let second = TcpListener::bind((server(1), port)).context("opening a server")?;
        for (listener, name) in [(first, "A"), (second, "B")] {
            std::thread::spawn(move || serve(&listener, name));
        }
        let folder = tree.join("probe");
        fs::create_dir_all(&folder).context("making a folder")?;
        fs::write(folder.join("site.yaml"), SITE).context("writing the probe")?;
        let slice = folder.join("slice.yaml");
        let probe =
            Self { slice, http: free_port()?, dns: free_port()?, admin: free_port()?, port };
        probe.edit(0)?;
        Ok(probe)
    }

    fn start(&self, portico: &Path, tree: &Path, folder: &Path) -> Result<Running> {
        let tree = tree.to_string_lossy();
        let at = |port: u16| local(port).to_string();
        let (http, dns, admin) = (at(self.http), at(self.dns), at(self.admin));
        let arguments = [
            "run",
            &tree,
            "--http",
            &http,
            "--https",
            "off",
            "--dns",
            &dns,
            "--admin",
            &admin,
            "--node-address",
            "127.0.0.1",
        ];
        Running::start_free("portico", portico, &arguments, folder)
    }

    /// Leads everything to server `number % 2`; returns when the file was closed.
    fn edit(&self, number: usize) -> Result<Instant> {
        let text = format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: probe-1\n  \
             labels:\n    kubernetes.io/service-name: probe\naddressType: IPv4\nports:\n- name: http\n  \
             port: {}\nendpoints:\n- addresses: [{address}]\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: names-1\n  \
             labels:\n    kubernetes.io/service-name: names\naddressType: IPv4\nports:\n- name: http\n  \
             port: {}\nendpoints:\n- addresses: [{address}]\n# edit {number}\n",
            self.port,
            self.port,
            address = server(number)
        );
        fs::write(&self.slice, text).context("editing the probe")?;
        Ok(Instant::now())
    }

    /// Waits until L4, L7 and DNS lead to server `number % 2`; how long each took.
    fn wait_all(
        &self,
        number: usize,
        closed: Instant,
        running: &mut Running,
    ) -> Result<[Duration; 3]> {
        let want = if number.is_multiple_of(2) { b'A' } else { b'B' };
        let mut took = [None; 3];
        while took.iter().any(Option::is_none) {
            let shows: [&dyn Fn() -> io::Result<bool>; 3] = [
                &|| Ok(ask(SocketAddr::from((PROBE_IP, 80)), "probe")? == want),
                &|| Ok(ask(local(self.http), "probe.test")? == want),
                &|| Ok(names::resolve(local(self.dns), NAME, PATIENCE)? == Some(server(number))),
            ];
            for (took, shows) in took.iter_mut().zip(shows) {
                if took.is_none() && shows().unwrap_or(false) {
                    *took = Some(closed.elapsed());
                }
            }
            if closed.elapsed() > PATIENCE {
                running.ensure_alive()?;
                bail!("edit {number} is not live after {PATIENCE:?}: {took:?}");
            }
            pause(Duration::from_micros(200));
        }
        Ok(took.map(Option::unwrap_or_default))
    }
}

/// The address of server `number % 2`.
fn server(number: usize) -> Ipv4Addr {
    if number.is_multiple_of(2) { Ipv4Addr::new(127, 0, 7, 1) } else { Ipv4Addr::new(127, 0, 7, 2) }
}

/// Answers every request with its name.
fn serve(listener: &TcpListener, name: &str) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n\
         connection: close\r\n\r\n{name}"
    );
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut head = [0; 4096];
        if stream.read(&mut head).is_ok_and(|length| length > 0) {
            // A client that went away needs no answer.
            drop(stream.write_all(answer.as_bytes()));
        }
    }
}

/// The last byte of the answer over HTTP.
fn ask(address: SocketAddr, host: &str) -> io::Result<u8> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    answer
        .last()
        .copied()
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn ready(admin: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(admin)?;
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => Err(io::Error::other(answer.lines().last().unwrap_or_default().to_owned())),
    }
}

/// Resident memory in MB (10^6 bytes).
fn memory(id: u32) -> Result<f64> {
    let kibibytes = procfs::status_kibibytes(id, "VmRSS").context("reading VmRSS")?;
    Ok(f64::from(kibibytes) * 1024.0 / 1e6)
}

/// Time that the busiest worker thread has spent so far.
fn worker_time(id: u32) -> Result<Duration> {
    let threads = procfs::thread_times(id);
    let workers = threads
        .iter()
        .filter(|(name, _)| name.starts_with("portico-w"));
    let busiest = workers.map(|(_, time)| *time).max();
    busiest.context("the program has no worker threads that can be read")
}

#[expect(clippy::disallowed_methods, reason = "a load with gaps, and polling of another process")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// In the static band of portico's default service CIDR, where nothing is allocated.
const PROBE_IP: Ipv4Addr = Ipv4Addr::new(127, 96, 0, 9);
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of the Service that is edited.
const NAME: &str = "names.default.svc.cluster.local";

const SITE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: probe}
spec:
  clusterIP: 127.96.0.9
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: names}
spec:
  clusterIP: None
  ports: [{name: http, port: 80}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: probe}
spec:
  rules:
  - host: probe.test
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: probe, port: {name: http}}}
";
