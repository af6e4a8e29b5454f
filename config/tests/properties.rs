//! What holds for any manifests: the order of files changes nothing, and a run of edits ends where
//! a fresh start with the same assignments begins.

mod same;

use std::path::PathBuf;
use std::sync::Arc;

use portico_config::diagnostic::Code;
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::{Pipeline, Update};
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;
use proptest::prelude::*;
use same::{assert_whole, content, lasting, pretty};

/// One file's content, from a small world in which objects meet often.
fn manifest() -> impl Strategy<Value = String> {
    let name = prop_oneof!["a", "b", "c"];
    let document = (0..12_u8, name, 0..3_u8).prop_map(|(kind, name, n)| match kind {
        0 => format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: NodePort, \
             selector: {{app: x{n}}}, ports: [{{port: {}}}]}}\n",
            80 + u16::from(n)
        ),
        1 => format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{clusterIP: \
             127.77.0.{n}, ports: [{{name: p, port: 80}}]}}\n"
        ),
        2 => format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: x{n}}}}}\nstatus: \
             {{podIP: 127.1.1.{n}}}\n"
        ),
        3 => format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: s{n}, labels: \
             {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\nendpoints: [{{addresses: \
             [127.2.2.{n}]}}]\nports: [{{name: p, port: 81}}]\n"
        ),
        4 => format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}}}\nspec: \
             {{rules: [{{host: h{n}.test, http: {{paths: [{{path: /{name}, pathType: Prefix, backend: \
             {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
        ),
        6 => format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: n{n}, labels: \
             {{topology.kubernetes.io/zone: z{name}}}}}\n"
        ),
        7 => format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: x{n}}}}}\nspec: \
             {{nodeName: n{n}}}\nstatus: {{podIP: 127.1.3.{n}}}\n"
        ),
        // A Service whose endpoints may be the front of another, or its own.
        8 => format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: \
             {{portico.dev/endpoints: '127.77.0.{n}:80'}}}}\nspec: {{clusterIP: 127.77.0.{}, \
             ports: [{{name: p, port: 80}}]}}\n",
            (n + u8::from(name == "a")) % 4
        ),
        9 => format!(
            "apiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}, namespace: ns{n}}}\n\
             subsets: [{{addresses: [{{ip: 127.4.4.{n}}}], ports: [{{port: 82}}]}}]\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: ns{n}}}\nspec: \
             {{clusterIP: None, ports: [{{port: 82}}]}}\n"
        ),
        10 => format!(
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}, \
             annotations: {{ingressclass.kubernetes.io/is-default-class: 'true'}}}}\nspec: \
             {{controller: {}}}\n",
            if n == 0 { "portico.dev/ingress" } else { "other.test/ingress" }
        ),
        5 => format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: x{n}}}\n"),
        _ => format!("kind: [{name}\n"),
    });
    prop::collection::vec(document, 0..6).prop_map(|documents| documents.join("---\n"))
}

fn pipeline(assignments: Assignments) -> Pipeline {
    Pipeline::new(Arc::new(Settings::default()), HostFacts::default(), assignments)
}

fn file(index: usize) -> Arc<PathBuf> {
    Arc::new(PathBuf::from(format!("{index}.yaml")))
}

fn write(pipeline: &mut Pipeline, index: usize, text: &str) -> Update {
    let written = vec![(file(index), text.as_bytes().into())];
    pipeline.apply(Changes { written, ..Changes::default() }, 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_compiled_for_a_change_alone_is_what_is_compiled_for_all(
        edits in prop::collection::vec((0..4_usize, manifest(), 0..4_u8), 1..16),
    ) {
        let mut pipeline = pipeline(Assignments::default());
        for (index, text, remove) in &edits {
            let update = if *remove == 0 {
                let removed = vec![file(*index)];
                pipeline.apply(Changes { removed, ..Changes::default() }, 1)
            } else {
                write(&mut pipeline, *index, text)
            };
            assert_whole(&mut pipeline, &Arc::new(Settings::default()), &update, "after an edit");
        }
    }

    #[test]
    fn the_order_in_which_files_come_changes_nothing(files in prop::collection::vec(manifest(), 1..5)) {
        let all = |order: &mut dyn Iterator<Item = usize>| {
            let written = order.map(|index| (file(index), files[index].as_bytes().into())).collect();
            let changes = Changes { written, ..Changes::default() };
            let update = pipeline(Assignments::default()).apply(changes, 1);
            (content(&update.snapshot), format!("{:#?}", update.diagnostics))
        };
        prop_assert_eq!(all(&mut (0..files.len())), all(&mut (0..files.len()).rev()));
    }

    #[test]
    fn edits_end_where_a_fresh_start_begins(
        files in prop::collection::vec(manifest(), 1..4),
        edits in prop::collection::vec((0..4_usize, manifest(), any::<bool>()), 0..12),
    ) {
        let mut edited = pipeline(Assignments::default());
        for (index, text, remove) in &edits {
            if *remove {
                edited.apply(Changes { removed: vec![file(*index)], ..Changes::default() }, 1);
            } else {
                write(&mut edited, *index, text);
            }
        }
        // What is refused keeps its last good version, which a fresh start does not have: so the
        // files end without what an edit left behind.
        let mut last = None;
        for index in 0..4 {
            edited.apply(Changes { removed: vec![file(index)], ..Changes::default() }, 1);
        }
        for (index, text) in files.iter().enumerate() {
            last = Some(write(&mut edited, index, text));
        }
        let Some(last) = last else { return Ok(()) };
        let mut fresh = pipeline((*last.snapshot.assignments).clone());
        let mut first = None;
        for (index, text) in files.iter().enumerate() {
            first = Some(write(&mut fresh, index, text));
        }
        let Some(first) = first else { return Ok(()) };
        pretty(&content(&last.snapshot), &content(&first.snapshot), "at the end");
        prop_assert_eq!(lasting(&last), lasting(&first));
    }
}

#[test]
fn a_circle_is_cut_when_it_closes_and_whole_when_it_opens() {
    let service = |name: &str, own: u8, other: u8| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: \
             {{portico.dev/endpoints: '127.77.0.{other}:80'}}}}\nspec: {{clusterIP: \
             127.77.0.{own}, ports: [{{port: 80}}]}}\n"
        )
    };
    let endpoints = |update: &Update| -> usize {
        let services = update.snapshot.services.values();
        services
            .flat_map(|service| &service.ports)
            .map(|port| port.endpoints.len())
            .sum()
    };
    let mut pipeline = pipeline(Assignments::default());
    let first = write(&mut pipeline, 0, &service("a", 1, 2));
    assert_eq!((endpoints(&first), first.diagnostics.len()), (1, 0));
    let closed = write(&mut pipeline, 1, &service("b", 2, 1));
    assert_eq!(endpoints(&closed), 1, "reliability 2.12.11: one of two closes the circle");
    assert_eq!(closed.diagnostics[0].code, Code::Cycle);
    let opened = write(&mut pipeline, 1, &service("b", 2, 3));
    assert_eq!((endpoints(&opened), opened.diagnostics.len()), (2, 0));
}
