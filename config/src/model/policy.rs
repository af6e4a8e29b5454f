//! What the annotations of an Ingress ask of every request to its locations.
//!
//! Typed and complete: whatever could not be made of an annotation that guards is `closed` here, so
//! a plane that obeys serves nothing that was to be guarded. Data only; obeying is `proxy::l7`'s
//! work, in the order of `ingress 1.10`.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::backend_tls::BackendTls;
use super::balancing::Balancing;
use super::compression::Compression;
use super::conduct::{Retries, Timeouts};
use super::cors::Cors;
use super::error_pages::ErrorPages;
use super::external_auth::ExternalAuth;
use super::field_edits::FieldEdits;
use super::limits::{ClientLimits, DownloadRate};
use super::mirror::Mirror;
use super::passwords::Basic;
use super::pattern::Pattern;
use super::rewrites::Rewrites;
use super::template::Template;

/// What is asked; the default asks nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// Why every request gets 503; none: it is open.
    pub closed: Option<Arc<str>>,
    /// Whether its requests are left out of the log of requests.
    pub unlogged: bool,
    /// Clients that get 403, before `allow` is asked.
    pub deny: Box<[IpNet]>,
    /// The only clients that do not get 403; empty: all.
    pub allow: Box<[IpNet]>,
    /// What answers say to scripts of other origins; none: nothing.
    pub cors: Option<Arc<Cors>>,
    /// Whose name and password are asked for; none: nobody's.
    pub basic: Option<Arc<Basic>>,
    /// Who is asked whether a request may pass; none: nobody.
    pub external: Option<Arc<ExternalAuth>>,
    /// Whether one of the lists and credentials is enough (`satisfy: any`).
    pub any_suffices: bool,
    /// Fields of clients that backends do not get, in lower case.
    pub withheld: Arc<[Box<str>]>,
    /// How much one client may ask; none: any.
    pub limits: Option<Arc<ClientLimits>>,
    /// What a request for exactly `/` is redirected to, with 302.
    pub app_root: Option<Template>,
    /// The host that every request is redirected to, with 308 (`from-to-www-redirect`).
    pub moved_to: Option<Arc<str>>,
    /// Whether every request is redirected to its path with a `/` behind, with 301: nginx does so for
    /// a path that ends in one (`ingress 2.2`).
    pub adds_slash: bool,
    /// Where every request is redirected to.
    pub redirect: Option<Redirect>,
    /// Whether a request over plain HTTP is redirected to HTTPS, and how.
    pub to_https: Option<ToHttps>,
    /// Whether a redirect to the same scheme and host names the path alone (`relative-redirects`).
    pub relative_redirects: bool,
    /// The longest body of a request in bytes, 0 for any; none: the default of 1 MiB.
    pub max_body_bytes: Option<u64>,
    /// Where copies of requests go; none: nowhere.
    pub mirror: Option<Arc<Mirror>>,
    /// Which answers are compressed; none: none is.
    pub compression: Option<Arc<Compression>>,
    /// How many bytes the head of a backend's answer may have; none: 64 KiB.
    pub max_head_bytes: Option<u32>,
    /// How fast an answer may go to its client; none: any.
    pub download_rate: Option<DownloadRate>,
    /// What is done to the fields of requests.
    pub request_fields: FieldEdits,
    /// What is done to the fields of answers.
    pub response_fields: FieldEdits,
    /// `custom-headers`: names and values that take the place of those of answers.
    pub custom_fields: Arc<[(Box<str>, Box<str>)]>,
    /// Whether a connection to a backend carries one request alone.
    pub backend_closes: bool,
    /// What the path must match; none: `path` is compared as its type says.
    pub pattern: Option<Pattern>,
    /// What the whole path becomes; none: it stays.
    pub rewrite: Option<Template>,
    /// What backends of a rewritten path get as `X-Forwarded-Prefix`.
    pub forwarded_prefix: Option<Template>,
    /// What backends get as Host; none: what the client sent.
    pub upstream_host: Option<Template>,
    /// TLS to backends; none: they are spoken to in the clear.
    pub backend_tls: Option<Arc<BackendTls>>,
    /// Whether they are spoken to by HTTP/2, in the clear with prior knowledge; else by HTTP/1.1.
    pub backend_http2: bool,
    /// Whether TLS to backends is for requests that came over TLS alone (`AUTO_HTTP`).
    pub backend_as_client: bool,
    /// Whom a backend must be; none: who its Host says.
    pub backend_name: Option<Template>,
    /// Whose answers take the place of errors; none: they are as they are.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// What backends say of places, in other words for clients; none: as they say it.
    pub rewrites: Option<Arc<Rewrites>>,
    /// How endpoints are chosen.
    pub balancing: Balancing,
    /// How long backends may take.
    pub timeouts: Timeouts,
    /// When another endpoint is asked.
    pub retries: Retries,
}

impl Policy {
    /// Whether something is asked of who comes that must be waited for.
    pub fn asks_credentials(&self) -> bool {
        self.basic.is_some() || self.external.is_some()
    }

    /// Whether credentials let in whom the lists keep out.
    pub fn credentials_outweigh(&self) -> bool {
        self.any_suffices && self.asks_credentials()
    }

    /// Takes away all credentials that are asked for.
    pub fn ask_nothing(&mut self) {
        self.basic = None;
        self.external = None;
    }

    /// Whether a client may come in: `deny` is asked before `allow`.
    pub fn lets_in(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let is_among = |networks: &[IpNet]| networks.iter().any(|it| it.contains(&client));
        !is_among(&self.deny) && (self.allow.is_empty() || is_among(&self.allow))
    }
}

/// A redirect of a whole location.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// 300 to 308.
    pub status: u16,
    /// The value of `Location`.
    pub location: Template,
}

/// The redirect from plain HTTP, with 308.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToHttps {
    /// The port of the HTTPS listener, told to clients that named a port; none: 443.
    pub port: Option<u16>,
    /// Whether all clients are told the port, 443 too (`use-port-in-redirects`).
    pub names_port: bool,
    /// Whether a `/` at the end stays (`preserve-trailing-slash`).
    pub keeps_slash: bool,
}
