//! What answers over HTTPS say of later visits: `Strict-Transport-Security` (`ingress 1.9`, RFC 6797).
//!
//! Words alone; where it is said, and where not, is `proxy::l7`'s work.

/// Settings `ingress.hsts` and those that begin with it; the defaults are ingress-nginx's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hsts {
    /// `hsts`: whether anything is said; default true.
    pub on: bool,
    /// `hstsMaxAge`: for how long browsers come by HTTPS alone, in seconds; 0: they forget what they
    /// were told. Default a year.
    pub max_age_seconds: u32,
    /// `hstsIncludeSubdomains`: whether that holds for all names below the host's; default true.
    pub include_subdomains: bool,
    /// `hstsPreload`: whether browsers may be delivered with that knowledge; default false.
    pub preload: bool,
}

impl Hsts {
    /// The value of the field; none: it is not sent.
    pub fn value(&self) -> Option<String> {
        let subdomains = if self.include_subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        let value = || format!("max-age={}{subdomains}{preload}", self.max_age_seconds);
        self.on.then(value)
    }
}

impl Default for Hsts {
    fn default() -> Self {
        Self { on: true, max_age_seconds: 31_536_000, include_subdomains: true, preload: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_says_what_settings_say() {
        let usual = Hsts::default();
        for (hsts, want) in [
            (usual.clone(), Some("max-age=31536000; includeSubDomains")),
            (Hsts { on: false, preload: true, ..usual.clone() }, None),
            (
                Hsts { max_age_seconds: 0, include_subdomains: false, ..usual.clone() },
                Some("max-age=0"),
            ),
            (Hsts { preload: true, ..usual }, Some("max-age=31536000; includeSubDomains; preload")),
        ] {
            assert_eq!(hsts.value().as_deref(), want, "ingress 1.9: {hsts:?}");
        }
    }
}
