//! `config::decode`: files from bytes to objects, in both notations.
//!
//! `cargo bench -p portico-config --features bench --bench decode`. Each file holds a Service and its
//! EndpointSlice of ten endpoints.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use portico_config::bench::Objects;

fn main() {
    divan::main();
}

#[divan::bench(args = ["yaml", "json"])]
fn file(bencher: Bencher<'_, '_>, notation: &str) {
    let text = if notation == "json" { json() } else { yaml() };
    let name: Arc<PathBuf> = Arc::new(format!("service.{notation}").into());
    let bytes: Arc<[u8]> = text.into_bytes().into();
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| Objects::decode(black_box(&[(Arc::clone(&name), Arc::clone(&bytes))])));
}

fn yaml() -> String {
    let mut text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\n  namespace: web\nspec:\n  ports:\n  \
                    - name: http\n    port: 80\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                    metadata:\n  name: shop-a\n  namespace: web\n  labels:\n    \
                    kubernetes.io/service-name: shop\naddressType: IPv4\nports:\n- name: http\n  port: 8080\n\
                    endpoints:\n"
        .to_owned();
    for endpoint in 0..10 {
        writeln!(text, "- addresses: [10.0.0.{endpoint}]\n  conditions:\n    ready: true")
            .expect("a String takes any text");
    }
    text
}

fn json() -> String {
    let endpoints: Vec<String> = (0..10)
        .map(|endpoint| {
            format!(r#"{{"addresses":["10.0.0.{endpoint}"],"conditions":{{"ready":true}}}}"#)
        })
        .collect();
    let service = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"shop","namespace":"web"},
        "spec":{"ports":[{"name":"http","port":80}]}}"#;
    let slice = format!(
        r#"{{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{"name":"shop-a",
        "namespace":"web","labels":{{"kubernetes.io/service-name":"shop"}}}},"addressType":"IPv4",
        "ports":[{{"name":"http","port":8080}}],"endpoints":[{}]}}"#,
        endpoints.join(",")
    );
    format!(r#"{{"apiVersion":"v1","kind":"List","items":[{service},{slice}]}}"#)
}
