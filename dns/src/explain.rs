//! Why a name is answered as it is: zone, rule and object, as `portico explain dns` tells.
//!
//! Invariants: pure; the answer itself comes out of the table that would serve, so that what is said
//! of it cannot differ. Rules are those of `docs/conformance/dns.md`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use portico_config::model::{ObjectName, Settings};
use portico_config::snapshot::{Reach, Service, Snapshot};

use crate::acl::{self, Access};
use crate::answer::{Outcome, Transport, answer};
use crate::build::Tables;
use crate::forward;
use crate::names::Level;
use crate::question::REFUSED;
use crate::rewrite::Rewrites;
use crate::serve::Ends;
use crate::special::is_special;
use crate::table::{AnswerTable, Found};
use crate::views::seen_from;
use crate::wire::wire;

/// What a question comes to, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explained {
    /// The reply as it is sent over TCP; none where somebody else would be asked.
    pub reply: Option<Vec<u8>>,
    /// The zone of ours that the name is in.
    pub zone: Option<String>,
    /// The rule that decides, by its number.
    pub rule: &'static str,
    /// The rule in words.
    pub why: String,
    /// The object that the name is of: `Service default/web`.
    pub object: Option<String>,
    /// Who is asked, and whether it works; none where nobody is, or where nothing runs.
    pub upstreams: Vec<(String, bool)>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// With or without a final dot.
    pub name: &'a str,
    /// QTYPE.
    pub kind: u16,
    /// Who asks: its network must be let in, and a Pod may have its search path walked.
    pub from: IpAddr,
}

/// Explains what a resolver that runs answers now.
#[derive(Clone, Debug)]
pub struct Explainer {
    pub(crate) table: Arc<ArcSwap<AnswerTable>>,
    pub(crate) acl: Arc<ArcSwap<Access>>,
    pub(crate) rewrites: Arc<ArcSwap<Rewrites>>,
    pub(crate) forward: Arc<forward::Shared>,
}

impl Explainer {
    /// What is said at a listener on `local`, by objects of `snapshot`, the one that serves; none where
    /// the name is none.
    pub fn explain(
        &self,
        snapshot: &Snapshot,
        local: IpAddr,
        asking: Asking<'_>,
    ) -> Option<Explained> {
        let (table, acl, rewrites) = (self.table.load(), self.acl.load(), self.rewrites.load());
        let mut found = explain_by(&table, (&acl, &rewrites), snapshot, local, asking)?;
        if let (None, Some(key)) = (&found.reply, wire(asking.name)) {
            let key = rewrites.name(&key).map_or(key, |(_, other)| other);
            found.upstreams = self.forward.upstreams(&key, asking.from);
        }
        Some(found)
    }
}

/// What a resolver of these settings says of the objects of `snapshot`; none where the name is none.
pub fn explain(
    snapshot: &Arc<Snapshot>,
    settings: &Settings,
    asking: Asking<'_>,
) -> Option<Explained> {
    let table = Tables::default().next(snapshot, &settings.dns);
    let local = settings.dns.first().map(SocketAddr::ip);
    let local = local.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let rewrites = Rewrites(settings.dns_rewrites.clone());
    let asked = (&settings.dns_allow[..], settings.dns_drop_denied);
    let access = Access::new(asked, &settings.forwarding.allow);
    explain_by(&table, (&access, &rewrites), snapshot, local, asking)
}

