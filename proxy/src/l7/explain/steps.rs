//! What the annotations of a location ask of its requests, in the order of `ingress 1.10`.

use portico_config::model::{AuthPlace, ClientAuth, Policy, Wants};

/// One thing that is asked.
#[derive(Debug, Eq, PartialEq)]
pub struct Step {
    /// Its place in `ingress 1.10`.
    pub number: u8,
    /// The annotation that asks it, or one of those that do.
    pub name: &'static str,
    /// What it asks.
    pub asks: String,
}

/// Everything that is asked.
pub(super) fn steps(policy: &Policy, clients: Option<&ClientAuth>) -> Vec<Step> {
    let mut steps = Steps(Vec::new());
    if let Some(auth) = clients {
        let wants = match auth.wants {
            Wants::Required => "a certificate of its authorities",
            Wants::Optional => "a certificate of its authorities, or none",
            Wants::Unverified => "any certificate, or none",
        };
        steps.add(2, "auth-tls-verify-client", wants);
    }
    if let Some(why) = &policy.closed {
        steps.add(3, "closed", why);
    }
    steps.guards(policy);
    steps.ways(policy);
    steps.answers(policy);
    // Redirects come behind credentials where any are asked for.
    steps.0.sort_by_key(|step| step.number);
    steps.0
}

struct Steps(Vec<Step>);

impl Steps {
    fn add(&mut self, number: u8, name: &'static str, asks: impl AsRef<str>) {
        self.0
            .push(Step { number, name, asks: asks.as_ref().to_owned() });
    }

    /// Who is let in, and how often.
    fn guards(&mut self, policy: &Policy) {
        let list = |networks: &[_]| {
            let texts: Vec<_> = networks.iter().map(ToString::to_string).collect();
            texts.join(", ")
        };
        if !policy.deny.is_empty() {
            self.add(4, "denylist-source-range", format!("not {}", list(&policy.deny)));
        }
        if !policy.allow.is_empty() {
            self.add(4, "allowlist-source-range", format!("only {}", list(&policy.allow)));
        }
        if policy.cors.is_some() {
            self.add(5, "enable-cors", "answers preflights of the origins that it names");
        }
        let moved = if policy.asks_credentials() { 9 } else { 6 };
        if let Some(host) = &policy.moved_to {
            self.add(moved, "from-to-www-redirect", format!("308 to {host}"));
        }
        if policy.adds_slash {
            self.add(moved, "nginx-quirks", "301 to the path with a / behind");
        }
        if policy.app_root.is_some() {
            self.add(moved, "app-root", "302 where the path is /");
        }
        if let Some(redirect) = &policy.redirect {
            self.add(moved, "permanent-redirect", format!("{} for all", redirect.status));
        }
        if policy.to_https.is_some() {
            self.add(6, "ssl-redirect", "308 to https, where it came without");
        }
        if let Some(limits) = &policy.limits {
            if limits.connections > 0 {
                let most = format!("{} requests of one client at once", limits.connections);
                self.add(7, "limit-connections", most);
            }
            let rates = [
                ("limit-rpm", limits.rates.per_minute.as_ref(), "minute"),
                ("limit-rps", limits.rates.per_second.as_ref(), "second"),
            ];
            for (name, rate, time) in rates {
                if let Some(rate) = rate {
                    let (most, burst) = (rate.requests, rate.burst);
                    let most = format!("{most} requests of one client a {time}, {burst} at once");
                    self.add(7, name, most);
                }
            }
        }
        if let Some(basic) = &policy.basic {
            self.add(8, "auth-type", format!("a name and password of realm {:?}", basic.realm));
        }
        if let Some(external) = &policy.external {
            let whom = match &external.place {
                AuthPlace::Service(address) => {
                    format!("asks Service {}, port {}", address.service, address.port)
                }
                AuthPlace::Host(host, port) => format!("asks {host}:{port}"),
                AuthPlace::OwnHost => "asks a host of an Ingress".to_owned(),
            };
            self.add(8, "auth-url", whom);
        }
        if policy.credentials_outweigh() {
            self.add(8, "satisfy", "any: the lists or credentials are enough");
        }
    }

