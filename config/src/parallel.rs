//! Work on many files at once, on several cores.
//!
//! Reading, decoding and checking look at one file alone, so a first load of thousands of files is
//! shared between threads that live as long as the call. Invariants: results stand in the order of
//! the files; a few files are the calling thread's work, so that an edit starts no thread; a panic
//! of any thread is the caller's.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What `work` makes of each file.
pub(crate) fn map<F: Sync, T: Send>(files: &[F], work: impl Fn(&F) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(MAX_THREADS).min(files.len() / FILES_PER_THREAD);
    if threads < 2 {
        return files.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::with_capacity(files.len() / threads);
        while let Some((index, file)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            files.get(index).map(|file| (index, file))
        } {
            done.push((index, work(file)));
        }
        done
    };
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut all = take();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, done)| done).collect()
}

const MAX_THREADS: usize = 8;
/// Fewer are not worth a thread.
const FILES_PER_THREAD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_files() {
        for count in [0, 1, FILES_PER_THREAD, 20 * FILES_PER_THREAD + 1] {
            let files: Vec<usize> = (0..count).collect();
            assert_eq!(map(&files, usize::to_string), want(count), "{count}");
        }
    }

    fn want(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }
}
