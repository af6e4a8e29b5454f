//! What becomes of the fields in which a backend names places and domains of its own (`ingress 2.5`:
//! `proxy-cookie-domain`, `proxy-cookie-path`, `proxy-redirect-from`, `proxy-redirect-to`).
//!
//! Pure text. Invariants: what is put in is visible ASCII, and in a cookie without `;`, so it ends
//! neither an attribute nor a line; a field that is not about the place named stays as it is.

/// What is put for what; none: nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rewrites {
    /// The domain of cookies, whole and without regard to case or a dot at its begin.
    pub cookie_domain: Option<Swap>,
    /// The begin of the path of cookies.
    pub cookie_path: Option<Swap>,
    /// The begin of `Location`, and of the URL in `Refresh`.
    pub redirect: Option<Swap>,
}

/// One text for another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Swap {
    /// What a backend says.
    pub from: Box<str>,
    /// What clients hear.
    pub to: Box<str>,
}

impl Rewrites {
    /// The value of a field as clients get it; none: as it came.
    pub fn of(&self, name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let is_it = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is_it("set-cookie") {
            return self.cookie(value);
        }
        let swap = self.redirect.as_ref()?;
        if is_it("location") {
            return swap.begin(value);
        }
        if !is_it("refresh") {
            return None;
        }
        let at = value
            .windows(URL.len())
            .position(|it| it.eq_ignore_ascii_case(URL))?
            + URL.len();
        let (before, url) = value.split_at(at);
        Some([before, &swap.begin(url)?].concat())
    }

    /// A cookie with another domain or path; the first pair is its value and stays.
    fn cookie(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut parts = value.split(|&byte| byte == b';');
        let mut cookie = parts.next()?.to_vec();
        let mut is_other = false;
        for part in parts {
            cookie.push(b';');
            match self.attribute(part) {
                Some(attribute) => {
                    is_other = true;
                    cookie.extend_from_slice(&attribute);
                }
                None => cookie.extend_from_slice(part),
            }
        }
        is_other.then_some(cookie)
    }

    /// An attribute of a cookie in other words; none: as it is.
    fn attribute(&self, part: &[u8]) -> Option<Vec<u8>> {
        let equals = part.iter().position(|&byte| byte == b'=')? + 1;
        let (name, value) = part.split_at(equals);
        let key = name[..equals - 1].trim_ascii();
        let other = if key.eq_ignore_ascii_case(b"domain") {
            let Swap { from, to } = self.cookie_domain.as_ref()?;
            let domain = value.trim_ascii();
            let domain = domain.strip_prefix(b".").unwrap_or(domain);
            let is_it = domain.eq_ignore_ascii_case(from.as_bytes());
            is_it.then(|| to.as_bytes().to_vec())
        } else if key.eq_ignore_ascii_case(b"path") {
            self.cookie_path.as_ref()?.begin(value.trim_ascii())
        } else {
            None
        };
        other.map(|other| [name, &other].concat())
    }
}

impl Swap {
    /// A text that begins as this one does, with the other begin.
    fn begin(&self, value: &[u8]) -> Option<Vec<u8>> {
        let rest = value.strip_prefix(self.from.as_bytes())?;
        Some([self.to.as_bytes(), rest].concat())
    }
}

const URL: &[u8] = b"url=";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_backend_become_names_of_its_front() {
        let swap = |from: &str, to: &str| Some(Swap { from: from.into(), to: to.into() });
        let rewrites = Rewrites {
            cookie_domain: swap("inner.test", "shop.test"),
            cookie_path: swap("/app/", "/"),
            redirect: swap("http://inner.test/", "https://shop.test/"),
        };
        for (name, value, want) in [
            ("Set-Cookie", "a=1; Domain=inner.test; Secure", Some("a=1; Domain=shop.test; Secure")),
            ("set-cookie", "a=1; domain=.INNER.test", Some("a=1; domain=shop.test")),
            ("Set-Cookie", "a=1; Domain=x.inner.test", None),
            ("Set-Cookie", "a=1; Path=/app/x;HttpOnly", Some("a=1; Path=/x;HttpOnly")),
            ("Set-Cookie", "a=1; Path=/application", None),
            ("Set-Cookie", "path=/app/; Secure", None),
            ("Set-Cookie", "a=1", None),
            ("Location", "http://inner.test/a?b", Some("https://shop.test/a?b")),
            ("Location", "/a", None),
            ("Refresh", "5; URL=http://inner.test/a", Some("5; URL=https://shop.test/a")),
            ("Refresh", "5", None),
            ("X-Location", "http://inner.test/a", None),
        ] {
            let got = rewrites.of(name.as_bytes(), value.as_bytes());
            let got = got.map(|got| String::from_utf8(got).unwrap());
            assert_eq!(got.as_deref(), want, "ingress 2.5: {name}: {value}");
        }
        assert_eq!(Rewrites::default().of(b"Location", b"http://inner.test/"), None);
    }
}
