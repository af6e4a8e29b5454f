//! Certificates of clients: `auth-tls-*` (`ingress 2.4`, `2.5`), and `ssl-passthrough`.
//!
//! They count for whole hosts; names of Secrets are looked up by `compile`.

use std::sync::Arc;

use super::backends::{depth, secret};
use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::{Subject, Wants};

/// What annotations ask of clients' certificates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientAsk {
    /// `auth-tls-secret`: namespace, where one is written, and name.
    pub(crate) secret: (Option<Arc<str>>, Arc<str>),
    /// `auth-tls-verify-client`.
    pub(crate) wants: Wants,
    /// `auth-tls-verify-depth`.
    pub(crate) depth: u8,
    /// `auth-tls-match-cn`.
    pub(crate) subject: Option<Subject>,
    /// `auth-tls-error-page`.
    pub(crate) error_page: Option<Box<str>>,
    /// `auth-tls-pass-certificate-to-upstream`.
    pub(crate) passes_on: bool,
}

impl Reader<'_> {
    pub(super) fn clients(&mut self) -> Option<ClientAsk> {
        let wants = self.wants();
        let Some(secret) = self.value("auth-tls-secret", secret) else {
            let guards = self.first(&[VERIFY, SUBJECT]).filter(|_| wants.is_some());
            if let Some((name, _)) = guards
                && self.first(&["auth-tls-secret"]).is_none()
            {
                self.close(name, "there is no `auth-tls-secret` that says who signs");
            }
            return None;
        };
        let ask = ClientAsk {
            secret,
            wants: wants.unwrap_or_default(),
            depth: self.value("auth-tls-verify-depth", depth).unwrap_or(1),
            subject: self.value(SUBJECT, Subject::parse),
            error_page: self.value("auth-tls-error-page", page),
            passes_on: self
                .switch("auth-tls-pass-certificate-to-upstream")
                .unwrap_or_default(),
        };
        wants.map(|_| ask)
    }

    /// Who is let in; none: everybody, and nobody is asked for a certificate.
    fn wants(&mut self) -> Option<Wants> {
        let Some((name, text)) = self.first(&[VERIFY]) else { return Some(Wants::Required) };
        match text {
            "on" => {}
            "off" => return None,
            "optional" => return Some(Wants::Optional),
            "optional_no_ca" => return Some(Wants::Unverified),
            _ => {
                let text = "is none of `on`, `off`, `optional` and `optional_no_ca`: `on` counts";
                self.find(Code::InvalidIngressAnnotation, name, text, None);
            }
        }
        Some(Wants::Required)
    }
}

fn page(text: &str) -> Result<Box<str>, &'static str> {
    let starts = ["http://", "https://"]
        .iter()
        .find_map(|start| text.strip_prefix(start));
    let is_url = starts.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'$');
    (is_url && is_plain)
        .then(|| text.into())
        .ok_or("is no http(s) URL")
}

const VERIFY: &str = "auth-tls-verify-client";
const SUBJECT: &str = "auth-tls-match-cn";

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn who_is_let_in_is_one_of_four_and_on_counts_else() {
        let ask = |pairs: &[(&str, &str)]| {
            of(&[&[("auth-tls-secret", "signers")], pairs].concat()).clients
        };
        for (text, want) in [
            ("on", Some(Wants::Required)),
            ("off", None),
            ("optional", Some(Wants::Optional)),
            ("optional_no_ca", Some(Wants::Unverified)),
            ("perhaps", Some(Wants::Required)),
        ] {
            let got = ask(&[(VERIFY, text)]).map(|it| it.wants);
            assert_eq!(got, want, "ingress 2.4: auth-tls-verify-client: {text}");
        }
        let plain = ask(&[]).unwrap();
        assert_eq!((plain.wants, plain.depth, plain.passes_on), (Wants::Required, 1, false));
        assert_eq!(plain.secret, (None, "signers".into()), "ingress 2.4: auth-tls-secret");
        for (text, want) in [("0", 0), ("3", 3), ("7", 1), ("many", 1)] {
            let depth = ask(&[("auth-tls-verify-depth", text)]).unwrap().depth;
            assert_eq!(depth, want, "ingress 2.4: auth-tls-verify-depth: {text}");
        }
        for (text, want) in [
            ("https://help.test/why", true),
            ("/why", false),
            ("https:///why", false),
            ("https://help.test/$uri", false),
            ("https://help.test/\r\nX: y", false),
        ] {
            let page = ask(&[("auth-tls-error-page", text)]).unwrap().error_page;
            assert_eq!(page.is_some(), want, "ingress 2.5: auth-tls-error-page: {text}");
        }
    }

    #[test]
    fn what_is_asked_of_certificates_that_nobody_signs_closes() {
        for (name, value, is_open) in [
            (VERIFY, "on", false),
            (VERIFY, "optional", false),
            (VERIFY, "off", true),
            (SUBJECT, "CN=app", false),
            (SUBJECT, "CN=a#(\n){}\n}}\nssl_engine evil;\n", false),
        ] {
            let read = of(&[(name, value)]);
            assert_eq!(read.policy.closed.is_none(), is_open, "ingress 2.1: {name}: {value}");
        }
        let read = of(&[(VERIFY, "off"), (SUBJECT, "CN=app")]);
        assert_eq!(read.policy.closed, None, "nobody is asked for one");
    }
}
