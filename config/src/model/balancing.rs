//! How endpoints are chosen for the requests of a location, and who returns to the one that it had
//! (`ingress 2.4`).
//!
//! Words alone: `proxy` obeys. Invariant: what stands in a cookie is a token or visible ASCII without
//! `;`, so it ends neither its attribute nor its line.

use std::sync::Arc;

use super::template::Template;

/// What annotations say of the choice; the default leaves it to the Service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Balancing {
    /// `affinity: cookie`; none: nobody returns anywhere.
    pub affinity: Option<Arc<CookieAffinity>>,
    /// `upstream-hash-by`: behind `affinity`.
    pub hash: Option<Arc<HashBy>>,
    /// `load-balance: ewma`: latency decides, whatever the Service's own balance is.
    pub quickest: bool,
    /// `service-upstream`: the choice is the ClusterIP's, and nothing above counts.
    pub by_service: bool,
}

impl Balancing {
    /// The same for one location: a cookie without a path of its own is for `path`, or for all of
    /// its host where that cannot stand in a cookie.
    pub fn at(&self, path: &str) -> Self {
        let Some(affinity) = &self.affinity else { return self.clone() };
        if affinity.path.is_some() {
            return self.clone();
        }
        let path = if is_cookie_path(path) { path } else { "/" };
        let affinity = CookieAffinity { path: Some(path.into()), ..(**affinity).clone() };
        let mut at = self.clone();
        at.affinity = Some(Arc::new(affinity));
        at
    }
}

/// The same endpoint for the same text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashBy {
    /// The text.
    pub by: Template,
    /// `upstream-hash-by-subset`: any of so many endpoints instead, which are the text's.
    pub subset: Option<u16>,
}

/// A client's return to its endpoint by a cookie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieAffinity {
    /// `session-cookie-name`: a token.
    pub name: Box<str>,
    /// `affinity-mode`.
    pub mode: AffinityMode,
    /// `session-cookie-path`; none: the location's.
    pub path: Option<Box<str>>,
    /// `session-cookie-domain`.
    pub domain: Option<Box<str>>,
    /// `session-cookie-expires`: seconds from when it is set.
    pub expires_seconds: Option<u32>,
    /// `session-cookie-max-age`.
    pub max_age_seconds: Option<u32>,
    /// `session-cookie-samesite`.
    pub same_site: Option<SameSite>,
    /// `session-cookie-conditional-samesite-none`: `SameSite=None` is kept from browsers that
    /// misread it.
    pub spares_old_browsers: bool,
    /// `session-cookie-secure`: `Secure` also where the client came by plain HTTP.
    pub secure: bool,
    /// `session-cookie-change-on-failure`: who was served by another endpoint stays there.
    pub follows_failure: bool,
}

/// What becomes of sessions when endpoints come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AffinityMode {
    /// An endpoint that comes takes its share of them.
    #[default]
    Balanced,
    /// Each stays as long as its endpoint lives.
    Persistent,
}

/// RFC 6265bis 4.1.2.7.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SameSite {
    /// Sent with every request.
    None,
    /// Sent also where a link leads here.
    Lax,
    /// Sent with requests from here alone.
    Strict,
}

impl SameSite {
    /// As it stands in a cookie.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Lax => "Lax",
            Self::Strict => "Strict",
        }
    }
}

/// Whether a path can stand in a cookie.
pub(crate) fn is_cookie_path(path: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    path.starts_with('/') && path.len() <= MAX_PATH_BYTES && path.bytes().all(known)
}

/// What browsers keep of an attribute (RFC 6265bis 5.6).
const MAX_PATH_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_its_location_unless_it_says_otherwise() {
        let affinity = |path: Option<&str>| CookieAffinity {
            name: "a".into(),
            mode: AffinityMode::Balanced,
            path: path.map(Into::into),
            domain: None,
            expires_seconds: None,
            max_age_seconds: None,
            same_site: None,
            spares_old_browsers: false,
            secure: false,
            follows_failure: false,
        };
        for (own, location, want) in [
            (None, "/shop", "/shop"),
            (Some("/"), "/shop", "/"),
            (None, "/a;b", "/"),
            (None, "/ä", "/"),
            (None, "/a b", "/"),
        ] {
            let balancing =
                Balancing { affinity: Some(Arc::new(affinity(own))), ..Balancing::default() };
            let path = balancing.at(location).affinity.unwrap().path.clone();
            assert_eq!(path.as_deref(), Some(want), "ingress 2.4: session-cookie-path {location}");
        }
        assert_eq!(Balancing::default().at("/"), Balancing::default());
    }
}
