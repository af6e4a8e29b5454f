//! DNS over TLS with a certificate from a Secret, and what clients' EDNS options are told.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::Message;
use portico_config::model::ObjectName;

use crate::front_door::secret;
use crate::harness::portico::Portico;
use crate::harness::process::{Process, own_address, run, tool};
use crate::harness::{PATIENCE, eventually};

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{name: sql, port: 3307}]}
";

#[test]
fn names_are_answered_over_tls_with_the_certificate_of_the_secret_as_it_is_now() {
    let (manifest, certificate) = secret("dns-tls", &["dns.example"]);
    let portico = Portico::with(&[("s.yaml", SERVICE), ("secret.yaml", &manifest)])
        .adjust(|settings| {
            settings.dns_tls = vec!["127.0.0.1:0".parse().unwrap()];
            settings.dns_tls_secret = Some(ObjectName::new("default", "dns-tls"));
        })
        .start();
    let folder = tempfile::tempdir().unwrap();
    let port = portico.listener("dns-tls").port().to_string();
    let ask = |certificate: &str, name: &str| {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, certificate).unwrap();
        let trusts = format!("+tls-ca={}", file.display());
        let host = format!("+tls-hostname={name}");
        let question = "db.default.svc.cluster.local";
        let arguments = ["+short", "+tries=1", &trusts, &host, "@127.0.0.1", "-p", &port, question];
        let output = tool("dig", &arguments)?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let want = portico.cluster_ip("default/db", 3307).ip().to_string();
    let Some(told) = ask(&certificate, "dns.example") else { return };
    assert_eq!(told, want, "dns 3.4.1");
    assert_ne!(ask(&certificate, "other.example"), Some(want.clone()), "dig verifies");
    let (manifest, renewed) = secret("dns-tls", &["dns.example"]);
    portico.edit("secret.yaml", &manifest);
    eventually("the new certificate is shown", || {
        (ask(&renewed, "dns.example")? == want).then_some(())
    });
    assert_ne!(ask(&certificate, "dns.example"), Some(want), "the old one is not");
}

/// The reply to a question with these EDNS options; an error: nobody answers there, in the time that there is.
fn ask(server: SocketAddr, options: &[u8], patience: Duration) -> std::io::Result<Vec<u8>> {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in ["db", "default", "svc", "cluster", "local"] {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0]);
    query.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
    query.extend_from_slice(options);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(&query)?;
    let mut buffer = [0; 1500];
    let length = socket.recv(&mut buffer)?;
    Message::from_vec(&buffer[..length]).unwrap();
    Ok(buffer[..length].to_vec())
}

/// A whole `portico` with its secret of cookies in a file, once it answers.
fn with_secret(folder: &Path, file: &Path) -> (Process, SocketAddr) {
    let dns = own_address();
    let (manifests, address) = (folder.to_str().unwrap(), dns.to_string());
    let process = Process::portico(&[
        "run",
        manifests,
        "--dns",
        &address,
        "--http",
        "off",
        "--https",
        "off",
        "--admin",
        "off",
        "--dns-cookie-secret-file",
        file.to_str().unwrap(),
    ]);
    // What comes while its sockets are being opened may be lost.
    eventually("it answers", || ask(dns, &[], Duration::from_millis(200)).ok());
    (process, dns)
}

#[test]
fn servers_that_share_a_secret_take_each_others_cookies_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (manifests, files) = (folder.path().join("manifests"), folder.path());
    std::fs::create_dir(&manifests).unwrap();
    std::fs::write(
        manifests.join("n.yaml"),
        "{apiVersion: v1, kind: Namespace, metadata: {name: other}}",
    )
    .unwrap();
    let (shared, other) = (files.join("shared"), files.join("other"));
    std::fs::write(&shared, "00112233445566778899aabbccddeeff\n").unwrap();
    std::fs::write(&other, "ffeeddccbbaa99887766554433221100").unwrap();
    let start = |file| with_secret(&manifests, file);
    let ((one, first), (_two, second), (_three, third)) =
        (start(&shared), start(&shared), start(&other));
    let reply = ask(first, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8], PATIENCE).unwrap();
    let cookie = &reply[reply.len() - 28..];
    assert_eq!(&cookie[..4], &[0, 10, 0, 24], "RFC 7873: it is a whole one");
    // Who takes a young cookie gives it back as it is.
    let takes = |server| ask(server, cookie, PATIENCE).unwrap().ends_with(cookie);
    assert_eq!(
        [first, second, third].map(takes),
        [true, true, false],
        "dns 3.5: RFC 9018 5: the secret says who takes it"
    );
    one.kill();
    let (again, restarted) = start(&shared);
    assert!(takes(restarted), "dns 3.5: it outlives the process that made it");
    again.kill();
    std::fs::write(&shared, "0123456789abcdef0123456789abcdef").unwrap();
    assert!(takes(second), "dns 3.5: the file is read at the start alone");
    let (_again, restarted) = start(&shared);
    assert!(!takes(restarted), "dns 3.5: another secret, other cookies");
}

#[test]
fn a_file_without_a_secret_of_cookies_ends_the_start_and_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (file, manifests) = (folder.path().join("secret"), folder.path().to_str().unwrap());
    let path = file.to_str().unwrap();
    for text in ["", "00112233445566778899aabbccddee", "00112233445566778899aabbccddeezz"] {
        std::fs::write(&file, text).unwrap();
        let output = run(&["run", manifests, "--dns-cookie-secret-file", path, "--admin", "off"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(path), "{text}: {told}");
        assert!(text.is_empty() || !told.contains(text), "dns 3.5: it stays secret: {told}");
    }
}

#[test]
fn a_cookie_comes_back_with_ours_and_a_bad_one_is_malformed() {
    let portico = Portico::with(&[("s.yaml", SERVICE)])
        .adjust(|settings| settings.dns_nsid = Some("here".into()))
        .start();
    let ask = |options: &[u8]| ask(portico.dns(), options, PATIENCE).unwrap();
    let client = [1, 2, 3, 4, 5, 6, 7, 8];
    let reply = ask(&[&[0, 10, 0, 8][..], &client].concat());
    let cookie = &reply[reply.len() - 28..];
    assert_eq!(&cookie[..12], &[&[0, 10, 0, 24][..], &client].concat()[..], "RFC 7873");
    let again = ask(cookie);
    assert!(again.ends_with(cookie), "RFC 9018: a young one is kept");
    assert!(ask(&[0, 3, 0, 0]).ends_with(b"\0\x03\0\x04here"), "RFC 5001");
    for length in [0, 7, 9, 15, 41] {
        let options = [&[0, 10, 0, length][..], &vec![1; length.into()]].concat();
        let reply = ask(&options);
        assert_eq!(reply[3] & 15, 1, "dns 3.5: {length} octets are FORMERR");
    }
}
