//! `services 4.1`: which endpoints are in the set of a flow.

use super::{Aspect, Row, World};

pub(crate) fn rows() -> Vec<Row> {
    let tables = [last_resort(), hints(), local_set(), policies(), families()];
    tables.into_iter().flatten().collect()
}

/// From a Pod of n1 to the ClusterIP: the cluster set, or the local one.
fn table(rows: &[(&str, &str, &'static str, &str)], policy: &str) -> Vec<Row> {
    let row = |(case, written, node, want): &(&str, &str, &'static str, &str)| {
        let (rule, case) = ruled(case);
        let spec = format!("type: NodePort, clusterIP: 10.96.0.10, {policy}");
        Row::new(rule, &case, World::new().service("web", &spec, written))
            .at(node)
            .expect(Aspect::Endpoints, "10.96.0.10:80 10.244.1.9", *want)
    };
    rows.iter().map(row).collect()
}

/// `[*]RULE case` in two.
fn ruled(case: &str) -> (&str, String) {
    let star = if case.starts_with('*') { "*" } else { "" };
    let (rule, case) = case
        .trim_start_matches('*')
        .split_once(' ')
        .expect("a rule and a case");
    (rule, format!("{star}{case}"))
}

/// The cluster set is the ready endpoints, else the last resort.
fn last_resort() -> Vec<Row> {
    table(
        &[
            ("*4.1.4 ready ones", "1@n1 2@n2", "n1", "1 2"),
            ("*4.1.4 an unready one is out", "1@n1 2!n@n2", "n1", "1 | 2:NotReady"),
            ("*4.1.4 one that ends is out beside a ready one", "1 2!t", "n1", "1 | 2:Terminating"),
            ("*4.1.4 those that end where none is ready", "1!t 2!t", "n1", "1 2"),
            ("*4.1.4 not those that serve no more", "1!t 2!g", "n1", "1 | 2:Gone"),
            ("*4.1.5 unready and not ending is never used", "1!n 2!t", "n1", "2 | 1:NotReady"),
            ("4.1.5 not even alone", "1!n", "n1", "| 1:NotReady"),
            ("*2.1 ready while it ends counts as ready", "1!p 2!t", "n1", "1 | 2:Terminating"),
            ("*4.1.6 nothing at all", "", "n1", ""),
        ],
        "",
    )
}

/// Hints narrow the cluster set only where all ready endpoints have one.
fn hints() -> Vec<Row> {
    table(
        &[
            ("*4.1.3 the node's zone", "1>z1 2>z2", "n1", "1 | 2:ZoneHints"),
            ("*4.1.3 the other zone, seen from there", "1>z1 2>z2", "n2", "2 | 1:ZoneHints"),
            ("4.1.3 one for both", "1>z1,z2 2>z2", "n1", "1 | 2:ZoneHints"),
            ("*4.1.3 one without switches off", "1>z1 2", "n1", "1 2"),
            ("4.1.3 no endpoint for the zone", "1>z2 2>z3", "n1", "1 2"),
            ("4.1.3 a node without zone never matches", "1>z1 2>z2", "n3", "1 2"),
            ("4.1.3 a node that nobody knows", "1>z1 2>z2", "n9", "1 2"),
            ("4.1.3 no node name", "1>z1 2>z2", "", "1 2"),
            ("*4.1.3 the node before the zone", "1>z1>>n1 2>z1>>n2", "n1", "1 | 2:NodeHints"),
            ("*4.1.3 the zone where no node matches", "1>z2>>n1 2>z1>>n3", "n2", "1 | 2:ZoneHints"),
            (
                "4.1.3 one without node hint leaves the zone",
                "1>z1>>n1 2>z1 3>z2",
                "n1",
                "1 2 | 3:ZoneHints",
            ),
            ("4.1.3 node hints alone", "1>>n1 2>>n2", "n2", "2 | 1:NodeHints"),
            ("4.1.3 node hints of others alone", "1>>n2 2>>n2", "n1", "1 2"),
            ("*4.1.3 an unready one needs no hint", "1>z1 2!n", "n1", "1 | 2:NotReady"),
            (
                "4.1.3 one that ends needs no hint",
                "1>z1 2>z2 3!t",
                "n1",
                "1 | 2:ZoneHints 3:Terminating",
            ),
            (
                "4.1.3 a hint of an unready one counts nothing",
                "1>z2 2!n>z1",
                "n1",
                "1 | 2:NotReady",
            ),
            ("*4.1.4 the last resort ignores hints", "1!t>z2 2!t>z1", "n1", "1 2"),
        ],
        "",
    )
}

/// The local set is of this node and knows no hints.
fn local_set() -> Vec<Row> {
    let rows = [
        ("*4.1.5 local ones", "1@n1 2@n2 3@n1", "n1", "1 3 | 2:NotLocal"),
        ("4.1.5 hints do not matter", "1@n1>z2 2@n1>z2 3@n2>z1", "n1", "1 2 | 3:NotLocal"),
        ("*4.1.5 the last resort of this node", "1!t@n1 2@n2", "n1", "1 | 2:NotLocal"),
        ("*4.1.5 apart from that of the cluster", "1!t@n1 2!t@n2", "n1", "1 | 2:NotLocal"),
        ("*4.1.5 not beside a ready local one", "1!t@n1 2@n1", "n1", "2 | 1:Terminating"),
        ("4.1.5 unready local ones are never used", "1!n@n1 2@n2", "n1", "| 1:NotReady 2:NotLocal"),
        ("2.2 an endpoint of no node is nowhere", "1 2@n1", "n1", "2 | 1:NotLocal"),
        ("2.2 without a node name nothing is local", "1@n1 2", "", "| 1:NotLocal 2:NotLocal"),
    ];
    table(&rows, "internalTrafficPolicy: Local")
}

/// Each front has the set of its own policy.
fn policies() -> Vec<Row> {
    let rows = |internal: &'static str, external: &'static str| {
        [("10.96.0.10:80", internal), ("127.0.0.1:30500", external), ("192.0.2.1:30500", external)]
    };
    [
        ("*4.1.7 neither", "", rows("1 2", "1 2")),
        ("*4.1.7 internal", "internalTrafficPolicy: Local", rows("1 | 2:NotLocal", "1 2")),
        ("4.1.7 external", "externalTrafficPolicy: Local", rows("1 2", "1 | 2:NotLocal")),
        (
            "*4.1.7 both",
            "internalTrafficPolicy: Local, externalTrafficPolicy: Local",
            rows("1 | 2:NotLocal", "1 | 2:NotLocal"),
        ),
    ]
    .into_iter()
    .map(|(case, policy, rows)| {
        let (rule, case) = ruled(case);
        let spec = format!(
            "kind: Service\nmetadata: {{name: web}}\nspec: {{type: NodePort, clusterIP: 10.96.0.10, ports: [{{port: 80, nodePort: 30500}}], {policy}}}"
        );
        let world = World::new().object(&spec).slice("web", "1@n1 2@n2");
        let row = Row::new(rule, &case, world);
        rows.into_iter().fold(row, |row, (front, want)| {
            row.expect(Aspect::Endpoints, format!("{front} 198.51.100.1"), want)
        })
    })
    .collect()
}

/// Families are independent.
fn families() -> Vec<Row> {
    let both = "ipFamilyPolicy: PreferDualStack, clusterIPs: [10.96.0.10, \"fd00:96::10\"], clusterIP: 10.96.0.10";
    [
        ("*1.5 IPv4", both, "1 6:2", "10.96.0.10:80", "1 | 6:2:Family"),
        ("*1.5 IPv6", both, "1 6:2", "[fd00:96::10]:80", "6:2 | 1:Family"),
        ("1.5 none of the family", both, "1", "[fd00:96::10]:80", "| 1:Family"),
        ("1.5 hints of the family alone", both, "1>z1 6:2", "10.96.0.10:80", "1 | 6:2:Family"),
        (
            "1.5 a single family",
            "clusterIP: 10.96.0.10",
            "1 6:2",
            "10.96.0.10:80",
            "1 | 6:2:Family",
        ),
    ]
    .into_iter()
    .map(|(case, spec, written, destination, want)| {
        let (rule, case) = ruled(case);
        let from = if destination.starts_with('[') { "::1" } else { "127.0.0.1" };
        Row::new(rule, &case, World::new().service("web", spec, written)).expect(
            Aspect::Endpoints,
            format!("{destination} {from}"),
            want,
        )
    })
    .collect()
}
