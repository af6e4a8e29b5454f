//! The settings file and the state folder as a person meets them: strict, live, kept.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::harness::dns::{Reply, ask, try_ask};
use crate::harness::process::{Process, own_address, run};
use crate::harness::upstream::{Upstream, octets};
use crate::harness::{eventually, http};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  type: \
                       NodePort\n  ports: [{port: 80}]\n";

/// A settings file that keeps away from other instances.
fn settings(admin: SocketAddr, cidr: u8, rest: &str) -> String {
    format!(
        "apiVersion: portico.dev/v1alpha1\nkind: PorticoConfiguration\nhttp: off\nhttps: off\n\
         admin: {admin}\nserviceCidr: 127.{cidr}.0.0/16\nnodeAddress: 127.249.{cidr}.1\n\
         workers: 1\n{rest}"
    )
}

/// A process that follows `portico.yaml` and serves `manifests` beside it.
fn start(folder: &Path, admin: SocketAddr) -> Process {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (config, manifests, state) = (path("portico.yaml"), path("manifests"), path("state"));
    // A file that says nothing of forwarding asks nobody all the same.
    let forwards = fs::read_to_string(&config).unwrap().contains("\nforward:");
    let start = if forwards { Process::forwarding } else { Process::portico };
    let process = start(&["run", &manifests, "--config", &config, "--state-dir", &state]);
    eventually("it is ready", || {
        std::net::TcpStream::connect(admin).ok()?;
        (http::get(admin, &admin.to_string(), "/readyz").status == 200).then_some(())
    });
    process
}

fn snapshot(admin: SocketAddr) -> serde_json::Value {
    let answer = http::get(admin, &admin.to_string(), "/api/v1/snapshot");
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn an_edit_of_the_settings_file_is_live_and_a_bad_one_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manifests")).unwrap();
    let file = folder.path().join("portico.yaml");
    let admin = own_address();
    let write = |dns: &str| {
        fs::write(&file, settings(admin, 246, &format!("dns: {{listen: off, ttl: {dns}}}\n")))
    };
    write("7").unwrap();
    let _process = start(folder.path(), admin);
    assert_eq!(snapshot(admin)["zones"]["ttlSeconds"], 7);
    write("9").unwrap();
    eventually("the new ttl counts", || {
        (snapshot(admin)["zones"]["ttlSeconds"] == 9).then_some(())
    });
    write("many").unwrap();
    eventually("the mistake is reported", || {
        let ready = http::get(admin, &admin.to_string(), "/readyz");
        (ready.text().starts_with("ready\n") && ready.text().contains("dns.ttl: expected"))
            .then_some(())
    });
    assert_eq!(snapshot(admin)["zones"]["ttlSeconds"], 9, "the last good settings stay");
    write("11").unwrap();
    eventually("it is mended", || (snapshot(admin)["zones"]["ttlSeconds"] == 11).then_some(()));
    assert_eq!(snapshot(admin)["diagnostics"], serde_json::json!([]));
    let limits = "dns: {listen: off, ttl: 11}\nlimits: {maxConnections: 20}\n";
    fs::write(&file, settings(admin, 246, limits)).unwrap();
    eventually("the new limit counts", || {
        let metrics = http::get(admin, &admin.to_string(), "/metrics");
        metrics
            .text()
            .contains("\nportico_proxy_connections_limit 20\n")
            .then_some(())
    });
}

