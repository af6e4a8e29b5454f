//! The probes of one Pod, and whether its containers are ready by them (`services 6`).
//!
//! ```text
//! startup ─success─▶ readiness at once, liveness at its next tick ─▶ ready, or not and why
//! ```
//!
//! Invariants: no I/O, no clock (`now` is an argument); a probe that is written as before keeps what
//! it has found out, another begins anew. A container runs from the moment in which it is first
//! seen, and is never restarted: one whose startup or liveness probe has failed goes on being asked,
//! and is not ready meanwhile ([decision 13](../../docs/decisions/0013-probes-without-a-kubelet.md)).

use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_config::model::{PodProbes, Probe, Purpose};

use super::worker::{Answer, Verdict, Worker};

/// The probes of one Pod.
#[derive(Debug)]
pub(super) struct Pod {
    probes: Arc<PodProbes>,
    containers: Vec<Container>,
    is_terminating: bool,
    next_id: u64,
}

/// A container and its probes: at most one for each purpose.
#[derive(Debug)]
struct Container {
    name: Arc<str>,
    started: Instant,
    workers: Vec<Worker>,
}

/// A run of a probe, to be carried out.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Which worker's run it is, for [`Pod::take`].
    pub(super) worker: u64,
    /// What is asked.
    pub(super) probe: Probe,
}

/// What one probe says at a moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Report {
    /// The container.
    pub(crate) container: Arc<str>,
    /// What the probe is for.
    pub(crate) purpose: Purpose,
    /// What it says.
    pub(crate) verdict: Verdict,
    /// Since when.
    pub(crate) since: Instant,
    /// What its last run came to; none before the first.
    pub(crate) last: Option<Answer>,
}

impl Pod {
    /// A Pod that is first seen `now`. `spread` says how long a probe waits for its first run.
    pub(super) fn new(
        probes: &Arc<PodProbes>,
        is_terminating: bool,
        now: Instant,
        spread: impl FnMut(&Probe) -> Duration,
    ) -> Self {
        let mut pod = Self {
            probes: Arc::clone(probes),
            containers: Vec::new(),
            is_terminating: false,
            next_id: 0,
        };
        pod.build(now, spread);
        pod.terminate(is_terminating, now);
        pod
    }

    /// How it is probed.
    pub(super) fn probes(&self) -> &Arc<PodProbes> {
        &self.probes
    }

    /// Whether what was found out of it counts for a Pod of its name that is probed like this.
    pub(super) fn is_same(&self, probes: &PodProbes) -> bool {
        self.probes.uid == probes.uid && self.probes.address == probes.address
    }

    /// Takes the Pod as it is written now.
    pub(super) fn follow(&mut self, probes: &Arc<PodProbes>, is_terminating: bool, now: Instant) {
        if self.probes != *probes {
            self.probes = Arc::clone(probes);
            self.build(now, |_| Duration::ZERO);
        }
        self.terminate(is_terminating, now);
    }

