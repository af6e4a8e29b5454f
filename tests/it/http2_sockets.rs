//! WebSockets that clients of HTTP/2 ask for by extended CONNECT, with the crate `h2` as the client and
//! tungstenite at both ends (RFC 8441, `http-proxy 1.29, 6.10`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use portico_config::model::{AccessLog, LogTarget};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::annotations::annotated;
use crate::harness::pod::{Pod, head};
use crate::harness::portico::Portico;
use crate::harness::{PATIENCE, eventually};
use crate::http2::{ask, read, with_client};
use crate::services::service;

fn before(pod: &Pod, annotations: &[(&str, &str)]) -> String {
    [service("web", "ClusterIP", 80, &[pod]), annotated("web", "web.test", annotations, "")]
        .join("---\n")
}

fn start(pod: &Pod) -> Portico {
    Portico::with(&[("all.yaml", &before(pod, &[]))]).start()
}

/// A pod that sends messages back.
pub(crate) fn echo() -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream| {
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        while let Ok(message) = socket.read() {
            if message.is_close() || socket.send(message).is_err() {
                // Says its own goodbye, and reads that of the other side.
                while socket.read().is_ok() {}
                return;
            }
        }
    })
}

/// The head of a handshake, and the key in it.
fn handshake(reader: &mut impl BufRead) -> Option<(String, String)> {
    let head = head(reader)?;
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let key = key.unwrap_or_default().to_owned();
    Some((head, key))
}

/// A pod that reads a handshake, says `answer` with the key's answer in the place of `KEY`, and goes on
/// with `then`.
fn says(answer: &'static str, then: impl Fn(TcpStream) + Clone + Send + 'static) -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let Some((_, key)) = handshake(&mut reader) else { return };
        let answer = answer.replace("KEY", &derive_accept_key(key.as_bytes()));
        if stream.write_all(answer.as_bytes()).is_ok() {
            then(stream);
        }
    })
}

const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                      Upgrade: websocket\r\nSec-WebSocket-Accept: KEY\r\n\r\n";

fn connect(uri: &str) -> http::request::Builder {
    Request::builder()
        .method("CONNECT")
        .uri(uri)
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
}

/// Asks for a WebSocket, once the server has said that this can be done.
async fn open(
    client: &SendRequest<Bytes>,
    request: http::request::Builder,
) -> Result<(Response<RecvStream>, SendStream<Bytes>), h2::Error> {
    let mut client = client.clone().ready().await.unwrap();
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let (response, send) = client.send_request(request.body(()).unwrap(), false)?;
    Ok((response.await?, send))
}

