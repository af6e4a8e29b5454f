//! What a dashboard made for CoreDNS asks of `/metrics`, and what it finds (`dns 5.1`).

use std::collections::BTreeSet;

use hickory_proto::rr::RecordType;
use portico_config::model::ForwardPolicy;

use crate::harness::dns::{ask, ask_tcp};
use crate::harness::http;
use crate::harness::portico::Portico;
use crate::harness::upstream::{Upstream, octets};

const MANIFESTS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  ports:
  - {name: sql, port: 3307}
";

/// The selectors in the queries of CoreDNS's own dashboard and of those that people install, with the labels that they
/// group by or filter with.
const QUERIES: &[(&str, &[&str])] = &[
    ("coredns_build_info", &["version"]),
    ("coredns_plugin_enabled", &["server", "zone", "view", "name"]),
    ("coredns_reload_failed_total", &[]),
    ("coredns_hosts_entries", &["hostsfile"]),
    ("coredns_kubernetes_dns_programming_duration_seconds_bucket", &["service_kind", "le"]),
    ("coredns_dns_https_responses_total", &["server", "status"]),
    ("coredns_acl_allowed_requests_total", &["server", "view"]),
    ("coredns_acl_blocked_requests_total", &["server", "zone", "view"]),
    ("coredns_acl_filtered_requests_total", &["server", "zone", "view"]),
    ("coredns_acl_dropped_requests_total", &["server", "zone", "view"]),
    ("coredns_shed_dropped_total", &["server", "reason"]),
    ("coredns_panics_total", &[]),
    ("coredns_dns_requests_total", &["server", "zone", "view", "proto", "family", "type"]),
    ("coredns_dns_responses_total", &["server", "zone", "view", "rcode", "plugin"]),
    ("coredns_dns_do_requests_total", &["server", "zone", "view"]),
    ("coredns_dns_request_duration_seconds_bucket", &["server", "zone", "view", "le"]),
    ("coredns_dns_request_duration_seconds_sum", &["server", "zone", "view"]),
    ("coredns_dns_request_duration_seconds_count", &["server", "zone", "view"]),
    ("coredns_dns_request_size_bytes_bucket", &["server", "zone", "proto", "le"]),
    ("coredns_dns_response_size_bytes_bucket", &["server", "zone", "proto", "le"]),
    ("coredns_cache_entries", &["server", "type", "zones", "view"]),
    ("coredns_cache_hits_total", &["server", "type", "zones", "view"]),
    ("coredns_cache_misses_total", &["server", "zones", "view"]),
    ("coredns_cache_requests_total", &["server", "zones", "view"]),
    ("coredns_cache_drops_total", &["server", "zones", "view"]),
    ("coredns_forward_healthcheck_broken_total", &[]),
    ("coredns_forward_max_concurrent_rejects_total", &[]),
    ("coredns_proxy_request_duration_seconds_bucket", &["proxy_name", "to", "rcode", "le"]),
    ("coredns_proxy_healthcheck_failures_total", &["proxy_name", "to"]),
    ("coredns_proxy_conn_cache_hits_total", &["proxy_name", "to", "proto"]),
    ("coredns_proxy_conn_cache_misses_total", &["proxy_name", "to", "proto"]),
];

#[test]
fn a_dashboard_for_coredns_finds_every_series_that_it_asks_for() {
    let upstream = Upstream::start(|heard| vec![octets(heard, &heard.address([192, 0, 2, 1]))]);
    let rules = vec![upstream.address().to_string().parse().unwrap()];
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(|settings| {
            settings.forwarding.rules = rules;
            settings.forwarding.policy = ForwardPolicy::Sequential;
            settings.names.records = vec!["db.corp.test A 192.0.2.9".parse().unwrap()];
        })
        .start();
    let dns = portico.dns();
    for _ in 0..3 {
        ask(dns, "db.default.svc.cluster.local.", RecordType::A);
        ask(dns, "www.example.com.", RecordType::A);
    }
    ask_tcp(dns, "none.default.svc.portico.test.", RecordType::AAAA);
    let answer = http::get(portico.admin(), "localhost", "/metrics");
    let text = answer.text();
    for (name, labels) in QUERIES {
        let found = text.lines().find(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let found = found.unwrap_or_else(|| panic!("{name} is not there:\n{text}"));
        let has = |label: &&&str| {
            let begin = [format!("{{{label}=\""), format!(",{label}=\"")];
            !begin.iter().any(|begin| found.contains(begin))
        };
        let missing: BTreeSet<_> = labels.iter().filter(has).collect();
        assert!(missing.is_empty(), "{found} lacks {missing:?}");
    }
    let server = format!(r#"server="dns://{dns}""#);
    for (series, want) in [
        (
            format!(
                r#"coredns_dns_requests_total{{family="1",proto="udp",{server},type="A",view="",zone="cluster.local."}}"#
            ),
            3,
        ),
        (
            format!(
                r#"coredns_dns_responses_total{{plugin="kubernetes",rcode="NXDOMAIN",{server},view="",zone="portico.test."}}"#
            ),
            1,
        ),
        (
            format!(
                r#"coredns_dns_responses_total{{plugin="forward",rcode="NOERROR",{server},view="",zone="."}}"#
            ),
            1,
        ),
        (
            format!(
                r#"coredns_dns_responses_total{{plugin="cache",rcode="NOERROR",{server},view="",zone="."}}"#
            ),
            2,
        ),
        (
            format!(
                r#"coredns_dns_request_duration_seconds_count{{{server},view="",zone="cluster.local."}}"#
            ),
            3,
        ),
        (r#"portico_dns_responses_total{rcode="NXDOMAIN"}"#.to_owned(), 1),
        (format!(r#"coredns_acl_allowed_requests_total{{{server},view=""}}"#), 7),
        (format!(r#"coredns_plugin_enabled{{name="forward",{server},view="",zone="."}}"#), 1),
        // Its address, and the name of its address.
        (r#"coredns_hosts_entries{hostsfile=""}"#.to_owned(), 2),
        ("coredns_reload_failed_total".to_owned(), 0),
    ] {
        assert_eq!(portico.metric(&series), want, "{series} in\n{text}");
    }
}

#[test]
fn an_edit_is_timed_by_the_services_that_it_changes() {
    let portico = Portico::with(&[("names.yaml", MANIFESTS)]).start();
    let count = |kind: &str| {
        let name = "coredns_kubernetes_dns_programming_duration_seconds_count";
        portico.metric(&format!(r#"{name}{{service_kind="{kind}"}}"#))
    };
    assert_eq!(count("cluster_ip"), 0, "dns 5.1: nobody edits what is there at the start");
    let headless = "apiVersion: v1\nkind: Service\nmetadata: {name: peers}\nspec: {clusterIP: None, \
                    selector: {app: peers}}\n---\n";
    portico.edit("names.yaml", &format!("{headless}{}", MANIFESTS.replace("3307", "3308")));
    assert_eq!(
        (count("cluster_ip"), count("headless_with_selector"), count("headless_without_selector")),
        (1, 1, 0),
        "dns 5.1"
    );
}
