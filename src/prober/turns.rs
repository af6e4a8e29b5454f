//! The turns of all Pods: who is asked when, how many at once, and whom the answers go to.
//!
//! Invariants: one task holds everything, and wakes for what is due alone; a probe is out or waiting at
//! most once; a Pod that leaves takes everything along, runs that are out included.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use portico_config::model::{ExecProbe, ObjectName, ProbeVerdict, Probed, ProbedPod, Purpose};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tracing::info;

use super::board::{Board, PodReport};
use super::metrics::Metrics;
use super::news::News;
use super::pod::{Pod, Run};
use super::run;
use super::wire::Wire;
use super::worker::Answer;
use crate::work::Work;

/// Everything that is known of the Pods that are probed.
pub(super) struct Prober {
    pods: HashMap<ObjectName, Probing>,
    /// When which Pod has something to do.
    due: BTreeSet<(Instant, ObjectName)>,
    /// Runs that are due and have no room yet.
    waiting: VecDeque<(ObjectName, Run)>,
    out: HashMap<Id, Out>,
    runs: JoinSet<Answer>,
    news: News,
    ready: usize,
    exec: ExecProbe,
    wire: Rc<Wire>,
    board: Board,
    metrics: Metrics,
    random: RandomState,
}

/// A Pod that is probed.
struct Probing {
    pod: Pod,
    /// What is wrong with its readiness gates.
    closed_gates: Arc<[String]>,
    due: Option<Instant>,
    is_ready: bool,
    /// What the pipeline has been told, or takes it for.
    told: bool,
    /// What the log has said.
    logged: bool,
}

impl Probing {
    /// Its condition Ready, as the kubelet makes it, and what its probes say.
    fn report(&self) -> PodReport {
        let (reason, message) = if !self.is_ready {
            (Some("ContainersNotReady"), self.pod.why())
        } else if !self.closed_gates.is_empty() {
            (Some("ReadinessGatesNotReady"), self.closed_gates.join(", "))
        } else {
            (None, String::new())
        };
        PodReport { reason, message, probes: self.pod.reports() }
    }
}

/// A run that is out.
struct Out {
    pod: ObjectName,
    worker: u64,
    purpose: Purpose,
    begun: Instant,
    end: AbortHandle,
}

impl Prober {
    pub(super) fn new(wire: Wire, board: Board, metrics: Metrics) -> Self {
        Self {
            pods: HashMap::new(),
            due: BTreeSet::new(),
            waiting: VecDeque::new(),
            out: HashMap::new(),
            runs: JoinSet::new(),
            news: News::new(),
            ready: 0,
            exec: ExecProbe::Ready,
            wire: Rc::new(wire),
            board,
            metrics,
            random: RandomState::new(),
        }
    }

