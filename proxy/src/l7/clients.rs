//! Certificates of clients: what a connection's client has shown, whether it is let in, and what its
//! backends are told of that (`ingress 2.4`: auth-tls-*).
//!
//! A host that asks for certificates serves only connections that were made for what it asks: a
//! request for it over another one gets 421, and one for another host over its own too
//! (`http-proxy 7.3`).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};
use portico_config::model::{ClientAuth, Wants};
use portico_net::client_cert;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::edits::Edits;
use super::forward::{Peer, line};
use super::policy::Declined;
use super::request::{Refused, refuse};
use crate::view::Host;

/// What a client has shown on a connection that was made for a host with certificates.
#[derive(Debug)]
pub(crate) struct Shown {
    /// What the host asked when the connection was made.
    auth: Arc<ClientAuth>,
    worth: Worth,
    subject: String,
    issuer: String,
    /// What backends are told.
    lines: Vec<u8>,
}

/// What a certificate is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Worth {
    /// There is none.
    None,
    Verified,
    /// It is worth nothing, for this reason.
    Failed(&'static str),
}

impl Worth {
    fn words(self) -> String {
        match self {
            Self::None => "NONE".to_owned(),
            Self::Verified => "SUCCESS".to_owned(),
            Self::Failed(why) => format!("FAILED:{why}"),
        }
    }
}

impl Shown {
    /// Judges what was shown at `now`.
    pub(crate) fn of(
        auth: Arc<ClientAuth>,
        chain: Option<&[CertificateDer<'_>]>,
        now: UnixTime,
    ) -> Self {
        let chain = chain.unwrap_or_default();
        let leaf = chain.first();
        let worth = match (leaf, &auth.authorities) {
            (None, _) => Worth::None,
            (_, None) => Worth::Failed("no authorities"),
            (Some(_), Some(roots)) => {
                let revoked = auth.revoked.as_ref().map_or(&[][..], |it| it.0.lists());
                match client_cert::verify(chain, (&roots.0, revoked), auth.depth, now) {
                    Ok(()) => Worth::Verified,
                    Err(why) => Worth::Failed(why),
                }
            }
        };
        let (subject, issuer) = leaf.map(client_cert::names).unwrap_or_default();
        let mut lines = Vec::new();
        line(&mut lines, b"ssl-client-verify", worth.words().as_bytes());
        if let Some(leaf) = leaf {
            line(&mut lines, b"ssl-client-subject-dn", subject.as_bytes());
            line(&mut lines, b"ssl-client-issuer-dn", issuer.as_bytes());
            if auth.passes_on {
                line(&mut lines, b"ssl-client-cert", escaped(leaf).as_bytes());
            }
        }
        Self { auth, worth, subject, issuer, lines }
    }

    /// Whom the certificate names; empty: there is none.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// Who signed it.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What it is worth, in nginx's words.
    pub(crate) fn worth(&self) -> String {
        self.worth.words()
    }

    /// What backends are told, line by line.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }
}

/// PEM, percent-encoded.
fn escaped(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for piece in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(piece));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let mut out = String::with_capacity(pem.len() * 5 / 4);
    for byte in pem.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Whether a request that came so is let in to a host. With what it asks: as far as a redirect, and no
/// further.
pub(crate) fn admit(host: &Host, from: &Peer) -> Result<Option<Arc<ClientAuth>>, Declined> {
    let kept = |status| Declined::from(Refused { status, close: false });
    let misdirected = || Declined::from(refuse(StatusCode::MISDIRECTED_REQUEST));
    if host.passed_to.is_some() && from.tls {
        return Err(misdirected());
    }
    let Some(auth) = &host.clients else {
        return match &from.shown {
            None => Ok(None),
            Some(_) => Err(misdirected()),
        };
    };
    if auth.authorities.is_none() {
        return Err(kept(StatusCode::FORBIDDEN));
    }
    if !from.tls {
        let needs_one = auth.wants == Wants::Required || auth.subject.is_some();
        return Ok(needs_one.then(|| Arc::clone(auth)));
    }
    let shown = from.shown.as_ref().ok_or_else(misdirected)?;
    if !Arc::ptr_eq(&shown.auth, auth) && shown.auth != *auth {
        return Err(misdirected());
    }
    match (auth.wants, shown.worth) {
        (Wants::Unverified, _) | (_, Worth::Verified) | (Wants::Optional, Worth::None) => {}
        (Wants::Required, Worth::None) | (_, Worth::Failed(_)) => return Err(unproven(auth)),
    }
    match &auth.subject {
        Some(subject) if !subject.is_in(&shown.subject) => Err(kept(StatusCode::FORBIDDEN)),
        _ => Ok(None),
    }
}

/// What a client gets that has no certificate, or one that is worth nothing.
pub(crate) fn unproven(auth: &ClientAuth) -> Declined {
    let page = auth
        .error_page
        .as_ref()
        .and_then(|page| HeaderValue::from_str(page).ok());
    let Some(page) = page else {
        return Refused { status: StatusCode::BAD_REQUEST, close: false }.into();
    };
    let mut edits = Edits::default();
    edits.set("Location", page);
    let refused = Refused { status: StatusCode::FOUND, close: false };
    Declined { refused, edits: Some(Box::new(edits)), page: None }
}
