//! Verdicts on their way to the compile thread, joined so that many make one generation.
//!
//! The first one waits a moment for others; while more keep coming, the pause between two batches
//! doubles up to [`LONGEST_PAUSE`]: a thousand Pods that become ready within two seconds make some
//! ten generations. Invariants: no I/O, no clock; of a Pod its last verdict alone is kept, so there is
//! at most one for each Pod.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portico_config::model::{ObjectName, ProbeVerdict};

/// Verdicts that nobody has taken yet.
#[derive(Debug)]
pub(super) struct News {
    waiting: BTreeMap<ObjectName, ProbeVerdict>,
    due: Option<Instant>,
    /// When the last batch was taken, and how long the next one waits after that.
    last: Option<Instant>,
    pause: Duration,
}

impl News {
    pub(super) fn new() -> Self {
        Self { waiting: BTreeMap::new(), due: None, last: None, pause: FIRST_PAUSE }
    }

    /// When [`News::take`] has something to give.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Adds a verdict, in place of an older one about its Pod.
    pub(super) fn add(&mut self, verdict: ProbeVerdict, now: Instant) {
        self.waiting.insert(verdict.pod.clone(), verdict);
        let soonest = now + FIRST_PAUSE;
        let next = self.last.map_or(soonest, |last| last + self.pause);
        self.due.get_or_insert_with(|| next.max(soonest));
    }

    /// Drops what waits about a Pod that is gone.
    pub(super) fn forget(&mut self, pod: &ObjectName) {
        self.waiting.remove(pod);
    }

    /// Everything that waits, once it is due.
    pub(super) fn take(&mut self, now: Instant) -> Vec<ProbeVerdict> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.due = None;
        let is_busy = self.last.is_some_and(|last| now < last + 2 * self.pause);
        self.pause = match is_busy {
            true => (2 * self.pause).min(LONGEST_PAUSE),
            false => FIRST_PAUSE,
        };
        self.last = Some(now);
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// Puts a batch back that could not be handed over; newer verdicts stay.
    pub(super) fn put_back(&mut self, verdicts: Vec<ProbeVerdict>, now: Instant) {
        for verdict in verdicts {
            self.waiting.entry(verdict.pod.clone()).or_insert(verdict);
        }
        self.due = Some(now + FIRST_PAUSE);
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portico_config::model::PodProbes;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn verdict(pod: u64, is_ready: bool) -> ProbeVerdict {
        let probes = PodProbes { uid: None, address: [10, 0, 0, 1].into(), containers: Vec::new() };
        let pod = ObjectName::new("default", pod.to_string());
        ProbeVerdict { pod, probes: Arc::new(probes), is_ready }
    }

    #[test]
    fn a_thousand_verdicts_within_two_seconds_make_few_batches() {
        let start = Instant::now();
        let mut news = News::new();
        let (mut batches, mut told) = (0, 0);
        for ms in 0..4_000u32 {
            let now = start + ms * MS;
            if ms < 2_000 && ms % 2 == 0 {
                news.add(verdict(ms.into(), true), now);
            }
            let batch = news.take(now).len();
            told += batch;
            batches += u32::from(batch > 0);
        }
        assert_eq!(told, 1_000);
        assert!(batches <= 12, "{batches}");
    }

    #[test]
    fn one_verdict_after_a_quiet_time_waits_a_moment_only() {
        let start = Instant::now();
        let mut news = News::new();
        for after in [0, 11, 40, 5_000] {
            let now = start + after * MS;
            news.add(verdict(1, true), now);
            while let Some(due) = news.due() {
                assert_eq!(news.take(due).len(), 1);
            }
        }
        let quiet = start + 60_000 * MS;
        news.add(verdict(1, false), quiet);
        assert_eq!(news.due(), Some(quiet + FIRST_PAUSE));
        assert!(news.take(quiet).is_empty(), "it is not due yet");
    }

    #[test]
    fn the_last_verdict_of_a_pod_counts() {
        let now = Instant::now();
        let mut news = News::new();
        news.add(verdict(1, true), now);
        news.add(verdict(2, true), now);
        news.add(verdict(1, false), now);
        let taken = news.take(now + FIRST_PAUSE);
        assert_eq!(taken, [verdict(1, false), verdict(2, true)]);
        news.add(verdict(2, false), now);
        news.put_back(taken, now);
        news.forget(&ObjectName::new("default", "1"));
        assert_eq!(news.take(now + FIRST_PAUSE), [verdict(2, false)]);
    }
}
