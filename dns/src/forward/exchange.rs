//! One question to one upstream: a datagram, or a stream where that is not enough (`dns 4.1`).
//!
//! Who does not see the traffic cannot forge a reply (RFC 5452): id, port and the case of letters are
//! random for each query, and what does not fit them is counted and waited past. Too many of those,
//! and the question is asked over a stream. The caller brings the time it may take.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use portico_config::model::UpstreamTransport;
use portico_net::datagram;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::message::{Ask, LETTERS, Match, compare};
use super::metrics::Metrics;
use super::random::{Exhausted, Random};
use super::response::Response;
use super::streams::Streams;
use super::upstream::Upstream;

/// Why a question came back without a reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The network or the upstream's host says so.
    #[error("{0}")]
    Network(#[from] io::Error),
    /// What came over a stream is no reply to what was asked.
    #[error("the reply is malformed, or to another question")]
    Malformed,
    /// Nothing can be asked that nobody could guess.
    #[error("the system's random numbers have failed")]
    Random,
}

/// What one query came to.
enum Said {
    Response(Response),
    /// Only a stream can tell whether this is the upstream's word.
    Doubtful,
    /// It does not take our OPT.
    Formerr,
}

/// Asks, for one worker.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) random: Rc<RefCell<Random>>,
    pub(crate) streams: Streams,
    pub(crate) metrics: Metrics,
}

impl Exchange {
    /// The upstream's response to `ask`.
    pub(crate) async fn run(&self, upstream: &Upstream, ask: &Ask) -> Result<Response, Fault> {
        let begun = Instant::now();
        let result = self.tries(upstream, ask).await;
        let rcode = result.as_ref().ok().map(Response::rcode);
        upstream
            .metrics
            .exchanged(rcode, begun.elapsed().as_secs_f64());
        result
    }

    async fn tries(&self, upstream: &Upstream, ask: &Ask) -> Result<Response, Fault> {
        let mut by_stream = upstream.address.transport != UpstreamTransport::Udp;
        let mut with_opt = true;
        loop {
            let said = match by_stream {
                true => self.by_stream(upstream, ask, with_opt).await?,
                false => self.by_datagram(upstream, ask, with_opt).await?,
            };
            match said {
                Said::Formerr if with_opt => with_opt = false,
                Said::Doubtful if !by_stream => by_stream = true,
                Said::Response(response) if response.is_truncated() && !by_stream => {
                    by_stream = true;
                }
                Said::Response(response) => return Ok(response),
                Said::Formerr | Said::Doubtful => return Err(Fault::Malformed),
            }
        }
    }

    async fn by_datagram(
        &self,
        upstream: &Upstream,
        ask: &Ask,
        with_opt: bool,
    ) -> Result<Said, Fault> {
        let letters = match upstream.forgets_case() {
            true => [0; LETTERS],
            false => self.random.borrow_mut().octets()?,
        };
        let query = ask.query(self.random.borrow_mut().id()?, letters, with_opt);
        // A port of its own, which the kernel chooses at random; strangers do not reach it.
        let socket = datagram::connect(upstream.address.address).map_err(io::Error::other)?;
        let socket = UdpSocket::from_std(socket)?;
        socket.send(&query).await?;
        let mut buffer = vec![0; LONGEST_DATAGRAM];
        for _ in 0..MOST_MISMATCHES {
            let length = socket.recv(&mut buffer).await?;
            let reply = buffer.get(..length).unwrap_or_default();
            match compare(&query, ask.question_end(), reply) {
                Match::Same => match self.read(ask, reply, with_opt) {
                    Ok(said) => return Ok(said),
                    // Whoever sent it knew the secrets: no other will come.
                    Err(_) => return Ok(Said::Doubtful),
                },
                Match::OtherCase => return Ok(Said::Doubtful),
                Match::Bare => return Ok(Said::Formerr),
                Match::Foreign => self.metrics.mismatches.inc(),
            }
        }
        Ok(Said::Doubtful)
    }

    async fn by_stream(
        &self,
        upstream: &Upstream,
        ask: &Ask,
        with_opt: bool,
    ) -> Result<Said, Fault> {
        let (id, letters) = {
            let mut random = self.random.borrow_mut();
            (random.id()?, random.octets()?)
        };
        let query = ask.query(id, letters, with_opt);
        let reply = self.streams.exchange(upstream, &query).await?;
        match compare(&query, ask.question_end(), &reply) {
            Match::Same => self.read(ask, &reply, with_opt),
            Match::OtherCase => {
                upstream.has_forgotten_case();
                self.read(ask, &reply, with_opt)
            }
            Match::Bare => Ok(Said::Formerr),
            Match::Foreign => {
                self.metrics.mismatches.inc();
                Err(Fault::Malformed)
            }
        }
    }

    /// FORMERR to a query with an OPT may be about that alone.
    fn read(&self, ask: &Ask, reply: &[u8], with_opt: bool) -> Result<Said, Fault> {
        let Some(response) = Response::read(ask, reply) else {
            self.metrics.malformed.inc();
            return Err(Fault::Malformed);
        };
        Ok(match response.rcode() {
            1 if with_opt => Said::Formerr,
            _ => Said::Response(response),
        })
    }
}

impl From<Exhausted> for Fault {
    fn from(_: Exhausted) -> Self {
        Self::Random
    }
}

/// More than we say that we take, for those that do not listen.
const LONGEST_DATAGRAM: usize = 4096;
/// Replies to another question before a stream decides.
const MOST_MISMATCHES: usize = 32;
