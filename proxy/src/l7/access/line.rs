//! The line of a request, in each format.
//!
//! Pure. Invariant: a line has at most [`MAX_BYTES`], its end included; texts are cut, numbers never.

use std::borrow::Cow;
use std::net::IpAddr;

use portico_config::model::{LogFormat, LogPart, LogTls, LogTry, LogVariable};

use super::entry::Entry;
use super::escape::{self, Style};
use super::figures::{address, decimal, millis, padded, seconds, socket};
use super::time::Clock;
use crate::l7::account::Account;
use crate::l7::forward::Peer;

type Around<'a> = (&'a Peer, &'a Clock);

/// Writes the line of `entry`; `fields` are those that the format asks for.
pub(super) fn put(
    out: &mut Vec<u8>,
    format: &LogFormat,
    entry: &Entry,
    (from, clock): Around<'_>,
    fields: &[Box<str>],
) {
    let style = if *format == LogFormat::Json { Style::Json } else { Style::Text };
    let line = Line { begin: out.len(), style, entry, from, clock };
    match format {
        LogFormat::Json => line.json(out),
        LogFormat::Text(template) => {
            for part in template.parts() {
                match part {
                    LogPart::Text(text) => out.extend_from_slice(text.as_bytes()),
                    LogPart::Variable(variable) => line.variable(out, variable, fields),
                }
            }
            cut(out, line.begin);
        }
    }
    out.push(b'\n');
}

/// Leaves no more than a line may have: endpoints and numbers are not cut one by one.
fn cut(out: &mut Vec<u8>, begin: usize) {
    if out.len() - begin < MAX_BYTES {
        return;
    }
    let mut end = begin + MAX_BYTES - "…\n".len();
    // Not within a letter.
    while out[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    out.truncate(end);
    out.extend_from_slice("…".as_bytes());
}

/// A line that is being written.
struct Line<'a> {
    begin: usize,
    style: Style,
    entry: &'a Entry,
    from: &'a Peer,
    clock: &'a Clock,
}

