//! What holds of any octets as a client's message and as an upstream's reply: for fuzzing, and for the
//! tests that replay its seeds.
//!
//! Each function panics where its promise is broken. hickory-proto is the second opinion: it reads
//! the same message, and every reply that leaves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use portico_config::model::{Forwarding, HostPattern, ObjectName, Protocol, Settings};
use portico_config::snapshot::endpoint::NamedAddress;
use portico_config::snapshot::{
    Endpoint, HostOwner, HostRecord, PortId, Reach, Service, ServicePort, Snapshot, Zones,
};
use tokio_util::sync::CancellationToken;

use crate::answer::{Outcome, Transport, limit};
use crate::forward::message::{Ask, LETTERS, Match, compare};
use crate::forward::response::{Age, Client, Response};
use crate::forward::{Begun, Forwarder, chase};
use crate::question::{Edns, FORMERR, HEADER, Read, read, skip_name};
use crate::serve::Ends;
use crate::wire::{u16_at, wire};
use crate::{Dns, Options, build};

/// Holds the reader of questions and what answers them: a reply belongs to its message, keeps to its
/// limit and decodes; a datagram says what a stream says, or TC; the second reader reads the same.
pub(crate) fn query(message: &[u8]) {
    agrees(message);
    let stream = answered(message, Transport::Tcp);
    let datagram = answered(message, Transport::Udp);
    answered(message, Transport::Https);
    assert_eq!(stream.is_some(), datagram.is_some(), "both or neither");
    let (Some(stream), Some(datagram)) = (stream, datagram) else { return };
    if !datagram.metadata.truncation {
        let told = |it: &Message| {
            let mut told: Vec<_> = it.answers.iter().map(ToString::to_string).collect();
            told.sort();
            (it.metadata.response_code, told)
        };
        assert_eq!(told(&datagram), told(&stream), "a datagram says what a stream says, or TC");
    }
}

/// The reply to `message`, decoded; none where nothing is said at once.
fn answered(message: &[u8], transport: Transport) -> Option<Message> {
    let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let ends = Ends { peer, local: LOCAL, transport, idle: Duration::from_secs(10) };
    let mut reply = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build_local(Default::default())
        .expect("a runtime without sockets");
    // Upstreams are never reached: nothing runs beside this.
    let begun = runtime.block_on(async {
        WORLD.with(|dns| {
            let shared = &dns.shared;
            let forwarder = Forwarder::new(&shared.forward, &CancellationToken::new());
            shared.now().answer(message, ends, &forwarder, &mut reply)
        })
    });
    match begun {
        Begun::Waits(_) => return None,
        Begun::Said(Outcome::Ignored(_)) => {
            assert!(reply.is_empty(), "silence");
            return None;
        }
        Begun::Said(_) => {}
    }
    let flags = u16_at(message, 2).expect("no reply to less than a header");
    let told = u16_at(&reply, 2).expect("a header");
    assert_eq!(reply.get(..2), message.get(..2), "the id");
    assert_eq!((told & 0xf800, flags & 0x8000), (0x8000 | flags & 0x7800, 0), "a response");
    if u16_at(&reply, 4) == Some(1) {
        let (end, _) = skip_name(message, HEADER).expect("a question that is repeated is read");
        let question = message.get(HEADER..end + 4);
        assert_eq!(reply.get(HEADER..end + 4), question, "the question as it came");
    }
    // Errors are short; what answers a question keeps to its limit.
    let most = match read(message, OWN_SIZE) {
        Read::Query(query) => limit(transport, query.edns) + RESERVED,
        _ => 1232,
    };
    let most = if transport == Transport::Udp { most.min(1232) } else { most };
    assert!(reply.len() <= most, "{} octets, {most} allowed", reply.len());
    Some(Message::from_vec(&reply).expect("every reply decodes"))
}

