//! Fields that Kubernetes knows and portico does not use: no reason to warn.
//!
//! Kinds whose every field matters for traffic (Service, EndpointSlice, Endpoints, Ingress,
//! IngressClass) are listed in full. Of the others only the first level is: what a Pod's container
//! is made of is not portico's to judge.

use crate::location::{FieldPath, Step};

/// What is thought of a field that portico's types do not hold.
pub(super) enum Verdict {
    /// Kubernetes has it.
    Known,
    /// Nobody has it; perhaps this one was meant.
    Unknown(Option<&'static str>),
}

/// Judges a field of a kind.
pub(super) fn verdict(kind: &str, field: &FieldPath) -> Verdict {
    let keys: Vec<&str> = field
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(&**key),
            Step::Index(_) => None,
        })
        .collect();
    let Some((last, parents)) = keys.split_last() else { return Verdict::Known };
    let Some(siblings) = siblings(kind, parents) else { return Verdict::Known };
    if siblings.contains(last) {
        return Verdict::Known;
    }
    let nearest = siblings
        .iter()
        .map(|sibling| (distance(last, sibling), *sibling))
        .filter(|(distance, sibling)| *distance <= 1 + sibling.len() / 4)
        .min();
    Verdict::Unknown(nearest.map(|(_, sibling)| sibling))
}

/// Every field beside this one; `None`: not judged here.
fn siblings(kind: &str, parents: &[&str]) -> Option<&'static [&'static str]> {
    let known: &[&str] = match (kind, parents) {
        ("Service" | "Ingress" | "Pod" | "Node" | "Namespace", []) => {
            &["apiVersion", "kind", "metadata", "spec", "status"]
        }
        ("IngressClass", []) => &["apiVersion", "kind", "metadata", "spec"],
        ("EndpointSlice", []) => {
            &["apiVersion", "kind", "metadata", "addressType", "endpoints", "ports"]
        }
        ("Endpoints", []) => &["apiVersion", "kind", "metadata", "subsets"],
        ("Secret", []) => {
            &["apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable"]
        }
        ("ConfigMap", []) => &["apiVersion", "kind", "metadata", "data", "binaryData", "immutable"],
        (_, ["metadata"]) => METADATA,
        ("Service", ["spec"]) => SERVICE_SPEC,
        ("Service", ["spec", "ports"]) => {
            &["name", "protocol", "port", "targetPort", "nodePort", "appProtocol"]
        }
        ("Service", ["spec", "sessionAffinityConfig"]) => &["clientIP"],
        ("EndpointSlice", ["endpoints"]) => &[
            "addresses",
            "conditions",
            "hostname",
            "targetRef",
            "deprecatedTopology",
            "nodeName",
            "zone",
            "hints",
        ],
        ("EndpointSlice", ["endpoints", "conditions"]) => &["ready", "serving", "terminating"],
        ("EndpointSlice", ["ports"]) | ("Endpoints", ["subsets", "ports"]) => {
            &["name", "protocol", "port", "appProtocol"]
        }
        ("Endpoints", ["subsets"]) => &["addresses", "notReadyAddresses", "ports"],
        ("Endpoints", ["subsets", "addresses" | "notReadyAddresses"]) => {
            &["ip", "hostname", "nodeName", "targetRef"]
        }
        ("Ingress", ["spec"]) => &["ingressClassName", "defaultBackend", "tls", "rules"],
        ("Ingress", ["spec", "tls"]) => &["hosts", "secretName"],
        ("Ingress", ["spec", "rules"]) => &["host", "http"],
        ("Ingress", ["spec", "rules", "http"]) => &["paths"],
        ("Ingress", ["spec", "rules", "http", "paths"]) => &["path", "pathType", "backend"],
        ("Ingress", ["spec", "rules", "http", "paths", "backend"] | ["spec", "defaultBackend"]) => {
            &["service", "resource"]
        }
        ("Ingress", [.., "service"]) => &["name", "port"],
        ("Ingress", [.., "service", "port"]) => &["name", "number"],
        ("IngressClass", ["spec"]) => &["controller", "parameters"],
        _ => return None,
    };
    Some(known)
}

const METADATA: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

const SERVICE_SPEC: &[&str] = &[
    "ports",
    "selector",
    "clusterIP",
    "clusterIPs",
    "type",
    "externalIPs",
    "sessionAffinity",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "externalName",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "publishNotReadyAddresses",
    "sessionAffinityConfig",
    "ipFamilies",
    "ipFamilyPolicy",
    "allocateLoadBalancerNodePorts",
    "loadBalancerClass",
    "internalTrafficPolicy",
    "trafficDistribution",
];

/// How many letters to add, drop, change or swap with their neighbour.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(MAX_COMPARED).collect();
    let other: Vec<char> = other.chars().take(MAX_COMPARED).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (line, letter) in one.iter().enumerate() {
        let before = &rows[line];
        let mut row = vec![line + 1];
        for (column, wanted) in other.iter().enumerate() {
            let changed = before[column] + usize::from(letter != wanted);
            let mut best = changed.min(before[column + 1] + 1).min(row[column] + 1);
            let swapped =
                line > 0 && column > 0 && *letter == other[column - 1] && one[line - 1] == *wanted;
            if swapped {
                best = best.min(rows[line - 1][column - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

const MAX_COMPARED: usize = 64;

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn a_slip_of_the_fingers_is_a_distance_of_one() {
        for (one, other, want) in [
            ("web", "wbe", 1),
            ("ports", "prots", 1),
            ("port", "ports", 1),
            ("", "abc", 3),
            ("a", "a", 0),
        ] {
            assert_eq!(distance(one, other), want, "{one} {other}");
        }
    }
}
