//! What probing Pods has found out, for as long as it is about the Pods that there are.
//!
//! ```text
//! Pods in use ─▶ who is probed how ─▶ (prober) ─▶ ProbeVerdict ─▶ condition Ready
//! ```
//!
//! Invariants: a Pod that is written again with the same probes keeps its verdict, one that is gone,
//! probed otherwise or not probed any more loses it; where nobody probes, a Pod without a condition
//! counts as ready (`services 2.4`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::finding;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::{
    ExecProbe, ObjectName, PodProbes, Probe, ProbeAction, ProbeVerdict, ProbedPod, Probes, Purpose,
};
use crate::validate::{InUse, Kind, Pod};

/// Verdicts by Pod.
#[derive(Debug)]
pub(super) struct Verdicts {
    /// Which Pods are probed; off where nobody does.
    mode: Probes,
    /// Pods that have probes and an address.
    pods: BTreeMap<ObjectName, Arc<InUse>>,
    found: BTreeMap<ObjectName, (Arc<PodProbes>, bool)>,
    /// Pods that came, left or have another verdict, since somebody took the news.
    news: BTreeSet<ObjectName>,
    /// Whether who is probed how may be another since somebody asked.
    is_stale: bool,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self {
            mode: Probes::Off,
            pods: BTreeMap::new(),
            found: BTreeMap::new(),
            news: BTreeSet::new(),
            is_stale: false,
        }
    }
}

impl Verdicts {
    /// Says which Pods are probed from now on.
    pub(super) fn set_mode(&mut self, mode: Probes) {
        self.mode = mode;
        self.is_stale = true;
        self.news.extend(self.found.keys().cloned());
    }

    /// A Pod came, or came back.
    pub(super) fn insert(&mut self, object: &Arc<InUse>) {
        if probes(object).is_some() {
            self.is_stale = true;
            let name = object.valid.name.clone();
            self.pods.insert(name, Arc::clone(object));
        }
    }

    /// A Pod left; its verdict stays until [`Self::take_news`], in case it is back by then.
    pub(super) fn remove(&mut self, name: &ObjectName) {
        if self.pods.remove(name).is_some() {
            self.is_stale = true;
            self.news.insert(name.clone());
        }
    }

    /// Takes a verdict, unless the Pod it is about is not there any more.
    pub(super) fn take(&mut self, verdict: ProbeVerdict) {
        let ProbeVerdict { pod, probes: of, is_ready } = verdict;
        let is_about = |object: &Arc<InUse>| probes(object) == Some(&of);
        if !self.pods.get(&pod).is_some_and(is_about) {
            return;
        }
        self.news.insert(pod.clone());
        self.found.insert(pod, (of, is_ready));
    }

    /// Pods that are there and may have another verdict than they had; forgets verdicts about Pods
    /// that are gone, others, or not probed any more.
    pub(super) fn take_news(&mut self) -> Vec<Arc<InUse>> {
        let mut still = Vec::new();
        for name in std::mem::take(&mut self.news) {
            let object = self.pods.get(&name);
            let probed = object.and_then(|object| self.probed(object));
            let found = self.found.get(&name);
            if found.is_some_and(|(of, _)| probed != Some(of)) {
                self.found.remove(&name);
            }
            still.extend(object.cloned());
        }
        still
    }

    /// Whether a Pod's condition Ready is True: as the manifest says, or as probing has found out.
    pub(super) fn is_ready(&self, name: &ObjectName, pod: &Pod) -> bool {
        match &pod.probes {
            Some(probes) if is_probed(self.mode, pod) => {
                self.are_containers_ready(name, probes) && pod.closed_gates.is_empty()
            }
            _ => pod.ready.unwrap_or(true),
        }
    }

    /// Who is to be probed how; none where that is as it was when last asked.
    pub(super) fn take_probed(&mut self) -> Option<Vec<ProbedPod>> {
        if !std::mem::take(&mut self.is_stale) {
            return None;
        }
        let probed = self.pods.iter().filter_map(|(name, object)| {
            let probes = Arc::clone(self.probed(object)?);
            let Kind::Pod(pod) = &object.valid.kind else { return None };
            Some(ProbedPod {
                name: name.clone(),
                is_terminating: pod.terminating,
                is_ready: self.are_containers_ready(name, &probes),
                closed_gates: Arc::clone(&pod.closed_gates),
                probes,
            })
        });
        Some(probed.collect())
    }

    /// What there is to say about probes under these settings: each that is not carried out as it
    /// is written, and each Pod whose probes are not carried out here although `mode` asks for it.
    pub(super) fn notes(&self, mode: Probes, exec: ExecProbe) -> Vec<Diagnostic> {
        let mut notes = Vec::new();
        for object in self.pods.values() {
            let Kind::Pod(pod) = &object.valid.kind else { continue };
            let Some(probes) = pod.probes.as_ref().filter(|_| is_probed(mode, pod)) else {
                continue;
            };
            let mut note = |code, text| {
                notes.push(finding(code, object, FieldPath::from("spec.containers"), text));
            };
            if self.mode == Probes::Off {
                note(Code::NotProbed, NOT_PROBED.to_owned());
            }
            for container in &probes.containers {
                let is_command = |probe: &&Probe| probe.action == ProbeAction::Exec;
                for probe in container.probes.iter().filter(is_command) {
                    note(Code::ExecProbe, command(&container.name, probe.purpose, exec));
                }
            }
        }
        notes
    }

    fn are_containers_ready(&self, name: &ObjectName, probes: &Arc<PodProbes>) -> bool {
        let found = self.found.get(name).filter(|(of, _)| of == probes);
        found.map_or_else(|| probes.begins_ready(), |(_, is_ready)| *is_ready)
    }

    /// The probes of a Pod, if they are carried out.
    fn probed<'a>(&self, object: &'a Arc<InUse>) -> Option<&'a Arc<PodProbes>> {
        match &object.valid.kind {
            Kind::Pod(pod) if is_probed(self.mode, pod) => pod.probes.as_ref(),
            _ => None,
        }
    }
}

/// Whether a Pod is probed: not where somebody else says whether it is ready, unless told to.
fn is_probed(mode: Probes, pod: &Pod) -> bool {
    let wanted = match mode {
        Probes::Auto => pod.ready.is_none(),
        Probes::On => true,
        Probes::Off => false,
    };
    wanted && pod.probes.is_some() && !pod.finished
}

fn command(container: &str, purpose: Purpose, exec: ExecProbe) -> String {
    let comes_to = match exec {
        ExecProbe::Ready => "success",
        ExecProbe::Unready => "failure",
    };
    format!(
        "the {purpose} probe of container {container} is a command, which is not run: it comes to \
         {comes_to} (--exec-probe)"
    )
}

fn probes(object: &Arc<InUse>) -> Option<&Arc<PodProbes>> {
    match &object.valid.kind {
        Kind::Pod(pod) => pod.probes.as_ref(),
        _ => None,
    }
}

const NOT_PROBED: &str = "has probes, which `portico run` carries out; here it counts as ready";
