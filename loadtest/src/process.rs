//! Programs that run beside this one: pinned to a core, and gone when their guard is dropped.
//!
//! Invariants: a [`Running`] ends with all its descendants on drop, on success and error alike;
//! should loadtest itself be killed, the kernel ends them (setpriv's parent-death signal).

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::procfs;
use crate::tools;

/// A program that runs until this value is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `program` on `cores`, such as `0` or `0,1`; what it prints goes to a file in `folder`.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        cores: &str,
        folder: &Path,
    ) -> Result<Self> {
        Self::spawn(name, pinned_to(program, cores)?, arguments, folder)
    }

    fn spawn(
        name: &'static str,
        mut command: Command,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let errors = output.try_clone().context("sharing a log file")?;
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, log })
    }

    /// As [`Running::start`], on whichever cores the kernel chooses.
    pub(crate) fn start_free(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<Self> {
        Self::spawn(name, free(program)?, arguments, folder)
    }

    /// The process id of the program; taskset and setpriv become it, they do not stand before it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("a process id")?;
        let id = Pid::from_raw(id).context("a process id")?;
        kill_process(id, signal).with_context(|| format!("sending {} a signal", self.name))
    }

    /// Fails, with the end of the program's log, if it has ended.
    pub(crate) fn ensure_alive(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => bail!("{} ended ({status}){}", self.name, self.log_end()),
            Err(error) => Err(error).with_context(|| format!("asking after {}", self.name)),
        }
    }

    /// Tries `probe` until it succeeds; fails when the program ends or does not get there in time.
    pub(crate) fn wait_until(&mut self, mut probe: impl FnMut() -> io::Result<()>) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let Err(error) = probe() else { return Ok(()) };
            self.ensure_alive()?;
            if Instant::now() >= deadline {
                bail!("{} does not answer: {error}{}", self.name, self.log_end());
            }
            pause(PROBE_INTERVAL);
        }
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(LOG_LINES))
            .fold(String::new(), |end, line| end + "\n    " + line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return; // Its id may be another program's by now.
        }
        // A nginx that is killed leaves its worker, so all are named, the parent first. The ids
        // are still ours: nothing reaps the child before the `wait` below.
        let ids = procfs::ids_of_tree(self.child.id());
        if let Some(shell) = tools::SH.find() {
            let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
            let killed = Command::new(shell)
                .args(["-c", "kill -KILL \"$@\"", "kill"])
                .args(ids)
                .stderr(Stdio::null())
                .status();
            drop(killed);
        }
        // Both fail only for a program that is already gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `program` on `core`, ended by the kernel when this process ends, without portico's environment
/// variables: a run is described by its arguments alone.
pub(crate) fn pinned(program: &Path, core: usize) -> Result<Command> {
    pinned_to(program, &core.to_string())
}

/// As [`pinned`], on any of some cores.
fn pinned_to(program: &Path, cores: &str) -> Result<Command> {
    let mut command = Command::new(tools::SETPRIV.require()?);
    command
        .args(["--pdeathsig", "TERM"])
        .arg(tools::TASKSET.require()?)
        .args(["--cpu-list", cores])
        .arg(program);
    Ok(without_settings(command))
}

/// As [`pinned`], on whichever cores the kernel chooses.
pub(crate) fn free(program: &Path) -> Result<Command> {
    let mut command = Command::new(tools::SETPRIV.require()?);
    command.args(["--pdeathsig", "TERM"]).arg(program);
    Ok(without_settings(command))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PORTICO_") {
            command.env_remove(name);
        }
    }
    command
}

/// A port of 127.0.0.1 that nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(socket.local_addr().context("reading a port")?.port())
}

/// A port of the NodePort range of 127.0.0.1 that nobody listens on now.
pub(crate) fn free_node_port() -> Result<u16> {
    // Not always the same first: the last run's connections may still wait in TIME_WAIT.
    let offset = u16::try_from(std::process::id() % u32::from(NODE_PORTS)).unwrap_or(0);
    (0..NODE_PORTS)
        .map(|step| FIRST_NODE_PORT + (offset + step) % NODE_PORTS)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("every NodePort is taken")
}

/// 127.0.0.1 with `port`.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process gives no event to wait for, and what is measured happens at its time"
)]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

const START_TIMEOUT: Duration = Duration::from_secs(60);
const PROBE_INTERVAL: Duration = Duration::from_millis(20);
const LOG_LINES: usize = 5;
const FIRST_NODE_PORT: u16 = 30_000;
const NODE_PORTS: u16 = 2_768;

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, folder: &Path) -> Running {
        let shell = tools::SH.find().unwrap();
        Running::start("script", &shell, &["-c", script], "0", folder).unwrap()
    }

    /// setpriv and taskset come with every Debian, but not with every machine.
    fn can_pin() -> bool {
        tools::SETPRIV.find().is_some() && tools::TASKSET.find().is_some()
    }

    #[test]
    fn a_dropped_program_is_gone_with_its_children() {
        if !can_pin() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let script = format!("sleep 600 & echo > {}; wait", ready.display());
        let mut running = start(&script, folder.path());
        running
            .wait_until(|| fs::metadata(&ready).map(drop))
            .unwrap();
        let ids = procfs::ids_of_tree(running.id());
        assert_eq!(ids.len(), 2, "the shell and its child");
        drop(running);
        let deadline = Instant::now() + START_TIMEOUT;
        while !ids.iter().all(|id| gone(*id)) {
            assert!(Instant::now() < deadline, "{ids:?} live on");
            pause(PROBE_INTERVAL);
        }
    }

    /// No such process, or one that only waits to be reaped by whoever inherited it.
    fn gone(id: u32) -> bool {
        fs::read_to_string(format!("/proc/{id}/stat")).map_or(true, |stat| stat.contains(") Z "))
    }

    #[test]
    fn a_program_that_ends_at_once_is_reported_with_its_last_words() {
        if !can_pin() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut running = start("echo no such option >&2; exit 3", folder.path());
        let never = || Err(io::Error::other("not yet"));
        let error = running.wait_until(never).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("no such option"), "{error}");
    }

    #[test]
    fn a_free_node_port_is_one() {
        assert!((30_000..=32_767).contains(&free_node_port().unwrap()));
    }
}
