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
    let is_url = starts.iter().any(|start| {
        text.strip_prefix(start)
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
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
