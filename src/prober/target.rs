//! Where a request of an `httpGet` probe goes, and where a redirect leads from there.
//!
//! Invariants: pure; the path begins with `/` and holds nothing that a request line cannot. References
//! are resolved as RFC 3986 section 5.2 says.

use http::Uri;
use portico_config::model::HttpProbe;

/// Where a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Target {
    /// HTTPS.
    pub(super) tls: bool,
    /// The name or address, without brackets.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
    /// Host and port as they stand in the URL.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

impl Target {
    /// The target of a probe, at `address` where it names no host.
    pub(super) fn of(probe: &HttpProbe, port: u16, address: &str) -> Self {
        let host = probe.host.as_deref().unwrap_or(address);
        let host = host.trim_matches(['[', ']']).to_owned();
        let authority = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        Self { tls: probe.tls, host, port, authority, path: encode(&probe.path) }
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }

    /// Where a `Location` leads from here; fails with what is wrong with it.
    pub(super) fn follow(&self, location: &str) -> Result<Self, String> {
        let location = location.split('#').next().unwrap_or_default();
        if let Some(rest) = location.strip_prefix("//") {
            let scheme = if self.tls { "https" } else { "http" };
            return Self::absolute(&format!("{scheme}://{rest}"));
        }
        if is_absolute(location) {
            return Self::absolute(location);
        }
        let own = self.path.split('?').next().unwrap_or("/");
        let path = match location.bytes().next() {
            None => self.path.clone(),
            Some(b'?') => format!("{own}{location}"),
            Some(b'/') => without_dots(location),
            Some(_) => {
                let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{location}"))
            }
        };
        Ok(Self { path: encode(&path), ..self.clone() })
    }

    fn absolute(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("redirected to {url:?}, {what}");
        let uri: Uri = encode_rest(url)
            .parse()
            .map_err(|_| wrong("which is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("which is neither http nor https")),
        };
        let authority = uri
            .authority()
            .ok_or_else(|| wrong("which names no host"))?;
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(wrong("which names no host"));
        }
        let port = authority.port_u16();
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            authority: authority
                .as_str()
                .rsplit('@')
                .next()
                .unwrap_or_default()
                .to_owned(),
            path: encode(uri.path_and_query().map_or("/", |path| path.as_str())),
        })
    }
}

/// Whether a reference has a scheme of its own.
pub(super) fn is_absolute(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// RFC 3986 section 5.2.4: a path without its segments `.` and `..`; the query stays.
fn without_dots(reference: &str) -> String {
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (reference, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match *segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    let path = format!("/{}", kept.join("/"));
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

/// A path as a request line can hold it, from its root.
fn encode(path: &str) -> String {
    let encoded = encode_rest(path);
    if encoded.starts_with('/') { encoded } else { format!("/{encoded}") }
}

/// Writes what a URL cannot hold in percent, a `%` that begins nothing too.
fn encode_rest(text: &str) -> String {
    let bytes = text.as_bytes();
    let is_hex = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_hexdigit);
    let mut encoded = String::with_capacity(text.len());
    for (index, &byte) in bytes.iter().enumerate() {
        let is_fine = match byte {
            b'%' => is_hex(index + 1) && is_hex(index + 2),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' => false,
            byte => byte.is_ascii_graphic(),
        };
        match is_fine {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(host: Option<&str>, path: &str) -> HttpProbe {
        let (host, path) = (host.map(Into::into), path.into());
        HttpProbe { tls: false, host, port: Some(8080), path, headers: Vec::new() }
    }

    #[test]
    fn a_probe_goes_to_its_host_else_to_the_pod() {
        for (host, address, path, want) in [
            (None, "10.0.0.1", "/", "http://10.0.0.1:8080/"),
            (None, "fd00::1", "/", "http://[fd00::1]:8080/"),
            (Some("web.test"), "10.0.0.1", "healthz", "http://web.test:8080/healthz"),
            (Some("[::1]"), "10.0.0.1", "/a?b=c", "http://[::1]:8080/a?b=c"),
            (None, "10.0.0.1", "?x", "http://10.0.0.1:8080/?x"),
            (
                None,
                "10.0.0.1",
                "/a b\r\nX: ä%2f%",
                "http://10.0.0.1:8080/a%20b%0D%0AX:%20%C3%A4%2f%25",
            ),
        ] {
            let target = Target::of(&probe(host, path), 8080, address);
            assert_eq!(target.url(), want, "services 6");
        }
    }

    #[test]
    fn a_location_is_read_from_where_it_was_found() {
        let mut here = Target::of(&probe(None, "/a/b?c"), 8080, "10.0.0.1");
        for (location, want) in [
            ("/x?y", "http://10.0.0.1:8080/x?y"),
            ("x", "http://10.0.0.1:8080/a/x"),
            ("./x", "http://10.0.0.1:8080/a/x"),
            ("../x", "http://10.0.0.1:8080/x"),
            ("../../../x", "http://10.0.0.1:8080/x"),
            ("..", "http://10.0.0.1:8080/"),
            ("/a/./b/../c/", "http://10.0.0.1:8080/a/c/"),
            ("?y", "http://10.0.0.1:8080/a/b?y"),
            ("#part", "http://10.0.0.1:8080/a/b?c"),
            ("/x#part", "http://10.0.0.1:8080/x"),
            ("//10.0.0.1/x", "http://10.0.0.1/x"),
            ("https://web/x", "https://web/x"),
            ("https://user@web/x", "https://web/x"),
            ("https://[::1]:8443", "https://[::1]:8443/"),
        ] {
            let found = here.follow(location).map(|it| it.url());
            assert_eq!(found.as_deref(), Ok(want), "services 6: {location}");
        }
        here.tls = true;
        assert_eq!(here.follow("//web/").map(|it| it.url()).as_deref(), Ok("https://web/"));
        for location in ["ftp://web/", "http:///x", "mailto:a@b", "http://a:b:c/"] {
            assert!(here.follow(location).is_err(), "{location}");
        }
    }
}
