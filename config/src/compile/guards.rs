//! What guards the locations of one Ingress and stands in other objects: the names and passwords of
//! its Secret, the fields of its ConfigMap, and the Service that is asked (`ingress 2.4`: `auth-secret`,
//! `auth-url`); and, found the same way, where copies go (`ingress 2.5`: `mirror-target`).
//!
//! Invariant: an object that is not there, or has nothing of the kind, closes; so does one that is
//! deleted later, and the locations open again when it comes back.

use std::sync::Arc;

use super::backend_tls::Closed;
use super::ingress::Owned;
use super::{Objects, finding};
use crate::diagnostic::{Code, Diagnostic};
use crate::location::FieldPath;
use crate::model::annotation::PREFIX;
use crate::model::{
    AuthPlace, Basic, ExternalAuth, FieldEdits, HostPattern, Mirror, ObjectName, Policy,
    ServiceAddress, Settings,
};
use crate::validate::{BasicAsk, ExternalAsk, InUse, Kind, is_field_name, is_field_value};

/// What other objects add to what an Ingress asks.
#[derive(Default)]
pub(super) struct Guards {
    basic: Option<Arc<Basic>>,
    external: Option<Arc<ExternalAuth>>,
    custom: Arc<[(Box<str>, Box<str>)]>,
    mirror: Option<Arc<Mirror>>,
    /// Why nothing is served.
    closed: Option<Closed>,
}

