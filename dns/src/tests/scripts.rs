//! Scripts (`dns/tests/scripts/*.dns`): manifests, then questions and what is answered.
//!
//! ```text
//! settings: podsMode=insecure        as in the settings file; words apart by blanks
//! record: db.test A 192.0.2.1        one more static record
//! rewrite: exact a.test b.test       one more rule for names that are asked as others
//! manifests:                         what is served from here on
//! …
//! questions:
//! # 1.1: why this is so
//! ? web.default.svc.cluster.local A
//! NOERROR aa rd
//! web.default.svc.cluster.local. 5 IN A 10.96.0.1
//! ```
//!
//! Everything goes the way of a real process: the compile pipeline, the table, the list of clients, the
//! octets of a reply, which a second decoder reads. `UPDATE_SCRIPTS=1` writes the answers anew; whoever
//! does that reads the difference. Behind the type there may stand [`Question`]'s words. `forwarded`
//! means that upstreams are asked, `silence` that nothing is said; `brief` counts records instead of
//! showing them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::EdnsOption;
use portico_config::diagnostic::Severity;
use portico_config::model::{ClusterIps, Forwarding, HostFacts, PodsMode, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::forward::{Begun, Forwarder};
use crate::serve::Ends;
use crate::{Dns, Options};

#[test]
fn every_script_is_answered_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "dns"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut different = Vec::new();
    for path in paths {
        let want = std::fs::read_to_string(&path).unwrap();
        let got = Script::new().run(&want);
        if std::env::var_os("UPDATE_SCRIPTS").is_some() {
            std::fs::write(&path, &got).unwrap();
        } else if got != want {
            let pairs = want.lines().zip(got.lines()).enumerate();
            let first = pairs.filter(|(_, (want, got))| want != got).take(3);
            let lines: Vec<_> = first
                .map(|(at, (want, got))| format!("{}: {want:?} is {got:?}", at + 1))
                .collect();
            different.push(format!("{}:{}", path.display(), lines.join("\n  ")));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

struct Script {
    settings: Settings,
    pipeline: Option<Pipeline>,
    tables: build::Tables,
    dns: Dns,
}

impl Script {
    fn new() -> Self {
        // Addresses as they are written.
        let settings = Settings {
            cluster_ips: ClusterIps::Keep,
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap(), "fd00:96::/112".parse().unwrap()],
            forwarding: Forwarding::off(),
            ..Settings::default()
        };
        let (mut dns, _) = Dns::new(Options::default());
        dns.open();
        Self { settings, pipeline: None, tables: build::Tables::default(), dns }
    }

    /// The script with the answers that there are.
    fn run(&mut self, script: &str) -> String {
        let mut out = String::new();
        let mut lines = script.lines().peekable();
        while let Some(line) = lines.next() {
            writeln!(out, "{line}").unwrap();
            if let Some(settings) = line.strip_prefix("settings:") {
                settings.split_whitespace().for_each(|word| self.set(word));
                if let Some(pipeline) = &mut self.pipeline {
                    pipeline.reconfigure(Arc::new(self.settings.clone()));
                }
                self.dns.follow(&self.settings);
            } else if let Some(record) = line.strip_prefix("record: ") {
                self.settings.names.records.push(record.parse().unwrap());
            } else if let Some(rule) = line.strip_prefix("rewrite: ") {
                self.settings.dns_rewrites.push(rule.parse().unwrap());
                self.dns.follow(&self.settings);
            } else if line == "manifests:" {
                let mut manifests = String::new();
                while let Some(line) = lines.next_if(|line| *line != "questions:") {
                    writeln!(out, "{line}").unwrap();
                    writeln!(manifests, "{line}").unwrap();
                }
                self.serve(manifests);
            } else if let Some(question) = line.strip_prefix("? ") {
                let begins =
                    ["#", "? ", "settings:", "record:", "rewrite:", "manifests:", "questions:"];
                let is_answer =
                    |line: &&str| !line.is_empty() && !begins.iter().any(|it| line.starts_with(it));
                while lines.next_if(is_answer).is_some() {}
                out.push_str(&self.ask(question));
            }
        }
        out
    }

    fn set(&mut self, word: &str) {
        let (key, value) = word.split_once('=').unwrap();
        let names = &mut self.settings.names;
        let list = || value.split(',').map(Into::into).collect();
        match key {
            "clusterDomain" => self.settings.cluster_domains = list(),
            "aliasZone" => self.settings.alias_zones = list(),
            "dns.ttl" => self.settings.dns_ttl_seconds = value.parse().unwrap(),
            "clusterCidr" => self.settings.cluster_cidrs = vec![value.parse().unwrap()],
            "dns.reverseCidr" => names.reverse_cidrs = vec![value.parse().unwrap()],
            "dns.autopath" => names.autopath = value.parse().unwrap(),
            "dns.fallthrough" => names.fallthrough = list(),
            "dns.hostSuffix" => names.host_suffixes = list(),
            "clusterIps" => self.settings.cluster_ips = ClusterIps::Map,
            "dns.allow" => {
                self.settings.dns_allow = value.split(',').map(|it| it.parse().unwrap()).collect();
            }
            "dns.nsid" => self.settings.dns_nsid = Some(value.into()),
            "forward" => {
                let rules = value.split(',').filter(|rule| *rule != "off");
                self.settings.forwarding.rules = rules.map(|it| it.parse().unwrap()).collect();
            }
            "dns.namespaces" => names.namespaces = list(),
            "ignoreEmptyService" => names.ignore_empty_service = value.parse().unwrap(),
            "endpointPodNames" => names.endpoint_pod_names = value.parse().unwrap(),
            "podsMode" => {
                names.pods = match value {
                    "disabled" => PodsMode::Disabled,
                    "insecure" => PodsMode::Insecure,
                    "verified" => PodsMode::Verified,
                    other => panic!("{other}"),
                };
            }
            other => panic!("{other}"),
        }
    }

    fn serve(&mut self, manifests: String) {
        let settings = Arc::new(self.settings.clone());
        let pipeline = self.pipeline.get_or_insert_with(|| {
            Pipeline::new(settings, HostFacts::default(), Assignments::default())
        });
        let file = Arc::new(PathBuf::from("script.yaml"));
        let written = vec![(file, manifests.into_bytes().into())];
        let update = pipeline.apply(Changes { written, ..Changes::default() }, 1);
        assert!(
            update
                .diagnostics
                .iter()
                .all(|it| it.severity() != Severity::Error),
            "{:?}",
            update.diagnostics
        );
        let table = self
            .tables
            .next(&update.snapshot, &[IpAddr::from([127, 0, 0, 1])]);
        self.dns.shared.table.store(table);
    }

    fn ask(&self, question: &str) -> String {
        let question = Question::read(question);
        let ends = Ends {
            peer: SocketAddr::new(question.client, question.port),
            local: LOCAL,
            transport: question.transport,
            idle: std::time::Duration::from_secs(10),
        };
        let mut reply = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build_local(Default::default())
            .unwrap();
        // Whoever is asked is never reached: nothing runs beside this.
        let begun = runtime.block_on(async {
            let shared = &self.dns.shared;
            let forwarder = Forwarder::new(&shared.forward, &CancellationToken::new());
            shared
                .now()
                .answer(&question.message(), ends, &forwarder, &mut reply)
        });
        match begun {
            Begun::Waits(_) => "forwarded\n".to_owned(),
            Begun::Said(Outcome::Ignored) => "silence\n".to_owned(),
            Begun::Said(_) => said(&reply, question.is_brief),
        }
    }
}

/// What is asked, and how: `NAME TYPE` and words.
struct Question {
    name: String,
    kind: u16,
    /// `class=3`.
    class: u16,
    /// `opcode=4`.
    opcode: u8,
    /// `norec`, `ad`, `cd`, `qr`: bits of the second and third octet of the header.
    flags: [u8; 2],
    /// `counts=2,0,0,0`: what the header says instead of the truth.
    counts: Option<Vec<u16>>,
    /// `edns=SIZE`, with `do`, `version=1`, and `option=CODE:HEX` as often as one likes.
    edns: Option<u16>,
    dnssec_ok: bool,
    version: u8,
    options: Vec<u8>,
    /// `udp`, `tls`, `https`; else `tcp`.
    transport: Transport,
    /// `from=ADDRESS` and `port=NUMBER`.
    client: IpAddr,
    port: u16,
    /// `brief`.
    is_brief: bool,
}

impl Question {
    fn read(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let [name, kind, words @ ..] = words.as_slice() else { panic!("{line}") };
        let mut it = Self {
            name: (*name).to_owned(),
            kind: kind_of(kind),
            class: 1,
            opcode: 0,
            flags: [1, 0],
            counts: None,
            edns: None,
            dnssec_ok: false,
            version: 0,
            options: Vec::new(),
            transport: Transport::Tcp,
            client: IpAddr::from([127, 0, 0, 1]),
            port: 40_000,
            is_brief: false,
        };
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("udp", _) => it.transport = Transport::Udp,
                ("tls", _) => it.transport = Transport::Tls,
                ("https", _) => it.transport = Transport::Https,
                ("norec", _) => it.flags[0] &= !1,
                ("qr", _) => it.flags[0] |= 0x80,
                ("ad", _) => it.flags[1] |= 0x20,
                ("cd", _) => it.flags[1] |= 0x10,
                ("do", _) => it.dnssec_ok = true,
                ("brief", _) => it.is_brief = true,
                ("class", value) => it.class = value.parse().unwrap(),
                ("opcode", value) => it.opcode = value.parse().unwrap(),
                ("version", value) => it.version = value.parse().unwrap(),
                ("edns", value) => it.edns = Some(value.parse().unwrap()),
                ("from", value) => it.client = value.parse().unwrap(),
                ("port", value) => it.port = value.parse().unwrap(),
                ("counts", value) => {
                    it.counts = Some(value.split(',').map(|it| it.parse().unwrap()).collect());
                }
                ("option", value) => {
                    let (code, octets) = value.split_once(':').unwrap();
                    let octets: Vec<u8> = octets
                        .as_bytes()
                        .chunks(2)
                        .map(|it| u8::from_str_radix(str::from_utf8(it).unwrap(), 16).unwrap())
                        .collect();
                    it.options
                        .extend(code.parse::<u16>().unwrap().to_be_bytes());
                    it.options
                        .extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
                    it.options.extend(octets);
                }
                _ => panic!("{word} in {line}"),
            }
        }
        it
    }

    fn message(&self) -> Vec<u8> {
        let mut message = query(&self.name, self.kind);
        let end = message.len();
        message[end - 2..].copy_from_slice(&self.class.to_be_bytes());
        message[2] = self.flags[0] | self.opcode << 3;
        message[3] = self.flags[1];
        if let Some(size) = self.edns {
            message = with_opt(message, size, self.version, &self.options);
            message[end + 7] = if self.dnssec_ok { 0x80 } else { 0 };
        }
        for (index, count) in self.counts.iter().flatten().enumerate() {
            message[4 + 2 * index..][..2].copy_from_slice(&count.to_be_bytes());
        }
        message
    }
}

