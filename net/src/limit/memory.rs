//! How much memory there may be, and how much of that is taken.
//!
//! A number that was given counts against what this process has resident. The limit of a control group
//! counts against what the kernel counts there: every process in it, and what it holds for their
//! sockets, but no pages of files that it would take back first. Of a group and those around it the
//! one counts that is nearest to its limit. Read from `/proc` and `/sys`, a few small files at each look.

use std::fs;
use std::path::{Path, PathBuf};

/// What bounds the memory of this process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MemoryLimit {
    /// Its control group, where that has a limit.
    #[default]
    Auto,
    /// Nothing.
    Off,
    /// So many bytes.
    Bytes(u64),
}

/// What was found at one look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Memory {
    /// What counts against the limit.
    pub used_bytes: u64,
    /// The limit, above 0.
    pub limit_bytes: u64,
}

impl MemoryLimit {
    /// Looks now; none: there is no limit, or the system does not say.
    pub fn look(self) -> Option<Memory> {
        let read = |path: &Path| fs::read_to_string(path).ok();
        match self {
            Self::Off => None,
            Self::Auto => nearest(read),
            Self::Bytes(limit_bytes) => {
                let used_bytes = resident_bytes(&read(Path::new("/proc/self/status"))?)?;
                Some(Memory { used_bytes, limit_bytes: limit_bytes.max(1) })
            }
        }
    }
}

impl Memory {
    /// How much of it is taken, in percent.
    pub fn percent(self) -> u64 {
        let Self { used_bytes, limit_bytes } = self;
        let percent = u128::from(used_bytes) * 100 / u128::from(limit_bytes.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

/// `VmRSS:     12345 kB`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let digits = line.trim().strip_suffix(" kB")?;
    digits.parse::<u64>().ok()?.checked_mul(1024)
}

/// How a version of control groups calls its files.
struct Files {
    base: &'static str,
    limit: &'static str,
    used: &'static str,
    /// The key in `memory.stat` of what could be taken back.
    idle: &'static str,
}

const FIRST: Files = Files {
    base: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    idle: "total_inactive_file ",
};

const SECOND: Files = Files {
    base: "/sys/fs/cgroup",
    limit: "memory.max",
    used: "memory.current",
    idle: "inactive_file ",
};

/// Of our group and those around it, the one that is nearest to its limit.
fn nearest(read: impl Fn(&Path) -> Option<String>) -> Option<Memory> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let (files, path) = place(&groups)?;
    // In a container the path may be that of another tree: the base is its root then.
    let base = Path::new(files.base);
    let own: PathBuf = base.join(path.trim_start_matches('/'));
    let around = own.ancestors().take_while(|it| it.starts_with(base));
    around
        .filter_map(|folder| of_group(&read, files, folder))
        .max_by_key(|memory| memory.percent())
}

/// Where memory is counted, of the lines `number:controllers:path`.
fn place(groups: &str) -> Option<(&'static Files, &str)> {
    let mut unified = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        if controllers.split(',').any(|it| it == "memory") {
            return Some((&FIRST, path));
        }
        if controllers.is_empty() {
            unified = Some((&SECOND, path));
        }
    }
    unified
}

fn of_group(
    read: impl Fn(&Path) -> Option<String>,
    files: &Files,
    folder: &Path,
) -> Option<Memory> {
    let number = |file: &str| read(&folder.join(file))?.trim().parse::<u64>().ok();
    let limit_bytes = number(files.limit).filter(|limit| (1..UNLIMITED).contains(limit))?;
    let used = number(files.used)?;
    let stat = read(&folder.join("memory.stat")).unwrap_or_default();
    let idle = stat.lines().find_map(|line| line.strip_prefix(files.idle));
    let idle = idle
        .and_then(|it| it.trim().parse::<u64>().ok())
        .unwrap_or(0);
    Some(Memory { used_bytes: used.saturating_sub(idle), limit_bytes })
}

/// The first version says no limit as a number of about 2^63.
const UNLIMITED: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_is_read_off_the_status() {
        let status = "Name:\tportico\nVmHWM:\t  9000 kB\nVmRSS:\t   2048 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(2 << 20));
        assert_eq!(resident_bytes("VmRSS: many kB\n"), None);
        let memory = MemoryLimit::Bytes(1 << 50).look();
        assert!(memory.is_some_and(|it| it.used_bytes > 1 << 20 && it.percent() == 0));
        assert_eq!(MemoryLimit::Off.look(), None);
    }

    /// What is found where folders have these files.
    fn found(groups: &str, files: &[(&str, Vec<(&str, String)>)]) -> Option<(u64, u64)> {
        let read = |path: &Path| {
            if path == Path::new("/proc/self/cgroup") {
                return Some(groups.to_owned());
            }
            let of_folder = |(folder, files): &(&str, Vec<(&str, String)>)| {
                let mut files = files.iter();
                let found = files.find(|(file, _)| Path::new(folder).join(file) == path);
                found.map(|(_, text)| text.clone())
            };
            files.iter().find_map(of_folder)
        };
        nearest(read).map(|it| (it.used_bytes, it.limit_bytes))
    }

    #[test]
    fn the_group_counts_that_is_nearest_to_its_limit() {
        let both = "4:memory:/a/b\n1:name=systemd:/\n0::/c\n";
        let second = "0::/a/b\n";
        let first = |limit: &str, used: &str| {
            vec![
                ("memory.limit_in_bytes", limit.to_owned()),
                ("memory.usage_in_bytes", used.to_owned()),
            ]
        };
        let unified = |limit: &str, used: &str| {
            vec![("memory.max", limit.to_owned()), ("memory.current", used.to_owned())]
        };
        let stat = |text: &str| vec![("memory.stat", text.to_owned())];
        for (case, groups, files, want) in [
            ("no limit", second, vec![("/sys/fs/cgroup/a/b", unified("max\n", "5\n"))], None),
            (
                "its own",
                second,
                vec![
                    ("/sys/fs/cgroup/a/b", unified("100\n", "50\n")),
                    ("/sys/fs/cgroup/a", unified("400", "60")),
                ],
                Some((50, 100)),
            ),
            (
                "one around it",
                second,
                vec![
                    ("/sys/fs/cgroup/a/b", unified("100", "50")),
                    ("/sys/fs/cgroup/a", unified("400", "380")),
                ],
                Some((380, 400)),
            ),
            (
                "without what can be taken back",
                second,
                vec![
                    ("/sys/fs/cgroup/a/b", unified("100", "50")),
                    ("/sys/fs/cgroup/a/b", stat("anon 1\ninactive_file 20\nactive_file 9\n")),
                ],
                Some((30, 100)),
            ),
            (
                "the root of a container",
                second,
                vec![("/sys/fs/cgroup", unified("100", "70"))],
                Some((70, 100)),
            ),
            (
                "the first version",
                both,
                vec![
                    ("/sys/fs/cgroup/memory/a/b", first("9223372036854771712", "5")),
                    ("/sys/fs/cgroup/memory/a", first("200", "150")),
                    ("/sys/fs/cgroup/memory/a", stat("inactive_file 1\ntotal_inactive_file 50\n")),
                ],
                Some((100, 200)),
            ),
            ("no groups", "", vec![], None),
        ] {
            let found = found(groups, &files);
            assert_eq!(found, want, "http-proxy 8.4: {case}");
        }
    }
}
