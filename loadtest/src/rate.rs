//! Our own load generator at a constant rate: `rate-load`, an open loop of GETs.
//!
//! ```text
//! due at start + n ÷ rate ─▶ waits for a free connection ─▶ sent ─▶ whole answer
//! ```
//!
//! Requests are due whatever became of those before, and a request's time counts from when it was
//! due: what a server that stalls keeps from being sent is in the figures (coordinated omission is not
//! possible). Invariants: every request that was due is counted, as done or as an error; a connection
//! that the server closes while it is idle is no error, and a request that a kept connection ends without
//! a byte of an answer is sent once more, as any client does.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::answer::Answer;
use crate::latency::Latency;
use crate::paced::{Paced, Slot};
use crate::scenario::CONNECTIONS;

/// `loadtest rate-load`.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct RateArgs {
    /// The server.
    pub(crate) address: SocketAddr,
    /// Requests a second.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub(crate) rate: u32,
    /// Connections at most.
    #[arg(long, default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// How long.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Say what came of every tenth of a second too.
    #[arg(long)]
    pub(crate) timeline: bool,
}

/// Asks at the rate for the length that was asked for; fails where the server cannot be reached at first.
pub(crate) fn load(arguments: RateArgs) -> Result<Paced> {
    let address = arguments.address;
    let mut places = (0..arguments.connections)
        .map(|_| Place::connect(address))
        .collect::<io::Result<Vec<_>>>()
        .with_context(|| format!("connecting to {address}"))?;
    let clock = Clock::start(arguments);
    let mut free: VecDeque<usize> = (0..places.len()).collect();
    let (mut tally, mut next) = (Tally::new(arguments)?, 0);
    loop {
        let due = clock.due();
        while next < due
            && let Some(index) = free.pop_front()
        {
            let Some(place) = places.get_mut(index) else { continue };
            match place.send(address, next) {
                Ok(()) => {}
                Err(_) => {
                    tally.error(next);
                    free.push_back(index);
                }
            }
            next += 1;
        }
        let under_way = places.len() - free.len();
        if next == clock.total && (under_way == 0 || clock.is_past_patience()) {
            break;
        }
        if clock.is_past_patience() {
            next += 1;
            tally.error(next - 1);
            continue;
        }
        for index in ready(&places, clock.until_next(next, !free.is_empty()))? {
            let outcome = places
                .get_mut(index)
                .and_then(|place| place.receive(address));
            let Some(outcome) = outcome else { continue };
            match outcome {
                Outcome::Done(number) => tally.done(number, clock.since_due(number)),
                Outcome::Failed(number) => tally.error(number),
            }
            free.push_back(index);
        }
    }
    for place in &places {
        if let Some(request) = &place.request {
            tally.error(request.number);
        }
    }
    tally.repeats = places.iter().map(|place| place.repeats).sum();
    Ok(tally.finish(clock.start.elapsed()))
}

/// When requests are due.
struct Clock {
    start: Instant,
    rate: f64,
    total: u64,
    length: Duration,
}

impl Clock {
    fn start(arguments: RateArgs) -> Self {
        let RateArgs { rate, seconds, .. } = arguments;
        let length = Duration::from_secs(seconds);
        let total = u64::from(rate) * seconds;
        Self { start: Instant::now(), rate: rate.into(), total, length }
    }

    /// How many requests are due by now.
    fn due(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded by the total"
        )]
        let due = (self.start.elapsed().as_secs_f64() * self.rate) as u64 + 1;
        due.min(self.total)
    }

    fn due_at(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.rate)
    }

    fn since_due(&self, number: u64) -> Duration {
        self.due_at(number).elapsed()
    }

    /// How long nothing has to be sent.
    fn until_next(&self, next: u64, free: bool) -> Duration {
        match free && next < self.total {
            true => self.due_at(next).saturating_duration_since(Instant::now()),
            false => LONGEST_WAIT,
        }
    }

    fn is_past_patience(&self) -> bool {
        self.start.elapsed() > self.length + PATIENCE
    }
}

/// One connection, and the request that is under way on it.
struct Place {
    stream: Option<TcpStream>,
    request: Option<Request>,
    answer: Vec<u8>,
    repeats: u64,
}

struct Request {
    number: u64,
    sent: Instant,
    /// On a connection that has carried another one before, so that it may be sent again.
    on_kept: bool,
}

enum Outcome {
    Done(u64),
    Failed(u64),
}

