//! Scripts (`dns/tests/scripts/*.dns`): manifests, then questions and what is answered.
//!
//! ```text
//! settings: podsMode=insecure        as in the settings file; words apart by blanks
//! record: db.test A 192.0.2.1        one more static record
//! rewrite: exact a.test b.test       one more rule for names that are asked as others
//! upstream: corp.test=192.0.2.1      one more upstream, which says this, or a code, of every name;
//! upstream: none                     or no more of them
//! search: corp.test lan.test         the host's own search domains
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
//! means that upstreams are asked, where none is written, `silence` that nothing is said; `brief` counts
//! records instead of showing them. A zone that is transferred is shown record by record, and behind a
//! reply stands what the log of questions says.

mod question;
mod shown;
mod upstream;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portico_config::diagnostic::Severity;
use portico_config::model::{
    ClusterIps, ForwardPolicy, Forwarding, HostFacts, PodsMode, Publish, QueryLog, Settings,
};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;
use tokio_util::sync::CancellationToken;

use self::question::Question;
use self::shown::{said, shown};
use self::upstream::Upstream;
use super::*;
use crate::forward::{Begun, Forwarder};
use crate::serve::Ends;
use crate::transfer::is_asked;
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
    facts: HostFacts,
    pipeline: Option<Pipeline>,
    tables: build::Tables,
    dns: Dns,
    upstreams: Vec<Upstream>,
    /// Where the log of questions is.
    _folder: tempfile::TempDir,
}