    /// Where it goes, and as what.
    fn ways(&mut self, policy: &Policy) {
        match policy.max_body_bytes {
            None => {}
            Some(0) => self.add(10, "proxy-body-size", "bodies of any length"),
            Some(most) => {
                self.add(10, "proxy-body-size", format!("bodies of {most} bytes at most"))
            }
        }
        let balancing = &policy.balancing;
        if let Some(affinity) = &balancing.affinity {
            let name = &affinity.name;
            self.add(11, "affinity", format!("clients return by their cookie {name}"));
        }
        if balancing.hash.is_some() {
            self.add(11, "upstream-hash-by", "the endpoint is chosen by a hash");
        }
        if balancing.quickest {
            self.add(11, "load-balance", "ewma: the endpoint that answers soonest");
        }
        if policy.rewrite.is_some() {
            self.add(12, "rewrite-target", "the path becomes another");
        }
        if policy.upstream_host.is_some() {
            self.add(12, "upstream-vhost", "the backend gets another Host");
        }
        if policy.backend_tls.is_some() {
            let which =
                if policy.backend_as_client { "where the client speaks it" } else { "always" };
            self.add(12, "backend-protocol", format!("TLS to the backend, {which}"));
        }
        if policy.backend_http2 {
            self.add(12, "backend-protocol", "HTTP/2 to the backend");
        }
        let fields = &policy.request_fields;
        let names = fields
            .set
            .iter()
            .map(|(name, _)| name)
            .chain(&fields.removed);
        self.fields(12, "portico.dev/request-headers", names);
        let times = policy.timeouts;
        let times = [
            ("proxy-connect-timeout", times.connect),
            ("proxy-send-timeout", times.send),
            ("proxy-read-timeout", times.read),
        ];
        for (name, seconds) in times {
            if let Some(seconds) = seconds {
                self.add(12, name, format!("{seconds} s"));
            }
        }
        if let Some(tries) = policy.retries.tries {
            self.add(12, "proxy-next-upstream-tries", format!("{tries} endpoints at most"));
        }
        if let Some(most) = policy.max_head_bytes {
            self.add(
                12,
                "proxy-buffer-size",
                format!("answers with heads of {most} bytes at most"),
            );
        }
        if let Some(rate) = &policy.download_rate {
            let rate = format!("{} bytes a second", rate.bytes_per_second);
            self.add(12, "limit-rate", rate);
        }
    }

    /// What becomes of the answer.
    fn answers(&mut self, policy: &Policy) {
        if let Some(pages) = &policy.error_pages {
            let (service, port) = (&pages.backend.service, pages.backend.port);
            let who = format!("Service {service}, port {port}, answers in the place of errors");
            self.add(13, "custom-http-errors", who);
        }
        let fields = &policy.response_fields;
        let names = fields
            .set
            .iter()
            .map(|(name, _)| name)
            .chain(&fields.removed);
        self.fields(14, "portico.dev/response-headers", names);
        let names = policy.custom_fields.iter().map(|(name, _)| name);
        self.fields(14, "custom-headers", names);
        if policy.rewrites.is_some() {
            self.add(14, "proxy-cookie-path", "places in the answer become others");
        }
        if policy.mirror.is_some() {
            self.add(12, "mirror-target", "a copy goes to another place, too");
        }
        if policy.unlogged {
            self.add(14, "enable-access-log", "the log does not hear of it");
        }
    }

    fn fields<'a>(
        &mut self,
        number: u8,
        name: &'static str,
        names: impl Iterator<Item = &'a Box<str>>,
    ) {
        let names: Vec<&str> = names.map(|name| &**name).collect();
        if !names.is_empty() {
            self.add(number, name, names.join(", "));
        }
    }
}