    /// Probes whom `probed` names, until nobody does or nobody wants to know.
    pub(super) async fn run(
        &mut self,
        probed: &mut watch::Receiver<Arc<Probed>>,
        works: &SyncSender<Work>,
    ) {
        loop {
            let now = Instant::now();
            self.send_out(now);
            if self.tell(works, now).is_err() {
                return;
            }
            self.metrics.pods(self.ready, self.pods.len() - self.ready);
            self.metrics.active(self.out.len());
            let first = self.due.first().map(|(due, _)| *due);
            let next = first.into_iter().chain(self.news.due()).min();
            let nothing_due = next.is_none();
            let next = next.unwrap_or(now);
            tokio::select! {
                changed = probed.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = Arc::clone(&probed.borrow_and_update());
                    self.follow(&wanted, Instant::now());
                }
                Some(ended) = self.runs.join_next_with_id() => self.take(ended, Instant::now()),
                () = tokio::time::sleep_until(next.into()), if !nothing_due => {}
            }
        }
    }

    /// Begins with Pods that came or are others, and ends with those that left.
    fn follow(&mut self, wanted: &Probed, now: Instant) {
        self.exec = wanted.exec;
        let names: HashMap<_, _> = wanted.pods.iter().map(|pod| (&pod.name, pod)).collect();
        let stays = |name: &ObjectName, probing: &Probing| {
            let pod = names.get(name);
            pod.is_some_and(|pod| probing.pod.is_same(&pod.probes))
        };
        let gone = self
            .pods
            .iter()
            .filter(|(name, probing)| !stays(name, probing));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.forget(&name);
        }
        let mut new = Vec::new();
        for pod in &wanted.pods {
            let Some(probing) = self.pods.get_mut(&pod.name) else {
                new.push(pod);
                continue;
            };
            probing.told = pod.is_ready;
            probing.closed_gates = Arc::clone(&pod.closed_gates);
            probing.pod.follow(&pod.probes, pod.is_terminating, now);
            self.settle(&pod.name, now);
        }
        self.begin(&new, now);
    }

    /// Begins with Pods, their first runs spread over a time that grows with their number.
    fn begin(&mut self, new: &[&ProbedPod], now: Instant) {
        let containers = new.iter().flat_map(|pod| &pod.probes.containers);
        let count: usize = containers.map(|it| it.probes.len()).sum();
        let window = SPREAD.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        for (index, wanted) in new.iter().enumerate() {
            let random = &self.random;
            let mut turn = 0u32;
            let pod = Pod::new(&wanted.probes, wanted.is_terminating, now, |probe| {
                turn += 1;
                let part = random.hash_one((index, turn)) % PARTS;
                let part = u32::try_from(part).unwrap_or(0);
                window.min(probe.pace.period) * part / PARTS_U32
            });
            let is_ready = pod.is_ready();
            self.ready += usize::from(is_ready);
            let probing = Probing {
                pod,
                closed_gates: Arc::clone(&wanted.closed_gates),
                due: None,
                is_ready,
                told: wanted.is_ready,
                logged: is_ready,
            };
            self.pods.insert(wanted.name.clone(), probing);
            self.settle(&wanted.name, now);
        }
    }

    fn forget(&mut self, name: &ObjectName) {
        let Some(probing) = self.pods.remove(name) else { return };
        self.ready -= usize::from(probing.is_ready);
        if let Some(due) = probing.due {
            self.due.remove(&(due, name.clone()));
        }
        self.waiting.retain(|(pod, _)| pod != name);
        self.out.retain(|_, run| {
            let is_other = run.pod != *name;
            if !is_other {
                run.end.abort();
            }
            is_other
        });
        self.news.forget(name);
        self.board.show(name, None);
    }

    /// Takes what a run has come to.
    fn take(&mut self, ended: Result<(Id, Answer), JoinError>, now: Instant) {
        let (id, answer) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Answer::error("portico failed to carry it out")),
        };
        // Gone with its Pod, where it is not there.
        let Some(run) = self.out.remove(&id) else { return };
        let took = now.saturating_duration_since(run.begun);
        self.metrics.ran(run.purpose, answer.outcome, took);
        if let Some(probing) = self.pods.get_mut(&run.pod) {
            probing.pod.take(run.worker, answer, now);
            self.settle(&run.pod, now);
        }
    }

    /// Shows and tells what has become of a Pod, and sees to what it has to do next.
    fn settle(&mut self, name: &ObjectName, now: Instant) {
        let Some(probing) = self.pods.get_mut(name) else { return };
        let is_ready = probing.pod.is_ready();
        match (std::mem::replace(&mut probing.is_ready, is_ready), is_ready) {
            (false, true) => self.ready += 1,
            (true, false) => self.ready -= 1,
            _ => {}
        }
        if std::mem::replace(&mut probing.told, is_ready) != is_ready {
            let probes = Arc::clone(probing.pod.probes());
            self.news
                .add(ProbeVerdict { pod: name.clone(), probes, is_ready }, now);
        }
        self.board.show(name, Some(probing.report()));
        self.schedule(name);
    }

    /// Sees to it that a Pod has its turn when it has something to do.
    fn schedule(&mut self, name: &ObjectName) {
        let Some(probing) = self.pods.get_mut(name) else { return };
        let next = probing.pod.next();
        let before = std::mem::replace(&mut probing.due, next);
        if before != next {
            if let Some(before) = before {
                self.due.remove(&(before, name.clone()));
            }
            self.due.extend(next.map(|due| (due, name.clone())));
        }
    }

    /// Sends out what is due and has room.
    fn send_out(&mut self, now: Instant) {
        while let Some((due, name)) = self.due.first().cloned()
            && due <= now
        {
            self.due.remove(&(due, name.clone()));
            let Some(probing) = self.pods.get_mut(&name) else { continue };
            probing.due = None;
            for run in probing.pod.poll(now) {
                if self.out.len() + self.waiting.len() >= MAX_OUT {
                    self.metrics.delayed();
                }
                self.waiting.push_back((name.clone(), run));
            }
            self.schedule(&name);
        }
        while self.out.len() < MAX_OUT
            && let Some((pod, run)) = self.waiting.pop_front()
        {
            let Some(probing) = self.pods.get(&pod) else { continue };
            let address = probing.pod.probes().address;
            let (worker, purpose) = (run.worker, run.probe.purpose);
            let (wire, exec) = (Rc::clone(&self.wire), self.exec);
            let end = self
                .runs
                .spawn_local(async move { run::carry_out(&run.probe, address, exec, &wire).await });
            self.out
                .insert(end.id(), Out { pod, worker, purpose, begun: now, end });
        }
    }

    /// Hands over the verdicts that are due; fails where nobody takes them any more.
    fn tell(&mut self, works: &SyncSender<Work>, now: Instant) -> Result<(), ()> {
        let verdicts = self.news.take(now);
        if verdicts.is_empty() {
            return Ok(());
        }
        self.log(&verdicts);
        match works.try_send(Work::Probes(verdicts)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(Work::Probes(verdicts))) => {
                self.news.put_back(verdicts, now);
                Ok(())
            }
            Err(_) => Err(()),
        }
    }

    /// One line for each Pod that is not what the log has said of it, the first of many.
    fn log(&mut self, verdicts: &[ProbeVerdict]) {
        let mut lines = 0;
        for verdict in verdicts {
            let Some(probing) = self.pods.get_mut(&verdict.pod) else { continue };
            if std::mem::replace(&mut probing.logged, verdict.is_ready) == verdict.is_ready {
                continue;
            }
            lines += 1;
            let PodReport { reason, message, .. } = probing.report();
            match reason {
                _ if lines > MAX_LINES => {}
                None => info!("Pod {} is ready", verdict.pod),
                Some(reason) => info!(reason, "Pod {} is not ready: {message}", verdict.pod),
            }
        }
        if lines > MAX_LINES {
            info!("{} more Pods are or are not ready: see /api/v1/probes", lines - MAX_LINES);
        }
    }
}

/// Runs that are out at once.
const MAX_OUT: usize = 256;
/// For each probe that comes with others, the time that their first runs are spread over grows.
const SPREAD: Duration = Duration::from_millis(2);
/// Places in that time.
const PARTS: u64 = 1_000;
const PARTS_U32: u32 = 1_000;
/// Lines of the log for one batch of verdicts.
const MAX_LINES: usize = 20;
