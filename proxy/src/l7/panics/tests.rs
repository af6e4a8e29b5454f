//! A worker that is made to panic, over real sockets.

use bytes::Bytes;
use h2::client::SendRequest;

use super::super::one_worker::{Plane, eventually};

#[test]
fn a_panic_ends_one_request_and_the_worker_lives() {
    let plane = Plane::start();
    let fine = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let panicking = |point: &str, method: &str| {
        format!(
            "{method} / HTTP/1.1\r\nHost: a.test\r\nX-Request-ID: id-{point}\r\nX-Panic: {point}\r\n\r\n"
        )
    };
    for (index, (point, method)) in [("deciding", "GET"), ("waiting", "GET"), ("waiting", "HEAD")]
        .into_iter()
        .enumerate()
    {
        let got = plane.ask(&panicking(point, method));
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 500 ") && head.contains("Connection: close"),
            "http-proxy 8.9: {point}: {got}"
        );
        assert_eq!(body.is_empty(), method == "HEAD", "{got}");
        assert!(plane.ask(fine).ends_with("\r\n\r\nok"), "the next one is served");
        assert_eq!(plane.metric("portico_l7_panics_total"), index as u64 + 1);
    }
    let half = plane.ask("GET /half HTTP/1.1\r\nHost: a.test\r\nX-Panic: answering\r\n\r\n");
    assert!(!half.contains("HTTP/1.1 500") && !half.ends_with("ok"), "cut: {half}");
    assert!(plane.ask(fine).ends_with("ok"));
    assert_eq!(plane.metric("portico_l7_panics_total"), 4);
    // Nobody is left behind.
    eventually(|| plane.metric("portico_l7_connections_active") == 0);
    let heard = plane.heard.0.lock().unwrap().clone();
    let ids: Vec<_> = heard.iter().filter(|line| line.contains("id-")).collect();
    assert_eq!((heard.len(), ids.len()), (4, 3), "each is logged once, by its id: {heard:?}");
}

#[test]
fn the_log_of_requests_says_which_ones_a_panic_ended() {
    let plane = Plane::start();
    for point in ["deciding", "waiting"] {
        plane.ask(&format!(
            "GET /{point} HTTP/1.1\r\nHost: a.test\r\nX-Request-ID: one\r\nX-Panic: {point}\r\n\r\n"
        ));
    }
    let file = plane.log.path().join("access");
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually(|| text().lines().count() == 2);
    let text = text();
    assert_eq!(text, "500 - -\n500 one GET /waiting HTTP/1.1\n", "http-proxy 8.9");
}

#[test]
fn a_panic_in_a_tunnel_ends_it_alone_and_is_told() {
    let plane = Plane::start();
    let got = plane.ask(
        "GET /socket HTTP/1.1\r\nHost: a.test\r\nX-Request-ID: id-one\r\nX-Panic: tunnelling\r\n\
         Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(!got.contains(" 500 "), "http-proxy 8.9: {got}");
    assert_eq!(plane.metric("portico_l7_panics_total"), 1);
    on_http2(&plane, async |mut sender| {
        while !sender.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let request = http::Request::connect("http://a.test/socket")
            .extension(h2::ext::Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .header("x-request-id", "id-two")
            .header("x-panic", "tunnelling");
        let (response, _send) = sender
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        // The reset may overtake the head.
        let broke = match response.await {
            Err(_) => true,
            Ok(agreed) => {
                let mut body = agreed.into_body();
                loop {
                    match body.data().await {
                        Some(Ok(_)) => {}
                        end => break end.is_some(),
                    }
                }
            }
        };
        assert!(broke, "the client sees that it broke off");
        // The connection has others to carry.
        assert_eq!(status(&mut sender, "").await, 200);
    });
    assert_eq!(plane.metric("portico_l7_panics_total"), 2);
    eventually(|| plane.metric("portico_l7_connections_active") == 0);
    assert_eq!(plane.metric("portico_l7_tunnels_active"), 0);
    let heard = plane.heard.0.lock().unwrap().clone();
    let ids: Vec<_> = heard.iter().filter(|line| line.contains("id-")).collect();
    assert_eq!((heard.len(), ids.len()), (2, 2), "each is logged once, by its id: {heard:?}");
    let file = plane.log.path().join("access");
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually(|| text().lines().count() == 3);
    assert!(text().contains("101 id-one GET /socket HTTP/1.1\n"), "{}", text());
}

#[test]
fn a_panic_on_one_stream_leaves_the_others_of_its_connection() {
    let plane = Plane::start();
    let statuses = on_http2(&plane, async |mut sender| {
        let mut statuses = Vec::new();
        for point in ["", "deciding", "waiting", ""] {
            statuses.push(status(&mut sender, point).await);
        }
        statuses
    });
    assert_eq!(statuses, [200, 500, 500, 200], "http-proxy 8.9");
    assert_eq!(plane.metric("portico_l7_panics_total"), 2);
}

/// What `talk` has to say over a connection of HTTP/2.
fn on_http2<T>(plane: &Plane, talk: impl AsyncFnOnce(SendRequest<Bytes>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(plane.door).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let carried = tokio::task::spawn_local(connection);
        let said = talk(sender).await;
        carried.abort();
        said
    })
}

/// The answer to a request that asks for a panic at `point`.
async fn status(sender: &mut SendRequest<Bytes>, point: &str) -> u16 {
    let request = http::Request::get("http://a.test/").header("x-panic", point);
    let mut ready = sender.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(request.body(()).unwrap(), true).unwrap();
    response.await.unwrap().status().as_u16()
}
