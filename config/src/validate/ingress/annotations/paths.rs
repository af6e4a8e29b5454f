//! Where requests are sent: redirects, rewrites, and the names that backends get (`ingress 2.4`).

use super::reader::Reader;
use crate::model::{Redirect, Template, Variable};

impl Reader<'_> {
    /// `temporal-redirect`, else `permanent-redirect`.
    pub(super) fn redirect(&mut self) -> Option<Redirect> {
        for (name, code_name, usual, last, paths) in [
            ("temporal-redirect", "temporal-redirect-code", 302, 307, false),
            ("permanent-redirect", "permanent-redirect-code", 301, 308, true),
        ] {
            if self.first(&[name]).is_none() {
                continue;
            }
            let location = self.value(name, |text| target(text, paths))?;
            let status =
                self.value(code_name, |text| text.parse::<u16>().map_err(|_| "is no number"));
            let status = status.filter(|status| (300..=last).contains(status));
            return Some(Redirect { status: status.unwrap_or(usual), location });
        }
        None
    }

    pub(super) fn upstream_host(&mut self) -> Option<Template> {
        use Variable::{Host, HttpHost};
        self.value("upstream-vhost", |text| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]${}".contains(&byte);
            let template = Template::parse(text, &[Host, HttpHost]);
            template
                .ok()
                .filter(|_| text.bytes().all(known))
                .ok_or("is no name of a host")
        })
    }
}

/// Where a redirect leads: a URL, or where `paths` says so a path.
fn target(text: &str, paths: bool) -> Result<Template, &'static str> {
    use Variable::{Args, Host, IsArgs, RequestUri, Scheme, Uri};
    let starts = ["http://", "https://", "$scheme://", "${scheme}://"];
    let rest = starts.iter().find_map(|start| text.strip_prefix(start));
    let is_url = rest.is_some_and(|rest| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, _) = rest.split_at(end);
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]@${}".contains(&byte);
        !authority.is_empty() && authority.bytes().all(known)
    });
    let is_path = paths && text.starts_with('/');
    if !(is_url || is_path) {
        return Err(if paths {
            "is neither an http(s) URL nor a path"
        } else {
            "is no http(s) URL"
        });
    }
    Template::parse(text, &[Scheme, Host, RequestUri, Uri, Args, IsArgs])
        .map_err(|_| "holds a variable or a character that may not stand there")
}

/// What the path becomes, and whether that is another host's.
pub(super) fn rewrite(text: &str) -> Result<(Template, bool), &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:${}".contains(&byte);
    let template = Template::parse(text, &[Variable::Capture(1)])
        .ok()
        .filter(|_| text.bytes().all(known))
        .ok_or("is no path with `$1` to `$9`")?;
    Ok((template, text.starts_with("http://") || text.starts_with("https://")))
}

pub(super) fn forwarded_prefix(text: &str) -> Result<Template, &'static str> {
    Template::parse(text, &[Variable::Capture(1)])
        .map_err(|_| "holds a variable or a character that may not stand there")
}

pub(super) fn app_root(text: &str) -> Result<Template, &'static str> {
    if !text.starts_with('/') || text.starts_with("//") {
        return Err("is no path");
    }
    Template::parse(text, &[Variable::Args, Variable::IsArgs])
        .map_err(|_| "holds a variable or a character that may not stand there")
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;

    #[test]
    fn a_redirect_has_a_url_and_a_status_of_its_own() {
        let status = |name: &str, code: &str| {
            let (url, codes) = (format!("{name}-redirect"), format!("{name}-redirect-code"));
            let read = of(&[(&url, "https://b.test/x"), (&codes, code)]);
            read.policy.redirect.map(|it| it.status)
        };
        for (code, permanent, temporal) in [
            ("", 301, 302),
            ("300", 300, 300),
            ("303", 303, 303),
            ("307", 307, 307),
            ("308", 308, 302),
            ("309", 301, 302),
            ("200", 301, 302),
        ] {
            assert_eq!(status("permanent", code), Some(permanent), "ingress 2.4: {code:?}");
            assert_eq!(status("temporal", code), Some(temporal), "ingress 2.4: {code:?}");
        }
        for (url, permanent, temporal) in [
            ("https://b.test", true, true),
            ("http://b.test:81/x?y=1", true, true),
            ("http://[::1]:81/", true, true),
            ("$scheme://$host$request_uri", true, true),
            ("https://new.$host/x;y", true, true),
            ("/x", true, false),
            ("b.test", false, false),
            ("ftp://b.test/", false, false),
            ("https://", false, false),
            ("https:///x", false, false),
            ("https://b.test;}location/evil{return200evil;}", false, false),
            ("https://b.test\"/x", false, false),
            ("https://b.test/\r\nX: y", false, false),
            ("https://b.test/$nothing", false, false),
        ] {
            for (name, want) in [("permanent-redirect", permanent), ("temporal-redirect", temporal)]
            {
                let policy = of(&[(name, url)]).policy;
                let got = (policy.redirect.is_some(), policy.closed.is_none());
                assert_eq!(got, (want, want), "ingress 2.4: {name}: {url:?}");
            }
        }
    }

    #[test]
    fn a_rewrite_has_captures_and_to_another_host_is_a_redirect() {
        let prefix = ("x-forwarded-prefix", "/$1");
        for (target, rewrites, redirects) in [
            ("/$2", true, false),
            ("$1", true, false),
            ("/~a/b.c_d-e:f", true, false),
            ("https://b.test/$1", false, true),
            ("http://b.test", false, true),
            ("/$1\";return 200 evil;#", false, false),
            ("/a b", false, false),
            ("/$uri", false, false),
            ("/a?b", false, false),
        ] {
            let policy = of(&[("rewrite-target", target), prefix]).policy;
            let got = (policy.rewrite.is_some(), policy.redirect.as_ref().map(|it| it.status));
            assert_eq!(got, (rewrites, redirects.then_some(302)), "ingress 2.4: {target}");
            let is_open = rewrites || redirects;
            assert_eq!(policy.closed.is_none(), is_open, "ingress 2.1: {target}");
        }
        let alone = of(&[prefix]).policy;
        assert_eq!(alone.forwarded_prefix, None, "ingress 2.4: x-forwarded-prefix");
    }

    #[test]
    fn names_for_backends_and_roots_are_what_they_say() {
        for (name, fits) in [
            ("inner.test", true),
            ("$host:81", true),
            ("a b", false),
            ("a.test/x", false),
            ("$uri", false),
        ] {
            let policy = of(&[("upstream-vhost", name)]).policy;
            let got = (policy.upstream_host.is_some(), policy.closed.is_none());
            assert_eq!(got, (fits, fits), "ingress 2.4: upstream-vhost: {name}");
        }
        for (root, fits) in [
            ("/start", true),
            ("/start$is_args$args", true),
            ("start", false),
            ("//evil.test", false),
            ("/x;\nreturn 200 evil", false),
            ("/$uri", false),
        ] {
            let read = of(&[("app-root", root)]);
            assert_eq!(read.app_root.is_some(), fits, "ingress 2.4: app-root: {root}");
            assert_eq!(read.policy.closed, None, "ingress 2.1: app-root tunes: {root}");
        }
    }
}