impl Script {
    fn new() -> Self {
        // Addresses as they are written.
        let settings = Settings {
            cluster_ips: ClusterIps::Keep,
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap(), "fd00:96::/112".parse().unwrap()],
            // Nothing is kept, so that each question is asked.
            forwarding: Forwarding { cache_bytes: 0, ..Forwarding::off() },
            ..Settings::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("questions.log"));
        let log = QueryLog { file, ..QueryLog::default() };
        let (mut dns, _) = Dns::new(Options { log, ..Options::default() });
        dns.open();
        let tables = build::Tables::default();
        let (facts, upstreams) = (HostFacts::default(), Vec::new());
        Self { settings, facts, pipeline: None, tables, dns, upstreams, _folder: folder }
    }

    /// The script with the answers that there are.
    fn run(&mut self, script: &str) -> String {
        let mut out = String::new();
        let mut lines = script.lines().peekable();
        while let Some(line) = lines.next() {
            writeln!(out, "{line}").unwrap();
            if let Some(settings) = line.strip_prefix("settings:") {
                settings.split_whitespace().for_each(|word| self.set(word));
                self.reconfigure();
                self.dns.follow(&self.settings);
            } else if let Some(record) = line.strip_prefix("record: ") {
                self.settings.names.records.push(record.parse().unwrap());
                self.reconfigure();
            } else if let Some(rule) = line.strip_prefix("rewrite: ") {
                self.settings.dns_rewrites.push(rule.parse().unwrap());
                self.dns.follow(&self.settings);
            } else if let Some(domains) = line.strip_prefix("search: ") {
                self.facts.search = domains.split_whitespace().map(Into::into).collect();
            } else if let Some(upstream) = line.strip_prefix("upstream: ") {
                match upstream {
                    "none" => self.upstreams.clear(),
                    written => self.upstreams.push(Upstream::read(written)),
                }
                let rules = self.upstreams.iter().map(Upstream::rule);
                self.settings.forwarding.rules = rules.map(|it| it.parse().unwrap()).collect();
                self.dns.follow(&self.settings);
            } else if line == "manifests:" {
                let mut manifests = String::new();
                while let Some(line) = lines.next_if(|line| *line != "questions:") {
                    writeln!(out, "{line}").unwrap();
                    writeln!(manifests, "{line}").unwrap();
                }
                self.serve(manifests);
            } else if let Some(question) = line.strip_prefix("? ") {
                let is_answer =
                    |line: &&str| !line.is_empty() && !BEGINS.iter().any(|it| line.starts_with(it));
                while lines.next_if(is_answer).is_some() {}
                out.push_str(&self.ask(question));
            }
        }
        out
    }

    /// From the next manifests on.
    fn reconfigure(&mut self) {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.reconfigure(Arc::new(self.settings.clone()));
        }
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
            "dns.autopathFrom" => {
                names.autopath_from = value.split(',').map(|it| it.parse().unwrap()).collect();
            }
            "dns.fallthrough" => names.fallthrough = list(),
            "dns.hostSuffix" => names.host_suffixes = list(),
            "clusterIps" => self.settings.cluster_ips = ClusterIps::Map,
            "dns.allow" => {
                self.settings.dns_allow = value.split(',').map(|it| it.parse().unwrap()).collect();
            }
            "dns.dropDenied" => self.settings.dns_drop_denied = value.parse().unwrap(),
            "dns.ingressAddress" => {
                names.ingress_addresses = value.split(',').map(|it| it.parse().unwrap()).collect();
            }
            "dns.publish" => {
                names.publish = match value {
                    "all" => Publish::All,
                    "suffixes" => Publish::Suffixes,
                    "off" => Publish::Off,
                    other => panic!("{other}"),
                };
            }
            "dns.udpSize" => self.settings.dns_udp_size = value.parse().unwrap(),
            "dns.chaos" => self.settings.dns_chaos = value.parse().unwrap(),
            "dns.wildcardDepth" => names.are_wildcards_shallow = value == "one",
            "dns.nsid" if value == "off" => self.settings.dns_nsid = None,
            "dns.nsid" => self.settings.dns_nsid = Some(value.into()),
            "dns.transferTo" => {
                self.settings.dns_transfer_to = vec![value.parse().unwrap()];
            }
            "dns.log" => {
                let rules = value.split(',').filter(|rule| *rule != "off");
                self.settings.dns_log.rules = rules.map(|it| it.parse().unwrap()).collect();
            }
            "dns.namespaces" => names.namespaces = list(),
            "dns.namespaceLabels" => names.namespace_labels = Some(value.parse().unwrap()),
            "dns.labels" => names.labels = Some(value.parse().unwrap()),
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
            other => self.set_forwarding(other, value),
        }
    }

    fn set_forwarding(&mut self, key: &str, value: &str) {
        let forwarding = &mut self.settings.forwarding;
        match key {
            "forward" => {
                let rules = value.split(',').filter(|rule| *rule != "off");
                forwarding.rules = rules.map(|it| it.parse().unwrap()).collect();
            }
            "forwardAllow" => {
                forwarding.allow = value.split(',').map(|it| it.parse().unwrap()).collect();
            }
            "forwardRebindFilter" => {
                forwarding.filters_rebinding = value.parse().unwrap();
            }
            "forwardPolicy" => forwarding.policy = ForwardPolicy::Sequential,
            "forwardFailover" => {
                let codes = value.split(',').filter(|code| *code != "off");
                forwarding.failover = codes.map(|it| it.parse().unwrap()).collect();
            }
            other => panic!("{other}"),
        }
    }

    fn serve(&mut self, manifests: String) {
        let settings = Arc::new(self.settings.clone());
        let pipeline = self.pipeline.get_or_insert_with(|| {
            Pipeline::new(settings, self.facts.clone(), Assignments::default())
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
            .next(&update.snapshot, &[SocketAddr::from(([127, 0, 0, 1], 53))]);
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
        let message = question.message();
        let mut reply = Vec::new();
        let shared = &self.dns.shared;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(Default::default())
            .unwrap();
        let outcome = runtime.block_on(async {
            self.upstreams.iter().for_each(Upstream::serve);
            let forwarder = Forwarder::new(&shared.forward, &CancellationToken::new());
            match shared.now().answer(&message, ends, &forwarder, &mut reply) {
                Begun::Said(outcome) => Some(outcome),
                // Who is asked is nobody that there is: the runtime ends before anything is sent.
                Begun::Waits(_) if self.upstreams.is_empty() => None,
                Begun::Waits(waiting) => {
                    let (told, outcome) = waiting.reply().await;
                    reply = told;
                    Some(outcome)
                }
            }
        });
        let Some(outcome) = outcome else { return "forwarded\n".to_owned() };
        if matches!(outcome, Outcome::Ignored(_)) {
            return "silence\n".to_owned();
        }
        let is_stream = matches!(question.transport, Transport::Tcp | Transport::Tls);
        let mut out = match is_asked(outcome) && is_stream {
            true => runtime.block_on(self.zone(&message, ends, outcome, &mut reply)),
            false => said(&reply, question.is_brief),
        };
        if let Some(mut notes) = shared.log.begin() {
            notes.add(ends.noted(&message), &reply, std::time::Duration::ZERO);
            let lines = String::from_utf8_lossy(&notes.octets);
            lines
                .lines()
                .for_each(|line| writeln!(out, "log: {line}").unwrap());
        }
        out
    }

    /// The records of a zone that is asked for, or why there are none.
    async fn zone(
        &self,
        message: &[u8],
        ends: Ends,
        refused: Outcome,
        reply: &mut Vec<u8>,
    ) -> String {
        let crate::serve::Shared { transfers, table, .. } = &self.dns.shared;
        let Ok(mut transfer) = transfers.begin(message, ends, table, refused, reply) else {
            return said(reply, false);
        };
        transfer.prepare().await;
        let (mut out, mut next) = (String::new(), Vec::new());
        while transfer.next(&mut next) {
            reply.clone_from(&next);
            for record in &Message::from_vec(&next).unwrap().answers {
                writeln!(out, "{}", shown(record)).unwrap();
            }
        }
        out
    }
}

/// What a line that is no answer begins with.
const BEGINS: [&str; 9] = [
    "#",
    "? ",
    "settings:",
    "record:",
    "rewrite:",
    "upstream:",
    "search:",
    "manifests:",
    "questions:",
];