#[test]
fn a_hosts_file_is_answered_and_followed_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manifests")).unwrap();
    let (admin, dns) = (own_address(), own_address());
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "192.0.2.1 db.corp.test # first\n").unwrap();
    let rest = format!(
        "forward: off\ndns:\n  listen: {dns}\n  hosts: {}\n  record: db.corp.test AAAA 2001:db8::1\n",
        hosts.display()
    );
    fs::write(folder.path().join("portico.yaml"), settings(admin, 247, &rest)).unwrap();
    let _process = start(folder.path(), admin);
    let says = |what: &str, want: &str| {
        eventually(what, || {
            let reply = try_ask(dns, "db.corp.test.", RecordType::A).ok()?;
            (reply.answers == [want]).then_some(())
        });
    };
    says("dns 4.3: the file is read", "A 192.0.2.1");
    assert_eq!(
        ask(dns, "db.corp.test.", RecordType::AAAA).answers,
        ["AAAA 2001:db8::1"],
        "dns 4.3: beside a record of the settings"
    );
    fs::write(&hosts, "192.0.2.2 db.corp.test\nhere nobody.test\n").unwrap();
    says("an edit in place counts", "A 192.0.2.2");
    let found = snapshot(admin)["diagnostics"].to_string();
    assert!(found.contains("P0805") && found.contains("here"), "{found}");
    let new = folder.path().join("new");
    fs::write(&new, "192.0.2.3 db.corp.test\n").unwrap();
    fs::rename(&new, &hosts).unwrap();
    says("so does a file that takes its place", "A 192.0.2.3");
    assert_eq!(ask(dns, "3.2.0.192.in-addr.arpa.", RecordType::PTR).answers, ["PTR db.corp.test."]);
    assert_eq!(snapshot(admin)["diagnostics"], serde_json::json!([]));
}

#[test]
fn records_and_who_may_ask_change_with_the_settings_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manifests")).unwrap();
    let (admin, dns) = (own_address(), own_address());
    let write = |of_dns: &str| {
        let rest = format!("dns: {{listen: '{dns}'{of_dns}}}\n");
        fs::write(folder.path().join("portico.yaml"), settings(admin, 248, &rest)).unwrap();
    };
    let says = |what: &str, code| {
        eventually(what, || {
            let reply = try_ask(dns, "www.example.com.", RecordType::A).ok()?;
            (reply.code == code).then_some(())
        });
    };
    write("");
    let _process = start(folder.path(), admin);
    says("dns 3.1: the name is nobody's", ResponseCode::Refused);
    write(", record: www.example.com A 192.0.2.1");
    says("dns 4.3: a record came", ResponseCode::NoError);
    write(", record: www.example.com A 192.0.2.1, allow: 192.0.2.0/24");
    says("dns 3.1: we may not ask any more", ResponseCode::Refused);
    write(", record: www.example.com A 192.0.2.1");
    says("and again we may", ResponseCode::NoError);
}

#[test]
fn upstreams_change_with_the_settings_file_and_their_answers_with_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manifests")).unwrap();
    let file = folder.path().join("portico.yaml");
    let (admin, dns) = (own_address(), own_address());
    let one = Upstream::start(|heard| vec![octets(heard, &heard.address([192, 0, 2, 1]))]);
    let two = Upstream::start(|heard| vec![octets(heard, &heard.address([192, 0, 2, 2]))]);
    let write = |forward: &str| {
        let dns = format!("dns: {{listen: '{dns}'}}\nforward: {forward}\n");
        fs::write(&file, settings(admin, 244, &dns)).unwrap();
    };
    write(&format!("['{}']", one.address()));
    let _process = start(folder.path(), admin);
    let ask = || ask(dns, "www.example.org.", RecordType::A);
    assert_eq!(ask(), Reply::of(&["A 192.0.2.1"]));
    write(&format!("['{}', 'corp.example={}']", two.address(), one.address()));
    eventually("dns 4.2: the other is asked, and nothing of before is kept", || {
        (ask() == Reply::of(&["A 192.0.2.2"])).then_some(())
    });
    let corp = || crate::harness::dns::ask(dns, "a.corp.example.", RecordType::A);
    assert_eq!(corp(), Reply::of(&["A 192.0.2.1"]), "dns 4.1: by suffix");
    write("off");
    eventually("nobody is asked any more", || (ask().code == ResponseCode::Refused).then_some(()));
    write(&format!("['{}']", one.address()));
    eventually("and somebody again", || (ask() == Reply::of(&["A 192.0.2.1"])).then_some(()));
}

#[test]
fn a_missing_secret_of_the_resolver_is_told_until_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dns.yaml");
    fs::write(&file, "apiVersion: v1\nkind: Namespace\nmetadata: {name: dns}\n").unwrap();
    let path = file.to_str().unwrap();
    let check = || {
        let output = run(&["check", path, "--dns-tls-secret", "dns/tls"]);
        String::from_utf8(output.stdout).unwrap()
    };
    let told = check();
    assert!(told.contains("P0806") && told.contains("no Secret dns/tls"), "{told}");
    let opaque = "apiVersion: v1\nkind: Secret\nmetadata: {name: tls, namespace: dns}\n";
    fs::write(&file, opaque).unwrap();
    let told = check();
    assert!(told.contains("P0806") && told.contains("holds no certificate"), "{told}");
}

