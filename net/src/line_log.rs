//! Lines of a log that never hold up who writes them: a bounded queue, and one thread that empties it.
//!
//! ```text
//! workers ─add─▶ queue ─▶ thread ─▶ file | standard output
//! ```
//!
//! Where the queue is full or nothing can be written (a full disk, a pipe that nobody reads), lines are
//! dropped and counted. A file that was renamed or removed is begun anew within a second, so that
//! rotating it takes no signal; [`Reopen`] has it done with the next lines. Invariants: [`Lines::add`] never waits; at most [`MOST_BYTES`] are
//! queued; the end waits [`LAST_WORDS`] for what is queued, and no longer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tracing::warn;

/// The side that owns the thread; dropped, what is queued is written and the thread ends.
#[derive(Debug)]
pub struct LineLog {
    lines: Option<Lines>,
    ended: Receiver<()>,
}

/// The side that adds lines, as often as there are writers.
#[derive(Clone, Debug)]
pub struct Lines {
    sender: SyncSender<Chunk>,
    counts: Counts,
    queued: Arc<AtomicUsize>,
}

/// How many lines were written, and how many dropped; outlives the log.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    written: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

/// Tells logs to open their files anew; one for all logs of a process.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// From the next lines on they go to what then has the files' names.
    pub fn reopen(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// How often that was asked for.
    fn times(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Whole lines.
#[derive(Debug)]
struct Chunk {
    octets: Vec<u8>,
    lines: u64,
}

impl LineLog {
    /// Writes to `file`, or to standard output; fails where the system gives no thread. A file that
    /// cannot be opened is tried again, and each is opened anew where `reopen` says so.
    pub fn start(file: Option<PathBuf>, counts: Counts, reopen: &Reopen) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MOST_CHUNKS);
        let (end, ended) = sync_channel(1);
        let queued = Arc::new(AtomicUsize::new(0));
        let lines = Lines { sender, counts: counts.clone(), queued: Arc::clone(&queued) };
        let sink = Sink::new(file, reopen.clone());
        let mut writer = Writer { sink, is_torn: false, complained: None, counts };
        std::thread::Builder::new()
            .name("portico-log".to_owned())
            .spawn(move || {
                writer.run(&receiver, &queued);
                // Nobody listens where the end did not wait.
                let _ = end.send(());
            })?;
        Ok(Self { lines: Some(lines), ended })
    }

    /// A side that adds lines.
    pub fn lines(&self) -> Lines {
        self.lines
            .clone()
            .expect("they are there until it is dropped")
    }
}

impl Drop for LineLog {
    fn drop(&mut self) {
        self.lines = None;
        // Writers that are still there, or a pipe that nobody reads, keep it from ending.
        let _ = self.ended.recv_timeout(LAST_WORDS);
    }
}

