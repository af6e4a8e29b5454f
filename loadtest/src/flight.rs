//! Questions under way over one socket: sent together, answers checked one by one.
//!
//! ```text
//! send ─▶ all open ─receive─▶ fewer open … ─▶ none open ─▶ send
//! ```
//!
//! Invariants: a flight is sent again only once each of its questions was answered or given up; the
//! numbers of a flight are not those of the one before, so that an answer that comes late is none of
//! this flight's and is passed over.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{MMsgHdr, RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmmsg};

use crate::latency::Latency;

/// What came of questions, counted over all flights.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// Unanswered for [`TIMEOUT`], or not even taken.
    pub(crate) lost: u64,
    /// Answered with another question, another response code, or nothing.
    pub(crate) wrong: u64,
    pub(crate) latency: Latency,
}

/// The questions of one socket.
#[derive(Debug)]
pub(crate) struct Flight {
    line: Line,
    queries: Vec<Query>,
    open: usize,
    first_id: u16,
    sent: Instant,
    rcode: u8,
}

#[derive(Debug, Default)]
struct Query {
    /// The length as TCP wants it, the header, the question.
    bytes: Vec<u8>,
    open: bool,
}

impl Flight {
    /// A socket to `server` with room for `window` questions that are answered with `rcode`.
    pub(crate) fn udp(server: SocketAddr, window: u16, rcode: u8) -> io::Result<Self> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self::over(Line::Udp(Datagrams(socket)), window, rcode))
    }

    /// As [`Flight::udp`], over a connection.
    pub(crate) fn tcp(server: SocketAddr, window: u16, rcode: u8) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self::over(Line::Tcp(Frames { stream, taken: Vec::new() }), window, rcode))
    }

    fn over(line: Line, window: u16, rcode: u8) -> Self {
        let queries = (0..window).map(|_| Query::default()).collect();
        Self { line, queries, open: 0, first_id: 0, sent: Instant::now(), rcode }
    }

    /// Asks the next questions, as many as there is room for; what the socket does not take is lost.
    pub(crate) fn send<'q>(
        &mut self,
        questions: &mut impl Iterator<Item = &'q [u8]>,
        tally: &mut Tally,
    ) {
        let room = self.queries.len();
        self.first_id = self
            .first_id
            .wrapping_add(u16::try_from(room).unwrap_or(u16::MAX));
        let mut id = self.first_id;
        for (query, question) in self.queries.iter_mut().zip(questions) {
            query.ask(id, question);
            id = id.wrapping_add(1);
        }
        self.sent = Instant::now();
        let sent = self.line.send(&self.queries).unwrap_or(0);
        for query in self.queries.iter_mut().skip(sent) {
            query.open = false;
        }
        self.open = sent;
        tally.lost += (room - sent) as u64;
    }

    /// Waits until there is an answer, and takes what there is.
    pub(crate) fn receive(&mut self, tally: &mut Tally) {
        if self.open == 0 {
            return;
        }
        let patient = self.sent.elapsed() < TIMEOUT;
        let (queries, first_id, rcode) = (&mut self.queries, self.first_id, self.rcode);
        let (mut good, mut wrong) = (0, 0);
        let received =
            self.line
                .receive(patient, self.open, &mut |answer| match judge(
                    queries, first_id, rcode, answer,
                ) {
                    Some(true) => good += 1,
                    Some(false) => wrong += 1,
                    None => {}
                });
        tally.answered += good;
        tally.wrong += wrong;
        tally.latency.record(self.sent.elapsed(), good);
        self.open -= usize::try_from(good + wrong).unwrap_or(self.open);
        if received.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            tally.lost += self.open as u64;
            self.open = 0;
        }
    }

    /// Takes every answer, or gives up.
    pub(crate) fn receive_all(&mut self, tally: &mut Tally) {
        while self.open > 0 {
            self.receive(tally);
        }
    }
}

impl Query {
    fn ask(&mut self, id: u16, question: &[u8]) {
        let length = u16::try_from(HEADER_BYTES + question.len()).unwrap_or(u16::MAX);
        self.bytes.clear();
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(id.to_be_bytes());
        // Recursion desired, one question.
        self.bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend(question);
        self.open = true;
    }

    fn datagram(&self) -> &[u8] {
        self.bytes.get(PREFIX_BYTES..).unwrap_or_default()
    }

