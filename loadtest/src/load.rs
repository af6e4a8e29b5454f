//! How a scenario's load is driven: wrk for HTTP, iperf3 for bulk, our own generators for the rest.
//!
//! All run as processes pinned to the load core and print what they did; reading that is pure.

use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::DnsClient;
use crate::dns::Answers;
use crate::latency::Curve;
use crate::paced::Paced;
use crate::process::{free, pinned};
use crate::rate::RateArgs;
use crate::scenario::{CONNECTIONS, HOST, Scenario, Traffic};
use crate::server::{Kind, Site};
use crate::tcp::Exchanges;
use crate::tools;

/// What one run of the load generator did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Done {
    /// Units of work that were carried out.
    pub(crate) units: f64,
    pub(crate) units_per_second: f64,
    /// Units that failed: broken connections, timeouts, answers that are no success.
    pub(crate) errors: u64,
    /// How long they took, where the generator says it.
    pub(crate) latency: Curve,
}

/// Drives the scenario of `site` against a server of it for `seconds`.
pub(crate) fn drive(site: &Site, kind: Kind, address: SocketAddr, seconds: u64) -> Result<Done> {
    let (scenario, core) = (site.scenario, site.load_core);
    match scenario.traffic() {
        Traffic::Http if scenario == Scenario::Http1Close => {
            exchange("http-close-load", address, seconds, core)
        }
        Traffic::Http => wrk(site, kind, &format!("http://{address}"), seconds),
        Traffic::Tls => match scenario {
            Scenario::TlsHandshake => exchange("tls-load", address, seconds, core),
            Scenario::Http2 => {
                let command = pinned(&tools::H2LOAD.require()?, core)?;
                h2load(command, ("https", address), Some(seconds))
            }
            _ => wrk(site, kind, &format!("https://{address}"), seconds),
        },
        Traffic::Grpc => {
            let mut command = pinned(&tools::H2LOAD.require()?, core)?;
            command
                .args(GRPC_HEADERS)
                .arg("--data")
                .arg(site.folder.join("call"));
            h2load(command, ("http", address), Some(seconds))
        }
        Traffic::Websocket => exchange("websocket-load", address, seconds, core),
        Traffic::Echo if scenario == Scenario::TcpRr => {
            exchange("tcp-load", address, seconds, core)
        }
        Traffic::Echo => exchange("connect-load", address, seconds, core),
        Traffic::Bulk => {
            let mut command = pinned(&tools::IPERF3.require()?, core)?;
            iperf3(&mut command, address)
                .arg(format!("--time={seconds}"))
                .arg(format!("--parallel={}", scenario.streams().unwrap_or(1)));
            let output = output(&mut command)?;
            parse_iperf3(&output).with_context(|| format!("iperf3 printed no result:\n{output}"))
        }
        Traffic::Datagrams => exchange("udp-load", address, seconds, core),
        Traffic::Names => match site.dns_client {
            DnsClient::Own => ask(site, kind, address, seconds),
            DnsClient::Dnsperf => ask_by_dnsperf(site, kind, address, seconds),
        },
    }
}

fn wrk(site: &Site, kind: Kind, server: &str, seconds: u64) -> Result<Done> {
    let scenario = site.scenario;
    let mut command = pinned(&tools::WRK.require()?, site.load_core)?;
    command
        .arg("--threads=1")
        .arg(format!("--connections={}", scenario.connections()))
        .arg(format!("--duration={seconds}s"))
        .arg(format!("--header=Host: {HOST}"));
    let path = if scenario == Scenario::Http1Large { "/large" } else { "/" };
    if scenario.ingresses(kind).is_some() {
        command.arg("--script").arg(site.script(kind));
    }
    command.arg(format!("{server}{path}"));
    let output = output(&mut command)?;
    parse_wrk(&output).with_context(|| format!("wrk printed no result:\n{output}"))
}

/// Asks over HTTP/2: with TLS (`https`) where the server has to choose it, else in the clear where it has to
/// know it. Without a length it asks once.
fn h2load(
    mut command: Command,
    (scheme, address): (&str, SocketAddr),
    seconds: Option<u64>,
) -> Result<Done> {
    match seconds {
        Some(seconds) => command
            .args(["--threads=1", "--clients=8", "--max-concurrent-streams=10"])
            .arg(format!("--duration={seconds}")),
        None => command.args(["--threads=1", "--clients=1", "--requests=1"]),
    };
    command
        .arg(format!("--connect-to={address}"))
        .arg(format!("{scheme}://{HOST}/"));
    let output = output(&mut command)?;
    parse_h2load(&output).with_context(|| format!("h2load printed no result:\n{output}"))
}

