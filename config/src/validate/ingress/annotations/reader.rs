//! How one annotation is read: its name and standing, its value, and what is told of both.
//!
//! Invariant: a value that guards or routes and cannot be read closes the Ingress's locations. What
//! an annotation means is left to the file of its concern.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::snippet;
use super::values::boolean;
use super::{Finding, Named};
use crate::decode::distance;
use crate::diagnostic::Code;
use crate::model::annotation::{self, PREFIX, ROWS, Role, Row, Standing};

pub(super) struct Reader<'a> {
    pub(super) annotations: &'a BTreeMap<String, String>,
    /// Why nothing is served.
    pub(super) closed: Option<String>,
    pub(super) findings: Vec<Finding>,
    /// Findings beyond the most that are kept.
    pub(super) left_out: usize,
    /// Rows that are met.
    named: Vec<Named>,
    /// Names that something is found about, also where that is not kept.
    told: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(annotations: &'a BTreeMap<String, String>) -> Self {
        Self {
            annotations,
            closed: None,
            findings: Vec::new(),
            left_out: 0,
            named: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    /// The rows that are met and nothing is found about.
    pub(super) fn named(&self) -> Box<[Named]> {
        let quiet = |row: &&Named| !self.told.contains(row.name);
        self.named.iter().filter(quiet).copied().collect()
    }

    /// What the owner of the Ingress serves without (`portico.dev/accept-missing`).
    pub(super) fn accepted(&self) -> Vec<&'a str> {
        let list = self.annotations.get(ACCEPT_MISSING);
        list.into_iter()
            .flat_map(|list| list.split(',').map(str::trim))
            .collect()
    }

    /// Tells what an annotation leads to, as far as its name and standing say.
    pub(super) fn judge(&mut self, name: &str, value: &str, accepted: &[&str]) {
        let Some(row) = annotation::find(name) else {
            let nearest = ROWS
                .iter()
                .map(|row| (distance(name, row.name), row.name))
                .filter(|(distance, other)| *distance <= 1 + other.len() / 4)
                .min();
            let help = nearest.map(|(_, other)| format!("did you mean `{PREFIX}{other}`?"));
            let text = "is no annotation of ingress-nginx: it has no effect";
            return self.find(Code::UnknownIngressAnnotation, name, text, help);
        };
        let mut named = Named { name: row.name, differs: None };
        if says_nothing(row, value) {
            return self.named.push(named);
        }
        if let Standing::Differs(seen, how) = row.standing {
            named.differs = seen.by(value).then_some(how);
        }
        self.named.push(named);
        match row.standing {
            Standing::Supported | Standing::Differs(..) => {}
            Standing::Later => {
                let text = match row.default {
                    "" => "is not done yet: it has no effect".to_owned(),
                    default => format!("is not done yet: `{default}` counts"),
                };
                self.find(Code::AnnotationWithoutEffect, name, text, None);
            }
            Standing::Ignored(why) => {
                self.find(Code::AnnotationIgnored, name, format!("{NO_EFFECT}: {why}"), None);
            }
            Standing::Refused(why) => self.find(Code::AnnotationRefused, name, why, None),
            Standing::Closes(_)
                if MODSECURITY.contains(&name) && accepted.contains(&"modsecurity") =>
            {
                let text = "requests are served without, as `portico.dev/accept-missing` says";
                self.find(Code::AnnotationWithoutEffect, name, text, None);
            }
            Standing::Closes(why) => self.close(name, why),
            Standing::Lines => self.lines(name, value, accepted.contains(&"snippets")),
        }
    }

    /// Looks at each line of a snippet (`ingress 2.6`).
    fn lines(&mut self, name: &str, text: &str, accepted: bool) {
        for line in snippet::lines(text) {
            let said = format!("line {}, `{}`: snippets are not read", line.number, line.directive);
            let help = Some(format!("instead: {}", line.instead));
            let known = self.findings.len();
            match (accepted, line.guards) {
                (false, true) => self.close_with(name, format!("{said}, and it may guard"), help),
                (false, false) => {
                    let text = format!("{said}, it is dropped");
                    self.find(Code::AnnotationRefused, name, text, help);
                }
                (true, _) => {
                    let text =
                        format!("{said}, it is dropped, as `portico.dev/accept-missing` says");
                    self.find(Code::AnnotationWithoutEffect, name, text, help);
                }
            }
            if let Some(found) = self.findings.get_mut(known) {
                found.line = Some((line.number, line.directive));
            }
        }
    }

    /// The newest name of several that mean one thing, and its value.
    pub(super) fn first(&self, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
        names.iter().find_map(|name| {
            let value = self.annotations.get(&format!("{PREFIX}{name}"))?.trim();
            (!value.is_empty()).then_some((*name, value))
        })
    }

    /// The value of one annotation; where it cannot be read, none and a finding.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let (_, text) = self.first(&[name])?;
        match read(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                let row = annotation::find(name);
                match row.is_some_and(|row| row.role == Role::Tuning) {
                    true => {
                        let default = row.map_or("", |row| row.default);
                        let text = match default {
                            "" => format!("{fault}: it has no effect"),
                            default => format!("{fault}: `{default}` counts"),
                        };
                        self.find(Code::InvalidIngressAnnotation, name, text, None);
                    }
                    false => self.close(name, fault),
                }
                None
            }
        }
    }

    /// The same for an annotation of portico's own that tunes, by its whole key.
    pub(super) fn own_value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let text = self.annotations.get(key)?.trim();
        if text.is_empty() {
            return None;
        }
        match read(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                let text = format!("{fault}: the default counts");
                self.tell(Code::InvalidIngressAnnotation, key.to_owned(), text, None);
                None
            }
        }
    }

    pub(super) fn switch(&mut self, name: &'static str) -> Option<bool> {
        self.value(name, |text| boolean(text).ok_or("is neither `true` nor `false`"))
    }

    /// Whether the hosts of the Ingress are in nginx mode; it says where requests go.
    pub(super) fn quirks(&mut self) -> Option<bool> {
        let text = self.annotations.get(QUIRKS)?.trim();
        let asked = boolean(text);
        if asked.is_none() {
            self.close_own(QUIRKS, "is neither `true` nor `false`");
        }
        asked
    }

    /// A list of CIDRs and addresses; one that is none closes.
    pub(super) fn sources(&mut self, names: &[&'static str]) -> Box<[IpNet]> {
        let Some((name, list)) = self.first(names) else { return Box::default() };
        let entries = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let network = |entry: &str| {
            let address = || entry.parse::<IpAddr>().map(IpNet::from);
            entry.parse::<IpNet>().or_else(|_| address())
        };
        let sources: Result<Vec<IpNet>, _> = entries.take(MAX_ENTRIES + 1).map(network).collect();
        match sources {
            Ok(sources) if (1..=MAX_ENTRIES).contains(&sources.len()) => sources.into(),
            Ok(_) => {
                self.close(name, format!("must have 1 to {MAX_ENTRIES} entries"));
                Box::default()
            }
            Err(_) => {
                self.close(name, "an entry is neither a CIDR nor an IP address");
                Box::default()
            }
        }
    }

    pub(super) fn close(&mut self, name: &str, why: impl Into<String>) {
        self.close_with(name, why.into(), None);
    }

    /// The same for an annotation of portico's own, by its whole key.
    pub(super) fn close_own(&mut self, key: &str, why: &str) {
        let text = format!("{why}: its locations are closed, every request gets 503");
        self.closed
            .get_or_insert_with(|| format!("annotation {key}: {why}"));
        self.findings.push(Finding {
            code: Code::AnnotationCloses,
            key: key.to_owned(),
            text,
            help: None,
            line: None,
        });
    }

    fn close_with(&mut self, name: &str, why: String, help: Option<String>) {
        let text = format!("{why}: its locations are closed, every request gets 503");
        self.closed
            .get_or_insert_with(|| format!("annotation {PREFIX}{name}: {why}"));
        self.find(Code::AnnotationCloses, name, text, help);
    }

    pub(super) fn find(
        &mut self,
        code: Code,
        name: &str,
        text: impl Into<String>,
        help: Option<String>,
    ) {
        self.told.insert(name.to_owned());
        self.tell(code, format!("{PREFIX}{name}"), text.into(), help);
    }

    /// The same where nothing is found about the annotation yet.
    pub(super) fn find_first(&mut self, code: Code, name: &str, text: impl Into<String>) {
        if !self.told.contains(name) {
            self.find(code, name, text, None);
        }
    }

    /// Whether an annotation is there with a value that says something.
    pub(super) fn says(&self, name: &str) -> bool {
        let value = self.annotations.get(&format!("{PREFIX}{name}"));
        let value = value.filter(|value| !value.trim().is_empty());
        value.is_some_and(|value| {
            !annotation::find(name).is_some_and(|row| says_nothing(row, value))
        })
    }

    fn tell(&mut self, code: Code, key: String, text: String, help: Option<String>) {
        if self.findings.len() >= MAX_FINDINGS {
            self.left_out += 1;
            return;
        }
        self.findings
            .push(Finding { code, key, text, help, line: None });
    }
}

/// Whether a value is what counts without it.
fn says_nothing(row: &Row, value: &str) -> bool {
    let value = value.trim();
    let same = boolean(row.default).is_some_and(|default| boolean(value) == Some(default));
    !row.default.is_empty() && (same || value.eq_ignore_ascii_case(row.default))
}

const MODSECURITY: [&str; 2] = ["enable-modsecurity", "enable-owasp-core-rules"];
const NO_EFFECT: &str = "has no effect";
pub(crate) const QUIRKS: &str = "portico.dev/nginx-quirks";
pub(super) const ACCEPT_MISSING: &str = "portico.dev/accept-missing";
/// `ingress 6.9`.
const MAX_ENTRIES: usize = 1_000;
/// Of one Ingress.
pub(super) const MAX_FINDINGS: usize = 200;
