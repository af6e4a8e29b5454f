//! Session affinity, traffic policies and distribution.

use std::time::Duration;

use super::{Draft, text};
use crate::diagnostic::Code;
use crate::location::FieldPath;
use crate::model::TrafficPolicy;
use crate::validate::check::Check;

/// How flows are spread over endpoints.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traffic {
    /// `sessionAffinity: ClientIP`: how long a client keeps its endpoint after its last new
    /// connection; 1 s to a day, three hours if absent. None: it has none.
    pub(crate) affinity_timeout: Option<Duration>,
    /// `internalTrafficPolicy`: of the ClusterIP front alone.
    pub(crate) internal: TrafficPolicy,
    /// `externalTrafficPolicy`: of every other front.
    pub(crate) external: TrafficPolicy,
    /// `trafficDistribution`; topology-mode overrides it.
    pub(crate) distribution: Option<Distribution>,
    /// The annotation that says `Auto`: `service.kubernetes.io/topology-mode` or its alias.
    pub(crate) topology_auto: Option<&'static str>,
}

/// `trafficDistribution`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Distribution {
    /// `PreferSameZone`, once called `PreferClose`.
    SameZone,
    /// `PreferSameNode`, else the zone.
    SameNode,
}

pub(super) fn traffic(draft: &Draft<'_>, check: &mut Check<'_>) -> Traffic {
    let spec = draft.spec;
    let policies = [("Cluster", TrafficPolicy::Cluster), ("Local", TrafficPolicy::Local)];
    let field = draft.root.key("internalTrafficPolicy");
    let internal = check.choice(&field, text(&spec.internal_traffic_policy), &policies);
    let field = draft.root.key("externalTrafficPolicy");
    let written = text(&spec.external_traffic_policy);
    let mut external = check.choice(&field, written, &policies);
    if external.is_some() && draft.type_.is_some() && !draft.is_externally_accessible() {
        check.advise(
            Code::TrafficPolicyNotAllowed,
            &field,
            "may only be set for externally-accessible services",
            "those of type NodePort or LoadBalancer, or with externalIPs",
        );
        external = None;
    }
    let distributions = [
        ("PreferClose", Distribution::SameZone),
        ("PreferSameNode", Distribution::SameNode),
        ("PreferSameZone", Distribution::SameZone),
    ];
    let field = draft.root.key("trafficDistribution");
    Traffic {
        affinity_timeout: affinity(draft, check),
        internal: internal.unwrap_or(TrafficPolicy::Cluster),
        external: external.unwrap_or(TrafficPolicy::Cluster),
        distribution: check.choice(&field, text(&spec.traffic_distribution), &distributions),
        topology_auto: topology_auto(draft, check),
    }
}

fn affinity(draft: &Draft<'_>, check: &mut Check<'_>) -> Option<Duration> {
    let spec = draft.spec;
    let field = draft.root.key("sessionAffinity");
    let written = text(&spec.session_affinity);
    let by_client = check.choice(&field, written, &[("ClientIP", true), ("None", false)]);
    let config = spec.session_affinity_config.as_ref();
    let field = draft.root.key("sessionAffinityConfig");
    if by_client != Some(true) {
        if config.is_some() && (by_client.is_some() || written.is_none()) {
            check.advise(
                Code::AffinityConfigNotAllowed,
                &field,
                "must not be set when session affinity is None",
                "write `sessionAffinity: ClientIP`, or leave sessionAffinityConfig out",
            );
        }
        return None;
    }
    let seconds = config
        .and_then(|config| config.client_ip.as_ref())
        .and_then(|client| client.timeout_seconds)
        .unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    match u64::try_from(seconds) {
        Ok(seconds @ 1..=86_400) => Some(Duration::from_secs(seconds)),
        _ => {
            let text = "must be greater than 0 and less than 86400";
            let field = field.key("clientIP").key("timeoutSeconds");
            check.report(
                Code::AffinityTimeout,
                &field,
                format!("invalid value: {seconds}: {text}"),
            );
            None
        }
    }
}

fn topology_auto(draft: &Draft<'_>, check: &mut Check<'_>) -> Option<&'static str> {
    let annotations = &draft.object.metadata.annotations;
    let (mode, hints) = (annotations.get(MODE), annotations.get(HINTS));
    if let (Some(mode), Some(hints)) = (mode, hints)
        && mode != hints
    {
        let field = FieldPath::from("metadata.annotations").key(MODE);
        let fault = format!("must match annotations[{HINTS}] when both are specified");
        check.invalid(Code::TopologyDisagrees, &field, mode, fault);
    }
    let (annotation, value) = hints.map_or((MODE, mode), |hints| (HINTS, Some(hints)));
    let is_auto = value.is_some_and(|value| value == "Auto" || value == "auto");
    is_auto.then_some(annotation)
}

const MODE: &str = "service.kubernetes.io/topology-mode";
/// The older name, which wins.
const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const DEFAULT_TIMEOUT_SECONDS: i64 = 10_800;
