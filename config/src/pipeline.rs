//! The stages in a row: changed files in, snapshot and diagnostics out.
//!
//! Owns the store and the last snapshot; does no I/O and reads no clock. `portico check` and a
//! live reload run exactly this.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroize as _;

use crate::compile::{Dirty, Inputs, Memory, Objects, compile, sought};
use crate::decode::{Decoded, decode};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Certificate, FoundHost, HostFacts, ObjectName, ProbeVerdict, Probed, Settings};
use crate::snapshot::{Assignments, Snapshot};
use crate::source::{ABSENT, Changes};
use crate::store::{CheckedFile, Store};
use crate::validate::{Valid, validate};

mod default_certificate;
mod describe;
mod hosts;

use self::hosts::Hosts;

/// The configuration pipeline of one process.
#[derive(Debug)]
pub struct Pipeline {
    settings: Arc<Settings>,
    facts: HostFacts,
    store: Store<Valid>,
    objects: Objects,
    /// Whether somebody carries probes out.
    is_probing: bool,
    /// What the last compilation found; none before the first, and after one that did not end.
    memory: Option<Memory>,
    unreadable: Vec<(Arc<PathBuf>, String)>,
    hosts: Hosts,
    /// Where hosts outside were found: those that are sought, and no others.
    outside: BTreeMap<Arc<str>, Arc<[IpAddr]>>,
    /// Whether one was found elsewhere since the last compilation.
    found: bool,
    previous: Arc<Snapshot>,
    default_certificate: Arc<Certificate>,
}

/// What one batch of changes came to.
#[derive(Clone, Debug)]
pub struct Update {
    /// The new snapshot; the same `Arc` as before where nothing that planes see has changed.
    pub snapshot: Arc<Snapshot>,
    /// Whether it differs from the one before, so that planes need to hear of it.
    pub changed: bool,
    /// Everything that is wrong with the manifests as they are now, sorted by file and position.
    pub diagnostics: Arc<[Diagnostic]>,
    /// What changed, by name: `Service default/web added`. Parts of the one sentence that a reload
    /// logs; a few names of each kind, then a count.
    pub changes: Vec<String>,
    /// Files that seem half written: nothing of them was taken. They are to be read once more.
    pub look_again: Vec<Arc<PathBuf>>,
}

impl Pipeline {
    /// An empty pipeline; `assignments` are those of an earlier run, where there was one.
    pub fn new(settings: Arc<Settings>, facts: HostFacts, assignments: Assignments) -> Self {
        let previous = Snapshot { assignments: Arc::new(assignments), ..Snapshot::default() };
        let facts = facts.under(&settings);
        Self {
            settings,
            facts,
            store: Store::new(),
            objects: Objects::default(),
            is_probing: false,
            memory: None,
            unreadable: Vec::new(),
            hosts: Hosts::default(),
            outside: BTreeMap::new(),
            found: false,
            previous: Arc::new(previous),
            default_certificate: default_certificate::make(),
        }
    }

    /// Takes other settings: the next compilation looks at everything under them.
    pub fn reconfigure(&mut self, settings: Arc<Settings>) {
        self.facts = std::mem::take(&mut self.facts).under(&settings);
        self.settings = settings;
        if self.is_probing {
            self.objects.expect_verdicts(self.settings.probes);
        }
        self.memory = None;
    }

    /// From now on somebody carries out the probes of Pods and tells what they come to; until
    /// then a Pod without a condition Ready counts as ready.
    pub fn expect_probes(&mut self) {
        self.is_probing = true;
        self.objects.expect_verdicts(self.settings.probes);
        self.memory = None;
    }

    /// Takes what probing Pods has found out, for the next [`Pipeline::compile`].
    pub fn take_verdicts(&mut self, verdicts: Vec<ProbeVerdict>) {
        self.objects.take_verdicts(verdicts);
    }

    /// Who is to be probed how; none where that is as it was when last asked.
    pub fn take_probed(&mut self) -> Option<Probed> {
        let pods = self.objects.take_probed()?;
        Some(Probed { pods, exec: self.settings.exec_probe })
    }

