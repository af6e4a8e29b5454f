//! One exchange over HTTP/2: what `grpc` is made of, and what an HTTPS server may choose.
//!
//! Invariants: at most [`MAX_BODY_BYTES`] of a body are kept, at most [`MAX_HEAD_BYTES`] of fields are
//! taken. No answer in time is an error here; one that breaks off says so in the reply.

use bytes::Bytes as Chunk;
use http::{HeaderMap, Request, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::wire::Bytes;

/// An answer, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Empty where there were none.
    pub(super) trailers: HeaderMap,
    /// Why the body did not come to its end or its limit.
    pub(super) broke_off: Option<String>,
}

/// Sends a request and reads the answer by `deadline`; fails with why there was none.
pub(super) async fn exchange(
    stream: Box<dyn Bytes>,
    request: Request<()>,
    body: Chunk,
    deadline: Instant,
) -> Result<Reply, String> {
    let mut client = ::h2::client::Builder::new();
    client
        .enable_push(false)
        .max_header_list_size(MAX_HEAD_BYTES);
    let connected = timeout_at(deadline, client.handshake::<_, Chunk>(stream)).await;
    let (sender, connection) = connected.map_err(late)?.map_err(text)?;
    let answered = async {
        let begun = async {
            let mut sender = sender.ready().await?;
            let (response, mut sending) = sender.send_request(request, body.is_empty())?;
            if !body.is_empty() {
                sending.send_data(body, true)?;
            }
            response.await
        };
        let response = timeout_at(deadline, begun).await;
        let (head, body) = response.map_err(late)?.map_err(text)?.into_parts();
        let mut reply = Reply { status: head.status, headers: head.headers, ..Reply::default() };
        let read = timeout_at(deadline, read(body, &mut reply)).await;
        reply.broke_off = match read {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the body did not end within the timeout".to_owned()),
        };
        Ok(reply)
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

/// Reads the body to its end or limit, and the trailers behind its end.
async fn read(mut body: ::h2::RecvStream, reply: &mut Reply) -> Result<(), ::h2::Error> {
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        let room = MAX_BODY_BYTES - reply.body.len();
        reply
            .body
            .extend_from_slice(&chunk[..chunk.len().min(room)]);
        if reply.body.len() == MAX_BODY_BYTES {
            return Ok(());
        }
    }
    reply.trailers = body.trailers().await?.unwrap_or_default();
    Ok(())
}

fn late(_: tokio::time::error::Elapsed) -> String {
    super::run::LATE.to_owned()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what an error is mapped with")]
fn text(error: ::h2::Error) -> String {
    error.to_string()
}

const MAX_BODY_BYTES: usize = 10 * 1024;
const MAX_HEAD_BYTES: u32 = 64 * 1024;
