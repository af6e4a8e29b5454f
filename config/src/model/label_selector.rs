//! Which objects are meant, by their labels: `app=web,tier in (a, b),!internal`.
//!
//! Pure. The grammar is that of `kubectl -l`; what is written is compared as it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Requirements that labels meet all together; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LabelSelector(Vec<Requirement>);

/// What is asked of one label.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Requirement {
    /// It is there.
    Exists(Arc<str>),
    /// It is not there.
    Absent(Arc<str>),
    /// It has one of these values.
    In(Arc<str>, Vec<Arc<str>>),
    /// It has none of them, or is not there.
    NotIn(Arc<str>, Vec<Arc<str>>),
}

impl LabelSelector {
    /// Whether an object with these labels is meant.
    pub fn selects(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> bool {
        let has = |key: &Arc<str>, values: &[Arc<str>]| {
            let value = labels.get(key);
            value.is_some_and(|value| values.contains(value))
        };
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
            Requirement::In(key, values) => has(key, values),
            Requirement::NotIn(key, values) => !has(key, values),
        })
    }
}

impl FromStr for LabelSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        let mut rest = text;
        loop {
            let end = end_of_first(rest);
            let (first, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
            requirements.push(requirement(first.trim())?);
            match behind.strip_prefix(',') {
                Some(more) => rest = more,
                None => return Ok(Self(requirements)),
            }
        }
    }
}

/// Where the first requirement ends: at a comma outside of brackets.
fn end_of_first(text: &str) -> usize {
    let mut is_inside = false;
    let comma = text.char_indices().find(|(_, letter)| {
        is_inside = match letter {
            '(' => true,
            ')' => false,
            _ => is_inside,
        };
        *letter == ',' && !is_inside
    });
    comma.map_or(text.len(), |(at, _)| at)
}

fn requirement(text: &str) -> Result<Requirement, String> {
    if let Some(key_of) = text.strip_prefix('!') {
        return Ok(Requirement::Absent(key(key_of)?));
    }
    // `!=` before `=`, which is part of it.
    if let Some((of, wanted)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(key(of)?, vec![value(wanted)?]));
    }
    if let Some((of, wanted)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(key(of)?, vec![value(wanted)?]));
    }
    let Some((of, rest)) = text.split_once(char::is_whitespace) else {
        return Ok(Requirement::Exists(key(text)?));
    };
    let rest = rest.trim_start();
    let (is_in, values) = match (rest.strip_prefix("notin"), rest.strip_prefix("in")) {
        (Some(values), _) => (false, values),
        (None, Some(values)) => (true, values),
        (None, None) => return Err(format!("`{text}`: {EXPECTED}")),
    };
    let values = values.trim().strip_prefix('(');
    let values = values.and_then(|values| values.strip_suffix(')'));
    let values = values.ok_or_else(|| format!("`{text}`: {EXPECTED}"))?;
    let values: Result<Vec<_>, _> = values.split(',').map(value).collect();
    Ok(match is_in {
        true => Requirement::In(key(of)?, values?),
        false => Requirement::NotIn(key(of)?, values?),
    })
}

fn key(text: &str) -> Result<Arc<str>, String> {
    let text = text.trim();
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"._-/".contains(&octet);
    match !text.is_empty() && text.len() <= MAX_KEY && text.bytes().all(is_plain) {
        true => Ok(text.into()),
        false => Err(format!("`{text}` is no label's name: {EXPECTED}")),
    }
}

/// One value, which may be empty.
fn value(text: &str) -> Result<Arc<str>, String> {
    let text = text.trim();
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"._-".contains(&octet);
    match text.len() <= MAX_VALUE && text.bytes().all(is_plain) {
        true => Ok(text.into()),
        false => Err(format!("`{text}` is no label's value: {EXPECTED}")),
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::Absent(key) => write!(f, "!{key}")?,
                Requirement::In(key, values) => match values.as_slice() {
                    [value] => write!(f, "{key}={value}")?,
                    values => write!(f, "{key} in ({})", values.join(","))?,
                },
                Requirement::NotIn(key, values) => match values.as_slice() {
                    [value] => write!(f, "{key}!={value}")?,
                    values => write!(f, "{key} notin ({})", values.join(","))?,
                },
            }
        }
        Ok(())
    }
}

const EXPECTED: &str = "expected a selector such as `app=web,tier in (front, back),!internal`";
/// A prefix, a slash, a name.
const MAX_KEY: usize = 253 + 1 + 63;
const MAX_VALUE: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_selected_as_kubectl_does_it() {
        let labels = [("app", "web"), ("tier", "front"), ("example.com/team", "")];
        let labels = labels
            .map(|(key, value)| (Arc::from(key), Arc::from(value)))
            .into();
        for (text, want) in [
            ("app=web", true),
            ("app==web", true),
            ("app = other", false),
            ("app!=web", false),
            ("app!=other", true),
            ("nothing!=other", true),
            ("app", true),
            ("nothing", false),
            ("!app", false),
            ("!nothing", true),
            ("app in (web, api)", true),
            ("app in (api)", false),
            ("app notin (api,other)", true),
            ("app notin (web)", false),
            ("nothing notin (web)", true),
            ("app in (web,api),tier=front,!nothing", true),
            ("app in (web,api),tier=back", false),
            ("example.com/team=", true),
            ("example.com/team", true),
        ] {
            let selector: LabelSelector = text.parse().unwrap();
            assert_eq!(selector.selects(&labels), want, "dns 1.2: {text}");
            let again: LabelSelector = selector.to_string().parse().unwrap();
            assert_eq!(again, selector, "{text} is {selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_with_the_way_out() {
        for (text, want) in [
            ("", "is no label's name"),
            ("app=web,", "is no label's name"),
            ("app=a b", "`a b` is no label's value"),
            ("app in web", "`app in web`: expected"),
            ("app in (web", "expected a selector"),
            ("app of (web)", "expected a selector"),
            ("=web", "is no label's name"),
            ("ä", "is no label's name"),
            ("!", "is no label's name"),
        ] {
            let error = text.parse::<LabelSelector>().unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