impl Lines {
    /// Hands `octets` over, which are `count` whole lines; they are dropped where there is no room.
    pub fn add(&self, octets: Vec<u8>, count: u64) {
        let length = octets.len();
        let before = self.queued.fetch_add(length, Ordering::Relaxed);
        let chunk = Chunk { octets, lines: count };
        if before + length > MOST_BYTES || self.sender.try_send(chunk).is_err() {
            self.queued.fetch_sub(length, Ordering::Relaxed);
            self.counts.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl Counts {
    /// Lines that were written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Lines for which there was no room, or that could not be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// What the thread has.
struct Writer {
    sink: Sink,
    /// A line was cut in its midst.
    is_torn: bool,
    complained: Option<Instant>,
    counts: Counts,
}

impl Writer {
    fn run(&mut self, receiver: &Receiver<Chunk>, queued: &AtomicUsize) {
        // Whoever may not write there hears of it at the start, not with the first line.
        if let Err(error) = self.sink.open(Instant::now()) {
            self.complain(&error);
        }
        while let Ok(Chunk { mut octets, mut lines }) = receiver.recv() {
            while octets.len() < WRITE {
                let Ok(mut more) = receiver.try_recv() else { break };
                octets.append(&mut more.octets);
                lines += more.lines;
            }
            let result = self.write(&octets);
            queued.fetch_sub(octets.len(), Ordering::Relaxed);
            match result {
                Ok(()) => _ = self.counts.written.fetch_add(lines, Ordering::Relaxed),
                Err(error) => {
                    self.counts.dropped.fetch_add(lines, Ordering::Relaxed);
                    self.complain(&error);
                }
            }
        }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let was_torn = self.is_torn;
        let out = self.sink.open(Instant::now())?;
        // What was written of a line before an error must not run into the next.
        self.is_torn = true;
        if was_torn {
            out.write_all(b"\n")?;
        }
        out.write_all(octets)?;
        out.flush()?;
        self.is_torn = false;
        Ok(())
    }

    /// Tells the log of the process, now and then.
    fn complain(&mut self, error: &io::Error) {
        let now = Instant::now();
        let is_due = |last: Instant| now.saturating_duration_since(last) >= COMPLAIN_AGAIN;
        if self.complained.is_none_or(is_due) {
            self.complained = Some(now);
            warn!(%error, to = self.sink.name(), "lines of a log cannot be written and are dropped");
        }
    }
}

/// Where lines go.
enum Sink {
    Stdout(io::Stdout),
    File { path: PathBuf, file: Option<File>, looked: Instant, reopen: Reopen, times: u64 },
}

impl Sink {
    fn new(file: Option<PathBuf>, reopen: Reopen) -> Self {
        let Some(path) = file else { return Self::Stdout(io::stdout()) };
        let times = reopen.times();
        Self::File { path, file: None, looked: Instant::now(), reopen, times }
    }

    fn open(&mut self, now: Instant) -> io::Result<&mut dyn Write> {
        match self {
            Self::Stdout(stdout) => Ok(stdout),
            Self::File { path, file, looked, reopen, times } => {
                if std::mem::replace(times, reopen.times()) != *times {
                    *file = None;
                }
                if now.saturating_duration_since(*looked) >= LOOK_AGAIN {
                    *looked = now;
                    let is_same = |file: &File| {
                        let (there, open) = (std::fs::metadata(&*path)?, file.metadata()?);
                        Ok::<_, io::Error>((there.dev(), there.ino()) == (open.dev(), open.ino()))
                    };
                    *file = file.take().filter(|file| is_same(file).unwrap_or(false));
                }
                let open = match file.take() {
                    Some(open) => open,
                    // What clients ask is nobody else's to read.
                    None => OpenOptions::new()
                        .append(true)
                        .create(true)
                        .mode(0o640)
                        .open(path)?,
                };
                Ok(file.insert(open))
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout(_) => "stdout".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

/// Octets that wait to be written.
const MOST_BYTES: usize = 4 << 20;
/// Times that somebody added lines which wait.
const MOST_CHUNKS: usize = 8192;
/// Octets that are written at once, about.
const WRITE: usize = 64 << 10;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const COMPLAIN_AGAIN: Duration = Duration::from_secs(60);
const LAST_WORDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_before_its_first_line() {
        let path = std::env::temp_dir().join(format!("line-log-{}-empty", std::process::id()));
        let log = LineLog::start(Some(path.clone()), Counts::default(), &Reopen::default());
        drop(log.unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn lines_are_in_the_file_when_the_log_ends() {
        let folder = std::env::temp_dir().join(format!("line-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        for round in 1..=2 {
            let counts = Counts::default();
            let log =
                LineLog::start(Some(path.clone()), counts.clone(), &Reopen::default()).unwrap();
            let lines = log.lines();
            for number in 0..100 {
                lines.add(format!("line {number}\n").into_bytes(), 1);
            }
            drop(lines);
            drop(log);
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), 100 * round, "appended");
            assert!(text.ends_with("line 98\nline 99\n"), "in order");
            assert_eq!((counts.written(), counts.dropped()), (100, 0));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_renamed_file_is_begun_anew() {
        let folder = std::env::temp_dir().join(format!("line-log-renamed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        let reopen = Reopen::default();
        let mut sink = Sink::new(Some(path.clone()), reopen.clone());
        let now = Instant::now();
        sink.open(now).unwrap().write_all(b"one\n").unwrap();
        std::fs::rename(&path, folder.join("old")).unwrap();
        sink.open(now).unwrap().write_all(b"two\n").unwrap();
        sink.open(now + LOOK_AGAIN)
            .unwrap()
            .write_all(b"three\n")
            .unwrap();
        assert_eq!(std::fs::read(folder.join("old")).unwrap(), b"one\ntwo\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"three\n");
        std::fs::rename(&path, folder.join("older")).unwrap();
        reopen.reopen();
        sink.open(now + LOOK_AGAIN)
            .unwrap()
            .write_all(b"four\n")
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"four\n", "at once");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted() {
        let (sender, receiver) = sync_channel(2);
        let counts = Counts::default();
        let lines = Lines { sender, counts: counts.clone(), queued: Arc::default() };
        lines.add(vec![b'\n'; 3], 3);
        lines.add(vec![b'\n'; MOST_BYTES], 1);
        assert_eq!(counts.dropped(), 1, "too many octets");
        lines.add(vec![b'\n'; 2], 2);
        lines.add(vec![b'\n'; 5], 5);
        assert_eq!(counts.dropped(), 6, "too many chunks");
        assert_eq!(lines.queued.load(Ordering::Relaxed), 5);
        drop(receiver);
        lines.add(vec![b'\n'], 1);
        assert_eq!(counts.dropped(), 7, "nobody writes");
    }

    #[test]
    fn what_cannot_be_written_is_dropped_and_does_not_tear_what_follows() {
        let counts = Counts::default();
        let path = PathBuf::from("/nonexistent/log");
        let sink = Sink::new(Some(path), Reopen::default());
        let mut writer = Writer { sink, is_torn: false, complained: None, counts };
        assert!(writer.write(b"one\n").is_err() && !writer.is_torn);
        writer.sink = Sink::new(Some("/dev/full".into()), Reopen::default());
        if std::path::Path::new("/dev/full").exists() {
            assert!(writer.write(b"two\n").is_err() && writer.is_torn);
        }
    }
}
