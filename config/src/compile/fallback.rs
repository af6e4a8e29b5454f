//! Default backends: that of a host, and that of the first Ingress without rules, which serves what no rule of
//! any host is for (`ingress 1.5`).
//!
//! Invariant: a backend whose Ingress asks for certificates of clients is reached by no host that does not
//! ask for the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding;
use super::host_tls::HostTls;
use super::ingress::{Draft, Owned, placed};
use super::policies::Policies;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{HostPattern, ObjectName, Policy};
use crate::snapshot::Backend;

/// A default backend, and what its Ingress asks.
#[derive(Clone)]
pub(super) struct Fallback {
    pub(super) backend: Backend,
    pub(super) policy: Arc<Policy>,
    /// None: settings say it.
    pub(super) ingress: Option<ObjectName>,
}

impl Fallback {
    /// That of an Ingress without rules: nothing of it redirects or rewrites.
    pub(super) fn of_any_host(
        (object, ingress): Owned<'_>,
        backend: &Backend,
        policies: &Policies<'_>,
    ) -> Self {
        let said = policies.said((object, ingress), backend);
        let policy = policies.of_any_host((object, ingress), said);
        let (redirect, rewrite, forwarded_prefix) = (None, None, None);
        let policy = Arc::new(Policy { redirect, rewrite, forwarded_prefix, ..policy });
        let default = ingress.default_backend.as_ref();
        let policy = at_root(placed((object, ingress), default, policy));
        Self { backend: backend.clone(), policy, ingress: Some(object.valid.name.clone()) }
    }
}

/// Closes the default backend of all hosts to those that ask for other certificates of clients than its
/// Ingress, or for none: certificates are asked for by hosts, and theirs would let anybody in.
pub(super) fn keep_out(
    owned: &[Owned<'_>],
    (hosts, catch_all): (&mut BTreeMap<HostPattern, Draft>, &Fallback),
    asked: &HostTls<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let guards = |(object, ingress): &&Owned<'_>| {
        let is_it = catch_all.ingress.as_ref() == Some(&object.valid.name);
        is_it && ingress.annotations.clients.is_some()
    };
    let Some((object, _)) = owned.iter().find(guards) else { return };
    let any = asked.clients(&HostPattern::Any);
    let mut count = 0;
    for (host, draft) in hosts {
        if draft.fallback.is_some() || asked.clients(host) == any {
            continue;
        }
        let closed = Some("its Ingress asks for certificates that this host does not".into());
        let policy = Arc::new(Policy { closed, ..Policy::clone(&catch_all.policy) });
        draft.fallback = Some(Fallback { policy, ..catch_all.clone() });
        count += 1;
    }
    if count > 0 {
        let field =
            FieldPath::from("metadata.annotations").key(&format!("{PREFIX}auth-tls-secret"));
        let text = format!(
            "{count} hosts do not ask for these certificates: what no rule of theirs is for gets 503, not the \
             default backend"
        );
        diagnostics.push(finding(Code::AnnotationCloses, object, field, text));
    }
}

/// What is asked of requests that no path is about.
pub(super) fn at_root(policy: Arc<Policy>) -> Arc<Policy> {
    let balancing = policy.balancing.at("/");
    match balancing == policy.balancing {
        true => policy,
        false => Arc::new(Policy { balancing, ..Policy::clone(&policy) }),
    }
}
