//! Golden files: manifests in (`golden/*.yaml`), snapshot and diagnostics out (`*.snapshot`).
//!
//! One file per subject: what is expected and why stands in its comments, written before it was
//! compiled. The first line may set `# settings: serviceCidr=… clusterIps=keep admin=… nodeAddress=…`.
//! A line `# then` ends one version of the file and begins the next; the snapshot is the last one's.
//! `UPDATE_GOLDENS=1 cargo test -p portico-config --test golden` writes them anew; whoever does that
//! reads the difference.

#![expect(clippy::unwrap_used, reason = "a golden file that cannot be read fails its test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use portico_config::model::{ClusterIps, HostFacts, Settings};
use portico_config::pipeline::{Pipeline, Update};
use portico_config::snapshot::{
    Assignments, Backend, Endpoint, Host, Reach, ServicePort, Snapshot, Traffic,
};
use portico_config::source::Changes;

#[test]
fn manifests_become_the_snapshots_that_were_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    let mut different = Vec::new();
    for path in names {
        let got = rendered(&path);
        let golden = path.with_extension("snapshot");
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::write(&golden, &got).unwrap();
        }
        let want = fs::read_to_string(&golden).unwrap_or_default();
        if got != want {
            different.push(format!("{}:\n{got}", golden.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// What the file holds, one version after the other; each stands on the lines that it has here.
fn versions(content: &str) -> impl Iterator<Item = String> {
    let mut line = 0;
    content.split("# then\n").map(move |version| {
        let text = format!("{}{version}", "\n".repeat(line));
        line += version.lines().count() + 1;
        text
    })
}

/// The defaults, and what the first line of a golden says.
fn settings(text: &str) -> Settings {
    let node_addresses = vec!["127.0.0.1".parse().unwrap()];
    let mut settings = Settings { node_addresses, ..Settings::default() };
    let first = text.lines().next().unwrap_or_default();
    let words = first.strip_prefix("# settings: ").unwrap_or_default();
    for word in words.split_whitespace() {
        match word.split_once('=').unwrap() {
            ("serviceCidr", value) => {
                settings.service_cidrs = value.split(',').map(|v| v.parse().unwrap()).collect();
            }
            ("clusterIps", "keep") => settings.cluster_ips = ClusterIps::Keep,
            ("admin", value) => settings.admin = vec![value.parse().unwrap()],
            ("nodeAddress", value) => settings.node_addresses = vec![value.parse().unwrap()],
            other => panic!("{other:?} is no setting of goldens"),
        }
    }
    settings
}

fn rendered(path: &Path) -> String {
    let name = Path::new(path.file_name().unwrap()).to_owned();
    let content = fs::read_to_string(path).unwrap();
    let settings = Arc::new(settings(&content));
    let mut pipeline = Pipeline::new(settings, HostFacts::default(), Assignments::default());
    let mut update = None;
    for content in versions(&content) {
        let written = vec![(Arc::new(name.clone()), content.into_bytes().into())];
        let changes = Changes { written, ..Changes::default() };
        update = Some(pipeline.apply(changes, 1_800_000_000));
    }
    render(&update.unwrap())
}

fn render(update: &Update) -> String {
    let snapshot: &Snapshot = &update.snapshot;
    let mut text = String::new();
    for service in snapshot.services.values() {
        let reach = match &service.reach {
            Reach::ClusterIp(addresses) => format!("ClusterIP {addresses:?}"),
            Reach::Headless => "headless".to_owned(),
            Reach::ExternalName(name) => format!("alias of {name}"),
        };
        writeln!(text, "Service {}: {reach}", service.name).unwrap();
        render_traffic(&mut text, &service.traffic);
        for port in &service.ports {
            render_port(&mut text, port);
        }
        for address in &service.addresses {
            writeln!(text, "  name {} {}", address.label, address.address).unwrap();
        }
    }
    for (word, fronts) in [("front", &snapshot.fronts), ("unbound", &snapshot.unbound)] {
        for front in fronts.iter() {
            let (kind, address, protocol) = (front.kind.label(), front.address, front.protocol);
            writeln!(text, "{word} {kind} {address}/{protocol} {}", front.port).unwrap();
        }
    }
    for check in snapshot.health_checks.iter() {
        writeln!(text, "health check {} {}", check.address, check.service).unwrap();
    }
    let exact: BTreeMap<_, _> = snapshot.routes.exact.iter().collect();
    for (name, host) in exact {
        render_host(&mut text, name, host);
    }
    let wildcard: BTreeMap<_, _> = snapshot.routes.wildcard.iter().collect();
    for (suffix, host) in wildcard {
        render_host(&mut text, &format!("*.{suffix}"), host);
    }
    if let Some(host) = &snapshot.routes.any {
        render_host(&mut text, "any other host", host);
    }
    let exact = snapshot.certificates.exact.iter();
    let exact = exact.map(|(name, certificate)| (name.to_string(), certificate));
    let wildcard = snapshot.certificates.wildcard.iter();
    let wildcard = wildcard.map(|(suffix, certificate)| (format!("*.{suffix}"), certificate));
    let names: BTreeMap<_, _> = exact.chain(wildcard).collect();
    for (name, certificate) in names {
        let secret = certificate
            .secret
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        writeln!(text, "certificate {name}: {secret}").unwrap();
    }
    for record in &snapshot.zones.hosts {
        writeln!(text, "host {}: {:?} {}", record.host, record.addresses, record.owner).unwrap();
    }
    writeln!(text, "namespaces {:?}", snapshot.zones.namespaces).unwrap();
    for found in update.diagnostics.iter() {
        writeln!(text, "{found}").unwrap();
    }
    text
}

/// What is not as it is without a word in the manifest.
fn render_traffic(text: &mut String, traffic: &Traffic) {
    let silent = Traffic::default();
    let shown = |is: bool, name: &str, value: &dyn std::fmt::Debug| {
        if is { format!(" {name} {value:?}") } else { String::new() }
    };
    let Traffic { families, internal, external, external_ips, load_balancer_ips, .. } = traffic;
    let words = [
        shown(*families != silent.families, "families", families),
        shown(*internal != silent.internal, "internal", internal),
        shown(*external != silent.external, "external", external),
        shown(!external_ips.is_empty(), "externalIPs", external_ips),
        shown(!load_balancer_ips.is_empty(), "balancer", load_balancer_ips),
        shown(!traffic.source_ranges.is_empty(), "ranges", &traffic.source_ranges),
        traffic
            .affinity_timeout
            .map_or_else(String::new, |it| format!(" affinity {it:?}")),
        shown(traffic.balance != silent.balance, "balance", &traffic.balance),
        shown(traffic.slow_start != silent.slow_start, "slow start", &traffic.slow_start),
        traffic
            .health_check_node_port
            .map_or_else(String::new, |it| format!(" health {it}")),
        traffic
            .other_proxy
            .as_ref()
            .map_or_else(String::new, |it| format!(" proxied by {it}")),
    ];
    let words = words.concat();
    if !words.is_empty() {
        writeln!(text, "  traffic{words}").unwrap();
    }
}

fn render_port(text: &mut String, port: &ServicePort) {
    let node_port = port
        .node_port
        .map_or_else(String::new, |port| format!(" nodePort {port}"));
    let name = if port.id.name.is_empty() { "-" } else { &*port.id.name };
    writeln!(text, "  port {name} {}/{}{node_port}", port.port, port.id.protocol).unwrap();
    let usable: Vec<&Endpoint> = port.usable().collect();
    for endpoint in &port.endpoints {
        let mut words = Vec::new();
        for (is, word) in [
            (endpoint.ready, "ready"),
            (endpoint.serving, "serving"),
            (endpoint.terminating, "terminating"),
            (usable.contains(&endpoint), "usable"),
        ] {
            if is {
                words.push(word);
            }
        }
        words.extend(endpoint.pod.as_deref());
        words.extend(endpoint.node.as_deref());
        words.extend(endpoint.zone.as_deref());
        let hints = endpoint
            .hinted_nodes()
            .iter()
            .chain(endpoint.hinted_zones());
        let hints: Vec<String> = hints.map(|hint| format!("for:{hint}")).collect();
        words.extend(hints.iter().map(|hint| &**hint));
        let weight = (endpoint.weight != 1).then(|| format!("weight:{}", endpoint.weight));
        words.extend(weight.as_deref());
        writeln!(text, "    {} {}", endpoint.address, words.join(" ")).unwrap();
    }
}

fn render_host(text: &mut String, name: &str, host: &Host) {
    let backend = |backend: &Backend| match backend {
        Backend::Service(port) => port.to_string(),
        Backend::Missing(reason) => format!("503: {reason}"),
        Backend::Resource => "404: resource".to_owned(),
    };
    writeln!(text, "routes of {name}").unwrap();
    for location in &host.locations {
        let to = backend(&location.backend);
        writeln!(text, "  {:?} {} -> {to} by {}", location.kind, location.path, location.ingress)
            .unwrap();
        if let Some(canary) = &location.canary {
            let to = backend(&canary.backend);
            writeln!(text, "    or -> {to} by {}", canary.ingress).unwrap();
        }
    }
    if let Some(default) = &host.default_backend {
        writeln!(text, "  else -> {}", backend(default)).unwrap();
    }
}