fn explain_by(
    table: &AnswerTable,
    (acl, rewrites): (&Access, &Rewrites),
    snapshot: &Snapshot,
    local: IpAddr,
    asking: Asking<'_>,
) -> Option<Explained> {
    let key = wire(asking.name)?;
    let table = table.seen_by(asking.from);
    let head = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let message = [&head[..], &key, &asking.kind.to_be_bytes(), &[0, 1]].concat();
    let mut reply = Vec::new();
    let peer = SocketAddr::new(asking.from, 1024);
    let zone = table.zone_of(&key);
    let labels = labels(&key, zone.unwrap_or(1));
    let zone = zone
        .and_then(|length| key.get(key.len() - length..))
        .map(dotted);
    let upstreams = Vec::new();
    if !acl.allows(asking.from) {
        acl.deny(&message, (peer, Transport::Tcp), table.udp_size, &mut reply);
        let why = format!("{} is in no network of --dns-allow", asking.from);
        let reply = (!reply.is_empty()).then_some(reply);
        let (rule, object) = ("3.1", None);
        return Some(Explained { reply, zone, rule, why, object, upstreams });
    }
    if let Some((rule, other)) = rewrites.name(&key) {
        let name = dotted(&other);
        let asking = Asking { name: &name, ..asking };
        // Once, as it is asked.
        let none = Rewrites::default();
        let mut found = explain_by(table, (acl, &none), snapshot, local, asking)?;
        let idle = Duration::ZERO;
        let ends = Ends { peer, local, transport: Transport::Tcp, idle };
        if let (Some((_, restore)), Some(reply)) =
            (rewrites.apply(&message, ends, table.udp_size), &mut found.reply)
        {
            restore.restore(reply);
        }
        let why = format!("asked as {name} by dns.rewrite {rule}: {}", found.why);
        return Some(Explained { why, ..found });
    }
    let outcome = answer(&message, peer, local, Transport::Tcp, table, &mut reply);
    let view = table_view(snapshot, asking.from);
    let asked = Asked { snapshot, view, table, key: &key, labels };
    let (mut rule, mut why, object) = asked.why(zone.as_deref());
    let is_found = reply.get(3).is_some_and(|code| code & 15 == 0);
    if is_found && matches!(table.find(&key), Found::Missing(_)) {
        (rule, why) = ("1.12", "the search path of the Pod that asks leads there".to_owned());
    }
    let is_elsewhere = matches!(outcome, Outcome::Elsewhere { .. });
    if is_elsewhere && !acl.forwards(asking.from) {
        if matches!(outcome, Outcome::Elsewhere { rcode: REFUSED, .. }) {
            acl::refuse(&message, (peer, Transport::Tcp), table.udp_size, &mut reply);
        }
        why = format!("{why}, which is done for no client of {}", asking.from);
        let reply = Some(reply);
        return Some(Explained { reply, zone, rule: "4.1", why, object, upstreams });
    }
    let reply = (!is_elsewhere).then_some(reply);
    Some(Explained { reply, zone, rule, why, object, upstreams })
}

struct Asked<'a> {
    snapshot: &'a Snapshot,
    /// The network whose records count for who asks.
    view: Option<IpNet>,
    table: &'a AnswerTable,
    key: &'a [u8],
    /// In front of the zone.
    labels: Vec<String>,
}

