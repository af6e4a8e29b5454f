//! The hottest pieces of the process, one at a time, for counting their instructions.
//!
//! `.ci/instructions` runs `instructions NAME COUNT` under callgrind, which counts in [`measured`]
//! alone: wall time on shared machines proves nothing, and set-up is not what is asked about. Without
//! arguments it prints the names. Each piece does its work once for each step, over inputs that differ.

#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::env;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use portico_config::bench::Objects;
use portico_config::model::{HostFacts, Settings};
use portico_config::pipeline::Pipeline;
use portico_config::snapshot::{Assignments, Snapshot};
use portico_config::source::Changes;
use portico_dns::bench::Tables;
use portico_proxy::bench::{Lines, Rewriter, Views, request};

/// A file and its content.
type File = (Arc<PathBuf>, Arc<[u8]>);
/// Does one step of a piece.
type Step = Box<dyn FnMut(usize)>;
/// Makes a piece ready.
type Piece = fn() -> Step;

const PIECES: [(&str, Piece); 8] = [
    ("route-match", route_match),
    ("endpoint-select", endpoint_select),
    ("header-rewrite", header_rewrite),
    ("access-log-line", access_log_line),
    ("dns-hit", dns_hit),
    ("dns-nxdomain", dns_nxdomain),
    ("yaml-decode", yaml_decode),
    ("compile", compile),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, count] = arguments.as_slice() else {
        for (name, _) in PIECES {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let piece = PIECES.iter().find(|(known, _)| known == name);
    let (Some((_, piece)), Ok(count)) = (piece, count.parse()) else {
        println!("no piece {name}, or no number {count}");
        return ExitCode::from(2);
    };
    let mut step = piece();
    // What is made at first use is made by now.
    step(0);
    measured(&mut step, count);
    ExitCode::SUCCESS
}

/// What callgrind counts.
#[inline(never)]
fn measured(step: &mut Step, count: usize) {
    for index in 0..count {
        step(black_box(index));
    }
}

/// A request's location among many hosts.
fn route_match() -> Step {
    let view = Views::default().next(&snapshot());
    let hosts: Vec<String> = (0..SERVICES)
        .map(|number| format!("host-{number}.test"))
        .collect();
    Box::new(move |index| {
        let found = view.routes(&hosts[index * 7 % SERVICES], "/api/v1/items");
        assert!(found, "every host has a location for every path");
    })
}

/// The endpoint next in turn of ten.
fn endpoint_select() -> Step {
    let view = Views::default().next(&snapshot());
    let chooser = view.chooser().expect("there are Services");
    Box::new(move |_| assert_eq!(chooser.choose(), ENDPOINTS))
}

/// A request as a browser sends it, read, checked and written for a backend.
fn header_rewrite() -> Step {
    let requests: Vec<Vec<u8>> = (0..16).map(request).collect();
    let rewriter = Rewriter::default();
    Box::new(move |index| {
        let written = rewriter.rewrite(&requests[index % requests.len()]);
        assert!(written.is_some(), "each request is right");
    })
}

/// The line of a request in nginx's combined format, from its head to the batch.
fn access_log_line() -> Step {
    let lines = Lines::new("combined").expect("a format that there is");
    Box::new(move |index| lines.write(TARGETS[index % TARGETS.len()]))
}

/// The address of a Service: look-up, and answer as it is sent.
fn dns_hit() -> Step {
    dns(|number| format!("service-{number}.namespace-{}.svc.cluster.local", number % 50))
}

/// A name that is not there, in a zone that is ours.
fn dns_nxdomain() -> Step {
    dns(|number| format!("no-service-{number}.namespace-{}.svc.cluster.local", number % 50))
}

fn dns(name: fn(usize) -> String) -> Step {
    let table = Tables::default().next(&snapshot());
    let messages: Vec<Vec<u8>> = (0..SERVICES)
        .map(|number| {
            let mut message = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            for label in name(number).split('.') {
                message.push(u8::try_from(label.len()).expect("a short label"));
                message.extend_from_slice(label.as_bytes());
            }
            // The root, A, IN.
            message.extend([0, 0, 1, 0, 1]);
            message
        })
        .collect();
    let mut reply = Vec::new();
    Box::new(move |index| {
        table.answer(&messages[index * 7 % SERVICES], &mut reply);
        assert!(reply.len() > 12, "every question is answered");
    })
}

/// A file with a Service and its EndpointSlice, from bytes to objects.
fn yaml_decode() -> Step {
    let files: Vec<File> = (0..16).map(file).collect();
    Box::new(move |index| {
        let file = &files[index % files.len()];
        black_box(Objects::decode(std::slice::from_ref(file)));
    })
}

/// All Services and Ingresses joined anew, as after a change of settings.
fn compile() -> Step {
    let mut pipeline = pipeline();
    Box::new(move |_| {
        pipeline.reconfigure(Arc::new(Settings::default()));
        black_box(pipeline.compile(1));
    })
}

fn snapshot() -> Arc<Snapshot> {
    pipeline().compile(1).snapshot
}

fn pipeline() -> Pipeline {
    let settings = Arc::new(Settings::default());
    let mut pipeline = Pipeline::new(settings, HostFacts::default(), Assignments::default());
    let written = (0..SERVICES).map(file).collect();
    pipeline.apply(Changes { written, ..Changes::default() }, 1);
    pipeline
}

/// Service `number`, its endpoints, and an Ingress that leads to it.
fn file(number: usize) -> File {
    let namespace = format!("namespace-{}", number % 50);
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: service-{number}\n  namespace: \
         {namespace}\nspec:\n  ports:\n  - name: http\n    port: 80\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: ingress-{number}\n  \
         namespace: {namespace}\nspec:\n  rules:\n  - host: host-{number}.test\n    http:\n      \
         paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            \
         name: service-{number}\n            port:\n              number: 80\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: \
         service-{number}-a\n  namespace: {namespace}\n  labels:\n    \
         kubernetes.io/service-name: service-{number}\naddressType: IPv4\nports:\n- name: http\n  \
         port: 8080\nendpoints:\n"
    );
    for endpoint in 0..ENDPOINTS {
        let (high, low) = (number / 250, number % 250);
        writeln!(
            text,
            "- addresses:\n  - 10.{endpoint}.{high}.{low}\n  conditions:\n    ready: true"
        )
        .expect("a String takes any text");
    }
    (Arc::new(format!("{number}.yaml").into()), text.into_bytes().into())
}

const TARGETS: [&str; 4] = ["/", "/shop/items/7?page=2", "/api/v1/items", "/login?token=secret"];
const SERVICES: usize = 200;
const ENDPOINTS: usize = 10;
