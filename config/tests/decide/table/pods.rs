//! `services 2.4`, `8`: which Pods are endpoints of a Service.

use super::{Aspect, Row, World};

/// A Pod of n1 at 10.244.9.NUMBER, ready unless its status says more.
#[derive(Clone, Copy)]
struct Pod {
    number: u8,
    metadata: &'static str,
    spec: &'static str,
    status: &'static str,
}

impl Pod {
    const fn ready(number: u8) -> Self {
        Self { number, metadata: "labels: {app: web}", spec: "", status: READY }
    }

    const fn with_metadata(self, metadata: &'static str) -> Self {
        Self { metadata, ..self }
    }

    const fn with_spec(self, spec: &'static str) -> Self {
        Self { spec, ..self }
    }

    const fn with_status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    fn put(&self, world: World) -> World {
        let Self { number, metadata, spec, status } = self;
        let spec = if spec.is_empty() { "containers: [{name: c}]" } else { spec };
        let address = format!("podIP: 10.244.9.{number}, ");
        let address = if status.contains("podIP") || *status == NO_ADDRESS { "" } else { &address };
        world.object(&format!(
            "kind: Pod\nmetadata: {{name: p{number}, {metadata}}}\nspec: {{nodeName: n1, {spec}}}\n\
             status: {{{address}{status}}}"
        ))
    }
}

const READY: &str = "conditions: [{type: Ready, status: \"True\"}]";
const UNREADY: &str = "conditions: [{type: Ready, status: \"False\"}]";
const NO_ADDRESS: &str = "phase: Pending";
const ENDS: &str = "labels: {app: web}, deletionTimestamp: \"2026-01-01T00:00:00Z\", deletionGracePeriodSeconds: 30";
const SQL: &str = "containers: [{name: c, ports: [{name: sql, containerPort: 8080}]}]";
const BY_NUMBER: &str = "selector: {app: web}, ports: [{port: 80, targetPort: 8080}]";
const BY_NAME: &str = "selector: {app: web}, ports: [{port: 80, targetPort: sql}]";
const UNREADY_TOO: &str =
    "selector: {app: web}, publishNotReadyAddresses: true, ports: [{port: 80, targetPort: 8080}]";

pub(crate) fn rows() -> Vec<Row> {
    [by_labels(), by_state(), unready_too(), ports()]
        .into_iter()
        .flatten()
        .collect()
}

fn row(rule: &str, case: &str, spec: &str, pods: &[Pod], want: &str) -> Row {
    let service =
        format!("kind: Service\nmetadata: {{name: web}}\nspec: {{clusterIP: 10.96.0.10, {spec}}}");
    let world = pods
        .iter()
        .fold(World::new().object(&service), |world, pod| pod.put(world));
    Row::new(rule, case, world).expect(Aspect::Endpoints, "10.96.0.10:80 10.244.1.9", want)
}

fn by_labels() -> Vec<Row> {
    let ready = Pod::ready;
    let other = "labels: {app: other}";
    let elsewhere = "labels: {app: web}, namespace: other";
    let pair = "selector: {app: web, tier: a}, ports: [{port: 80, targetPort: 8080}]";
    let replica = "selector: {statefulset.kubernetes.io/pod-name: web-1}, ports: [{port: 80, targetPort: 8080}]";
    let named = "labels: {app: web, statefulset.kubernetes.io/pod-name: web-1}";
    let none = "ports: [{port: 80, targetPort: 8080}]";
    [
        ("2.4", "*ready ones of the selector", BY_NUMBER, vec![ready(1), ready(2)], "1 2"),
        (
            "2.4",
            "none of other labels",
            BY_NUMBER,
            vec![ready(1), ready(2).with_metadata(other)],
            "1",
        ),
        ("2.4", "all pairs have to be there", pair, vec![ready(1)], ""),
        (
            "2.4",
            "none of another namespace",
            BY_NUMBER,
            vec![ready(1).with_metadata(elsewhere)],
            "",
        ),
        ("2.4", "none without a selector", none, vec![ready(1)], ""),
        (
            "8",
            "*one replica by its label",
            replica,
            vec![ready(1), ready(2).with_metadata(named)],
            "2",
        ),
    ]
    .into_iter()
    .map(|(rule, case, spec, pods, want)| row(rule, case, spec, &pods, want))
    .collect()
}

fn by_state() -> Vec<Row> {
    let ready = Pod::ready;
    [
        (
            "2.4",
            "none that has ended well",
            BY_NUMBER,
            vec![ready(1), ready(2).with_status("phase: Succeeded")],
            "1",
        ),
        (
            "2.4",
            "none that has failed",
            BY_NUMBER,
            vec![ready(1), ready(2).with_status("phase: Failed")],
            "1",
        ),
        (
            "2.4",
            "none without an address",
            BY_NUMBER,
            vec![ready(1), ready(2).with_status(NO_ADDRESS)],
            "1",
        ),
        (
            "2.4",
            "*an unready one is out",
            BY_NUMBER,
            vec![ready(1), ready(2).with_status(UNREADY)],
            "1 | 2:NotReady",
        ),
        (
            "2.4",
            "*one that is deleted is the last resort",
            BY_NUMBER,
            vec![ready(1).with_metadata(ENDS)],
            "1",
        ),
        (
            "2.4",
            "*and out beside another",
            BY_NUMBER,
            vec![ready(1).with_metadata(ENDS), ready(2)],
            "2 | 1:Terminating",
        ),
        (
            "2.4",
            "deleted and unready it is gone",
            BY_NUMBER,
            vec![ready(1).with_metadata(ENDS).with_status(UNREADY), ready(2)],
            "2 | 1:Gone",
        ),
        (
            "2.4",
            "podIPs before podIP",
            BY_NUMBER,
            vec![ready(1).with_status("podIP: 10.244.9.1, podIPs: [{ip: 10.244.9.1}]")],
            "1",
        ),
    ]
    .into_iter()
    .map(|(rule, case, spec, pods, want)| row(rule, case, spec, &pods, want))
    .collect()
}

fn unready_too() -> Vec<Row> {
    let unready = Pod::ready(2).with_status(UNREADY);
    [
        ("*unready ones where the Service says so", [Pod::ready(1), unready]),
        ("also while they end", [Pod::ready(1), unready.with_metadata(ENDS)]),
    ]
    .into_iter()
    .map(|(case, pods)| row("2.1", case, UNREADY_TOO, &pods, "1 2"))
    .collect()
}

fn ports() -> Vec<Row> {
    let ready = Pod::ready;
    let udp = "containers: [{name: c, ports: [{name: sql, containerPort: 8080, protocol: UDP}]}]";
    let sidecar = "containers: [{name: c}], initContainers: [{name: i, restartPolicy: Always, \
                   ports: [{name: sql, containerPort: 8080}]}]";
    let init = "containers: [{name: c}], initContainers: [{name: i, ports: [{name: sql, containerPort: 8080}]}]";
    let second = "containers: [{name: c}, {name: d, ports: [{name: sql, containerPort: 8080}]}]";
    [
        ("*a name, in the Pod that has it", vec![ready(1).with_spec(SQL), ready(2)], "1"),
        ("a name of another protocol", vec![ready(1).with_spec(udp)], ""),
        ("*a name in any container", vec![ready(1).with_spec(second)], "1"),
        ("a name in a restartable init container", vec![ready(1).with_spec(sidecar)], "1"),
        ("not in one that ends", vec![ready(1).with_spec(init)], ""),
    ]
    .into_iter()
    .map(|(case, pods, want)| row("2.4", case, BY_NAME, &pods, want))
    .collect()
}
