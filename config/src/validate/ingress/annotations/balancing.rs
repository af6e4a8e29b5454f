//! Which endpoint a request comes to: `upstream-hash-by…`, `load-balance`, `service-upstream`, and
//! `affinity` in a file of its own (`ingress 2.4`, `2.5`).
//!
//! Tuning: what cannot be obeyed leaves the Service's own balance, and is told.

use super::reader::Reader;
use crate::diagnostic::Code;
use crate::model::{Balancing, HashBy, Template};

impl Reader<'_> {
    pub(super) fn balancing(&mut self) -> Balancing {
        let quickest = self.value("load-balance", load_balance);
        Balancing {
            affinity: self.affinity().map(Into::into),
            hash: self.hash_by().map(Into::into),
            quickest: quickest.unwrap_or_default(),
            by_service: self.switch("service-upstream").unwrap_or_default(),
        }
    }

    fn hash_by(&mut self) -> Option<HashBy> {
        let by = self.value("upstream-hash-by", template);
        let subset = self.switch("upstream-hash-by-subset") == Some(true);
        let size = self.value("upstream-hash-by-subset-size", size);
        if by.is_none() && self.first(&["upstream-hash-by"]).is_none() && subset {
            let text = "has no effect without `upstream-hash-by`";
            self.find(Code::AnnotationWithoutEffect, "upstream-hash-by-subset", text, None);
        }
        let subset = subset.then(|| size.unwrap_or(SUBSET_SIZE));
        by.map(|by| HashBy { by, subset })
    }
}

/// Whether latency decides.
fn load_balance(text: &str) -> Result<bool, &'static str> {
    match text {
        "ewma" => Ok(true),
        "round_robin" => Ok(false),
        _ => Err("is neither `round_robin` nor `ewma`"),
    }
}

fn template(text: &str) -> Result<Template, &'static str> {
    Template::of_any(text).map_err(|_| "holds a variable or a character that may not stand there")
}

fn size(text: &str) -> Result<u16, &'static str> {
    let size = text.parse::<u16>().ok().filter(|size| *size > 0);
    size.ok_or("is no number from 1 to 65535")
}

/// As in ingress-nginx.
const SUBSET_SIZE: u16 = 3;

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn who_says_how_endpoints_are_chosen_is_heard() {
        let read = of(&[("upstream-hash-by", "$request_uri$http_x_user-$cookie_id$arg_Key")]);
        assert_eq!(read.findings, []);
        let hash = read.policy.balancing.hash.unwrap();
        assert_eq!(
            (hash.by.parts().len(), hash.subset),
            (5, None),
            "ingress 2.4: upstream-hash-by"
        );
        let subset = [
            ("upstream-hash-by", "$remote_addr"),
            ("upstream-hash-by-subset", "true"),
            ("upstream-hash-by-subset-size", "5"),
        ];
        let of_size = |count| of(&subset[..count]).policy.balancing.hash.unwrap().subset;
        assert_eq!((of_size(1), of_size(2), of_size(3)), (None, Some(3), Some(5)), "ingress 2.4");
        assert!(of(&[("load-balance", "ewma")]).policy.balancing.quickest, "ingress 2.5");
        assert!(
            of(&[("service-upstream", "true")])
                .policy
                .balancing
                .by_service,
            "ingress 2.4"
        );
    }

    #[test]
    fn what_cannot_be_obeyed_leaves_the_balance_of_the_service() {
        for (name, value, code) in [
            ("upstream-hash-by", "$nothing", Code::InvalidIngressAnnotation),
            ("upstream-hash-by", "a b", Code::InvalidIngressAnnotation),
            ("upstream-hash-by", "$http_", Code::InvalidIngressAnnotation),
            ("upstream-hash-by-subset", "true", Code::AnnotationWithoutEffect),
            ("upstream-hash-by-subset-size", "0", Code::InvalidIngressAnnotation),
            ("load-balance", "least_conn", Code::InvalidIngressAnnotation),
            ("service-upstream", "yes", Code::InvalidIngressAnnotation),
        ] {
            let read = of(&[(name, value)]);
            let codes: Vec<_> = read.findings.iter().map(|it| it.code).collect();
            assert_eq!(codes, [code], "{name}: {value}");
            assert_eq!(read.policy, Default::default(), "ingress 2.1: {name}: {value}");
        }
    }
}
