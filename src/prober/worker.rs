//! One probe of one container (`services 6`): when it runs, and what its answers come to.
//!
//! ```text
//! tick ─▶ run ─▶ answer ─▶ as many alike in a row as the threshold says ─▶ verdict
//! ```
//!
//! Invariants: no I/O, no clock (`now` is an argument); at most one run is out at a time; a verdict
//! changes at a threshold and nowhere else. Whether it is a probe's time at all (the container has
//! started, the Pod stays) is [`super::pod`]'s to say.

use std::fmt;
use std::time::{Duration, Instant};

use portico_config::model::{Probe, Purpose};

/// What one run of a probe came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It was answered as it should be.
    Success,
    /// It was answered otherwise, refused, reset, or not within its timeout.
    Failure,
    /// It could not be asked, or the answer broke off: counts for nothing.
    Error,
}

/// An outcome, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// What a person wants to know of it; empty where that is nothing.
    pub(crate) message: String,
}

impl Answer {
    pub(super) fn success(message: impl Into<String>) -> Self {
        Self::new(Outcome::Success, message.into())
    }

    pub(super) fn failure(message: impl Into<String>) -> Self {
        Self::new(Outcome::Failure, message.into())
    }

    pub(super) fn error(message: impl Into<String>) -> Self {
        Self::new(Outcome::Error, message.into())
    }

    /// A peer may have written the message: it is cut.
    fn new(outcome: Outcome, mut message: String) -> Self {
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
            message.truncate(end);
            message.push('…');
        }
        Self { outcome, message }
    }
}

/// What a probe says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing yet: a startup probe before its first threshold.
    Unknown,
    /// All is well.
    Success,
    /// It is not.
    Failure,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Success => "success",
            Self::Failure => "failure",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        })
    }
}

/// One probe of one container.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    id: u64,
    probe: Probe,
    verdict: Verdict,
    /// Since when it is that.
    since: Instant,
    /// The last outcome that counted, and how often it came in a row.
    row: Option<(Outcome, u32)>,
    last: Option<Answer>,
    /// Before this the container is too young.
    not_before: Instant,
    tick: Instant,
    is_out: bool,
}

impl Worker {
    /// The probe of a container that started at `started`. Its ticks begin `spread` after `now`; the
    /// first that counts is not before the initial delay is over.
    ///
    /// `id` tells its runs from those of other workers.
    pub(super) fn new(
        id: u64,
        probe: &Probe,
        started: Instant,
        now: Instant,
        spread: Duration,
    ) -> Self {
        let verdict = match probe.purpose {
            Purpose::Readiness => Verdict::Failure,
            Purpose::Liveness => Verdict::Success,
            Purpose::Startup => Verdict::Unknown,
        };
        let mut worker = Self {
            id,
            probe: probe.clone(),
            verdict,
            since: now,
            row: None,
            last: None,
            not_before: later(started, probe.pace.initial_delay),
            tick: now,
            is_out: false,
        };
        worker.begin_ticks(later(now, spread));
        worker
    }

    /// Tells its runs from those of other workers.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// What is asked.
    pub(super) fn probe(&self) -> &Probe {
        &self.probe
    }

    /// What it says.
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Since when it says that.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// The answer of the last run; none before the first.
    pub(super) fn last(&self) -> Option<&Answer> {
        self.last.as_ref()
    }

    /// When it runs next; none while a run is out.
    pub(super) fn next(&self) -> Option<Instant> {
        (!self.is_out).then_some(self.tick)
    }

