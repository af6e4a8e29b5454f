//! Where copies of requests go: `mirror-target`, `mirror-host`, `mirror-request-body` (`ingress 2.5`).
//!
//! Tuning: what cannot be read sends no copy, or one as by default, and is told. Whether the host is a
//! Service is seen by `compile`.

use super::external::{host_and_port, split};
use super::reader::Reader;
use super::values::boolean;
use crate::model::{AuthPlace, Mirror, Template, Variable};

impl Reader<'_> {
    /// Where copies go, with a place that does not know Services yet.
    pub(super) fn mirror(&mut self) -> Option<Mirror> {
        let host = self.value("mirror-host", |text| {
            host_and_port(text, false)
                .map(|_| text.into())
                .ok_or("is no host")
        });
        let with_body = self.value("mirror-request-body", |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => boolean(text).ok_or("is neither `on` nor `off`"),
        });
        let mirror = self.value("mirror-target", target)?;
        let host = host.unwrap_or_else(|| mirror.authority.clone());
        Some(Mirror { host, with_body: with_body.unwrap_or(true), ..mirror })
    }
}

/// `http(s)://host[:port]/path$request_uri`.
fn target(text: &str) -> Result<Mirror, &'static str> {
    // What the request asks for begins with a slash of its own, which ends the host; where there is
    // one before it, it is not doubled.
    let bare = |text: &str| text.replace("/$request_uri", "$request_uri");
    let text = bare(&text.replace("${request_uri}", "$request_uri"));
    let text = text.replace("$request_uri", "/$request_uri");
    let (tls, authority, target) = split(&text)?;
    let (host, port) = host_and_port(authority, tls).ok_or("has no host and port")?;
    let target = bare(target);
    let slash = if target.starts_with(['/', '$']) { "" } else { "/" };
    let target = Template::parse(&format!("{slash}{target}"), &[Variable::RequestUri])
        .map_err(|_| "holds a variable other than `$request_uri`, or what may not stand there")?;
    Ok(Mirror {
        place: AuthPlace::Host(host, port),
        tls,
        listed: false,
        authority: authority.into(),
        host: authority.into(),
        target,
        with_body: true,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;
    use crate::diagnostic::Code;
    use crate::model::Part;

    #[test]
    fn a_target_is_a_url_that_the_request_has_no_say_in_but_for_its_uri() {
        let uri = || Part::Variable(Variable::RequestUri);
        let text = |text: &str| Part::Text(text.into());
        for (url, want) in [
            ("http://b.test", Some(vec![text("/")])),
            ("http://b.test/x?y=1", Some(vec![text("/x?y=1")])),
            ("https://b.test$request_uri", Some(vec![uri()])),
            ("https://b.test/$request_uri", Some(vec![uri()])),
            ("http://b.test:81/v1/${request_uri}", Some(vec![text("/v1"), uri()])),
            ("http://b.test?u=$request_uri", Some(vec![text("/?u="), uri()])),
            ("http://$host/", None),
            ("http://b.test/$uri", None),
            ("http://b.test$http_x", None),
            ("http://b.test/\r\nX: y", None),
            ("http://b.test; return 200", None),
            ("ftp://b.test/", None),
            ("b.test", None),
            ("http://b..test/", None),
        ] {
            let read = of(&[("mirror-target", url)]);
            let target = read.policy.mirror.map(|it| it.target.parts().to_vec());
            assert_eq!(target, want, "ingress 2.5: {url}");
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            let told = want.is_none().then_some(Code::InvalidIngressAnnotation);
            assert_eq!(codes, Vec::from_iter(told), "{url}");
            assert_eq!(read.policy.closed, None, "ingress 2.1: {url}");
        }
    }

    #[test]
    fn host_and_body_are_the_copys_own() {
        let target = ("mirror-target", "https://b.test:444");
        let mirror = |pairs: &[(&str, &str)]| {
            let read = of(&[&[target], pairs].concat());
            let mirror = read.policy.mirror.unwrap();
            (mirror.host.to_string(), mirror.with_body, read.findings.len())
        };
        assert_eq!(mirror(&[]), ("b.test:444".into(), true, 0), "ingress 2.5");
        let own = [("mirror-host", "c.test"), ("mirror-request-body", "off")];
        assert_eq!(mirror(&own), ("c.test".into(), false, 0));
        let bad = [("mirror-host", "c d"), ("mirror-request-body", "some")];
        assert_eq!(mirror(&bad), ("b.test:444".into(), true, 2));
        let mirror = of(&[target]).policy.mirror.unwrap();
        assert_eq!(mirror.place, AuthPlace::Host("b.test".into(), 444));
        assert!(mirror.tls && of(&[own[0]]).policy.mirror.is_none());
    }
}
