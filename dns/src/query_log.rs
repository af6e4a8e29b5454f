//! The log of questions (`dns 3.8`): a line for each reply that a rule takes, in CoreDNS's common form.
//!
//! ```text
//! [INFO] 127.0.0.1:40001 - 4711 "A IN www.example.org. udp 45 false 1232" NOERROR qr,rd,ra 61 0.000053s
//! ```
//!
//! That is client, id, type, class, name, protocol, size, DO and the size that the client takes; then
//! code, flags, size and seconds of the reply. Invariants: a name cannot leave its line or its quotes;
//! while it is off, one load for each batch is all that it costs; lines are handed on in batches and
//! never waited for.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portico_config::model::{self, ReplyClass};
use portico_net::line_log::{Counts, LineLog, Lines, Reopen};
use tracing::warn;

use crate::answer::Transport;
use crate::forward::message::{expand, record};
use crate::options::opt_length;
use crate::question::{HEADER, Read, read};
use crate::reply::UDP_SIZE;
use crate::wire::{SOA, is_within, u16_at, wire};
use crate::zones::dotted;

/// What is logged now, for all workers.
#[derive(Debug, Default)]
pub(crate) struct Logging {
    is_on: AtomicBool,
    log: ArcSwapOption<QueryLog>,
}

/// Rules, and where lines go.
#[derive(Debug)]
pub(crate) struct QueryLog {
    rules: Vec<(Vec<u8>, ReplyClass)>,
    lines: Lines,
}

/// The control side: begins with the first rule, and follows them.
#[derive(Debug)]
pub(crate) struct Control {
    logging: Arc<Logging>,
    settings: model::QueryLog,
    /// There once it was needed.
    log: Option<LineLog>,
    counts: Counts,
    reopen: Reopen,
}

/// Lines of one batch.
#[derive(Debug)]
pub(crate) struct Notes {
    log: Arc<QueryLog>,
    /// Those that were not yet handed on.
    pub(crate) octets: Vec<u8>,
    lines: u64,
}

/// What a line says of a question beside its reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub(crate) peer: SocketAddr,
    pub(crate) transport: Transport,
    /// Octets of the message.
    pub(crate) request: usize,
    /// The largest datagram that the client takes.
    pub(crate) size: u16,
}

impl Logging {
    /// Begins the lines of a batch; none where nothing is logged.
    pub(crate) fn begin(&self) -> Option<Notes> {
        if !self.is_on.load(Ordering::Relaxed) {
            return None;
        }
        let log = self.log.load_full()?;
        Some(Notes { log, octets: Vec::new(), lines: 0 })
    }
}

impl Control {
    /// Logs what `settings` say, counted in `counts`.
    pub(crate) fn new(
        (logging, reopen): (Arc<Logging>, Reopen),
        settings: model::QueryLog,
        counts: Counts,
    ) -> Self {
        let mut control = Self { logging, settings, log: None, counts, reopen };
        control.apply();
        control
    }

    /// Takes other rules; where lines go stays.
    pub(crate) fn follow(&mut self, rules: &[model::QueryLogRule]) {
        if self.settings.rules != rules {
            self.settings.rules = rules.to_vec();
            self.apply();
        }
    }

    fn apply(&mut self) {
        let rules = self.settings.rules.iter();
        let rules = rules.filter_map(|rule| Some((wire(&rule.zone)?, rule.class)));
        let rules: Vec<_> = rules.collect();
        self.logging
            .is_on
            .store(!rules.is_empty(), Ordering::Relaxed);
        if rules.is_empty() {
            return self.logging.log.store(None);
        }
        let log = match self.log.take() {
            Some(log) => log,
            None => {
                let (file, counts) = (self.settings.file.clone(), self.counts.clone());
                match LineLog::start(file, counts, &self.reopen) {
                    Ok(log) => log,
                    Err(error) => return warn!(%error, "questions cannot be logged"),
                }
            }
        };
        let lines = log.lines();
        self.log = Some(log);
        self.logging
            .log
            .store(Some(Arc::new(QueryLog { rules, lines })));
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // So that the thread has no writers left and ends.
        self.logging.is_on.store(false, Ordering::Relaxed);
        self.logging.log.store(None);
    }
}

