//! What a load and an edit cost in large clusters: decode, validate, compile, publish.
//!
//! `cargo bench -p portico-config --features bench`. Every Service has a file of its own and in it
//! an EndpointSlice of ten endpoints; every tenth has a NodePort, and one Ingress names each hundredth.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use divan::{Bencher, black_box};
use portico_config::bench::Objects;
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::publish::{Publication, Published};
use portico_config::snapshot::Assignments;
use portico_config::source::Changes;

/// A file and its content.
type File = (Arc<PathBuf>, Arc<[u8]>);

fn main() {
    divan::main();
}

#[divan::bench(args = [1_000, 10_000], sample_count = 5, sample_size = 1)]
fn load(bencher: Bencher<'_, '_>, services: usize) {
    let files = files(services);
    bencher.bench_local(|| pipeline(files.clone()));
}

#[divan::bench(args = [1_000, 10_000], sample_count = 5, sample_size = 1)]
fn validate(bencher: Bencher<'_, '_>, services: usize) {
    let objects = Objects::decode(&files(services));
    // Services, EndpointSlices and the Ingresses.
    let count = 2 * services + services / 100;
    bencher.bench_local(|| assert_eq!(black_box(&objects).validate(), count));
}

/// Everything that is there, as after a change of settings.
#[divan::bench(args = [1_000, 10_000], sample_count = 10, sample_size = 1)]
fn compile(bencher: Bencher<'_, '_>, services: usize) {
    let mut pipeline = pipeline(files(services));
    bencher.bench_local(|| {
        pipeline.reconfigure(Arc::new(Settings::default()));
        pipeline.compile(2)
    });
}

/// From the bytes of the one file to the snapshot: an endpoint is not ready any more, or is again.
#[divan::bench(args = [1_000, 10_000], sample_count = 100, sample_size = 1)]
fn one_changed_slice(bencher: Bencher<'_, '_>, services: usize) {
    edits(bencher, services, |number, round| file(number, 80, round % 2 == 0));
}

/// A Service's port is another one.
#[divan::bench(args = [1_000, 10_000], sample_count = 100, sample_size = 1)]
fn one_changed_service(bencher: Bencher<'_, '_>, services: usize) {
    edits(bencher, services, |number, round| file(number, 81 + u16::from(round % 2 == 0), true));
}

#[divan::bench]
fn publish(bencher: Bencher<'_, '_>) {
    let update = pipeline(files(1_000)).compile(2);
    let publication = Publication::default();
    bencher.bench_local(|| {
        let snapshot = Arc::clone(&update.snapshot);
        publication.store(Published { snapshot, diagnostics: Arc::clone(&update.diagnostics) });
        black_box(publication.load()).snapshot.generation
    });
}

fn edits(bencher: Bencher<'_, '_>, services: usize, edit: impl Fn(usize, usize) -> File) {
    let mut pipeline = pipeline(files(services));
    let mut round = 0;
    bencher
        .with_inputs(|| {
            round += 1;
            let written = vec![edit(round * 37 % services, round)];
            Changes { written, ..Changes::default() }
        })
        .bench_local_values(|changes| pipeline.apply(changes, 2));
}

fn pipeline(written: Vec<File>) -> Pipeline {
    let settings = Arc::new(Settings::default());
    let mut pipeline = Pipeline::new(settings, HostFacts::default(), Assignments::default());
    pipeline.apply(Changes { written, ..Changes::default() }, 1);
    pipeline
}

fn files(services: usize) -> Vec<File> {
    let mut files: Vec<_> = (0..services).map(|number| file(number, 80, true)).collect();
    files.push(ingress(services));
    files
}

fn file(number: usize, port: u16, ready: bool) -> File {
    let type_ = if number.is_multiple_of(10) { "NodePort" } else { "ClusterIP" };
    let namespace = format!("namespace-{}", number % 50);
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: service-{number}\n  namespace: \
         {namespace}\nspec:\n  type: {type_}\n  ports:\n  - name: http\n    port: {port}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: \
         service-{number}-a\n  namespace: {namespace}\n  labels:\n    \
         kubernetes.io/service-name: service-{number}\naddressType: IPv4\nports:\n- name: http\n  \
         port: 8080\nendpoints:\n"
    );
    for endpoint in 0..10 {
        let ready = ready || endpoint > 0;
        let (high, low) = (number / 250, number % 250);
        let _ = write!(
            text,
            "- addresses:\n  - 10.{endpoint}.{high}.{low}\n  conditions:\n    ready: {ready}\n"
        );
    }
    (Arc::new(format!("{number}.yaml").into()), text.into_bytes().into())
}

fn ingress(services: usize) -> File {
    let mut text = String::new();
    for number in (0..services).step_by(100) {
        let _ = write!(
            text,
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: \
             ingress-{number}\n  namespace: namespace-{}\nspec:\n  rules:\n  - host: \
             host-{number}.test\n    http:\n      paths:\n      - path: /\n        pathType: \
             Prefix\n        backend:\n          service:\n            name: service-{number}\n\
             \x20           port:\n              number: 80\n",
            number % 50
        );
    }
    (Arc::new("ingress.yaml".into()), text.into_bytes().into())
}
