//! Our own load generator for names: `dns-load`, over UDP or TCP.
//!
//! A closed loop of [flights](crate::flight), each over a socket of its own, taken in order. Before
//! half of them are taken, the first answer to the last of that half is waited for: a server takes
//! questions in the order of their arrival, so the answers to the others are there by then and come
//! in one call, and half of all questions still wait for the server. So it always has work, and the
//! generator wakes up once for many answers: it costs a fraction of what it asks.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::flight::{Flight, Tally};
use crate::latency::{Curve, Latency};
use crate::names;

/// `loadtest dns-load`.
#[derive(Args, Clone, Debug)]
pub(crate) struct DnsArgs {
    /// The server.
    pub(crate) address: SocketAddr,
    /// What to ask, one `name A` a line, over and over.
    #[arg(long)]
    pub(crate) questions: PathBuf,
    /// What every answer says.
    #[arg(long, value_enum, default_value_t = Rcode::Noerror)]
    pub(crate) expect: Rcode,
    /// Over connections in place of datagrams.
    #[arg(long)]
    pub(crate) tcp: bool,
    /// Sockets.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) sockets: u16,
    /// Questions under way over each.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub(crate) window: u16,
    /// How long.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
}

/// A response code, as RFC 1035 4.1.1 numbers it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Rcode {
    #[value(name = "NOERROR")]
    Noerror = 0,
    #[value(name = "NXDOMAIN")]
    Nxdomain = 3,
}

/// What a run of the generator did; printed as one line, and read back from it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answers {
    pub(crate) answered: u64,
    /// Questions without an answer, and such with another one.
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    pub(crate) latency: Curve,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, errors, seconds, latency } = self;
        write!(f, "answered {answered} errors {errors} seconds {seconds:.6} latency_us {latency}")
    }
}

impl Answers {
    /// Reads the line that `Display` writes.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let ["answered", answered, "errors", errors, "seconds", seconds, "latency_us", rest @ ..] =
            words.as_slice()
        else {
            return None;
        };
        Some(Self {
            answered: answered.parse().ok()?,
            errors: errors.parse().ok()?,
            seconds: seconds.parse().ok()?,
            latency: Curve::parse(rest.first().copied().unwrap_or_default())?,
        })
    }
}

/// Asks for the length that was asked for; fails where the server cannot be asked at all.
pub(crate) fn load(arguments: &DnsArgs) -> Result<Answers> {
    let file = &arguments.questions;
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let questions: Vec<Vec<u8>> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, _)| names::question(name))
        .collect();
    ensure!(!questions.is_empty(), "{} asks for nothing", file.display());
    let DnsArgs { address, sockets, window, expect, tcp, .. } = *arguments;
    let open = if tcp { Flight::tcp } else { Flight::udp };
    let mut flights = (0..sockets)
        .map(|_| open(address, window, expect as u8))
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("reaching {address}"))?;
    run(&mut flights, &questions, Duration::from_secs(arguments.seconds))
}

