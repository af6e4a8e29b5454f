//! Who answers in the place of errors: `default-backend`, `custom-http-errors`,
//! `disable-proxy-intercept-errors` (`ingress 2.4`, `2.5`).
//!
//! Tuning, but for a Service of another namespace, which closes (`ingress 2.1`).

use std::sync::Arc;

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::ObjectName;
use crate::validate::names;

/// What annotations ask of answers that are errors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorsAsk {
    /// `default-backend`: a Service of the Ingress's namespace; none: that of settings, for `statuses` alone.
    pub(crate) service: Option<Arc<str>>,
    /// `custom-http-errors`.
    pub(crate) statuses: Box<[u16]>,
    /// `disable-proxy-intercept-errors`.
    pub(crate) own_alone: bool,
}

impl Reader<'_> {
    /// What the Ingress `name` asks, if it names a Service to ask.
    pub(super) fn errors(&mut self, name: &ObjectName) -> Option<ErrorsAsk> {
        let statuses = self.value("custom-http-errors", statuses);
        let own_alone = self.switch("disable-proxy-intercept-errors");
        let service = self.value("default-backend", service);
        if let Some((Some(namespace), _)) = &service
            && **namespace != *name.namespace
        {
            self.close("default-backend", "names a Service of another namespace");
            return None;
        }
        let statuses = statuses.unwrap_or_default();
        if statuses.is_empty() && own_alone == Some(true) {
            let text = "has no effect without `custom-http-errors`";
            self.find(Code::AnnotationWithoutEffect, "disable-proxy-intercept-errors", text, None);
        }
        let is_broken = service.is_none() && self.first(&["default-backend"]).is_some();
        if is_broken || (service.is_none() && statuses.is_empty()) {
            return None;
        }
        let service = service.map(|(_, service)| service);
        Some(ErrorsAsk { service, statuses, own_alone: own_alone.unwrap_or_default() })
    }
}

/// A list of statuses from 400 to 599.
fn statuses(text: &str) -> Result<Box<[u16]>, &'static str> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let status = |word: &str| {
        let status = word.parse::<u16>().ok();
        status.filter(|status| (400..=599).contains(status))
    };
    let statuses: Option<Vec<_>> = words.map(status).collect();
    let mut statuses = statuses.ok_or("holds something that is no status from 400 to 599")?;
    statuses.sort_unstable();
    statuses.dedup();
    Ok(statuses.into())
}

/// A Service, with or without its namespace.
fn service(text: &str) -> Result<(Option<Box<str>>, Arc<str>), &'static str> {
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    let is_name = |name: &str| names::label(name).is_ok();
    match is_name(name) && namespace.is_none_or(is_name) {
        true => Ok((namespace.map(Into::into), name.into())),
        false => Err("is no name of a Service"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn errors_are_another_services_where_one_is_named() {
        let read = of(&[
            ("default-backend", "default/errors"),
            ("custom-http-errors", "503, 404,404"),
            ("disable-proxy-intercept-errors", "true"),
        ]);
        assert_eq!(read.findings, []);
        let statuses = Box::new([404, 503]);
        let want = ErrorsAsk { service: Some("errors".into()), statuses, own_alone: true };
        assert_eq!(read.errors, Some(want), "ingress 2.4, 2.5");
        let by_settings = of(&[("custom-http-errors", "404")]);
        assert_eq!(by_settings.findings, [], "settings may name a Service");
        assert_eq!(by_settings.errors.unwrap().service, None, "ingress 2.4");
        assert!(
            of(&[("default-backend", "errors")])
                .errors
                .unwrap()
                .statuses
                .is_empty()
        );
    }

    #[test]
    fn what_cannot_be_obeyed_is_told() {
        for (name, value, code) in [
            ("custom-http-errors", "200", Code::InvalidIngressAnnotation),
            ("custom-http-errors", "4xx", Code::InvalidIngressAnnotation),
            ("disable-proxy-intercept-errors", "true", Code::AnnotationWithoutEffect),
            ("default-backend", "http://errors", Code::InvalidIngressAnnotation),
            ("default-backend", "other/errors", Code::AnnotationCloses),
        ] {
            let read = of(&[(name, value)]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, [code], "ingress 2.1: {name}: {value}");
            assert_eq!(read.errors, None, "{name}: {value}");
        }
    }
}