    fn question(&self) -> &[u8] {
        self.bytes
            .get(PREFIX_BYTES + HEADER_BYTES..)
            .unwrap_or_default()
    }
}

/// Whether an answer is the one that was wanted; None for one that nobody waits for.
fn judge(queries: &mut [Query], first_id: u16, rcode: u8, answer: &[u8]) -> Option<bool> {
    let [a, b, flags, code, _, questions, _, answers, ..] = *answer else { return None };
    let index = u16::from_be_bytes([a, b]).wrapping_sub(first_id);
    let query = queries.get_mut(usize::from(index))?;
    if !std::mem::take(&mut query.open) {
        return None;
    }
    let asked = query.question();
    let same = answer.get(HEADER_BYTES..HEADER_BYTES + asked.len()) == Some(asked);
    let whole = flags & RESPONSE != 0 && flags & TRUNCATED == 0 && questions == 1;
    Some(same && whole && code & 0x0f == rcode && (rcode != 0 || answers > 0))
}

#[derive(Debug)]
enum Line {
    Udp(Datagrams),
    Tcp(Frames),
}

impl Line {
    /// How many the socket has taken.
    fn send(&mut self, queries: &[Query]) -> io::Result<usize> {
        match self {
            // A refusal of the datagrams before is told here; these are tried once more.
            Self::Udp(line) => line.send(queries).or_else(|_| line.send(queries)),
            Self::Tcp(line) => line.send(queries),
        }
    }

    /// Hands over what has come, of datagrams at most `most`; waits for it if `patient`, and fails
    /// where there is nothing.
    fn receive(
        &mut self,
        patient: bool,
        most: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        match self {
            Self::Udp(line) => line.receive(patient, most, take),
            Self::Tcp(line) if patient => line.receive(take),
            Self::Tcp(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Many datagrams in a call, there; one after the other, back.
#[derive(Debug)]
struct Datagrams(UdpSocket);

impl Datagrams {
    fn send(&self, queries: &[Query]) -> io::Result<usize> {
        let slices: Vec<[IoSlice<'_>; 1]> = queries
            .iter()
            .map(|query| [IoSlice::new(query.datagram())])
            .collect();
        let mut nothing: Vec<SendAncillaryBuffer<'_, '_, '_>> = queries
            .iter()
            .map(|_| SendAncillaryBuffer::default())
            .collect();
        let mut messages: Vec<MMsgHdr<'_>> = slices
            .iter()
            .zip(&mut nothing)
            .map(|(slices, nothing)| MMsgHdr::new(slices, nothing))
            .collect();
        Ok(sendmmsg(&self.0, &mut messages, SendFlags::empty())?)
    }

    /// Takes at most `most`; the first is waited for if `patient`.
    fn receive(&self, patient: bool, most: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; MAX_ANSWER_BYTES];
        let first = if patient { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
        for index in 0..most {
            let flags = if index == 0 { first } else { RecvFlags::DONTWAIT };
            match recv(&self.0, &mut buffer, flags) {
                Ok((length, _)) => take(buffer.get(..length).unwrap_or_default()),
                Err(Errno::AGAIN) if index > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A connection, and what of an answer has come so far.
#[derive(Debug)]
struct Frames {
    stream: TcpStream,
    taken: Vec<u8>,
}

impl Frames {
    fn send(&mut self, queries: &[Query]) -> io::Result<usize> {
        let all: Vec<u8> = queries
            .iter()
            .flat_map(|query| query.bytes.iter().copied())
            .collect();
        self.stream.write_all(&all)?;
        Ok(queries.len())
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; 4_096];
        let read = self.stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.taken
            .extend_from_slice(buffer.get(..read).unwrap_or_default());
        let mut rest = self.taken.as_slice();
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some((answer, after)) = after.split_at_checked(length) else { break };
            take(answer);
            rest = after;
        }
        let done = self.taken.len() - rest.len();
        self.taken.drain(..done);
        Ok(())
    }
}

/// After so long, a question is given up.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HEADER_BYTES: usize = 12;
const PREFIX_BYTES: usize = 2;
/// What a server may send to one who says nothing of more.
const MAX_ANSWER_BYTES: usize = 512;
const RESPONSE: u8 = 0x80;
const TRUNCATED: u8 = 0x02;
