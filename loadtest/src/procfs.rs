//! CPU time from /proc: of a server with all its processes, and of the core that it is pinned to.
//!
//! Everything is in clock ticks since the start of the process or the machine; a run is the
//! difference of two readings. Parsing is pure, so that it is tested without a /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks spent in a program (`user`) and in the kernel for it (`system`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct CpuTicks {
    pub(crate) user: u64,
    pub(crate) system: u64,
}

impl CpuTicks {
    pub(crate) fn total(self) -> u64 {
        self.user + self.system
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// What one core did, in clock ticks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct CoreTicks {
    /// In programs and in the kernel for them; without interrupts.
    pub(crate) programs: u64,
    /// All that is not idle, waiting for a disk, or taken by the hypervisor.
    pub(crate) busy: u64,
    /// Everything.
    pub(crate) total: u64,
}

impl CoreTicks {
    /// Reads core `core` from /proc/stat.
    pub(crate) fn read(core: usize) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        parse_core(&stat, core).with_context(|| format!("/proc/stat has no core {core}"))
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            programs: self.programs.saturating_sub(earlier.programs),
            busy: self.busy.saturating_sub(earlier.busy),
            total: self.total.saturating_sub(earlier.total),
        }
    }
}

/// One process of /proc/PID/stat, with the time of its children that have ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    pub(crate) cpu: CpuTicks,
}

/// CPU time of process `root`, its living descendants and those that have ended.
pub(crate) fn cpu_of_tree(root: u32) -> CpuTicks {
    tree(&processes(), root)
        .iter()
        .fold(CpuTicks::default(), |sum, process| CpuTicks {
            user: sum.user + process.cpu.user,
            system: sum.system + process.cpu.system,
        })
}

/// As [`cpu_of_tree`], user and system together, from the scheduler's own account: exact where clock
/// ticks are coarse. Of threads that have ended it knows nothing; zero where the kernel keeps none.
pub(crate) fn time_of_tree(root: u32) -> Duration {
    ids_of_tree(root)
        .into_iter()
        .flat_map(thread_times)
        .map(|(_, time)| time)
        .sum()
}

/// Process ids of `root` and its living descendants, parents first.
pub(crate) fn ids_of_tree(root: u32) -> Vec<u32> {
    tree(&processes(), root)
        .iter()
        .map(|process| process.id)
        .collect()
}

/// A line of /proc/PID/status that counts kibibytes, such as `VmRSS`.
pub(crate) fn status_kibibytes(id: u32, field: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(id: u32) -> Option<u32> {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).ok()?;
    u32::try_from(entries.flatten().count()).ok()
}

/// Name and time on a core of every thread of a process, from the scheduler's own account.
pub(crate) fn thread_times(id: u32) -> Vec<(String, Duration)> {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    threads
        .flatten()
        .filter_map(|thread| {
            let read = |file: &str| fs::read_to_string(thread.path().join(file)).ok();
            let nanoseconds = read("schedstat")?
                .split_ascii_whitespace()
                .next()?
                .parse()
                .ok()?;
            Some((read("comm")?.trim().to_owned(), Duration::from_nanos(nanoseconds)))
        })
        .collect()
}

/// All processes that are there now; one that ends meanwhile is left out.
fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .iter()
                .all(u8::is_ascii_digit)
        })
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter_map(|stat| parse_process(&stat))
        .collect()
}

fn tree(all: &[Process], root: u32) -> Vec<Process> {
    let mut found: Vec<Process> = all.iter().copied().filter(|one| one.id == root).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|one| one.parent == parent.id));
        next += 1;
    }
    found
}

/// proc(5): `pid (comm) state ppid … utime stime cutime cstime …`, where comm may hold anything,
/// spaces and parentheses too.
fn parse_process(stat: &str) -> Option<Process> {
    let (id, rest) = stat.split_once(" (")?;
    let (_, fields) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        id: id.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        cpu: CpuTicks { user: number(11)? + number(13)?, system: number(12)? + number(14)? },
    })
}

/// proc(5): `cpuN user nice system idle iowait irq softirq steal guest guest_nice`; the guests'
/// time is already in user and nice.
fn parse_core(stat: &str, core: usize) -> Option<CoreTicks> {
    let name = format!("cpu{core}");
    let mut fields = stat
        .lines()
        .map(str::split_ascii_whitespace)
        .find_map(|mut fields| (fields.next()? == name).then_some(fields))?;
    let mut next = || fields.next()?.parse::<u64>().ok();
    let programs = next()? + next()? + next()?;
    let idle = next()? + next()?;
    let interrupts = next()? + next()?;
    let steal = next().unwrap_or(0);
    let busy = programs + interrupts;
    Some(CoreTicks { programs, busy, total: busy + idle + steal })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NGINX: &str = "812 (nginx: a) b (c) S 800 800 800 0 -1 4194368 1034 7 0 0 250 1043 11 13 \
                         20 0 1 0 55512 57966592 1500 18446744073709551615 1 1 0 0 0 0";

    #[test]
    fn a_process_has_its_own_time_and_that_of_its_ended_children() {
        let want = Process { id: 812, parent: 800, cpu: CpuTicks { user: 261, system: 1_056 } };
        assert_eq!(parse_process(NGINX), Some(want));
    }

    #[test]
    fn what_is_not_a_stat_line_is_no_process() {
        for stat in ["", "812", "812 (nginx", "812 (nginx) S 800", "x (nginx) S 1 2 3"] {
            assert_eq!(parse_process(stat), None, "{stat}");
        }
    }

    #[test]
    fn a_tree_is_the_root_with_all_its_descendants() {
        let process = |id, parent| Process { id, parent, cpu: CpuTicks::default() };
        let all = [process(1, 0), process(5, 3), process(3, 2), process(2, 1), process(9, 1)];
        let ids = |root| {
            tree(&all, root)
                .iter()
                .map(|one| one.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(2), [2, 3, 5]);
        assert_eq!(ids(9), [9]);
        assert!(ids(7).is_empty());
    }

    #[test]
    fn a_core_is_busy_when_it_is_neither_idle_nor_taken_away() {
        let stat = "cpu  1 1 1 1 1 1 1 1 0 0\n\
                    cpu1 100 1 50 40 2 3 4 5 0 0\n\
                    cpu10 9 9 9 9 9 9 9 9 9 9\nintr 1\n";
        let want = CoreTicks { programs: 151, busy: 158, total: 205 };
        assert_eq!(parse_core(stat, 1), Some(want));
        assert_eq!(parse_core(stat, 0), None);
    }

    #[test]
    fn this_process_is_found_with_its_time() {
        assert_eq!(ids_of_tree(std::process::id()).first(), Some(&std::process::id()));
        assert!(descriptors(std::process::id()).unwrap() >= 3);
    }
}
