//! The real binary as a separate process, and the tools that a person would use with it.

use std::fs::File;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// A `portico` process; killed when this value goes.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `portico` with these arguments.
    pub(crate) fn portico(arguments: &[&str]) -> Self {
        Self::silent(&mut portico(arguments))
    }

    /// The same, forwarding as its settings file says it: whoever uses it names upstreams of its own.
    pub(crate) fn forwarding(arguments: &[&str]) -> Self {
        Self::silent(portico(arguments).env_remove("PORTICO_FORWARD"))
    }

    fn silent(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn();
        Self { child: child.expect("the binary starts") }
    }

    /// `portico` with this many descriptors at most, and its log in a file.
    pub(crate) fn limited(descriptors: u32, log: &Path, arguments: &[&str]) -> Self {
        let inner = portico(arguments);
        let mut command = Command::new("sh");
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let log = File::create(log).expect("a file for the log");
        let child = command
            .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &descriptors.to_string()])
            .arg(inner.get_program())
            .args(inner.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the shell starts");
        Self { child }
    }

    /// `portico` in this environment, with its log in a file.
    pub(crate) fn told(environment: &[(&str, &str)], log: &Path, arguments: &[&str]) -> Self {
        let log = File::create(log).expect("a file for the log");
        let child = portico(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        Self { child }
    }

    /// `portico` with what it says in a file.
    pub(crate) fn telling(told: &Path, arguments: &[&str]) -> Self {
        let child = portico(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(told).expect("a file for what it says"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        Self { child }
    }

    /// Its processor time so far, of all threads.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("the process lives");
        // Behind the name in brackets: state first, user and system time as fields 14 and 15.
        let (_, fields) = stat.rsplit_once(") ").expect("the name is in brackets");
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.map(|it| it.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Memory that it holds now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|it| it.trim().strip_suffix(" kB"));
        kilobytes
            .and_then(|it| it.parse::<u64>().ok())
            .expect("a number of kB")
            * 1024
    }

    /// Whether a text stands anywhere in its memory; none: this user may not look.
    pub(crate) fn remembers(&self, text: &[u8]) -> Option<bool> {
        let file = |name: &str| File::open(format!("/proc/{}/{name}", self.child.id()));
        let maps = std::io::read_to_string(file("maps").ok()?).ok()?;
        let (memory, pages) = (file("mem").ok()?, file("pagemap").ok()?);
        let page_bytes = page_bytes()?;
        for map in maps.lines().filter(|line| line.contains(" rw-p ")) {
            let (start, end) = map.split_once(' ')?.0.split_once('-')?;
            let [start, end] = [start, end].map(|it| u64::from_str_radix(it, 16).ok());
            for piece in resident(&pages, start?..end?, page_bytes)? {
                let mut bytes = vec![0; usize::try_from(piece.end - piece.start).ok()?];
                // What is gone by now holds nothing.
                let is_read = memory.read_exact_at(&mut bytes, piece.start).is_ok();
                if is_read && memchr::memmem::find(&bytes, text).is_some() {
                    return Some(true);
                }
            }
        }
        Some(false)
    }

    /// Sends a signal by name, as `kill` does.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the end and gives the exit code.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.child.wait().expect("a child").code()
    }

    /// Ends it without warning.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The parts of a mapping that are there, as far as they stand together.
fn resident(pages: &File, map: Range<u64>, page_bytes: u64) -> Option<Vec<Range<u64>>> {
    let (first, last) = (map.start / page_bytes, map.end / page_bytes);
    let mut entries = vec![0; usize::try_from(last - first).ok()? * 8];
    pages.read_exact_at(&mut entries, first * 8).ok()?;
    let mut parts: Vec<Range<u64>> = Vec::new();
    for (page, entry) in (first..).zip(entries.as_chunks().0) {
        // Neither in memory nor swapped out.
        if u64::from_ne_bytes(*entry) >> 62 == 0 {
            continue;
        }
        let (start, end) = (page * page_bytes, (page + 1) * page_bytes);
        match parts.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => parts.push(start..end),
        }
    }
    Some(parts)
}

/// As the kernel told this process.
fn page_bytes() -> Option<u64> {
    let told = std::fs::read("/proc/self/auxv").ok()?;
    let pairs = told.as_chunks::<16>().0.iter().map(|pair| {
        let (key, value) = pair.split_at(8);
        [key, value].map(|it| it.try_into().map_or(0, u64::from_ne_bytes))
    });
    let mut sizes = pairs.filter(|[key, _]| *key == AT_PAGESZ);
    sizes.next().map(|[_, bytes]| bytes)
}

const AT_PAGESZ: u64 = 6;

/// Runs `portico` to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    portico(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

/// Where the `portico` program is.
pub(crate) fn program() -> PathBuf {
    // CI runs this binary once more as a user who cannot read the build folder.
    let moved = std::env::var_os("PORTICO_TEST_BINARY");
    moved.map_or_else(|| env!("CARGO_BIN_EXE_portico").into(), PathBuf::from)
}

fn portico(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    // What one scenario is assigned must not reach another, nor the person who runs them.
    command.env("PORTICO_STATE_DIR", "off");
    // No scenario asks the resolvers of the machine that it runs on.
    command.env("PORTICO_FORWARD", "off").args(arguments);
    command
}

/// A tool of the system with its arguments; `None` and a message where it is not installed, a
/// failure where `CI=true` says that it must be.
pub(crate) fn tool(name: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
    {
        Ok(output) => Some(output),
        Err(error) => {
            let required = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!required, "{name}: {error}");
            eprintln!("skipped: {name} is not installed ({error})");
            None
        }
    }
}

/// An address that no other test of this or another run has, with a port on which nothing listens: what
/// takes any port of 127.0.0.1 in the meantime does not take this one.
pub(crate) fn own_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [run, ..] = std::process::id().to_le_bytes();
    free_address(&format!("127.253.{run}.{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// An address with a port on which nothing listens now.
pub(crate) fn free_address(ip: &str) -> SocketAddr {
    let listener = std::net::TcpListener::bind(format!("{ip}:0")).expect("a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
}
