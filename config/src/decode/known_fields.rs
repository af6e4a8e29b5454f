//! Fields that Kubernetes knows: no reason to warn, or what a misspelt one may have meant.
//!
//! [`types`] lists them. Below a field that portico does not read, such as a Pod's volumes,
//! nothing is judged.

mod types;

use types::Type;

/// Whether Kubernetes has a field of a kind; `keys` lead to it.
pub(super) fn is_known(kind: &str, keys: &[&str]) -> bool {
    let Some((last, parents)) = keys.split_last() else { return true };
    match parent(kind, parents) {
        Some(parent) => parent.field(last).is_some(),
        None => true,
    }
}

/// What an unknown field may have meant: the way out in words.
pub(super) fn suggestion(kind: &str, keys: &[&str]) -> Option<String> {
    let (last, parents) = keys.split_last()?;
    if let Some((_, help)) = MOVED.iter().find(|(moved, _)| moved == &(kind, *last)) {
        return Some((*help).to_owned());
    }
    let nearest = parent(kind, parents)?
        .names()
        .map(|name| (distance(&last.to_ascii_lowercase(), &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    if let Some((0 | 1, name)) = nearest {
        return Some(format!("did you mean `{name}`?"));
    }
    if let Some(place) = place(types::of(kind)?, last) {
        return Some(match place.is_empty() {
            true => format!("`{last}` belongs at the top, beside kind"),
            false => format!("`{last}` belongs in `{place}`"),
        });
    }
    nearest.map(|(_, name)| format!("did you mean `{name}`?"))
}

/// The type that holds a field; none where nothing is judged.
fn parent(kind: &str, parents: &[&str]) -> Option<&'static Type> {
    parents
        .iter()
        .try_fold(types::of(kind)?, |parent, key| parent.field(key)?)
}

/// Where a field of this name stands: the place nearest to the top.
fn place(root: &'static Type, name: &str) -> Option<String> {
    let mut level: Vec<(String, &'static Type)> = vec![(String::new(), root)];
    for _ in 0..MAX_DEPTH {
        if let Some((place, _)) = level
            .iter()
            .find(|(_, parent)| parent.field(name).is_some())
        {
            return Some(place.clone());
        }
        level = level
            .iter()
            .flat_map(|(place, parent)| {
                parent.inner().map(move |(name, inner)| {
                    let dot = if place.is_empty() { "" } else { "." };
                    (format!("{place}{dot}{name}"), inner)
                })
            })
            .collect();
    }
    None
}

/// Fields of old versions, and what to write now.
const MOVED: &[((&str, &str), &str)] = &[
    (
        ("Ingress", "serviceName"),
        "since networking.k8s.io/v1 write `service: {name: …, port: {number: …}}`",
    ),
    (
        ("Ingress", "servicePort"),
        "since networking.k8s.io/v1 write `service: {name: …, port: {number: …}}`",
    ),
    (
        ("Ingress", "backend"),
        "since networking.k8s.io/v1 the backend of all else is `spec.defaultBackend`",
    ),
    (("EndpointSlice", "topology"), "since discovery.k8s.io/v1 write `nodeName` and `zone`"),
    (("Service", "topologyKeys"), "since Kubernetes 1.22 write `trafficDistribution`"),
];

/// Types nest no deeper than this.
const MAX_DEPTH: usize = 8;

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
    use super::*;

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

    #[test]
    fn an_unknown_field_names_the_nearest_or_its_place() {
        for (kind, field, want) in [
            ("Service", "spec.clusterIp", "did you mean `clusterIP`?"),
            ("Service", "spec.ports.targetport", "did you mean `targetPort`?"),
            ("Service", "spec.ports.prot", "did you mean `port`?"),
            ("Service", "spec.selectors", "did you mean `selector`?"),
            ("Service", "spec.name", "`name` belongs in `metadata`"),
            ("Service", "ports", "`ports` belongs in `spec`"),
            ("Service", "spec.labels", "`labels` belongs in `metadata`"),
            ("Service", "spec.nodePort", "`nodePort` belongs in `spec.ports`"),
            ("Service", "spec.status", "`status` belongs at the top, beside kind"),
            ("Pod", "spec.containers.ports.contanerPort", "did you mean `containerPort`?"),
            ("Pod", "status.podIp", "did you mean `podIP`?"),
            ("Pod", "spec.containers.readynessProbe", "did you mean `readinessProbe`?"),
            ("Pod", "spec.containers.readinessProbe.httpget", "did you mean `httpGet`?"),
            ("Pod", "podIP", "`podIP` belongs in `status`"),
            ("EndpointSlice", "endpoints.conditions.redy", "did you mean `ready`?"),
            ("EndpointSlice", "spec", ""),
            (
                "Ingress",
                "spec.rules.http.paths.backend.serviceName",
                "since networking.k8s.io/v1 write `service: {name: …, port: {number: …}}`",
            ),
            ("Ingress", "spec.rules.paths", "`paths` belongs in `spec.rules.http`"),
            ("Ingress", "spec.rules.http.paths.pathtype", "did you mean `pathType`?"),
            ("IngressClass", "spec.controler", "did you mean `controller`?"),
            ("Node", "spec.podCidr", "did you mean `podCIDR`?"),
            ("Secret", "stringdata", "did you mean `stringData`?"),
            ("Service", "metadata.anotations", "did you mean `annotations`?"),
            ("Service", "spec.zebra", ""),
        ] {
            let keys: Vec<&str> = field.split('.').collect();
            assert!(!is_known(kind, &keys), "{field}");
            assert_eq!(suggestion(kind, &keys).unwrap_or_default(), want, "{kind} {field}");
        }
    }

    #[test]
    fn what_kubernetes_knows_is_no_reason_to_warn() {
        for (kind, field) in [
            ("Service", "metadata.managedFields"),
            ("Service", "status.conditions"),
            ("Pod", "spec.volumes"),
            ("Pod", "spec.containers.resources"),
            ("Pod", "spec.ephemeralContainers.name"),
            ("Pod", "spec.volumes.anything"),
            ("Node", "status.images"),
            ("Namespace", "spec.finalizers"),
            ("Unheard", "of"),
        ] {
            assert!(is_known(kind, &field.split('.').collect::<Vec<_>>()), "{kind} {field}");
        }
    }
}
