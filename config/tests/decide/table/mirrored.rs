//! `services 2.3`: Endpoints, where no slices are written.

use super::{Aspect, Row, World};

const NO_SELECTOR: &str = "ports: [{port: 80}]";

pub(crate) fn rows() -> Vec<Row> {
    let ready =
        "subsets: [{addresses: [{ip: 10.244.9.1}, {ip: 10.244.9.2}], ports: [{port: 8080}]}]";
    let half = "subsets: [{addresses: [{ip: 10.244.9.1}], notReadyAddresses: [{ip: 10.244.9.2}], \
                ports: [{port: 8080}]}]";
    let none = "subsets: [{notReadyAddresses: [{ip: 10.244.9.2}], ports: [{port: 8080}]}]";
    let two = "subsets: [{addresses: [{ip: 10.244.9.1}], ports: [{port: 8080}]}, \
               {addresses: [{ip: 10.244.9.2}], ports: [{port: 8081}]}]";
    let nodes = "subsets: [{addresses: [{ip: 10.244.9.1, nodeName: n1}, {ip: 10.244.9.2, nodeName: n2}], \
                 ports: [{port: 8080}]}]";
    let named = "subsets: [{addresses: [{ip: 10.244.9.1}], ports: [{name: other, port: 8080}]}]";
    let selects = "selector: {app: none}, ports: [{port: 80}]";
    let local = "internalTrafficPolicy: Local, ports: [{port: 80}]";
    [
        ("*addresses are ready", "name: web", NO_SELECTOR, ready, "1 2"),
        ("*others are not", "name: web", NO_SELECTOR, half, "1 | 2:NotReady"),
        ("and never the last resort", "name: web", NO_SELECTOR, none, "| 2:NotReady"),
        ("subsets are united", "name: web", NO_SELECTOR, two, "1 2"),
        ("*a node makes them local", "name: web", local, nodes, "1 | 2:NotLocal"),
        ("ports join by name", "name: web", NO_SELECTOR, named, ""),
        ("of the Service's name alone", "name: other", NO_SELECTOR, ready, ""),
        ("not where a selector chooses", "name: web", selects, ready, ""),
        (
            "not where the object says so",
            "name: web, labels: {endpointslice.kubernetes.io/skip-mirror: \"true\"}",
            NO_SELECTOR,
            ready,
            "",
        ),
        (
            "not of a leader's lock",
            "name: web, annotations: {control-plane.alpha.kubernetes.io/leader: \"{}\"}",
            NO_SELECTOR,
            ready,
            "",
        ),
    ]
    .into_iter()
    .map(|(case, metadata, spec, subsets, want)| {
        let world =
            world(spec).object(&format!("kind: Endpoints\nmetadata: {{{metadata}}}\n{subsets}"));
        Row::new("2.3", case, world).expect(Aspect::Endpoints, "10.96.0.10:80 10.244.1.9", want)
    })
    .chain([Row::new(
        "2.3",
        "*beside slices that somebody wrote",
        world(NO_SELECTOR)
            .object(&format!("kind: Endpoints\nmetadata: {{name: web}}\n{half}"))
            .slice("web", "3"),
    )
    .expect(Aspect::Endpoints, "10.96.0.10:80 10.244.1.9", "1 3 | 2:NotReady")])
    .collect()
}

fn world(spec: &str) -> World {
    World::new().object(&format!(
        "kind: Service\nmetadata: {{name: web}}\nspec: {{clusterIP: 10.96.0.10, {spec}}}"
    ))
}