impl Guards {
    /// Looks up what an Ingress names, and tells what is wrong with it.
    pub(super) fn of(
        (object, ingress): Owned<'_>,
        (objects, owned): (&Objects, &[Owned<'_>]),
        settings: &Settings,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut guards = Self::default();
        if let Some(ask) = &ingress.annotations.basic {
            match basic(ask, object, objects, diagnostics) {
                Ok(basic) => guards.basic = Some(Arc::new(basic)),
                Err(why) => guards.close(object, ("auth-secret", why), diagnostics),
            }
        }
        if let Some(ask) = &ingress.annotations.external {
            match external(ask, object, (objects, owned, settings), diagnostics) {
                Ok(external) => guards.external = Some(Arc::new(external)),
                Err(closed) => guards.close(object, closed, diagnostics),
            }
        }
        if let Some(name) = &ingress.annotations.custom_fields {
            match custom(name, objects, settings) {
                Ok(fields) => guards.custom = fields.into(),
                Err(why) => guards.close(object, ("custom-headers", why), diagnostics),
            }
        }
        if let Some(mirror) = &ingress.annotations.policy.mirror {
            guards.mirror = copied(mirror, object, (objects, owned, settings), diagnostics);
        }
        guards
    }

    /// Writes into a policy of the Ingress what is asked.
    pub(super) fn apply(&self, policy: &mut Policy) {
        policy.basic.clone_from(&self.basic);
        policy.external.clone_from(&self.external);
        policy.custom_fields = Arc::clone(&self.custom);
        policy.mirror.clone_from(&self.mirror);
        // It was for portico (`ingress 2.4`: `auth-realm`).
        let authorization = self.basic.iter().map(|_| AUTHORIZATION.into());
        let answered = self.external.iter().flat_map(|it| &it.response_fields);
        let answered = answered.map(|name| name.to_ascii_lowercase().into());
        let FieldEdits { removed, set } = &policy.request_fields;
        let own = removed.iter().chain(set.iter().map(|(name, _)| name));
        let own = own.map(|name| name.to_ascii_lowercase().into());
        policy.withheld = authorization.chain(answered).chain(own).collect();
        if let Some(Closed { annotation, why }) = &self.closed {
            let why = || format!("annotation {PREFIX}{annotation}: {why}").into();
            policy.closed.get_or_insert_with(why);
        }
    }

    fn close(
        &mut self,
        object: &InUse,
        (annotation, why): (&'static str, String),
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let text = format!("{why}: its locations are closed, every request gets 503");
        let field = field(annotation);
        diagnostics.push(finding(Code::AnnotationCloses, object, field, text));
        self.closed.get_or_insert(Closed { annotation, why });
    }
}

/// The users of the Secret that an Ingress names.
fn basic(
    ask: &BasicAsk,
    object: &InUse,
    objects: &Objects,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Basic, String> {
    let name = &ask.secret.name;
    let Some((_, secret)) = objects.secret(&ask.secret) else {
        return Err(objects.lacks_secret(&ask.secret));
    };
    let (users, lacks) = match ask.by_key {
        true => (&secret.users.by_key, "no keys, or a type of its own"),
        false => (&secret.users.by_line, "no key `auth` with lines"),
    };
    let Some((users, skipped)) = users else {
        return Err(format!("Secret `{name}` has {lacks}"));
    };
    if skipped.lines > 0 {
        let text = format!(
            "{} of the entries of Secret `{name}` have no hash that is known, or one that takes too long \
             to compute: nobody can log in by them",
            skipped.lines
        );
        let code = Code::InvalidIngressAnnotation;
        diagnostics.push(finding(code, object, field("auth-secret"), text));
    }
    Ok(Basic { realm: ask.realm.clone(), users: Arc::clone(users) })
}

/// Who is asked, with what the ConfigMap says.
fn external(
    ask: &ExternalAsk,
    object: &InUse,
    (objects, owned, settings): (&Objects, &[Owned<'_>], &Settings),
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<ExternalAuth, (&'static str, String)> {
    let mut auth = ask.auth.clone();
    if let Some(name) = &ask.fields {
        auth.fields = fields(name, objects).map_err(|why| ("auth-proxy-set-headers", why))?;
    }
    let located =
        locate(&auth.place, (objects, owned, settings)).map_err(|why| ("auth-url", why))?;
    if let Some(missing) = located.missing {
        let text = format!("{missing}: every request gets 500");
        diagnostics.push(finding(Code::MissingService, object, field("auth-url"), text));
    }
    (auth.place, auth.listed) = (located.place, located.listed);
    Ok(auth)
}

/// Where copies go; none: they may not go there.
fn copied(
    mirror: &Mirror,
    object: &InUse,
    world: (&Objects, &[Owned<'_>], &Settings),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Arc<Mirror>> {
    let field = || field("mirror-target");
    match locate(&mirror.place, world) {
        Ok(Located { place, listed, missing }) => {
            if let Some(missing) = missing {
                let text = format!("{missing}: nothing is copied");
                diagnostics.push(finding(Code::MissingService, object, field(), text));
            }
            Some(Arc::new(Mirror { place, listed, ..mirror.clone() }))
        }
        Err(why) => {
            let text = format!("{why}: nothing is copied");
            diagnostics.push(finding(Code::InvalidIngressAnnotation, object, field(), text));
            None
        }
    }
}

/// Where a host of a URL is.
struct Located {
    place: AuthPlace,
    /// Whether settings list it.
    listed: bool,
    /// The Service that it names and that is not there.
    missing: Option<String>,
}

/// Looks a host up among Services, Ingresses and what settings list; an error: it may not be asked.
fn locate(
    place: &AuthPlace,
    (objects, owned, settings): (&Objects, &[Owned<'_>], &Settings),
) -> Result<Located, String> {
    let AuthPlace::Host(host, port) = place else {
        return Ok(Located { place: place.clone(), listed: false, missing: None });
    };
    let Some(service) = service_named(host, settings) else {
        let all = &settings.front_door.outbound_hosts;
        let listed = all.iter().any(|it| it.eq_ignore_ascii_case(host));
        if !all.is_empty() && !listed && !is_served(host, owned) {
            return Err(format!("`{host}` is none of the setting `outboundHosts`"));
        }
        return Ok(Located { place: place.clone(), listed, missing: None });
    };
    let found = objects.services.get(&service).map(|it| &it.valid.kind);
    let has_port =
        matches!(found, Some(Kind::Service(it)) if it.ports.iter().any(|it| it.port == *port));
    let missing = (!has_port).then(|| format!("no Service `{service}` with port {port}"));
    let place = AuthPlace::Service(ServiceAddress { service, port: *port });
    Ok(Located { place, listed: false, missing })
}

/// Whether the rules of an Ingress are about a host.
fn is_served(host: &str, owned: &[Owned<'_>]) -> bool {
    let suffix = host.split_once('.').map_or("", |(_, suffix)| suffix);
    let mut rules = owned.iter().flat_map(|(_, ingress)| &ingress.rules);
    rules.any(|rule| match &rule.host {
        HostPattern::Exact(name) => **name == *host,
        HostPattern::Wildcard(of) => **of == *suffix,
        HostPattern::Any => false,
    })
}

/// The fields of a ConfigMap, if settings allow all of them.
fn custom(name: &ObjectName, objects: &Objects, settings: &Settings) -> Result<Fields, String> {
    let fields = fields(name, objects)?;
    let allowed = &settings.front_door.allowed_response_headers;
    let is_allowed = |name: &str| allowed.iter().any(|it| it.eq_ignore_ascii_case(name));
    match fields.iter().find(|(name, _)| !is_allowed(name)) {
        Some((name, _)) => {
            Err(format!("`{name}` is none of the setting `ingress.allowedResponseHeaders`"))
        }
        None => Ok(fields),
    }
}

/// The Service whose name a host is: `name.namespace.svc`, with or without a cluster domain.
pub(super) fn service_named(host: &str, settings: &Settings) -> Option<ObjectName> {
    let mut domains = settings.cluster_domains.iter();
    let within = domains.find_map(|domain| host.strip_suffix(&**domain)?.strip_suffix('.'));
    let (name, namespace) = within
        .unwrap_or(host)
        .strip_suffix(".svc")?
        .split_once('.')?;
    Some(ObjectName::new(namespace, name))
}

/// Names and values.
type Fields = Box<[(Box<str>, Box<str>)]>;

/// The fields that a ConfigMap lists.
fn fields(name: &ObjectName, objects: &Objects) -> Result<Fields, String> {
    let map = objects.config_maps.get(name).map(|it| &it.valid.kind);
    let Some(Kind::ConfigMap(map)) = map else {
        return Err(format!("no ConfigMap `{}` in namespace {}", name.name, name.namespace));
    };
    let (name, most) = (&name.name, MAX_FIELDS);
    if map.data.len() > most {
        return Err(format!("ConfigMap `{name}` has more than {most} fields"));
    }
    let fields = map.data.iter();
    match fields
        .clone()
        .find(|(key, value)| !is_field_name(key) || !is_field_value(value))
    {
        Some((key, _)) => {
            Err(format!("`{key}` of ConfigMap `{name}` is no field, or has no value of one"))
        }
        None => Ok(fields
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect()),
    }
}

fn field(annotation: &str) -> FieldPath {
    FieldPath::from("metadata.annotations").key(&format!("{PREFIX}{annotation}"))
}

/// Of one ConfigMap.
const MAX_FIELDS: usize = 100;
const AUTHORIZATION: &str = "authorization";
