//! Why a relay did not end in order: whose connection broke, and whether that says anything of an
//! endpoint.
//!
//! A reset says that an endpoint failed its client only while the client still waits for the first
//! byte: one that has ended its half, or is gone, may be left without an answer, and so may one
//! whose endpoint has ended its own half in order. What became of it is not decided here.

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::limit::is_exhausted;

/// Why a relay did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The client's connection broke.
    #[error("the client's connection broke: {0}")]
    Downstream(#[source] io::Error),
    /// The endpoint's did.
    #[error("the endpoint's connection broke: {error}")]
    Upstream {
        /// How.
        #[source]
        error: io::Error,
        /// Whether the client still waited for the first byte of the endpoint.
        is_unanswered: bool,
    },
    /// Nothing passed for as long as the patience of the relay allows.
    #[error("nothing passed for too long")]
    Quiet,
}

/// Where one direction of a relay broke.
#[derive(Debug)]
pub(super) enum Broken {
    /// At the side that it reads.
    Reading(io::Error),
    /// At the side that it writes.
    Writing(io::Error),
}

impl Cut {
    /// The endpoint's connection broke; `is_awaited`: while its client waited for the first byte.
    pub(super) fn upstream(error: io::Error, is_awaited: bool) -> Self {
        // A broken pipe is what follows an end in order, and want of memory is this host's own.
        let is_fault = error.kind() != ErrorKind::BrokenPipe && !is_exhausted(&error);
        Self::Upstream { error, is_unanswered: is_awaited && is_fault }
    }
}

/// Whether the peer of `stream` has ended its half, or is gone, behind what was read.
pub(super) fn has_ended(stream: &TcpStream) -> bool {
    match ahead(stream) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Whether bytes came that nobody has read.
pub(super) fn has_bytes(stream: &TcpStream) -> bool {
    matches!(ahead(stream), Ok(1..))
}

fn ahead(stream: &TcpStream) -> io::Result<usize> {
    SockRef::from(stream).peek(&mut [MaybeUninit::uninit()])
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::super::tests::{FOREVER, pair};
    use super::super::{relay, reset};
    use super::*;

    /// What happens at the two ends of a relay, one after the other.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// The client sends a byte, and the endpoint has it.
        Asks,
        /// The endpoint sends a byte, and the client has it.
        Answers,
        /// The client ends its half, and the endpoint knows.
        ClientEnds,
        /// The endpoint ends its half, and the client knows.
        EndpointEnds,
        /// The client resets.
        ClientResets,
        /// The endpoint resets.
        EndpointResets,
    }

    async fn step(step: Step, client: &mut Option<TcpStream>, server: &mut Option<TcpStream>) {
        let (from, to) = match step {
            Step::Asks | Step::ClientEnds | Step::ClientResets => (client, server),
            Step::Answers | Step::EndpointEnds | Step::EndpointResets => (server, client),
        };
        let Some(stream) = from else { panic!("{step:?}: it is gone") };
        let read = match step {
            Step::Asks | Step::Answers => {
                stream.write_all(b"x").await.unwrap();
                1
            }
            Step::ClientEnds | Step::EndpointEnds => {
                stream.shutdown().await.unwrap();
                0
            }
            Step::ClientResets | Step::EndpointResets => {
                reset(stream);
                return drop(from.take());
            }
        };
        let Some(stream) = to else { panic!("{step:?}: nobody is there") };
        assert_eq!(stream.read(&mut [0]).await.unwrap(), read, "{step:?}");
    }

    #[tokio::test]
    async fn a_reset_says_something_of_an_endpoint_while_its_client_waits_for_the_first_byte() {
        use Step::{Answers, Asks, ClientEnds, ClientResets, EndpointEnds, EndpointResets};
        for (case, steps, want) in [
            ("before anything", &[EndpointResets][..], Some(true)),
            ("in place of an answer", &[Asks, EndpointResets], Some(true)),
            ("after a byte", &[Asks, Answers, EndpointResets], Some(false)),
            ("after a greeting", &[Answers, EndpointResets], Some(false)),
            ("the client had ended its half", &[Asks, ClientEnds, EndpointResets], Some(false)),
            ("a client that said nothing", &[ClientEnds, EndpointResets], Some(false)),
            ("after an end in order", &[Asks, EndpointEnds, EndpointResets], None),
            ("the client resets", &[ClientResets], None),
            ("the client resets after it asked", &[Asks, ClientResets], None),
            ("both end in order, nothing said", &[ClientEnds, EndpointEnds], None),
            ("the endpoint ends first, nothing said", &[EndpointEnds, ClientEnds], None),
        ] {
            let (client, downstream) = pair().await;
            let (upstream, server) = pair().await;
            let relay = relay(downstream, upstream, FOREVER, |_| {});
            let work = async {
                let (mut client, mut server) = (Some(client), Some(server));
                for it in steps {
                    step(*it, &mut client, &mut server).await;
                }
                // Who is still there reads to the end, so that the relay comes to its own.
                for stream in [client, server].iter_mut().flatten() {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            };
            let (ended, ()) = tokio::join!(relay, work);
            let got = match ended {
                Err(Cut::Upstream { is_unanswered, .. }) => Some(is_unanswered),
                Ok(()) | Err(Cut::Downstream(_)) => None,
                Err(Cut::Quiet) => panic!("{case}: it has no limit"),
            };
            assert_eq!(got, want, "{case}");
        }
    }

    #[tokio::test]
    async fn what_came_before_a_reset_is_seen_though_nobody_has_read_it() {
        let (mut client, downstream) = pair().await;
        let (upstream, mut server) = pair().await;
        server.write_all(b"x").await.unwrap();
        client.shutdown().await.unwrap();
        upstream.readable().await.unwrap();
        downstream.readable().await.unwrap();
        assert!(has_bytes(&upstream) && !has_ended(&upstream));
        assert!(has_ended(&downstream) && !has_bytes(&downstream));
    }

    #[test]
    fn an_end_in_order_and_want_of_memory_are_nobodys_fault() {
        for (code, want) in [
            (libc::ECONNRESET, true),
            (libc::ETIMEDOUT, true),
            (libc::EHOSTUNREACH, true),
            (libc::EPIPE, false),
            (libc::ENOBUFS, false),
        ] {
            let cut = Cut::upstream(io::Error::from_raw_os_error(code), true);
            let Cut::Upstream { is_unanswered, .. } = cut else { panic!("{cut}") };
            assert_eq!(is_unanswered, want, "{code}");
        }
    }
}
