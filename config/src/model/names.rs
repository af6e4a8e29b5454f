//! What settings say of the resolver's own names.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{LabelSelector, StaticRecord};

/// Which names there are beside those that every cluster zone has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    /// `dns.reverseCidr`: networks whose reverse zones are ours, beside those of Services and Pods;
    /// default none.
    pub reverse_cidrs: Vec<IpNet>,
    /// `dns.namespaces`: namespaces that have names at all; default all of them.
    pub namespaces: Vec<Arc<str>>,
    /// `dns.namespaceLabels`: which of them have names, by the labels of their Namespace objects; none: all.
    pub namespace_labels: Option<LabelSelector>,
    /// `dns.labels`: which Services have names, by their labels; none: all.
    pub labels: Option<LabelSelector>,
    /// `dns.hostSuffix`: zones under which hosts are served and nothing else; empty: the alias zones.
    pub host_suffixes: Vec<Arc<str>>,
    /// `dns.publish`: which hosts of Ingresses and LoadBalancer Services have names.
    pub publish: Publish,
    /// `dns.ingressAddress`: where hosts of Ingresses are that no object says, instead of at the http
    /// listeners; default none.
    pub ingress_addresses: Vec<IpAddr>,
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
    /// `dns.wildcardDepth`: whether a wildcard of these is for names of one label more alone; default
    /// false.
    pub are_wildcards_shallow: bool,
    /// `dns.fallthrough`: zones in which a name that does not exist is asked of upstreams; default
    /// none.
    pub fallthrough: Vec<Arc<str>>,
    /// `dns.autopath`: whether the search path of a Pod that asks is walked for it; default false.
    pub autopath: bool,
    /// `dns.autopathFrom`: clients that are taken for Pods of a namespace, beside those whose address is
    /// a Pod's; default none.
    pub autopath_from: Vec<AutopathFrom>,
}

/// Clients whose search path begins in a namespace: `CIDR=NAMESPACE` (`dns 1.12`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AutopathFrom {
    /// Their addresses.
    pub network: IpNet,
    /// The namespace, which need not exist.
    pub namespace: Arc<str>,
}

impl FromStr for AutopathFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (network, namespace) = text.split_once('=').ok_or(EXPECTED)?;
        let network: IpNet = network.trim().parse().map_err(|_| EXPECTED)?;
        let namespace = namespace.trim();
        let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if namespace.is_empty() || namespace.len() > 63 || !namespace.chars().all(is_label) {
            return Err(format!("`{namespace}` is no namespace"));
        }
        Ok(Self { network: network.trunc(), namespace: namespace.into() })
    }
}

impl fmt::Display for AutopathFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.network, self.namespace)
    }
}

const EXPECTED: &str = "expected CIDR=NAMESPACE, such as 10.1.0.0/16=default";

/// Which hosts have names (`dns 2.9`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Publish {
    /// All of them, wherever they are.
    #[default]
    All,
    /// Those in a zone of ours; what is asked of others stays theirs.
    Suffixes,
    /// None.
    Off,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_a_namespace_are_read_as_they_are_shown() {
        for (text, want) in [
            ("10.1.2.3/16=shop", Ok("10.1.0.0/16=shop")),
            ("fd00::/8 = a-1", Ok("fd00::/8=a-1")),
            ("10.0.0.0/8", Err("expected CIDR=NAMESPACE")),
            ("shop=10.0.0.0/8", Err("expected CIDR=NAMESPACE")),
            ("10.0.0.0/8=", Err("`` is no namespace")),
            ("10.0.0.0/8=a.b", Err("`a.b` is no namespace")),
        ] {
            let read: Result<AutopathFrom, String> = text.parse();
            match (read.map(|it| it.to_string()), want) {
                (Ok(read), Ok(want)) => assert_eq!(read, want),
                (Err(error), Err(want)) => assert!(error.contains(want), "{text}: {error}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
