//! Answers of another backend in the place of errors (`ingress 2.4`: `default-backend`,
//! `custom-http-errors`).

use super::external_auth::ServiceAddress;
use super::name::ObjectName;

/// What one Ingress asks of the answers to its requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorPages {
    /// The Ingress, which the other backend is told.
    pub ingress: ObjectName,
    /// Who answers instead: the first port of a Service of the Ingress's namespace. Where it has no
    /// endpoint, everything is as without it.
    pub backend: ServiceAddress,
    /// Whether it also gets the requests for which there is no endpoint; not where settings name it.
    pub stands_in: bool,
    /// The statuses, 400 to 599, whose answers are replaced.
    pub statuses: Box<[u16]>,
    /// `disable-proxy-intercept-errors`: only of answers that no backend gave.
    pub own_alone: bool,
    /// Fields of the client that the other backend does not get, in lower case.
    pub withheld: Box<[Box<str>]>,
}

impl ErrorPages {
    /// Whether an answer is replaced; `of_backend`: a backend gave it.
    pub fn replace(&self, status: u16, of_backend: bool) -> bool {
        self.statuses.contains(&status) && !(of_backend && self.own_alone)
    }

    /// Fields of which the other backend is to believe ours alone.
    pub const SAID: [&str; 7] = [
        "x-code",
        "x-format",
        "x-original-uri",
        "x-namespace",
        "x-ingress-name",
        "x-service-name",
        "x-service-port",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_replaced_that_are_listed() {
        let pages = |own_alone| ErrorPages {
            ingress: ObjectName::new("default", "web"),
            backend: ServiceAddress { service: ObjectName::new("default", "errors"), port: 80 },
            stands_in: true,
            statuses: Box::new([404, 503]),
            own_alone,
            withheld: Box::default(),
        };
        for (own_alone, status, of_backend, want) in [
            (false, 404, true, true),
            (false, 404, false, true),
            (false, 500, true, false),
            (true, 404, true, false),
            (true, 404, false, true),
        ] {
            let got = pages(own_alone).replace(status, of_backend);
            assert_eq!(got, want, "ingress 2.4, 2.5: {status} {own_alone} {of_backend}");
        }
    }
}
