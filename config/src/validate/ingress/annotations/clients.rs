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
            let asks = self.first(&[VERIFY]).filter(|_| wants.is_some());
            if asks.is_some() && self.first(&["auth-tls-secret"]).is_none() {
                self.close(VERIFY, "there is no `auth-tls-secret` that says who signs");
            }
            return None;
        };
        let ask = ClientAsk {
            secret,
            wants: wants.unwrap_or_default(),
            depth: self.value("auth-tls-verify-depth", depth).unwrap_or(1),
            subject: self.value("auth-tls-match-cn", Subject::parse),
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
