//! Carries out the probes of Pods, as a kubelet would, on a thread of its own (`services 6`).
//!
//! ```text
//! compile ─Probed─▶ pods ─due─▶ waiting ─room─▶ out ─Answer─▶ pod ─verdict─▶ news ─▶ compile
//!                                                              └─▶ board, metrics
//! ```
//!
//! [`worker`] and [`pod`] decide, without I/O and clock; [`run`] and what it imports ask; this is the
//! loop between them. Invariants: one task holds all state, whatever the number of Pods; at most
//! [`MAX_OUT`] runs are out, each probe at most once; a Pod that leaves takes everything along. That
//! a verdict changes an endpoint is the pipeline's matter, so that names, L4 and L7 agree about it.

mod worker;
mod pod;
mod news;
mod board;
mod metrics;
mod wire;
mod target;
mod http2;
mod http;
mod grpc;
mod run;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portico_config::model::{ExecProbe, ObjectName, ProbeVerdict, Probed, ProbedPod, Purpose};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub(crate) use board::{Board, PodReport};
pub(crate) use metrics::Metrics;
pub(crate) use pod::Report;
pub(crate) use wire::IsForbidden;

use self::news::News;
use self::pod::{Pod, Run};
use self::wire::Wire;
use self::worker::Answer;
use crate::work::Work;

/// What the prober works with.
pub(crate) struct Around {
    /// Who is to be probed how, and what they are taken for.
    pub(crate) probed: watch::Receiver<Arc<Probed>>,
    /// Where verdicts go.
    pub(crate) works: SyncSender<Work>,
    /// Where what was found out is shown.
    pub(crate) board: Board,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Whom no probe reaches.
    pub(crate) is_forbidden: Box<IsForbidden>,
}

/// Starts the thread; it ends with `close`, or when nobody takes verdicts any more.
pub(crate) fn start(around: Around, close: CancellationToken) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("portico-prober".to_owned());
    thread.spawn(move || {
        // The last verdicts stay: what serves is worth more than what is known of it.
        match catch_unwind(AssertUnwindSafe(|| serve(around, &close))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!("Pods are not probed: {error}"),
            Err(_) => error!("Pods are not probed any more: the prober died of a panic"),
        }
    })
}

fn serve(around: Around, close: &CancellationToken) -> anyhow::Result<()> {
    let Around { mut probed, works, board, metrics, is_forbidden } = around;
    let runtime = Builder::new_current_thread()
        .enable_all()
        // Hosts are looked up there.
        .max_blocking_threads(MAX_LOOK_UPS)
        .build_local(LocalOptions::default())?;
    let mut prober = Prober::new(Wire::new(is_forbidden)?, board, metrics);
    runtime.block_on(async {
        tokio::select! {
            () = close.cancelled() => {}
            () = prober.run(&mut probed, &works) => {}
        }
    });
    drop(prober);
    // Not to wait for a look-up that hangs.
    runtime.shutdown_background();
    Ok(())
}

/// Everything that is known of the Pods that are probed.
struct Prober {
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
    due: Option<Instant>,
    is_ready: bool,
    /// What the pipeline has been told, or takes it for.
    told: bool,
    /// What the log has said.
    logged: bool,
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
    fn new(wire: Wire, board: Board, metrics: Metrics) -> Self {
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
    async fn run(&mut self, probed: &mut watch::Receiver<Arc<Probed>>, works: &SyncSender<Work>) {
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
            let told = wanted.is_ready;
            let probing = Probing { pod, due: None, is_ready, told, logged: is_ready };
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
        self.board
            .show(name, Some(PodReport { is_ready, probes: probing.pod.reports() }));
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
            self.settle(&name, now);
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
            match verdict.is_ready {
                _ if lines > MAX_LINES => {}
                true => info!("Pod {} is ready", verdict.pod),
                false => info!("Pod {} is not ready: {}", verdict.pod, probing.pod.why()),
            }
        }
        if lines > MAX_LINES {
            info!("{} more Pods are or are not ready: see /api/v1/probes", lines - MAX_LINES);
        }
    }
}

/// Whom a server sees, like the kubelet of the version whose rules are followed.
const USER_AGENT: &str = "kube-probe/1.36";
/// Runs that are out at once.
const MAX_OUT: usize = 256;
/// Hosts that are looked up at once.
const MAX_LOOK_UPS: usize = 4;
/// For each probe that comes with others, the time that their first runs are spread over grows.
const SPREAD: Duration = Duration::from_millis(2);
/// Places in that time.
const PARTS: u64 = 1_000;
const PARTS_U32: u32 = 1_000;
/// Lines of the log for one batch of verdicts.
const MAX_LINES: usize = 20;
