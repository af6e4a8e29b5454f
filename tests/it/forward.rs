//! Names that are not ours: forwarded to resolvers that behave, and to such that do not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, NULL};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use portico_config::model::{ForwardPolicy, Settings};

use crate::harness::dns::{Reply, ask, ask_tcp};
use crate::harness::portico::Portico;
use crate::harness::upstream::{Heard, Upstream, octets};
use crate::harness::{PATIENCE, eventually};

const MANIFESTS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  ports:
  - {name: sql, port: 3307}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: db.example.com}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {type: ExternalName, externalName: gone.example.com}
";

const LOCAL: &str = "db.default.svc.cluster.local.";

/// Forwards to these, the first that works first.
fn forward(rules: &[&str]) -> impl FnOnce(&mut Settings) + 'static {
    let rules: Vec<_> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    move |settings| {
        settings.forwarding.rules = rules;
        settings.forwarding.policy = ForwardPolicy::Sequential;
    }
}

fn portico(rules: &[&str]) -> Portico {
    Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(forward(rules))
        .start()
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn with_edns(name: &str, kind: RecordType) -> Message {
    let mut message = query(name, kind);
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    edns.set_dnssec_ok(true);
    message.set_edns(edns);
    message
}

fn exchange(server: SocketAddr, query: &Message) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    socket.send(&query.to_vec().unwrap()).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

fn answers(heard: &Heard) -> Vec<Vec<u8>> {
    vec![octets(heard, &heard.address([192, 0, 2, 1]))]
}

/// An address of 127.0.0.1 at which nobody is.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_name_elsewhere_is_asked_once_and_told_as_it_came() {
    fn unusual(heard: &Heard) -> Vec<Vec<u8>> {
        let mut reply = heard.reply();
        reply.metadata.authentic_data = true;
        let unknown =
            RData::Unknown { code: RecordType::from(65_280), rdata: NULL::with(vec![1, 2, 3]) };
        reply.add_answer(Record::from_rdata(heard.name(), 60, unknown));
        vec![octets(heard, &reply)]
    }
    let upstream = Upstream::start(unusual);
    let portico = portico(&[&upstream.address().to_string()]);
    for _ in 0..3 {
        let reply = exchange(portico.dns(), &with_edns("WWW.example.com.", 65_280.into()));
        assert!(reply.metadata.authentic_data && reply.metadata.recursion_available);
        assert_eq!(reply.queries[0].name().to_string(), "WWW.example.com.");
        assert_eq!(reply.answers.len(), 1, "dns 4.1: an unknown type");
        let edns = reply.edns.unwrap();
        assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, true), "dns 3.2");
    }
    let heard = upstream.heard("www.example.com.");
    assert_eq!(heard.len(), 1, "dns 4.2: the others are told what was kept");
    let edns = heard[0].query.edns.as_ref().unwrap();
    assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (1232, true));
    assert!(heard[0].query.metadata.recursion_desired && !heard[0].tcp);
    let plain = exchange(portico.dns(), &query("www.example.com.", 65_280.into()));
    assert!(plain.edns.is_none(), "dns 3.2: no OPT for who sent none");
    assert_eq!(upstream.heard("www.example.com.").len(), 2, "dns 4.2: DO is another question");
    let local = exchange(portico.dns(), &query(LOCAL, RecordType::A));
    assert!(local.metadata.recursion_available, "dns 1.4");
}

#[test]
fn each_query_has_an_id_and_a_port_of_its_own() {
    let upstream = Upstream::start(answers);
    let portico = portico(&[&upstream.address().to_string()]);
    let mut seen = std::collections::HashSet::new();
    let mut ids = std::collections::HashSet::new();
    for number in 0..20 {
        let name = format!("n{number}.example.com.");
        assert_eq!(ask(portico.dns(), &name, RecordType::A), Reply::of(&["A 192.0.2.1"]));
        let heard = upstream.heard(&name);
        seen.insert(heard[0].from.port());
        ids.insert(heard[0].query.metadata.id);
    }
    // Chance may give a port or id twice, hardly ever more often.
    assert!(seen.len() > 15 && ids.len() > 15, "{seen:?} {ids:?}");
}

