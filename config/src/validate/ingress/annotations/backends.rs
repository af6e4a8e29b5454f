//! How backends are spoken to: `backend-protocol` and `proxy-ssl-*` (`ingress 2.4`).
//!
//! A guard that cannot be read closes; names of Secrets are looked up by `compile`.

use std::sync::Arc;

use rustls::CipherSuite;
use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::{Template, TlsVersions, Variable};

/// What annotations ask of connections to backends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BackendAsk {
    /// None: the Service's `appProtocol` decides.
    pub(crate) protocol: Option<BackendProtocol>,
    /// `proxy-ssl-secret`: namespace, where one is written, and name.
    pub(crate) secret: Option<(Option<Arc<str>>, Arc<str>)>,
    /// `proxy-ssl-verify`.
    pub(crate) verify: bool,
    /// `proxy-ssl-verify-depth`.
    pub(crate) depth: u8,
    /// `proxy-ssl-name`.
    pub(crate) name: Option<Template>,
    /// `proxy-ssl-server-name`.
    pub(crate) sends_name: bool,
    /// `proxy-ssl-protocols`.
    pub(crate) versions: TlsVersions,
    /// `proxy-ssl-ciphers`.
    pub(crate) suites: Box<[CipherSuite]>,
}

/// `backend-protocol`, as far as it is spoken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum BackendProtocol {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
    /// As the client came.
    Auto,
    /// By HTTP/2 in the clear.
    Grpc,
    /// By HTTP/2 over TLS.
    Grpcs,
}

impl BackendProtocol {
    /// Whether HTTP/2 is spoken.
    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }

    /// Whether TLS is, to some clients at least.
    pub(crate) fn is_secured(self) -> bool {
        matches!(self, Self::Https | Self::Auto | Self::Grpcs)
    }
}

impl Reader<'_> {
    pub(super) fn backend(&mut self) -> BackendAsk {
        BackendAsk {
            protocol: self.backend_protocol(),
            secret: self.value("proxy-ssl-secret", secret),
            verify: self
                .value("proxy-ssl-verify", on_or_off)
                .unwrap_or_default(),
            depth: self.value("proxy-ssl-verify-depth", depth).unwrap_or(1),
            name: self.value("proxy-ssl-name", name),
            sends_name: self
                .value("proxy-ssl-server-name", on_or_off)
                .unwrap_or_default(),
            versions: self
                .value("proxy-ssl-protocols", versions)
                .unwrap_or_default(),
            suites: self.value("proxy-ssl-ciphers", suites).unwrap_or_default(),
        }
    }

    fn backend_protocol(&mut self) -> Option<BackendProtocol> {
        let (name, text) = self.first(&["backend-protocol"])?;
        match &*text.to_ascii_uppercase() {
            "HTTP" => return Some(BackendProtocol::Http),
            "HTTPS" => return Some(BackendProtocol::Https),
            "AUTO_HTTP" => return Some(BackendProtocol::Auto),
            "GRPC" => return Some(BackendProtocol::Grpc),
            "GRPCS" => return Some(BackendProtocol::Grpcs),
            "FCGI" => self.close(name, "backends are spoken to by HTTP"),
            _ => {
                let text = "is no known protocol: `HTTP` counts";
                self.find(Code::InvalidIngressAnnotation, name, text, None);
            }
        }
        Some(BackendProtocol::Http)
    }
}

/// A Secret, with or without its namespace.
pub(super) fn secret(text: &str) -> Result<(Option<Arc<str>>, Arc<str>), &'static str> {
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    let is_name = |name: &str| crate::validate::names::subdomain(name).is_ok();
    match is_name(name) && namespace.is_none_or(is_name) {
        true => Ok((namespace.map(Into::into), name.into())),
        false => Err("is no name of a Secret"),
    }
}

fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("is neither `on` nor `off`"),
    }
}

/// More intermediates than six are never followed.
pub(super) fn depth(text: &str) -> Result<u8, &'static str> {
    let depth = text.parse::<u8>().ok().filter(|depth| *depth <= 6);
    depth.ok_or("is no number from 0 to 6")
}

fn name(text: &str) -> Result<Template, &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:${}".contains(&byte);
    Template::parse(text, &[Variable::Host, Variable::HttpHost])
        .ok()
        .filter(|_| text.bytes().all(known))
        .ok_or("is no name of a host")
}

/// Those before TLS 1.2 are passed over: nothing speaks them here.
fn versions(text: &str) -> Result<TlsVersions, &'static str> {
    let mut versions = TlsVersions { v1_2: false, v1_3: false };
    for version in text.split_ascii_whitespace() {
        match version {
            "TLSv1.2" => versions.v1_2 = true,
            "TLSv1.3" => versions.v1_3 = true,
            "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.1" => {}
            _ => return Err("holds a word that is no version of TLS"),
        }
    }
    match versions.v1_2 || versions.v1_3 {
        true => Ok(versions),
        false => Err("holds neither TLSv1.2 nor TLSv1.3"),
    }
}

/// Names of suites that are spoken here, as TLS or as OpenSSL writes them.
pub(super) fn suites(text: &str) -> Result<Box<[CipherSuite]>, &'static str> {
    let words = text.split([':', ',', ' ']).filter(|word| !word.is_empty());
    let suite = |word: &str| {
        let mut all = ALL_CIPHER_SUITES.iter().map(|suite| suite.suite());
        all.find(|suite| is_called(*suite, word))
    };
    let suites: Option<Vec<_>> = words.map(suite).collect();
    suites
        .filter(|suites| !suites.is_empty())
        .map(Into::into)
        .ok_or("holds more than the names of suites that are spoken here")
}

/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` is `ECDHE-RSA-AES128-GCM-SHA256` to OpenSSL.
fn is_called(suite: CipherSuite, word: &str) -> bool {
    let known = suite.as_str().unwrap_or_default();
    let standard = known.replacen("TLS13_", "TLS_", 1);
    let openssl = known
        .trim_start_matches("TLS_")
        .replace("_WITH_", "_")
        .replace("AES_", "AES")
        .replace("POLY1305_SHA256", "POLY1305")
        .replace('_', "-");
    [known, &*standard, &*openssl].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_the_names_of_tls_and_of_openssl() {
        for (text, want) in [
            (
                "ECDHE-RSA-AES128-GCM-SHA256",
                Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
            ),
            (
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
            ),
            (
                "ECDHE-ECDSA-CHACHA20-POLY1305",
                Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
            ),
            ("TLS_AES_256_GCM_SHA384", Some(CipherSuite::TLS13_AES_256_GCM_SHA384)),
            ("HIGH:!aNULL:!MD5", None),
            (":", None),
        ] {
            let read = suites(text).ok();
            assert_eq!(read.as_deref(), want.as_ref().map(std::slice::from_ref), "{text}");
        }
    }

    #[test]
    fn old_versions_are_passed_over_and_one_must_remain() {
        let read = |text| versions(text).map(|it| (it.v1_2, it.v1_3));
        assert_eq!(read("TLSv1 TLSv1.1 TLSv1.2"), Ok((true, false)));
        assert_eq!(read("TLSv1.2 TLSv1.3"), Ok((true, true)));
        assert!(read("TLSv1.1").is_err() && read("TLSv1.4").is_err() && read(" ").is_err());
    }
}
