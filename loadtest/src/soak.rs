//! `loadtest soak`: portico under a mixed load for long, while everything around it changes.
//!
//! ```text
//! HTTP at a constant rate ┐
//! TLS, TCP, UDP, DNS      ├─▶ portico ◀─ edits, new certificates, backends that die and come back
//! memory, descriptors ◀───┘
//! ```
//!
//! It ends with a verdict, and fails where that is bad. Invariants: each client has one thing under way;
//! what is noted is bounded by the length of the run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::certificate::Certificate;
use crate::generate::{self, Size};
use crate::load;
use crate::paced::Paced;
use crate::probe::{datagram_client, exchange, probe};
use crate::process::{Running, free_node_port, free_port, local, pause};
use crate::procfs;
use crate::pulse::{Beat, Beats, Pulse};
use crate::rate::{RateArgs, SLOTS_PER_SECOND};
use crate::scenario::{HOST, Traffic};
use crate::template::render;
use crate::verdict::{self, Line, Sample};
use crate::{names, tls};

/// `loadtest soak`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SoakArgs {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 30, conflicts_with = "seconds")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_440))]
    minutes: u64,
    /// How long, in place of minutes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(20..=86_400))]
    seconds: Option<u64>,
    /// Requests a second over HTTP
    #[arg(long, value_name = "N", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// The portico to run [default: the program beside this one]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) portico: Option<PathBuf>,
}

/// Runs and prints the verdict; whether it is good.
#[expect(clippy::print_stdout, reason = "a command-line program")]
pub(crate) fn run(arguments: &SoakArgs, portico: &Path) -> Result<bool> {
    let seconds = arguments.seconds.unwrap_or(arguments.minutes * 60);
    let length = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().context("making a folder")?;
    let mut stage = Stage::set(folder.path(), portico)?;
    println!("{seconds} s of HTTP, TLS, TCP, UDP and DNS, with an event every {PERIOD:?}");
    let asked = RateArgs {
        address: local(stage.http),
        rate: arguments.rate,
        connections: HTTP_CONNECTIONS,
        seconds,
        timeline: true,
    };
    let http = load::at_rate(asked, None)?;
    let (start, over) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let clients = stage.clients(start, &over);
    let (mut samples, mut events) = (Vec::new(), 0);
    let mut next_event = PERIOD;
    while start.elapsed() < length {
        pause(SAMPLE_PERIOD);
        samples.push(stage.sample()?);
        // The last events come early enough for what they cause to be seen.
        if start.elapsed() >= next_event && start.elapsed() + QUIET_END < length {
            stage.happen(events, start)?;
            events += 1;
            next_event += PERIOD;
        }
    }
    over.store(true, Ordering::Relaxed);
    let beats = clients
        .into_iter()
        .map(Pulse::finish)
        .collect::<Result<Vec<_>>>()?;
    let lines = lines(&http.finish()?, &beats, &samples, &stage.deaths);
    stage.server.ensure_alive()?;
    println!("{events} events, {} deaths of backends", stage.deaths.len());
    for line in &lines {
        println!("{line}");
    }
    for beats in &beats {
        if let Some(error) = &beats.last_error {
            println!("     {}: the last error: {error}", beats.name);
        }
    }
    let good = lines.iter().all(|line| line.good);
    println!("verdict: {}", if good { "good" } else { "BAD" });
    Ok(good)
}

/// Every line of the verdict.
fn lines(http: &Paced, beats: &[Beats], samples: &[Sample], deaths: &[Duration]) -> Vec<Line> {
    let slot_length = Duration::from_secs(1) / u32::try_from(SLOTS_PER_SECOND).unwrap_or(1);
    let failed: Vec<Duration> = (0..)
        .zip(&http.slots)
        .flat_map(|(index, slot)| (0..slot.errors).map(move |_| slot_length * index))
        .collect();
    let mut lines = vec![verdict::errors("http", http.done, &failed, deaths)];
    let medians: Vec<f64> = http
        .slots
        .iter()
        .filter(|slot| slot.done > 0)
        .map(|slot| slot.median_us.into())
        .collect();
    lines.push(verdict::drift("http", &medians));
    for Beats { name, all, .. } in beats {
        let (good, bad): (Vec<&Beat>, Vec<&Beat>) = all.iter().partition(|beat| beat.good);
        let failed: Vec<Duration> = bad.iter().map(|beat| beat.at).collect();
        lines.push(verdict::errors(name, good.len() as u64, &failed, deaths));
        let took: Vec<f64> = good
            .iter()
            .map(|beat| beat.took.as_secs_f64() * 1e6)
            .collect();
        lines.push(verdict::drift(name, &took));
    }
    lines.extend(verdict::growth(samples));
    lines
}

