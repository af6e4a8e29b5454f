//! HTTP/2 from clients: curl and the crate `h2` ask (`http-proxy 6`).

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::runtime::{Builder, LocalOptions};

use crate::front_door::ingress;
use crate::harness::frames::{GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE};
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::tool;
use crate::services::service;

/// `web.test` leads to the pod `web`, `odd.test` to another.
pub(crate) fn manifests(web: &Pod, odd: &Pod) -> String {
    let rules = [("web.test", "Prefix", "/", "web"), ("odd.test", "Prefix", "/", "odd")];
    [
        service("web", "ClusterIP", 80, &[web]),
        service("odd", "ClusterIP", 80, &[odd]),
        ingress("i", &rules, ""),
    ]
    .join("---\n")
}

pub(crate) fn before(web: &Pod, odd: &Pod) -> Portico {
    Portico::with(&[("all.yaml", &manifests(web, odd))]).start()
}

/// A pod that says `answer` once it was asked, then closes.
fn rude(answer: &'static str) -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// A pod that never answers, and tells when it is asked (true) and when it is left (false).
pub(crate) fn silent() -> (Pod, mpsc::Receiver<bool>) {
    let (tell, told) = mpsc::sync_channel(16);
    let pod = Pod::serve(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = tell.try_send(true);
        while let Ok(1..) = stream.read(&mut [0; 4096]) {}
        let _ = tell.try_send(false);
    });
    (pod, told)
}

/// Runs `test` with a connection of HTTP/2 to `address`.
pub(crate) fn with_client<F: Future<Output = ()>>(
    address: SocketAddr,
    test: impl FnOnce(SendRequest<Bytes>) -> F,
) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::task::spawn_local(async move { drop(connection.await) });
        let limited = tokio::time::timeout(Duration::from_secs(60), test(client));
        limited.await.expect("answered within a minute");
    });
}

pub(crate) async fn ask(
    client: &SendRequest<Bytes>,
    request: http::request::Builder,
    body: Option<&[u8]>,
) -> Response<RecvStream> {
    let mut client = client.clone().ready().await.unwrap();
    let request = request.body(()).unwrap();
    let (response, mut send) = client.send_request(request, body.is_none()).unwrap();
    if let Some(body) = body {
        send.send_data(Bytes::copy_from_slice(body), true).unwrap();
    }
    response.await.unwrap()
}

pub(crate) async fn read(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        all.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
    }
    Ok((all, body.trailers().await?))
}

#[test]
fn curl_speaks_http_2_on_both_listeners() {
    let (web, odd) = (Pod::http("web"), Pod::http("odd"));
    let portico = before(&web, &odd);
    for (case, scheme, option, address, version) in [
        ("by ALPN", "https", "--http2", portico.https(), "2"),
        ("as before", "https", "--http1.1", portico.https(), "1.1"),
        ("by its preface", "http", "--http2-prior-knowledge", portico.http(), "2"),
        ("no upgrade (http-proxy 1.27)", "http", "--http2", portico.http(), "1.1"),
    ] {
        let to = format!("web.test:{}:{}", address.port(), address.ip());
        let url = format!("{scheme}://web.test:{}/", address.port());
        let show = " %{http_version} %{http_code}";
        let arguments = ["-sSk", option, "--max-time", "30", "--resolve", &to, "-w", show, &url];
        let Some(output) = tool("curl", &arguments) else { return };
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, format!("web {version} 200"), "{case}: {output:?}");
    }
}

