//! One run of a probe, from what is written to what it comes to (`services 6`).
//!
//! Invariants: no longer than the timeout of the probe for each attempt; an error is tried three times
//! at once and is one then; nothing is kept between two runs.

use std::net::IpAddr;

use portico_config::model::{ExecProbe, Probe, ProbeAction};
use tokio::time::{Instant, timeout_at};

use super::wire::Wire;
use super::worker::{Answer, Outcome};
use super::{grpc, http};

/// Carries a probe of the Pod at `address` out.
pub(super) async fn carry_out(
    probe: &Probe,
    address: IpAddr,
    exec: ExecProbe,
    wire: &Wire,
) -> Answer {
    let mut answer = once(probe, address, exec, wire).await;
    for _ in 1..ATTEMPTS {
        if answer.outcome != Outcome::Error {
            break;
        }
        answer = once(probe, address, exec, wire).await;
    }
    answer
}

async fn once(probe: &Probe, address: IpAddr, exec: ExecProbe, wire: &Wire) -> Answer {
    let deadline = Instant::now() + probe.timeout;
    match &probe.action {
        ProbeAction::Http(http) => http::probe(http, &address.to_string(), wire, deadline).await,
        ProbeAction::Tcp { host, port } => {
            let Some(port) = *port else { return Answer::error(NO_PORT) };
            let address = address.to_string();
            let dial = wire.dial(host.as_deref().unwrap_or(&address), port);
            match timeout_at(deadline, dial).await {
                Ok(Ok(_)) => Answer::success(""),
                Ok(Err(reason)) => Answer::failure(reason),
                Err(_) => Answer::failure(LATE),
            }
        }
        ProbeAction::Grpc { port, service } => {
            grpc::probe((address, *port), service, wire, (deadline, probe.timeout)).await
        }
        ProbeAction::Exec => match exec {
            ExecProbe::Ready => Answer::success(NOT_RUN),
            ExecProbe::Unready => Answer::failure(NOT_RUN),
        },
    }
}

pub(super) const NO_PORT: &str = "the container has no port of that name";
pub(super) const LATE: &str = "no answer within the timeout";
const NOT_RUN: &str = "commands are not run: --exec-probe says what they come to";
/// Of one run that ends in errors.
const ATTEMPTS: usize = 3;