#[test]
fn what_is_truncated_is_asked_again_over_tcp() {
    fn long(heard: &Heard) -> Vec<Vec<u8>> {
        let mut reply = heard.reply();
        if heard.tcp {
            let record =
                |last| Record::from_rdata(heard.name(), 60, RData::A(A::new(192, 0, 2, last)));
            reply.add_answers((0..200).map(record));
        } else {
            reply.metadata.truncation = true;
        }
        vec![octets(heard, &reply)]
    }
    let upstream = Upstream::start(long);
    // Each worker has connections of its own.
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .workers(1)
        .adjust(forward(&[&upstream.address().to_string()]))
        .start();
    let whole = ask_tcp(portico.dns(), "long.example.com.", RecordType::A);
    assert_eq!(whole.answers.len(), 200);
    let cut = exchange(portico.dns(), &with_edns("long.example.com.", RecordType::A));
    assert!(cut.metadata.truncation && cut.answers.len() > 60, "dns 3.3: cut again for the client");
    let heard = upstream.heard("long.example.com.");
    assert_eq!(heard.iter().map(|it| it.tcp).collect::<Vec<_>>(), [false, true, false, true]);
    assert_eq!(upstream.connections(), 1, "dns 4.1: the connection stays open");
}

#[test]
fn replies_to_another_question_are_waited_past() {
    fn forger(heard: &Heard) -> Vec<Vec<u8>> {
        let forged = octets(heard, &heard.address([192, 0, 2, 66]));
        let change = |change: fn(&mut Vec<u8>)| {
            let mut forged = forged.clone();
            change(&mut forged);
            forged
        };
        vec![
            change(|it| it[0] ^= 0xff),
            change(|it| it[13] = b'x'),
            change(|it| it[2] &= 0x7f),
            vec![1, 2, 3],
            octets(heard, &heard.address([192, 0, 2, 1])),
        ]
    }
    let upstream = Upstream::start(forger);
    let portico = portico(&[&upstream.address().to_string()]);
    let reply = ask(portico.dns(), "www.example.com.", RecordType::A);
    assert_eq!(reply, Reply::of(&["A 192.0.2.1"]), "RFC 5452");
    assert!(portico.metric("portico_dns_forward_mismatches_total") >= 4);
}

#[test]
fn an_upstream_that_forgets_letters_is_believed_over_tcp() {
    fn lower(heard: &Heard) -> Vec<Vec<u8>> {
        let mut reply = octets(heard, &heard.address([192, 0, 2, 1]));
        let end = 12 + heard.name().len();
        reply[12..end].make_ascii_lowercase();
        vec![reply]
    }
    let upstream = Upstream::start(lower);
    let portico = portico(&[&upstream.address().to_string()]);
    for number in 0..3 {
        let name = format!("a-long-name-with-many-letters-{number}.example.com.");
        assert_eq!(ask(portico.dns(), &name, RecordType::A), Reply::of(&["A 192.0.2.1"]));
    }
    let last = upstream.heard("a-long-name-with-many-letters-2.example.com.");
    assert!(matches!(&last[..], [one] if !one.tcp), "dns 4.1: asked in lower case from then on");
}

#[test]
fn the_next_is_asked_where_one_is_silent_or_not_there() {
    let silent = Upstream::start(|_| Vec::new());
    let second = Upstream::start(answers);
    for first in [silent.address().to_string(), nowhere()] {
        let portico = portico(&[&first, &second.address().to_string()]);
        let reply = ask(portico.dns(), "www.example.com.", RecordType::A);
        assert_eq!(reply, Reply::of(&["A 192.0.2.1"]), "{first}");
        let up = format!("portico_dns_forward_up{{to=\"{first}\"}}");
        eventually("probes find it down", || (portico.metric(&up) == 0).then_some(()));
        let before = silent.heard("next.example.com.").len();
        ask(portico.dns(), "next.example.com.", RecordType::A);
        assert_eq!(silent.heard("next.example.com.").len(), before, "what is down is left out");
    }
}