/// portico, what is behind it, and what it reads.
struct Stage {
    manifests: PathBuf,
    logs: PathBuf,
    server: Running,
    http: u16,
    https: u16,
    dns: u16,
    node_port: u16,
    web: [Place; 2],
    bytes: [Place; 2],
    _datagrams: Running,
    datagrams: u16,
    deaths: Vec<Duration>,
}

/// A backend that may die, and where it comes back.
struct Place {
    name: &'static str,
    command: &'static str,
    port: u16,
    running: Option<Running>,
}

impl Place {
    fn start(name: &'static str, command: &'static str, logs: &Path) -> Result<Self> {
        let mut place = Self { name, command, port: free_port()?, running: None };
        place.revive(logs)?;
        Ok(place)
    }

    fn revive(&mut self, logs: &Path) -> Result<()> {
        let traffic = if self.command == "web" { Traffic::Http } else { Traffic::Echo };
        let address = local(self.port);
        let mut running = backend(self.name, self.command, self.port, logs)?;
        running.wait_until(|| probe(traffic, address))?;
        self.running = Some(running);
        Ok(())
    }
}

/// This program as a backend.
fn backend(name: &'static str, command: &str, port: u16, logs: &Path) -> Result<Running> {
    let own = std::env::current_exe().context("finding this program")?;
    Running::start_free(name, &own, &[command, &local(port).to_string()], logs)
}

impl Stage {
    /// Starts everything, and waits until all of it answers.
    fn set(folder: &Path, portico: &Path) -> Result<Self> {
        let (manifests, logs) = (folder.join("manifests"), folder.join("logs"));
        fs::create_dir_all(&manifests).context("making the folder of manifests")?;
        fs::create_dir_all(&logs).context("making the folder of logs")?;
        generate::write(
            &manifests,
            Size { services: BYSTANDERS, endpoints: 3, ingresses: BYSTANDERS, secrets: 0 },
        )?;
        let web = [Place::start("web-1", "web", &logs)?, Place::start("web-2", "web", &logs)?];
        let bytes = [
            Place::start("bytes-1", "tcp-echo", &logs)?,
            Place::start("bytes-2", "tcp-echo", &logs)?,
        ];
        let (http, https, dns) = (free_port()?, free_port()?, free_port()?);
        let (node_port, datagrams) = (free_node_port()?, free_port()?);
        let arguments = [
            "run".to_owned(),
            manifests.to_string_lossy().into_owned(),
            format!("--http={}", local(http)),
            format!("--https={}", local(https)),
            format!("--dns={}", local(dns)),
            "--admin=off".to_owned(),
            "--node-address=127.0.0.1".to_owned(),
            "--service-cidr=127.99.0.0/16".to_owned(),
            "--log-level=warn".to_owned(),
            "--state-dir=off".to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let answering = backend("datagrams", "udp-echo", datagrams, &logs)?;
        write_manifests(&manifests, node_port, (&web, &bytes, datagrams), false)?;
        write_certificate(&manifests)?;
        let server = Running::start_free("portico", portico, &arguments, &logs)?;
        let mut stage = Self {
            manifests,
            logs,
            server,
            http,
            https,
            dns,
            node_port,
            web,
            bytes,
            _datagrams: answering,
            datagrams,
            deaths: Vec::new(),
        };
        for (traffic, port) in [
            (Traffic::Http, http),
            (Traffic::Tls, https),
            (Traffic::Echo, node_port),
            (Traffic::Datagrams, node_port),
        ] {
            stage.server.wait_until(|| probe(traffic, local(port)))?;
        }
        stage.server.wait_until(|| look_up(dns))?;
        Ok(stage)
    }

    /// All clients but that of HTTP.
    fn clients(&self, start: Instant, over: &Arc<AtomicBool>) -> Vec<Pulse> {
        let (https, dns, node_port) = (self.https, self.dns, self.node_port);
        // A client is a session that the server keeps for some time: they come, but not for each datagram.
        let (mut datagrams, mut client) = ((0_u32..).map(|n| n % DATAGRAMS_OF_A_CLIENT), None);
        let every = |milliseconds| (start, Duration::from_millis(milliseconds));
        vec![
            Pulse::start("tls", every(50), over, move || tls::probe(local(https))),
            Pulse::start("tcp", every(10), over, move || probe(Traffic::Echo, local(node_port))),
            Pulse::start("udp", every(10), over, move || {
                let current = match client.take().filter(|_| datagrams.next() != Some(0)) {
                    Some(current) => current,
                    None => datagram_client(local(node_port))?,
                };
                exchange(client.insert(current))
            }),
            Pulse::start("dns", every(5), over, move || look_up(dns)),
        ]
    }

    fn sample(&mut self) -> Result<Sample> {
        self.server.ensure_alive()?;
        let id = self.server.id();
        let memory = procfs::status_kibibytes(id, "VmRSS").context("reading VmRSS")?;
        let descriptors = procfs::descriptors(id).context("counting descriptors")?;
        Ok(Sample {
            memory_bytes: f64::from(memory) * 1_024.0,
            descriptors: f64::from(descriptors),
        })
    }

    /// The events, in turn.
    fn happen(&mut self, number: usize, start: Instant) -> Result<()> {
        let extra = self.manifests.join("extra.yaml");
        match number % 8 {
            0 => fs::write(&extra, EXTRA).context("adding a Service"),
            1 => write_certificate(&self.manifests),
            2 => self.kill(start, |stage| &mut stage.web[0]),
            3 => self.web[0].revive(&self.logs),
            4 => fs::remove_file(&extra).context("removing a Service"),
            5 => self.kill(start, |stage| &mut stage.bytes[0]),
            6 => self.bytes[0].revive(&self.logs),
            _ => {
                let backends = (&self.web, &self.bytes, self.datagrams);
                let backwards = (number / 8).is_multiple_of(2);
                write_manifests(&self.manifests, self.node_port, backends, backwards)
            }
        }
    }

    fn kill(&mut self, start: Instant, place: fn(&mut Self) -> &mut Place) -> Result<()> {
        self.deaths.push(start.elapsed());
        // To drop a program is to kill it.
        drop(place(self).running.take());
        Ok(())
    }
}

fn write_manifests(
    folder: &Path,
    node_port: u16,
    (web, bytes, datagrams): (&[Place; 2], &[Place; 2], u16),
    backwards: bool,
) -> Result<()> {
    let list = |places: &[Place; 2], port: &str| {
        let mut all = places
            .each_ref()
            .map(|place| format!("{port}={}", local(place.port)));
        if backwards {
            all.reverse();
        }
        all.join(",")
    };
    let values = [
        ("web", list(web, "http")),
        ("bytes", format!("{},datagrams={}", list(bytes, "main"), local(datagrams))),
        ("node_port", node_port.to_string()),
    ];
    let values: Vec<(&str, &str)> = values
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let text = render(SOAK, &values).context("rendering the manifests")?;
    fs::write(folder.join("soak.yaml"), text).context("writing the manifests")
}

/// A new certificate in the Secret of the Ingress.
fn write_certificate(folder: &Path) -> Result<()> {
    let secret = Certificate::make(&[HOST])?.secret("default", "bench");
    fs::write(folder.join("secret.yaml"), secret).context("writing the Secret")
}

/// Asks for the address of a Service.
fn look_up(dns: u16) -> std::io::Result<()> {
    names::resolve(local(dns), "web.default.svc.cluster.local", PATIENCE)?
        .map(drop)
        .ok_or_else(|| std::io::Error::other("answered without an address"))
}

/// Services and Ingresses that nobody asks for.
const BYSTANDERS: u32 = 200;
const HTTP_CONNECTIONS: u16 = 16;
const DATAGRAMS_OF_A_CLIENT: u32 = 500;
const PERIOD: Duration = Duration::from_millis(1_500);
const SAMPLE_PERIOD: Duration = Duration::from_millis(250);
const QUIET_END: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) const SOAK: &str = include_str!("../peers/soak.yaml.tmpl");

