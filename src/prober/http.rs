//! `httpGet` (`services 6`): one request as the kubelet makes it, on a connection of its own.
//!
//! Invariants: at most [`MAX_BODY_BYTES`] of a body are read, and at most [`MAX_REQUESTS`] requests
//! made, all to the same host. No answer in time is a failure, a body that breaks off is an error.

use http::header::{
    ACCEPT, CONNECTION, HOST, LOCATION, REFERER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use portico_config::model::HttpProbe;
use tokio::time::{Instant, timeout_at};

use super::http2;
use super::target::{Target, is_absolute};
use super::wire::{Bytes, HttpIo, Wire};
use super::worker::Answer;

/// What an answer comes to, as far as a probe looks at it.
struct Reply {
    status: StatusCode,
    location: Option<String>,
    /// What was wrong with the body.
    body: Result<(), String>,
}

/// Carries a probe out by `deadline`, at `address` where it names no host.
pub(super) async fn probe(
    probe: &HttpProbe,
    address: &str,
    wire: &Wire,
    deadline: Instant,
) -> Answer {
    let Some(port) = probe.port else { return Answer::error(super::run::NO_PORT) };
    let Some(mut headers) = headers(probe) else {
        return Answer::error("a header has a value that cannot be sent");
    };
    let mut target = Target::of(probe, port, address);
    let first_host = target.host.clone();
    for _ in 0..MAX_REQUESTS {
        let reply = match ask(&target, &headers, wire, deadline).await {
            Ok(reply) => reply,
            Err(reason) => return Answer::failure(reason),
        };
        let is_redirect = matches!(reply.status.as_u16(), 301..=303 | 307 | 308);
        let Some(location) = reply.location.as_deref().filter(|_| is_redirect) else {
            return judge(reply);
        };
        let next = match target.follow(location) {
            Ok(next) => next,
            Err(reason) => return Answer::failure(reason),
        };
        if next.host != first_host {
            return Answer::success(format!(
                "redirected to another host, {}: not followed",
                next.host
            ));
        }
        // A Host that was written counts for what is written from there.
        if is_absolute(location) {
            headers.remove(HOST);
        }
        if next.tls || !target.tls {
            let from = HeaderValue::try_from(target.url());
            from.into_iter()
                .for_each(|from| drop(headers.insert(REFERER, from)));
        }
        target = next;
    }
    Answer::failure(format!("stopped after {MAX_REQUESTS} redirects"))
}

/// What was written, and what the kubelet adds; none where a value is no header's.
fn headers(probe: &HttpProbe) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &probe.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value).ok()?);
    }
    for (name, default) in [(USER_AGENT, super::USER_AGENT), (ACCEPT, "*/*")] {
        let value = headers
            .entry(&name)
            .or_insert(HeaderValue::from_static(default));
        if value.is_empty() {
            headers.remove(&name);
        }
    }
    if headers.get(HOST).is_some_and(HeaderValue::is_empty) {
        headers.remove(HOST);
    }
    Some(headers)
}

/// Asks once; fails with why there was no answer.
async fn ask(
    target: &Target,
    headers: &HeaderMap,
    wire: &Wire,
    deadline: Instant,
) -> Result<Reply, String> {
    let late = |_| super::run::LATE.to_owned();
    let opened = async {
        let stream = wire.dial(&target.host, target.port).await?;
        match target.tls {
            false => Ok::<(Box<dyn Bytes>, bool), String>((Box::new(stream), false)),
            true => {
                let secured = wire.secure(&target.host, stream).await?;
                Ok((secured.stream, secured.is_h2))
            }
        }
    };
    let (stream, is_h2) = timeout_at(deadline, opened).await.map_err(late)??;
    match is_h2 {
        true => exchange_in_h2(stream, target, headers, deadline).await,
        false => exchange(stream, target, headers, deadline).await,
    }
}

/// One exchange in HTTP/1.
async fn exchange(
    stream: Box<dyn Bytes>,
    target: &Target,
    headers: &HeaderMap,
    deadline: Instant,
) -> Result<Reply, String> {
    let mut request = Request::new(Empty::<bytes::Bytes>::new());
    *request.uri_mut() = target
        .path
        .parse()
        .map_err(|_| format!("{:?} is no path", target.path))?;
    *request.headers_mut() = headers.clone();
    let own = request.headers_mut();
    if !own.contains_key(HOST) {
        let host = HeaderValue::try_from(&target.authority);
        own.insert(HOST, host.map_err(|error| error.to_string())?);
    }
    own.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut client = hyper::client::conn::http1::Builder::new();
    client.title_case_headers(true).max_headers(MAX_HEADERS);
    let (mut sender, connection) = client
        .handshake(HttpIo(stream))
        .await
        .map_err(|error| error.to_string())?;
    let answered = async {
        let response = timeout_at(deadline, sender.send_request(request)).await;
        let response = response.map_err(|_| super::run::LATE.to_owned())?;
        Ok(read(response.map_err(|error| because(&error))?, deadline).await)
    };
    // Whatever the connection comes to, the exchange hears of it.
    let driven = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        reply = answered => reply,
        reply = driven => reply,
    }
}