impl Notes {
    /// Notes a reply, if a rule takes it.
    pub(crate) fn add(&mut self, noted: Noted, reply: &[u8], time: Duration) {
        if reply.len() < HEADER {
            return;
        }
        let mut name = Vec::new();
        let end = (u16_at(reply, 4) == Some(1))
            .then(|| expand(reply, HEADER, &mut name))
            .flatten();
        if name.is_empty() {
            name.push(0);
        }
        let class = class(reply, end);
        let is_taken = |(zone, of): &(Vec<u8>, ReplyClass)| {
            (*of == ReplyClass::All || *of == class) && is_within(&name, zone)
        };
        if !self.log.rules.iter().any(is_taken) {
            return;
        }
        put_line(&mut self.octets, noted, (&name, end), reply, time);
        self.lines += 1;
        if self.octets.len() >= CHUNK {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        let octets = std::mem::take(&mut self.octets);
        self.log.lines.add(octets, std::mem::take(&mut self.lines));
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        if self.lines > 0 {
            self.hand_on();
        }
    }
}

/// The largest datagram that a client says it takes.
pub(crate) fn client_size(message: &[u8]) -> u16 {
    let edns = match read(message, UDP_SIZE) {
        Read::Ignore => None,
        Read::Fault { edns, .. } => edns,
        Read::Query(query) => query.edns,
    };
    edns.map_or(512, |edns| edns.size)
}

/// The class of a reply, whose question's name ends at `end` (CoreDNS, `plugin/pkg/response`).
fn class(reply: &[u8], end: Option<usize>) -> ReplyClass {
    let is_empty = u16_at(reply, 6) == Some(0);
    let denies = |end: usize| record(reply, end + 4).is_some_and(|it| it.kind == SOA);
    match rcode(reply) {
        0 if is_empty && end.is_some_and(denies) => ReplyClass::Denial,
        0 => ReplyClass::Success,
        3 => ReplyClass::Denial,
        _ => ReplyClass::Error,
    }
}

/// The whole response code, of which the upper bits are in the OPT record.
fn rcode(reply: &[u8]) -> u16 {
    let low = u16_at(reply, 2).unwrap_or(0) & 15;
    let opt = opt_length(reply).and_then(|(at, _)| reply.get(at.checked_sub(4)?));
    u16::from(opt.copied().unwrap_or(0)) << 4 | low
}

fn put_line(
    out: &mut Vec<u8>,
    noted: Noted,
    (name, end): (&[u8], Option<usize>),
    reply: &[u8],
    time: Duration,
) {
    let Noted { peer, transport, request, size } = noted;
    let word = |at| u16_at(reply, at).unwrap_or(0);
    let (kind, class) = end.map_or((0, 0), |end| (word(end), word(end + 2)));
    let kind = label(&TYPES, kind, "TYPE");
    let class = label(&CLASSES, class, "CLASS");
    // Nothing in it can end the quotes.
    let name = dotted(name).replace('"', "\\\"");
    let proto = if transport == Transport::Udp { "udp" } else { "tcp" };
    let opt = opt_length(reply).and_then(|(at, _)| reply.get(at.checked_sub(2)?));
    let dnssec_ok = opt.is_some_and(|flags| flags & 0x80 != 0);
    let rcode = label(&RCODES, rcode(reply), "RCODE");
    let set = FLAGS.iter().filter(|(bit, _)| word(2) & bit != 0);
    let flags: Vec<&str> = set.map(|(_, name)| *name).collect();
    let (flags, seconds) = (flags.join(","), time.as_secs_f64());
    // Writing to memory does not fail.
    let _ = writeln!(
        out,
        "[INFO] {peer} - {id} \"{kind} {class} {name} {proto} {request} {dnssec_ok} {size}\" \
         {rcode} {flags} {length} {seconds}s",
        id = word(0),
        length = reply.len(),
    );
}

/// The name of a number, or the number behind `prefix`.
fn label(known: &[(u16, &str)], number: u16, prefix: &str) -> String {
    let found = known.iter().find(|(of, _)| *of == number);
    found.map_or_else(|| format!("{prefix}{number}"), |(_, name)| (*name).to_owned())
}

const TYPES: [(u16, &str); 30] = [
    (0, "None"),
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (41, "OPT"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (52, "TLSA"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
];
const CLASSES: [(u16, &str); 5] = [(0, "CLASS0"), (1, "IN"), (3, "CH"), (4, "HS"), (255, "ANY")];
const RCODES: [(u16, &str); 8] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (16, "BADVERS"),
    (23, "BADCOOKIE"),
];
const FLAGS: [(u16, &str); 8] = [
    (0x8000, "qr"),
    (0x0400, "aa"),
    (0x0200, "tc"),
    (0x0100, "rd"),
    (0x0080, "ra"),
    (0x0040, "z"),
    (0x0020, "ad"),
    (0x0010, "cd"),
];
/// Octets of lines that are handed on together.
const CHUNK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn noted() -> Noted {
        let peer = "[::1]:40001".parse().unwrap();
        Noted { peer, transport: Transport::Udp, request: 45, size: 1232 }
    }

    /// A reply to a question for A of `name` on the wire, with these flags, counts and records.
    fn reply(name: &[u8], flags: [u8; 2], counts: [u8; 3], records: &[u8]) -> Vec<u8> {
        let [answers, authorities, additionals] = counts;
        let head = [18, 103, flags[0], flags[1], 0, 1, 0, answers, 0, authorities, 0, additionals];
        [&head[..], name, &[0, 1, 0, 1], records].concat()
    }

    #[test]
    fn a_line_is_that_of_coredns() {
        let opt = [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0];
        let address = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01";
        let records = [&address[..], &opt].concat();
        let good = reply(b"\x03WWW\x07example\0", [0x85, 0x80], [1, 0, 1], &records);
        let odd = reply(b"\x04a\"\n \0", [0x81, 5], [0, 0, 0], &[]);
        let version = [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0];
        let version = reply(b"\0", [0x80, 0], [0, 0, 1], &version);
        let bare = [18, 103, 0x80, 4, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
        for (reply, want) in [
            (good, r#""A IN www.example. udp 45 true 1232" NOERROR qr,aa,rd,ra 56 0.000053s"#),
            (odd, r#""A IN a\"\010\032. udp 45 false 1232" REFUSED qr,rd 22 0.000053s"#),
            (version, r#""A IN . udp 45 false 1232" BADVERS qr 28 0.000053s"#),
            (bare, r#""None CLASS0 . udp 45 false 1232" NOTIMP qr 12 0.000053s"#),
        ] {
            let mut name = Vec::new();
            let is_asked = u16_at(&reply, 4) == Some(1);
            let end = is_asked
                .then(|| expand(&reply, HEADER, &mut name))
                .flatten();
            let name = if name.is_empty() { vec![0] } else { name };
            let mut line = Vec::new();
            put_line(&mut line, noted(), (&name, end), &reply, Duration::from_micros(53));
            let line = String::from_utf8(line).unwrap();
            assert_eq!(line, format!("[INFO] [::1]:40001 - 4711 {want}\n"));
        }
    }

    #[test]
    fn replies_have_the_classes_of_coredns() {
        let soa = b"\xc0\x0c\0\x06\0\x01\0\0\0\x05\0\0";
        let ns = b"\xc0\x0c\0\x02\0\x01\0\0\0\x05\0\0";
        let of = |rcode, counts, records: &[u8]| {
            let reply = reply(b"\x01a\0", [0x80, rcode], counts, records);
            class(&reply, Some(HEADER + 3))
        };
        for (case, found, want) in [
            ("an answer", of(0, [1, 0, 0], ns), ReplyClass::Success),
            ("no data", of(0, [0, 1, 0], soa), ReplyClass::Denial),
            ("a referral", of(0, [0, 1, 0], ns), ReplyClass::Success),
            ("nothing at all", of(0, [0, 0, 0], &[]), ReplyClass::Success),
            ("no such name", of(3, [0, 1, 0], soa), ReplyClass::Denial),
            ("a failure", of(2, [0, 0, 0], &[]), ReplyClass::Error),
            ("a refusal", of(5, [0, 0, 0], &[]), ReplyClass::Error),
        ] {
            assert_eq!(found, want, "{case}");
        }
    }

    #[test]
    fn rules_choose_by_zone_and_class() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let rules = ["corp=all", "denial"].map(|rule| rule.parse().unwrap());
        let settings = model::QueryLog { rules: rules.into(), file: Some(path.clone()) };
        let logging = Arc::new(Logging::default());
        assert!(logging.begin().is_none());
        let mut control =
            Control::new((Arc::clone(&logging), Reopen::default()), settings, Counts::default());
        let mut notes = logging.begin().unwrap();
        for (name, rcode) in
            [(&b"\x04corp\0"[..], 0), (b"\x01a\x04corp\0", 5), (b"\x02no\0", 0), (b"\x02no\0", 3)]
        {
            let reply = reply(name, [0x80, rcode], [0, 0, 0], &[]);
            notes.add(noted(), &reply, Duration::ZERO);
        }
        drop(notes);
        control.follow(&[]);
        assert!(logging.begin().is_none(), "off again");
        drop(control);
        let text = std::fs::read_to_string(path).unwrap();
        let names: Vec<_> = text
            .lines()
            .filter_map(|line| line.split(' ').nth(6))
            .collect();
        assert_eq!(names, ["corp.", "a.corp.", "no."], "{text}");
    }
}
