//! How soon an edit of the configuration is live, one backend in front of the other.
//!
//! Time counts from when the file is closed, or the server was told to reload where it has to be, until a
//! request over a new connection is answered by the new backend. portico watches its folder by itself.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::CompareArgs;
use crate::figures::Spread;
use crate::fleet::Fleet;
use crate::outcome::{Measured, Outcome};
use crate::process::pause;
use crate::scenario::HOST;
use crate::server::{Kind, Server, Site};
use crate::table::{aligned, with_range};

/// Measures one server after the other; a round is [`EDITS_OF_A_ROUND`] edits.
#[expect(clippy::print_stdout, reason = "a command-line program")]
pub(crate) fn run(site: &Site, arguments: &CompareArgs) -> Result<Outcome<Duration>> {
    let mut fleet = Fleet::new()?;
    fleet.start(site, 0)?;
    fleet.start(site, 1)?;
    let (mut measured, mut skipped) = (Vec::new(), Vec::new());
    for kind in site.kinds() {
        match site.start_before(kind, &fleet.addresses(&[0])) {
            Ok(server) => {
                let edits = u32::from(arguments.rounds_of(site.scenario)) * EDITS_OF_A_ROUND;
                let runs =
                    measure(site, (kind, server), &fleet, edits).with_context(|| kind.name())?;
                println!("  {:<10} {} ms", kind.name(), with_range(spread(&runs)));
                measured.push(Measured { kind, version: site.version(kind), runs });
            }
            Err(error) => {
                println!("  {} is left out: {error:#}", kind.name());
                skipped.push((kind, format!("{error:#}")));
            }
        }
    }
    ensure!(!measured.is_empty(), "no server to measure");
    Ok(Outcome { scenario: site.scenario, measured, skipped })
}

fn measure(
    site: &Site,
    (kind, mut server): (Kind, Server),
    fleet: &Fleet,
    edits: u32,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for edit in 1..=edits {
        pause(BETWEEN_EDITS);
        let next = fleet.addresses(&[if edit.is_multiple_of(2) { 0 } else { 1 }]);
        site.lead(kind, &server, &next)?;
        let closed = Instant::now();
        let port = next.first().map_or(0, SocketAddr::port);
        while !shows(server.address, port).unwrap_or(false) {
            if closed.elapsed() > PATIENCE {
                server.process.ensure_alive()?;
                bail!("edit {edit} is not live after {PATIENCE:?}");
            }
            pause(BETWEEN_LOOKS);
        }
        times.push(closed.elapsed());
    }
    Ok(times)
}

/// Whether a new connection is answered by the backend at `port`.
fn shows(address: SocketAddr, port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains(&format!("\r\n\r\nbackend {port} ")))
}

/// To the microsecond.
fn milliseconds(time: &Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

fn spread(times: &[Duration]) -> Option<Spread> {
    Spread::of(times.iter().map(milliseconds))
}

/// The medians.
pub(crate) fn table(outcome: &Outcome<Duration>) -> String {
    let mut rows =
        vec![["server".to_owned(), "edits".to_owned(), "ms until live (min–max)".to_owned()]];
    for Measured { kind, runs, .. } in &outcome.measured {
        rows.push([kind.name().to_owned(), runs.len().to_string(), with_range(spread(runs))]);
    }
    aligned(&rows) + &outcome.footer(|_| 0)
}

/// Everything, for programs.
pub(crate) fn json(outcome: &Outcome<Duration>) -> Value {
    outcome.json(|measured| {
        json!({
            "milliseconds": spread(&measured.runs).map(Spread::json),
            "runs": measured.runs.iter().map(milliseconds).collect::<Vec<_>>(),
        })
    })
}

const EDITS_OF_A_ROUND: u32 = 10;
/// Longer than any server needs to be done with the last edit.
const BETWEEN_EDITS: Duration = Duration::from_millis(300);
const BETWEEN_LOOKS: Duration = Duration::from_micros(500);
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn a_backend_is_known_by_what_it_says() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0; 1];
                    stream.read_exact(&mut byte).unwrap();
                    head.extend(byte);
                }
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\nbackend 81    \n")
                    .unwrap();
            }
        });
        assert!(shows(address, 81).unwrap());
        assert!(!shows(address, 8).unwrap());
    }

    #[test]
    fn the_json_has_every_edit_and_their_spread() {
        let runs = [10, 30, 20].map(Duration::from_millis).to_vec();
        let outcome = Outcome {
            scenario: Scenario::ReloadLatency,
            measured: vec![Measured { kind: Kind::Portico, version: "1".to_owned(), runs }],
            skipped: vec![(Kind::Nginx, "gone".to_owned())],
        };
        let table = table(&outcome);
        assert!(table.contains("20.00 (10.00–30.00)"), "{table}");
        let json = json(&outcome);
        assert_eq!(json["servers"][0]["milliseconds"]["median"], 20.0);
        assert_eq!(json["servers"][0]["runs"], serde_json::json!([10.0, 30.0, 20.0]));
    }
}