/// A reply in words.
fn said(reply: &[u8], is_brief: bool) -> String {
    let message = Message::from_vec(reply).unwrap();
    let edns = message.edns.as_ref();
    let high = edns.map_or(0, hickory_proto::op::Edns::rcode_high);
    let mut out = rcode(u16::from(high) << 4 | u16::from(reply[3] & 15)).to_owned();
    for (octet, bit, name) in [
        (2, 4, "aa"),
        (2, 2, "tc"),
        (2, 1, "rd"),
        (3, 0x80, "ra"),
        (3, 0x20, "ad"),
        (3, 0x10, "cd"),
    ] {
        if reply[octet] & bit != 0 {
            write!(out, " {name}").unwrap();
        }
    }
    if message.queries.is_empty() {
        out.push_str(", no question");
    }
    out.push('\n');
    if let Some(edns) = edns {
        write!(out, "edns: {}", edns.max_payload()).unwrap();
        if edns.flags().dnssec_ok {
            out.push_str(" do");
        }
        if edns.version() != 0 {
            write!(out, " version={}", edns.version()).unwrap();
        }
        for (_, option) in edns.options().as_ref() {
            out.push_str(&told(option, reply.len()));
        }
        out.push('\n');
    }
    let sections = [
        ("", &message.answers),
        ("authority: ", &message.authorities),
        ("additional: ", &message.additionals),
    ];
    if is_brief {
        let counts = sections.map(|(_, records)| records.len().to_string());
        writeln!(out, "{} records, {} octets", counts.join("+"), reply.len()).unwrap();
        return out;
    }
    for (section, records) in sections {
        records
            .iter()
            .for_each(|record| writeln!(out, "{section}{}", shown(record)).unwrap());
    }
    out
}