    /// The runs that are due.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Run> {
        let mut runs = Vec::new();
        for container in &mut self.containers {
            let is_started = container.is_started();
            for worker in &mut container.workers {
                let purpose = worker.probe().purpose;
                if is_its_time(purpose, is_started, self.is_terminating) && worker.poll(now) {
                    runs.push(Run { worker: worker.id(), probe: worker.probe().clone() });
                }
            }
        }
        runs
    }

    /// When [`Pod::poll`] has something to do next.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.containers.iter().flat_map(|container| {
            let is_started = container.is_started();
            let runs = move |worker: &&Worker| {
                is_its_time(worker.probe().purpose, is_started, self.is_terminating)
            };
            container.workers.iter().filter(runs)
        });
        due.filter_map(Worker::next).min()
    }

    /// Takes the answer to a run, unless its probe is not there any more.
    pub(super) fn take(&mut self, worker: u64, answer: Answer, now: Instant) {
        for container in &mut self.containers {
            let mut workers = container.workers.iter_mut();
            let Some(found) = workers.find(|it| it.id() == worker) else { continue };
            let is_startup = found.probe().purpose == Purpose::Startup;
            found.take(answer, now);
            if is_startup && container.is_started() {
                container.wake(now);
            }
            return;
        }
    }

    /// Whether all of its containers are ready.
    pub(super) fn is_ready(&self) -> bool {
        self.containers.iter().all(|it| it.fault().is_none())
    }

    /// Why it is not ready, as the kubelet says it, and what the first probe at fault has heard;
    /// empty if it is.
    pub(super) fn why(&self) -> String {
        let faults = self.containers.iter().filter_map(|container| {
            let worker = container.fault()?;
            Some((&*container.name, worker))
        });
        let faults: Vec<_> = faults.collect();
        let Some((container, worker)) = faults.first() else { return String::new() };
        let names: Vec<_> = faults.iter().map(|(name, _)| *name).collect();
        let purpose = worker.probe().purpose;
        let heard = match worker.last() {
            None => "has not run yet".to_owned(),
            Some(last) if last.message.is_empty() => format!("says {}", last.outcome),
            Some(last) => format!("says {}: {}", last.outcome, last.message),
        };
        let names = names.join(" ");
        format!("containers with unready status: [{names}]; {purpose} of {container} {heard}")
    }

    /// What each probe says.
    pub(super) fn reports(&self) -> Vec<Report> {
        let of = |container: &Container, worker: &Worker| Report {
            container: Arc::clone(&container.name),
            purpose: worker.probe().purpose,
            verdict: worker.verdict(),
            since: worker.since(),
            last: worker.last().cloned(),
        };
        let containers = self.containers.iter();
        containers
            .flat_map(|it| it.workers.iter().map(move |worker| of(it, worker)))
            .collect()
    }

    /// Makes the containers that are written; what is as before stays.
    fn build(&mut self, now: Instant, mut spread: impl FnMut(&Probe) -> Duration) {
        let mut before = std::mem::take(&mut self.containers);
        for written in &self.probes.containers {
            let known = before.iter_mut().find(|it| it.name == written.name);
            let started = known.as_ref().map_or(now, |known| known.started);
            let mut kept = known.map_or_else(Vec::new, |known| std::mem::take(&mut known.workers));
            let mut workers = Vec::with_capacity(written.probes.len());
            for probe in &written.probes {
                let place = kept.iter().position(|worker| worker.probe() == probe);
                workers.push(place.map_or_else(
                    || {
                        self.next_id += 1;
                        Worker::new(self.next_id, probe, started, now, spread(probe))
                    },
                    |place| kept.swap_remove(place),
                ));
            }
            let name = Arc::clone(&written.name);
            let mut container = Container { name, started, workers };
            if self.is_terminating {
                container.end(now);
            }
            self.containers.push(container);
        }
    }

    /// It is being deleted, which is for good: liveness and startup end as successes, readiness goes
    /// on, so that `serving` stays true to what is there.
    fn terminate(&mut self, is_terminating: bool, now: Instant) {
        if is_terminating && !std::mem::replace(&mut self.is_terminating, true) {
            self.containers.iter_mut().for_each(|it| it.end(now));
        }
    }
}

impl Container {
    fn worker(&self, purpose: Purpose) -> Option<&Worker> {
        let mut workers = self.workers.iter();
        workers.find(|worker| worker.probe().purpose == purpose)
    }

    /// Its startup probe has succeeded, if it has one.
    fn is_started(&self) -> bool {
        let startup = self.worker(Purpose::Startup);
        startup.is_none_or(|it| it.verdict() == Verdict::Success)
    }

    /// The probe because of which it is not ready; none if it is.
    fn fault(&self) -> Option<&Worker> {
        let is_at_fault = |worker: &&Worker| match worker.probe().purpose {
            Purpose::Startup | Purpose::Readiness => worker.verdict() != Verdict::Success,
            Purpose::Liveness => worker.verdict() == Verdict::Failure,
        };
        let in_order = [Purpose::Startup, Purpose::Liveness, Purpose::Readiness];
        let mut workers = in_order.iter().filter_map(|&it| self.worker(it));
        workers.find(is_at_fault)
    }

    /// It has just started: readiness is asked at once, liveness at its next tick.
    fn wake(&mut self, now: Instant) {
        for worker in &mut self.workers {
            match worker.probe().purpose {
                Purpose::Readiness => worker.trigger(now),
                Purpose::Liveness => worker.skip(now),
                Purpose::Startup => {}
            }
        }
    }