fn run(flights: &mut [Flight], questions: &[Vec<u8>], length: Duration) -> Result<Answers> {
    let mut tally = Tally { answered: 0, lost: 0, wrong: 0, latency: Latency::new()? };
    let mut questions = questions.iter().map(Vec::as_slice).cycle();
    let half = flights.len().div_ceil(2);
    let start = Instant::now();
    for flight in flights.iter_mut() {
        flight.send(&mut questions, &mut tally);
    }
    // At least one round, however late the first answers are.
    loop {
        let over = start.elapsed() >= length;
        for some in flights.chunks_mut(half) {
            if let Some(last) = some.last_mut() {
                last.receive(&mut tally);
            }
            for flight in some {
                flight.receive_all(&mut tally);
                if !over {
                    flight.send(&mut questions, &mut tally);
                }
            }
        }
        if over {
            break;
        }
    }
    let Tally { answered, lost, wrong, latency } = tally;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Answers { answered, errors: lost + wrong, seconds, latency: latency.curve() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};
    use std::thread;

    /// Turns a query into an answer.
    type Answer = fn(&mut Vec<u8>);

    fn good(message: &mut [u8]) {
        message[2] |= 0x80;
        message[7] = 1;
    }

    /// A server over UDP; it ends with the test's process.
    fn serve(answer: Answer) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            loop {
                let mut message = vec![0; 512];
                let (length, from) = socket.recv_from(&mut message).unwrap();
                message.truncate(length);
                answer(&mut message);
                socket.send_to(&message, from).unwrap();
            }
        });
        address
    }

    fn ask(address: SocketAddr, open: fn(SocketAddr, u16, u8) -> io::Result<Flight>) -> Answers {
        let questions = ["a.test", "b.test", "c.test"].map(names::question);
        let mut flights: Vec<Flight> = (0..3).map(|_| open(address, 4, 0).unwrap()).collect();
        run(&mut flights, &questions, Duration::ZERO).unwrap()
    }

    #[test]
    fn every_answer_counts_and_has_its_time() {
        let answers = ask(serve(|message| good(message)), Flight::udp);
        assert_eq!((answers.answered, answers.errors), (12, 0), "{answers}");
        assert!(answers.latency.at(100.0) >= answers.latency.at(50.0), "{answers}");
        assert_eq!(Answers::parse(&answers.to_string()).map(|read| read.answered), Some(12));
    }

    #[test]
    fn an_answer_that_says_something_else_is_an_error() {
        let cases: [(&str, Answer); 6] = [
            ("no response", |message| message[7] = 1),
            ("cut short", |message| {
                good(message);
                message[2] |= 0x02;
            }),
            ("another code", |message| {
                good(message);
                message[3] |= 3;
            }),
            ("no record", |message| message[2] |= 0x80),
            ("another question", |message| {
                good(message);
                message[13] = b'x';
            }),
            ("no question", |message| {
                good(message);
                message.truncate(12);
            }),
        ];
        for (case, answer) in cases {
            let answers = ask(serve(answer), Flight::udp);
            assert_eq!((answers.answered, answers.errors), (0, 12), "{case}: {answers}");
        }
    }

    #[test]
    fn silence_and_the_answer_to_nobodys_question_are_lost_when_their_time_is_over() {
        let answers = ask(serve(|message| message[0] ^= 0x40), Flight::udp);
        assert_eq!((answers.answered, answers.errors), (0, 12), "{answers}");
        // One timeout for all, not one after the other.
        assert!(answers.seconds >= crate::flight::TIMEOUT.as_secs_f64() * 0.95, "{answers}");
    }

    #[test]
    fn a_closed_port_is_an_error_and_not_the_end() {
        let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let answers = ask(address, Flight::udp);
        assert_eq!((answers.answered, answers.errors), (0, 12), "{answers}");
    }

    #[test]
    fn over_tcp_answers_come_in_pieces_and_in_any_order() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            for stream in listener.incoming().take(3) {
                let mut stream = stream.unwrap();
                let mut answers = Vec::new();
                for _ in 0..4 {
                    let mut length = [0; 2];
                    stream.read_exact(&mut length).unwrap();
                    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut message).unwrap();
                    good(&mut message);
                    answers.splice(0..0, [&length[..], &message].concat());
                }
                let (first, rest) = answers.split_at(9);
                stream.write_all(first).unwrap();
                stream.write_all(rest).unwrap();
            }
        });
        let answers = ask(address, Flight::tcp);
        assert_eq!((answers.answered, answers.errors), (12, 0), "{answers}");
        server.join().unwrap();
    }

    #[test]
    fn what_is_no_line_of_the_generator_is_not_read() {
        for line in ["", "answered 1 errors 0", "answered x errors 0 seconds 1 latency_us "] {
            assert_eq!(Answers::parse(line), None, "{line}");
        }
    }
}
