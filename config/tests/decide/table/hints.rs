//! `services 2.5`: the hints that `trafficDistribution` asks for.

use super::{Aspect, Row, World};

/// Ready Pods, by number and node.
fn world(distribution: &str, pods: &[(u8, &str)]) -> World {
    let service = format!(
        "kind: Service\nmetadata: {{name: web}}\nspec: {{clusterIP: 10.96.0.10, selector: {{app: web}}, \
         ports: [{{port: 80, targetPort: 8080}}], {distribution}}}"
    );
    let pods = pods.iter();
    pods.fold(World::new().object(&service), |world, (number, node)| {
        // One of more than a hundred is not ready.
        let (number, is_ready) = (number % 100, if *number < 100 { "True" } else { "False" });
        world.object(&format!(
            "kind: Pod\nmetadata: {{name: p{number}, labels: {{app: web}}}}\nspec: {{nodeName: {node}, \
             containers: [{{name: c}}]}}\nstatus: {{podIP: 10.244.9.{number}, conditions: [{{type: \
             Ready, status: \"{is_ready}\"}}]}}"
        ))
    })
}

pub(crate) fn rows() -> Vec<Row> {
    let (zone, close, node) = (
        "trafficDistribution: PreferSameZone",
        "trafficDistribution: PreferClose",
        "trafficDistribution: PreferSameNode",
    );
    let pair = [(1, "n1"), (2, "n2")];
    [
        ("*the zone of each Pod", zone, "n1", &pair[..], "1 | 2:ZoneHints"),
        ("seen from the other", zone, "n2", &pair, "2 | 1:ZoneHints"),
        ("by its older name", close, "n1", &pair, "1 | 2:ZoneHints"),
        ("*the node of each Pod", node, "n1", &pair, "1 | 2:NodeHints"),
        ("from a node without Pods the zone", node, "n3", &pair, "1 2"),
        ("*one on a node without zone ends it", zone, "n1", &[(1, "n1"), (3, "n3")], "1 3"),
        ("none in this zone", zone, "n1", &[(2, "n2"), (4, "n2")], "2 4"),
        ("*none where nobody asks", "", "n1", &pair, "1 2"),
        (
            "an unready one needs no hint",
            zone,
            "n1",
            &[(1, "n1"), (2, "n2"), (103, "n3")],
            "1 | 2:ZoneHints 3:NotReady",
        ),
    ]
    .into_iter()
    .map(|(case, distribution, at, pods, want)| {
        Row::new("2.5", case, world(distribution, pods))
            .at(at)
            .expect(Aspect::Endpoints, "10.96.0.10:80 10.244.1.9", want)
    })
    .collect()
}
