//! Whether a password is the one that is stored: computed apart from the data plane, since a hash
//! that is hard to guess takes long (`ingress 6.9`).
//!
//! ```text
//! worker ─▶ queue (bounded) ─▶ thread ─▶ worker
//! ```
//!
//! Invariants: a full queue refuses at once; a comparison takes the same time whatever differs; no
//! password is kept or printed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use portico_config::model::PasswordHash;
use tokio::sync::oneshot;
use tracing::warn;

mod hash;

/// The threads that compute hashes; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    queue: SyncSender<Job>,
}

struct Job {
    hash: PasswordHash,
    password: Box<[u8]>,
    told: oneshot::Sender<bool>,
}

/// There is more to compute than can be waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Busy;

impl Verifier {
    /// Starts the threads; they end with the last clone.
    pub(crate) fn start() -> Self {
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..THREADS {
            let jobs = Arc::clone(&jobs);
            let named = thread::Builder::new().name(format!("portico-hash-{number}"));
            if let Err(error) = named.spawn(move || compute(&jobs)) {
                // Without any thread the queue has no reader, and everybody is refused.
                warn!(%error, "cannot start a thread for password hashes");
            }
        }
        Self { queue }
    }

    /// Whether `password` is the one that `hash` was made from.
    pub(crate) async fn verify(
        &self,
        hash: PasswordHash,
        password: Box<[u8]>,
    ) -> Result<bool, Busy> {
        let (told, answer) = oneshot::channel();
        match self.queue.try_send(Job { hash, password, told }) {
            Ok(()) => match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(is_from)) => Ok(is_from),
                Ok(Err(_)) | Err(_) => Err(Busy),
            },
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
        }
    }
}

/// The life of one thread.
fn compute(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // Held while waiting: the others wait for the lock instead of the queue.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // Who asked may have left; nobody is told then, and nothing is computed.
        if !job.told.is_closed() {
            let computed = AssertUnwindSafe(|| hash::is_from(&job.hash, &job.password));
            // A thread outlives whatever a hash or a password does to the code that reads it.
            let _ = job.told.send(catch_unwind(computed).unwrap_or(false));
        }
    }
}

/// Jobs that wait.
const QUEUE: usize = 64;
const THREADS: usize = 2;
/// How long one waits for its turn and its answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use portico_config::model::Passwords;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let (users, _) = Passwords::from_file("ann:{PLAIN}secret");
        let hash = || users.find("ann").unwrap().clone();
        let verifier = Verifier::start();
        assert_eq!(verifier.verify(hash(), (*b"secret").into()).await, Ok(true));
        assert_eq!(verifier.verify(hash(), (*b"other").into()).await, Ok(false));
        // Nobody reads this one's queue.
        let (queue, _jobs) = sync_channel(1);
        let full = Verifier { queue };
        let (told, _answer) = oneshot::channel();
        let job = Job { hash: hash(), password: (*b"x").into(), told };
        full.queue.try_send(job).unwrap();
        assert_eq!(full.verify(hash(), (*b"secret").into()).await, Err(Busy), "ingress 6.9");
    }
}
