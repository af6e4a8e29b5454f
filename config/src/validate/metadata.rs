//! What every object has: name, namespace, labels, annotations, age (`services 3`).

use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Check, names};
use crate::api::Object;
use crate::api::meta::ObjectMeta;
use crate::diagnostic::Code;
use crate::location::FieldPath;

/// Checks the metadata; returns the time of creation as sortable text.
pub(super) fn metadata(object: &Object, check: &mut Check<'_>) -> Option<Arc<str>> {
    let metadata = object.metadata();
    let root = FieldPath::from("metadata");
    name(object, &root.key("name"), check);
    namespace(object, &root.key("namespace"), check);
    for (key, value) in &metadata.labels {
        label(Code::InvalidLabel, &root.key("labels").key(key), (key, value), check);
    }
    annotations(metadata, &root.key("annotations"), check);
    created(metadata, &root.key("creationTimestamp"), check)
}

fn name(object: &Object, field: &FieldPath, check: &mut Check<'_>) {
    let name = &object.metadata().name;
    let grammar = match object {
        Object::Service(_) | Object::Namespace(_) => names::label,
        _ => names::subdomain,
    };
    if let Err(fault) = grammar(name) {
        match grammar(&name.to_ascii_lowercase()) {
            Ok(()) => check.advise(
                Code::InvalidName,
                field,
                super::check::invalid(name, fault),
                format!("write {}", name.to_ascii_lowercase()),
            ),
            Err(_) => check.invalid(Code::InvalidName, field, name, fault),
        }
    } else if matches!(object, Object::Service(_)) && name.starts_with(|c: char| c.is_ascii_digit())
    {
        // RFC 1035 wants a letter first; RelaxedServiceNameValidation lets RFC 1123 do.
        let text = "begins with a digit: an API server before Kubernetes 1.36 refuses it";
        check.report(Code::RelaxedName, field, text);
    }
}

fn namespace(object: &Object, field: &FieldPath, check: &mut Check<'_>) {
    let namespace = object.metadata().namespace.as_deref().unwrap_or_default();
    if namespace.is_empty() {
        return;
    }
    if object.is_cluster_scoped() {
        let text = "is ignored: this kind lives outside namespaces";
        check.report(Code::NamespaceIgnored, field, text);
    } else {
        check.name(field, namespace, names::label);
    }
}

/// One label, or one pair of a selector.
pub(super) fn label(
    code: Code,
    field: &FieldPath,
    (key, value): (&str, &str),
    check: &mut Check<'_>,
) {
    if let Err(fault) = names::qualified(key) {
        check.invalid(code, field, key, fault);
    }
    if let Err(fault) = names::label_value(value) {
        check.invalid(code, field, value, fault);
    }
}

fn annotations(metadata: &ObjectMeta, field: &FieldPath, check: &mut Check<'_>) {
    let mut bytes = 0;
    for (key, value) in &metadata.annotations {
        bytes += key.len() + value.len();
        // Upper case is allowed in the prefix, unlike in a label's.
        if let Err(fault) = names::qualified(&key.to_ascii_lowercase()) {
            check.invalid(Code::InvalidAnnotation, &field.key(key), key, fault);
        }
    }
    if bytes > MAX_ANNOTATION_BYTES {
        check.too_long(field, MAX_ANNOTATION_BYTES);
    }
}

fn created(metadata: &ObjectMeta, field: &FieldPath, check: &mut Check<'_>) -> Option<Arc<str>> {
    for (field, text) in [
        (field, &metadata.creation_timestamp),
        (&FieldPath::from("metadata.deletionTimestamp"), &metadata.deletion_timestamp),
    ] {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty())
            && OffsetDateTime::parse(text, &Rfc3339).is_err()
        {
            let fault = "must be a time such as 2026-01-31T12:00:00Z";
            check.invalid(Code::InvalidTime, field, text, fault);
        }
    }
    let text = metadata.creation_timestamp.as_deref()?;
    let utc = OffsetDateTime::parse(text, &Rfc3339)
        .ok()?
        .checked_to_offset(time::UtcOffset::UTC)?;
    let (date, clock) = (utc.date(), utc.time());
    let text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    Some(text.into())
}

/// Keys and values of all annotations of an object together (`reliability 4`).
const MAX_ANNOTATION_BYTES: usize = 256 << 10;