    /// What was found, and what becomes of each annotation of ingress-nginx that nothing was found about: for
    /// whoever moves from there.
    pub fn with_annotations(&self, found: &[Diagnostic]) -> Vec<Diagnostic> {
        let mut all =
            crate::compile::rows(&self.objects, &self.settings, &self.previous.routes, found);
        all.extend_from_slice(found);
        sort(&mut all);
        all
    }

    /// File and line of each Ingress.
    pub fn ingress_places(&self) -> BTreeMap<ObjectName, (Arc<PathBuf>, u32)> {
        crate::compile::ingress_places(&self.objects)
    }

    /// The hosts outside that Ingresses of the last snapshot lead to, and somebody must look up.
    pub fn sought(&self) -> BTreeSet<Arc<str>> {
        sought(&self.previous.routes.outside)
    }

    /// Takes where hosts were found, for the next [`Pipeline::compile`].
    pub fn take_found(&mut self, found: Vec<FoundHost>) {
        let sought = self.sought();
        self.outside.retain(|host, _| sought.contains(host));
        for FoundHost { host, addresses } in found {
            if sought.contains(&host) && self.outside.get(&host) != Some(&addresses) {
                self.outside.insert(host, addresses);
                self.found = true;
            }
        }
    }

    /// How many files and objects the pipeline holds.
    pub fn counts(&self) -> (usize, usize) {
        self.store.counts()
    }

    /// Takes one batch; `now_seconds` (since 1970) stamps the SOA serial of a changed snapshot.
    pub fn apply(&mut self, changes: Changes, now_seconds: u64) -> Update {
        let mut changes = changes;
        let look_again = self.take(&mut changes);
        self.unreadable = changes.unreadable;
        Update { look_again, ..self.compile(now_seconds) }
    }

    /// Takes the files of a batch, and leaves nothing of what Secrets hold in it; gives those that are to be
    /// read once more.
    fn take(&mut self, changes: &mut Changes) -> Vec<Arc<PathBuf>> {
        for file in &changes.removed {
            self.store.remove(file);
        }
        let mut look_again = self.hosts.take(&self.settings.names.hosts_files, changes);
        let (doubtful, secretive) = self.write(changes);
        look_again.extend(doubtful);
        for (file, content) in &mut changes.written {
            // A source that keeps the text, too, writes over it itself.
            if secretive.contains(file)
                && let Some(bytes) = Arc::get_mut(content)
            {
                bytes.zeroize();
            }
        }
        look_again
    }

    /// Compiles what there is once more, as after [`Pipeline::reconfigure`].
    pub fn compile(&mut self, now_seconds: u64) -> Update {
        let mut dirty = self.objects.take(self.store.take_changes());
        let mut memory = self.memory.take().unwrap_or_else(|| {
            dirty = Dirty::all(&self.objects);
            Memory::default()
        });
        memory.follow(&mut dirty);
        self.objects.read_secrets(&dirty, &self.settings);
        // Names of hosts files are joined with those of the settings.
        dirty.named |= self.hosts.settle();
        dirty.outside |= std::mem::take(&mut self.found);
        let inputs = Inputs {
            previous: &self.previous,
            settings: &self.settings,
            hosts: self.hosts.records(),
            outside: &self.outside,
            facts: &self.facts,
            default_certificate: &self.default_certificate,
            now_seconds,
        };
        let snapshot = compile(&self.objects, &dirty, &mut memory, &inputs);
        let diagnostics = self.diagnostics(&memory);
        self.memory = Some(memory);
        let changed = snapshot.generation != self.previous.generation;
        let changes =
            if changed { describe::changes(&self.previous, &snapshot) } else { Vec::new() };
        if changed {
            self.previous = Arc::new(snapshot);
        }
        let snapshot = Arc::clone(&self.previous);
        Update {
            snapshot,
            changed,
            diagnostics: diagnostics.into(),
            changes,
            look_again: Vec::new(),
        }
    }