#[test]
fn without_any_reply_the_client_hears_servfail() {
    let portico = portico(&[&nowhere()]);
    let reply = exchange(portico.dns(), &with_edns("www.example.com.", RecordType::A));
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    let codes: Vec<_> = reply
        .edns
        .unwrap()
        .options()
        .as_ref()
        .iter()
        .map(|(code, _)| u16::from(*code))
        .collect();
    assert_eq!(codes, [15], "EDE");
    let local = ask(portico.dns(), LOCAL, RecordType::A);
    assert_eq!(local.answers.len(), 1);
}

#[test]
fn a_connection_on_which_nothing_comes_is_not_used_again() {
    fn silent_once(heard: &Heard) -> Vec<Vec<u8>> {
        let is_lost = heard
            .name()
            .to_string()
            .to_ascii_lowercase()
            .starts_with("lost.");
        if is_lost { Vec::new() } else { answers(heard) }
    }
    let upstream = Upstream::start(silent_once);
    let portico = portico(&[&format!("tcp://{}", upstream.address())]);
    let dns = portico.dns();
    assert_eq!(ask(dns, "a.example.com.", RecordType::A).code, ResponseCode::NoError);
    let before = upstream.connections();
    assert_eq!(ask(dns, "lost.example.com.", RecordType::A).code, ResponseCode::ServFail);
    assert_eq!(ask(dns, "b.example.com.", RecordType::A).code, ResponseCode::NoError);
    assert!(upstream.connections() > before, "dns 4.1: the network may have forgotten the first");
}