/// An option of a reply that is this long.
fn told(option: &EdnsOption, reply: usize) -> String {
    let octets = Vec::<u8>::try_from(option).unwrap();
    match (u16::from(hickory_proto::rr::rdata::opt::EdnsCode::from(option)), &octets[..]) {
        (15, [high, low]) => format!(" ede={}", u16::from_be_bytes([*high, *low])),
        (3, name) => format!(" nsid={}", String::from_utf8_lossy(name)),
        (11, [high, low]) => format!(" keepalive={}", u16::from_be_bytes([*high, *low])),
        (12, _) => format!(" padded={reply}"),
        (10, cookie) => format!(" cookie={}", cookie.len()),
        (code, octets) => panic!("option {code}: {octets:?}"),
    }
}

fn shown(record: &Record) -> String {
    let (name, ttl, class) = (&record.name, record.ttl, record.dns_class);
    format!("{name} {ttl} {class} {} {}", record.record_type(), record.data)
}

fn kind_of(name: &str) -> u16 {
    let known = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("DS", 43),
        ("OPT", 41),
        ("NSEC", 47),
        ("DNSKEY", 48),
        ("HTTPS", 65),
        ("IXFR", 251),
        ("AXFR", 252),
        ("ANY", 255),
    ];
    let found = known.iter().find(|(known, _)| *known == name);
    found.map_or_else(|| name.strip_prefix("TYPE").unwrap().parse().unwrap(), |(_, kind)| *kind)
}

fn rcode(code: u16) -> &'static str {
    match code {
        16 => "BADVERS",
        code => {
            let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
            names[usize::from(code)]
        }
    }
}