    fn end(&mut self, now: Instant) {
        let was_started = self.is_started();
        for worker in &mut self.workers {
            if worker.probe().purpose != Purpose::Readiness {
                worker.set(Verdict::Success, now);
            }
        }
        if !was_started {
            self.wake(now);
        }
    }
}

/// Whether a probe for `purpose` is asked at all.
fn is_its_time(purpose: Purpose, is_started: bool, is_terminating: bool) -> bool {
    match purpose {
        Purpose::Startup => !is_started && !is_terminating,
        Purpose::Liveness => is_started && !is_terminating,
        Purpose::Readiness => is_started,
    }
}

#[cfg(test)]
mod tests {
    use portico_config::model::Purpose::{Liveness, Readiness, Startup};
    use portico_config::model::{ContainerProbes, Pace};

    use super::*;
    use crate::prober::worker::Outcome::{self, Failure, Success};
    use crate::prober::worker::tests::{answer, pace, probe};

    const SECOND: Duration = Duration::from_secs(1);

    /// Containers and what they are probed for, each with one success and one failure as threshold.
    fn written(containers: &[(&str, &[Purpose])]) -> Arc<PodProbes> {
        paced(containers, pace(1, 1))
    }

    fn paced(containers: &[(&str, &[Purpose])], pace: Pace) -> Arc<PodProbes> {
        let container = |(name, purposes): &(&str, &[Purpose])| ContainerProbes {
            name: (*name).into(),
            probes: purposes.iter().map(|&it| probe(it, pace)).collect(),
        };
        let containers = containers.iter().map(container).collect();
        Arc::new(PodProbes { uid: None, address: [10, 0, 0, 1].into(), containers })
    }

    fn pod(probes: &Arc<PodProbes>, now: Instant) -> Pod {
        Pod::new(probes, false, now, |_| Duration::ZERO)
    }

    fn purposes(runs: &[Run]) -> Vec<Purpose> {
        runs.iter().map(|run| run.probe.purpose).collect()
    }

    /// Gives `outcome` to every run that is due.
    fn play(pod: &mut Pod, outcome: Outcome, now: Instant) -> Vec<Purpose> {
        let runs = pod.poll(now);
        for run in &runs {
            pod.take(run.worker, answer(outcome), now);
        }
        purposes(&runs)
    }

    #[test]
    fn before_any_answer_a_pod_is_ready_unless_something_has_to_say_so_first() {
        for (case, purposes, want) in [
            ("nothing", &[][..], true),
            ("liveness", &[Liveness], true),
            ("readiness", &[Readiness], false),
            ("startup", &[Startup], false),
        ] {
            let pod = pod(&written(&[("web", purposes)]), Instant::now());
            assert_eq!(pod.is_ready(), want, "services 6: {case}");
        }
    }

    #[test]
    fn nothing_else_runs_before_the_start_and_readiness_runs_at_once_after_it() {
        let now = Instant::now();
        let mut pod = pod(&written(&[("web", &[Readiness, Liveness, Startup])]), now);
        let run = pod.poll(now);
        assert_eq!(purposes(&run), [Startup]);
        assert_eq!(pod.next(), None);
        let later = now + 13 * SECOND;
        pod.take(run[0].worker, answer(Success), later);
        assert_eq!(pod.next(), Some(later), "readiness does not wait for its tick");
        assert_eq!(play(&mut pod, Success, later), [Readiness]);
        assert!(pod.is_ready());
        assert_eq!(play(&mut pod, Success, now + 20 * SECOND), [Liveness]);
        assert_eq!(play(&mut pod, Success, later + 10 * SECOND), [Readiness]);
    }

    #[test]
    fn whoever_fails_goes_on_being_asked_and_is_not_ready_meanwhile() {
        for (case, asked, ready_between) in [
            ("startup", &[Startup][..], false),
            ("liveness", &[Liveness], false),
            ("readiness", &[Readiness], false),
        ] {
            let start = Instant::now();
            let mut pod = pod(&written(&[("web", asked)]), start);
            play(&mut pod, Failure, start);
            assert_eq!(pod.is_ready(), ready_between, "{case}");
            assert_eq!(play(&mut pod, Success, start + 10 * SECOND), asked, "{case}");
            assert!(pod.is_ready(), "{case}");
        }
    }

