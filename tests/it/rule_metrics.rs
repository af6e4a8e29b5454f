//! What is counted of requests: by rule and under names of manifests, whatever clients send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::eventually;
use crate::harness::http::{Client, get};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// The series of a metric that say something of an Ingress: labels that are not asked about are left
/// out, values too.
fn series(portico: &Portico, metric: &str) -> Vec<String> {
    let answer = get(portico.admin(), "localhost", "/metrics");
    let lines = answer.text().lines();
    let begin = format!("{metric}{{");
    lines
        .filter_map(|line| line.strip_prefix(&begin))
        .map(str::to_owned)
        .collect()
}

/// Waits until a metric has one series with these labels and this value.
#[track_caller]
pub(crate) fn counts(portico: &Portico, metric: &str, labels: &[&str], value: u64) {
    let found = || {
        let mut all = series(portico, metric).into_iter();
        all.find(|line| {
            labels.iter().all(|label| line.contains(label))
                && line.ends_with(&format!("}} {value}"))
        })
    };
    eventually(&format!("{metric} has {labels:?} {value}"), found);
}

#[test]
fn requests_are_counted_by_rule_method_and_status() {
    let pod = Pod::http("web");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        ingress(
            "shop",
            &[("*.shop.test", "Prefix", "/cart", "web"), ("*.shop.test", "Exact", "/", "none")],
            "",
        ),
        annotated("closed", "closed.test", &[("denylist-source-range", "0.0.0.0/0")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(2)
        .start();
    for path in ["/cart", "/cart/1", "/cart/2"] {
        assert_eq!(get(portico.http(), "a.shop.test", path).status, 200);
    }
    let head = "BREW /cart HTTP/1.1\r\nHost: b.shop.test\r\n\r\n";
    assert_eq!(
        Client::connect(portico.http())
            .request(head, b"")
            .unwrap()
            .status,
        200
    );
    assert_eq!(get(portico.http(), "a.shop.test", "/").status, 503);
    assert_eq!(get(portico.http(), "closed.test", "/").status, 403);
    assert_eq!(get(portico.http(), "a.shop.test", "/else").status, 404);
    assert_eq!(get(portico.http(), "nobody.test", "/").status, 404);
    let cart = [r#"namespace="default""#, r#"ingress="shop""#, r#"host="*.shop.test""#];
    let cart = [&cart[..], &[r#"path="/cart""#, r#"service="default/web""#]].concat();
    let requests = "portico_l7_requests_total";
    for (labels, more, value) in [
        (&cart[..], [r#"method="GET""#, r#"code="200""#], 3),
        (&cart, [r#"method="other""#, r#"code="200""#], 1),
        (&[r#"ingress="shop""#, r#"path="/""#, r#"service="""#], [r#"method="GET""#, "503"], 1),
        (&[r#"ingress="closed""#, r#"path="/""#], [r#"method="GET""#, r#"code="403""#], 1),
        (&[r#"ingress="""#, r#"host="""#], [r#"method="GET""#, r#"code="404""#], 2),
    ] {
        counts(&portico, requests, &[labels, &more].concat(), value);
    }
    assert_eq!(series(&portico, requests).len(), 5, "http-proxy 9.4");
    counts(&portico, "portico_l7_request_duration_seconds_count", &cart, 4);
    counts(&portico, "portico_l7_upstream_duration_seconds_count", &cart, 4);
    let of_closed = [r#"ingress="closed""#];
    counts(&portico, "portico_l7_request_duration_seconds_count", &of_closed, 1);
    let asked = series(&portico, "portico_l7_upstream_duration_seconds_count");
    assert_eq!(asked.len(), 1, "http-proxy 9.4: nobody was asked for the others: {asked:?}");
}

#[test]
fn clients_make_no_series_and_rules_beyond_the_limit_share_one() {
    let pod = Pod::http("web");
    let rules: Vec<(String, &str, String)> = (0..9)
        .map(|n| (format!("h{n}.test"), "Prefix", format!("/p{n}")))
        .collect();
    let rules: Vec<_> = rules
        .iter()
        .map(|(host, kind, path)| (&**host, *kind, &**path, "web"))
        .collect();
    let manifests =
        [service("web", "ClusterIP", 80, &[&pod]), ingress("site", &rules, "")].join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .told(|options| options.rule_series = 6)
        .start();
    let mut client = Client::connect(portico.http());
    for n in 0..300 {
        let (rule, status) = (n % 10, if n % 10 == 9 { 404 } else { 200 });
        let head = format!(
            "M{n} /p{rule}/{n}?{n} HTTP/1.1\r\nHost: h{rule}.test\r\nUser-Agent: {n}\r\n\r\n"
        );
        assert_eq!(client.request(&head, b"").unwrap().status, status);
    }
    let requests = "portico_l7_requests_total";
    for n in 0..6 {
        let path = format!("path=\"/p{n}\"");
        counts(&portico, requests, &[&path, r#"method="other""#, r#"code="200""#], 30);
    }
    counts(&portico, requests, &[r#"ingress="other""#, r#"namespace="""#], 90);
    counts(&portico, requests, &[r#"ingress="""#, r#"code="404""#], 30);
    assert_eq!(series(&portico, requests).len(), 8, "http-proxy 9.5");
    assert_eq!(portico.metric("portico_l7_rule_series_omitted"), 3);
    let hits = "portico_proxy_limit_exceeded_total{reason=\"rule_series\"}";
    assert_eq!(portico.metric(hits), 3);
}

#[test]
fn a_reload_keeps_the_counts_of_rules_that_stay_and_drops_those_of_others() {
    let pod = Pod::http("web");
    let rules = |name: &str, host: &str| ingress(name, &[(host, "Prefix", "/", "web")], "");
    let web = service("web", "ClusterIP", 80, &[&pod]);
    let portico = Portico::with(&[
        ("web.yaml", &web),
        ("stays.yaml", &rules("stays", "stays.test")),
        ("goes.yaml", &rules("goes", "goes.test")),
    ])
    .start();
    for host in ["stays.test", "goes.test"] {
        assert_eq!(get(portico.http(), host, "/").status, 200);
    }
    let requests = "portico_l7_requests_total";
    counts(&portico, requests, &[r#"ingress="stays""#], 1);
    counts(&portico, requests, &[r#"ingress="goes""#], 1);
    portico.remove("goes.yaml");
    portico.edit("more.yaml", &service("more", "ClusterIP", 80, &[&pod]));
    assert_eq!(get(portico.http(), "stays.test", "/").status, 200);
    counts(&portico, requests, &[r#"ingress="stays""#], 2);
    let left = series(&portico, requests);
    assert_eq!(left.len(), 1, "http-proxy 9.5: {left:?}");
}

#[test]
fn a_canary_has_series_of_its_own_and_a_web_socket_counts_its_bytes() {
    let main = Pod::serve(Ipv4Addr::LOCALHOST.into(), |mut stream| {
        let mut line = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while matches!(reader.read_line(&mut line), Ok(1..)) && line != "\r\n" {
            line.clear();
        }
        let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(switch.as_bytes()).unwrap();
        let mut bytes = [0; 1000];
        while let Ok(count @ 1..) = reader.read(&mut bytes) {
            stream.write_all(&bytes[..count]).unwrap();
        }
    });
    let next = Pod::http("next");
    let canary = [("canary", "true"), ("canary-by-header", "X-Try")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&main]),
        service("next", "ClusterIP", 80, &[&next]),
        annotated("site", "site.test", &[], ""),
        annotated("trial", "site.test", &canary, "").replace("name: web, port", "name: next, port"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let head = "GET / HTTP/1.1\r\nHost: site.test\r\nX-Try: always\r\n\r\n";
    assert_eq!(
        Client::connect(portico.http())
            .request(head, b"")
            .unwrap()
            .status,
        200
    );
    let canary = [r#"ingress="site""#, r#"canary="default/trial""#, r#"service="default/next""#];
    counts(&portico, "portico_l7_requests_total", &canary, 1);
    let mut stream = TcpStream::connect(portico.http()).unwrap();
    let head =
        "GET / HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let main = [r#"canary="""#, r#"service="default/web""#];
    counts(&portico, "portico_l7_tunnels_active", &main, 1);
    counts(&portico, "portico_l7_requests_total", &[&main[..], &[r#"code="101""#]].concat(), 1);
    let said = vec![b'x'; 5_000];
    stream.write_all(&said).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert!(heard.ends_with(&said), "all came back");
    counts(&portico, "portico_l7_tunnels_active", &main, 0);
    let bytes = (head.len() + said.len()) as u64;
    counts(&portico, "portico_l7_request_bytes_total", &main, bytes);
    counts(&portico, "portico_l7_response_bytes_total", &main, heard.len() as u64);
}
