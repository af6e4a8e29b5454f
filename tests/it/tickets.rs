//! Credentials that are good for a whole connection: a backend that knows its client by one is that
//! client's alone (`http-proxy 5.4`).

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::annotations::annotated;
use crate::harness::eventually;
use crate::harness::http::{Answer, Client, get};
use crate::harness::pod::{Pod, head};
use crate::harness::portico::Portico;
use crate::services::service;

/// A pod that knows who comes over a connection from the third message of NTLM on.
fn knowing(name: &'static str) -> Pod {
    Pod::serve(Ipv4Addr::LOCALHOST.into(), move |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        let (mut greeted, mut user) = (false, None);
        while let Some(ticket) = ticket(&mut reader) {
            match &*ticket {
                "" => {}
                "hello" => greeted = true,
                who => user = greeted.then(|| who.to_owned()),
            }
            let (status, asks) = match (&user, &*ticket) {
                (Some(_), _) => ("200 OK", ""),
                (None, "hello") => ("401 No", "WWW-Authenticate: NTLM riddle\r\n"),
                // What is good for a connection stands behind what is not.
                (None, _) => {
                    ("401 No", "WWW-Authenticate: Basic realm=x\r\nWWW-Authenticate: NTLM\r\n")
                }
            };
            let body = format!("{name} {}", user.as_deref().unwrap_or("nobody"));
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\n{asks}Content-Length: {length}\r\n\r\n{body}");
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// What the next request shows; empty: nothing.
fn ticket(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let head = head(reader)?;
    let mut lines = head.lines();
    let found = lines.find_map(|line| line.strip_prefix("Authorization: NTLM "));
    Some(found.unwrap_or_default().to_owned())
}

fn show(client: &mut Client, host: &str, ticket: &str) -> Answer {
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {ticket}\r\n\r\n");
    client.request(&head, b"").unwrap()
}

#[test]
fn a_backend_that_knows_its_client_stays_with_it_and_serves_nobody_else() {
    let pods = [knowing("a"), knowing("b"), knowing("c")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pods[0], &pods[1], &pods[2]]),
        annotated("web", "web.test", &[], ""),
    ]
    .join("---\n");
    // One worker: its pool is the only one.
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let mut ann = Client::connect(portico.http());
    assert_eq!(ann.get("web.test", "/").unwrap().status, 401);
    assert_eq!(show(&mut ann, "web.test", "NTLM hello").status, 401);
    let known = show(&mut ann, "web.test", "NTLM ann");
    assert_eq!(known.status, 200, "http-proxy 5.4: all three over one connection");
    let others = || {
        let mut eve = Client::connect(portico.http());
        for turn in 0..6 {
            let answer = eve.get("web.test", "/").unwrap();
            assert_eq!(answer.status, 401, "http-proxy 5.4: {turn}: {}", answer.text());
            assert_eq!(get(portico.http(), "web.test", "/").status, 401, "http-proxy 5.4: {turn}");
        }
    };
    for _ in 0..3 {
        let again = ann.get("web.test", "/").unwrap();
        assert_eq!(again.text(), known.text(), "http-proxy 5.4: without showing it again");
        others();
    }
    drop(ann);
    others();
}

#[test]
fn requests_of_portico_s_own_that_show_a_clients_ticket_leave_no_connection_behind() {
    let (web, judge) = (Pod::http("web"), Pod::http("judge"));
    let asked = "http://judge.default.svc.cluster.local/";
    let manifests = [
        service("web", "ClusterIP", 80, &[&web]),
        service("judge", "ClusterIP", 80, &[&judge]),
        annotated("asks", "asks.test", &[("auth-url", asked)], ""),
        annotated("copies", "copies.test", &[("mirror-target", asked)], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)])
        .workers(1)
        .start();
    let mut client = Client::connect(portico.http());
    // How many connections the judge has had at the end of each; what rested may carry one more.
    for (host, ticket, connections) in [
        ("asks.test", "Basic abc", 1),
        ("asks.test", "NTLM abc", 3),
        ("asks.test", "negotiate abc", 6),
        ("copies.test", "NTLM abc", 9),
    ] {
        for _ in 0..3 {
            assert_eq!(show(&mut client, host, ticket).status, 200, "{host} {ticket}");
        }
        eventually(&format!("http-proxy 5.4: {host} {ticket}"), || {
            (judge.connections() == connections).then_some(())
        });
    }
}