    /// Stores what the files of a batch say; gives those that seem half written, which stay as they
    /// were until they are looked at again, and those whose text must not be kept.
    fn write(&mut self, changes: &Changes) -> (Vec<Arc<PathBuf>>, BTreeSet<Arc<PathBuf>>) {
        let limits = &self.settings.limits;
        let (mut doubtful, mut secretive) = (Vec::new(), BTreeSet::new());
        for files in changes.written.chunks(FILES_AT_ONCE) {
            let read = crate::parallel::map(files, |(file, content)| {
                let check = |decoded: &Decoded| validate(&decoded.object, &decoded.origin);
                CheckedFile::new(decode(file, content, limits), check)
            });
            for ((file, _), read) in files.iter().zip(read) {
                if read.holds_secrets() {
                    secretive.insert(Arc::clone(file));
                }
                match changes.doubtful.is_empty() {
                    true => self.store.write(file, read),
                    false => doubtful.push((file, read)),
                }
            }
        }
        // An object that went to another file of the batch is not lost.
        let found = doubtful.iter().flat_map(|(_, file)| file.keys()).collect();
        let (write, look_again): (Vec<_>, Vec<_>) =
            doubtful.into_iter().partition(|(file, read)| {
                !changes.doubtful.contains(*file)
                    || (read.is_right() && !self.store.would_lose(file, &found))
            });
        for (file, read) in write {
            self.store.write(file, read);
        }
        let look_again = look_again.into_iter();
        (look_again.map(|(file, _)| Arc::clone(file)).collect(), secretive)
    }
}

impl Pipeline {
    /// Everything that is wrong now, by file and position.
    fn diagnostics(&self, memory: &Memory) -> Vec<Diagnostic> {
        let mut diagnostics = self.store.diagnostics();
        for (path, reason) in &self.unreadable {
            let text = match reason == ABSENT {
                true => reason.clone(),
                false => format!("{reason}; what was read of it before stays"),
            };
            diagnostics.push(Diagnostic::new(Code::Unreadable, text).file(path, None));
        }
        diagnostics.extend(self.objects.notes_on_secrets().cloned());
        diagnostics.extend(memory.diagnostics().cloned());
        diagnostics.extend(self.hosts.diagnostics().cloned());
        let Settings { probes, exec_probe, .. } = *self.settings;
        diagnostics.extend(self.objects.notes_on_probes(probes, exec_probe));
        sort(&mut diagnostics);
        diagnostics
    }
}

/// By file and position.
fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| {
        let order = |found: &Diagnostic| (found.position, found.code);
        (&a.file, order(a))
            .cmp(&(&b.file, order(b)))
            .then_with(|| a.message.cmp(&b.message))
    });
}

/// Files decoded before any of them is stored: bounds what is held twice.
const FILES_AT_ONCE: usize = 1_024;

