//! What guards the locations of one Ingress and stands in other objects: the names and passwords of
//! its Secret (`ingress 2.4`: `auth-secret`).
//!
//! Invariant: an object that is not there, or has nothing of the kind, closes; so does one that is
//! deleted later, and the locations open again when it comes back.

use std::sync::Arc;

use super::backend_tls::Closed;
use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{Basic, Policy};
use crate::validate::{BasicAsk, InUse, Kind};

/// What other objects add to what an Ingress asks.
#[derive(Default)]
pub(super) struct Guards {
    basic: Option<Arc<Basic>>,
    /// Why nothing is served.
    closed: Option<Closed>,
}

impl Guards {
    /// Looks up what an Ingress names, and tells what is wrong with it.
    pub(super) fn of(
        (object, ingress): Owned<'_>,
        objects: &Objects,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut guards = Self::default();
        if let Some(ask) = &ingress.annotations.basic {
            match basic(ask, object, objects, diagnostics) {
                Ok(basic) => guards.basic = Some(Arc::new(basic)),
                Err(why) => guards.close(object, ("auth-secret", why), diagnostics),
            }
        }
        guards
    }

    /// Writes into a policy of the Ingress what is asked.
    pub(super) fn apply(&self, policy: &mut Policy) {
        policy.basic.clone_from(&self.basic);
        if policy.basic.is_some() {
            // It was for portico (`ingress 2.4`: `auth-realm`).
            policy.withheld = [AUTHORIZATION.into()].into();
        }
        if let Some(Closed { annotation, why }) = &self.closed {
            let why = || format!("annotation {PREFIX}{annotation}: {why}").into();
            policy.closed.get_or_insert_with(why);
        }
    }

    fn close(
        &mut self,
        object: &InUse,
        (annotation, why): (&'static str, String),
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let text = format!("{why}: its locations are closed, every request gets 503");
        let field = field(annotation);
        diagnostics.push(finding(Code::AnnotationCloses, object, field, text));
        self.closed.get_or_insert(Closed { annotation, why });
    }
}

/// The users of the Secret that an Ingress names.
fn basic(
    ask: &BasicAsk,
    object: &InUse,
    objects: &Objects,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Basic, String> {
    let name = &ask.secret.name;
    let secret = objects.secrets.get(&ask.secret);
    let Some(Kind::Secret(secret)) = secret.map(|secret| &secret.valid.kind) else {
        return Err(format!("no Secret `{name}` in namespace {}", ask.secret.namespace));
    };
    let (users, lacks) = match ask.by_key {
        true => (&secret.users.by_key, "no keys, or a type of its own"),
        false => (&secret.users.by_line, "no key `auth` with lines"),
    };
    let Some((users, skipped)) = users else {
        return Err(format!("Secret `{name}` has {lacks}"));
    };
    if skipped.lines > 0 {
        let text = format!(
            "{} of the entries of Secret `{name}` have no hash that is known: nobody can log in by \
             them",
            skipped.lines
        );
        let code = Code::InvalidIngressAnnotation;
        diagnostics.push(finding(code, object, field("auth-secret"), text));
    }
    Ok(Basic { realm: ask.realm.clone(), users: Arc::clone(users) })
}

fn field(annotation: &str) -> FieldPath {
    FieldPath::from("metadata.annotations").key(&format!("{PREFIX}{annotation}"))
}

const AUTHORIZATION: &str = "authorization";
