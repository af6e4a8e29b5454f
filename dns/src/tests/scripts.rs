//! Scripts (`dns/tests/scripts/*.dns`): manifests, then questions and what is answered.
//!
//! ```text
//! settings: podsMode=insecure        as in the settings file; words apart by blanks
//! record: db.test A 192.0.2.1        one more static record
//! manifests:                         what is served from here on
//! …
//! questions:
//! # 1.1: why this is so
//! ? web.default.svc.cluster.local A
//! NOERROR aa rd
//! web.default.svc.cluster.local. 5 IN A 10.96.0.1
//! ```
//!
//! Everything goes the way of a real process: the compile pipeline, the table, the octets of a reply,
//! which a second decoder reads. `UPDATE_SCRIPTS=1` writes the answers anew; whoever does that reads
//! the difference. After `?` and the type there may be `udp` (512 octets), `edns=SIZE`, `do` and
//! `from=ADDRESS`, who asks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hickory_proto::rr::Record;
use portico_config::diagnostic::Severity;
use portico_config::model::{ClusterIps, HostFacts, PodsMode, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;

use super::*;

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
    table: Arc<AnswerTable>,
}

impl Script {
    fn new() -> Self {
        // Addresses as they are written.
        let settings = Settings {
            cluster_ips: ClusterIps::Keep,
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap(), "fd00:96::/112".parse().unwrap()],
            ..Settings::default()
        };
        let (tables, table) = (build::Tables::default(), Arc::default());
        Self { settings, pipeline: None, tables, table }
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
            } else if let Some(record) = line.strip_prefix("record: ") {
                self.settings.names.records.push(record.parse().unwrap());
            } else if line == "manifests:" {
                let mut manifests = String::new();
                while let Some(line) = lines.next_if(|line| *line != "questions:") {
                    writeln!(out, "{line}").unwrap();
                    writeln!(manifests, "{line}").unwrap();
                }
                self.serve(manifests);
            } else if let Some(question) = line.strip_prefix("? ") {
                let is_answer = |line: &&str| !line.is_empty() && !line.starts_with(['#', '?']);
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
        self.table = self
            .tables
            .next(&update.snapshot, &[IpAddr::from([127, 0, 0, 1])]);
    }

    fn ask(&self, question: &str) -> String {
        let words: Vec<_> = question.split_whitespace().collect();
        let [name, kind, options @ ..] = words.as_slice() else { panic!("{question}") };
        let mut message = query(name, kind_of(kind));
        let mut transport = Transport::Tcp;
        let mut client = IpAddr::from([127, 0, 0, 1]);
        for option in options {
            match option.split_once('=') {
                None if *option == "udp" => transport = Transport::Udp,
                Some(("from", address)) => client = address.parse().unwrap(),
                Some(("edns", size)) => {
                    transport = Transport::Udp;
                    message = with_opt(message, size.parse().unwrap(), 0, &[]);
                }
                _ => panic!("{question}"),
            }
        }
        let peer = SocketAddr::new(client, 40_000);
        let mut reply = Vec::new();
        let outcome = answer(&message, peer, LOCAL, transport, &self.table, &mut reply);
        if outcome == Outcome::Ignored {
            return "silence\n".to_owned();
        };
        let message = Message::from_vec(&reply).unwrap();
        let mut out = rcode(reply[3] & 15).to_owned();
        for (octet, bit, name) in [(2, 4, "aa"), (2, 2, "tc"), (2, 1, "rd"), (3, 0x80, "ra")] {
            if reply[octet] & bit != 0 {
                write!(out, " {name}").unwrap();
            }
        }
        out.push('\n');
        for (section, records) in [
            ("", &message.answers),
            ("authority: ", &message.authorities),
            ("additional: ", &message.additionals),
        ] {
            records
                .iter()
                .for_each(|record| writeln!(out, "{section}{}", shown(record)).unwrap());
        }
        out
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
        ("HTTPS", 65),
        ("IXFR", 251),
        ("AXFR", 252),
        ("ANY", 255),
    ];
    let found = known.iter().find(|(known, _)| *known == name);
    found.map_or_else(|| name.strip_prefix("TYPE").unwrap().parse().unwrap(), |(_, kind)| *kind)
}

fn rcode(code: u8) -> &'static str {
    ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"][usize::from(code)]
}