/// One call; anything but its success is an error.
pub(crate) fn probe_grpc(address: SocketAddr) -> io::Result<()> {
    let program = tools::H2LOAD.find().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    // Without a message: no server looks into it.
    command.args(GRPC_HEADERS);
    let done = h2load(command, ("http", address), None).map_err(io::Error::other)?;
    match done.units > 0.0 && done.errors == 0 {
        true => Ok(()),
        false => Err(io::Error::other("a call that failed")),
    }
}

/// Asks for names with our own generator: 128 questions under way, or one over each connection.
fn ask(site: &Site, kind: Kind, address: SocketAddr, seconds: u64) -> Result<Done> {
    let mut command = own("dns-load", site.load_core)?;
    let flights: &[&str] = match site.scenario {
        Scenario::DnsTcp => &["--tcp", "--sockets=100", "--window=1"],
        _ => &["--sockets=16", "--window=8"],
    };
    command
        .arg(address.to_string())
        .args(flights)
        .arg(format!("--seconds={seconds}"))
        .arg(format!("--expect={}", site.scenario.expected_rcode()))
        .arg("--questions")
        .arg(site.questions(kind));
    let output = output(&mut command)?;
    let run = Answers::parse(&output)
        .with_context(|| format!("dns-load printed no result:\n{output}"))?;
    let units = run.answered as f64;
    let units_per_second = units / run.seconds.max(f64::MIN_POSITIVE);
    Ok(Done { units, units_per_second, errors: run.errors, latency: run.latency })
}

fn ask_by_dnsperf(site: &Site, kind: Kind, address: SocketAddr, seconds: u64) -> Result<Done> {
    let mut command = pinned(&tools::DNSPERF.require()?, site.load_core)?;
    let (mode, clients) = match site.scenario {
        Scenario::DnsTcp => ("tcp", 100),
        _ => ("udp", 16),
    };
    command
        .args(["-m", mode, "-T", "1", "-q", "100", "-t", "1", "-W"])
        .args(["-c", &format!("{clients}"), "-l", &seconds.to_string()])
        .args(["-s", &address.ip().to_string(), "-p", &address.port().to_string()])
        .arg("-d")
        .arg(site.questions(kind));
    let output = output(&mut command)?;
    parse_dnsperf(&output, site.scenario.expected_rcode())
        .with_context(|| format!("dnsperf printed no result:\n{output}"))
}

/// This program as one of its own generators.
fn own(command_name: &str, core: usize) -> Result<Command> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut command = pinned(&own, core)?;
    command.arg(command_name);
    Ok(command)
}

/// A run at a constant rate that goes on by itself.
#[derive(Debug)]
pub(crate) struct AtRate(Child);

/// Starts `rate-load` on `core`, or on whichever the kernel chooses.
pub(crate) fn at_rate(asked: RateArgs, core: Option<usize>) -> Result<AtRate> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut command = match core {
        Some(core) => pinned(&own, core)?,
        None => free(&own)?,
    };
    command
        .arg("rate-load")
        .arg(asked.address.to_string())
        .arg(format!("--rate={}", asked.rate))
        .arg(format!("--connections={}", asked.connections))
        .arg(format!("--seconds={}", asked.seconds))
        .args(asked.timeline.then_some("--timeline"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().map(AtRate).context("starting rate-load")
}

impl AtRate {
    /// Waits for the end of the run.
    pub(crate) fn finish(self) -> Result<Paced> {
        let output = self.0.wait_with_output().context("waiting for rate-load")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("rate-load failed ({}): {}", output.status, errors.trim());
        }
        Paced::parse(&text).with_context(|| format!("rate-load printed no result:\n{text}"))
    }
}

