//! Mistakes: each gives one clear diagnostic with its place, and everything else keeps serving.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::front_door::{ingress, secret};
use crate::harness::eventually;
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::{Process, own_address};
use crate::services::{service, who};

#[test]
fn refused_objects_keep_their_last_good_version() {
    let (pod, neighbour) = (Pod::tcp("pod"), Pod::tcp("neighbour"));
    let good = service("db", "ClusterIP", 3307, &[&pod]);
    let portico = Portico::with(&[
        ("db.yaml", &good),
        ("near.yaml", &service("near", "ClusterIP", 3308, &[&neighbour])),
    ])
    .start();
    let front = portico.cluster_ip("default/db", 3307);
    for (case, text, want) in [
        ("broken YAML", "kind: Service\n  bad: [".to_owned(), "db.yaml:2:"),
        ("half written", good[..good.len() / 2].to_owned(), "db.yaml:"),
        ("port out of range", good.replace("3307", "70000"), "spec.ports[0].port"),
        ("port of a wrong type", good.replace("port: 3307", "port: many"), "spec.ports[0].port"),
        ("no kind", good.replace("kind: Service\n", ""), "kind"),
    ] {
        portico.edit("db.yaml", &text);
        let errors = portico.errors();
        assert_eq!(errors.len(), 1, "{case}: {errors:?}");
        assert!(errors[0].contains(want), "{case}: {}", errors[0]);
        assert!(portico.readyz().contains(want), "{case}: {}", portico.readyz());
        assert_eq!(who(front).unwrap(), "pod", "{case}");
        assert_eq!(who(portico.cluster_ip("default/near", 3308)).unwrap(), "neighbour", "{case}");
    }
    portico.edit("db.yaml", &good);
    assert!(portico.errors().is_empty());
}

#[test]
fn a_certificate_that_does_not_fit_its_key_is_refused() {
    let (one, _) = secret("web", &["web.test"]);
    let (two, _) = secret("web", &["web.test"]);
    let key = two.find("  tls.key").unwrap();
    let mixed = format!("{}{}", &one[..one.find("  tls.key").unwrap()], &two[key..]);
    let tls = "  tls:\n  - {hosts: [web.test], secretName: web}\n";
    let web = ingress("web", &[("web.test", "Prefix", "/", "web")], tls);
    let portico = Portico::with(&[("tls.yaml", &mixed), ("web.yaml", &web)]).start();
    let errors = portico.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("Secret default/web"), "{errors:?}");
    assert!(errors[0].contains("tls.yaml:"), "{errors:?}");
    assert!(!errors[0].contains("PRIVATE"), "secrets never reach a diagnostic");
}

#[test]
fn of_two_objects_with_one_name_the_first_file_serves() {
    let (first, second) = (Pod::tcp("first"), Pod::tcp("second"));
    let portico = Portico::with(&[
        ("a.yaml", &service("db", "ClusterIP", 3307, &[&first])),
        ("b.yaml", &service("db", "ClusterIP", 3307, &[&second])),
    ])
    .start();
    let front = portico.cluster_ip("default/db", 3307);
    assert_eq!(who(front).unwrap(), "first");
    let errors = portico.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("b.yaml:") && errors[0].contains("a.yaml"), "{errors:?}");
    portico.remove("a.yaml");
    assert_eq!(who(portico.cluster_ip("default/db", 3307)).unwrap(), "second");
    assert!(portico.errors().is_empty());
}

