//! Which names the resolver has, and what they are: zones, records, rewrites, names of Pods.
//!
//! What becomes of a question, ours or not, is in [`resolver`](super::resolver).

use crate::settings::kind::Kind;
use crate::settings::{Group, Setting};

/// Names that are ours.
pub(super) static SETTINGS: &[Setting] = &[
    Setting::new(
        "clusterDomain",
        Group::Names,
        "ZONE",
        "The cluster's zone; of several, the first is primary",
        Kind::Zones { may_be_off: false, lens: |to| &mut to.settings.cluster_domains },
    )
    .live(),
    Setting::new(
        "aliasZone",
        Group::Names,
        "ZONE|off",
        "A zone with the same names",
        Kind::Zones { may_be_off: true, lens: |to| &mut to.settings.alias_zones },
    )
    .live(),
    Setting::new(
        "dns.ttl",
        Group::Names,
        "SECONDS",
        "How long answers may be cached",
        Kind::Seconds(0..=3600, |to| &mut to.settings.dns_ttl_seconds),
    )
    .live(),
    Setting::new(
        "dns.reverseCidr",
        Group::Names,
        "CIDR",
        "A network whose reverse zone is ours too: unknown addresses in it have no name",
        Kind::AnyNetworks(|to| &mut to.settings.names.reverse_cidrs),
    )
    .live(),
    Setting::new(
        "dns.namespaces",
        Group::Names,
        "NAME",
        "Namespaces whose Services and Pods have names",
        Kind::Names(|to| &mut to.settings.names.namespaces),
    )
    .by_default("all")
    .live(),
    Setting::new(
        "dns.namespaceLabels",
        Group::Names,
        "SELECTOR",
        "Which of them do, by the labels of their Namespace objects, as kubectl -l has it",
        Kind::Labels(|to| &mut to.settings.names.namespace_labels),
    )
    .by_default("all")
    .live(),
    Setting::new(
        "dns.labels",
        Group::Names,
        "SELECTOR",
        "Which Services have names, by their labels",
        Kind::Labels(|to| &mut to.settings.names.labels),
    )
    .by_default("all")
    .live(),
    Setting::new(
        "dns.hostSuffix",
        Group::Names,
        "ZONE",
        "A zone of hosts of Ingresses and LoadBalancer Services, in which there is nothing else",
        Kind::Zones { may_be_off: true, lens: |to| &mut to.settings.names.host_suffixes },
    )
    .by_default("the alias zones")
    .live(),
    Setting::new(
        "dns.publish",
        Group::Names,
        "all|suffixes|off",
        "Which hosts of Ingresses and LoadBalancer Services have names: all, or those in zones of ours",
        Kind::Publish(|to| &mut to.settings.names.publish),
    )
    .live(),
    Setting::new(
        "dns.ingressAddress",
        Group::Names,
        "IP",
        "Where hosts of Ingresses are that no object says",
        Kind::Addresses(|to| &mut to.settings.names.ingress_addresses),
    )
    .by_default("the http listeners")
    .live(),
    Setting::new(
        "dns.record",
        Group::Names,
        "RECORD",
        "A name of your own as in a zone file: [@CIDR] NAME [TTL] A|AAAA|CNAME|TXT|SRV|MX DATA",
        Kind::Records(|to| &mut to.settings.names.records),
    )
    .live(),
    Setting::new(
        "dns.hosts",
        Group::Names,
        "FILE",
        "A hosts file, whose names are answered; followed as it changes",
        Kind::Files(|to| &mut to.settings.names.hosts_files),
    ),
    Setting::new(
        "dns.wildcardDepth",
        Group::Names,
        "any|one",
        "For how many labels more a wildcard of records and hosts files stands",
        Kind::Depth(|to| &mut to.settings.names.are_wildcards_shallow),
    )
    .live(),
    Setting::new(
        "dns.fallthrough",
        Group::Names,
        "ZONE",
        "A zone in which upstreams are asked for names that we do not have",
        Kind::Zones { may_be_off: true, lens: |to| &mut to.settings.names.fallthrough },
    )
    .live(),
    Setting::new(
        "dns.rewrite",
        Group::Names,
        "RULE",
        "A name that is asked as another: [exact|prefix|suffix|substring|regex] FROM TO",
        Kind::Rewrites(|to| &mut to.settings.dns_rewrites),
    )
    .live(),
    Setting::new(
        "dns.autopath",
        Group::Names,
        "true|false",
        "Whether a Pod hears at once what its search path leads to",
        Kind::Switch(|to| &mut to.settings.names.autopath),
    )
    .live(),
    Setting::new(
        "dns.autopathFrom",
        Group::Names,
        "CIDR=NAMESPACE",
        "Clients that are taken for Pods of a namespace there",
        Kind::AutopathFrom(|to| &mut to.settings.names.autopath_from),
    )
    .live(),
    Setting::new(
        "podsMode",
        Group::Names,
        "disabled|insecure|verified",
        "Whether 10-0-0-1.NAMESPACE.pod.ZONE has no address, the one it spells, or a Pod's alone",
        Kind::PodsMode(|to| &mut to.settings.names.pods),
    )
    .live(),
    Setting::new(
        "ignoreEmptyService",
        Group::Names,
        "true|false",
        "Whether a Service without a ready endpoint has no name",
        Kind::Switch(|to| &mut to.settings.names.ignore_empty_service),
    )
    .live(),
    Setting::new(
        "endpointPodNames",
        Group::Names,
        "true|false",
        "Whether endpoints without a hostname are called as their Pods are",
        Kind::Switch(|to| &mut to.settings.names.endpoint_pod_names),
    )
    .live(),
];