impl Line<'_> {
    /// What a text may have now.
    fn room(&self, out: &[u8]) -> usize {
        let left = (MAX_BYTES - RESERVE_BYTES).saturating_sub(out.len() - self.begin);
        left.min(MAX_TEXT_BYTES)
    }

    fn text(&self, out: &mut Vec<u8>, text: &[u8]) {
        let room = self.room(out);
        match text {
            [] if self.style == Style::Text => out.push(b'-'),
            text => escape::put(out, text, self.style, room),
        }
    }

    fn url(&self, out: &mut Vec<u8>, text: &[u8]) {
        let room = self.room(out);
        match text {
            [] if self.style == Style::Text => out.push(b'-'),
            text => escape::put_masked(out, text, self.style, room),
        }
    }

    fn query(&self, out: &mut Vec<u8>, text: &[u8]) {
        let room = self.room(out);
        match text {
            [] if self.style == Style::Text => out.push(b'-'),
            text => escape::put_query(out, text, self.style, room),
        }
    }

    fn variable(&self, out: &mut Vec<u8>, variable: &LogVariable, fields: &[Box<str>]) {
        let Self { entry, from, clock, .. } = self;
        let Account { head_in, body_in, sent, head_out: head, .. } = entry.account;
        match variable {
            LogVariable::RemoteAddr => address(out, self.client()),
            LogVariable::RemotePort => decimal(out, from.peer_port),
            LogVariable::RemoteUser => out.push(b'-'),
            LogVariable::TimeLocal => out.extend_from_slice(clock.local().as_bytes()),
            LogVariable::TimeIso => {
                out.extend_from_slice(clock.iso().as_bytes());
                out.extend_from_slice(b"+00:00");
            }
            LogVariable::Msec => seconds(out, clock.now()),
            LogVariable::Scheme => out.extend_from_slice(scheme(from).as_bytes()),
            LogVariable::ServerAddr => address(out, from.listener.ip()),
            LogVariable::ServerPort => decimal(out, from.listener.port()),
            LogVariable::Status => padded(out, entry.account.shown_status(), 3),
            LogVariable::BytesSent => decimal(out, sent),
            LogVariable::BodyBytesSent => decimal(out, sent.saturating_sub(head)),
            LogVariable::RequestLength => decimal(out, head_in + body_in),
            LogVariable::RequestTime => seconds(out, entry.account.took),
            LogVariable::Request => self.request(out),
            LogVariable::Method => self.text(out, entry.method()),
            LogVariable::RequestUri => self.url(out, entry.target()),
            LogVariable::Uri => self.text(out, split(entry.target()).0),
            LogVariable::Args => self.query(out, split(entry.target()).1),
            LogVariable::Protocol => self.text(out, entry.protocol.as_bytes()),
            LogVariable::Host => self.text(out, entry.host()),
            LogVariable::RequestId => self.text(out, entry.id()),
            LogVariable::TraceId => self.text(out, entry.trace_id()),
            LogVariable::Namespace => self.text(out, self.names().0.as_bytes()),
            LogVariable::IngressName => self.text(out, self.names().1.as_bytes()),
            LogVariable::LocationPath => self.text(out, self.path().as_bytes()),
            LogVariable::ServiceName => self.text(out, self.service().as_bytes()),
            LogVariable::ServicePort => self.text(out, self.port().as_bytes()),
            LogVariable::UpstreamName => self.upstream_name(out),
            LogVariable::AlternativeName => self.alternative_name(out),
            LogVariable::Try(fact) => self.each(out, *fact),
            LogVariable::Tls(fact) => self.tls(out, *fact),
            LogVariable::Field(name) => {
                let index = fields.iter().position(|field| field == name);
                let value = index.and_then(|index| entry.field(index));
                match &**name {
                    "referer" => self.url(out, value.unwrap_or_default()),
                    _ => self.text(out, value.unwrap_or_default()),
                }
            }
        }
    }

    /// The first line of the request, where it was one.
    fn request(&self, out: &mut Vec<u8>) {
        let entry = self.entry;
        if entry.method().is_empty() {
            return out.push(b'-');
        }
        self.text(out, entry.method());
        out.push(b' ');
        self.url(out, entry.target());
        if !entry.protocol.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(entry.protocol.as_bytes());
    }

    /// Every try with commas, as nginx has them.
    fn each(&self, out: &mut Vec<u8>, fact: LogTry) {
        if self.entry.tries.is_empty() {
            out.push(b'-');
        }
        for (index, one) in self.entry.tries.iter().take(MOST_TRIES).enumerate() {
            out.extend_from_slice(if index > 0 { b", " } else { b"" });
            match (fact, one.status, one.connected, one.head) {
                (LogTry::Addr, ..) => socket(out, one.endpoint),
                (LogTry::Status, Some(status), ..) => decimal(out, status),
                (LogTry::ConnectTime, _, Some(connected), _) => seconds(out, connected),
                (LogTry::HeaderTime, _, _, Some(head)) => seconds(out, head),
                (LogTry::ResponseTime, ..) => seconds(out, one.took),
                (LogTry::ResponseLength, ..) => decimal(out, one.body_bytes),
                (LogTry::Status | LogTry::ConnectTime | LogTry::HeaderTime, ..) => out.push(b'-'),
            }
        }
    }

    fn tls(&self, out: &mut Vec<u8>, fact: LogTls) {
        let shown = self.from.shown.as_ref();
        let Some(agreed) = &self.from.agreed else { return out.push(b'-') };
        match fact {
            LogTls::Protocol => self.text(out, agreed.protocol.as_bytes()),
            LogTls::Cipher => self.text(out, agreed.cipher.as_bytes()),
            LogTls::ServerName => self.text(out, agreed.server_name.as_bytes()),
            LogTls::SessionReused => out.push(if agreed.is_resumed { b'r' } else { b'.' }),
            LogTls::ClientSubject => {
                self.text(out, shown.map_or("", |shown| shown.subject()).as_bytes());
            }
            LogTls::ClientIssuer => {
                self.text(out, shown.map_or("", |shown| shown.issuer()).as_bytes());
            }
            // nginx says NONE where nobody asked, too.
            LogTls::ClientVerify => {
                let worth = shown.map_or_else(|| "NONE".to_owned(), |shown| shown.worth());
                self.text(out, worth.as_bytes());
            }
        }
    }

    fn client(&self) -> IpAddr {
        self.entry.client.unwrap_or(self.from.client)
    }

    fn names(&self) -> (&str, &str) {
        let ingress = self
            .entry
            .account
            .rule
            .as_ref()
            .and_then(|rule| rule.ingress.as_ref());
        ingress.map_or(("", ""), |it| (&*it.namespace, &*it.name))
    }

    fn path(&self) -> &str {
        self.entry
            .account
            .rule
            .as_ref()
            .map_or("", |rule| &*rule.path)
    }

    fn service(&self) -> &str {
        let port = self.entry.port.as_ref();
        port.map_or("", |(port, _)| &*port.service.name)
    }

    /// The name of the ServicePort, or its number where it has none.
    fn port(&self) -> Cow<'_, str> {
        match &self.entry.port {
            None => Cow::Borrowed(""),
            Some((port, number)) if port.name.is_empty() => Cow::Owned(number.to_string()),
            Some((port, _)) => Cow::Borrowed(&port.name),
        }
    }

    fn upstream_name(&self, out: &mut Vec<u8>) {
        let Some((port, _)) = &self.entry.port else { return out.push(b'-') };
        self.text(out, port.service.namespace.as_bytes());
        out.push(b'-');
        self.text(out, port.service.name.as_bytes());
        out.push(b'-');
        self.text(out, self.port().as_bytes());
    }

    /// `upstream_name` of requests that went to an alternative.
    fn alternative_name(&self, out: &mut Vec<u8>) {
        let rule = self.entry.account.rule.as_ref();
        match rule.is_some_and(|rule| rule.is_canary) {
            true => self.upstream_name(out),
            false => out.push(b'-'),
        }
    }

    fn json(&self, out: &mut Vec<u8>) {
        let Self { entry, from, .. } = self;
        let (path, query) = split(entry.target());
        self.numbers(out);
        let ((namespace, ingress), port) = (self.names(), self.port());
        let (agreed, shown) = (from.agreed.as_ref(), from.shown.as_ref());
        for (name, text) in [
            ("protocol", entry.protocol.as_bytes()),
            ("method", entry.method()),
            ("request_id", entry.id()),
            ("trace_id", entry.trace_id()),
            ("namespace", namespace.as_bytes()),
            ("ingress", ingress.as_bytes()),
            ("route", self.path().as_bytes()),
            ("service", self.service().as_bytes()),
            ("service_port", port.as_bytes()),
            ("tls_version", agreed.map_or("", |it| it.protocol).as_bytes()),
            ("tls_cipher", agreed.map_or("", |it| it.cipher).as_bytes()),
            ("sni", agreed.map_or("", |it| &it.server_name).as_bytes()),
            ("client_cert_subject", shown.map_or("", |it| it.subject()).as_bytes()),
            ("host", entry.host()),
            ("path", path),
        ] {
            self.member(out, name, text, Self::text);
        }
        self.member(out, "query", query, Self::query);
        self.member(out, "user_agent", entry.field(0).unwrap_or_default(), Self::text);
        self.member(out, "referer", entry.field(1).unwrap_or_default(), Self::url);
        out.push(b'}');
    }

    /// What of an object needs no quotes, or none that hide anything.
    fn numbers(&self, out: &mut Vec<u8>) {
        let Self { entry, from, clock, .. } = self;
        let account = &entry.account;
        let Account { head_in, body_in, sent, head_out: head, .. } = *account;
        let tries = u64::try_from(entry.tries.len()).unwrap_or(u64::MAX);
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(clock.iso().as_bytes());
        out.push(b'.');
        padded(out, clock.now().subsec_micros(), 6);
        out.extend_from_slice(b"Z\"");
        value(out, "duration_ms", |out| millis(out, account.took));
        quoted(out, "client", |out| address(out, self.client()));
        quoted(out, "peer", |out| address(out, from.client));
        quoted(out, "listener", |out| socket(out, from.listener));
        quoted(out, "scheme", |out| out.extend_from_slice(scheme(from).as_bytes()));
        value(out, "status", |out| decimal(out, account.shown_status()));
        value(out, "bytes_in", |out| decimal(out, head_in + body_in));
        value(out, "bytes_out", |out| decimal(out, sent));
        value(out, "body_bytes_out", |out| decimal(out, sent.saturating_sub(head)));
        value(out, "tries", |out| decimal(out, tries));
        if let Some(last) = entry.tries.last() {
            quoted(out, "endpoint", |out| socket(out, last.endpoint));
            value(out, "upstream_ms", |out| millis(out, last.took));
            for (name, time) in [("connect_ms", last.connected), ("ttfb_ms", last.head)] {
                if let Some(time) = time {
                    value(out, name, |out| millis(out, time));
                }
            }
            let is_reused = if last.is_reused { "true" } else { "false" };
            value(out, "connection_reused", |out| out.extend_from_slice(is_reused.as_bytes()));
        }
        if entry.tries.len() > 1 {
            self.failed(out);
        }
        if let Some(flag) = entry.flag {
            quoted(out, "flag", |out| out.extend_from_slice(flag.text().as_bytes()));
        }
    }

    /// The endpoints that were asked before the last one, and what came of them.
    fn failed(&self, out: &mut Vec<u8>) {
        let tries = self.entry.tries.iter();
        let before = tries.take(self.entry.tries.len().saturating_sub(1).min(MOST_TRIES));
        out.extend_from_slice(b",\"failed\":[");
        for (index, one) in before.enumerate() {
            out.extend_from_slice(if index > 0 { b",{" } else { b"{" });
            out.extend_from_slice(b"\"endpoint\":\"");
            socket(out, one.endpoint);
            out.push(b'"');
            value(out, "ms", |out| millis(out, one.took));
            if let Some(status) = one.status {
                value(out, "status", |out| decimal(out, status));
            }
            out.push(b'}');
        }
        out.push(b']');
    }

    /// One member of an object; what is empty is left out.
    fn member(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        text: &[u8],
        put: fn(&Self, &mut Vec<u8>, &[u8]),
    ) {
        if !text.is_empty() && self.room(out) > name.len() + 16 {
            quoted(out, name, |out| put(self, out, text));
        }
    }
}

