//! What becomes of flows: every row of the tables through manifests, the pipeline and the one
//! decision. A third of them runs over real sockets as well, in `tests/it/decide.rs`.

mod table;

use std::sync::Arc;

use portico_config::diagnostic::Severity;
use portico_config::model::{ClusterIps, HostFacts};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::{Assignments, Reach, Snapshot};
use portico_config::source::Changes;

use table::{Row, World, decided, rows};

/// What is compiled of a world.
fn compile(world: &World) -> Arc<Snapshot> {
    let content = world.manifests.clone().into_bytes();
    let file = (Arc::new("world.yaml".into()), content.into());
    let changes = Changes { written: vec![file], ..Changes::default() };
    let settings = Arc::new(world.settings.clone());
    let mut pipeline = Pipeline::new(settings, HostFacts::default(), Assignments::default());
    let update = pipeline.apply(changes, 0);
    let found = update.diagnostics.iter();
    let errors: Vec<_> = found
        .filter(|it| it.severity() == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?} in\n{}", world.manifests);
    update.snapshot
}

/// What of a row does not hold, in sentences.
fn wrong(row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    for world in &row.worlds {
        let snapshot = compile(world);
        for check in &row.checks {
            let decision = decided(&snapshot, row.node, &check.flow());
            let got = check.aspect.of(&decision);
            if got != check.want {
                wrong.push(format!("{}: {}: {got}, not {}", row.case, check.flow, check.want));
            }
        }
    }
    wrong
}

#[test]
fn every_row_holds_for_the_decision() {
    let wrong: Vec<_> = rows().iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn there_are_as_many_rows_as_the_tables_promise() {
    let rows = rows();
    let on_sockets = rows.iter().filter(|row| row.on_sockets).count();
    assert!(rows.len() >= 160, "{} rows", rows.len());
    assert!(3 * on_sockets >= rows.len(), "{on_sockets} of {} over sockets", rows.len());
    let flows: usize = rows.iter().map(|row| row.checks.len()).sum();
    assert!(flows > rows.len(), "{flows} flows");
}

#[test]
fn a_mapped_address_is_known_as_it_was_mapped() {
    let spec =
        "kind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.9.0.10, ports: [{port: 80}]}";
    let world = World::new().object(spec);
    let world = world.settings(|it| it.cluster_ips = ClusterIps::Map);
    let snapshot = compile(&world);
    let service = snapshot.services.values().next();
    let Some(Reach::ClusterIp(mapped)) = service.map(|it| &it.reach) else {
        panic!("it has an address")
    };
    let flow = format!("{}:80 127.0.0.1", mapped[0]);
    let check = table::Check { flow, aspect: table::Aspect::Front, want: String::new() };
    let decision = decided(&snapshot, "n1", &check.flow());
    assert_eq!(table::Aspect::Front.of(&decision), "ClusterIP web:", "services 4.4");
}