type Why = (&'static str, String, Option<String>);

impl Asked<'_> {
    fn why(&self, zone: Option<&str>) -> Why {
        let say = |rule, why: &str| (rule, why.to_owned(), None);
        match self.table.find(self.key) {
            Found::Outside if is_special(self.key) => say("4.4", "a name for special use"),
            Found::Outside => {
                let why = "in no zone of ours: asked of whom --forward names".to_owned();
                ("4.1", why + &self.meant(), None)
            }
            Found::Pod(_) => say("1.9", "the address of a Pod of this namespace"),
            Found::Missing(_) if self.table.falls_through(self.key) => say(
                "4.5",
                "not in our zone, and by --dns-fallthrough asked of whom --forward names",
            ),
            Found::Missing(_) if !self.is_forward(zone) => {
                say("1.6", "the zone is ours and holds no such name")
            }
            Found::Missing(_) => self.missing(),
            Found::Node(..) => match self.table.names.find(self.key).map(|entry| entry.level) {
                None => self
                    .record()
                    .unwrap_or_else(|| self.host("a host by a wildcard")),
                Some(Level::Host) => self.host("a host"),
                Some(Level::HostParent) => say("2", "there are hosts below it"),
                Some(Level::Parent) => say("1.3.2", "there are names below it"),
                Some(Level::Static) => self
                    .record()
                    .unwrap_or_else(|| say("4.3", "the address of a static record")),
                Some(Level::Own) => self.own(zone),
            },
        }
    }

    /// The Service that a name without its end is of, as programs of a Pod may write it; they are told by
    /// the search path.
    fn meant(&self) -> String {
        let labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        let (name, namespace) = match labels.as_slice() {
            [name] => (name, None),
            [name, namespace] | [name, namespace, "svc"] => (name, Some(namespace)),
            _ => return String::new(),
        };
        let is_it = |known: &&ObjectName| {
            *known.name == **name && namespace.is_none_or(|it| *known.namespace == **it)
        };
        let known = self.snapshot.services.keys().find(is_it);
        let (Some(known), Some(zone)) = (known, self.snapshot.zones.cluster_domains.first()) else {
            return String::new();
        };
        let ObjectName { name, namespace } = known;
        format!("; Service {known} is {name}.{namespace}.svc.{zone}, which a search path leads to")
    }

    /// Which static record the name is of.
    fn record(&self) -> Option<Why> {
        let name = dotted(self.key);
        let records = &self.snapshot.zones.records;
        let records = seen_from(self.view, records);
        let exact = records.iter().find(|record| *record.name == *name);
        let is_below = |suffix: &str| {
            let labels = name.strip_suffix(suffix);
            let labels = labels.and_then(|rest| rest.strip_suffix('.'));
            let zones = &self.snapshot.zones;
            labels.is_some_and(|labels| !zones.are_wildcards_shallow || !labels.contains('.'))
        };
        let found = exact.or_else(|| {
            let wild = records
                .iter()
                .filter(|it| it.wildcard().is_some_and(is_below));
            wild.max_by_key(|record| record.name.len())
        })?;
        let object = match &found.file {
            Some(file) => format!("hosts file {}", file.display()),
            None => format!("dns.record {found}"),
        };
        Some(("4.3", "a static record".to_owned(), Some(object)))
    }

    fn is_forward(&self, zone: Option<&str>) -> bool {
        let zones = &self.snapshot.zones;
        let mut forward = zones.cluster_domains.iter().chain(&zones.alias_zones);
        forward.any(|own| Some(&**own) == zone)
    }

    /// Who names the host.
    fn host(&self, what: &str) -> Why {
        let name = dotted(self.key);
        let hosts = self.snapshot.zones.hosts.iter();
        let exact = hosts.clone().find(|record| record.host.to_string() == name);
        // A host of one label has names in alias zones too.
        let short = name.split('.').next().unwrap_or_default();
        let found = exact
            .or_else(|| {
                hosts
                    .clone()
                    .find(|record| record.host.to_string() == short)
            })
            .or_else(|| hosts.clone().find(|record| record.host.matches(&name)));
        ("2", what.to_owned(), found.map(|record| record.owner.to_string()))
    }

    /// A name that a rule of the zone makes.
    fn own(&self, zone: Option<&str>) -> Why {
        let labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        let of = |rule, why: &str, service: Option<&Service>| {
            (rule, why.to_owned(), service.map(|it| format!("Service {}", it.name)))
        };
        let service = |name: &str, namespace: &str| self.service(name, namespace);
        match labels.as_slice() {
            _ if !self.is_forward(zone) && labels.last() != Some(&"dns") && !labels.is_empty() => {
                of("1.6", "the name of an address", self.addressed())
            }
            [] => of("1.8", "the apex of a zone", None),
            ["ns", "dns"] => of("1.8", "this resolver", None),
            ["dns-version"] => of("1.1", "the version of the schema", None),
            [name, namespace, "svc"] => {
                let service = service(name, namespace);
                match service.map(|service| &service.reach) {
                    Some(Reach::Headless) => of("1.1", "a headless Service", service),
                    Some(Reach::ExternalName(_)) => of("1.7", "an ExternalName", service),
                    _ => of("1.1", "a Service with a ClusterIP", service),
                }
            }
            [port, _, name, namespace, "svc"] if port.starts_with('_') => {
                of("1.5", "a port of a Service", service(name, namespace))
            }
            [protocol, name, namespace, "svc"] if protocol.starts_with('_') => {
                of("2", "there are ports below it", service(name, namespace))
            }
            [_, name, namespace, "svc"] => {
                of("1.3.4", "an endpoint of a Service", service(name, namespace))
            }
            _ => of("1.1", "a name of the zone's own", None),
        }
    }

    /// Why a forward zone lacks the name.
    fn missing(&self) -> Why {
        let labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        let say = |rule, why: String| (rule, why, None);
        let [.., namespace, "svc" | "pod"] = labels.as_slice() else {
            return say("1.3.1", "no rule makes such a name".to_owned());
        };
        let zones = &self.snapshot.zones;
        if !zones.exposes(namespace) {
            let by = "--dns-namespaces or --dns-namespace-labels";
            return say("1.2", format!("namespace {namespace} has no names by {by}"));
        }
        if !zones.namespaces.contains(*namespace) {
            return say("1.3.2", format!("there is no namespace {namespace}"));
        }
        let [.., name, _, "svc"] = labels.as_slice() else {
            return say("1.9", "no Pod of this namespace has this address".to_owned());
        };
        let Some(service) = self.service(name, namespace) else {
            return say("1.3.1", format!("there is no Service {namespace}/{name}"));
        };
        let object = Some(format!("Service {}", service.name));
        if service.is_nameless {
            return ("1.2", "its labels are not those of --dns-labels".to_owned(), object);
        }
        match &service.reach {
            Reach::Headless if service.addresses.is_empty() => {
                ("1.4", "headless, and no endpoint is ready".to_owned(), object)
            }
            Reach::ExternalName(target) if target.parse::<IpAddr>().is_ok() => {
                ("1.7", "an externalName that is an address".to_owned(), object)
            }
            Reach::ClusterIp(_) if zones.ignore_empty_service && service.addresses.is_empty() => {
                ("1.11", "no endpoint is ready, and --ignore-empty-service".to_owned(), object)
            }
            _ => ("1.3.3", "the Service has no such endpoint or port".to_owned(), object),
        }
    }

    fn service(&self, name: &str, namespace: &str) -> Option<&Service> {
        let name = ObjectName::new(namespace, name);
        self.snapshot.services.get(&name).map(|service| &**service)
    }

    /// The Service whose ClusterIP or endpoint a reverse name is of.
    fn addressed(&self) -> Option<&Service> {
        let is_it = |address: IpAddr| {
            let mut name = Vec::new();
            crate::wire::put_reverse_name(&mut name, address);
            name == self.key
        };
        let of_cluster = |service: &&Arc<Service>| match &service.reach {
            Reach::ClusterIp(addresses) => addresses.iter().any(|address| is_it(*address)),
            _ => false,
        };
        let of_endpoint =
            |service: &&Arc<Service>| service.addresses.iter().any(|known| is_it(known.address));
        let mut services = self.snapshot.services.values();
        let cluster = services.clone().find(of_cluster);
        cluster
            .or_else(|| services.find(of_endpoint))
            .map(|service| &**service)
    }
}