/// `,"name":` and a value.
fn value(out: &mut Vec<u8>, name: &str, put: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    put(out);
}

/// The same with quotes around the value.
fn quoted(out: &mut Vec<u8>, name: &str, put: impl FnOnce(&mut Vec<u8>)) {
    value(out, name, |out| {
        out.push(b'"');
        put(out);
        out.push(b'"');
    });
}

/// Path and query of a target.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|&byte| byte == b'?') {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &[]),
    }
}

fn scheme(from: &Peer) -> &'static str {
    if from.tls { "https" } else { "http" }
}

/// Of one line (`http-proxy 9.2`).
pub(super) const MAX_BYTES: usize = 8 << 10;
/// What is left for numbers.
const RESERVE_BYTES: usize = 1 << 10;
/// Of one text of a client.
const MAX_TEXT_BYTES: usize = 2 << 10;
/// Endpoints that a line names.
const MOST_TRIES: usize = 4;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::l7::access::Tried;
    use crate::l7::fields::Fields;
    use crate::l7::forward::Announced;
    use crate::l7::h1::head;
    use crate::l7::order::Incoming;
    use crate::l7::request::Asked;

    /// The line of a GET with these lines in its head.
    fn line(format: &str, target: &str, lines: &str) -> String {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n");
        let mut places = Vec::new();
        let line = head::request(head.as_bytes(), &mut places)
            .unwrap()
            .unwrap();
        let fields = Fields::new(head.as_bytes(), &places);
        let asked = Asked { method: line.method, target: line.target, old: false, fields };
        let from = Peer::new([192, 0, 2, 7].into(), ([127, 0, 0, 1], 8080).into(), false);
        let body = Announced::Nothing;
        let incoming = Incoming { asked, from: &from, body, expects: false, websocket: false };
        let format: LogFormat = format.parse().unwrap();
        let fields: Vec<Box<str>> = format.fields().into_iter().map(Into::into).collect();
        let mut entry = Entry::default();
        entry.clear();
        entry.read(&incoming, &fields, || [b'7'; 32]);
        entry.protocol = "HTTP/1.1";
        let now = Instant::now();
        entry.tries(([10, 0, 0, 1], 80).into(), now);
        entry.tried(&Tried { status: Some(502), ..Tried::default() });
        entry.tries(([10, 0, 0, 2], 80).into(), now);
        entry.connected(true);
        let answered_at = Some(now + Duration::from_millis(7));
        entry.tried(&Tried { status: Some(200), answered_at, at_once: true, body_bytes: 200 });
        entry.account =
            Account { status: 200, head_in: 90, sent: 300, head_out: 100, ..Account::default() };
        let mut out = Vec::new();
        put(&mut out, &format, &entry, (&from, &Clock::default()), &fields);
        let out = String::from_utf8(out).unwrap();
        assert!(out.len() <= MAX_BYTES && out.ends_with('\n'), "http-proxy 9.2: {}", out.len());
        out.trim_end_matches('\n').to_owned()
    }

    #[test]
    fn lines_are_those_of_nginx() {
        for (format, lines, want) in [
            ("common", "", r#"192.0.2.7 - - [] "GET /a?token=*** HTTP/1.1" 200 200"#),
            (
                "combined",
                "Referer: http://b/?key=1\r\nUser-Agent: c\"url\r\n",
                r#"192.0.2.7 - - [] "GET /a?token=*** HTTP/1.1" 200 200 "http://b/?key=***" "c\x22url""#,
            ),
            ("$upstream_addr $upstream_status", "", "10.0.0.1:80, 10.0.0.2:80 502, 200"),
            ("$upstream_connect_time $upstream_header_time", "", "-, 0.000 -, 0.007"),
            ("$upstream_response_length [$proxy_alternative_upstream_name]", "", "0, 200 [-]"),
            ("$ssl_protocol $ssl_cipher $ssl_client_s_dn", "", "- - -"),
            ("$uri $args ${host}:$server_port $scheme", "", "/a token=*** a.test:8080 http"),
            ("$bytes_sent $request_length $http_none", "", "300 90 -"),
            ("$request_id", "", "77777777777777777777777777777777"),
            ("$request_id", "X-Request-ID: mine\r\n", "mine"),
            ("$request_id", "X-Request-ID: not mine\r\n", "77777777777777777777777777777777"),
            (
                "$trace_id",
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
                "4bf92f3577b34da6a3ce929d0e0e4736",
            ),
        ] {
            assert_eq!(line(format, "/a?token=1", lines), want, "http-proxy 9.1: {format}");
        }
    }

    #[test]
    fn a_line_of_json_is_one_object() {
        let text = line("json", "/a?b=c", "User-Agent: x\\\"y\r\n");
        for want in [
            r#"{"time":""#,
            r#","client":"192.0.2.7","peer":"192.0.2.7","listener":"127.0.0.1:8080","scheme":"http","status":200,"#,
            r#""bytes_in":90,"bytes_out":300,"body_bytes_out":200,"tries":2,"endpoint":"10.0.0.2:80""#,
            r#","upstream_ms":7.000,"connect_ms":0.000,"ttfb_ms":7.000,"connection_reused":true"#,
            r#","failed":[{"endpoint":"10.0.0.1:80","ms":"#,
            r#","status":502}]"#,
            r#","method":"GET","request_id":"77777777777777777777777777777777","host":"a.test","#,
            r#""path":"/a","query":"b=c","user_agent":"x\u005c\u0022y"}"#,
        ] {
            assert!(text.contains(want), "http-proxy 9.1: {want} in {text}");
        }
    }

    #[test]
    fn no_line_is_longer_than_it_may_be() {
        let long = "\\".repeat(4_000);
        let target = format!("/{}?{}", "a".repeat(2_500), "b=\"&".repeat(500));
        let lines = format!("User-Agent: {long}\r\nReferer: {long}\r\n");
        let many = "$request_time $upstream_addr ".repeat(31) + "$request $http_referer";
        for format in ["json", "combined", &many] {
            let text = line(format, &target.replace('"', "%22"), &lines);
            assert!(text.contains('…'), "http-proxy 9.2: {format}");
        }
    }
}
