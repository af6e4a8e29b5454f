//! The figure of the mission, run as a person would: `portico run examples/wordpress` and each pod
//! a process of its own (`portico echo`).

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;

use hickory_proto::rr::RecordType;

use crate::harness::process::{Process, own_address, tool};
use crate::harness::{PATIENCE, dns, eventually, http};

/// The figure on free ports: its manifests in a folder, its pods as processes.
struct Figure {
    folder: tempfile::TempDir,
    http: SocketAddr,
    dns: SocketAddr,
    mariadb: Option<Process>,
    _pods: Vec<Process>,
    _portico: Process,
}

impl Figure {
    fn start(octet: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let moved = std::env::var_os("PORTICO_TEST_EXAMPLES").map(std::path::PathBuf::from);
        let examples =
            moved.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"));
        let example = examples.join("wordpress");
        for file in fs::read_dir(example).unwrap() {
            let file = file.unwrap().path();
            if file
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        let node = format!("127.{octet}.255.1");
        let [http, https, dns, admin] = [(); 4].map(|()| own_address());
        let [http_text, https, dns_text, admin_text] =
            [http, https, dns, admin].map(|address| address.to_string());
        let pods = ["wp-1", "wp-2"].map(|name| {
            let address = place(folder.path(), name);
            Process::portico(&["echo", "--listen", &address.to_string(), "--name", name])
        });
        let mariadb = database(place(folder.path(), "mariadb"));
        let portico = Process::portico(&[
            "run",
            "--http",
            &http_text,
            "--https",
            &https,
            "--dns",
            &dns_text,
            "--admin",
            &admin_text,
            "--service-cidr",
            &format!("127.{octet}.0.0/17"),
            "--node-address",
            &node,
            folder.path().to_str().unwrap(),
        ]);
        eventually("the figure is ready", || {
            TcpStream::connect(admin).ok()?;
            (http::get(admin, &admin_text, "/readyz").status == 200).then_some(())
        });
        let pods = pods.into_iter().collect();
        Self { folder, http, dns, mariadb: Some(mariadb), _pods: pods, _portico: portico }
    }

    fn address_of(&self, name: &str) -> std::net::IpAddr {
        let reply = dns::ask(self.dns, name, RecordType::A);
        let address = reply
            .answers
            .first()
            .unwrap_or_else(|| panic!("{name}: {reply:?}"));
        address.strip_prefix("A ").unwrap().parse().unwrap()
    }
}

/// Starts the database pod: a server that echoes bytes.
fn database(address: SocketAddr) -> Process {
    Process::portico(&["echo", "--tcp", "--listen", &address.to_string(), "--name", "mariadb"])
}

/// Gives the pod called `name` an address of its own, and writes it into its manifest.
fn place(folder: &Path, name: &str) -> SocketAddr {
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let text = fs::read_to_string(&file).unwrap();
        let mut documents: Vec<String> = text.split("\n---\n").map(str::to_owned).collect();
        let is_pod = |document: &String| {
            document.contains("kind: Pod") && document.contains(&format!("name: {name}\n"))
        };
        let Some(document) = documents.iter_mut().find(|document| is_pod(document)) else {
            continue;
        };
        let address = own_address();
        *document = document
            .lines()
            .map(|line| {
                let indent = &line[..line.len() - line.trim_start().len()];
                let item = line.trim_start().strip_prefix("- ").map_or("", |_| "- ");
                match line.trim_start().trim_start_matches("- ").split_once(':') {
                    Some(("podIP", _)) => format!("{indent}{item}podIP: {}\n", address.ip()),
                    Some(("containerPort", _)) => {
                        format!("{indent}{item}containerPort: {}\n", address.port())
                    }
                    _ => format!("{line}\n"),
                }
            })
            .collect();
        let text = documents.join("\n---\n");
        let temporary = folder.join(".new");
        fs::write(&temporary, text).unwrap();
        fs::rename(&temporary, &file).unwrap();
        return address;
    }
    panic!("examples/wordpress has no pod {name}");
}

/// Sends a line to a byte echo and waits for it to come back.
fn speaks(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"select 1;\n")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.contains("select 1;") {
        true => Ok(()),
        false => Err(std::io::Error::other(answer)),
    }
}

#[test]
fn the_ingress_host_alternates_between_the_two_pods() {
    let figure = Figure::start(244);
    let pod = || {
        let answer = http::get(figure.http, "mi-web", "/");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        Some(body["pod"].as_str()?.to_owned())
    };
    eventually("both pods listen", || {
        let (first, second) = (pod()?, pod()?);
        (first != second).then_some(())
    });
    let seen: Vec<_> = (0..6).map(|_| pod().unwrap()).collect();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    assert!(seen.windows(3).all(|three| three[0] == three[2]), "{seen:?}");
    let url = format!("http://{}/", figure.http);
    if let Some(curl) = tool("curl", &["-sS", "--max-time", "30", "-H", "Host: mi-web", &url]) {
        assert!(String::from_utf8_lossy(&curl.stdout).contains("wp-"), "{curl:?}");
    }
}

#[test]
fn every_name_of_the_figure_is_answered() {
    let figure = Figure::start(245);
    for name in ["mi-bbdd-wp", "mi-wp", "mi-ingress"] {
        for zone in ["cluster.local", "portico.test"] {
            assert!(
                figure
                    .address_of(&format!("{name}.default.svc.{zone}."))
                    .is_loopback()
            );
        }
    }
    for name in ["mi-web.", "mi-web.portico.test."] {
        assert_eq!(figure.address_of(name), figure.http.ip(), "{name}");
    }
    let (server, port) = (format!("@{}", figure.dns.ip()), figure.dns.port().to_string());
    let name = "mi-bbdd-wp.default.svc.cluster.local";
    let want = figure.address_of(&format!("{name}.")).to_string();
    if let Some(dig) = tool("dig", &["+short", &server, "-p", &port, name]) {
        assert_eq!(String::from_utf8_lossy(&dig.stdout).trim(), want);
    }
}

#[test]
fn a_pod_that_moves_changes_nothing_for_its_clients() {
    let mut figure = Figure::start(246);
    let name = "mi-bbdd-wp.default.svc.cluster.local.";
    let database_address = SocketAddr::new(figure.address_of(name), 3307);
    eventually("the database answers", || speaks(database_address).ok());
    figure.mariadb.take().unwrap().kill();
    assert!(speaks(database_address).is_err(), "nobody is behind it");
    figure.mariadb = Some(database(place(figure.folder.path(), "mariadb")));
    eventually("the database answers from its new place", || speaks(database_address).ok());
    assert_eq!(SocketAddr::new(figure.address_of(name), 3307), database_address);
}
