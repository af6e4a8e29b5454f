//! `healthCheckNodePort`: what a load balancer hears of this node.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::portico::Portico;
use crate::harness::process::{Process, tool};
use crate::harness::{PATIENCE, eventually};

/// A Service with endpoints on the named nodes, each ready or not.
fn manifests(endpoints: &[(&str, &str, bool)]) -> String {
    let mut text = String::from(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  type: LoadBalancer\n  \
         externalTrafficPolicy: Local\n  ports: [{name: a, port: 80}, {name: b, port: 81}]\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: web-1\n  labels: \
         {kubernetes.io/service-name: web}\naddressType: IPv4\nports: [{name: a, port: 8080}, \
         {name: b, port: 8081}]\nendpoints:\n",
    );
    for (address, node, ready) in endpoints {
        let conditions = format!("{{ready: {ready}, serving: true, terminating: {}}}", !ready);
        let line =
            format!("- {{addresses: [{address}], nodeName: {node}, conditions: {conditions}}}\n");
        text.push_str(&line);
    }
    text
}

/// Status code and `localEndpoints` that a check answers; none while nothing listens.
fn ask(check: SocketAddr) -> Option<(u16, u64)> {
    let url = format!("http://{check}/healthz");
    let output = tool("curl", &["-s", "-m", "20", "-w", "\n%{http_code}", &url])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n')?;
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    assert_eq!(body["service"]["name"], "web");
    Some((code.parse().ok()?, body["localEndpoints"].as_u64()?))
}

#[test]
fn a_node_with_ready_endpoints_of_its_own_is_healthy_and_others_are_not() {
    let here = [("127.0.9.1", "n1", true), ("127.0.9.2", "n1", true), ("127.0.9.3", "n2", true)];
    let portico = Portico::with(&[("web.yaml", &manifests(&here))])
        .adjust(|settings| settings.node_name = Some("n1".into()))
        .start();
    let check = portico.health_check("default/web");
    assert_eq!(ask(check), Some((200, 2)), "services 4.8: addresses count once over all ports");
    for (endpoints, want) in [
        (&[("127.0.9.1", "n1", true), ("127.0.9.2", "n1", false)][..], (200, 1)),
        // Traffic falls back to what terminates, and the load balancer is sent away all the same.
        (&[("127.0.9.1", "n1", false), ("127.0.9.3", "n2", true)], (503, 0)),
        (&[], (503, 0)),
    ] {
        portico.edit("web.yaml", &manifests(endpoints));
        let found = || ask(check).filter(|found| *found == want);
        eventually("the check follows the endpoints", found);
    }
    portico.remove("web.yaml");
    eventually("the check closes with its Service", || TcpStream::connect(check).err());
}

#[test]
fn a_client_that_says_nothing_or_too_much_gets_no_answer_and_others_do() {
    let portico = Portico::with(&[("web.yaml", &manifests(&[("127.0.9.1", "n1", true)]))])
        .adjust(|settings| settings.node_name = Some("n1".into()))
        .workers(1)
        .start();
    let check = portico.health_check("default/web");
    let silent = TcpStream::connect(check).unwrap();
    let mut loud = TcpStream::connect(check).unwrap();
    loud.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be closed before all is sent.
    let _ = loud.write_all(&[b'x'; 64 * 1024]);
    let mut answer = Vec::new();
    let _ = loud.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
    assert_eq!(ask(check), Some((200, 1)));
    drop(silent);
}

#[test]
fn checks_fail_once_the_process_begins_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let text = manifests(&[("127.0.9.1", "n1", true)]);
    // An address that nobody else listens on: the port has to be one of NodePorts.
    let [.., high, low] = std::process::id().to_be_bytes();
    let check = SocketAddr::from(([127, 93, high, low], 30_222));
    let policy = "externalTrafficPolicy: Local";
    let text = text.replace(policy, &format!("{policy}\n  healthCheckNodePort: {}", check.port()));
    std::fs::write(folder.path().join("web.yaml"), text).unwrap();
    let process = Process::portico(&[
        "run",
        &folder.path().to_string_lossy(),
        "--node-name=n1",
        &format!("--node-address={}", check.ip()),
        "--drain-delay=60s",
        "--http=off",
        "--https=off",
        "--dns=off",
        "--admin=off",
        "--service-cidr=127.94.0.0/16",
    ]);
    eventually("portico answers", || ask(check).filter(|found| *found == (200, 1)));
    process.signal("TERM");
    eventually("the check fails first", || ask(check).filter(|found| *found == (503, 1)));
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(143), "a second signal ends it now");
}
