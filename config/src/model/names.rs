//! What settings say of the resolver's own names.

use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use super::StaticRecord;

/// Which names there are beside those that every cluster zone has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    /// `dns.reverseCidr`: networks whose reverse zones are ours, beside those of Services and Pods;
    /// default none.
    pub reverse_cidrs: Vec<IpNet>,
    /// `dns.namespaces`: namespaces that have names at all; default all of them.
    pub namespaces: Vec<Arc<str>>,
    /// `dns.hostSuffix`: zones under which hosts are served and nothing else; empty: the alias zones.
    pub host_suffixes: Vec<Arc<str>>,
    /// `podsMode`: which names of Pods there are.
    pub pods: PodsMode,
    /// `ignoreEmptyService`: whether a Service without a ready endpoint has no name; default false.
    pub ignore_empty_service: bool,
    /// `endpointPodNames`: whether an endpoint without a hostname is called as its Pod is; default
    /// false.
    pub endpoint_pod_names: bool,
    /// `dns.record`: records that come before everything else; default none.
    pub records: Vec<StaticRecord>,
    /// `dns.hosts`: hosts files, whose names stand behind `records`; default none.
    pub hosts_files: Vec<PathBuf>,
    /// `dns.fallthrough`: zones in which a name that does not exist is asked of upstreams; default
    /// none.
    pub fallthrough: Vec<Arc<str>>,
    /// `dns.autopath`: whether the search path of a Pod that asks is walked for it; default false.
    pub autopath: bool,
}

/// What `10-0-0-1.<namespace>.pod.<zone>` answers (`dns 1.9`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PodsMode {
    /// Nothing: there is no such name.
    Disabled,
    /// The address that it spells, in every namespace that exists.
    Insecure,
    /// That address, if a Pod of the namespace has it.
    #[default]
    Verified,
}
