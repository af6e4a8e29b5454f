//! How a scenario's load is driven: wrk for HTTP, our own generator for bytes.
//!
//! Both run as processes pinned to the load core and print what they did; reading that is pure.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::pinned;
use crate::scenario::{CONNECTIONS, HOST, Scenario};
use crate::tcp::Exchanges;
use crate::tools;

/// What one run of the load generator did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Done {
    /// Units of work that were carried out.
    pub(crate) units: u64,
    pub(crate) units_per_second: f64,
    /// Units that failed: broken connections, timeouts, answers that are no success.
    pub(crate) errors: u64,
}

/// Drives `scenario` against `address` for `seconds`, from `core`.
pub(crate) fn drive(
    scenario: Scenario,
    address: SocketAddr,
    seconds: u64,
    core: usize,
) -> Result<Done> {
    match scenario {
        Scenario::Http1Small => {
            let mut command = pinned(&tools::WRK.require()?, core)?;
            command
                .arg("--threads=1")
                .arg(format!("--connections={CONNECTIONS}"))
                .arg(format!("--duration={seconds}s"))
                .arg(format!("--header=Host: {HOST}"))
                .arg(format!("http://{address}/"));
            let output = output(&mut command)?;
            parse_wrk(&output).with_context(|| format!("wrk printed no result:\n{output}"))
        }
        Scenario::TcpRr => exchange("tcp-load", address, seconds, core),
        Scenario::TcpConnect => exchange("connect-load", address, seconds, core),
        Scenario::UdpEcho => exchange("udp-load", address, seconds, core),
    }
}

/// Runs one of this program's own generators.
fn exchange(command_name: &str, address: SocketAddr, seconds: u64, core: usize) -> Result<Done> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut command = pinned(&own, core)?;
    command
        .args([command_name, &address.to_string()])
        .arg(format!("--connections={CONNECTIONS}"))
        .arg(format!("--seconds={seconds}"));
    let output = output(&mut command)?;
    let run = Exchanges::parse(&output)
        .with_context(|| format!("{command_name} printed no result:\n{output}"))?;
    let units_per_second = run.done as f64 / run.seconds.max(f64::MIN_POSITIVE);
    Ok(Done { units: run.done, units_per_second, errors: run.errors })
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
            units = count.parse().ok();
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
    Some(Done { units: units?, units_per_second: units_per_second?, errors })
}

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

    #[test]
    fn a_report_of_wrk_is_read() {
        let want = Done { units: 176_409, units_per_second: 34_589.92, errors: 0 };
        assert_eq!(parse_wrk(CLEAN), Some(want));
    }

    #[test]
    fn every_kind_of_failure_is_an_error() {
        let lines = "33.82MB read\n  Socket errors: connect 1, read 20, write 300, timeout 4000\n  \
                     Non-2xx or 3xx responses: 50000\n";
        let report = CLEAN.replace("33.82MB read\n", lines);
        assert_eq!(parse_wrk(&report).unwrap().errors, 54_321);
    }

    #[test]
    fn what_is_no_report_has_no_result() {
        let cut = CLEAN.split_once("Requests/sec").unwrap().0;
        for report in ["", "unable to connect to 127.0.0.1:9 Connection refused", cut] {
            assert_eq!(parse_wrk(report), None, "{report}");
        }
    }
}
