//! `$1` to `$9` that nothing fills: an annotation names more groups than the path of its location has
//! (`ingress 2.4`: rewrite-target).
//!
//! Pure, and decides nothing: such a capture is empty, here as in ingress-nginx. Who wrote it expected
//! something in its place, and is told, once for each path.

use super::finding;
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{Part, Policy, Template, Variable, literal};
use crate::validate::InUse;

/// What is to be told of one path; `groups`: how many its pattern has, none where it is no pattern.
pub(super) fn unfilled(
    object: &InUse,
    policy: &Policy,
    (path, groups): (&str, Option<usize>),
    field: &FieldPath,
) -> Option<Diagnostic> {
    let moved = policy.redirect.as_ref().map(|it| &it.location);
    let named = [
        ("rewrite-target", policy.rewrite.as_ref().or(moved)),
        ("x-forwarded-prefix", policy.forwarded_prefix.as_ref()),
    ];
    let (name, lacking) = named.into_iter().find_map(|(name, template)| {
        let lacking = beyond(template?, groups.unwrap_or_default());
        (!lacking.is_empty()).then_some((name, lacking))
    })?;
    let has = match groups {
        None => "is no pattern".to_owned(),
        Some(0) => "has no group".to_owned(),
        Some(1) => "has one group".to_owned(),
        Some(many) => format!("has {many} groups"),
    };
    let numbers: Vec<String> = lacking.iter().map(|it| format!("`${it}`")).collect();
    let numbers = numbers.join(", ");
    let text = format!("`{name}` names {numbers}, and this path {has}: nothing stands there");
    let mut help = "each `(…)` in a path of type ImplementationSpecific is a group".to_owned();
    if lacking.last().is_some_and(|&last| last <= EXAMPLE_GROUPS) {
        help += &format!(": {}(/|$)(.*) has two", literal(path).trim_end_matches('/'));
    }
    let place = FieldPath::from("metadata.annotations").key(&format!("{PREFIX}{name}"));
    let told = finding(Code::AnnotationWithoutEffect, object, field.key("path"), text);
    Some(
        told.help(help)
            .related(&object.origin, &place, "it is named here"),
    )
}

/// The captures of a template beyond so many groups, each once, in order.
fn beyond(template: &Template, groups: usize) -> Vec<u8> {
    let captures = template.parts().iter().filter_map(|part| match part {
        Part::Variable(Variable::Capture(number)) => Some(*number),
        Part::Variable(_) | Part::Text(_) => None,
    });
    let mut lacking: Vec<u8> = captures
        .filter(|&number| usize::from(number) > groups)
        .collect();
    lacking.sort_unstable();
    lacking.dedup();
    lacking
}

/// Of the pattern that is shown.
const EXAMPLE_GROUPS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_group_fills_is_each_capture_beyond_the_last() {
        for (target, groups, want) in [
            ("/$1", 1, &[][..]),
            ("/$2", 1, &[2]),
            ("/$2/$1/${2}$9", 1, &[2, 9]),
            ("/$1", 0, &[1]),
            ("/x", 0, &[]),
        ] {
            let template = Template::parse(target, &[Variable::Capture(1)]).unwrap();
            assert_eq!(beyond(&template, groups), want, "ingress 2.4: {target} {groups}");
        }
    }
}
