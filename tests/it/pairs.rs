//! Each pair of features that meet on the way to a backend: who is kept out stays out, whatever else is
//! asked of the location (`ingress 6.5`, `ingress 1.10`).
//!
//! One host for each row. Beside the status, what counts is who heard of the request: a backend that did
//! was reached, whatever its client was told.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};

use crate::annotations::annotated;
use crate::front_door::ingress;
use crate::harness::eventually;
use crate::harness::http::Client;
use crate::harness::pod::{Pod, request};
use crate::harness::portico::Portico;
use crate::services::service;

/// Who heard of requests, in order.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<&'static str>>>);

impl Heard {
    fn note(&self, name: &'static str) {
        self.0.lock().unwrap().push(name);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The same once `want` have heard, or others: a copy comes before or behind its request.
    fn take_with(&self, want: &[&'static str]) -> Vec<&'static str> {
        eventually(&format!("{want:?} hear of it"), || {
            (self.0.lock().unwrap().len() >= want.len()).then_some(())
        });
        let mut heard = self.take();
        if want.contains(&"copy") {
            heard.sort_by_key(|name| *name == "copy");
        }
        heard
    }
}

/// A pod that notes each request and answers with the status that its path ends in, or 200.
fn noting(heard: &Heard, name: &'static str) -> Pod {
    let heard = heard.clone();
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream: TcpStream| {
        let mut reader = BufReader::new(stream);
        while let Some((head, _)) = request(&mut reader) {
            heard.note(name);
            let path = head.split(' ').nth(1).unwrap_or("/");
            let status = path.rsplit('/').next().and_then(|text| text.parse().ok());
            let status = status.unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n");
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

type Annotation = (&'static str, &'static str);

/// What keeps a request out, or lets it pass.
const CLOSED: &[Annotation] = &[("enable-modsecurity", "true")];
const DENIED: &[Annotation] = &[("denylist-source-range", "127.0.0.0/8")];
const BASIC: &[Annotation] = &[("auth-type", "basic"), ("auth-secret", "users")];
const SAYS_401: &[Annotation] = &[("auth-url", "http://judge.default.svc/401")];
const SAYS_403: &[Annotation] = &[("auth-url", "http://judge.default.svc/403")];
const SAYS_500: &[Annotation] = &[("auth-url", "http://judge.default.svc/418")];
const SAYS_YES: &[Annotation] = &[("auth-url", "http://judge.default.svc/204")];
const LIMITED: &[Annotation] = &[("limit-rpm", "1"), ("limit-burst-multiplier", "1")];
/// What meets it.
const ERRORS: &[Annotation] =
    &[("custom-http-errors", "401,403,413,429,500,503"), ("default-backend", "errors")];
const MOVED: &[Annotation] = &[("permanent-redirect", "https://else.test")];
const ROOT: &[Annotation] = &[("app-root", "/start")];
const SECURE: &[Annotation] = &[("force-ssl-redirect", "true")];
const CORS: &[Annotation] = &[("enable-cors", "true")];
const SIGN_IN: &[Annotation] = &[("auth-signin", "https://login.test")];
const ANY: &[Annotation] = &[("satisfy", "any")];
const INSIDE: &[Annotation] = &[("allowlist-source-range", "127.0.0.0/8")];
const ELSEWHERE: &[Annotation] = &[("allowlist-source-range", "10.0.0.0/8")];
const REWRITE: &[Annotation] = &[("rewrite-target", "/open")];
const AGAIN: &[Annotation] = &[("proxy-next-upstream", "http_403 http_503 non_idempotent")];
const SHORT: &[Annotation] = &[("proxy-body-size", "1b")];
const STICKY: &[Annotation] = &[("affinity", "cookie")];
const COPIED: &[Annotation] = &[("mirror-target", "http://copy.default.svc$request_uri")];

const PLAIN: &str = "GET / HTTP/1.1\r\n";
const RIGHT: &str = "GET / HTTP/1.1\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n";
const WRONG: &str = "GET / HTTP/1.1\r\nAuthorization: Basic YW5uOndyb25n\r\n";
const PREFLIGHT: &str =
    "OPTIONS / HTTP/1.1\r\nOrigin: https://a.test\r\nAccess-Control-Request-Method: PUT\r\n";
const CANARY: &str = "GET / HTTP/1.1\r\nX-Try: always\r\n";
const LONG: &str = "POST / HTTP/1.1\r\nContent-Length: 2\r\n";
const ACME: &str = "GET /.well-known/acme-challenge/x HTTP/1.1\r\n";

/// A pair, what it is about, what is sent, the status, and who heard of it.
type Row =
    (&'static str, &'static [&'static [Annotation]], &'static str, u16, &'static [&'static str]);

const ROWS: &[Row] = &[
    ("closed, error pages", &[CLOSED, ERRORS], PLAIN, 200, &["errors"]),
    ("closed, redirect", &[CLOSED, MOVED], PLAIN, 503, &[]),
    ("closed, app-root", &[CLOSED, ROOT], PLAIN, 503, &[]),
    ("closed, HTTPS", &[CLOSED, SECURE], PLAIN, 503, &[]),
    ("closed, CORS", &[CLOSED, CORS], PREFLIGHT, 503, &[]),
    ("closed, canary", &[CLOSED], CANARY, 503, &[]),
    ("closed, credentials", &[CLOSED, BASIC], RIGHT, 503, &[]),
    ("closed, ACME", &[CLOSED], ACME, 503, &[]),
    ("lists, error pages", &[DENIED, ERRORS], PLAIN, 200, &["errors"]),
    ("lists, redirect", &[DENIED, MOVED], PLAIN, 403, &[]),
    ("lists, app-root", &[DENIED, ROOT], PLAIN, 403, &[]),
    ("lists, HTTPS", &[DENIED, SECURE], PLAIN, 403, &[]),
    ("lists, CORS", &[DENIED, CORS], PREFLIGHT, 403, &[]),
    ("lists, canary", &[DENIED], CANARY, 403, &[]),
    ("lists, credentials", &[DENIED, BASIC], RIGHT, 403, &[]),
    ("lists, auth-url", &[DENIED, SAYS_YES], PLAIN, 403, &[]),
    ("lists, rewrite", &[DENIED, REWRITE], PLAIN, 403, &[]),
    ("lists, repeats", &[DENIED, AGAIN], PLAIN, 403, &[]),
    ("lists, affinity", &[DENIED, STICKY], PLAIN, 403, &[]),
    ("lists, ACME", &[DENIED], ACME, 403, &[]),
    ("lists, limits", &[DENIED, LIMITED], PLAIN, 403, &[]),
    ("lists, satisfy, no credentials", &[ELSEWHERE, BASIC, ANY], PLAIN, 401, &[]),
    ("lists, satisfy, wrong ones", &[ELSEWHERE, BASIC, ANY], WRONG, 401, &[]),
    ("lists, satisfy, right ones", &[ELSEWHERE, BASIC, ANY], RIGHT, 200, &["web"]),
    ("lists, satisfy, on the list", &[INSIDE, BASIC, ANY], PLAIN, 200, &["web"]),
    ("lists, satisfy, another says no", &[ELSEWHERE, SAYS_403, ANY], PLAIN, 403, &["judge"]),
    ("lists, satisfy, another is broken", &[ELSEWHERE, SAYS_500, ANY], PLAIN, 500, &["judge"]),
    ("lists, satisfy, redirect", &[ELSEWHERE, BASIC, ANY, MOVED], PLAIN, 401, &[]),
    ("credentials, error pages", &[BASIC, ERRORS], PLAIN, 200, &["errors"]),
    ("credentials, redirect", &[BASIC, MOVED], PLAIN, 401, &[]),
    ("credentials, redirect, right ones", &[BASIC, MOVED], RIGHT, 301, &[]),
    ("credentials, app-root", &[BASIC, ROOT], PLAIN, 401, &[]),
    ("credentials, app-root, right ones", &[BASIC, ROOT], RIGHT, 302, &[]),
    ("credentials, HTTPS", &[BASIC, SECURE], RIGHT, 308, &[]),
    ("credentials, CORS", &[BASIC, CORS], PREFLIGHT, 204, &[]),
    ("credentials, canary", &[BASIC], CANARY, 401, &[]),
    ("credentials, rewrite", &[BASIC, REWRITE], PLAIN, 401, &[]),
    ("credentials, body size", &[BASIC, SHORT], LONG, 401, &[]),
    ("credentials, affinity", &[BASIC, STICKY], PLAIN, 401, &[]),
    ("credentials, ACME", &[BASIC], ACME, 200, &["web"]),
    ("both credentials, the first wrong", &[BASIC, SAYS_YES], WRONG, 401, &[]),
    ("both credentials, the second no", &[BASIC, SAYS_401], RIGHT, 401, &["judge"]),
    ("both credentials, any", &[BASIC, SAYS_401, ANY], RIGHT, 200, &["web"]),
    ("auth-url, error pages, 401", &[SAYS_401, ERRORS], PLAIN, 200, &["judge", "errors"]),
    ("auth-url, error pages, 403", &[SAYS_403, ERRORS], PLAIN, 200, &["judge", "errors"]),
    ("auth-url, error pages, broken", &[SAYS_500, ERRORS], PLAIN, 200, &["judge", "errors"]),
    ("auth-url, sign-in", &[SAYS_401, SIGN_IN], PLAIN, 302, &["judge"]),
    ("auth-url, sign-in, 403", &[SAYS_403, SIGN_IN], PLAIN, 403, &["judge"]),
    ("auth-url, sign-in, broken", &[SAYS_500, SIGN_IN], PLAIN, 500, &["judge"]),
    ("auth-url, sign-in, error pages", &[SAYS_401, SIGN_IN, ERRORS], PLAIN, 302, &["judge"]),
    ("auth-url, redirect", &[SAYS_401, MOVED], PLAIN, 401, &["judge"]),
    ("auth-url, redirect, yes", &[SAYS_YES, MOVED], PLAIN, 301, &["judge"]),
    ("auth-url, canary", &[SAYS_403], CANARY, 403, &["judge"]),
    ("auth-url, canary, yes", &[SAYS_YES], CANARY, 200, &["judge", "next"]),
    ("auth-url, CORS", &[SAYS_401, CORS], PREFLIGHT, 204, &[]),
    ("auth-url, rewrite", &[SAYS_401, REWRITE], PLAIN, 401, &["judge"]),
    ("auth-url, body size", &[SAYS_401, SHORT], LONG, 401, &["judge"]),
    ("auth-url, ACME", &[SAYS_401], ACME, 200, &["web"]),
    ("auth-url, HTTPS", &[SAYS_YES, SECURE], PLAIN, 308, &[]),
    ("body size, error pages", &[SHORT, ERRORS], LONG, 200, &["errors"]),
    ("body size, redirect", &[SHORT, MOVED], LONG, 301, &[]),
    (
        "body size, canary",
        &[SHORT],
        "POST / HTTP/1.1\r\nX-Try: always\r\nContent-Length: 2\r\n",
        413,
        &[],
    ),
    ("closed, mirror", &[CLOSED, COPIED], PLAIN, 503, &[]),
    ("lists, mirror", &[DENIED, COPIED], PLAIN, 403, &[]),
    ("lists, satisfy, mirror", &[ELSEWHERE, BASIC, ANY, COPIED], WRONG, 401, &[]),
    ("credentials, mirror", &[BASIC, COPIED], WRONG, 401, &[]),
    ("credentials, mirror, right ones", &[BASIC, COPIED], RIGHT, 200, &["web", "copy"]),
    ("auth-url, mirror", &[SAYS_403, COPIED], PLAIN, 403, &["judge"]),
    ("auth-url, mirror, broken", &[SAYS_500, COPIED], PLAIN, 500, &["judge"]),
    ("auth-url, mirror, yes", &[SAYS_YES, COPIED], PLAIN, 200, &["judge", "web", "copy"]),
    ("auth-url, sign-in, mirror", &[SAYS_401, SIGN_IN, COPIED], PLAIN, 302, &["judge"]),
    ("CORS, mirror", &[CORS, COPIED], PREFLIGHT, 204, &[]),
    ("redirect, mirror", &[MOVED, COPIED], PLAIN, 301, &[]),
    ("HTTPS, mirror", &[SECURE, COPIED], PLAIN, 308, &[]),
    ("body size, mirror", &[SHORT, COPIED], LONG, 413, &[]),
    ("canary, mirror", &[COPIED], CANARY, 200, &["next", "copy"]),
    ("rewrite, mirror", &[REWRITE, COPIED], PLAIN, 200, &["web", "copy"]),
    ("HTTPS, redirect", &[SECURE, MOVED], PLAIN, 301, &[]),
    ("canary, rewrite", &[REWRITE], CANARY, 200, &["next"]),
    ("canary, redirect", &[MOVED], CANARY, 301, &[]),
];

/// Rows whose third request is over a limit.
const OVER: &[Row] = &[
    ("limits, error pages", &[LIMITED, ERRORS], PLAIN, 200, &["errors"]),
    ("limits, credentials", &[LIMITED, BASIC], RIGHT, 429, &[]),
    ("limits, auth-url", &[LIMITED, SAYS_YES], PLAIN, 429, &[]),
    ("limits, canary", &[LIMITED], CANARY, 429, &[]),
    ("limits, rewrite", &[LIMITED, REWRITE], PLAIN, 429, &[]),
    ("limits, body size", &[LIMITED, SHORT], LONG, 429, &[]),
    ("limits, CORS", &[LIMITED, CORS], PLAIN, 429, &[]),
    ("limits, ACME", &[LIMITED], ACME, 429, &[]),
    ("limits, mirror", &[LIMITED, COPIED], PLAIN, 429, &[]),
];

fn host(prefix: &str, at: usize) -> String {
    format!("{prefix}{at}.test")
}

/// The location of a row, and its canary.
fn manifests(prefix: &str, rows: &[Row]) -> Vec<String> {
    let mut all = Vec::new();
    for (at, (_, annotations, request, ..)) in rows.iter().enumerate() {
        let host = host(prefix, at);
        let main = annotated(&format!("{prefix}{at}"), &host, &annotations.concat(), "");
        let canary = [("canary", "true"), ("canary-by-header", "X-Try")];
        let canary = annotated(&format!("{prefix}{at}-next"), &host, &canary, "");
        let canary = canary.replace("name: web, port", "name: next, port");
        // A location for challenges begins with their path.
        let path = if *request == ACME { "/.well-known/acme-challenge" } else { "/" };
        all.extend([main, canary].map(|it| it.replace("path: /\n", &format!("path: {path}\n"))));
    }
    all
}

fn ask(portico: &Portico, host: &str, request: &str) -> u16 {
    let (line, fields) = request.split_once("\r\n").unwrap();
    let head = format!("{line}\r\nHost: {host}\r\n{fields}\r\n");
    let body = if fields.contains("Content-Length: 2") { "hi" } else { "" };
    let mut client = Client::connect(portico.http());
    client.request(&head, body.as_bytes()).unwrap().status
}

fn start(pods: &[(&str, &Pod)], prefix: &str, rows: &[Row]) -> Portico {
    const USERS: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: users\nstringData:\n  \
                         auth: \"ann:{PLAIN}secret\"\n";
    let services = pods
        .iter()
        .map(|(name, pod)| service(name, "ClusterIP", 80, &[pod]));
    let mut all: Vec<String> = services.collect();
    all.push(USERS.to_owned());
    all.push(ingress("judge", &[("judge.test", "Prefix", "/", "judge")], ""));
    all.extend(manifests(prefix, rows));
    // Those who answer on port 80 are asked there.
    Portico::with(&[("all.yaml", &all.join("---\n"))]).start()
}

#[test]
fn who_is_kept_out_stays_out_whatever_else_is_asked() {
    let heard = Heard::default();
    let names = ["web", "next", "errors", "judge", "copy"];
    let all = names.map(|name| (name, noting(&heard, name)));
    let pods = all.each_ref().map(|(name, pod)| (*name, pod));
    let portico = start(&pods, "pair", ROWS);
    for (at, (pair, _, request, status, who)) in ROWS.iter().enumerate() {
        let got = ask(&portico, &host("pair", at), request);
        assert_eq!((got, &*heard.take_with(who)), (*status, *who), "ingress 6.5: {pair}");
    }
    drop(portico);
    let portico = start(&pods, "over", OVER);
    for (at, (pair, _, request, status, who)) in OVER.iter().enumerate() {
        for _ in 0..2 {
            ask(&portico, &host("over", at), request);
        }
        // Those that pass are not what counts here, and neither are their copies.
        if pair.ends_with("mirror") {
            heard.take_with(&["web", "web", "copy", "copy"]);
        }
        heard.take();
        let got = ask(&portico, &host("over", at), request);
        assert_eq!((got, &*heard.take()), (*status, *who), "ingress 6.5: {pair}");
    }
}
