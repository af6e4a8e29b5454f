//! The resolver as other people's clients ask it: dig, kdig, drill and dnspython, over UDP and TCP
//! (`dns 3.4`), TLS (`dns 3.4.1`) and HTTPS (`dns 3.4.2`).
//!
//! A client that is not installed is left out with a message; `.ci/run` installs all of them.

use std::process::Output;

use portico_config::model::ObjectName;

use crate::front_door::secret;
use crate::harness::portico::Portico;
use crate::harness::process::tool;

const MANIFESTS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
";

const NAME: &str = "web.default.svc.cluster.local";

#[test]
fn clients_of_others_get_right_answers() {
    let portico = Portico::with(&[("names.yaml", MANIFESTS)]).start();
    let port = portico.dns().port().to_string();
    let address = portico.cluster_ip("default/web", 80).ip().to_string();
    let srv = format!("_http._tcp.{NAME}");
    let alias = "alias.default.svc.cluster.local";
    for client in ["dig", "kdig"] {
        for transport in ["+notcp", "+tcp"] {
            let ask = |name: &str, kind: &str| {
                let line = ["@127.0.0.1", "-p", &port, "+short", "+time=5", transport, name, kind];
                tool(client, &line).map(|output| lines(&output))
            };
            let Some(found) = ask(NAME, "A") else { break };
            assert_eq!(found, [address.as_str()], "{client} {transport}");
            assert_eq!(ask(&srv, "SRV").unwrap(), [format!("0 100 80 {NAME}.")], "{client}");
            assert_eq!(ask(alias, "A").unwrap(), [format!("{NAME}."), address.clone()], "{client}");
            assert!(ask(NAME, "AAAA").unwrap().is_empty(), "{client} {transport}");
        }
    }
    for transport in ["-u", "-t"] {
        let line = [transport, "-p", &port, NAME, "@127.0.0.1", "A"];
        let Some(found) = tool("drill", &line).map(|output| lines(&output)) else { break };
        let status = found.iter().any(|line| line.contains("rcode: NOERROR"));
        let answer = found
            .iter()
            .any(|line| line.starts_with(NAME) && line.ends_with(&address));
        assert!(status && answer, "drill {transport}: {found:?}");
    }
}

#[test]
fn clients_of_others_ask_over_tls_and_https() {
    let (portico, folder) = encrypted();
    let address = portico.cluster_ip("default/web", 80).ip().to_string();
    let ca = format!("+tls-ca={}", folder.path().join("ca.pem").display());
    let tls = portico.listener("dns-tls").port().to_string();
    let https = portico.https().port().to_string();
    let alias = "alias.default.svc.cluster.local";
    for (case, port, how) in [
        ("over TLS", &tls, &["+tls"][..]),
        ("over TLS, padded", &tls, &["+tls", "+padding"]),
        ("over HTTPS", &https, &["+https=dns.test/dns-query"]),
        ("over HTTPS, GET", &https, &["+https=dns.test/dns-query", "+https-get"]),
    ] {
        let to = ["@127.0.0.1", "-p", port, "+short", "+time=10", &ca, "+tls-hostname=dns.test"];
        let ask = |name: &str, kind: &str| {
            let line = [&to[..], how, &[name, kind]].concat();
            tool("kdig", &line).map(|output| lines(&output))
        };
        let Some(found) = ask(NAME, "A") else { return };
        assert_eq!(found, [address.as_str()], "kdig {case}");
        assert_eq!(ask(alias, "A").unwrap(), [format!("{NAME}."), address.clone()], "{case}");
        assert!(ask(NAME, "AAAA").unwrap().is_empty(), "kdig {case}");
    }
}

/// An instance that answers over TLS and HTTPS as `dns.test`, and a folder with whom to trust.
fn encrypted() -> (Portico, tempfile::TempDir) {
    let (manifest, certificate) = secret("dns-tls", &["dns.test"]);
    let portico = Portico::with(&[("names.yaml", MANIFESTS), ("secret.yaml", &manifest)])
        .adjust(|settings| {
            settings.dns_tls = vec!["127.0.0.1:0".parse().unwrap()];
            settings.dns_tls_secret = Some(ObjectName::new("default", "dns-tls"));
            settings.dns_doh_hosts = vec!["dns.test".into()];
        })
        .start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate).unwrap();
    (portico, folder)
}