    /// Whether it runs now: said once, until the answer is there.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        let runs = !self.is_out && self.tick <= now;
        self.is_out |= runs;
        runs
    }

    /// Takes the answer of a run.
    pub(super) fn take(&mut self, answer: Answer, now: Instant) {
        self.is_out = false;
        self.advance(now);
        let pace = self.probe.pace;
        let counted = match answer.outcome {
            Outcome::Success => Some((pace.success_threshold, Verdict::Success)),
            Outcome::Failure => Some((pace.failure_threshold, Verdict::Failure)),
            Outcome::Error => None,
        };
        if let Some((threshold, verdict)) = counted {
            let in_a_row = match self.row {
                Some((last, count)) if last == answer.outcome => count.saturating_add(1),
                _ => 1,
            };
            self.row = Some((answer.outcome, in_a_row));
            if in_a_row >= threshold {
                self.set(verdict, now);
            }
        }
        self.last = Some(answer);
    }

    /// Says `verdict` from now on, whatever came before.
    pub(super) fn set(&mut self, verdict: Verdict, now: Instant) {
        if self.verdict != verdict {
            self.verdict = verdict;
            self.since = now;
        }
    }

    /// Runs at once, and from then on by its period.
    pub(super) fn trigger(&mut self, now: Instant) {
        if !self.is_out {
            self.begin_ticks(now);
        }
    }

    /// Leaves out ticks that are over.
    pub(super) fn skip(&mut self, now: Instant) {
        if self.tick < now {
            self.tick = first_tick(self.tick, self.probe.pace.period, now);
        }
    }

    /// Ticks from `first` on, as soon as the container is old enough.
    fn begin_ticks(&mut self, first: Instant) {
        self.tick = first_tick(first, self.probe.pace.period, self.not_before);
    }

    /// To the next tick; of those that came while a run was out one is made up for, as a ticker does.
    fn advance(&mut self, now: Instant) {
        let period = self.probe.pace.period;
        let late = now.saturating_duration_since(self.tick);
        let missed = late.as_nanos() / period.as_nanos().max(1);
        let missed = u32::try_from(missed).unwrap_or(u32::MAX).max(1);
        self.tick = later(self.tick, period.saturating_mul(missed));
    }
}

/// The first tick after `first`, or that, which is not before `not_before`.
fn first_tick(first: Instant, period: Duration, not_before: Instant) -> Instant {
    let wait = not_before.saturating_duration_since(first);
    let ticks = wait.as_nanos().div_ceil(period.as_nanos().max(1));
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
    later(first, period.saturating_mul(ticks))
}