#[test]
fn while_all_are_down_nobody_is_tried_where_settings_say_so() {
    let upstream = nowhere();
    let series = format!(r#"portico_dns_forward_up{{to="{upstream}"}}"#);
    let error = |portico: &Portico, name: &str| {
        let reply = exchange(portico.dns(), &with_edns(name, RecordType::A));
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
        let edns = reply.edns.unwrap();
        let mut options = edns.options().as_ref().iter();
        let ede = options.find_map(|(_, option)| match option {
            EdnsOption::Unknown(15, data) => Some(u16::from_be_bytes([data[0], data[1]])),
            _ => None,
        });
        ede.unwrap()
    };
    for (is_failfast, want) in [(false, 23), (true, 22)] {
        let rules = forward(&[upstream.as_str()]);
        let portico = Portico::with(&[("names.yaml", MANIFESTS)])
            .adjust(move |settings| {
                rules(settings);
                settings.forwarding.is_failfast = is_failfast;
            })
            .start();
        assert_eq!(error(&portico, "first.example.com."), 23, "dns 4.1: the network says so");
        eventually("it is down", || (portico.metric(&series) == 0).then_some(()));
        assert_eq!(error(&portico, "second.example.com."), want, "dns 4.1: {is_failfast}");
        assert!(portico.metric("coredns_forward_healthcheck_broken_total") > 0);
    }
}

#[test]
fn what_does_not_exist_is_told_and_kept() {
    let upstream = Upstream::start(|heard| vec![octets(heard, &heard.nxdomain())]);
    let portico = portico(&[&upstream.address().to_string()]);
    for _ in 0..3 {
        let reply = exchange(portico.dns(), &query("gone.example.com.", RecordType::A));
        assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(reply.authorities.len(), 1);
    }
    assert_eq!(upstream.heard("gone.example.com.").len(), 1, "RFC 2308");
    let series = r#"coredns_cache_hits_total{server="dns://",type="denial",view="",zones="."}"#;
    assert_eq!(portico.metric(series), 2);
}

#[test]
fn formerr_to_our_opt_is_asked_again_without() {
    fn old(heard: &Heard) -> Vec<Vec<u8>> {
        let mut reply = heard.address([192, 0, 2, 1]);
        if heard.query.edns.is_some() {
            reply = heard.reply();
            reply.metadata.response_code = ResponseCode::FormErr;
        }
        vec![octets(heard, &reply)]
    }
    let upstream = Upstream::start(old);
    let portico = portico(&[&upstream.address().to_string()]);
    let reply = ask(portico.dns(), "www.example.com.", RecordType::A);
    assert_eq!(reply, Reply::of(&["A 192.0.2.1"]), "dns 4.1");
}

#[test]
fn suffixes_say_who_is_asked_and_some_names_nobody() {
    let corp = Upstream::start(|heard| vec![octets(heard, &heard.address([192, 0, 2, 2]))]);
    let other = Upstream::start(answers);
    let to_corp = format!("corp.example={}", corp.address());
    let portico = portico(&[&other.address().to_string(), &to_corp]);
    for (name, want) in [
        ("www.example.com.", Reply::of(&["A 192.0.2.1"])),
        ("corp.example.", Reply::of(&["A 192.0.2.2"])),
        ("a.b.corp.example.", Reply::of(&["A 192.0.2.2"])),
        ("xcorp.example.", Reply::of(&["A 192.0.2.1"])),
        ("localhost.", Reply::of(&["A 127.0.0.1"])),
        ("a.localhost.", Reply::of(&["A 127.0.0.1"])),
        ("a.invalid.", Reply::nxdomain()),
        ("a.onion.", Reply::nxdomain()),
        ("a.b.test.", Reply::nxdomain()),
    ] {
        assert_eq!(ask(portico.dns(), name, RecordType::A), want, "dns 4: {name}");
    }
    for name in ["localhost.", "a.localhost.", "a.invalid.", "a.onion.", "a.b.test."] {
        assert!(other.heard(name).is_empty(), "dns 4.4: {name}");
    }
    let any = ask(portico.dns(), "www.example.com.", RecordType::ANY);
    assert_eq!(any.answers.len(), 1, "dns 3.6");
    assert_eq!(other.heard("www.example.com.").len(), 1, "dns 3.6: ANY is never forwarded");
}

#[test]
fn the_target_of_an_alias_is_asked_too() {
    fn some(heard: &Heard) -> Vec<Vec<u8>> {
        let reply = match heard.name().to_string().to_ascii_lowercase().as_str() {
            "db.example.com." => heard.address([192, 0, 2, 9]),
            _ => heard.nxdomain(),
        };
        vec![octets(heard, &reply)]
    }
    let upstream = Upstream::start(some);
    let outside = "outside.default.svc.cluster.local.";
    let found = portico(&[&upstream.address().to_string()]);
    let want = Reply::of(&["A 192.0.2.9", "CNAME db.example.com."]);
    assert_eq!(ask(found.dns(), outside, RecordType::A), want, "dns 1.7");
    assert_eq!(ask_tcp(found.dns(), outside, RecordType::A), want, "dns 1.7");
    let reply = exchange(found.dns(), &query(outside, RecordType::A));
    assert_eq!(reply.answers[0].record_type(), RecordType::CNAME, "dns 1.4: CNAME first");
    assert_eq!(ask(found.dns(), outside, RecordType::AAAA), Reply::of(&["CNAME db.example.com."]));
    let cname = Reply::of(&["CNAME db.example.com."]);
    assert_eq!(ask(found.dns(), outside, RecordType::CNAME), cname);
    let gone = exchange(found.dns(), &query("nobody.default.svc.cluster.local.", RecordType::A));
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain, "RFC 6604");
    assert_eq!((gone.answers.len(), gone.authorities.len()), (1, 1));

    let lost = portico(&[&nowhere()]);
    let reply = ask(lost.dns(), outside, RecordType::A);
    assert_eq!(reply.code, ResponseCode::ServFail, "dns 1.7");
    assert_eq!(reply.answers, ["CNAME db.example.com."]);
    let off = portico(&[]);
    assert_eq!(ask(off.dns(), outside, RecordType::A), cname, "dns 1.7: forwarding is off");
}

#[test]
fn an_upstream_that_leads_back_is_found_and_not_asked() {
    let address = nowhere();
    let first = portico(&[&address]);
    let back = first.dns().to_string();
    let listen: SocketAddr = address.parse().unwrap();
    let second = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(move |settings| {
            settings.dns = vec![listen];
            settings.forwarding.rules = vec![back.parse().unwrap()];
        })
        .start();
    let reply = ask(first.dns(), "www.example.com.", RecordType::A);
    assert_eq!(reply.code, ResponseCode::ServFail);
    let looped = |portico: &Portico| portico.metric("portico_dns_forward_loops_total");
    eventually("the loop is found", || (looped(&first) + looped(&second) > 0).then_some(()));
    // Whichever finds it first breaks it, and then there is none.
    let up = |portico: &Portico, to: SocketAddr| {
        portico.metric(&format!("portico_dns_forward_up{{to=\"{to}\"}}"))
    };
    eventually("one of them is down", || {
        (up(&first, listen) + up(&second, first.dns()) < 2).then_some(())
    });
    assert_eq!(ask(first.dns(), LOCAL, RecordType::A).answers.len(), 1);
}

