//! HTTP/2 to Pods: how requests share connections, what is tried again, and what passes besides
//! bodies (`http-proxy 5.5`, `6`).

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::http::{Client, get};
use crate::harness::portico::Portico;
use crate::harness::secure;
use crate::http2::{ask, read, with_client};
use crate::rule_metrics::counts;

/// What a Pod does on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Manner {
    /// It answers.
    Serves,
    /// It resets each stream as not looked at.
    Refuses,
    /// It leaves as soon as it is asked: GOAWAY with no stream that it has looked at.
    Leaves,
    /// It answers one request and takes no more.
    Retires,
    /// It says to every call that it does no work, and nothing else.
    Declines,
    /// It says so behind what it has to say.
    Fails,
}

/// A Pod that speaks HTTP/2 alone; it dies with this value.
struct Pod {
    address: SocketAddr,
    seen: Arc<Seen>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What a Pod has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Streams that were given up before they were answered.
    resets: AtomicUsize,
}

impl Pod {
    /// Its connections behave as `manners` say in turn, and then serve.
    fn start(manners: &'static [Manner], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, seen) = (CancellationToken::new(), Arc::<Seen>::default());
        let (stopped, told) = (stop.clone(), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = accept(listener, manners, tls, told) => {}
                }
            });
        });
        Self { address, seen, stop, thread: Some(thread) }
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// A Service in front of it.
    fn service(&self, name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  annotations:\n    \
             portico.dev/endpoints: \"{}\"\nspec:\n  ports:\n  - port: 80\n",
            self.address
        )
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(
    listener: TcpListener,
    manners: &'static [Manner],
    tls: Option<Arc<ServerConfig>>,
    seen: Arc<Seen>,
) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let together = Rc::new(Together::default());
    while let Ok((stream, _)) = listener.accept().await {
        let number = seen.connections.fetch_add(1, Ordering::SeqCst);
        let manner = manners.get(number).copied().unwrap_or(Manner::Serves);
        let (seen, together) = (Arc::clone(&seen), Rc::clone(&together));
        let tls = tls.clone().map(tokio_rustls::TlsAcceptor::from);
        tokio::task::spawn_local(async move {
            match tls {
                None if manner == Manner::Leaves => leave(stream).await,
                None => converse(stream, manner, seen, together).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                        converse(stream, manner, seen, together).await;
                    }
                }
            }
        });
    }
}

/// Reads up to a HEADERS frame, then says that no stream was looked at.
async fn leave(mut stream: TcpStream) {
    let mut preface = [0; 24];
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let _ = stream.read_exact(&mut preface).await;
    let _ = stream.write_all(&settings).await;
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        let _ = stream.read_exact(&mut payload).await;
        if head[3] == 1 {
            let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let _ = stream.write_all(&goaway).await;
        }
    }
}

/// Requests for `/together` are answered once there are [`MANY`].
#[derive(Default)]
struct Together {
    count: AtomicUsize,
    all: Notify,
}

const MANY: usize = 5;

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    manner: Manner,
    seen: Arc<Seen>,
    together: Rc<Together>,
) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(2);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        if manner == Manner::Refuses {
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        }
        if manner == Manner::Retires {
            connection.graceful_shutdown();
        }
        seen.requests.fetch_add(1, Ordering::SeqCst);
        let (seen, together) = (Arc::clone(&seen), Rc::clone(&together));
        tokio::task::spawn_local(async move {
            match manner {
                Manner::Declines | Manner::Fails => decline(request, respond, manner).await,
                _ => answer(request, respond, seen, &together).await,
            }
        });
    }
}

