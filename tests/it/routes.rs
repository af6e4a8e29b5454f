//! `--cluster-ips=route` in a network namespace of its own, where the whole machine is ours.

use std::fs;

use crate::harness::process::{program, tool};

/// Runs a shell script in a fresh network namespace, as its root; what it printed.
fn in_namespace(script: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).expect("a folder");
    fs::write(manifests.join("web.yaml"), WEB).expect("a file");
    let quote = |path: &std::path::Path| format!("'{}'", path.display());
    let script = format!(
        "set -eu\nPORTICO={} MANIFESTS={} LOG={}\n{SET_UP}\n{script}",
        quote(&program()),
        quote(&manifests),
        quote(&folder.path().join("log")),
    );
    let output = tool("unshare", &["--map-root-user", "--net", "sh", "-c", &script])?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn cluster_ips_bind_as_written_while_the_process_runs() {
    let Some(said) = in_namespace(
        "start\n\
         curl -sf -o /dev/null -w '%{http_code} v4\\n' http://10.96.0.10/\n\
         curl -sf -o /dev/null -w '%{http_code} v6\\n' 'http://[fd00:96::10]/'\n\
         dig +short @127.0.0.1 -p 1053 web.default.svc.cluster.local A\n\
         dig +short @127.0.0.1 -p 1053 web.default.svc.cluster.local AAAA\n\
         routes\n\
         stop; echo ended; routes",
    ) else {
        return;
    };
    let want = "200 v4\n200 v6\n10.96.0.10\nfd00:96::10\n10.96.0.0/16\nfd00:96::/108\nended\n";
    assert_eq!(said, want);
}

#[test]
fn a_route_that_a_crash_left_is_adopted_and_one_of_others_stays() {
    let Some(said) = in_namespace(
        "ip -6 route add local fd00:96::/108 dev lo\n\
         start; kill -KILL $PID; wait $PID || true\n\
         echo crashed; routes\n\
         start\n\
         curl -sf -o /dev/null -w '%{http_code}\\n' http://10.96.0.10/\n\
         stop; echo ended; routes; ip -6 route show table local fd00:96::/108 | wc -l",
    ) else {
        return;
    };
    let (crashed, ended) = said.split_once("ended\n").expect("both parts");
    assert!(crashed.starts_with("crashed\n10.96.0.0/16\n"), "{said}");
    assert!(crashed.ends_with("200\n"), "{said}");
    assert_eq!(ended, "1\n", "{said}");
}

#[test]
fn without_the_privilege_the_remedy_is_said_and_the_rest_serves() {
    let Some(said) = in_namespace(
        "start setpriv --bounding-set=-net_admin\n\
         curl -s http://127.0.0.1:9080/readyz | grep -c '10.96.0.10:80'\n\
         curl -sf -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:30090/\n\
         stop; routes\n\
         grep -c CAP_NET_ADMIN \"$LOG\"",
    ) else {
        return;
    };
    assert_eq!(said, "1\n200\n1\n");
}

/// What every script begins with: `start` runs portico until it is ready, with a prefix if one is
/// given; `stop` ends it; `routes` prints the networks whose routes are portico's.
const SET_UP: &str = r#"
export PORTICO_STATE_DIR=off
ip link set lo up
ALL=
trap 'kill $ALL 2>/dev/null || true' EXIT
for address in 127.0.0.1:8081 '[::1]:8081'; do
    "$PORTICO" echo --listen "$address" >/dev/null 2>&1 &
    ALL="$ALL $!"
    until curl -sf -o /dev/null "http://$address/"; do kill -0 $!; done
done
start() {
    "$@" "$PORTICO" run "$MANIFESTS" --cluster-ips route \
        --service-cidr 10.96.0.0/16 --service-cidr fd00:96::/108 >/dev/null 2>"$LOG" &
    PID=$! ALL="$ALL $!"
    until curl -sf -o /dev/null http://127.0.0.1:9080/readyz; do
        kill -0 $PID || { cat "$LOG" >&2; exit 1; }
    done
}
stop() { kill -TERM $PID; wait $PID; }
routes() {
    for family in -4 -6; do
        ip $family route show table local proto 112 | awk '{print $2}'
    done
}
"#;

const WEB: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {portico.dev/endpoints: '127.0.0.1:8081,[::1]:8081'}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10, 'fd00:96::10']
  ipFamilyPolicy: RequireDualStack
  type: NodePort
  ports: [{port: 80, nodePort: 30090}]
";