#[cfg(test)]
mod probe_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Reach;

    fn written(name: &str) -> Changes {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n"
        );
        let file = Arc::new(PathBuf::from(format!("{name}.yaml")));
        Changes { written: vec![(file, text.into_bytes().into())], ..Changes::default() }
    }

    fn addresses(update: &Update) -> Vec<String> {
        let services = update.snapshot.services.values();
        let all = services.map(|service| match &service.reach {
            Reach::ClusterIp(addresses) => addresses[0].to_string(),
            other => panic!("{other:?}"),
        });
        all.collect()
    }

    fn pipeline(cidr: &str, assignments: Assignments) -> (Pipeline, Arc<Settings>) {
        let settings = |cidr: &str| {
            let service_cidrs = vec![cidr.parse().unwrap()];
            Arc::new(Settings { service_cidrs, ..Settings::default() })
        };
        let pipeline = Pipeline::new(settings(cidr), HostFacts::default(), assignments);
        (pipeline, settings("127.98.0.0/16"))
    }

    #[test]
    fn another_service_cidr_counts_for_new_services_and_for_all_at_the_next_start() {
        let (mut pipeline, other) = pipeline("127.97.0.0/16", Assignments::default());
        let first = addresses(&pipeline.apply(written("a"), 0));
        assert!(first[0].starts_with("127.97."), "{first:?}");
        pipeline.reconfigure(Arc::clone(&other));
        let reconfigured = pipeline.compile(1);
        assert_eq!(addresses(&reconfigured), first);
        let both = pipeline.apply(written("b"), 2);
        let found = addresses(&both);
        assert!(found[0] == first[0] && found[1].starts_with("127.98."), "{found:?}");
        let kept = Assignments::clone(&both.snapshot.assignments);
        let mut restarted = Pipeline::new(other, HostFacts::default(), kept);
        let found = addresses(&restarted.apply(written("a"), 3));
        assert!(found[0].starts_with("127.98."), "{found:?}");
    }

    /// A file with a Service that has a NodePort, and its EndpointSlice.
    fn with_endpoint(name: &str, before: &str, endpoint: &str) -> Changes {
        let text = format!(
            "{before}apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: NodePort, ports: [{{port: \
             80, nodePort: 30080}}]}}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: \
             {name}, labels: {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\nports: [{{port: \
             80}}]\nendpoints: [{{addresses: [{endpoint}]}}]\n"
        );
        let file = Arc::new(PathBuf::from(format!("{name}.yaml")));
        Changes { written: vec![(file, text.into_bytes().into())], ..Changes::default() }
    }

    /// Whether an edit has all Services looked at.
    fn reaches_all(pipeline: &mut Pipeline, edit: &Changes) -> bool {
        let _ = pipeline.write(edit);
        let mut dirty = pipeline.objects.take(pipeline.store.take_changes());
        let memory = pipeline.memory.as_ref().unwrap();
        memory.follow(&mut dirty);
        dirty.service_objects
    }

    #[test]
    fn an_endpoint_beside_its_service_reaches_that_service_alone() {
        let (mut pipeline, _) = pipeline("127.97.0.0/16", Assignments::default());
        pipeline.apply(with_endpoint("a", "", "10.0.0.1"), 1);
        assert!(!reaches_all(&mut pipeline, &with_endpoint("a", "", "10.0.0.2")));
        assert!(!reaches_all(&mut pipeline, &with_endpoint("a", "# a\n", "10.0.0.2")));
        assert!(reaches_all(&mut pipeline, &with_endpoint("b", "", "10.0.0.1")));
    }

    #[test]
    fn what_was_found_about_a_service_moves_with_it() {
        let (mut pipeline, _) = pipeline("127.97.0.0/16", Assignments::default());
        pipeline.apply(with_endpoint("a", "", "10.0.0.1"), 1);
        // The NodePort is a's: that of b is another.
        let line = |update: &Update| {
            let mut found = update.diagnostics.iter();
            let taken = found.find(|it| it.code == Code::NodePortTaken).unwrap();
            taken.position.unwrap().line
        };
        let first = line(&pipeline.apply(with_endpoint("b", "", "10.0.0.2"), 2));
        let second = line(&pipeline.apply(with_endpoint("b", "#\n# b\n", "10.0.0.3"), 3));
        assert_eq!(second, first + 2);
    }

    #[test]
    fn nothing_of_a_secret_is_left_in_what_a_source_gave() {
        let (mut pipeline, _) = pipeline("127.97.0.0/16", Assignments::default());
        let file = |name: &str, text: &str| (Arc::new(name.into()), text.as_bytes().into());
        let service = written("a").written.remove(0);
        let secret = "kind: Secret\napiVersion: v1\nmetadata: {name: a}\nstringData: {a: hush}\n";
        let torn = "kind: Secret\ndata: {a: hush";
        let mut changes = Changes {
            written: vec![service.clone(), file("secret.yaml", secret), file("torn.yaml", torn)],
            ..Changes::default()
        };
        pipeline.take(&mut changes);
        let [(_, left), (_, good), (_, bad)] = &changes.written[..] else { panic!("three files") };
        assert_eq!(*left, service.1, "what holds none is left alone");
        assert!(
            [good, bad]
                .iter()
                .all(|it| it.iter().all(|byte| *byte == 0)),
            "ingress 6.3"
        );
    }

    #[test]
    fn other_settings_count_from_the_next_compilation_on() {
        let (mut pipeline, _) = pipeline("127.97.0.0/16", Assignments::default());
        let first = pipeline.apply(written("a"), 0);
        assert!(!pipeline.compile(1).changed, "nothing is new");
        pipeline.reconfigure(Arc::new(Settings { dns_ttl_seconds: 77, ..Settings::default() }));
        let second = pipeline.compile(2);
        assert!(second.changed);
        assert_eq!(first.snapshot.zones.ttl_seconds, 5);
        assert_eq!(second.snapshot.zones.ttl_seconds, 77);
    }
}