/// One exchange in HTTP/2.
async fn exchange_in_h2(
    stream: Box<dyn Bytes>,
    target: &Target,
    headers: &HeaderMap,
    deadline: Instant,
) -> Result<Reply, String> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = host.unwrap_or(&target.authority);
    let mut request = Request::new(());
    *request.uri_mut() = format!("https://{authority}{}", target.path)
        .parse()
        .map_err(|_| format!("{authority:?} is no authority"))?;
    *request.headers_mut() = headers.clone();
    for hop_by_hop in HOP_BY_HOP {
        request.headers_mut().remove(hop_by_hop);
    }
    let reply = http2::exchange(stream, request, bytes::Bytes::new(), deadline).await?;
    let body = reply.broke_off.map_or(Ok(()), Err);
    Ok(Reply { status: reply.status, location: location(&reply.headers), body })
}

/// Reads the body as far as it counts.
async fn read(response: Response<Incoming>, deadline: Instant) -> Reply {
    let status = response.status();
    let location = location(response.headers());
    let mut body = response.into_body();
    let mut length = 0;
    let read = async {
        while length < MAX_BODY_BYTES {
            match body.frame().await {
                Some(Ok(frame)) => length += frame.data_ref().map_or(0, bytes::Bytes::len),
                Some(Err(error)) => return Err(because(&error)),
                None => break,
            }
        }
        Ok(())
    };
    let late = |_| Err("the body did not end within the timeout".to_owned());
    let body = timeout_at(deadline, read).await.unwrap_or_else(late);
    Reply { status, location, body }
}

fn location(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    (!location.is_empty()).then(|| location.to_owned())
}

fn judge(reply: Reply) -> Answer {
    if let Err(reason) = reply.body {
        return Answer::error(reason);
    }
    match reply.status.as_u16() {
        200..=299 => Answer::success(""),
        status @ 300..=399 => Answer::success(format!("status {status}, not followed")),
        status => Answer::failure(format!("HTTP probe failed with statuscode: {status}")),
    }
}

/// An error of hyper's with what is behind it.
fn because(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What HTTP/2 has no place for.
const HOP_BY_HOP: [HeaderName; 4] = [HOST, CONNECTION, TRANSFER_ENCODING, UPGRADE];
const MAX_BODY_BYTES: usize = 10 * 1024;
const MAX_REQUESTS: usize = 10;
const MAX_HEADERS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_the_written_ones_and_those_that_the_kubelet_adds() {
        for (case, written, want) in [
            ("none", &[][..], &["accept: */*", "user-agent: kube-probe/1.36"][..]),
            (
                "its own",
                &[("User-Agent", "me"), ("Accept", "a/b")],
                &["accept: a/b", "user-agent: me"],
            ),
            ("empty", &[("Accept", ""), ("User-Agent", "")], &[]),
            (
                "twice",
                &[("X", "1"), ("x", "2")],
                &["accept: */*", "user-agent: kube-probe/1.36", "x: 1", "x: 2"],
            ),
        ] {
            let headers = written
                .iter()
                .map(|&(name, value)| (name.into(), value.into()));
            let probe = HttpProbe {
                tls: false,
                host: None,
                port: Some(80),
                path: "/".into(),
                headers: headers.collect(),
            };
            let made = super::headers(&probe).unwrap();
            let line = |(name, value): (&HeaderName, &HeaderValue)| {
                format!("{name}: {}", value.to_str().unwrap())
            };
            let mut made: Vec<_> = made.iter().map(line).collect();
            made.sort();
            assert_eq!(made, want, "services 6: {case}");
        }
    }

    #[test]
    fn a_status_decides_unless_the_body_broke_off() {
        use crate::prober::worker::Outcome::{Error, Failure, Success};
        for (status, body, want) in [
            (200, Ok(()), Success),
            (204, Ok(()), Success),
            (304, Ok(()), Success),
            (399, Ok(()), Success),
            (400, Ok(()), Failure),
            (503, Ok(()), Failure),
            (200, Err("reset".to_owned()), Error),
            (500, Err("reset".to_owned()), Error),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let outcome = judge(Reply { status, location: None, body }).outcome;
            assert_eq!(outcome, want, "services 6: {status}");
        }
    }
}
