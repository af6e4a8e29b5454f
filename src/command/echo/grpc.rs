//! The echo server as a service of gRPC: `GrpcEcho`, and reflection for those who ask what that is
//! (`ingress 4`).

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{debug, info};

use super::http::Shared;
use super::protobuf::{Message, frame};
use super::reflection::{self, REFLECTION, SERVICE};
use super::secure::Seen;

/// Serves one connection until it ends.
pub(super) async fn serve<S>(stream: S, address: SocketAddr, shared: Rc<Shared>, tls: Option<Seen>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = match h2::server::handshake(stream).await {
        Ok(connection) => connection,
        Err(error) => return debug!(%address, %error, "no HTTP/2"),
    };
    let tls = Rc::new(tls);
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (shared, tls) = (Rc::clone(&shared), Rc::clone(&tls));
        let tasks = shared.tasks.clone();
        tasks.spawn_local(async move {
            let (head, body) = request.into_parts();
            let called = head.uri.path().to_owned();
            let answered = call(&head, body, respond, (&shared, (*tls).as_ref(), address)).await;
            debug!(called, ?answered, "call ended");
        });
    }
}

async fn call(
    head: &Parts,
    body: RecvStream,
    mut respond: SendResponse<Bytes>,
    around: (&Shared, Option<&Seen>, SocketAddr),
) -> Result<(), h2::Error> {
    let called = head.uri.path().trim_start_matches('/');
    let (service, method) = called.split_once('/').unwrap_or((called, ""));
    let is_echo = service == SERVICE && matches!(method, "Echo" | "EchoTwo");
    let is_reflection = REFLECTION.contains(&service) && method == "ServerReflectionInfo";
    if !is_echo && !is_reflection {
        let mut response = typed();
        for (name, value) in status(UNIMPLEMENTED, "not done here") {
            response
                .headers_mut()
                .extend(name.map(|name| (name, value)));
        }
        respond.send_response(response, true)?;
        return Ok(());
    }
    let mut send = respond.send_response(typed(), false)?;
    let ended = match is_echo {
        true => echo(head, body, &mut send, around).await?,
        false => reflect(body, &mut send).await?,
    };
    match ended {
        true => send.send_trailers(status("0", "")),
        false => send.send_trailers(status(INTERNAL, "no message")),
    }
}

/// One message comes, one goes; false: none came.
async fn echo(
    head: &Parts,
    mut body: RecvStream,
    send: &mut SendStream<Bytes>,
    (shared, tls, address): (&Shared, Option<&Seen>, SocketAddr),
) -> Result<bool, h2::Error> {
    let mut inbox = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        inbox.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
        match frame(&mut inbox) {
            Ok(None) => {}
            Ok(Some(_)) => {
                info!("Echoing back request made to {} to client ({address})", head.uri.path());
                send.send_data(assertions(head, shared, tls).framed().into(), false)?;
                return Ok(true);
            }
            Err(()) => return Ok(false),
        }
    }
    Ok(false)
}

/// Each message is answered as it comes.
async fn reflect(mut body: RecvStream, send: &mut SendStream<Bytes>) -> Result<bool, h2::Error> {
    let mut inbox = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        inbox.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
        loop {
            match frame(&mut inbox) {
                Ok(None) => break,
                Ok(Some(asked)) => {
                    send.send_data(reflection::answer(&asked).framed().into(), false)?;
                }
                Err(()) => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// The `EchoResponse` to a call.
fn assertions(head: &Parts, shared: &Shared, tls: Option<&Seen>) -> Message {
    let options = &shared.options;
    let authority = head
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    let header = |key: &str, value: &str| {
        let mut header = Message::default();
        header.text(1, key).text(2, value);
        header
    };
    let mut said = Message::default();
    said.text(1, head.uri.path());
    said.put(2, header(":authority", authority).bytes());
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        said.put(2, header(name.as_str(), &value).bytes());
    }
    let mut context = Message::default();
    context
        .text(1, &options.namespace)
        .text(2, &options.ingress)
        .text(3, &options.service)
        .text(4, &options.name);
    said.text(3, authority).put(4, context.bytes());
    if let Some(seen) = tls {
        let mut tls = Message::default();
        tls.text(1, seen.version)
            .text(2, &seen.protocol)
            .text(3, &seen.server_name)
            .text(4, &seen.suite);
        for certificate in &seen.certificates {
            tls.text(5, certificate);
        }
        said.put(5, tls.bytes());
    }
    let mut response = Message::default();
    response.put(1, said.bytes());
    response
}

fn typed() -> Response<()> {
    let mut response = Response::new(());
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}

fn status(code: &'static str, message: &'static str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("grpc-status", HeaderValue::from_static(code));
    if !message.is_empty() {
        map.insert("grpc-message", HeaderValue::from_static(message));
    }
    map
}

const UNIMPLEMENTED: &str = "12";
const INTERNAL: &str = "13";
