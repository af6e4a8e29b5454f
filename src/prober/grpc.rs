//! `grpc` (`services 6`): `grpc.health.v1.Health/Check` without TLS; SERVING alone is success.
//!
//! The two messages of the protocol have one field each and are written and read here by hand.
//! Every other answer is a failure, whatever is wrong with it, as the kubelet has it.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::http2::{self, Reply};
use super::wire::Wire;
use super::worker::Answer;
use crate::protobuf::{Held, take_field};

/// Asks about `service` at `address` by `deadline`, which is `timeout` away.
pub(super) async fn probe(
    (address, port): (IpAddr, u16),
    service: &str,
    wire: &Wire,
    (deadline, timeout): (Instant, Duration),
) -> Answer {
    let authority = std::net::SocketAddr::new(address, port).to_string();
    let request = match request(&authority, timeout) {
        Ok(request) => request,
        Err(error) => return Answer::error(error.to_string()),
    };
    let dialled = timeout_at(deadline, wire.dial(&address.to_string(), port)).await;
    let stream = match dialled.unwrap_or_else(|_| Err(super::run::LATE.to_owned())) {
        Ok(stream) => Box::new(stream),
        Err(why) => return Answer::failure(format!("failed to connect service: {why}")),
    };
    match http2::exchange(stream, request, check_request(service), deadline).await {
        Ok(reply) => judge(&reply),
        Err(reason) => Answer::failure(format!("health rpc probe failed: {reason}")),
    }
}

fn request(authority: &str, timeout: Duration) -> http::Result<Request<()>> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, super::USER_AGENT);
    // At most eight digits.
    let seconds = timeout.as_secs().min(99_999_999);
    request
        .header("grpc-timeout", format!("{seconds}S"))
        .body(())
}

/// `HealthCheckRequest`, framed: not compressed, its length, field 1 unless it is empty.
fn check_request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(FIELD_1_TEXT);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or(0));
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

fn judge(reply: &Reply) -> Answer {
    let failed = |why: &str| Answer::failure(format!("health rpc probe failed: {why}"));
    let of = |name| {
        let fields = [&reply.trailers, &reply.headers];
        fields.into_iter().find_map(|it: &HeaderMap| it.get(name))
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    match of("grpc-status").map(HeaderValue::as_bytes) {
        Some(b"0") => {}
        Some(UNIMPLEMENTED) => {
            return Answer::failure(
                "this server does not implement the grpc health protocol (grpc.health.v1.Health)",
            );
        }
        Some(code) => {
            let code = String::from_utf8_lossy(code);
            let message = of("grpc-message").map(text).unwrap_or_default();
            return failed(&format!("code {code}: {message}"));
        }
        None if reply.status != StatusCode::OK => {
            return failed(&format!("HTTP status {}", reply.status.as_u16()));
        }
        None => return failed(reply.broke_off.as_deref().unwrap_or("no grpc-status")),
    }
    match serving_status(&reply.body) {
        None => failed("the answer is no HealthCheckResponse"),
        Some(1) => Answer::success(""),
        Some(status) => {
            let name = match status {
                0 => "UNKNOWN",
                2 => "NOT_SERVING",
                3 => "SERVICE_UNKNOWN",
                _ => "another status",
            };
            Answer::failure(format!("service unhealthy (responded with {name:?})"))
        }
    }
}

/// Field 1 of a framed `HealthCheckResponse`, 0 where it is absent; none where it is no such message.
fn serving_status(framed: &[u8]) -> Option<u64> {
    let (&[is_compressed, a, b, c, d], message) = framed.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    if is_compressed != 0 || message.len() != length {
        return None;
    }
    let (mut rest, mut status) = (message, 0);
    while !rest.is_empty() {
        if let (1, Held::Number(value)) = take_field(&mut rest)? {
            status = value;
        }
    }
    Some(status)
}

/// Field 1, length-delimited.
const FIELD_1_TEXT: u8 = 0x0a;
const UNIMPLEMENTED: &[u8] = b"12";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prober::worker::Outcome;

    #[test]
    fn a_request_says_the_name_of_its_service() {
        let long = "x".repeat(300);
        for (service, want) in [
            ("", vec![0, 0, 0, 0, 0]),
            ("db", vec![0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']),
            (&long, [&[0, 0, 0, 1, 47, 0x0a, 0xac, 0x02], long.as_bytes()].concat()),
        ] {
            assert_eq!(check_request(service), want, "{service}");
        }
    }

    #[test]
    fn serving_alone_is_success() {
        let framed = |message: &[u8]| {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            [&[0], &length[..], message].concat()
        };
        let serving = framed(&[0x08, 1]);
        for (case, status, body, trailers, want) in [
            ("serving", 200, serving.clone(), &[("grpc-status", "0")][..], ""),
            (
                "and a field of later days",
                200,
                framed(&[0x12, 1, b'x', 0x08, 1]),
                &[("grpc-status", "0")],
                "",
            ),
            ("not serving", 200, framed(&[0x08, 2]), &[("grpc-status", "0")], "NOT_SERVING"),
            ("nothing said", 200, framed(&[]), &[("grpc-status", "0")], "UNKNOWN"),
            ("unknown there", 200, framed(&[0x08, 3]), &[("grpc-status", "0")], "SERVICE_UNKNOWN"),
            ("no health protocol", 200, vec![], &[("grpc-status", "12")], "does not implement"),
            (
                "no such service",
                200,
                vec![],
                &[("grpc-status", "5"), ("grpc-message", "unknown service")],
                "code 5: unknown service",
            ),
            ("a web server", 404, b"not here".to_vec(), &[], "HTTP status 404"),
            ("no trailers", 200, serving.clone(), &[], "no grpc-status"),
            ("nothing at all", 200, vec![], &[("grpc-status", "0")], "no HealthCheckResponse"),
            (
                "compressed",
                200,
                vec![1, 0, 0, 0, 2, 8, 1],
                &[("grpc-status", "0")],
                "no HealthCheck",
            ),
            ("cut", 200, serving[..6].to_vec(), &[("grpc-status", "0")], "no HealthCheckResponse"),
            ("broken", 200, framed(&[0x0b, 1]), &[("grpc-status", "0")], "no HealthCheckResponse"),
            (
                "endless",
                200,
                framed(&[0xff; 11]),
                &[("grpc-status", "0")],
                "no HealthCheckResponse",
            ),
            (
                "too long",
                200,
                framed(&[0x12, 0xff, 0x7f]),
                &[("grpc-status", "0")],
                "no HealthCheck",
            ),
        ] {
            let mut reply =
                Reply { status: StatusCode::from_u16(status).unwrap(), body, ..Reply::default() };
            for &(name, value) in trailers {
                reply.trailers.insert(name, HeaderValue::from_static(value));
            }
            let answer = judge(&reply);
            assert_eq!(answer.outcome == Outcome::Success, want.is_empty(), "services 6: {case}");
            assert!(answer.message.contains(want), "{case}: {}", answer.message);
        }
    }
}