/// Both directions of a stream as one.
fn joined(mut receive: RecvStream, mut send: SendStream<Bytes>) -> DuplexStream {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (mut from, mut to) = tokio::io::split(far);
    tokio::task::spawn_local(async move {
        while let Some(Ok(data)) = receive.data().await {
            receive.flow_control().release_capacity(data.len()).unwrap();
            if to.write_all(&data).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    tokio::task::spawn_local(async move {
        let mut piece = vec![0; 16_384];
        while let Ok(count @ 1..) = from.read(&mut piece).await {
            if send
                .send_data(Bytes::copy_from_slice(&piece[..count]), false)
                .is_err()
            {
                return;
            }
        }
        let _ = send.send_data(Bytes::new(), true);
    });
    near
}

#[test]
fn messages_pass_both_ways_beside_other_requests() {
    use futures_util::{SinkExt, StreamExt};
    let pod = echo();
    let portico = start(&pod);
    with_client(portico.http(), async |client| {
        let (response, send) = open(&client, connect("http://web.test/chat"))
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "http-proxy 1.29");
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let stream = joined(response.into_body(), send);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        let long = Message::binary(
            (0..200_000_u32)
                .map(|it| it.to_le_bytes()[1])
                .collect::<Vec<_>>(),
        );
        for message in [Message::text("hello"), long, Message::text("")] {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
            // A stream beside it is none of its business.
            let other = ask(&client, Request::get("http://none.test/"), None).await;
            assert_eq!(other.status(), 404);
        }
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
}

#[test]
fn a_backend_gets_the_handshake_of_http_1_1() {
    let (tell, told) = mpsc::sync_channel(1);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let Some((head, key)) = handshake(&mut reader) else { return };
        let _ = tell.send(head);
        let accept = derive_accept_key(key.as_bytes());
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let more = "Sec-WebSocket-Protocol: chat\r\n\r\nfirst";
        let agreed = AGREED.replace("KEY", &accept).replace("\r\n\r\n", "\r\n");
        let _ = stream.write_all([hints, &agreed, more].concat().as_bytes());
        let _ = stream.read(&mut [0]);
    });
    let portico = start(&pod);
    with_client(portico.http(), async |client| {
        let request = connect("http://web.test/a/../chat?x=y")
            .header("sec-websocket-protocol", "chat, more")
            .header("sec-websocket-key", "bm90IHRoaXMgb25lLCBubw==")
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let (response, _send) = open(&client, request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        let first = response.into_body().data().await.unwrap().unwrap();
        assert_eq!(first, "first", "http-proxy 1.29: what the backend sent ahead");
    });
    let head = told.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("GET /chat?x=y HTTP/1.1\r\nHost: web.test\r\n"), "{head}");
    for line in [
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
        "sec-websocket-version: 13\r\n",
        "sec-websocket-protocol: chat, more\r\n",
        "cookie: a=1; b=2\r\n",
    ] {
        assert!(head.contains(line), "http-proxy 1.29: {line:?} in {head}");
    }
    assert_eq!(head.matches("sec-websocket-key").count(), 1, "{head}");
    assert!(!head.contains("bm90"), "a key of our own: {head}");
}

#[test]
fn what_does_not_agree_to_a_web_socket_opens_none() {
    for (case, answer, status) in [
        ("refused", "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", 403),
        ("elsewhere", "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302),
        ("agreed", AGREED, 200),
        ("no key", "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n", 502),
        (
            "other key",
            "HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            502,
        ),
        ("plain HTTP", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
        ("nothing", "HTTP/1.1 204 None\r\n\r\n", 502),
    ] {
        let pod = says(answer, |mut stream| {
            let _ = stream.read(&mut [0]);
        });
        let portico = start(&pod);
        with_client(portico.http(), async |client| {
            let (response, _send) = open(&client, connect("http://web.test/")).await.unwrap();
            assert_eq!(response.status(), status, "http-proxy 1.29: {case}");
        });
    }
}

/// What a client says ahead of an agreement that does not come is no request.
#[test]
fn what_was_to_go_through_a_tunnel_is_never_a_request() {
    let (tell, told) = mpsc::sync_channel(16);
    let (go, may_go) = mpsc::sync_channel::<()>(16);
    let may_go = Arc::new(std::sync::Mutex::new(may_go));
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((head, _)) = handshake(&mut reader) {
            let line = head.lines().next().unwrap_or_default().to_owned();
            let is_handshake = line.starts_with("GET /chat ");
            let _ = tell.send(line);
            if is_handshake {
                // Says nothing at all.
                let _ = may_go.lock().unwrap().recv_timeout(PATIENCE);
                return;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let portico = start(&pod);
    with_client(portico.http(), async |client| {
        let mut asking = client.clone().ready().await.unwrap();
        while !asking.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let request = connect("http://web.test/chat").body(()).unwrap();
        let (response, mut send) = asking.send_request(request, false).unwrap();
        let hidden = "GET /hidden HTTP/1.1\r\nHost: web.test\r\n\r\n";
        send.send_data(Bytes::from_static(hidden.as_bytes()), false)
            .unwrap();
        // Answered behind what was sent before.
        for _ in 0..2 {
            ask(&client, Request::get("http://none.test/"), None).await;
        }
        go.send(()).unwrap();
        assert_eq!(response.await.unwrap().status(), 502, "http-proxy 1.28");
        let after = ask(&client, Request::get("http://web.test/after"), None).await;
        assert_eq!(after.status(), 200);
    });
    let lines: Vec<String> = told.try_iter().collect();
    assert_eq!(lines, ["GET /chat HTTP/1.1", "GET /after HTTP/1.1"], "http-proxy 1.28");
}

#[test]
fn nothing_else_is_connected() {
    let pod = echo();
    let portico = start(&pod);
    with_client(portico.http(), async |client| {
        let other = |protocol| {
            let request = Request::builder().method("CONNECT").uri("http://web.test/");
            request.extension(Protocol::from_static(protocol))
        };
        for (case, request, status) in [
            ("other protocol", other("connect-udp"), 405),
            ("other case", other("WebSocket"), 405),
            ("content", connect("http://web.test/").header("content-length", "3"), 405),
            ("no such host", connect("http://none.test/"), 404),
            ("climbing", connect("http://web.test/../x"), 400),
            ("other scheme", connect("ftp://web.test/"), 400),
            ("two hosts", connect("http://web.test/").header("host", "b.test"), 400),
            ("expectation", connect("http://web.test/").header("expect", "gold"), 417),
        ] {
            let (response, _send) = open(&client, request).await.unwrap();
            assert_eq!(response.status(), status, "http-proxy 1.31: {case}");
        }
    });
    assert_eq!(pod.connections(), 0, "no backend saw a byte");
}

#[test]
fn each_half_ends_by_itself() {
    let (tell, told) = mpsc::sync_channel(1);
    let pod = says(AGREED, move |mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let _ = tell.send(all);
        let _ = stream.write_all(b"still here");
    });
    let portico = start(&pod);
    with_client(portico.http(), async |client| {
        let (response, mut send) = open(&client, connect("http://web.test/")).await.unwrap();
        send.send_data(Bytes::from_static(b"that is all"), true)
            .unwrap();
        let (body, trailers) = read(response.into_body()).await.unwrap();
        assert_eq!((&body[..], trailers), (&b"still here"[..], None), "http-proxy 1.29");
    });
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), b"that is all");
}

/// Also where it has ended its half before, and the backend is silent.
#[test]
fn a_client_that_gives_it_up_lets_go_of_the_backend() {
    let (tell, told) = mpsc::sync_channel(9);
    let over = Arc::<AtomicBool>::default();
    let is_over = Arc::clone(&over);
    let pod = says(AGREED, move |mut stream| {
        let _ = tell.try_send(stream.read_to_end(&mut Vec::new()).is_ok());
        while !is_over.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(2));
        }
    });
    let text = before(&pod, &[("limit-connections", "1")]);
    let portico = Portico::with(&[("all.yaml", &text)]).start();
    with_client(portico.http(), async |client| {
        for ends_first in [true, false] {
            let (mut response, mut send) =
                open(&client, connect("http://web.test/")).await.unwrap();
            while response.status() == 429 {
                (response, send) = open(&client, connect("http://web.test/")).await.unwrap();
            }
            assert_eq!(response.status(), 200);
            let (second, _) = open(&client, connect("http://web.test/")).await.unwrap();
            assert_eq!(second.status(), 429, "ingress 2.4: a tunnel is in progress");
            if ends_first {
                send.send_data(Bytes::new(), true).unwrap();
                while told.try_recv().is_err() {
                    tokio::task::yield_now().await;
                }
            }
            send.send_reset(Reason::CANCEL);
            let mut next = 429;
            while next == 429 {
                let (response, mut send) =
                    open(&client, connect("http://web.test/")).await.unwrap();
                next = response.status().as_u16();
                send.send_reset(Reason::CANCEL);
            }
            assert_eq!(next, 200, "http-proxy 6.3: its place was given back");
        }
    });
    over.store(true, Ordering::SeqCst);
}

#[test]
fn a_backend_that_ends_ends_the_stream_and_one_that_breaks_resets_it() {
    let pod = says(AGREED, |stream| {
        let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        linger.unwrap();
        let _ = (&stream).read(&mut [0]);
    });
    let portico = start(&pod);
    with_client(portico.http(), async |client| {
        let (response, mut send) = open(&client, connect("http://web.test/")).await.unwrap();
        send.send_data(Bytes::from_static(b"x"), false).unwrap();
        let broken = read(response.into_body()).await.unwrap_err();
        assert_eq!(broken.reason(), Some(Reason::CANCEL), "http-proxy 1.29");
    });
    let pod = says(AGREED, drop);
    let portico = start(&pod);
    with_client(portico.http(), async |client| {
        let (response, _send) = open(&client, connect("http://web.test/")).await.unwrap();
        assert_eq!(read(response.into_body()).await.unwrap().0, b"", "http-proxy 1.29");
    });
}

#[test]
fn a_tunnel_that_carries_nothing_ends() {
    let pod = echo();
    let portico = Portico::with(&[("all.yaml", &before(&pod, &[]))])
        .adjust(|settings| settings.front_door.timeouts.tunnel_idle = Duration::from_secs(1))
        .start();
    with_client(portico.http(), async |client| {
        let (response, _send) = open(&client, connect("http://web.test/")).await.unwrap();
        assert_eq!(response.status(), 200);
        let ended = read(response.into_body()).await.unwrap_err();
        assert_eq!(ended.reason(), Some(Reason::CANCEL), "http-proxy 5: tunnelIdleTimeout");
    });
}

#[test]
fn the_log_has_the_handshake_that_it_became() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("access.log");
    let pod = echo();
    let format = "$request $status $upstream_status".parse().unwrap();
    let log = AccessLog { target: LogTarget::File(file.clone()), format };
    let portico = Portico::with(&[("all.yaml", &before(&pod, &[]))])
        .adjust(move |settings| settings.access_log = log)
        .start();
    with_client(portico.http(), async |client| {
        let (response, mut send) = open(&client, connect("http://web.test/chat"))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        send.send_data(Bytes::new(), true).unwrap();
        assert_eq!(read(response.into_body()).await.unwrap().0, b"");
    });
    let line = eventually("the line is written", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.ends_with('\n').then_some(text)
    });
    assert_eq!(line, "GET /chat HTTP/2.0 101 101\n", "http-proxy 9.1");
}
