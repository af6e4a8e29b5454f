//! A file that is caught half written: nothing is reported, nothing is lost, whatever was cut off.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use portico_config::diagnostic::Severity;
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::{Pipeline, Update};
use portico_config::snapshot::Assignments;
use portico_config::source::{Changes, Source, files::FileSource};

/// Source and pipeline as a running portico joins them.
struct Followed {
    source: FileSource,
    pipeline: Pipeline,
}

impl Followed {
    fn new(root: &Path) -> Self {
        let settings = Settings::default();
        let source = FileSource::new(vec![root.to_owned()], &settings.limits, &settings.reload);
        let pipeline =
            Pipeline::new(Arc::new(settings), HostFacts::default(), Assignments::default());
        Self { source, pipeline }
    }

    fn apply(&mut self, changes: Changes) -> Update {
        let update = self.pipeline.apply(changes, 1);
        self.source.look_again(&update.look_again);
        update
    }

    fn next(&mut self) -> Update {
        let changes = self.source.next().expect("the source goes on");
        self.apply(changes)
    }
}

fn errors(update: &Update) -> Vec<String> {
    let found = update.diagnostics.iter();
    found
        .filter(|found| found.severity() == Severity::Error)
        .map(ToString::to_string)
        .collect()
}

fn manifest(port: u16) -> String {
    ["a", "b", "c"]
        .map(|name| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  ports:\n  - \
                 port: {port}\n"
            )
        })
        .join("---\n")
}

fn ports(update: &Update) -> Vec<u16> {
    let services = update.snapshot.services.values();
    services.map(|service| service.ports[0].port).collect()
}

#[test]
fn a_file_that_is_finished_at_once_is_never_reported_nor_missed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let mut port = 1_000;
    fs::write(&file, manifest(port)).unwrap();
    let mut followed = Followed::new(folder.path());
    let changes = followed.source.load();
    let first = followed.apply(changes);
    assert_eq!((errors(&first), ports(&first)), (vec![], vec![port; 3]));
    let length = manifest(port).len();
    for cut in [0, 10, 40, length / 3, length / 2, length - 60, length - 6] {
        port += 1;
        let text = manifest(port);
        fs::write(&file, &text[..cut]).unwrap();
        let torn = followed.next();
        fs::write(&file, &text).unwrap();
        let mut update = torn;
        while ports(&update) != [port; 3] {
            assert_eq!(errors(&update), Vec::<String>::new(), "cut at {cut}");
            assert_eq!(update.snapshot.services.len(), 3, "cut at {cut}");
            update = followed.next();
        }
        assert_eq!(errors(&update), Vec::<String>::new(), "cut at {cut}");
    }
}

#[test]
fn a_file_that_stays_broken_is_reported_and_keeps_its_last_good_version() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    fs::write(&file, manifest(1_000)).unwrap();
    let mut followed = Followed::new(folder.path());
    let changes = followed.source.load();
    followed.apply(changes);
    fs::write(&file, "kind: [").unwrap();
    let held_back = followed.next();
    assert_eq!((errors(&held_back), held_back.look_again.len()), (vec![], 1));
    let counted = followed.next();
    assert_eq!((errors(&counted).len(), counted.look_again.len()), (1, 0));
    assert_eq!(ports(&counted), [1_000; 3]);
    fs::write(&file, manifest(1_001)).unwrap();
    let repaired = followed.next();
    assert_eq!((errors(&repaired), ports(&repaired)), (vec![], vec![1_001; 3]));
}

#[test]
fn an_object_that_moves_to_another_file_is_not_missed_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.yaml"), folder.path().join("two.yaml"));
    let all = manifest(1_000);
    let (head, tail) = all.split_at(all.rfind("---\n").unwrap());
    fs::write(&one, &all).unwrap();
    let mut followed = Followed::new(folder.path());
    let changes = followed.source.load();
    followed.apply(changes);
    fs::write(&one, head).unwrap();
    fs::write(&two, tail).unwrap();
    loop {
        let update = followed.next();
        assert_eq!(update.snapshot.services.len(), 3);
        if update.look_again.is_empty() && followed.pipeline.counts() == (2, 3) {
            assert_eq!(errors(&update), Vec::<String>::new());
            break;
        }
    }
}