#[test]
fn a_stream_is_served_like_a_request_of_http_1_1() {
    let (web, odd) =
        (Pod::http("web"), rude("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
    let portico = before(&web, &odd);
    with_client(portico.http(), async |client| {
        let get = |uri: &str| Request::get(uri);
        let crumbs = get("http://web.test/headers")
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let response = ask(&client, crumbs.header("te", "trailers"), None).await;
        assert_eq!(response.headers()["server"], "portico", "http-proxy 0.3");
        assert!(response.headers().contains_key("date"), "http-proxy 0.3");
        let (body, trailers) = read(response.into_body()).await.unwrap();
        let seen = String::from_utf8(body).unwrap().to_ascii_lowercase();
        for line in ["cookie: a=1; b=2\r\n", "host: web.test\r\n", "x-forwarded-proto: http\r\n"] {
            assert!(seen.contains(line), "http-proxy 2.8: {line:?} in {seen}");
        }
        assert!(!seen.contains("\nte:"), "http-proxy 1.3");
        assert_eq!(trailers, None);

        let body = vec![b'x'; 300_000];
        let post = Request::post("http://web.test/").header("content-length", body.len());
        let (back, _) = read(ask(&client, post, Some(&body)).await.into_body())
            .await
            .unwrap();
        assert!(back.starts_with(b"web") && back[3..] == body[..], "every byte came back");

        let head = Request::head("http://web.test/");
        for (case, request, status) in [("HEAD", head, 200), ("204", get("http://odd.test/"), 204)]
        {
            let response = ask(&client, request, None).await;
            assert_eq!(response.status(), status, "{case}");
            assert!(response.body().is_end_stream(), "{case}: http-proxy 6.7");
        }
        for (case, request, status) in [
            ("no such host", get("http://none.test/"), 404),
            ("user in the authority", get("http://me@web.test/"), 400),
            ("two hosts", get("http://web.test/").header("host", "odd.test"), 400),
            ("the same host twice", get("http://web.test/").header("host", "WEB.test"), 200),
            ("other scheme", get("ftp://web.test/"), 400),
            ("climbing", get("http://web.test/../x"), 400),
            ("TRACE", Request::builder().method("TRACE").uri("http://web.test/"), 405),
            ("CONNECT", Request::builder().method("CONNECT").uri("web.test:80"), 405),
        ] {
            let answer = ask(&client, request, None).await;
            assert_eq!(answer.status(), status, "{case}");
        }
        let again = ask(&client, get("http://web.test/"), None).await;
        assert_eq!(again.status(), 200, "no refusal ends the connection");
    });
}

#[test]
fn a_body_that_breaks_off_ends_with_a_reset() {
    for (case, answer) in [
        ("short of its length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        (
            "without its last chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
    ] {
        let (web, odd) = (Pod::http("web"), rude(answer));
        let portico = before(&web, &odd);
        with_client(portico.http(), async |client| {
            let mut sender = client.clone().ready().await.unwrap();
            let request = Request::get("http://odd.test/").body(()).unwrap();
            let (response, _) = sender.send_request(request, true).unwrap();
            // The reset may overtake what was queued before it, the head too.
            let ended = match response.await {
                Ok(response) => read(response.into_body()).await.map(|_| ()),
                Err(error) => Err(error),
            };
            let reason = ended.unwrap_err().reason();
            assert_eq!(reason, Some(Reason::INTERNAL_ERROR), "http-proxy 0.5: {case}");
            let response = ask(&client, Request::get("http://web.test/"), None).await;
            assert_eq!(response.status(), 200, "other streams go on");
        });
    }
}

#[test]
fn a_stream_that_is_reset_lets_go_of_its_backend() {
    let web = Pod::http("web");
    let (odd, told) = silent();
    let portico = before(&web, &odd);
    with_client(portico.http(), async |client| {
        let mut client = client.ready().await.unwrap();
        let request = Request::get("http://odd.test/").body(()).unwrap();
        let (_response, mut send) = client.send_request(request, true).unwrap();
        let mut next = told.recv_timeout(Duration::ZERO);
        while next.is_err() {
            tokio::task::yield_now().await;
            next = told.recv_timeout(Duration::from_millis(1));
        }
        assert_eq!(next, Ok(true), "asked");
        send.send_reset(Reason::CANCEL);
        let mut next = told.recv_timeout(Duration::ZERO);
        while next.is_err() {
            tokio::task::yield_now().await;
            next = told.recv_timeout(Duration::from_millis(1));
        }
        assert_eq!(next, Ok(false), "left: http-proxy 6.3");
    });
}

#[test]
fn a_connection_that_has_had_its_share_is_told_to_end_and_ends_once_all_is_answered() {
    let web = Pod::http("web");
    let (odd, _told) = silent();
    let manifests = manifests(&web, &odd);
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .adjust(|settings| settings.front_door.max_requests_per_connection = 3)
        .start();
    let mut raw = Raw::connect(portico.http());
    for (stream, host) in [(1, "odd.test"), (3, "web.test"), (5, "web.test")] {
        assert!(raw.get(stream, host));
    }
    let (mut goaways, mut answered) = (Vec::new(), 0);
    while goaways.len() < 2 || answered < 2 {
        match raw.next().expect("the first stream is not answered yet") {
            (GOAWAY, _, _, payload) => goaways.push(payload),
            (PING, 0, _, token) => assert!(raw.send(PING, 1, 0, &token)),
            (HEADERS, ..) => answered += 1,
            _ => {}
        }
    }
    let all = [0x7f_u8, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(
        goaways,
        [all, [0, 0, 0, 5, 0, 0, 0, 0]],
        "http-proxy 6.5: first all, then the last"
    );
    raw.send(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    while raw.next().is_some() {}
    assert_eq!(get(portico.http(), "web.test", "/").text(), "web", "the next one is served");
}

#[test]
fn clients_are_told_every_limit() {
    let (web, odd) = (Pod::http("web"), Pod::http("odd"));
    let portico = before(&web, &odd);
    let mut raw = Raw::connect(portico.http());
    let (mut settings, mut window) = (Vec::new(), 0);
    while settings.is_empty() || window == 0 {
        match raw.next().unwrap() {
            (SETTINGS, _, _, payload) => settings.extend(payload),
            (WINDOW_UPDATE, _, 0, payload) => {
                window = u32::from_be_bytes(payload.try_into().unwrap());
            }
            _ => {}
        }
    }
    let mut told: Vec<_> = settings
        .chunks(6)
        .map(|it| (it[1], u32::from_be_bytes([it[2], it[3], it[4], it[5]])))
        .collect();
    told.sort_unstable();
    let want = [(1, 4096), (3, 100), (4, 65_536), (5, 16_384), (6, 16_384), (8, 1)];
    assert_eq!(told, want, "http-proxy 6.1");
    assert_eq!(window, 1024 * 1024 - 65_535, "http-proxy 6.1: the connection's window");
}
