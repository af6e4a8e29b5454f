//! `portico explain` about flows: by manifests, by the portico that runs, and in batches.

use std::fs;
use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::run;
use crate::services::{service, who};

const WORLD: &str = "\
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}
spec: {podCIDR: 10.244.1.0/24}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, clusterIP: 10.96.0.10, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30500}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints:
- {addresses: [10.244.1.1], nodeName: n1, hints: {forZones: [{name: z1}]}}
- {addresses: [10.244.2.1], nodeName: n2, hints: {forZones: [{name: z2}]}}
- {addresses: [10.244.2.2], nodeName: n2, conditions: {ready: false}}
";

fn json(arguments: &[&str]) -> Value {
    let output = run(arguments);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_flow_is_explained_by_manifests_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("world.yaml"), WORLD).unwrap();
    let path = folder.path().to_str().unwrap();
    let ask =
        ["explain", "tcp", "10.96.0.10:80", "--from", "10.244.1.9", "--node-name", "n1", path];
    let answer = json(&[&ask[..], &["--format", "json"]].concat());
    for (key, want) in [
        ("verdict", "\"forward\""),
        ("service", "\"default/web\""),
        ("port", "80"),
        ("endpoints", "[\"10.244.1.1:8080\"]"),
        ("source", "\"kept\""),
        ("front", "\"ClusterIP\""),
    ] {
        assert_eq!(answer[key].to_string(), want, "dns 5.3: {key}");
    }
    let excluded = &answer["excluded"];
    assert_eq!(excluded[0]["endpoint"], "10.244.2.1:8080");
    assert_eq!(excluded[0]["reason"], "is hinted for zone z2");
    assert_eq!(excluded[1]["reason"], "is not ready");
    let text = run(&ask);
    assert_eq!(text.status.code(), Some(0));
    let text = String::from_utf8(text.stdout).unwrap();
    for want in [
        "tcp 10.96.0.10:80 from 10.244.1.9 (a Pod), at node n1, zone z1\n",
        "forward: ClusterIP of Service default/web, port 80\n",
        "because    internalTrafficPolicy is Cluster\n",
        "hints      only endpoints that are hinted for zone z1\n",
        "to         10.244.1.1:8080\n",
        "not to     10.244.2.1:8080: is hinted for zone z2\n",
    ] {
        assert!(text.contains(want), "{want} in:\n{text}");
    }
}

#[test]
fn a_batch_has_one_answer_a_line_and_goes_on_after_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let (world, lines) = (folder.path().join("world.yaml"), folder.path().join("flows.txt"));
    fs::write(&world, WORLD).unwrap();
    let world = world.to_str().unwrap();
    let own = format!("udp 192.0.2.1:30500 --from 198.51.100.1 --node-name n2 '{world}'");
    let rows = [
        ("tcp 10.96.0.10:80 --from 10.244.1.9", "forward", "kept"),
        ("tcp 192.0.2.1:30500 --from 198.51.100.1", "forward", "kept"),
        ("tcp 192.0.2.1:30500 --from 192.0.2.1 --node-name n1", "forward", "masqueraded"),
        ("tcp 127.0.0.1:30500 --from 198.51.100.1 --node-name n3", "drop", "kept"),
        ("# a remark, and an empty line", "", ""),
        ("", "", ""),
        ("tcp 10.96.0.10:81 --from 10.244.1.9", "reject", "kept"),
        ("tcp 127.96.255.250:80", "drop", "kept"),
        (&own, "not_handled", "kept"),
        ("tcp nowhere", "error", "tcp \"nowhere\" is not ADDR:PORT"),
        ("P0304", "error", "a line asks about a flow"),
        ("sctp 10.96.0.10:80 --nope", "error", "unexpected argument"),
        ("tcp 203.0.113.9:443", "not_handled", "kept"),
    ];
    let text: Vec<_> = rows.iter().map(|(line, ..)| *line).collect();
    fs::write(&lines, text.join("\n")).unwrap();
    let output = run(&["explain", "--batch", lines.to_str().unwrap(), "--node-name", "n1", world]);
    assert_eq!(output.status.code(), Some(2), "two lines are no questions");
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let asked: Vec<_> = rows
        .iter()
        .filter(|(_, verdict, _)| !verdict.is_empty())
        .collect();
    assert_eq!(answers.len(), asked.len());
    for (answer, (line, verdict, more)) in answers.iter().zip(asked) {
        if *verdict == "error" {
            let error = answer["error"].as_str().unwrap_or_default();
            assert!(error.contains(more), "{line}: {answer}");
        } else {
            assert_eq!(answer["verdict"], *verdict, "{line}: {answer}");
            assert_eq!(answer["source"], *more, "{line}: {answer}");
        }
    }
}