/// The narrowest network of records that a client is in.
fn table_view(snapshot: &Snapshot, client: IpAddr) -> Option<IpNet> {
    let views = snapshot.zones.records.iter().filter_map(|it| it.view);
    let client = client.to_canonical();
    views
        .filter(|view| view.contains(&client))
        .max_by_key(IpNet::prefix_len)
}

/// The labels of a wire name in front of its last `behind` octets.
fn labels(key: &[u8], behind: usize) -> Vec<String> {
    let mut rest = key
        .get(..key.len().saturating_sub(behind))
        .unwrap_or_default();
    let mut labels = Vec::new();
    while let Some((&length, after)) = rest.split_first() {
        let (label, after) = after
            .split_at_checked(usize::from(length))
            .unwrap_or((after, &[]));
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = after;
    }
    labels
}

/// A wire name as people write it, without the last dot.
fn dotted(key: &[u8]) -> String {
    labels(key, 1).join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_reason() {
        let snapshot = Arc::new(crate::tests::snapshot());
        let from = IpAddr::from([127, 0, 0, 1]);
        let asking = |name| Asking { name, kind: 1, from };
        let all = Settings::default();
        for (name, rule, object) in [
            ("web.default.svc.cluster.local", "1.1", "Service default/web"),
            ("db.default.svc.portico.test", "1.1", "Service default/db"),
            ("db-0.db.default.svc.cluster.local", "1.3.4", "Service default/db"),
            ("_pg._tcp.db.default.svc.cluster.local", "1.5", "Service default/db"),
            ("out.default.svc.cluster.local", "1.7", "Service default/out"),
            ("empty.default.svc.cluster.local", "1.4", "Service default/empty"),
            ("number.default.svc.cluster.local", "1.7", "Service default/number"),
            ("x.web.default.svc.cluster.local", "1.3.3", "Service default/web"),
            ("nobody.default.svc.cluster.local", "1.3.1", ""),
            ("web.other.svc.cluster.local", "1.3.2", ""),
            ("10-0-0-1.default.pod.cluster.local", "1.9", ""),
            ("svc.cluster.local", "1.3.2", ""),
            ("cluster.local", "1.8", ""),
            ("1.0.96.127.in-addr.arpa", "1.6", "Service default/web"),
            ("1.0.0.10.in-addr.arpa", "1.6", "Service default/db"),
            ("9.9.96.127.in-addr.arpa", "1.6", ""),
            ("mi-web", "2", "Ingress default/web"),
            ("mi-web.portico.test", "2", "Ingress default/web"),
            ("one.wild.example", "2", "Ingress default/web"),
            ("www.example.org", "4.1", ""),
            ("localhost", "4.4", ""),
        ] {
            let found = explain(&snapshot, &all, asking(name)).unwrap();
            assert_eq!(
                (found.rule, found.object.unwrap_or_default()),
                (rule, object.to_owned()),
                "{name}"
            );
        }
        let short = explain(&snapshot, &all, asking("web.default")).unwrap();
        assert!(
            short
                .why
                .contains("Service default/web is web.default.svc.cluster.local"),
            "{}",
            short.why
        );
        assert_eq!(explain(&snapshot, &all, asking("a..b")), None);
        let rule = "suffix .corp.test .default.svc.cluster.local";
        let dns_rewrites = vec![rule.parse().unwrap()];
        let rewriting = Settings { dns_rewrites, ..Settings::default() };
        let found = explain(&snapshot, &rewriting, asking("web.corp.test")).unwrap();
        assert_eq!((found.rule, &*found.object.unwrap()), ("1.1", "Service default/web"));
        assert!(
            found
                .why
                .starts_with("asked as web.default.svc.cluster.local by"),
            "{}",
            found.why
        );
        let few = vec!["10.0.0.0/8".parse().unwrap()];
        let mut settings = Settings { dns_allow: few.clone(), ..Settings::default() };
        let found = explain(&snapshot, &settings, asking("web.default.svc.cluster.local")).unwrap();
        assert_eq!((found.rule, found.reply.unwrap()[3] & 15), ("3.1", 5), "not let in");
        settings = Settings::default();
        settings.forwarding.allow = few;
        let found = explain(&snapshot, &settings, asking("www.example.org")).unwrap();
        assert_eq!((found.rule, found.reply.unwrap()[3] & 15), ("4.1", 5), "not forwarded");
    }
}
