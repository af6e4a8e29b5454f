//! Collects what is wrong with one object, in the words of the API server.
//!
//! Invariants: a finding names the field as the API server does, and points to where the manifest
//! wrote it; at most [`MAX_FINDINGS`] are kept, but an error refuses the object whether kept or not.
//! Which rules there are is each kind's matter.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{address, names};
use crate::decode::distance;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::location::{FieldPath, Origin};
use crate::model::{ObjectRef, Protocol};

/// What was found in one object so far.
pub(super) struct Check<'a> {
    object: ObjectRef,
    origin: &'a Origin,
    diagnostics: Vec<Diagnostic>,
    refused: bool,
    left_out: usize,
}

impl<'a> Check<'a> {
    pub(super) fn new(object: ObjectRef, origin: &'a Origin) -> Self {
        Self { object, origin, diagnostics: Vec::new(), refused: false, left_out: 0 }
    }

    /// Whether nothing refuses the object, and everything found.
    pub(super) fn finish(mut self) -> (bool, Vec<Diagnostic>) {
        if self.left_out > 0 {
            let text = format!("{} more findings are not listed", self.left_out);
            let found = Diagnostic::new(Code::MoreFindings, text)
                .object(self.object)
                .at(self.origin, FieldPath::default());
            self.diagnostics.push(found);
        }
        (!self.refused, self.diagnostics)
    }

    /// Notes what is wrong with `field`; an error refuses the object.
    pub(super) fn report(&mut self, code: Code, field: &FieldPath, message: impl Into<String>) {
        self.find(code, field, field, message.into(), None);
    }

    /// The same, and the way out.
    pub(super) fn advise(
        &mut self,
        code: Code,
        field: &FieldPath,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.find(code, field, field, message.into(), Some(help.into()));
    }

    /// The same for a field that the API server calls otherwise than the manifest: `field` is
    /// named, `written` is pointed at.
    pub(super) fn report_as(
        &mut self,
        code: Code,
        field: &FieldPath,
        written: &FieldPath,
        message: impl Into<String>,
    ) {
        self.find(code, field, written, message.into(), None);
    }

    fn find(
        &mut self,
        code: Code,
        field: &FieldPath,
        written: &FieldPath,
        message: String,
        help: Option<String>,
    ) {
        self.refused |= code.severity() == Severity::Error;
        if self.diagnostics.len() >= MAX_FINDINGS {
            self.left_out += 1;
            return;
        }
        let mut found = Diagnostic::new(code, message)
            .object(self.object.clone())
            .at(self.origin, written.clone());
        found.field = Some(field.clone());
        found.help = help;
        self.diagnostics.push(found);
    }

    /// A value that must be there is not.
    pub(super) fn required(&mut self, field: &FieldPath) {
        self.report(Code::Required, field, "required value");
    }

    /// A value stands where it must be the only one of its kind.
    pub(super) fn duplicate(&mut self, field: &FieldPath, value: impl fmt::Debug) {
        self.report(Code::Duplicate, field, format!("duplicate value: {value:?}"));
    }

    /// A value breaks a grammar; `fault` says which.
    pub(super) fn invalid(
        &mut self,
        code: Code,
        field: &FieldPath,
        value: &str,
        fault: impl fmt::Display,
    ) {
        self.report(code, field, invalid(value, fault));
    }

    /// A list is longer than the API allows.
    pub(super) fn too_many(&mut self, field: &FieldPath, found: usize, limit: usize) {
        let text = format!("too many: {found}: must have at most {limit} items");
        self.report(Code::TooMany, field, text);
    }

    /// A text or all texts together are longer than the API allows.
    pub(super) fn too_long(&mut self, field: &FieldPath, limit_bytes: usize) {
        let text = format!("too long: may not be more than {limit_bytes} bytes");
        self.report(Code::TooLong, field, text);
    }