impl Place {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = Some(open(address)?);
        Ok(Self { stream, request: None, answer: Vec::new(), repeats: 0 })
    }

    fn send(&mut self, address: SocketAddr, number: u64) -> io::Result<()> {
        if let Some(mut stream) = self.stream.take()
            && write(&mut stream).is_ok()
        {
            self.stream = Some(stream);
            self.request = Some(Request { number, sent: Instant::now(), on_kept: true });
            return Ok(());
        }
        self.send_anew(address, number)
    }

    fn send_anew(&mut self, address: SocketAddr, number: u64) -> io::Result<()> {
        let mut stream = open(address)?;
        write(&mut stream)?;
        self.stream = Some(stream);
        self.request = Some(Request { number, sent: Instant::now(), on_kept: false });
        Ok(())
    }

    /// Takes what is there; what came of the request, once that is known.
    fn receive(&mut self, address: SocketAddr) -> Option<Outcome> {
        let read = self.read();
        let Some(request) = self.request.take() else {
            // Idle: nothing is owed, so bytes are as wrong as an end is right.
            if !matches!(read, Ok(Progress::Waits)) {
                self.close();
            }
            return None;
        };
        match read {
            Ok(Progress::Waits) if request.sent.elapsed() < TIMEOUT => {
                self.request = Some(request);
                None
            }
            Ok(Progress::Whole { good: true }) => Some(Outcome::Done(request.number)),
            Ok(Progress::Whole { good: false }) => Some(Outcome::Failed(request.number)),
            Err(_) if request.on_kept && self.answer.is_empty() => {
                self.close();
                self.repeats += 1;
                match self.send_anew(address, request.number) {
                    Ok(()) => None,
                    Err(_) => Some(Outcome::Failed(request.number)),
                }
            }
            Ok(Progress::Waits) | Err(_) => {
                self.close();
                Some(Outcome::Failed(request.number))
            }
        }
    }

    fn is_overdue(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.sent.elapsed() >= TIMEOUT)
    }

    fn read(&mut self) -> io::Result<Progress> {
        let Some(stream) = &mut self.stream else { return Ok(Progress::Waits) };
        let mut buffer = [0; 4_096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self
                    .answer
                    .extend_from_slice(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if let Some(answer) = Answer::read(&self.answer)?
                && self.answer.len() >= answer.length
            {
                self.answer.clear();
                if answer.closes {
                    self.stream = None;
                }
                return Ok(Progress::Whole { good: answer.status == 200 });
            }
        }
        Ok(Progress::Waits)
    }

    fn close(&mut self) {
        self.stream = None;
        self.answer.clear();
    }
}

enum Progress {
    Waits,
    Whole { good: bool },
}

/// A connection that neither connects nor writes for long, and never waits to read.
fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// A request is smaller than any socket's buffer, which is empty: it is written whole or not at all.
fn write(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(REQUEST)
}

/// The places for which something came within `length`, or whose patience has ended.
fn ready(places: &[Place], length: Duration) -> Result<Vec<usize>> {
    let (indices, mut waited): (Vec<usize>, Vec<PollFd<'_>>) = places
        .iter()
        .enumerate()
        .filter_map(|(index, place)| Some((index, place.stream.as_ref()?)))
        .map(|(index, stream)| (index, PollFd::new(stream, PollFlags::IN)))
        .unzip();
    let length = Timespec::try_from(length.min(LONGEST_WAIT)).context("a time to wait")?;
    match poll(&mut waited, Some(&length)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error).context("waiting for answers"),
    }
    let came = indices.into_iter().zip(&waited).filter(|(index, waited)| {
        !waited.revents().is_empty() || places.get(*index).is_some_and(Place::is_overdue)
    });
    Ok(came.map(|(index, _)| index).collect())
}

/// What came of requests, all together and by when they were due.
struct Tally {
    rate: u64,
    errors: u64,
    repeats: u64,
    latency: Latency,
    slots: Option<Vec<(u64, Vec<u32>)>>,
}

impl Tally {
    fn new(arguments: RateArgs) -> Result<Self> {
        let slots = usize::try_from(arguments.seconds * SLOTS_PER_SECOND).context("the length")?;
        Ok(Self {
            rate: arguments.rate.into(),
            errors: 0,
            repeats: 0,
            latency: Latency::new()?,
            slots: arguments.timeline.then(|| vec![(0, Vec::new()); slots]),
        })
    }

    fn slot(&mut self, number: u64) -> Option<&mut (u64, Vec<u32>)> {
        let index = usize::try_from(number * SLOTS_PER_SECOND / self.rate).ok()?;
        self.slots.as_mut()?.get_mut(index)
    }

