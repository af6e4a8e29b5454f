//! What a host asks of its clients' certificates (`ingress 2.4`: auth-tls-*).
//!
//! Words alone: `proxy::l7` obeys. Two values are equal where a connection that was let in by one may
//! carry a request for the other; authorities are compared by identity, and a Secret whose content
//! stays keeps its own.

use regex::bytes::Regex;
use rustls::RootCertStore;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::Same;
use super::expression::bounded;

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientAuth {
    /// Who signs; none: the Secret is not there, and nobody is let in.
    pub authorities: Option<Same<RootCertStore>>,
    /// What authorities have taken back; none: nobody asks.
    pub revoked: Option<Same<Revocations>>,
    /// Who is let in.
    pub wants: Wants,
    /// How many certificates may stand between a client's and an authority, `0..=6`.
    pub depth: u8,
    /// What the subject must hold; none: anything.
    pub subject: Option<Subject>,
    /// Where clients are sent that are not let in, with 302; none: they get 400.
    pub error_page: Option<Box<str>>,
    /// Whether backends get the certificate itself.
    pub passes_on: bool,
}

/// Lists of the certificates that authorities have taken back (RFC 5280 5).
#[derive(Debug)]
pub struct Revocations(Vec<CertRevocationList<'static>>);

impl Revocations {
    /// All lists of a PEM text; none where there is no list, more than a bundle has, or one that cannot
    /// be read.
    pub fn parse(pem: &[u8]) -> Option<Self> {
        let mut lists = Vec::new();
        for list in CertificateRevocationListDer::pem_slice_iter(pem) {
            let list = OwnedCertRevocationList::from_der(&list.ok()?).ok()?;
            lists.push(CertRevocationList::Owned(list));
        }
        (1..=MAX_LISTS)
            .contains(&lists.len())
            .then_some(Self(lists))
    }

    /// Each, of one authority.
    pub fn lists(&self) -> &[CertRevocationList<'static>] {
        &self.0
    }
}

/// Which clients are let in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wants {
    /// Those with a certificate that an authority has signed.
    #[default]
    Required,
    /// Those without one too.
    Optional,
    /// All; what their certificate is worth is told to backends.
    Unverified,
}

/// A pattern that is searched for in a subject.
#[derive(Clone, Debug)]
pub struct Subject(Regex);

impl Subject {
    /// As it is written.
    pub fn text(&self) -> &str {
        self.0.as_str()
    }

    /// Reads `CN=` and a pattern; fails with what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with("CN=") || text.len() > MAX_PATTERN_BYTES {
            return Err("is no `CN=` with a pattern of at most 4 KiB");
        }
        let pattern = bounded(text).build();
        pattern
            .map(Self)
            .map_err(|_| "is a pattern that cannot be compiled")
    }

    /// Whether a subject holds it.
    pub fn is_in(&self, subject: &str) -> bool {
        self.0.is_match(subject.as_bytes())
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Subject {}

/// `ingress 2.2`.
const MAX_PATTERN_BYTES: usize = 4 << 10;
/// Lists of one `ca.crl`.
const MAX_LISTS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_takes_nothing_back_and_lets_nobody_in() {
        for text in ["", "x", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"] {
            assert!(Revocations::parse(text.as_bytes()).is_none(), "http-proxy 7.8: {text}");
        }
    }

    #[test]
    fn a_subject_is_searched_for_a_common_name() {
        let of = |text| Subject::parse(text);
        let pattern = of("CN=(app|web)-[0-9]+").unwrap();
        assert!(pattern.is_in("CN=app-7,O=x") && pattern.is_in("OU=x,CN=web-1"));
        assert!(!pattern.is_in("CN=db-1") && !pattern.is_in("O=app-7"));
        for wrong in ["app", "CN=(", "cn=app", "CN=(?=x)", "CN=a#(\n){}\n}}\nssl_engine evil;\n"] {
            assert!(of(wrong).is_err(), "ingress 2.5: {wrong}");
        }
        assert_eq!(of("CN=a").unwrap(), of("CN=a").unwrap());
        assert_ne!(of("CN=a").unwrap(), of("CN=b").unwrap());
    }
}
