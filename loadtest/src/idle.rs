//! Connections that do nothing: what they cost in memory.
//!
//! ```text
//! fresh server ─▶ before ─▶ open N, one exchange each ─▶ top ─▶ one more each, close ─▶ after
//! ```
//!
//! Every round starts every server anew, since memory has a history. Invariant: a reading is taken
//! once memory has come to rest. Generator, backend and server are processes of their own, each with
//! its own limit of descriptors.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::CompareArgs;
use crate::figures::Spread;
use crate::hold::Count;
use crate::outcome::{Measured, Outcome};
use crate::process::pinned;
use crate::procfs;
use crate::scenario::Traffic;
use crate::server::{Kind, Server, Site};
use crate::table::{aligned, median, with_range};

/// One run of one server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Readings {
    /// Resident memory in bytes, of all processes of the server: before the first connection,
    pub(crate) before: f64,
    /// with a quarter, a half and three quarters of the connections open,
    pub(crate) on_the_way: [f64; QUARTERS - 1],
    /// with all connections open and idle,
    pub(crate) top: f64,
    /// and after they were closed.
    pub(crate) after: f64,
    /// Connections that were open at the top.
    pub(crate) open: u32,
    /// Connections that could not be opened, or were not alive at the end.
    pub(crate) errors: u32,
}

impl Readings {
    /// Bytes for each connection.
    pub(crate) fn each(&self) -> f64 {
        (self.top - self.before) / f64::from(self.open)
    }
}

/// Measures every server of the scenario, round after round.
#[expect(clippy::print_stdout, reason = "a command-line program")]
pub(crate) fn run(site: &Site, arguments: &CompareArgs) -> Result<Outcome<Readings>> {
    let mut backend = site.start_backend()?;
    let mut outcome: Outcome<Readings> = site.present()?;
    let rounds = arguments.rounds_of(site.scenario);
    for round in 1..=rounds {
        for Measured { kind, runs, .. } in &mut outcome.measured {
            let mut server = site.start(*kind, backend.as_ref())?;
            let read = measure(&server, site)
                .with_context(|| format!("{} in round {round}", kind.name()))?;
            server.process.ensure_alive()?;
            if let Some(backend) = &mut backend {
                backend.process.ensure_alive()?;
            }
            println!("  round {round}/{rounds} {}", progress(*kind, &read));
            runs.push(read);
        }
    }
    Ok(outcome)
}

/// Holds connections through a fresh `server`, and reads its memory.
fn measure(server: &Server, site: &Site) -> Result<Readings> {
    let traffic = site.scenario.traffic();
    let id = server.process.id();
    let before = memory_at_rest(id)?;
    let mut holders = Vec::new();
    let mut at_quarters = [0.0; QUARTERS];
    let (mut open, mut errors) = (0, 0);
    for (read, asked) in at_quarters.iter_mut().zip(quarters(site.connections)) {
        let mut holder = Holder::start(server.address, asked, traffic, site.load_core)?;
        let opened = holder.read("open")?;
        (open, errors) = (open + opened.good, errors + opened.errors);
        holders.push(holder);
        *read = memory_at_rest(id)?;
    }
    for holder in holders {
        errors += holder.finish()?.errors;
    }
    ensure!(open > 0, "no connection could be opened");
    let after = memory_at_rest(id)?;
    let [on_the_way @ .., top] = at_quarters;
    Ok(Readings { before, on_the_way, top, after, open, errors })
}

/// How many connections each quarter adds; what does not divide comes with the last.
fn quarters(connections: u32) -> [u32; QUARTERS] {
    let mut quarters = [connections / 4; QUARTERS];
    quarters[QUARTERS - 1] += connections % 4;
    quarters
}

/// Lets this process and those that it starts have as many descriptors as its hard limit allows;
/// fails if that is not enough for a server of `connections`.
pub(crate) fn raise_descriptor_limit(connections: u32) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .context("raising the limit of descriptors")?;
    let needed = u64::from(connections) * 2 + DESCRIPTORS_BESIDE;
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "{connections} connections need {needed} descriptors in a server, the limit is {}: raise \
         it (ulimit -Hn) or ask for fewer with --connections",
        limit.maximum.unwrap_or(0)
    );
    Ok(())
}