/// Answers a call with UNAVAILABLE.
async fn decline(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, manner: Manner) {
    let Ok(_) = read(request.into_body()).await else { return };
    let mut response = Response::new(());
    let status = ("grpc-status", HeaderValue::from_static("14"));
    if manner == Manner::Declines {
        response.headers_mut().insert(status.0, status.1);
        let _ = respond.send_response(response, true);
        return;
    }
    let Ok(mut send) = respond.send_response(response, false) else { return };
    let _ = send.send_data(Bytes::from_static(b"\0\0\0\0\0"), false);
    let mut trailers = HeaderMap::new();
    trailers.insert(status.0, status.1);
    let _ = send.send_trailers(trailers);
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: Arc<Seen>,
    together: &Together,
) {
    let (head, body) = request.into_parts();
    let mut response = Response::new(());
    match head.uri.path() {
        "/together" => {
            let all = together.all.notified();
            if together.count.fetch_add(1, Ordering::SeqCst) + 1 == MANY {
                together.all.notify_waiters();
            } else {
                all.await;
            }
        }
        "/silent" => {
            let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            seen.resets.fetch_add(1, Ordering::SeqCst);
            return;
        }
        "/only" => {
            response
                .headers_mut()
                .insert("grpc-status", HeaderValue::from_static("5"));
            let _ = respond.send_response(response, true);
            return;
        }
        "/cut" => {
            // Shorter than it says.
            response.headers_mut().insert("content-length", 9.into());
            let Ok(mut send) = respond.send_response(response, false) else { return };
            let _ = send.send_data(Bytes::from_static(b"begun"), true);
            return;
        }
        "/hints" => {
            let mut hints = Response::new(());
            *hints.status_mut() = http::StatusCode::EARLY_HINTS;
            let _ = respond.send_informational(hints);
        }
        _ => {}
    }
    let Ok((body, trailers)) = read(body).await else { return };
    let mut said = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        said.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    for (name, value) in trailers.iter().flatten() {
        said.push_str(&format!("trailer {name}: {}\n", value.to_str().unwrap()));
    }
    let all = [said.as_bytes(), b"\n", &body].concat();
    if head.uri.path() == "/sized" {
        response
            .headers_mut()
            .insert("content-length", all.len().into());
    }
    let is_head = head.method == http::Method::HEAD;
    let Ok(mut send) = respond.send_response(response, is_head) else { return };
    if is_head {
        return;
    }
    send.send_data(all.into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("set-cookie", HeaderValue::from_static("never=1"));
    let _ = send.send_trailers(trailers);
}

/// portico before a Pod that `web.test` leads to by HTTP/2; one worker.
fn before(pod: &Pod) -> Portico {
    let manifests =
        [pod.service("web"), annotated("web", "web.test", &[("backend-protocol", "GRPC")], "")]
            .join("---\n");
    Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start()
}

#[test]
fn requests_share_connections_up_to_what_the_backend_takes() {
    let pod = Pod::start(&[], None);
    let portico = before(&pod);
    let address = portico.http();
    let asked: Vec<_> = (0..MANY)
        .map(|_| std::thread::spawn(move || get(address, "web.test", "/together").status))
        .collect();
    for asked in asked {
        assert_eq!(asked.join().unwrap(), 200);
    }
    // Two streams on each.
    assert_eq!(pod.connections(), MANY.div_ceil(2), "http-proxy 5.5");
    for _ in 0..9 {
        assert_eq!(get(address, "web.test", "/").status, 200);
    }
    assert_eq!(pod.connections(), MANY.div_ceil(2), "they are used again");
}

#[test]
fn what_a_backend_did_nothing_with_is_asked_again() {
    for (manners, connections) in [
        (&[Manner::Leaves][..], 2),
        (&[Manner::Leaves, Manner::Leaves], 3),
        (&[Manner::Retires, Manner::Retires], 3),
    ] {
        let pod = Pod::start(manners, None);
        let portico = before(&pod);
        let mut client = Client::connect(portico.http());
        for _ in 0..3 {
            let head = "POST /a HTTP/1.1\r\nHost: web.test\r\nContent-Length: 4\r\n\r\n";
            let answer = client.request(head, b"body").unwrap();
            assert_eq!(answer.status, 200, "http-proxy 5.5: {manners:?}");
            assert!(answer.text().ends_with("\n\nbody"), "{manners:?}: {}", answer.text());
        }
        assert_eq!(pod.connections(), connections, "{manners:?}");
        assert_eq!(pod.seen.requests.load(Ordering::SeqCst), 3, "none twice: {manners:?}");
    }
    // Another endpoint is asked where one refuses.
    let (refuses, serves) = (Pod::start(&[Manner::Refuses; 9], None), Pod::start(&[], None));
    let both = format!("{},{}", refuses.address, serves.address);
    let manifests = [
        refuses
            .service("web")
            .replace(&refuses.address.to_string(), &both),
        annotated("web", "web.test", &[("backend-protocol", "GRPC")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let mut client = Client::connect(portico.http());
    for _ in 0..4 {
        let head = "POST /a HTTP/1.1\r\nHost: web.test\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(client.request(head, b"body").unwrap().status, 200, "http-proxy 5");
    }
}

#[test]
fn a_client_of_http_1_1_sees_no_difference() {
    let pod = Pod::start(&[], None);
    let portico = before(&pod);
    let mut client = Client::connect(portico.http());
    let head = "POST /a?b=<c> HTTP/1.1\r\nHost: web.test:80\r\nX-A: 1\r\nX_odd: 1\r\n\
                Transfer-Encoding: chunked\r\nTE: trailers\r\n\r\n";
    let answer = client
        .request(head, b"4\r\nbody\r\n0\r\nx-late: 1\r\n\r\n")
        .unwrap();
    let text = answer.text();
    assert!(text.starts_with("POST http://web.test:80/a?b=%3Cc%3E\n"), "{text}");
    assert!(text.contains("\nx-a: 1\n") && text.contains("\nte: trailers\n"), "{text}");
    for never in ["transfer-encoding", "\nhost:", "x_odd", "trailer x-late", "connection"] {
        assert!(!text.contains(never), "http-proxy 1.22, 2.9: {never} in {text}");
    }
    assert!(text.ends_with("\n\nbody"));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!((answer.header("set-cookie"), answer.header("grpc-status")), (None, None));
    let sized = client.get("web.test", "/sized").unwrap();
    let length = sized.body.len().to_string();
    assert_eq!(sized.header("content-length"), Some(&*length));
    client
        .send(b"GET /hints HTTP/1.1\r\nHost: web.test\r\n\r\n")
        .unwrap();
    assert_eq!(client.interim().unwrap(), 103, "http-proxy 1.25");
    assert_eq!(client.answer().unwrap().status, 200);
    let upgrade = "GET /x HTTP/1.1\r\nHost: web.test\r\nConnection: upgrade\r\n\
                   Upgrade: websocket\r\n\r\n";
    assert_eq!(client.request(upgrade, b"").unwrap().status, 200, "plain HTTP");
    let cut = Client::connect(portico.http()).get("web.test", "/cut");
    assert!(cut.is_err(), "http-proxy 0.5");
}

#[test]
fn trailers_pass_both_ways_between_clients_and_backends_of_http_2() {
    let pod = Pod::start(&[], None);
    let portico = before(&pod);
    with_client(portico.http(), async |client| {
        for path in ["/", "/sized"] {
            let mut sender = client.clone().ready().await.unwrap();
            let request = Request::post(format!("http://web.test{path}"))
                .header("te", "trailers")
                .body(())
                .unwrap();
            let (response, mut send) = sender.send_request(request, false).unwrap();
            send.send_data(Bytes::from_static(b"body"), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-late", HeaderValue::from_static("1"));
            trailers.insert("authorization", HeaderValue::from_static("never"));
            send.send_trailers(trailers).unwrap();
            let (body, trailers) = read(response.await.unwrap().into_body()).await.unwrap();
            let text = String::from_utf8(body).unwrap();
            assert!(text.contains("\ntrailer x-late: 1\n"), "http-proxy 6.7: {text}");
            assert!(text.contains("\nte: trailers\n"), "http-proxy 1.3: {text}");
            assert!(!text.contains("never"), "http-proxy 1.22: {text}");
            let trailers = trailers.unwrap();
            assert_eq!(trailers["grpc-status"], "0", "http-proxy 6.7: {path}");
            assert!(!trailers.contains_key("set-cookie"), "http-proxy 1.22");
        }
        let only = ask(&client, Request::get("http://web.test/only"), None).await;
        assert_eq!(only.headers()["grpc-status"], "5");
        assert!(only.body().is_end_stream(), "http-proxy 6.7: it stays on the head");
        let head = ask(&client, Request::head("http://web.test/sized"), None).await;
        assert!(head.body().is_end_stream() && head.headers().contains_key("content-length"));
        let mut sender = client.clone().ready().await.unwrap();
        let request = Request::get("http://web.test/cut").body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        // The reset may overtake what was queued before it, the head too.
        let ended = match response.await {
            Ok(response) => read(response.into_body()).await.map(|_| ()),
            Err(error) => Err(error),
        };
        let reason = ended.unwrap_err().reason();
        assert_eq!(reason, Some(Reason::INTERNAL_ERROR), "http-proxy 0.5");
    });
}

/// The status that a call of gRPC ends with, and what HTTP says.
async fn call(client: &h2::client::SendRequest<Bytes>, url: &str, timeout: &str) -> (u16, String) {
    let request = Request::post(url)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout);
    let response = ask(client, request, Some(b"\0\0\0\0\0")).await;
    let status = response.status().as_u16();
    let of_head = response.headers().get("grpc-status").cloned();
    let ends = response.body().is_end_stream();
    let (_, trailers) = read(response.into_body()).await.unwrap();
    let of_trailers = trailers.and_then(|map| map.get("grpc-status").cloned());
    assert_eq!(of_head.is_some(), ends, "its own answers are trailers-only");
    let found = of_head.or(of_trailers).unwrap();
    (status, found.to_str().unwrap().to_owned())
}

#[test]
fn a_call_that_fails_here_ends_with_a_status_of_grpc() {
    let pod = Pod::start(&[], None);
    let manifests = [
        pod.service("web"),
        annotated("web", "web.test", &[("backend-protocol", "GRPC")], ""),
        annotated("none", "none.test", &[], "").replace("name: web", "name: none"),
        annotated("denied", "denied.test", &[("denylist-source-range", "127.0.0.0/8")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    with_client(portico.http(), async |client| {
        for (url, timeout, want) in [
            ("http://web.test/", "10S", "0"),
            ("http://web.test/", "nonsense", "0"),
            ("http://other.test/", "10S", "12"),
            ("http://none.test/", "10S", "14"),
            ("http://denied.test/", "10S", "7"),
            ("http://web.test/silent", "100m", "4"),
        ] {
            let got = call(&client, url, timeout).await;
            assert_eq!(got, (200, want.to_owned()), "http-proxy 6.8, 6.9: {url} {timeout}");
        }
    });
    for (ingress, status, count) in
        [("web", "0", 2), ("web", "4", 1), ("none", "14", 1), ("denied", "7", 1), ("", "12", 1)]
    {
        let labels = [format!("ingress=\"{ingress}\""), format!("grpc_status=\"{status}\"")];
        let labels = [&*labels[0], &labels[1]];
        counts(&portico, "portico_l7_grpc_calls_total", &labels, count);
    }
    let seen = Arc::clone(&pod.seen);
    crate::harness::eventually("the backend hears that nobody waits", || {
        (seen.resets.load(Ordering::SeqCst) == 1).then_some(())
    });
}

#[test]
fn a_backend_hears_how_long_a_call_may_still_take() {
    let pod = Pod::start(&[], None);
    let portico = before(&pod);
    with_client(portico.http(), async |client| {
        for (timeout, most) in [("10S", 10_000_000), ("20000m", 20_000_000), ("5x", 0)] {
            let request = Request::post("http://web.test/")
                .header("content-type", "application/grpc")
                .header("grpc-timeout", timeout);
            let response = ask(&client, request, Some(b"")).await;
            let (body, _) = read(response.into_body()).await.unwrap();
            let text = String::from_utf8(body).unwrap();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("grpc-timeout: "));
            let left = line.unwrap();
            if most == 0 {
                assert_eq!(left, timeout, "http-proxy 6.9: what says nothing is let be");
                continue;
            }
            let micros: u64 = left.strip_suffix('u').unwrap().parse().unwrap();
            assert!(micros < most, "http-proxy 6.9: what is left of {timeout} is {left}");
        }
    });
}

#[test]
fn an_endpoint_that_says_nothing_but_unavailable_is_put_out() {
    for (manners, declined, ejections) in
        [(&[Manner::Declines; 9], 5, 1), (&[Manner::Fails; 9], 0, 0)]
    {
        let (bad, good) = (Pod::start(manners, None), Pod::start(&[], None));
        let both = format!("{},{}", bad.address, good.address);
        let manifests = [
            good.service("web")
                .replace(&good.address.to_string(), &both),
            annotated("web", "web.test", &[("backend-protocol", "GRPC")], ""),
        ]
        .join("---\n");
        let portico = Portico::with(&[("all.yaml", &manifests)])
            .workers(1)
            .start();
        let mut failed = 0;
        with_client(portico.http(), async |client| {
            for _ in 0..20 {
                let request =
                    Request::post("http://web.test/").header("content-type", "application/grpc");
                let response = ask(&client, request, Some(b"\0\0\0\0\0")).await;
                let ahead = response.headers().get("grpc-status").cloned();
                let (_, trailers) = read(response.into_body()).await.unwrap();
                let behind = trailers.and_then(|map| map.get("grpc-status").cloned());
                failed += u64::from(ahead.or(behind).unwrap() == "14");
            }
        });
        let of_bad = bad.seen.requests.load(Ordering::SeqCst) as u64;
        assert_eq!(failed, of_bad, "it is never asked again: it may have done its work");
        // Each turn of it comes back only where the test takes longer than it is out.
        let of_web = "{port=\"\",protocol=\"tcp\",service=\"default/web\"}";
        let metric = |name: &str| portico.metric(&format!("portico_endpoint_{name}{of_web}"));
        assert!(metric("ejections_total") >= ejections, "http-proxy 6.9: {manners:?}");
        assert!(metric("unavailable_total") >= declined, "http-proxy 6.9: {manners:?}");
        if ejections == 0 {
            assert_eq!((metric("ejections_total"), failed), (0, 10), "http-proxy 6.9");
        }
        let calls = "portico_l7_grpc_calls_total";
        counts(&portico, calls, &[r#"ingress="web""#, r#"grpc_status="14""#], failed);
        counts(&portico, calls, &[r#"ingress="web""#, r#"grpc_status="0""#], 20 - failed);
    }
}

#[test]
fn services_and_annotations_say_who_speaks_http_2() {
    let plain = Pod::start(&[], None);
    let secured = Pod::start(&[], Some(secure::server(&[b"h2"])));
    let old = crate::harness::pod::Pod::http("old");
    let app = |pod: &Pod, name: &str, protocol: &str| {
        let text = pod.service(name);
        text.replace("port: 80", &format!("port: 80\n    appProtocol: {protocol}"))
    };
    let manifests = [
        app(&plain, "h2c", "kubernetes.io/h2c"),
        app(&plain, "grpc", "grpc"),
        app(&secured, "grpcs", "grpcs"),
        secured.service("web"),
        crate::services::service("old", "ClusterIP", 80, &[&old]),
        ingress(
            "says",
            &[
                ("h2c.test", "Prefix", "/", "h2c"),
                ("grpc.test", "Prefix", "/", "grpc"),
                ("grpcs.test", "Prefix", "/", "grpcs"),
            ],
            "",
        ),
        annotated("web", "web.test", &[("backend-protocol", "grpcs")], ""),
        annotated("old", "old.test", &[("backend-protocol", "GRPC")], "")
            .replace("name: web,", "name: old,"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    for (host, want) in [
        ("h2c.test", Some("GET http://h2c.test/")),
        ("grpc.test", Some("GET http://grpc.test/")),
        ("grpcs.test", Some("GET https://grpcs.test/")),
        ("web.test", Some("GET https://web.test/")),
        // It does not understand the preface.
        ("old.test", None),
    ] {
        let answer = get(portico.http(), host, "/");
        match want {
            Some(want) => assert!(answer.text().starts_with(want), "{host}: {}", answer.text()),
            None => assert_eq!(answer.status, 502, "ingress 2.4: {host}"),
        }
    }
}