const EXTRA: &str = "\
apiVersion: v1
kind: Service
metadata: {name: extra, annotations: {portico.dev/endpoints: \"127.0.0.1:9\"}}
spec:
  ports: [{name: http, port: 80}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: extra}
spec:
  rules:
  - host: extra.test
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: extra, port: {name: http}}}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Curve;
    use crate::paced::Slot;

    #[test]
    fn a_run_is_bad_where_a_request_failed_and_no_backend_had_died() {
        let slot = |errors| Slot { done: 30, errors, median_us: 200, worst_us: 900 };
        let http = |errors| Paced {
            done: 90,
            errors,
            repeats: 0,
            seconds: 9.0,
            latency: Curve::default(),
            slots: (0..90)
                .map(|index| slot(if index == 50 { errors } else { 0 }))
                .collect(),
        };
        let beat =
            |at, good| Beat { at: Duration::from_secs(at), took: Duration::from_micros(90), good };
        let beats = |good| Beats {
            name: "tcp",
            all: (0..9).map(|at| beat(at, at != 5 || good)).collect(),
            last_error: None,
        };
        let samples = vec![Sample { memory_bytes: 5e7, descriptors: 90.0 }; 36];
        let at_five = [Duration::from_secs(5)];
        for (case, errors, tcp_good, deaths, want) in [
            ("nothing failed", 0, true, &[][..], true),
            ("a request failed", 1, true, &[], false),
            ("a connection failed", 0, false, &[], false),
            ("both failed with a backend", 1, false, &at_five, true),
        ] {
            let lines = lines(&http(errors), &[beats(tcp_good)], &samples, deaths);
            assert_eq!(lines.iter().all(|line| line.good), want, "{case}: {lines:?}");
        }
    }
}
