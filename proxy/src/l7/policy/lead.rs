//! Which endpoint a request is for, where an annotation says that it is for one (`ingress 2.4`:
//! `upstream-hash-by`, `service-upstream`; `2.5`: `load-balance`).

use portico_config::model::Balancing;

use super::Visit;
use super::rewrite::render;
use crate::upstream::Lead;

/// Where a request goes first, sessions aside.
pub(crate) fn lead(balancing: &Balancing, visit: &Visit<'_>) -> Lead {
    if balancing.by_service {
        return Lead::Front;
    }
    match &balancing.hash {
        Some(hash) => {
            let number = number(&render(&hash.by, visit));
            hash.subset
                .map_or(Lead::Number(number), |size| Lead::Among(number, size))
        }
        None if balancing.quickest => Lead::Quickest,
        None => Lead::Turn,
    }
}

/// The same for the same text on every machine (FNV-1a).
fn number(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portico_config::model::{HashBy, Policy, Template, Variable};

    use super::*;
    use crate::l7::fields::Fields;
    use crate::l7::h1::head;
    use crate::l7::request::Checked;

    fn led(by: &str, target: &str, lines: &str) -> Lead {
        let known = [
            Variable::RequestUri,
            Variable::RemoteAddr,
            Variable::Field("x_user".into()),
            Variable::Cookie("id".into()),
            Variable::Argument("key".into()),
        ];
        let by = Template::parse(by, &known).unwrap();
        let hash = Some(Arc::new(HashBy { by, subset: None }));
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut places = Vec::new();
        assert!(
            head::request(head.as_bytes(), &mut places)
                .unwrap()
                .is_some()
        );
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let checked = Checked { host: "a".into(), authority: Some("a"), path: path.into(), query };
        let fields = Some(Fields::new(head.as_bytes(), &places));
        let came = ([192, 0, 2, 7].into(), false);
        let visit = Visit { fields, ..Visit::new(came, &checked, &Policy::default()) };
        lead(&Balancing { hash, ..Balancing::default() }, &visit)
    }

    #[test]
    fn the_same_text_leads_to_the_same_number() {
        for (case, by, one, other, same) in [
            ("same", "$request_uri", ("/a?b", ""), ("/a?b", "X-User: x\r\n"), true),
            ("query", "$request_uri", ("/a?b", ""), ("/a?c", ""), false),
            ("field", "$http_x_user", ("/", "X-User: x\r\n"), ("/b", "x-user: x\r\n"), true),
            ("field", "$http_x_user", ("/", "X-User: x\r\n"), ("/", "X-User: y\r\n"), false),
            ("cookie", "$cookie_id", ("/", "Cookie: a=b; id=7\r\n"), ("/", ""), false),
            ("cookie", "$cookie_id", ("/", "Cookie: id=7\r\n"), ("/", "Cookie: id=7\r\n"), true),
            ("argument", "$arg_key", ("/?a=1&key=2", ""), ("/b?key=2", ""), true),
            ("argument", "$arg_key", ("/?key=1", ""), ("/?key=2", ""), false),
            ("client", "$remote_addr", ("/a", ""), ("/b", ""), true),
            ("composed", "x-$arg_key", ("/?key=1", ""), ("/?key=1&b", ""), true),
        ] {
            let is_same = led(by, one.0, one.1) == led(by, other.0, other.1);
            assert_eq!(is_same, same, "ingress 2.4: upstream-hash-by: {case} {by}");
        }
    }

    #[test]
    fn the_service_is_before_a_hash_and_a_hash_before_latency() {
        let by = Template::parse("x", &[]).unwrap();
        let hash = |subset| Some(Arc::new(HashBy { by: by.clone(), subset }));
        let checked =
            Checked { host: "a".into(), authority: Some("a"), path: "/".into(), query: None };
        let visit = Visit::new(([192, 0, 2, 7].into(), false), &checked, &Policy::default());
        let all =
            Balancing { affinity: None, hash: hash(Some(3)), quickest: true, by_service: true };
        assert_eq!(lead(&all, &visit), Lead::Front, "ingress 2.4: service-upstream");
        let all = Balancing { by_service: false, ..all };
        assert!(matches!(lead(&all, &visit), Lead::Among(_, 3)), "ingress 2.4");
        let all = Balancing { hash: hash(None), ..all };
        assert!(matches!(lead(&all, &visit), Lead::Number(_)), "ingress 2.4");
        let all = Balancing { hash: None, ..all };
        assert_eq!(lead(&all, &visit), Lead::Quickest, "ingress 2.5: load-balance");
        assert_eq!(lead(&Balancing::default(), &visit), Lead::Turn);
    }
}
