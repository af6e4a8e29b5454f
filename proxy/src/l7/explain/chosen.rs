//! Which of the two backends of a location gets a request, and what decides that (`ingress 2.4`: canary).

use portico_config::model::{CanaryRule, CanaryValue, ObjectName};

use super::{Asker, missing};
use crate::l7::fields::Fields;
use crate::l7::locate::stays;
use crate::l7::policy::{self, CanaryDecides};
use crate::l7::request::Checked;
use crate::l7::route;
use crate::view::{Canary, Target};

/// The alternative of a location, and whether the request is for it.
#[derive(Debug, Eq, PartialEq)]
pub struct Choice {
    /// The Ingress that is the alternative.
    pub ingress: ObjectName,
    /// Whether it gets the request.
    pub is_taken: bool,
    /// What decides that.
    pub why: String,
}

impl Asker<'_> {
    /// The alternative that there is for a request.
    pub(super) fn canary<'a>(&'a self, checked: &Checked<'_>) -> Option<&'a Canary> {
        let host = route::find_host(&self.view.routes, &checked.host)?;
        let (_, _, canary, _) = route::within(host, &checked.path)?;
        canary
    }

    /// Whether the request is for it, and why.
    pub(super) fn choice(
        &self,
        (canary, is_taken): (&Canary, bool),
        checked: &Checked<'_>,
        fields: Fields<'_>,
    ) -> Choice {
        let why = self
            .unreachable(canary)
            .or_else(|| self.returning(canary, checked, fields))
            .unwrap_or_else(|| by_rule(&canary.of.rule, fields, is_taken));
        Choice { ingress: canary.of.ingress.clone(), is_taken, why }
    }

    /// Why nobody can be sent to the alternative.
    fn unreachable(&self, canary: &Canary) -> Option<String> {
        let Target::Port(port) = self.view.resolve(&canary.target) else {
            return Some(missing(&canary.of.backend));
        };
        let service = &port.state.id.service;
        let is_empty = port.upstreams().is_empty();
        is_empty.then(|| format!("Service {service} has no endpoint that may be asked"))
    }

    /// Whether the client stays where it was served before.
    fn returning(
        &self,
        canary: &Canary,
        checked: &Checked<'_>,
        fields: Fields<'_>,
    ) -> Option<String> {
        let host = route::find_host(&self.view.routes, &checked.host)?;
        let (target, policy, ..) = route::within(host, &checked.path)?;
        let Target::Port(port) = self.view.resolve(&canary.target) else { return None };
        let main = (policy.map(|policy| &**policy), &self.view.resolve(target));
        let whom = match stays(&canary.of, main, &port, fields)? {
            true => "the alternative",
            false => "the main backend",
        };
        Some(format!("affinity: by its cookie the client was served by {whom} before"))
    }
}

fn by_rule(rule: &CanaryRule, fields: Fields<'_>, is_taken: bool) -> String {
    let word = if is_taken { "always" } else { "never" };
    match (policy::canary_decides(rule, fields), &rule.header) {
        (CanaryDecides::Header(_), Some(header)) => {
            let name = &header.name;
            match &header.value {
                CanaryValue::Words => format!("canary-by-header: {name} says {word}"),
                CanaryValue::Equal(value) => format!("canary-by-header-value: {name} is {value}"),
                CanaryValue::Pattern(pattern) => {
                    format!("canary-by-header-pattern: {} is found in {name}", pattern.as_str())
                }
                CanaryValue::Broken => {
                    format!("canary-by-header-pattern: it is no pattern, and {name} is there")
                }
            }
        }
        (CanaryDecides::Cookie(_), _) => {
            let name = rule.cookie.as_deref().unwrap_or_default();
            format!("canary-by-cookie: {name} says {word}")
        }
        (CanaryDecides::Header(_) | CanaryDecides::Weight, _) => by_weight(rule, is_taken),
    }
}

fn by_weight(rule: &CanaryRule, is_taken: bool) -> String {
    let names = [
        rule.header.as_ref().map(|_| "canary-by-header"),
        rule.cookie.as_ref().map(|_| "canary-by-cookie"),
    ];
    let names: Vec<_> = names.into_iter().flatten().collect();
    let silent = match names[..] {
        [one, other] => Some(format!("neither {one} nor {other} decides")),
        [one] => Some(format!("{one} does not decide")),
        _ => None,
    };
    let (weight, total) = (rule.weight, rule.weight_total);
    match (weight, silent) {
        (0, None) => "canary-weight: none is set".to_owned(),
        (0, Some(silent)) => format!("{silent}, and canary-weight is 0"),
        (_, silent) => {
            let rest = silent.map_or_else(String::new, |silent| format!(", where {silent}"));
            match weight >= total {
                true => format!("canary-weight: all requests{rest}"),
                false => {
                    let ours = if is_taken { weight } else { total - weight };
                    format!(
                        "canary-weight: by chance {weight} of {total} requests{rest}; shown is one of \
                         the {ours}"
                    )
                }
            }
        }
    }
}
