//! Clients that return to their endpoint by a cookie (`ingress 2.4`: affinity).

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpStream};

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::http::{Answer, Client};
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::services::service;

/// A request on a connection of its own.
fn ask(portico: &Portico, host: &str, path: &str, cookie: Option<&str>) -> Answer {
    let cookie = cookie.map_or_else(String::new, |cookie| format!("Cookie: a=b; {cookie}\r\n"));
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{cookie}\r\n");
    Client::connect(portico.http()).request(&head, b"").unwrap()
}

/// The name and value of the cookie that an answer sets.
fn set(answer: &Answer) -> Option<String> {
    let line = answer.header("set-cookie")?;
    line.split(';').next().map(str::to_owned)
}

/// A client's cookie, and its pod.
fn begin(portico: &Portico, host: &str) -> (String, String) {
    let answer = ask(portico, host, "/", None);
    (set(&answer).expect("a session begins"), answer.text().to_owned())
}

const COOKIE: (&str, &str) = ("affinity", "cookie");
const PERSISTENT: (&str, &str) = ("affinity-mode", "persistent");

#[test]
fn a_client_returns_to_its_pod_and_others_are_spread() {
    let pods = ["a", "b", "c"].map(Pod::http);
    let manifests = [
        service("web", "ClusterIP", 80, &[&pods[0], &pods[1], &pods[2]]),
        annotated("balanced", "balanced.test", &[COOKIE], ""),
        annotated("persistent", "persistent.test", &[COOKIE, PERSISTENT], ""),
        // Another Ingress of the host.
        ingress("plain", &[("balanced.test", "Prefix", "/plain", "web")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for host in ["balanced.test", "persistent.test"] {
        let clients: Vec<_> = (0..48).map(|_| begin(&portico, host)).collect();
        let served: BTreeSet<_> = clients.iter().map(|(_, pod)| pod).collect();
        assert_eq!(served.len(), 3, "ingress 2.4: {host}: new clients are spread");
        for (cookie, pod) in &clients {
            for _ in 0..3 {
                let answer = ask(&portico, host, "/", Some(cookie));
                assert_eq!(answer.text(), pod, "ingress 2.4: {host}: {cookie}");
                assert_eq!(set(&answer), None, "what it has stays right");
            }
            let value = cookie.strip_prefix("INGRESSCOOKIE=").unwrap();
            assert!(value.len() == 32 && !value.contains('.'), "it names no address: {value}");
        }
        for stale in ["INGRESSCOOKIE=", "INGRESSCOOKIE=127.0.0.1:80", "OTHER=1"] {
            assert!(set(&ask(&portico, host, "/", Some(stale))).is_some(), "{host}: {stale}");
        }
    }
    let plain = ask(&portico, "balanced.test", "/plain", None);
    assert_eq!(set(&plain), None, "ingress 2.4: other Ingresses of the host are balanced as usual");
}

#[test]
fn a_cookie_has_the_attributes_that_are_asked_for() {
    let pod = Pod::http("web");
    let all = [
        COOKIE,
        ("session-cookie-name", "route"),
        ("session-cookie-domain", "shop.test"),
        ("session-cookie-expires", "3600"),
        ("session-cookie-max-age", "3600"),
        ("session-cookie-samesite", "None"),
        ("session-cookie-conditional-samesite-none", "true"),
        ("session-cookie-secure", "true"),
    ];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("plain", "plain.test", &[COOKIE], "").replace("path: /\n", "path: /shop\n"),
        annotated("all", "all.shop.test", &all, ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let attributes = |host: &str, fields: &str| -> Vec<String> {
        let head = format!("GET /shop HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        let answer = Client::connect(portico.http()).request(&head, b"").unwrap();
        let cookie = answer.header("set-cookie").unwrap();
        cookie.split("; ").skip(1).map(str::to_owned).collect()
    };
    assert_eq!(attributes("plain.test", ""), ["Path=/shop", "HttpOnly"], "ingress 2.4");
    let mut all = attributes("all.shop.test", "");
    assert!(all.remove(2).starts_with("Expires="), "ingress 2.4");
    assert_eq!(
        all,
        ["Path=/", "Domain=shop.test", "Max-Age=3600", "Secure", "HttpOnly", "SameSite=None"]
    );
    let old = attributes("all.shop.test", "User-Agent: x Chrome/60.0 Safari/537\r\n");
    assert_eq!(old.last().map(String::as_str), Some("HttpOnly"), "ingress 2.4: conditional");
}

#[test]
fn the_cookie_of_a_pattern_is_for_the_whole_host_and_that_is_told() {
    let pod = Pod::http("web");
    let regex = ("use-regex", "true");
    let site = |name: &str, annotations: &[(&str, &str)]| {
        annotated(name, &format!("{name}.test"), annotations, "")
            .replace("path: /\n", "path: /shop/[a-z]+\n")
            .replace("pathType: Prefix", "pathType: ImplementationSpecific")
    };
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        site("silent", &[COOKIE, regex]),
        site("says", &[COOKIE, regex, ("session-cookie-path", "/shop")]),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, want) in [("silent.test", "Path=/;"), ("says.test", "Path=/shop;")] {
        let answer = ask(&portico, host, "/shop/a", None);
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains(want), "ingress 2.4: session-cookie-path: {host}: {cookie}");
    }
    let told = portico.warnings();
    let is_about = |name: &str| {
        let object = format!("default/{name}:");
        let about = |text: &&String| text.contains(&object) && text.contains("`affinity`");
        told.iter().filter(about).count()
    };
    assert_eq!((is_about("silent"), is_about("says")), (1, 0), "ingress 2.4: use-regex: {told:?}");
}

#[test]
fn sessions_outlive_edits_and_restarts_while_their_pod_lives() {
    let pods = ["a", "b", "c"].map(Pod::http);
    let ingresses = [
        annotated("balanced", "balanced.test", &[COOKIE], ""),
        annotated("persistent", "persistent.test", &[COOKIE, PERSISTENT], ""),
    ]
    .join("---\n");
    let two = service("web", "ClusterIP", 80, &[&pods[0], &pods[1]]);
    let folder = tempfile::tempdir().unwrap();
    let start = |service: &str| {
        let state = folder.path().to_owned();
        Portico::with(&[("i.yaml", &ingresses), ("s.yaml", service)])
            .told(move |options| options.state_dir = Some(state))
            .start()
    };
    let portico = start(&two);
    let hosts = ["balanced.test", "persistent.test"];
    let clients = hosts.map(|host| -> Vec<_> { (0..20).map(|_| begin(&portico, host)).collect() });
    let served = |portico: &Portico, host: usize| -> Vec<String> {
        let again = |(cookie, _): &(String, String)| {
            ask(portico, hosts[host], "/", Some(cookie))
                .text()
                .to_owned()
        };
        clients[host].iter().map(again).collect()
    };
    let before =
        |host: usize| -> Vec<String> { clients[host].iter().map(|(_, pod)| pod.clone()).collect() };
    let three = service("web", "ClusterIP", 80, &[&pods[0], &pods[1], &pods[2]]);
    portico.edit("s.yaml", &three);
    assert_eq!(served(&portico, 1), before(1), "ingress 2.4: persistent");
    let balanced = served(&portico, 0);
    let moved = |old: &String, new: &String| old == new || new == "c";
    assert!(
        before(0)
            .iter()
            .zip(&balanced)
            .all(|(old, new)| moved(old, new)),
        "{balanced:?}"
    );
    drop(portico);
    let portico = start(&three);
    assert_eq!(served(&portico, 1), before(1), "a restart ends no session");
    assert_eq!(served(&portico, 0), balanced, "a restart ends no session");
    portico.edit("s.yaml", &service("web", "ClusterIP", 80, &[&pods[1], &pods[2]]));
    for (cookie, pod) in &clients[1] {
        let answer = ask(&portico, "persistent.test", "/", Some(cookie));
        match &**pod {
            "a" => assert!(set(&answer).is_some() && answer.text() != "a", "its pod is gone"),
            pod => assert_eq!((answer.text(), set(&answer)), (pod, None), "its pod is there"),
        }
    }
}

#[test]
fn who_is_served_by_another_pod_keeps_its_cookie_or_gets_another() {
    let dead = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream: TcpStream| drop(stream));
    let pod = Pod::http("web");
    let follows = ("session-cookie-change-on-failure", "true");
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod, &dead]),
        annotated("stays", "stays.test", &[COOKIE], ""),
        annotated("moves", "moves.test", &[COOKIE, follows], ""),
        annotated("stays-p", "stays-p.test", &[COOKIE, PERSISTENT], ""),
        annotated("moves-p", "moves-p.test", &[COOKIE, PERSISTENT, follows], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    for (host, moves) in [
        ("stays.test", false),
        ("moves.test", true),
        ("stays-p.test", false),
        ("moves-p.test", true),
    ] {
        for _ in 0..10 {
            let answer = ask(&portico, host, "/", None);
            assert_eq!(answer.text(), "web", "{host}: a pod that fails is stepped around");
            let cookie = set(&answer).unwrap();
            let again = ask(&portico, host, "/", Some(&cookie));
            assert_eq!(again.text(), "web");
            // Whoever is told of a pod that answered needs no other.
            assert!(moves || set(&again).is_none(), "ingress 2.4: {host}");
            let last = set(&again).unwrap_or(cookie);
            let third = ask(&portico, host, "/", Some(&last));
            assert_eq!(set(&third), None, "ingress 2.4: change-on-failure: {host}");
        }
    }
}

#[test]
fn who_had_a_canary_stays_there() {
    let (main, next) = (Pod::http("main"), Pod::http("next"));
    let site = |host: &str, annotations: &[(&str, &str)]| {
        let canary = [&[("canary", "true"), ("canary-by-header", "X-Try")], annotations].concat();
        [
            annotated(host, &format!("{host}.test"), &[COOKIE], ""),
            annotated(&format!("{host}-canary"), &format!("{host}.test"), &canary, "")
                .replace("name: web, port", "name: next, port"),
        ]
    };
    let services =
        [service("web", "ClusterIP", 80, &[&main]), service("next", "ClusterIP", 80, &[&next])];
    let sticky = site("sticky", &[]);
    let legacy = site("legacy", &[("affinity-canary-behavior", "legacy"), COOKIE]);
    let manifests = [services, sticky, legacy].concat().join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let ask = |host: &str, word: &str, cookie: &str| {
        let head =
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Try: {word}\r\nCookie: {cookie}\r\n\r\n");
        Client::connect(portico.http()).request(&head, b"").unwrap()
    };
    for (host, sticks) in [("sticky.test", true), ("legacy.test", false)] {
        for (word, other, pod) in [("always", "never", "next"), ("never", "always", "main")] {
            let first = ask(host, word, "");
            assert_eq!(first.text(), pod, "{host}");
            let again = ask(host, other, &set(&first).unwrap());
            assert_eq!(again.text() == pod, sticks, "ingress 2.4: {host} {word}");
        }
    }
}

#[test]
fn the_same_text_comes_to_the_same_pod_and_others_to_others() {
    let pods = ["a", "b", "c", "d"].map(Pod::http);
    let by = ("upstream-hash-by", "$arg_user$http_x_part");
    let subset = [by, ("upstream-hash-by-subset", "true"), ("upstream-hash-by-subset-size", "2")];
    let few = |count: usize| service("web", "ClusterIP", 80, &pods.each_ref()[..count]);
    let ingresses =
        [annotated("one", "one.test", &[by], ""), annotated("few", "few.test", &subset, "")]
            .join("---\n");
    let portico = Portico::with(&[("i.yaml", &ingresses), ("s.yaml", &few(3))]).start();
    let served = |portico: &Portico, user: usize| -> String {
        ask(portico, "one.test", &format!("/{user}?a=b&user={user}"), None)
            .text()
            .to_owned()
    };
    let before: Vec<String> = (0..60).map(|user| served(&portico, user)).collect();
    assert_eq!(BTreeSet::from_iter(&before).len(), 3, "ingress 2.4: texts are spread");
    let again: Vec<String> = (0..60).map(|user| served(&portico, user)).collect();
    assert_eq!(again, before, "ingress 2.4: upstream-hash-by");
    for user in 0..5 {
        let path = format!("/?user={user}");
        let pods: BTreeSet<String> = (0..40)
            .map(|_| ask(&portico, "few.test", &path, None).text().to_owned())
            .collect();
        assert_eq!(pods.len(), 2, "ingress 2.4: upstream-hash-by-subset: {pods:?}");
    }
    portico.edit("s.yaml", &few(4));
    let moved = (0..60).map(|user| served(&portico, user));
    let moved: Vec<_> = moved
        .zip(&before)
        .filter(|(new, old)| new != *old)
        .collect();
    assert!(moved.iter().all(|(new, _)| new == "d"), "ingress 2.4: who moves, moves there");
    assert!((1..40).contains(&moved.len()), "a quarter or so: {}", moved.len());
}

#[test]
fn a_service_can_choose_itself_and_no_other_pod_is_tried() {
    let dead = Pod::serve(Ipv4Addr::LOCALHOST.into(), |stream: TcpStream| drop(stream));
    let pods = ["a", "b"].map(Pod::http);
    let choose = ("service-upstream", "true");
    let affine = service("affine", "ClusterIP", 80, &[&pods[0], &pods[1]])
        .replace("spec:\n", "spec:\n  sessionAffinity: ClientIP\n");
    let site = |name: &str, annotations: &[(&str, &str)], to: &str| {
        annotated(name, &format!("{name}.test"), annotations, "")
            .replace("name: web, port", &format!("name: {to}, port"))
    };
    let manifests = [
        affine,
        service("lame", "ClusterIP", 80, &[&pods[0], &dead]),
        site("chosen", &[choose, COOKIE], "affine"),
        site("usual", &[], "affine"),
        site("tried", &[choose], "lame"),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let pods_of = |host: &str| -> BTreeSet<String> {
        (0..10)
            .map(|_| ask(&portico, host, "/", None).text().to_owned())
            .collect()
    };
    assert_eq!(pods_of("chosen.test").len(), 1, "ingress 2.4: service-upstream");
    assert_eq!(pods_of("usual.test").len(), 2, "ingress 1.5: past the Service's affinity");
    assert_eq!(set(&ask(&portico, "chosen.test", "/", None)), None, "and past Ingress's own");
    let statuses: BTreeSet<u16> = (0..4)
        .map(|_| ask(&portico, "tried.test", "/", None).status)
        .collect();
    assert_eq!(statuses, BTreeSet::from([200, 502]), "no other is tried");
}
