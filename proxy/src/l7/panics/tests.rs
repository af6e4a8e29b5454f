//! A worker that is made to panic, over real sockets.

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
fn a_panic_on_one_stream_leaves_the_others_of_its_connection() {
    let plane = Plane::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    let statuses = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(plane.door).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        let carried = tokio::task::spawn_local(connection);
        let mut statuses = Vec::new();
        for point in ["", "deciding", "waiting", ""] {
            let request = http::Request::get("http://a.test/").header("x-panic", point);
            sender = sender.ready().await.unwrap();
            let (response, _) = sender
                .send_request(request.body(()).unwrap(), true)
                .unwrap();
            statuses.push(response.await.unwrap().status().as_u16());
        }
        drop(sender);
        carried.abort();
        statuses
    });
    assert_eq!(statuses, [200, 500, 500, 200], "http-proxy 8.9");
    assert_eq!(plane.metric("portico_l7_panics_total"), 2);
}
