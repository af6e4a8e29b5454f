//! Probes as they are carried out: values filled in, ports found, nothing left to check.
//!
//! Invariants: equal values are the same probes of the same Pod, so that what was found out by one
//! counts for the other; numbers are in their range.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{ExecProbe, ObjectName};

/// Everything that is to be probed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Probed {
    /// The Pods, by name.
    pub pods: Vec<ProbedPod>,
    /// What probes come to that run a command.
    pub exec: ExecProbe,
}

/// A Pod to be probed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbedPod {
    /// Its name.
    pub name: ObjectName,
    /// Who is asked how.
    pub probes: Arc<PodProbes>,
    /// It is being deleted: only readiness counts.
    pub is_terminating: bool,
    /// What its containers are taken for now, until a verdict says otherwise.
    pub is_ready: bool,
    /// Why it is not ready whatever they are: what is wrong with its readiness gates.
    pub closed_gates: Arc<[String]>,
}

/// The probes of a Pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PodProbes {
    /// `metadata.uid`: with another one it is another Pod.
    pub uid: Option<Arc<str>>,
    /// Its first address, where probes go that name no host: likewise.
    pub address: IpAddr,
    /// Containers and restartable init containers that have probes.
    pub containers: Vec<ContainerProbes>,
}

impl PodProbes {
    /// Whether all containers are ready before any probe has run: nothing says otherwise.
    pub(crate) fn begins_ready(&self) -> bool {
        let mut probes = self.containers.iter().flat_map(|it| &it.probes);
        probes.all(|probe| probe.purpose == Purpose::Liveness)
    }
}

/// What is known of a Pod's containers by probing them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeVerdict {
    /// Whom it is about.
    pub pod: ObjectName,
    /// What was probed: of a Pod with other probes this says nothing.
    pub probes: Arc<PodProbes>,
    /// Whether all of its containers are ready.
    pub is_ready: bool,
}

/// The probes of a container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContainerProbes {
    /// Its name.
    pub name: Arc<str>,
    /// At most one for each purpose.
    pub probes: Vec<Probe>,
}

/// One probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// What it is for.
    pub purpose: Purpose,
    /// When it runs and what counts.
    pub pace: Pace,
    /// How long a run may take; default 1 s.
    pub timeout: Duration,
    /// What is done.
    pub action: ProbeAction,
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Purpose {
    /// Whether traffic may come.
    Readiness,
    /// Whether the container lives.
    Liveness,
    /// Whether it has started, so that the other two may begin.
    Startup,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
            Self::Startup => "startup",
        })
    }
}

/// When a probe runs, and how many results in a row count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// From the start of the container; default 0.
    pub initial_delay: Duration,
    /// From run to run, at least 1 s; default 10 s.
    pub period: Duration,
    /// Successes in a row, at least 1, which is the default.
    pub success_threshold: u32,
    /// Failures in a row, at least 1; default 3.
    pub failure_threshold: u32,
}

/// What a probe does. A port is none where the container has none of that name: each run is an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProbeAction {
    /// `GET`: a status of 200 to 399 is success.
    Http(HttpProbe),
    /// A connection that opens is success.
    Tcp {
        /// Default: the Pod's address.
        host: Option<Arc<str>>,
        /// Where.
        port: Option<u16>,
    },
    /// `grpc.health.v1.Health/Check` without TLS: SERVING is success.
    Grpc {
        /// Where, at the Pod's address.
        port: u16,
        /// Which service is asked about; default "".
        service: Arc<str>,
    },
    /// A command, which cannot be run here: a setting says what it comes to.
    Exec,
}

/// `HTTPGetAction`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpProbe {
    /// HTTPS, whose certificate is not looked at.
    pub tls: bool,
    /// Default: the Pod's address.
    pub host: Option<Arc<str>>,
    /// Where.
    pub port: Option<u16>,
    /// Default `/`.
    pub path: Arc<str>,
    /// In their order; a `Host` is the authority.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
}