/// Holds the reader to what the second reader says.
fn agrees(message: &[u8]) {
    let count = |at| u16_at(message, at).unwrap_or(0);
    let is_plain = [count(4), count(6), count(8), count(10)] == [1, 0, 0, 0];
    match (read(message, OWN_SIZE), Message::from_vec(message)) {
        (Read::Query(query), Ok(second)) => {
            let [question] = &second.queries[..] else { panic!("one question: {second:?}") };
            let name = question.name().to_lowercase();
            let labels = name.iter().flat_map(|label| {
                let length = u8::try_from(label.len()).expect("a label");
                [&[length], label].concat()
            });
            let name: Vec<u8> = labels.chain([0]).collect();
            assert_eq!(query.key.wire(), name, "the name");
            assert_eq!(query.kind, u16::from(question.query_type()), "the type");
            assert_eq!(query.class, u16::from(question.query_class()), "the class");
            let edns = second.edns.as_ref().map(hickory_proto::op::Edns::version);
            assert_eq!(query.edns.map(|edns| edns.version), edns, "the OPT");
        }
        (Read::Query(_), Err(error)) => assert!(!is_plain, "the second reader says {error}"),
        (Read::Fault { rcode: FORMERR, .. }, Ok(_)) if is_plain => {
            let end = skip_name(message, HEADER).map_or(0, |(end, _)| end);
            let octet = end.checked_sub(2).and_then(|at| message.get(at));
            assert!(octet.is_some_and(|octet| *octet >= 0xc0), "nothing is wrong with it");
        }
        _ => {}
    }
}

/// Holds the reader of replies, and what is told of them to clients: never longer than a client
/// takes, and as readable as it came.
///
/// `input`: flags, three counts and a choice of type, an octet each, then what stands behind the
/// question; all of it as a message of its own, too.
pub(crate) fn reply(input: &[u8]) {
    let kind = |choice: u8| KINDS[usize::from(choice) % KINDS.len()];
    let name: Box<[u8]> = wire(TARGET).expect("a name").into();
    let asks = |kind| {
        let name = name.clone();
        Ask { name, kind, flags: 0x0100, dnssec_ok: false, route: 0 }
    };
    let own = asks(1).query(7, [0; LETTERS], true);
    compare(&own, asks(1).question_end(), input);
    Response::read(&asks(1), input);
    let Some((&[flags, rcode, answers, authorities, additionals, choice], rest)) =
        input.split_first_chunk()
    else {
        return;
    };
    let ask = asks(kind(choice));
    let query = ask.query(7, [0x5a; LETTERS], true);
    let mut message = query.get(..ask.question_end()).unwrap_or_default().to_vec();
    let head = [0x80 | flags & 7, rcode, 0, 1, 0, answers, 0, authorities, 0, additionals];
    for (place, octet) in message.iter_mut().skip(2).zip(head) {
        *place = octet;
    }
    message.extend_from_slice(rest);
    assert_eq!(compare(&query, ask.question_end(), &message), Match::Same);
    let Some(response) = Response::read(&ask, &message) else { return };
    assert!(response.size() <= 1024 + 3 * message.len(), "what is kept is counted");
    let life = response.lifetime().map(|life| life.time);
    assert!(life.is_none_or(|life| life <= Duration::from_secs(3600)), "{life:?}");
    // Names that point into the header mean something else under a client's.
    let leads_there = rest
        .windows(2)
        .any(|pair| matches!(pair, [0xc0, place] if usize::from(*place) < HEADER));
    let is_readable = !leads_there && Message::from_vec(&message).is_ok();
    let question = message.get(HEADER..ask.question_end()).unwrap_or_default();
    let mut out = Vec::new();
    for edns in [None, Some(EDNS)] {
        for most in [512, 1232, 65_535] {
            let client =
                Client { id: 9, flags: 0x0110, question, kind: ask.kind, edns, limit: most };
            for age in [Age::New, Age::Kept(5), Age::Stale] {
                out.clear();
                response.write(&client, age, &mut out);
                told(&out, most, is_readable);
                behind_alias(&response, &ask, &client, age, is_readable);
            }
        }
    }
}

/// The same behind a CNAME of ours.
fn behind_alias(response: &Response, ask: &Ask, client: &Client<'_>, age: Age, is_readable: bool) {
    let name = wire("out.default.svc.cluster.local").expect("a name");
    let question = [&name[..], &ask.kind.to_be_bytes(), &[0, 1]].concat();
    let mut chain = [&[0, 9, 0x85, 0, 0, 1, 0, 1, 0, 0, 0, 0][..], &question].concat();
    let data = [&ask.name[..]];
    crate::wire::put_record(&mut chain, &[&crate::wire::OWNER], 5, 5, &data);
    assert_eq!(chase::target(&chain).as_deref(), Some(&*ask.name), "where it leads");
    let client = Client { question: &question, ..*client };
    let mut out = Vec::new();
    chase::write(&chain, &client, ask, response, age, &mut out);
    told(&out, client.limit, is_readable);
}

