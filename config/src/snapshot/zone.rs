//! What the resolver is authoritative for, beside the Services themselves.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::model::{HostPattern, ObjectName};

/// Zones and hosts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Zones {
    /// Cluster zones, lower case, no trailing dot; the first is primary: PTR answers name it.
    pub cluster_domains: Vec<Arc<str>>,
    /// Zones with the same content under another name.
    pub alias_zones: Vec<Arc<str>>,
    /// Networks whose reverse zones are ours: unknown addresses inside are NXDOMAIN.
    pub reverse: Vec<IpNet>,
    /// Ingress hosts and where they are served; sorted by host, each once.
    pub hosts: Vec<HostRecord>,
    /// Namespaces that exist: by a Namespace object, or because any object lives in one.
    pub namespaces: BTreeSet<Arc<str>>,
    /// TTL of every local record and SOA minimum.
    pub ttl_seconds: u32,
    /// SOA serial: seconds since 1970 of this change, never smaller than the one before + 1.
    pub serial: u32,
}

/// A host of an Ingress with the addresses that serve it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostRecord {
    /// Exact or `*.suffix`; never [`HostPattern::Any`].
    pub host: HostPattern,
    /// The http listener's addresses; unspecified ones (`0.0.0.0`) mean the address asked.
    pub addresses: Vec<IpAddr>,
    /// The Ingress that names it first.
    pub ingress: ObjectName,
}