    /// The one of `supported` that `value` is; absent and empty are none. Case matters.
    pub(super) fn choice<T: Copy>(
        &mut self,
        field: &FieldPath,
        value: Option<&str>,
        supported: &[(&str, T)],
    ) -> Option<T> {
        let value = value.filter(|value| !value.is_empty())?;
        let found = supported.iter().find(|(name, _)| *name == value);
        if found.is_none() {
            let names: Vec<_> = supported.iter().map(|(name, _)| *name).collect();
            self.unsupported(field, value, &names);
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A word that does not exist; the nearest that does is proposed.
    pub(super) fn unsupported(&mut self, field: &FieldPath, value: &str, supported: &[&str]) {
        let quoted: Vec<_> = supported.iter().map(|value| format!("{value:?}")).collect();
        let text = format!(
            "unsupported value: {:?}: supported values: {}",
            clipped(value),
            quoted.join(", ")
        );
        let help = nearest(value, supported).map(|near| format!("did you mean {near:?}?"));
        self.find(Code::Unsupported, field, field, text, help);
    }

    /// A port number in `1..=65535`; 0 with an error for anything else.
    pub(super) fn port(&mut self, field: &FieldPath, value: i64) -> u16 {
        match u16::try_from(value) {
            Ok(port @ 1..) => port,
            _ => {
                let text = "must be between 1 and 65535, inclusive";
                self.report(Code::InvalidPort, field, format!("invalid value: {value}: {text}"));
                0
            }
        }
    }

    /// `TCP`, `UDP` or `SCTP`, case-sensitive; absent: TCP.
    pub(super) fn protocol(&mut self, field: &FieldPath, value: Option<&str>) -> Protocol {
        let supported = [("SCTP", Protocol::Sctp), ("TCP", Protocol::Tcp), ("UDP", Protocol::Udp)];
        self.choice(field, value, &supported)
            .unwrap_or(Protocol::Tcp)
    }

    /// A name by its grammar; empty: not judged.
    pub(super) fn name(
        &mut self,
        field: &FieldPath,
        value: &str,
        grammar: fn(&str) -> Result<(), &'static str>,
    ) {
        if let Err(fault) = grammar(value)
            && !value.is_empty()
        {
            self.invalid(Code::InvalidName, field, value, fault);
        }
    }

    /// A qualified name, such as an `appProtocol`; empty is none.
    pub(super) fn qualified(
        &mut self,
        field: &FieldPath,
        value: Option<&str>,
    ) -> Option<std::sync::Arc<str>> {
        let value = value.filter(|value| !value.is_empty())?;
        if let Err(fault) = names::qualified(value) {
            self.invalid(Code::InvalidQualifiedName, field, value, fault);
        }
        Some(value.into())
    }

    /// An IP address as stored objects have them (`services 1.6`): a sloppy one is used, with a
    /// warning that says how to write it.
    pub(super) fn address(&mut self, field: &FieldPath, value: &str) -> Option<IpAddr> {
        self.address_as(field, field, value)
    }

    /// [`Self::address`] of a field that the API server calls otherwise than the manifest.
    pub(super) fn address_as(
        &mut self,
        field: &FieldPath,
        written: &FieldPath,
        value: &str,
    ) -> Option<IpAddr> {
        let Some(parsed) = address::parse(value) else {
            let fault = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            self.report_as(Code::InvalidAddress, field, written, invalid(value, fault));
            return None;
        };
        if let Some(fault) = parsed.sloppy {
            let help = Some(format!("write {}", parsed.value));
            self.find(Code::Sloppy, field, written, invalid(value, fault), help);
        }
        Some(parsed.value)
    }

    /// A CIDR; blanks around it and bits beyond the prefix are taken away.
    pub(super) fn cidr(
        &mut self,
        field: &FieldPath,
        written: &FieldPath,
        value: &str,
    ) -> Option<IpNet> {
        let value = value.trim();
        let Some(parsed) = address::parse_cidr(value) else {
            let fault = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            self.report_as(Code::InvalidCidr, field, written, invalid(value, fault));
            return None;
        };
        if let Some(fault) = parsed.sloppy {
            let help = Some(format!("write {}", parsed.value));
            self.find(Code::Sloppy, field, written, invalid(value, fault), help);
        }
        Some(parsed.value)
    }

    /// Whether a Service or an endpoint may have an address (`services 3`); `loopback` says
    /// whether this host's own are allowed.
    pub(super) fn usable(&mut self, field: &FieldPath, address: IpAddr, loopback: bool) -> bool {
        let fault = address::special(address, loopback);
        if let Some(fault) = &fault {
            self.report(Code::SpecialAddress, field, invalid(&address.to_string(), fault));
        }
        fault.is_none()
    }
}

/// `invalid value: "x": why`, as the API server says it.
pub(super) fn invalid(value: &str, fault: impl fmt::Display) -> String {
    format!("invalid value: {:?}: {fault}", clipped(value))
}

/// A value as messages show it: a megabyte of text helps nobody.
fn clipped(value: &str) -> String {
    match value.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// The supported word that was probably meant.
fn nearest<'a>(value: &str, supported: &[&'a str]) -> Option<&'a str> {
    let lower = value.to_ascii_lowercase();
    supported
        .iter()
        .map(|word| (distance(&lower, &word.to_ascii_lowercase()), *word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min()
        .map(|(_, word)| word)
}

/// Findings kept of one object: each costs a look through the document for its place.
const MAX_FINDINGS: usize = 100;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 120;

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_proposed() {
        let affinities = ["ClientIP", "None"];
        for (value, supported, want) in [
            ("clientip", &affinities[..], Some("ClientIP")),
            ("ClientIp", &affinities, Some("ClientIP")),
            ("none", &affinities, Some("None")),
            ("sticky", &affinities, None),
            ("tcp", &["SCTP", "TCP", "UDP"], Some("TCP")),
            ("Nodeport", &["ClusterIP", "NodePort"], Some("NodePort")),
        ] {
            assert_eq!(nearest(value, supported), want, "{value}");
        }
    }
}