    fn done(&mut self, number: u64, took: Duration) {
        self.latency.record(took, 1);
        if let Some((_, times)) = self.slot(number) {
            times.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    fn error(&mut self, number: u64) {
        self.errors += 1;
        if let Some((errors, _)) = self.slot(number) {
            *errors += 1;
        }
    }

    fn finish(self, took: Duration) -> Paced {
        let slot = |(errors, mut times): (u64, Vec<u32>)| {
            times.sort_unstable();
            Slot {
                done: times.len() as u64,
                errors,
                median_us: times.get(times.len() / 2).copied().unwrap_or(0),
                worst_us: times.last().copied().unwrap_or(0),
            }
        };
        Paced {
            done: self.latency.count(),
            errors: self.errors,
            repeats: self.repeats,
            seconds: took.as_secs_f64(),
            latency: self.latency.curve(),
            slots: self
                .slots
                .unwrap_or_default()
                .into_iter()
                .map(slot)
                .collect(),
        }
    }
}

/// Parts of a timeline.
pub(crate) const SLOTS_PER_SECOND: u64 = 10;
/// Of [`HOST`](crate::scenario::HOST).
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long after the last request was due its answer counts.
const PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::HOST;
    use std::net::TcpListener;
    use std::thread;

    /// Serves each connection with one of `conducts` in turn, and the last of them ever after.
    fn serve(conducts: &'static [fn(TcpStream) -> io::Result<()>]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let conduct = conducts[number.min(conducts.len() - 1)];
                thread::spawn(move || conduct(stream));
            }
        });
        address
    }

    fn answer(stream: &mut TcpStream, status: &str) -> io::Result<()> {
        let mut request = [0; REQUEST.len()];
        stream.read_exact(&mut request)?;
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok").as_bytes())
    }

    fn good(mut stream: TcpStream) -> io::Result<()> {
        loop {
            answer(&mut stream, "200 OK")?;
        }
    }

    fn closes_after_one(mut stream: TcpStream) -> io::Result<()> {
        answer(&mut stream, "200 OK")
    }

    fn closes_without_answer(mut stream: TcpStream) -> io::Result<()> {
        stream.read_exact(&mut [0; REQUEST.len()])
    }

    fn refuses(mut stream: TcpStream) -> io::Result<()> {
        loop {
            answer(&mut stream, "503 No")?;
        }
    }

    fn run(conducts: &'static [fn(TcpStream) -> io::Result<()>]) -> Paced {
        let address = serve(conducts);
        let arguments = RateArgs { address, rate: 50, connections: 1, seconds: 1, timeline: true };
        load(arguments).unwrap()
    }

    #[test]
    fn every_request_that_was_due_is_counted() {
        for (case, conducts, errors) in [
            ("good", &[good as fn(TcpStream) -> io::Result<()>] as &'static [_], 0),
            ("closed between requests", &[closes_after_one, good], 0),
            ("no answer, and one when asked again", &[closes_without_answer, good], 0),
            ("never an answer", &[closes_without_answer, closes_without_answer, good], 1),
            ("refused", &[refuses], 50),
        ] {
            let run = run(conducts);
            assert_eq!((run.done + run.errors, run.errors), (50, errors), "{case}: {run}");
            assert_eq!(run.slots.len(), 10, "{case}");
            let of_slots: u64 = run.slots.iter().map(|slot| slot.done + slot.errors).sum();
            assert_eq!(of_slots, 50, "{case}");
        }
    }

    #[test]
    fn what_waits_for_a_stalled_server_has_waited_since_it_was_due() {
        fn stalls(mut stream: TcpStream) -> io::Result<()> {
            stream.read_exact(&mut [0; REQUEST.len()])?;
            #[expect(clippy::disallowed_methods, reason = "a server that stalls is the case")]
            thread::sleep(Duration::from_millis(600));
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
            good(stream)
        }
        let run = run(&[stalls]);
        assert_eq!(run.errors, 0, "{run}");
        // One request alone was sent to the stalled server; those due meanwhile have waited too.
        let slow = run.latency.at(75.0).unwrap();
        assert!(slow > 50_000.0, "{run}");
    }

    #[test]
    fn the_request_is_for_the_host_of_the_scenarios() {
        let request = String::from_utf8_lossy(REQUEST);
        assert!(request.contains(&format!("Host: {HOST}\r\n")), "{request}");
    }
}