/// Runs one of this program's own generators.
fn exchange(command_name: &str, address: SocketAddr, seconds: u64, core: usize) -> Result<Done> {
    let mut command = own(command_name, core)?;
    command
        .arg(address.to_string())
        .arg(format!("--connections={CONNECTIONS}"))
        .arg(format!("--seconds={seconds}"));
    let output = output(&mut command)?;
    let run = Exchanges::parse(&output)
        .with_context(|| format!("{command_name} printed no result:\n{output}"))?;
    let units_per_second = run.done as f64 / run.seconds.max(f64::MIN_POSITIVE);
    Ok(Done {
        units: run.done as f64,
        units_per_second,
        errors: run.errors,
        latency: Curve::default(),
    })
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("the load generator failed ({}): {}", output.status, errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn iperf3(command: &mut Command, address: SocketAddr) -> &mut Command {
    command
        .arg(format!("--client={}", address.ip()))
        .arg(format!("--port={}", address.port()))
        .arg("--json")
}

/// One small transfer; anything but its end is an error.
pub(crate) fn probe_bulk(address: SocketAddr) -> io::Result<()> {
    let program = tools::IPERF3.find().ok_or(io::ErrorKind::NotFound)?;
    let output = iperf3(&mut Command::new(program), address)
        .args(["--bytes=64K", "--connect-timeout=1000"])
        .stdin(Stdio::null())
        .output()?;
    // With --json its exit status says success always.
    let report = String::from_utf8_lossy(&output.stdout);
    parse_iperf3(&report)
        .map(drop)
        .ok_or_else(|| io::Error::other(report.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// Reads iperf3's report: what the other end took in, and `error` in its place. A unit is a
/// million bytes.
fn parse_iperf3(report: &str) -> Option<Done> {
    let report: serde_json::Value = serde_json::from_str(report).ok()?;
    if report.get("error").is_some() {
        return None;
    }
    let received = report.pointer("/end/sum_received")?;
    let units = received.get("bytes")?.as_u64()? as f64 / 1e6;
    let seconds = received.get("seconds")?.as_f64()?;
    let units_per_second = units / seconds.max(f64::MIN_POSITIVE);
    Some(Done { units, units_per_second, errors: 0, latency: Curve::default() })
}

/// Reads wrk's report:
///
/// ```text
///   176409 requests in 5.10s, 33.82MB read
///   Socket errors: connect 0, read 3, write 0, timeout 1
///   Non-2xx or 3xx responses: 7
/// Requests/sec:  34589.92
/// ```
fn parse_wrk(report: &str) -> Option<Done> {
    let mut units = None;
    let mut units_per_second = None;
    let mut errors = 0;
    for line in report.lines().map(str::trim) {
        if let Some((count, _)) = line.split_once(" requests in ") {
            units = count.parse::<u64>().ok();
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            units_per_second = rate.trim().parse().ok();
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses:") {
            errors += count.trim().parse::<u64>().ok()?;
        } else if let Some(kinds) = line.strip_prefix("Socket errors:") {
            for kind in kinds.split(',') {
                errors += kind.rsplit_once(' ')?.1.parse::<u64>().ok()?;
            }
        }
    }
    Some(Done {
        units: units? as f64,
        units_per_second: units_per_second?,
        errors,
        latency: Curve::default(),
    })
}

/// Reads h2load's report, of HTTP/2 alone; a request that was not answered with success is an error:
///
/// ```text
/// Application protocol: h2
/// finished in 1.01s, 320.00 req/s, 98.33KB/s
/// requests: 320 total, 340 started, 320 done, 318 succeeded, 2 failed, 0 errored, 0 timeout
/// ```
fn parse_h2load(report: &str) -> Option<Done> {
    let line = |name: &str| report.lines().find_map(|line| line.strip_prefix(name));
    if !line("Application protocol: ")?.starts_with("h2") {
        return None;
    }
    let rate = line("finished in ")?.split(", ").nth(1)?;
    let counts = line("requests: ")?;
    let count = |name: &str| {
        let counts = counts.split(", ");
        let mut counts = counts.filter_map(|count| count.split_once(' '));
        counts
            .find(|(_, known)| *known == name)?
            .0
            .parse::<u64>()
            .ok()
    };
    Some(Done {
        units: count("succeeded")? as f64,
        units_per_second: rate.strip_suffix(" req/s")?.parse().ok()?,
        errors: count("failed")? + count("timeout")?,
        latency: Curve::default(),
    })
}

/// Reads dnsperf's report; whatever is lost or has another response code than `expected` is an error:
///
/// ```text
///   Queries completed:    104250 (100.00%)
///   Queries lost:         0 (0.00%)
///   Response codes:       NOERROR 104249 (100.00%), SERVFAIL 1 (0.00%)
///   Queries per second:   104249.123
/// ```
fn parse_dnsperf(report: &str, expected: &str) -> Option<Done> {
    let value = |name: &str| {
        let mut lines = report.lines().map(str::trim);
        lines
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let number = |text: &str| text.split_whitespace().next()?.parse::<u64>().ok();
    let completed = number(value("Queries completed:")?)?;
    let mut errors = number(value("Queries lost:")?)?;
    for code in value("Response codes:").unwrap_or_default().split(", ") {
        if let Some((name, count)) = code.split_once(' ')
            && name != expected
        {
            errors += number(count)?;
        }
    }
    let units_per_second = value("Queries per second:")?.parse().ok()?;
    Some(Done { units: completed as f64, units_per_second, errors, latency: Curve::default() })
}

const GRPC_HEADERS: [&str; 4] =
    ["--header", "content-type: application/grpc", "--header", "te: trailers"];

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "\
Running 5s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.86ms  636.09us  10.98ms   96.31%
    Req/Sec    34.79k   200.27     35.51k    63.64%
  176409 requests in 5.10s, 33.82MB read
Requests/sec:  34589.92
Transfer/sec:      6.63MB
";

    fn done(units: f64, units_per_second: f64, errors: u64) -> Done {
        Done { units, units_per_second, errors, latency: Curve::default() }
    }

    #[test]
    fn a_report_of_wrk_is_read() {
        assert_eq!(parse_wrk(CLEAN), Some(done(176_409.0, 34_589.92, 0)));
    }

    #[test]
    fn every_kind_of_failure_is_an_error() {
        let lines = "33.82MB read\n  Socket errors: connect 1, read 20, write 300, timeout 4000\n  \
                     Non-2xx or 3xx responses: 50000\n";
        let report = CLEAN.replace("33.82MB read\n", lines);
        assert_eq!(parse_wrk(&report).unwrap().errors, 54_321);
    }

    #[test]
    fn a_report_of_iperf3_is_read() {
        let report = r#"{"start":{},"end":{
            "sum_sent":{"start":0,"end":2.0,"seconds":2.0,"bytes":4000999999,"retransmits":0},
            "sum_received":{"start":0,"end":2.0,"seconds":2.0,"bytes":4001000000}}}"#;
        assert_eq!(parse_iperf3(report), Some(done(4_001.0, 2_000.5, 0)));
        let busy = r#"{"start":{},"end":{},"error":"the server is busy running a test"}"#;
        for report in ["", "iperf3: error", "{}", busy, &report[1..]] {
            assert_eq!(parse_iperf3(report), None, "{report}");
        }
    }

    #[test]
    fn a_report_of_dnsperf_is_read_and_what_is_lost_or_otherwise_answered_is_an_error() {
        let report = "Statistics:\n\n  Queries sent:         104250\n  Queries completed:    104245 \
                      (100.00%)\n  Queries lost:         5 (0.00%)\n\n  Response codes:       NOERROR \
                      104242 (100.00%), SERVFAIL 3 (0.00%)\n  Run time (s):         1.0\n  Queries per \
                      second:   104249.5\n";
        let want = done(104_245.0, 104_249.5, 8);
        assert_eq!(parse_dnsperf(report, "NOERROR"), Some(want));
        assert_eq!(parse_dnsperf(report, "NXDOMAIN").unwrap().errors, 104_250);
        for report in ["", "Error: connect", report.split_once("Queries per").unwrap().0] {
            assert_eq!(parse_dnsperf(report, "NOERROR"), None, "{report}");
        }
    }

    #[test]
    fn a_report_of_h2load_is_read_where_it_spoke_http2() {
        let report = "TLS Protocol: TLSv1.3\nApplication protocol: h2\n\nfinished in 1.01s, 320.50 req/s, \
                      98.33KB/s\nrequests: 330 total, 340 started, 330 done, 320 succeeded, 10 failed, 4 \
                      errored, 3 timeout\n";
        assert_eq!(parse_h2load(report), Some(done(320.0, 320.5, 13)));
        let http1 = report.replace("protocol: h2", "protocol: http/1.1");
        for report in ["", &http1, report.split_once("requests:").unwrap().0] {
            assert_eq!(parse_h2load(report), None, "{report}");
        }
    }

    #[test]
    fn what_is_no_report_has_no_result() {
        let cut = CLEAN.split_once("Requests/sec").unwrap().0;
        for report in ["", "unable to connect to 127.0.0.1:9 Connection refused", cut] {
            assert_eq!(parse_wrk(report), None, "{report}");
        }
    }
}
