//! `services 1.1`, `2.2`, `4.6`: which slices are a Service's, and what of them counts.

use super::world::endpoint;
use super::{Aspect, Row, World};

/// An EndpointSlice: `NAME[/SERVICE[/NAMESPACE]]`, its type, ports and endpoints.
fn slice(world: World, named: &str, kind: &str, ports: &str, endpoints: &str) -> World {
    let mut names = named.split('/');
    let name = names.next().unwrap_or_default();
    let label = names
        .next()
        .map(|it| format!(", labels: {{kubernetes.io/service-name: {it}}}"));
    let namespace = names.next().unwrap_or("default");
    world.document(&format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, namespace: \
         {namespace}{}}}\naddressType: {kind}\nports: [{ports}]\nendpoints: [{endpoints}]",
        label.unwrap_or_default()
    ))
}

/// The Service web with the ports http, 80, and admin, 81.
fn service() -> World {
    World::new().object(
        "kind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.10, \
         ports: [{name: http, port: 80}, {name: admin, port: 81}]}",
    )
}

const HTTP: &str = "{name: http, port: 8080}";
const BOTH: &str = "{name: http, port: 8080}, {name: admin, port: 8080}";

pub(crate) fn rows() -> Vec<Row> {
    [joins(), endpoints_of_a_slice(), several_slices()]
        .into_iter()
        .flatten()
        .collect()
}

fn joins() -> Vec<Row> {
    [
        ("*by the label, whatever its name", "any/web", HTTP, 80, "1"),
        ("not by its name", "web", HTTP, 80, ""),
        ("not from another namespace", "web/web/other", HTTP, 80, ""),
        ("not by the name of another Service", "web/other", HTTP, 80, ""),
        ("*ports by name", "web/web", BOTH, 81, "1"),
        ("*a port of another name is another port", "web/web", HTTP, 81, ""),
        ("no name is a name of its own", "web/web", "{port: 8080}", 80, ""),
        ("by protocol too", "web/web", "{name: http, protocol: UDP, port: 8080}", 80, ""),
        ("TCP where none is said", "web/web", "{name: http, protocol: TCP, port: 8080}", 80, "1"),
    ]
    .into_iter()
    .map(|(case, named, ports, port, want)| {
        let world = slice(service(), named, "IPv4", ports, &endpoint("1"));
        Row::new("1.1", case, world).expect(
            Aspect::Endpoints,
            format!("10.96.0.10:{port} 10.244.1.9"),
            want,
        )
    })
    .collect()
}

fn endpoints_of_a_slice() -> Vec<Row> {
    let one = |conditions: &str| format!("{{addresses: [10.244.9.1], conditions: {conditions}}}");
    [
        ("*its first address alone", "{addresses: [10.244.9.1, 10.244.9.2]}".to_owned(), "1"),
        ("*no conditions at all", "{addresses: [10.244.9.1]}".to_owned(), "1"),
        ("ready counts by itself", one("{serving: false}"), "1"),
        ("*absent serving is true", one("{ready: false, terminating: true}"), "1"),
        ("absent terminating is false", one("{ready: false, serving: true}"), "| 1:NotReady"),
        ("null is absent", one("{ready: null, serving: null, terminating: null}"), "1"),
        ("absent ready is true while it ends", one("{terminating: true}"), "1"),
    ]
    .into_iter()
    .map(|(case, endpoints, want)| {
        let world = slice(service(), "web/web", "IPv4", HTTP, &endpoints);
        Row::new("2.2", case, world).expect(Aspect::Endpoints, "10.96.0.10:80 10.244.1.9", want)
    })
    .chain([
        Row::new(
            "2.2",
            "a port without a number",
            slice(service(), "web/web", "IPv4", "{name: http}", &endpoint("1")),
        )
        .expect(Aspect::Verdict, "10.96.0.10:80 10.244.1.9", "Reject NoEndpoints"),
        Row::new(
            "2.2",
            "names are no addresses",
            slice(service(), "web/web", "FQDN", HTTP, "{addresses: [a.example.com]}"),
        )
        .expect(Aspect::Verdict, "10.96.0.10:80 10.244.1.9", "Reject NoEndpoints"),
    ])
    .collect()
}

fn several_slices() -> Vec<Row> {
    [
        ("*they are united", "1", "2", "1 2"),
        ("*the same address counts once", "1 2", "2 3", "1 2 3"),
        ("one that ends replaces none", "1", "1!t", "1"),
        ("one that ends is replaced", "1!t", "1", "1"),
        ("ready before not ready", "1!n 2", "1", "1 2"),
        ("whichever comes first", "1 2", "1!n", "1 2"),
        ("*the last resort of both", "1!t", "2!t", "1 2"),
        ("*a ready one of either", "1!t", "2", "2 | 1:Terminating"),
    ]
    .into_iter()
    .map(|(case, first, second, want)| {
        let list = |texts: &str| {
            let all: Vec<_> = texts.split(' ').map(endpoint).collect();
            all.join(", ")
        };
        let world = slice(service(), "web-a/web", "IPv4", HTTP, &list(first));
        let world = slice(world, "web-b/web", "IPv4", HTTP, &list(second));
        Row::new("4.6", case, world).expect(Aspect::Endpoints, "10.96.0.10:80 10.244.1.9", want)
    })
    .collect()
}
