//! The command line as a person meets it: messages, exit codes, signals, the demo.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;

use crate::harness::process::{Process, own_address, program, run};
use crate::harness::{PATIENCE, eventually, http};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - \
                       port: 99999\n";

#[test]
fn check_points_at_the_mistake_and_says_so_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let file = folder.path().join("web.yaml");
    fs::write(&file, SERVICE).unwrap();
    let broken = run(&["check", path]);
    let output = String::from_utf8_lossy(&broken.stdout).into_owned()
        + &String::from_utf8_lossy(&broken.stderr);
    assert_eq!(broken.status.code(), Some(1), "{output}");
    for want in [
        "error[P0207]: spec.ports[0].port: ",
        "web.yaml:6:11\n",
        "6 |   - port: 99999\n",
        "  |           ^^^^^ a number is no port\n",
        "  = note: object Service default/web\n",
        "web.yaml: 1 error, no warning\n1 file, no Service, no Ingress: 1 error, no warning\n",
    ] {
        assert!(output.contains(want), "{want} in:\n{output}");
    }
    let short = String::from_utf8(run(&["check", "--format", "short", path]).stdout).unwrap();
    assert!(short.contains("web.yaml:6:11: error[P0207]: Service default/web: spec."), "{short}");
    let quiet = String::from_utf8(run(&["check", "--quiet", path]).stdout).unwrap();
    assert_eq!(quiet, "1 file, no Service, no Ingress: 1 error, no warning\n");
    let color = run(&["check", "--color", "always", path]);
    assert!(color.stdout.contains(&0x1b) && !broken.stdout.contains(&0x1b));
    let json = run(&["check", "--format", "json", path]);
    let list: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(list[0]["severity"], "error");
    assert_eq!(list[0]["object"]["name"], "web");
    assert_eq!(list[0]["line"], 6);
    fs::write(
        &file,
        SERVICE
            .replace("99999", "80")
            .replace("ports", "selector: {a: b}\n  ports"),
    )
    .unwrap();
    assert_eq!(run(&["check", path]).status.code(), Some(0), "warnings alone are fine");
    assert_eq!(run(&["check", "--strict", path]).status.code(), Some(1), "unless strict");
}

#[test]
fn usage_and_unreadable_input_end_with_2() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let nobody = own_address().to_string();
    let nowhere = "/nowhere/at/all";
    let no_file = "/nowhere/at/all: no such file or folder";
    for (arguments, want) in [
        (&["run"][..], "<PATH>"),
        (&["fly"], "unrecognized subcommand 'fly'"),
        (&["run", "--htp", "80", "."], "a similar argument exists: '--http'"),
        (&["run", "--dns", "x", "."], "--dns <ADDR[:PORT]|off>"),
        (&["run", nowhere], no_file),
        (&["check", nowhere], no_file),
        (&["explain", "tcp", "10.0.0.1:80", nowhere], no_file),
        (&["explain", "http://a.test/", nowhere], no_file),
        (&["explain", "http://a.test/", "--admin", &nobody], &nobody),
        (&["status", "--admin", &nobody], &nobody),
        (&["status", "--admin", "off"], "--admin off"),
        (&["status", "-o", "yaml"], "possible values: table, wide, json"),
        (&["explain", "P9999"], "there is no such code"),
        (&["config", "dump", "--config", nowhere], "the settings file is refused"),
        (&["ca", "export", "--state-dir", "/dev/null"], "cannot make /dev/null"),
        (&["ca", "export", "--state-dir", "off"], "--state-dir"),
        (&["dns", "setup", "--dns", "off"], "nobody to ask"),
        (&["echo", "--listen", &taken], "is taken"),
        (&["echo", "--tls-server-cert", nowhere, "--tls-server-privkey", nowhere], nowhere),
    ] {
        let ended = run(arguments);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(want), "{arguments:?}: {said}");
    }
}

#[test]
fn the_readme_shows_a_mistake_as_check_does() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    let manifest = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  type: NodePort\n  \
                    selector:\n    app: web\n  ports:\n    - port: 80\n      nodePort: 8080\n";
    fs::write(manifests.join("web.yaml"), manifest).unwrap();
    let found = run(&["check", manifests.to_str().unwrap()]);
    let before = format!("{}/", folder.path().display());
    let found = String::from_utf8(found.stdout)
        .unwrap()
        .replace(&before, "");
    let (_, behind) = include_str!("../../README.md")
        .split_once("```text\n")
        .unwrap();
    let (shown, _) = behind.split_once("```").unwrap();
    assert!(found.starts_with(shown), "{shown}{found}");
}

#[test]
fn what_is_worth_a_try_is_what_serves() {
    let folder = tempfile::tempdir().unwrap();
    let site = crate::front_door::ingress("i", &[("a.test", "Prefix", "/", "a")], "");
    fs::write(folder.path().join("i.yaml"), site).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = taken.local_addr().unwrap().to_string();
    let admin = own_address().to_string();
    let told = folder.path().join("told");
    let options = ["--http", &http, "--admin", &admin, "--https", "off", "--dns", "off"];
    let path = [folder.path().to_str().unwrap()];
    let _process = Process::telling(&told, &[&["run"][..], &options, &path].concat());
    let told = eventually("it says what to try", || {
        let told = fs::read_to_string(&told).ok()?;
        told.contains("/readyz").then_some(told)
    });
    assert!(told.contains(&format!("try:\n  curl http://{admin}/readyz\n")), "{told}");
    assert!(!told.contains("a.test"), "another program listens there: {told}");
    assert!(told.contains(&format!("degraded: http {http}/tcp\n  is taken")), "{told}");
}