/// Resident memory of a server's processes, once it has come to rest.
fn memory_at_rest(id: u32) -> Result<f64> {
    let deadline = Instant::now() + REST_TIMEOUT;
    let mut last = memory(id)?;
    let mut since = Instant::now();
    while since.elapsed() < REST && Instant::now() < deadline {
        pause(REST / 10);
        let now = memory(id)?;
        if (now - last).abs() > last * REST_SHARE {
            since = Instant::now();
            last = now;
        }
    }
    memory(id)
}

fn memory(id: u32) -> Result<f64> {
    procfs::ids_of_tree(id)
        .into_iter()
        .filter_map(|id| procfs::status_kibibytes(id, "VmRSS"))
        .map(|kibibytes| f64::from(kibibytes) * 1_024.0)
        .reduce(|sum, one| sum + one)
        .context("the server's memory cannot be read")
}

/// The generator as a process, ended on drop.
struct Holder {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Holder {
    fn start(address: SocketAddr, connections: u32, traffic: Traffic, core: usize) -> Result<Self> {
        let own = std::env::current_exe().context("finding this program")?;
        let mut command = pinned(&own, core)?;
        command.args(["idle-load", &address.to_string()]);
        command.arg(format!("--connections={connections}"));
        match traffic {
            Traffic::Http => _ = command.arg("--http"),
            Traffic::Tls => _ = command.args(["--http", "--tls"]),
            _ => {}
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting idle-load")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("idle-load has no output")?;
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    fn read(&mut self, name: &str) -> Result<Count> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .context("reading what idle-load says")?;
        Count::parse(&line, name).with_context(|| format!("idle-load said {line:?}"))
    }

    /// Has every connection used once more and closed; how many were alive.
    fn finish(mut self) -> Result<Count> {
        drop(self.input.take());
        let count = self.read("alive")?;
        let status = self.child.wait().context("waiting for idle-load")?;
        ensure!(status.success(), "idle-load failed ({status})");
        Ok(count)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Both fail only for a program that is already gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn progress(kind: Kind, read: &Readings) -> String {
    let Readings { before, top, after, open, errors, .. } = *read;
    let flag = if errors > 0 { format!("  {errors} ERRORS") } else { String::new() };
    format!(
        "{:<8} {open} open  {:>6.1} MB, {:>6.1} MB, {:>6.1} MB{flag}",
        kind.name(),
        before / MB,
        top / MB,
        after / MB
    )
}

/// portico's memory at the top as a multiple of that of `peers`, round by round.
fn ratio(outcome: &Outcome<Readings>, peers: &[Readings]) -> Option<Spread> {
    let ours = outcome.of(Kind::Portico)?;
    Spread::of(ours.iter().zip(peers).map(|(our, peer)| our.top / peer.top))
}

/// The medians, where so many connections were asked for.
pub(crate) fn table(outcome: &Outcome<Readings>, connections: u32) -> String {
    let mut rows = vec![[
        "server".to_owned(),
        "MB before".to_owned(),
        format!("MB with {connections} (min–max)"),
        "MB after".to_owned(),
        "kB/connection (min–max)".to_owned(),
        "portico ÷ it, with all (min–max)".to_owned(),
    ]];
    for Measured { kind, runs, .. } in &outcome.measured {
        let of = |figure: fn(&Readings) -> f64| Spread::of(runs.iter().map(figure));
        rows.push([
            kind.name().to_owned(),
            median(of(|read| read.before / MB), 1),
            with_range(of(|read| read.top / MB)),
            median(of(|read| read.after / MB), 1),
            with_range(of(|read| read.each() / 1e3)),
            match kind {
                Kind::Portico => String::new(),
                _ => with_range(ratio(outcome, runs)),
            },
        ]);
    }
    let mut text = aligned(&rows) + &outcome.footer(|read| read.errors.into());
    if let Some(most) = outcome.scenario.most_memory_mb() {
        let _ = write!(text, "\ntarget: at most {most} MB with {CONNECTIONS}: ");
        text.push_str(&verdict(outcome.of(Kind::Portico).unwrap_or_default(), most));
    }
    text
}

fn verdict(ours: &[Readings], most: f64) -> String {
    let clean = ours
        .iter()
        .all(|read| read.errors == 0 && read.open == CONNECTIONS);
    match Spread::of(ours.iter().map(|read| read.top / MB)) {
        Some(top) if clean && top.median <= most => format!("met ({:.1})", top.median),
        Some(top) if clean => format!("missed ({:.1})", top.median),
        _ => format!("open: no run without errors and with {CONNECTIONS} connections"),
    }
}

/// Everything, for programs.
pub(crate) fn json(outcome: &Outcome<Readings>, connections: u32) -> Value {
    let mut all = outcome.json(|measured| {
        json!({
            "ratio": ratio(outcome, &measured.runs).map(Spread::json),
            "runs": measured.runs.iter().map(json_run).collect::<Vec<_>>(),
        })
    });
    all["connections"] = connections.into();
    all
}

fn json_run(read: &Readings) -> Value {
    let Readings { before, on_the_way, top, after, open, errors } = *read;
    json!({
        "bytes_before": before,
        "bytes_on_the_way": on_the_way,
        "bytes_at_the_top": top,
        "bytes_after": after,
        "open": open,
        "errors": errors,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process's memory gives no event to wait for"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Memory is read when each quarter of the connections is open.
const QUARTERS: usize = 4;
/// Connections where nothing else is asked for.
pub(crate) const CONNECTIONS: u32 = 9_000;
/// Memory is at rest when it has not changed for so long
const REST: Duration = Duration::from_secs(1);
/// by more than this share,
const REST_SHARE: f64 = 0.002;
/// and is read at the latest after this.
const REST_TIMEOUT: Duration = Duration::from_secs(15);
const MB: f64 = 1e6;
/// What a server has open besides its connections.
const DESCRIPTORS_BESIDE: u64 = 400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn outcome(errors: u32, top: f64) -> Outcome<Readings> {
        let read = |top| Readings {
            before: 10e6,
            on_the_way: [11e6, 12e6, 13e6],
            top,
            after: 20e6,
            open: CONNECTIONS,
            errors,
        };
        let measured =
            |kind, top| Measured { kind, version: "1.0".to_owned(), runs: vec![read(top)] };
        Outcome {
            scenario: Scenario::IdleConnections,
            measured: vec![measured(Kind::Haproxy, 160e6), measured(Kind::Portico, top)],
            skipped: vec![(Kind::Nginx, "a reason".to_owned())],
        }
    }

    #[test]
    fn the_table_says_memory_and_verdict() {
        let want = "\
| server  | MB before | MB with 9000 (min–max) | MB after | kB/connection (min–max) | portico ÷ it, with all (min–max) |
|---------|----------:|-----------------------:|---------:|------------------------:|---------------------------------:|
| haproxy |      10.0 | 160.00 (160.00–160.00) |     20.0 |     16.67 (16.67–16.67) |                 0.50 (0.50–0.50) |
| portico |      10.0 |    80.00 (80.00–80.00) |     20.0 |        7.78 (7.78–7.78) |                                  |

haproxy: 1.0
portico: 1.0
nginx: left out: a reason
target: at most 100 MB with 9000: met (80.0)";
        assert_eq!(table(&outcome(0, 80e6), CONNECTIONS), want);
    }

    #[test]
    fn a_run_with_errors_says_so_and_meets_nothing() {
        assert!(table(&outcome(0, 101e6), CONNECTIONS).ends_with("missed (101.0)"));
        let table = table(&outcome(3, 80e6), CONNECTIONS);
        assert!(table.contains("portico: 1.0; 3 ERRORS"), "{table}");
        assert!(
            table.ends_with("open: no run without errors and with 9000 connections"),
            "{table}"
        );
    }

    #[test]
    fn quarters_are_all_of_the_connections() {
        for connections in [3, 4, 9_000, 9_001] {
            assert_eq!(quarters(connections).iter().sum::<u32>(), connections);
        }
        let json = json(&outcome(0, 80e6), CONNECTIONS);
        let quarters = &json["servers"][0]["runs"][0]["bytes_on_the_way"];
        assert_eq!(*quarters, serde_json::json!([11e6, 12e6, 13e6]));
    }

    #[test]
    fn a_program_has_memory_and_what_is_not_there_has_none() {
        assert!(memory(std::process::id()).unwrap() > 0.0);
        assert!(memory(u32::MAX).is_err());
    }
}
