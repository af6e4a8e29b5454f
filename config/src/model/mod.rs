//! Words that every stage shares: names, protocols, hosts and the settings of a run.
//!
//! Invariants: no I/O, no clock, no manifest type. What a word *means* for traffic is said by the
//! stage or plane that uses it.

mod access_log;
pub mod annotation;
mod backend_tls;
mod balancing;
mod certificate;
mod client_auth;
mod clients;
mod compression;
mod cors;
mod conduct;
pub mod controller_key;
mod duration;
mod external_auth;
mod field_edits;
mod error_pages;
mod expression;
mod forwarding;
mod front_door;
mod host;
mod host_suites;
mod hsts;
mod label_selector;
mod limits;
mod mirror;
mod name;
mod names;
mod normal_path;
mod outside;
mod passwords;
mod path;
mod pattern;
mod policy;
mod probe;
mod protocol;
mod quantity;
mod query_log;
mod record;
mod rewrite;
mod rewrites;
mod sealed;
mod settings;
mod template;
mod traffic;

pub use access_log::{
    AccessLog, LogFormat, LogPart, LogTarget, LogTemplate, LogTls, LogTry, LogVariable,
};
pub use backend_tls::{BackendTls, Same, TlsVersions};
pub(crate) use balancing::is_cookie_path;
pub use balancing::{AffinityMode, Balancing, CookieAffinity, HashBy, SameSite};
pub use certificate::Certificate;
pub use client_auth::{ClientAuth, Revocations, Subject, Wants};
pub use clients::private_networks;
pub use compression::{Coding, Compression};
pub use conduct::{CanaryHeader, CanaryRule, CanaryValue, Conditions, Retries, Timeouts};
pub use cors::{Cors, Grant, Origin};
pub use duration::{format_duration, parse_duration};
pub use error_pages::ErrorPages;
pub use external_auth::{AuthPlace, ExternalAuth, ServiceAddress, SignIn};
pub use field_edits::FieldEdits;
pub use forwarding::{
    FailoverCode, ForwardPolicy, ForwardRule, Forwarding, UpstreamAddress, UpstreamTransport,
};
pub use front_door::{DoorTimeouts, FrontDoor, ServiceTarget};
pub use host::HostPattern;
pub use host_suites::HostSuites;
pub use hsts::Hsts;
pub use label_selector::LabelSelector;
pub use limits::{ClientLimits, DownloadRate, Rate, Rates};
pub use mirror::Mirror;
pub use name::{ObjectName, ObjectRef};
pub use names::{AutopathFrom, Names, PodsMode, Publish};
pub use normal_path::{PathFault, normalize, normalize_written};
pub use outside::{FoundHost, is_surroundings};
pub use passwords::{Basic, PasswordHash, Passwords, Scheme, Skipped};
pub use path::PathKind;
pub use pattern::{Captures, Pattern, literal};
pub use policy::{Policy, Redirect, ToHttps};
pub use probe::{
    ContainerProbes, HttpProbe, Pace, PodProbes, Probe, ProbeAction, ProbeVerdict, Probed,
    ProbedPod, Purpose,
};
pub use protocol::Protocol;
pub(crate) use quantity::parse_millis;
pub use quantity::{format_bytes, parse_bytes};
pub use query_log::{QueryLog, QueryLogRule, ReplyClass};
pub(crate) use record::hosts_file;
pub use record::{RecordData, StaticRecord};
pub use rewrite::Rewrite;
pub use rewrites::{Rewrites, Swap};
pub use sealed::Sealed;
pub use settings::{ClusterIps, ExecProbe, HostFacts, Limits, Probes, Reload, Settings, Tcp};
pub use template::{Part, Template, TemplateError, Variable};
pub use traffic::{Balance, IpFamily, ProxyProtocol, ProxyVersion, TrafficPolicy};