    #[test]
    fn a_startup_probe_that_has_succeeded_is_not_asked_again() {
        let start = Instant::now();
        let mut pod = pod(&written(&[("web", &[Startup])]), start);
        assert_eq!(play(&mut pod, Success, start), [Startup]);
        assert_eq!((pod.next(), pod.poll(start + 600 * SECOND).len()), (None, 0));
    }

    #[test]
    fn a_pod_is_ready_when_all_of_its_containers_are() {
        let now = Instant::now();
        let three: &[(&str, &[Purpose])] =
            &[("a", &[Readiness]), ("b", &[Readiness, Liveness]), ("c", &[Liveness])];
        let mut pod = pod(&written(three), now);
        assert_eq!(
            pod.why(),
            "containers with unready status: [a b]; readiness of a has not run yet"
        );
        let runs = pod.poll(now);
        pod.take(runs[0].worker, answer(Success), now);
        pod.take(runs[1].worker, Answer::failure("connection refused"), now);
        assert_eq!(
            pod.why(),
            "containers with unready status: [b]; readiness of b says failure: connection refused"
        );
        assert!(!pod.is_ready());
        play(&mut pod, Success, now + 10 * SECOND);
        assert_eq!((pod.is_ready(), pod.why()), (true, String::new()));
    }

    #[test]
    fn of_a_pod_that_is_being_deleted_readiness_alone_goes_on() {
        for (case, purposes, want) in [
            ("liveness", &[Liveness, Readiness][..], &[Readiness][..]),
            ("before its start", &[Startup, Readiness], &[Readiness]),
        ] {
            let now = Instant::now();
            let probes = written(&[("web", purposes)]);
            let mut pod = pod(&probes, now);
            pod.follow(&probes, true, now);
            assert_eq!(play(&mut pod, Success, now), want, "services 6: {case}");
            assert!(pod.is_ready(), "services 6: {case}");
            assert_eq!(play(&mut pod, Failure, now + 10 * SECOND), want, "services 6: {case}");
            assert!(!pod.is_ready(), "services 6: {case}");
        }
    }

    #[test]
    fn a_probe_that_is_written_otherwise_begins_anew_and_the_others_stay() {
        let now = Instant::now();
        let mut pod = pod(&written(&[("web", &[Readiness, Startup]), ("log", &[Readiness])]), now);
        play(&mut pod, Success, now);
        play(&mut pod, Success, now);
        assert!(pod.is_ready());
        let mut changed = PodProbes::clone(pod.probes());
        changed.containers[1].probes[0].pace.failure_threshold = 7;
        let later = now + SECOND;
        pod.follow(&Arc::new(changed), false, later);
        assert_eq!(
            pod.why(),
            "containers with unready status: [log]; readiness of log has not run yet"
        );
        assert_eq!(play(&mut pod, Success, later), [Readiness], "it is asked at once");
        assert!(pod.is_ready());
    }

    #[test]
    fn an_answer_to_a_probe_that_is_gone_counts_for_nothing() {
        let now = Instant::now();
        let mut pod = pod(&written(&[("web", &[Readiness])]), now);
        let run = pod.poll(now);
        pod.follow(&paced(&[("web", &[Readiness])], pace(1, 9)), false, now);
        pod.take(run[0].worker, answer(Success), now);
        assert!(!pod.is_ready());
    }

    #[test]
    fn another_uid_or_address_is_another_pod() {
        let probes = written(&[("web", &[Readiness])]);
        let pod = pod(&probes, Instant::now());
        for (case, change, want) in [
            ("the same", (|_| {}) as fn(&mut PodProbes), true),
            ("uid", |it| it.uid = Some("1".into()), false),
            ("address", |it| it.address = [10, 0, 0, 2].into(), false),
            ("probes", |it| it.containers.clear(), true),
        ] {
            let mut other = PodProbes::clone(&probes);
            change(&mut other);
            assert_eq!(pod.is_same(&other), want, "{case}");
        }
    }

    #[test]
    fn the_first_runs_wait_for_their_part_of_the_spread() {
        let now = Instant::now();
        let probes = written(&[("web", &[Readiness])]);
        let pod = Pod::new(&probes, false, now, |probe| probe.pace.period / 2);
        assert_eq!(pod.next(), Some(now + 5 * SECOND));
    }
}