#[test]
fn the_portico_that_runs_explains_what_it_does() {
    let pod = Pod::tcp("pod");
    let written = service("web", "ClusterIP", 8080, &[&pod])
        .replace("type: ClusterIP", "clusterIP: 10.96.0.10");
    let portico = Portico::with(&[("s.yaml", &written)]).start();
    let mapped = portico.cluster_ip("default/web", 8080);
    let admin = portico.admin().to_string();
    for to in [mapped, SocketAddr::from(([10, 96, 0, 10], 8080))] {
        let to = to.to_string();
        let answer = json(&["explain", "tcp", &to, "--admin", &admin, "--format", "json"]);
        assert_eq!(answer["verdict"], "forward", "{answer}");
        assert_eq!(answer["service"], "default/web", "{answer}");
        assert_eq!(answer["endpoints"][0], pod.address.to_string(), "{answer}");
    }
    assert_eq!(who(mapped).unwrap(), "pod");
    let nobody = run(&["explain", "tcp", "10.96.0.10:8080", "--admin", "127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no portico runs there"));
}

#[test]
fn a_name_is_explained_by_manifests_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("world.yaml"), WORLD).unwrap();
    let path = folder.path().to_str().unwrap();
    let name = "web.default.svc.portico.test";
    let keep = ["--cluster-ips", "keep", "--format", "json"];
    let answer = json(&[&["explain", "dns", name, path][..], &keep].concat());
    for (key, want) in [
        ("zone", "\"portico.test\""),
        ("rule", "\"dns 1.1\""),
        ("object", "\"Service default/web\""),
        ("status", "\"NOERROR\""),
        ("answer", "[\"web.default.svc.portico.test. 5 IN A 10.96.0.10\"]"),
    ] {
        assert_eq!(answer[key].to_string(), want, "dns 5.3: {key}");
    }
    let answer = json(&[&["explain", "dns", name, "SRV", path][..], &keep].concat());
    assert_eq!(answer["additional"].as_array().map(Vec::len), Some(1), "{answer}");
    let shown = run(&["explain", "dns", "no.default.svc.cluster.local", path]);
    let text = String::from_utf8(shown.stdout).unwrap();
    for want in [
        "rule    dns 1.3.1: there is no Service default/no\n",
        "status: NXDOMAIN\n;; flags: qr aa rd;",
        ";; AUTHORITY SECTION:\ncluster.local. 5 IN SOA ns.dns.cluster.local.",
    ] {
        assert!(text.contains(want), "{want}: {text}");
    }
    let refused = run(&["explain", "dns", "a..b", path]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a..b: is no name"));
}

#[test]
fn the_portico_that_runs_explains_its_names() {
    let portico = Portico::with(&[("world.yaml", WORLD)])
        .adjust(|settings| {
            // Nobody is there: it is told, not asked.
            settings.forwarding.rules = vec!["corp.example=192.0.2.53".parse().unwrap()];
            settings.dns_allow = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .start();
    let admin = portico.admin().to_string();
    let told = |words: &[&str]| {
        let asked = ["--admin", &admin, "--format", "json"];
        json(&[&["explain", "dns"], words, &asked].concat())
    };
    let web = told(&["web.default.svc.cluster.local"]);
    let listens = portico.cluster_ip("default/web", 80).ip();
    let record = format!("web.default.svc.cluster.local. 5 IN A {listens}");
    assert_eq!((&web["answer"][0], &web["rule"]), (&record.into(), &"dns 1.1".into()), "{web}");
    assert_eq!(web["object"], "Service default/web");
    let outside = told(&["db.corp.example", "SRV"]);
    assert_eq!(outside["rule"], "dns 4.1", "{outside}");
    assert_eq!(outside["upstreams"][0]["address"], "192.0.2.53:53", "{outside}");
    assert!(outside["status"].is_null(), "it is their answer: {outside}");
    let stranger = told(&["web.default.svc.cluster.local", "--from", "192.0.2.9"]);
    assert_eq!((&stranger["rule"], &stranger["status"]), (&"dns 3.1".into(), &"REFUSED".into()));
    portico.remove("world.yaml");
    let gone = told(&["web.default.svc.cluster.local"]);
    assert_eq!(gone["status"], "NXDOMAIN", "what serves now: {gone}");
    let shown = run(&["explain", "dns", "db.corp.example", "--admin", &admin]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("asked   192.0.2.53:53, up"), "{text}");
    let refused = run(&["explain", "dns", "a..b", "--admin", &admin]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a..b: is no name"));
}

#[test]
fn the_setup_of_this_host_is_printed_for_the_settings() {
    let shown = run(&["dns", "setup", "--dns", "127.0.0.1:53", "--alias-zone", "lab.test"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("DNS=127.0.0.1\nDomains=~cluster.local ~lab.test\n"), "{text}");
    assert!(!text.contains("takes no port"), "{text}");
    assert_eq!(run(&["dns", "setup", "--dns", "off"]).status.code(), Some(2));
}