#[test]
fn assigned_addresses_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    let admin = own_address();
    let config = settings(admin, 247, "dns: {listen: off}\n");
    fs::write(folder.path().join("portico.yaml"), config).unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    // Not what a hash of the name would come to, so that only the state can say it.
    fs::write(
        folder.path().join("state/assignments.json"),
        r#"{"version": 1, "clusterIPs": {"default/web": ["127.247.200.200"]},
            "nodePorts": {"default/web": {"80": 31999}}}"#,
    )
    .unwrap();
    fs::write(manifests.join("web.yaml"), SERVICE).unwrap();
    for _ in 0..2 {
        let process = start(folder.path(), admin);
        let service = snapshot(admin)["services"][0].clone();
        assert_eq!(service["addresses"], serde_json::json!(["127.247.200.200"]));
        assert_eq!(service["ports"][0]["nodePort"], 31_999);
        process.signal("TERM");
        assert_eq!(process.exit_code(), Some(0));
    }
}

#[test]
fn a_wrong_settings_file_ends_the_start_with_every_mistake_and_a_dump_loads_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (wrong, first, manifests) = (path("wrong.yaml"), path("first.yaml"), path("."));
    let head = "apiVersion: portico.dev/v1alpha1\nkind: PorticoConfiguration\n";
    fs::write(&wrong, format!("{head}worker: 1\ndns: {{ttl: -1}}\n")).unwrap();
    for command in ["run", "check"] {
        let output = run(&[command, "--config", &wrong, &manifests]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for part in ["wrong.yaml:3:1", "did you mean `workers`?", "wrong.yaml:4:12", "P0803"] {
            assert!(text.contains(part), "{command}: {part} in:\n{text}");
        }
    }
    let dump = run(&["config", "dump", "--dns-ttl", "30", "--http", "off"]).stdout;
    let text = String::from_utf8(dump.clone()).unwrap();
    assert!(text.contains("  ttl: 30 # --dns-ttl\n"), "{text}");
    fs::write(&first, &dump).unwrap();
    let again = String::from_utf8(run(&["config", "dump", "--config", &first]).stdout).unwrap();
    let values = |text: &str| -> Vec<String> {
        let value = |line: &str| line.split(" # ").next().unwrap_or_default().to_owned();
        text.lines().map(value).collect()
    };
    assert_eq!(values(&again), values(&text));
    assert!(again.contains(&format!("  ttl: 30 # {first}:")), "{again}");
}

#[test]
fn requests_are_turned_away_while_memory_is_short_and_admin_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manifests")).unwrap();
    let file = folder.path().join("portico.yaml");
    let [admin, door] = [(); 2].map(|()| own_address());
    let write = |limit: &str| {
        let rest = format!("dns: {{listen: off}}\nlimits: {{maxMemory: {limit}}}\n");
        let text = settings(admin, 239, &rest).replace("http: off", &format!("http: {door}"));
        fs::write(&file, text).unwrap();
    };
    write("off");
    let _process = start(folder.path(), admin);
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let mut client = http::Client::connect(door);
    assert_eq!(client.request(request, b"").unwrap().status, 404);
    write("1Mi");
    let answer = eventually("the client is turned away", || {
        let answer = client.request(request, b"").unwrap();
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(answer.header("retry-after"), Some("1"), "http-proxy 8.4");
    assert_eq!(answer.header("connection"), Some("close"));
    let metrics = http::get(admin, &admin.to_string(), "/metrics");
    for line in [
        "portico_proxy_memory_limit_bytes 1048576",
        "portico_proxy_memory_mark_percent 95",
        "portico_l7_shed_total{reason=\"memory\"} 1",
    ] {
        assert!(metrics.text().contains(&format!("\n{line}\n")), "{line}");
    }
    let late = std::thread::spawn(move || http::Client::connect(door).request(request, b""));
    write("off");
    assert_eq!(late.join().unwrap().unwrap().status, 404, "it waited, and is served");
}