#[test]
fn a_folder_without_manifests_is_said_to_have_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("web.txt"), SERVICE).unwrap();
    let path = folder.path().to_str().unwrap();
    let checked = run(&["check", path]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(0), "a folder may be empty: {said}");
    assert!(said.contains(&format!("{path}: holds no manifest: ")), "{said}");
    let told = tempfile::NamedTempFile::new().unwrap();
    let listeners = ["--http", "off", "--https", "off", "--dns", "off", "--admin", "off"];
    let _process = Process::telling(told.path(), &[&["run", path][..], &listeners].concat());
    eventually("it says so", || {
        let told = fs::read_to_string(told.path()).ok()?;
        told.contains("nothing to serve yet: ").then_some(())
    });
}

#[test]
fn signals_are_confirmed_by_the_log_and_service_managers_hear_of_the_start_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hears = |want: &str| {
        let mut told = [0; 64];
        let length = manager.recv(&mut told).unwrap();
        assert_eq!(str::from_utf8(&told[..length]).unwrap(), want);
    };
    let log = folder.path().join("log");
    let listeners = ["--http", "off", "--https", "off", "--dns", "off", "--admin", "off"];
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let arguments = [&["run", folder.path().to_str().unwrap()][..], &listeners].concat();
    let process = Process::told(&environment, &log, &arguments);
    hears("READY=1");
    for (signal, want) in
        [("HUP", "reading every file again signal=\"HUP\""), ("USR1", "beginning log files anew")]
    {
        process.signal(signal);
        eventually(want, || fs::read_to_string(&log).ok()?.contains(want).then_some(()));
    }
    // As who comes from nginx ends it.
    process.signal("QUIT");
    hears("STOPPING=1");
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn where_nobody_asks_for_names_nothing_is_said_of_names_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    let path = manifests.to_str().unwrap();
    let dns = own_address().to_string();
    for (dns, is_told) in [("off", false), (&dns, true)] {
        let log = folder.path().join("log");
        let admin = own_address();
        let listen = admin.to_string();
        let off = ["--http", "off", "--https", "off", "--workers", "1"];
        let own = ["run", path, "--admin", &listen, "--dns", dns, "--forward", "192.0.2.1"];
        let _process = Process::told(&[], &log, &[&own[..], &off].concat());
        eventually("it is ready", || {
            TcpStream::connect(admin).ok()?;
            (http::get(admin, "127.0.0.1", "/readyz").status == 200).then_some(())
        });
        let text = fs::read_to_string(&log).unwrap();
        assert_eq!(text.contains("names elsewhere"), is_told, "--dns {dns}: {text}");
    }
}

#[test]
fn help_names_every_command_and_gives_examples() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for word in ["run", "check", "diff", "status", "echo", "demo", "portico run ./manifests"] {
        assert!(help.contains(word), "{word} in:\n{help}");
    }
}

#[test]
fn the_demo_drives_every_path_and_is_content() {
    let demo = std::process::Command::new(program())
        .args(["demo", "--once"])
        .env("PORTICO_STATE_DIR", "off")
        .env_remove("PORTICO_FORWARD")
        .output()
        .unwrap();
    let output =
        String::from_utf8_lossy(&demo.stdout).into_owned() + &String::from_utf8_lossy(&demo.stderr);
    assert_eq!(demo.status.code(), Some(0), "{output}");
    assert!(!output.contains("are forwarded"), "it needs no network: {output}");
    for word in ["mi-web", "mi-bbdd-wp", "NodePort"] {
        assert!(output.contains(word), "{word} in:\n{output}");
    }
}

#[test]
fn run_follows_its_folder_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let (http, admin, dns) = (own_address(), own_address(), own_address());
    let process = Process::portico(&[
        "run",
        "--http",
        &http.to_string(),
        "--https",
        "off",
        "--dns",
        &dns.to_string(),
        "--admin",
        &admin.to_string(),
        "--service-cidr",
        "127.250.0.0/16",
        "--node-address",
        "127.251.0.1",
        folder.path().to_str().unwrap(),
    ]);
    eventually("it is ready", || {
        TcpStream::connect(admin).ok()?;
        (http::get(admin, &admin.to_string(), "/readyz").status == 200).then_some(())
    });
    fs::write(
        folder.path().join("i.yaml"),
        crate::front_door::ingress("i", &[("a.test", "Prefix", "/", "a")], ""),
    )
    .unwrap();
    eventually("the edit is live", || (http::get(http, "a.test", "/").status == 503).then_some(()));
    let metrics = http::get(admin, &admin.to_string(), "/metrics");
    assert!(metrics.text().contains("portico_"), "{}", metrics.text());
    let snapshot = http::get(admin, &admin.to_string(), "/api/v1/snapshot");
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot.body).unwrap();
    assert!(snapshot["generation"].as_u64().unwrap() >= 1, "{snapshot}");
    process.signal("TERM");
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn echo_says_who_it_is() {
    let address = own_address();
    let listen = address.to_string();
    let _echo = Process::portico(&[
        "echo",
        "--listen",
        &listen,
        "--name",
        "web-1",
        "--namespace",
        "shop",
        "--service",
        "web",
    ]);
    eventually("it listens", || TcpStream::connect(address).ok());
    let answer = http::get(address, "some.host", "/path?query=1");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["pod"], "web-1");
    assert_eq!(body["namespace"], "shop");
    assert_eq!(body["path"], "/path?query=1");
    assert_eq!(body["host"], "some.host");
    assert_eq!(body["method"], "GET");
}