#[test]
fn used_with_a_warning() {
    let pod = Pod::http("web");
    let web = service("web", "ClusterIP", 80, &[&pod]);
    let rules = [("web.test", "Prefix", "/", "web"), ("wbe.test", "Prefix", "/", "wbe")];
    let tls = "  tls:\n  - {hosts: [safe.test], secretName: nowhere}\n";
    let lonely = "apiVersion: v1\nkind: Service\nmetadata: {name: lonely}\n\
                  spec: {selector: {app: nobody}, ports: [{port: 1}]}\n";
    let portico = Portico::with(&[
        ("web.yaml", &web.replace("spec:\n", "spec:\n  sesionAffinity: None\n")),
        ("ingress.yaml", &ingress("i", &rules, tls)),
        ("lonely.yaml", lonely),
    ])
    .start();
    assert!(portico.errors().is_empty(), "{:?}", portico.errors());
    let warnings = portico.warnings().join("\n");
    for want in ["sesionAffinity", "did you mean `web`", "nowhere", "Service default/lonely"] {
        assert!(warnings.contains(want), "{want} in:\n{warnings}");
        assert!(portico.readyz().contains(want), "{want} in:\n{}", portico.readyz());
    }
    assert_eq!(get(portico.http(), "web.test", "/").text(), "web");
}

#[test]
fn a_dump_of_a_cluster_loads() {
    let pod = Pod::tcp("pod");
    let dump = format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: \
         {{name: web}}\n  spec: {{replicas: 2}}\n- apiVersion: v1\n  kind: Pod\n  metadata: {{name: \
         p, labels: {{app: db}}, managedFields: []}}\n  spec: {{nodeName: n1, containers: [{{name: \
         c, image: x, resources: {{limits: {{cpu: 1}}}}}}]}}\n  status: {{phase: Running, podIP: {}, \
         qosClass: Burstable}}\n- apiVersion: v1\n  kind: Service\n  metadata: {{name: db, uid: x, \
         resourceVersion: \"1\"}}\n  spec: {{clusterIP: 10.3.2.1, clusterIPs: [10.3.2.1], \
         internalTrafficPolicy: Cluster, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, \
         selector: {{app: db}}, sessionAffinity: None, type: ClusterIP, ports: [{{port: 3307, \
         protocol: TCP, targetPort: {}}}]}}\n  status: {{loadBalancer: {{}}}}\n",
        pod.address.ip(),
        pod.address.port()
    );
    let portico = Portico::with(&[("dump.yaml", &dump)]).start();
    assert_eq!((portico.errors(), portico.warnings()), (vec![], vec![]));
    assert_eq!(who(portico.cluster_ip("default/db", 3307)).unwrap(), "pod");
}

#[test]
fn a_folder_that_may_not_be_read_keeps_what_was_read_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    fs::write(manifests.join("i.yaml"), ingress("i", &[("a.test", "Prefix", "/", "a")], ""))
        .unwrap();
    let (http, admin) = (own_address(), own_address());
    let (http_text, admin_text) = (http.to_string(), admin.to_string());
    let listeners =
        ["--http", &http_text, "--admin", &admin_text, "--https", "off", "--dns", "off"];
    let path = [manifests.to_str().unwrap()];
    let process = Process::portico(&[&["run"][..], &listeners, &path].concat());
    let is_served = || get(http, "a.test", "/").status == 503;
    let says = |want: &str, is_said: bool| {
        eventually(want, || {
            let body = get(admin, &admin_text, "/readyz");
            (body.text().contains(want) == is_said).then_some(())
        });
    };
    // A port that is tried before it is opened for good takes a connection and resets it: ask once all is ready.
    eventually("it is ready", || {
        std::net::TcpStream::connect(admin).ok()?;
        (get(admin, &admin_text, "/readyz").status == 200).then_some(())
    });
    assert!(is_served());
    fs::set_permissions(&manifests, Permissions::from_mode(0o000)).unwrap();
    // Who runs the tests as root is kept from nothing; CI runs them as another user once more.
    if fs::read_dir(&manifests).is_err() {
        process.signal("HUP");
        says("Permission denied", true);
        assert!(is_served(), "what was read stays");
    }
    fs::set_permissions(&manifests, Permissions::from_mode(0o755)).unwrap();
    process.signal("HUP");
    says("Permission denied", false);
    assert!(is_served());
}