#[test]
fn a_strict_library_reads_every_kind_of_reply() {
    let (portico, folder) = encrypted();
    let port = portico.dns().port().to_string();
    let tls = portico.listener("dns-tls").port().to_string();
    let ca = folder.path().join("ca.pem");
    let Some(told) = python(SCRIPT, &[&port, &tls, ca.to_str().unwrap()]) else { return };
    let want = [
        "A udp NOERROR 1",
        "A tcp NOERROR 1",
        "A tls NOERROR 1",
        "TXT udp NOERROR 0",
        "TXT tcp NOERROR 0",
        "TXT tls NOERROR 0",
        "no udp NXDOMAIN 0",
        "no tcp NXDOMAIN 0",
        "no tls NXDOMAIN 0",
    ];
    assert_eq!(told, want);
}

#[test]
fn a_strict_library_asks_over_https() {
    let (portico, folder) = encrypted();
    let port = portico.https().port().to_string();
    let ca = folder.path().join("ca.pem");
    let Some(told) = python(HTTPS_SCRIPT, &[&port, ca.to_str().unwrap()]) else { return };
    let want = [
        "A post NOERROR 1",
        "A get NOERROR 1",
        "TXT post NOERROR 0",
        "TXT get NOERROR 0",
        "no post NXDOMAIN 0",
        "no get NXDOMAIN 0",
    ];
    assert_eq!(told, want, "dns 3.4.2");
}

/// What a script for dnspython prints; none where that, or what it needs, is not installed.
fn python(script: &str, arguments: &[&str]) -> Option<Vec<String>> {
    let output = tool(PYTHON, &[&["-c", script], arguments].concat())?;
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("No module named") {
        assert!(std::env::var_os("CI").is_none_or(|it| it != "true"), "dnspython: {error}");
        eprintln!("skipped: dnspython, or what it needs for HTTPS, is not installed");
        return None;
    }
    assert!(output.status.success(), "{error}");
    Some(lines(&output))
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// That of the system, which has the packages of the system.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = "\
import ssl, sys
import dns.message, dns.query, dns.rcode
context = ssl.create_default_context(cafile=sys.argv[3])
def tls(question, address, port, timeout):
    return dns.query.tls(question, address, port=int(sys.argv[2]), timeout=timeout,
                         ssl_context=context, server_hostname='dns.test')
name = 'web.default.svc.cluster.local.'
for case, owner, kind in [('A', name, 'A'), ('TXT', name, 'TXT'), ('no', 'no.' + name, 'A')]:
    for transport, ask in [('udp', dns.query.udp), ('tcp', dns.query.tcp), ('tls', tls)]:
        question = dns.message.make_query(owner, kind, use_edns=0)
        reply = ask(question, '127.0.0.1', port=int(sys.argv[1]), timeout=10)
        assert reply.edns == 0 and reply.payload == 1232, reply
        print(case, transport, dns.rcode.to_text(reply.rcode()), len(reply.answer))
";
const HTTPS_SCRIPT: &str = "\
import os, socket, sys
import h2, httpx
import dns.message, dns.query, dns.rcode, dns.version
for key in [key for key in os.environ if key.lower().endswith('_proxy')]:
    del os.environ[key]
# Later versions look the server's own name up themselves, unless they are told its address.
told = {'bootstrap_address': '127.0.0.1'} if (dns.version.MAJOR, dns.version.MINOR) > (2, 3) else {}
look_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: look_up(
    '127.0.0.1' if host in ('dns.test', b'dns.test') else host, *more, **named)
name = 'web.default.svc.cluster.local.'
for case, owner, kind in [('A', name, 'A'), ('TXT', name, 'TXT'), ('no', 'no.' + name, 'A')]:
    for method in ['post', 'get']:
        question = dns.message.make_query(owner, kind, use_edns=0)
        reply = dns.query.https(question, 'https://dns.test:' + sys.argv[1] + '/dns-query', timeout=10,
                                post=method == 'post', verify=sys.argv[2], **told)
        assert reply.edns == 0 and reply.payload == 1232, reply
        print(case, method, dns.rcode.to_text(reply.rcode()), len(reply.answer))
";
