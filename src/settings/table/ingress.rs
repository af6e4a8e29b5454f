//! Which Ingresses are served, what is logged, and what holds where an Ingress does not say it.
//!
//! How much a request may have, and for how long, is in [`requests`](super::requests).

use crate::settings::kind::Kind;
use crate::settings::{Group, Setting};

/// What Ingress does.
pub(super) static SETTINGS: &[Setting] = &[
    Setting::new(
        "ingress.controllers",
        Group::Ingress,
        "CONTROLLER",
        "Controllers of IngressClass objects that are served",
        Kind::Names(|to| &mut to.settings.controllers),
    )
    .live(),
    Setting::new(
        "ingress.classNames",
        Group::Ingress,
        "NAME",
        "Classes that are served without an IngressClass object",
        Kind::Names(|to| &mut to.settings.class_names),
    )
    .live(),
    Setting::new(
        "ingress.serveClassless",
        Group::Ingress,
        "true|false",
        "Whether an Ingress without any class is served",
        Kind::Switch(|to| &mut to.settings.serve_classless),
    )
    .live(),
    Setting::new(
        "devTls",
        Group::Ingress,
        "true|false",
        "Whether hosts of Ingresses without a certificate get one of a CA in the state folder",
        Kind::Switch(|to| &mut to.settings.dev_tls),
    ),
    Setting::new(
        "ingress.proxyProtocol",
        Group::Ingress,
        "off|required",
        "Whether clients of Ingress begin with a PROXY header, from a trusted proxy",
        Kind::Required(|to| &mut to.settings.proxy_protocol),
    ),
    Setting::new(
        "accessLog",
        Group::Ingress,
        "off|-|FILE",
        "Where requests are logged, - for standard output; SIGUSR1 begins a file anew",
        Kind::LogTarget(|to| &mut to.settings.access_log.target),
    ),
    Setting::new(
        "accessLogFormat",
        Group::Ingress,
        "common|combined|upstreaminfo|json|TEXT",
        "What a line says; TEXT has variables by nginx's names, such as $status and $http_user_agent",
        Kind::LogShape(|to| &mut to.settings.access_log.format),
    ),
    Setting::new(
        "ingress.fullForwardedFor",
        Group::Ingress,
        "true|false",
        "Whether X-Forwarded-For keeps what a trusted proxy said, and adds its address",
        Kind::Switch(|to| &mut to.settings.front_door.full_forwarded_for),
    ),
    Setting::new(
        "ingress.forwarded",
        Group::Ingress,
        "true|false",
        "Whether backends are told Forwarded (RFC 7239) too, which says what X-Forwarded-For says",
        Kind::Switch(|to| &mut to.settings.front_door.forwarded),
    ),
    Setting::new(
        "ingress.sslRedirect",
        Group::Ingress,
        "true|false",
        "Whether plain HTTP is redirected to HTTPS where an Ingress does not say it",
        Kind::Switch(|to| &mut to.settings.front_door.ssl_redirect),
    )
    .live(),
    Setting::new(
        "ingress.nginxQuirks",
        Group::Ingress,
        "true|false",
        "Whether paths are compared and ordered as ingress-nginx does it, where no Ingress says otherwise",
        Kind::Switch(|to| &mut to.settings.front_door.nginx_quirks),
    )
    .live(),
    Setting::new(
        "ingress.hsts",
        Group::Ingress,
        "true|false",
        "Whether answers over HTTPS say Strict-Transport-Security, where the certificate is a Secret's",
        Kind::Switch(|to| &mut to.settings.front_door.hsts.on),
    ),
    Setting::new(
        "ingress.hstsMaxAge",
        Group::Ingress,
        "SECONDS",
        "For how long browsers come by HTTPS alone then; 0: they forget it",
        Kind::Seconds(0..=315_360_000, |to| &mut to.settings.front_door.hsts.max_age_seconds),
    ),
    Setting::new(
        "ingress.hstsIncludeSubdomains",
        Group::Ingress,
        "true|false",
        "Whether that holds for all names below the host's",
        Kind::Switch(|to| &mut to.settings.front_door.hsts.include_subdomains),
    ),
    Setting::new(
        "ingress.hstsPreload",
        Group::Ingress,
        "true|false",
        "Whether browsers may be delivered with that knowledge",
        Kind::Switch(|to| &mut to.settings.front_door.hsts.preload),
    ),
    Setting::new(
        "ingress.limitStatus",
        Group::Ingress,
        "429|503",
        "What who is over a limit of rate or connections gets",
        Kind::LimitStatus(|to| &mut to.settings.front_door.limit_status),
    )
    .live(),
    Setting::new(
        "ingress.defaultBackend",
        Group::Ingress,
        "NAMESPACE/NAME:PORT",
        "Which Service answers what no Ingress has a rule for",
        Kind::ServicePort(|to| &mut to.settings.front_door.default_backend),
    )
    .by_default("none: 404")
    .live(),
    Setting::new(
        "ingress.defaultTlsSecret",
        Group::Ingress,
        "NAMESPACE/NAME",
        "The Secret with the certificate of hosts that have none",
        Kind::Object(|to| &mut to.settings.front_door.default_tls_secret),
    )
    .by_default("a certificate made at start")
    .live(),
    Setting::new(
        "ingress.allowedResponseHeaders",
        Group::Ingress,
        "NAME",
        "Fields of responses that annotations may set by custom-headers",
        Kind::FieldNames(|to| &mut to.settings.front_door.allowed_response_headers),
    )
    .live(),
    Setting::new(
        "ingress.outboundHosts",
        Group::Ingress,
        "HOST",
        "Hosts that annotations may send requests to, such as by auth-url, and ExternalName Services lead to",
        Kind::Names(|to| &mut to.settings.front_door.outbound_hosts),
    )
    .by_default("all but link-local and metadata addresses")
    .live(),
];