fn told(reply: &[u8], most: usize, is_readable: bool) {
    assert!(reply.len() <= most, "{} octets, {most} allowed", reply.len());
    assert_eq!(u16_at(reply, 4), Some(1), "one question");
    let decoded = Message::from_vec(reply);
    assert!(!is_readable || decoded.is_ok(), "it was readable: {decoded:?}");
}

/// A few of all kinds of names, and upstreams for the rest.
fn world() -> Dns {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let many = (1..=40).map(|number| (format!("p-{number}"), IpAddr::from([10, 9, 0, number])));
    let many: Vec<_> = many.collect();
    let few = vec![("db-0".to_owned(), ip("10.0.0.1")), ("db-0".to_owned(), ip("fd00::1"))];
    let external = |to: &str| Reach::ExternalName(to.into());
    let services = [
        service("web", Reach::ClusterIp(vec![ip("127.96.0.1"), ip("fd00:96::1")]), &few),
        service("db", Reach::Headless, &few),
        service("many", Reach::Headless, &many),
        service("out", external(TARGET), &[]),
        service("in", external("web.default.svc.cluster.local"), &[]),
    ];
    let host = |host: &str, address: &str| HostRecord {
        host: HostPattern::parse(host),
        addresses: vec![ip(address)],
        alias: None,
        ttl_seconds: None,
        owner: HostOwner::Ingress(ObjectName::new("default", "web")),
    };
    let record = |text: &str| text.parse().expect("a record");
    let zones = Zones {
        cluster_domains: vec!["cluster.local".into()],
        alias_zones: vec!["portico.test".into()],
        reverse: vec!["127.96.0.0/16".parse().expect("a network")],
        hosts: vec![host("*.wild.example", "127.0.0.1"), host("any.example", "0.0.0.0")],
        records: [record("*.dev.test A 192.0.2.1"), record("t.test TXT \"a b\"")].into(),
        fallthrough: vec!["portico.test".into()],
        namespaces: ["default".into()].into(),
        ttl_seconds: 5,
        serial: 7,
        ..Zones::default()
    };
    let services = services.map(|it| (it.name.clone(), it)).into_iter();
    let zones = Arc::new(zones);
    let snapshot =
        Snapshot { generation: 1, services: services.collect(), zones, ..Snapshot::default() };
    let (mut dns, _) = Dns::new(Options::default());
    dns.open();
    let mut settings = Settings { dns_nsid: Some("here".into()), ..Settings::default() };
    let upstream = "192.0.2.53".parse().expect("an upstream");
    settings.forwarding = Forwarding { rules: vec![upstream], ..Forwarding::default() };
    settings.dns_rewrites = ["suffix .corp.test .default.svc.cluster.local", "prefix old- new-"]
        .map(|rule| rule.parse().expect("a rule"))
        .into();
    dns.follow(&settings);
    let mut tables = build::Tables::default();
    dns.shared
        .table
        .store(tables.next(&Arc::new(snapshot), &[SocketAddr::new(LOCAL, 53)]));
    dns
}

fn service(name: &str, reach: Reach, endpoints: &[(String, IpAddr)]) -> Arc<Service> {
    let name = ObjectName::new("default", name);
    let endpoint = |(label, ip): &(String, IpAddr)| Endpoint {
        label: label.as_str().into(),
        ..Endpoint::at(SocketAddr::new(*ip, 8080))
    };
    let address = |(label, ip): &(String, IpAddr)| NamedAddress {
        label: label.as_str().into(),
        address: *ip,
    };
    let port = ServicePort {
        id: Arc::new(PortId {
            service: name.clone(),
            name: "http".into(),
            protocol: Protocol::Tcp,
        }),
        port: 80,
        node_port: None,
        endpoints: endpoints.iter().map(endpoint).collect(),
        traffic: Arc::default(),
    };
    Arc::new(Service {
        name,
        reach,
        has_selector: false,
        is_nameless: false,
        ports: vec![Arc::new(port)],
        addresses: endpoints.iter().map(address).collect(),
        traffic: Arc::default(),
    })
}

thread_local! {
    static WORLD: Dns = world();
}

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What is asked of upstreams.
const TARGET: &str = "www.example.org";
/// A, CNAME, SOA, TXT, AAAA, an unknown type, ANY.
const KINDS: [u16; 7] = [1, 5, 6, 16, 28, 65_280, 255];
const OWN_SIZE: u16 = 1232;
const EDNS: Edns =
    Edns { size: 1232, own_size: OWN_SIZE, version: 0, dnssec_ok: true, has_options: false };
/// What options add to a reply that answers a question, padding among it.
const RESERVED: usize = crate::options::RESERVE + 468 + 4;