#[test]
fn a_flood_of_names_is_bounded_and_local_names_are_answered() {
    let silent = Upstream::start(|_| Vec::new());
    let portico = portico(&[&silent.address().to_string()]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(portico.dns()).unwrap();
    let mut refused = 0;
    let mut buffer = [0; 4096];
    for number in 0..1500 {
        let name = format!("n{number}.example.com.");
        socket
            .send(&query(&name, RecordType::A).to_vec().unwrap())
            .unwrap();
        // So that the kernel drops nothing: a local name among them is answered, or a refusal comes.
        if number % 20 == 19 {
            socket
                .send(&query(LOCAL, RecordType::A).to_vec().unwrap())
                .unwrap();
            loop {
                let length = socket.recv(&mut buffer).unwrap();
                let reply = Message::from_vec(&buffer[..length]).unwrap();
                match reply.metadata.response_code {
                    ResponseCode::Refused => refused += 1,
                    ResponseCode::NoError => break,
                    // On a slow machine the first have waited long enough meanwhile.
                    other => assert_eq!(other, ResponseCode::ServFail),
                }
            }
            assert!(portico.metric("portico_dns_forward_waiting") <= 1000);
        }
    }
    let rejected = portico.metric("coredns_forward_max_concurrent_rejects_total");
    assert!(refused <= rejected, "{refused} of {rejected}");
}

#[test]
fn a_slow_name_holds_up_no_other_of_its_connection() {
    let silent = Upstream::start(|_| Vec::new());
    let portico = portico(&[&silent.address().to_string()]);
    let mut stream = TcpStream::connect(portico.dns()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut framed = Vec::new();
    for (id, name) in [(1, "slow.example.com."), (2, LOCAL), (3, LOCAL)] {
        let mut message = query(name, RecordType::A);
        message.metadata.id = id;
        let octets = message.to_vec().unwrap();
        framed.extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
        framed.extend(octets);
    }
    stream.write_all(&framed).unwrap();
    let mut read = || {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).unwrap();
        let reply = Message::from_vec(&reply).unwrap();
        (reply.metadata.id, reply.metadata.response_code)
    };
    assert_eq!(read(), (2, ResponseCode::NoError), "RFC 7766");
    assert_eq!(read(), (3, ResponseCode::NoError));
    assert_eq!(read(), (1, ResponseCode::ServFail));
}

#[test]
fn what_a_zone_of_ours_lacks_is_asked_elsewhere_where_it_falls_through() {
    let upstream = Upstream::start(answers);
    let rules = [upstream.address().to_string()];
    let forward = forward(&[&format!("portico.test={}", rules[0])]);
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(move |settings| {
            forward(settings);
            settings.names.fallthrough = vec!["portico.test".into()];
        })
        .start();
    let ask = |name: &str| ask(portico.dns(), name, RecordType::A);
    assert_eq!(ask("office.portico.test."), Reply::of(&["A 192.0.2.1"]), "dns 4.5");
    assert_eq!(ask("office.cluster.local."), Reply::nxdomain(), "dns 4.5: not so in another zone");
    assert_eq!(
        ask(&LOCAL.replace("cluster.local", "portico.test"))
            .answers
            .len(),
        1
    );
    assert_eq!(upstream.heard("office.portico.test.").len(), 1);
    assert!(upstream.heard(LOCAL).is_empty());
}

#[test]
fn the_search_path_of_a_pod_leads_outside_in_one_question() {
    const CLIENT: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec: {containers: [{name: c, image: i}]}
status: {podIP: 127.0.0.1, phase: Running}
";
    let upstream = Upstream::start(answers);
    let forward = forward(&[&upstream.address().to_string()]);
    let portico = Portico::with(&[("names.yaml", MANIFESTS), ("client.yaml", CLIENT)])
        .adjust(move |settings| {
            forward(settings);
            settings.names.autopath = true;
        })
        .start();
    let reply = ask(portico.dns(), "www.example.com.shop.svc.cluster.local.", RecordType::A);
    assert_eq!(reply, Reply::of(&["CNAME www.example.com.", "A 192.0.2.1"]), "dns 1.12");
    let reply = ask(portico.dns(), "db.default.shop.svc.cluster.local.", RecordType::A);
    assert_eq!(reply.answers.len(), 2, "dns 1.12: a Service of ours: {reply:?}");
    assert_eq!(upstream.heard("www.example.com.").len(), 1, "nothing else is asked");
}

/// An answer of so many seconds.
fn lives<const SECONDS: u32>(heard: &Heard) -> Vec<Vec<u8>> {
    let mut reply = heard.reply();
    let data = RData::A(A::new(192, 0, 2, 1));
    reply.add_answer(Record::from_rdata(heard.name(), SECONDS, data));
    vec![octets(heard, &reply)]
}

#[test]
fn what_has_expired_stands_in_where_no_upstream_answers() {
    let upstream = Upstream::start(lives::<1>);
    let forward = forward(&[&upstream.address().to_string()]);
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(move |settings| {
            forward(settings);
            settings.forwarding.serve_stale = Some(std::time::Duration::from_secs(3600));
        })
        .start();
    let ttl = || {
        let reply = exchange(portico.dns(), &query("www.example.com.", RecordType::A));
        reply.answers.first().map(|record| record.ttl)
    };
    assert_eq!(ttl(), Some(1));
    drop(upstream);
    eventually("dns 4.2: it has expired and is told all the same", || {
        (ttl() == Some(30)).then_some(())
    });
}

#[test]
fn codes_of_settings_make_the_next_asked_and_others_do_not() {
    fn failing(heard: &Heard) -> Vec<Vec<u8>> {
        let mut reply = heard.reply();
        reply.metadata.response_code = match heard.name().to_string().to_ascii_lowercase() {
            name if name.starts_with("refused") => ResponseCode::Refused,
            _ => ResponseCode::ServFail,
        };
        vec![octets(heard, &reply)]
    }
    let [first, last] = [Upstream::start(failing), Upstream::start(failing)];
    let good = Upstream::start(answers);
    let with = |upstreams: &[&Upstream], codes: &[&str]| {
        let rules: Vec<_> = upstreams
            .iter()
            .map(|it| it.address().to_string())
            .collect();
        let rules: Vec<_> = rules.iter().map(String::as_str).collect();
        let forward = forward(&rules);
        let codes: Vec<_> = codes.iter().map(|code| code.parse().unwrap()).collect();
        Portico::with(&[("names.yaml", MANIFESTS)])
            .adjust(move |settings| {
                forward(settings);
                settings.forwarding.failover = codes;
            })
            .start()
    };
    let portico = with(&[&first, &good], &["SERVFAIL"]);
    let ask_for = |portico: &Portico, name: &str| ask(portico.dns(), name, RecordType::A);
    let found = Reply::of(&["A 192.0.2.1"]);
    assert_eq!(ask_for(&portico, "www.example.com."), found, "dns 4.1");
    assert_eq!(first.heard("www.example.com.").len(), 1, "dns 4.1: each is asked once");
    let refused = ask_for(&portico, "refused.example.com.");
    assert_eq!(refused.code, ResponseCode::Refused, "dns 4.1: not a code of settings");
    let up = format!("portico_dns_forward_up{{to=\"{}\"}}", first.address());
    assert_eq!(portico.metric(&up), 1, "dns 4.1: a reply is no failure of health");

    let portico = with(&[&first, &last], &["SERVFAIL", "REFUSED"]);
    let refused = ask_for(&portico, "refused.all.example.com.");
    assert_eq!(refused.code, ResponseCode::Refused, "dns 4.1: all say so");
    let heard = [&first, &last].map(|it| it.heard("refused.all.example.com.").len());
    assert_eq!(heard, [1, 1], "dns 4.1: none is asked again");
    let portico = with(&[&first, &good], &[]);
    assert_eq!(
        ask_for(&portico, "off.example.com.").code,
        ResponseCode::ServFail,
        "off by default"
    );
}

#[test]
fn what_is_asked_for_often_is_fetched_before_it_ends() {
    let upstream = Upstream::start(lives::<2>);
    let forward = forward(&[&upstream.address().to_string()]);
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(move |settings| {
            forward(settings);
            settings.forwarding.prefetch = true;
        })
        .start();
    let series = r#"coredns_cache_prefetch_total{server="dns://",view="",zones="."}"#;
    // Asked all the time, it comes to the last tenth of a life sooner or later.
    eventually("dns 4.2: it is fetched ahead", || {
        assert_eq!(
            ask(portico.dns(), "www.example.com.", RecordType::A)
                .answers
                .len(),
            1
        );
        (portico.metric(series) > 0).then_some(())
    });
    eventually("and upstream was asked for it", || {
        (upstream.heard("www.example.com.").len() > 1).then_some(())
    });
}

#[test]
fn nothing_that_an_upstream_sends_reaches_a_client_unread() {
    // By name, so that one upstream plays all parts.
    fn hostile(heard: &Heard) -> Vec<Vec<u8>> {
        let good = octets(heard, &heard.address([192, 0, 2, 1]));
        let name = heard.name().to_string().to_ascii_lowercase();
        let mut bad = good.clone();
        match name.split('.').next().unwrap_or_default() {
            "cut" => bad.truncate(good.len() - 2),
            "counts" => bad[7] = 200,
            "pointer" => {
                let owner = 12 + heard.name().len() + 4;
                bad[owner..owner + 2].copy_from_slice(&[0xff, 0xff]);
            }
            "query" => bad[2] &= 0x7f,
            _ => return vec![good],
        }
        vec![bad]
    }
    let upstream = Upstream::start(hostile);
    let portico = portico(&[&upstream.address().to_string()]);
    for part in ["cut", "counts", "pointer", "query"] {
        let name = format!("{part}.example.com.");
        let reply = ask(portico.dns(), &name, RecordType::A);
        assert_eq!(reply.code, ResponseCode::ServFail, "dns 4.1: {part}: {reply:?}");
    }
    let whole = ask(portico.dns(), "www.example.com.", RecordType::A);
    assert_eq!(whole, Reply::of(&["A 192.0.2.1"]), "and it is asked all the same");
    assert_eq!(ask(portico.dns(), LOCAL, RecordType::A).answers.len(), 1);
    let series = r#"coredns_cache_drops_total{server="dns://",view="",zones="."}"#;
    assert!(portico.metric(series) >= 3, "dns 5.1: what is malformed is counted");
}

#[test]
fn a_name_is_asked_as_another_and_told_as_it_was_asked() {
    let upstream = Upstream::start(answers);
    let forward = forward(&[&upstream.address().to_string()]);
    let portico = Portico::with(&[("names.yaml", MANIFESTS)])
        .adjust(move |settings| {
            forward(settings);
            let rules = ["suffix .corp.test .example.com", "db.test db.default.svc.cluster.local"];
            settings.dns_rewrites = rules.map(|rule| rule.parse().unwrap()).into();
        })
        .start();
    for round in 1..=2 {
        let reply = exchange(portico.dns(), &with_edns("WWW.corp.test.", RecordType::A));
        assert_eq!(reply.queries[0].name().to_string(), "WWW.corp.test.", "dns 4.6: {round}");
        assert_eq!(reply.answers[0].name.to_string(), "WWW.corp.test.", "dns 4.6: {round}");
        assert_eq!(reply.answers[0].data, RData::A(A::new(192, 0, 2, 1)));
        assert!(reply.edns.is_some());
    }
    assert_eq!(upstream.heard("www.example.com.").len(), 1, "the second from the cache");
    assert!(upstream.heard("www.corp.test.").is_empty());
    let want = ask(portico.dns(), LOCAL, RecordType::A);
    assert_eq!(ask(portico.dns(), "db.test.", RecordType::A), want, "dns 4.6: a name of ours");
    assert_eq!(ask_tcp(portico.dns(), "db.test.", RecordType::A), want);
}