/// `delay` after `from`; what is too far away for a clock is a century away.
fn later(from: Instant, delay: Duration) -> Instant {
    from.checked_add(delay.min(CENTURY)).unwrap_or(from)
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
const MAX_MESSAGE_CHARS: usize = 200;

#[cfg(test)]
pub(super) mod tests {
    use super::Outcome::{Error, Failure, Success};
    use super::*;
    use portico_config::model::Purpose::{Liveness, Readiness, Startup};
    use portico_config::model::{Pace, ProbeAction};

    const SECOND: Duration = Duration::from_secs(1);

    /// A probe every ten seconds.
    pub(in super::super) fn probe(purpose: Purpose, pace: Pace) -> Probe {
        Probe { purpose, pace, timeout: SECOND, action: ProbeAction::Exec }
    }

    /// Defaults, but for the thresholds.
    pub(in super::super) fn pace(success_threshold: u32, failure_threshold: u32) -> Pace {
        Pace {
            initial_delay: Duration::ZERO,
            period: 10 * SECOND,
            success_threshold,
            failure_threshold,
        }
    }

    pub(in super::super) fn answer(outcome: Outcome) -> Answer {
        Answer::new(outcome, String::new())
    }

    fn worker(purpose: Purpose, pace: Pace, start: Instant) -> Worker {
        Worker::new(0, &probe(purpose, pace), start, start, Duration::ZERO)
    }

    /// Runs at `at`, and takes the answer at `ended`.
    fn run(worker: &mut Worker, at: Instant, outcome: Outcome, ended: Instant) {
        assert!(worker.poll(at), "it runs at {at:?}");
        worker.take(answer(outcome), ended);
    }

    #[test]
    fn before_its_first_run_each_probe_says_what_the_kubelet_has_it_say() {
        for (purpose, want) in [
            (Readiness, Verdict::Failure),
            (Liveness, Verdict::Success),
            (Startup, Verdict::Unknown),
        ] {
            let worker = worker(purpose, pace(1, 3), Instant::now());
            assert_eq!(worker.verdict(), want, "services 6: {purpose}");
        }
    }

    #[test]
    fn a_verdict_changes_at_its_threshold_of_equal_outcomes_in_a_row() {
        for (case, (success, failure), outcomes, want) in [
            ("one success", (1, 3), &[Success][..], Verdict::Success),
            ("two of three failures", (1, 3), &[Success, Failure, Failure], Verdict::Success),
            ("three", (1, 3), &[Success, Failure, Failure, Failure], Verdict::Failure),
            (
                "a success between",
                (1, 3),
                &[Success, Failure, Failure, Success, Failure, Failure],
                Verdict::Success,
            ),
            ("one of two successes", (2, 3), &[Success], Verdict::Failure),
            ("two", (2, 3), &[Success, Success], Verdict::Success),
            ("a failure between", (2, 3), &[Success, Failure, Success], Verdict::Failure),
            ("an error counts for nothing", (2, 3), &[Success, Error], Verdict::Failure),
            ("an error breaks no row", (2, 3), &[Success, Error, Success], Verdict::Success),
            ("errors change nothing", (1, 1), &[Success, Error, Error, Error], Verdict::Success),
            ("and back", (1, 1), &[Success, Failure, Success], Verdict::Success),
        ] {
            let mut worker = worker(Readiness, pace(success, failure), Instant::now());
            for &outcome in outcomes {
                let now = worker.next().unwrap();
                run(&mut worker, now, outcome, now);
            }
            assert_eq!(worker.verdict(), want, "services 6: {case}");
            assert_eq!(worker.last().map(|it| it.outcome), outcomes.last().copied(), "{case}");
        }
    }

    #[test]
    fn it_runs_at_its_ticks_and_makes_up_for_one_that_it_missed() {
        let start = Instant::now();
        for (case, delay, spread, first, took, next) in [
            ("at once", 0, 0, 0, 1, 10),
            ("the first tick after the initial delay", 5, 0, 10, 1, 20),
            ("a tick when the initial delay ends", 10, 0, 10, 1, 20),
            ("after its part of a spread", 0, 3, 3, 1, 13),
            ("both", 5, 3, 13, 1, 23),
            ("as long as a period", 0, 0, 0, 10, 10),
            ("over one tick: at once again", 0, 0, 0, 12, 10),
            ("over two ticks: once", 0, 0, 0, 25, 20),
        ] {
            let pace = Pace { initial_delay: delay * SECOND, ..pace(1, 3) };
            let probe = probe(Readiness, pace);
            let mut worker = Worker::new(0, &probe, start, start, spread * SECOND);
            let due = start + first * SECOND;
            assert_eq!(worker.next(), Some(due), "{case}");
            assert!(!worker.poll(due - SECOND / 2) && worker.poll(due), "{case}");
            assert!(!worker.poll(due + 60 * SECOND), "{case}: one run at a time");
            assert_eq!(worker.next(), None, "{case}");
            worker.take(answer(Success), due + took * SECOND);
            assert_eq!(worker.next(), Some(start + next * SECOND), "{case}");
        }
    }

    #[test]
    fn a_trigger_runs_it_at_once_but_not_before_the_initial_delay() {
        let start = Instant::now();
        for (case, delay, at, want) in
            [("old enough", 0, 13, 13), ("too young", 20, 13, 23), ("just old enough", 13, 13, 13)]
        {
            let pace = Pace { initial_delay: delay * SECOND, ..pace(1, 3) };
            let mut worker = worker(Readiness, pace, start);
            worker.trigger(start + at * SECOND);
            assert_eq!(worker.next(), Some(start + want * SECOND), "{case}");
        }
    }

    #[test]
    fn ticks_that_are_skipped_keep_their_turn() {
        let start = Instant::now();
        for (case, at, want) in [("none", 0, 0), ("one and a half", 15, 20), ("two", 20, 20)] {
            let mut worker = worker(Liveness, pace(1, 3), start);
            worker.skip(start + at * SECOND);
            assert_eq!(worker.next(), Some(start + want * SECOND), "{case}");
        }
    }

    #[test]
    fn numbers_as_large_as_the_api_allows_are_no_trouble() {
        let most = Duration::from_secs(i32::MAX as u64);
        let start = Instant::now();
        let pace = Pace { initial_delay: most, period: most, ..pace(u32::MAX, u32::MAX) };
        let mut worker = worker(Readiness, pace, start);
        let due = worker.next().unwrap();
        run(&mut worker, due, Failure, due + most);
        assert!(worker.next().unwrap() > due);
    }

    #[test]
    fn a_long_message_is_cut() {
        let answer = Answer::failure("ä".repeat(500));
        assert_eq!(answer.message.chars().count(), MAX_MESSAGE_CHARS + 1);
    }
}
