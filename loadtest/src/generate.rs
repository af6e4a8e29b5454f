//! A folder of manifests as large as a large cluster's: the same for the same numbers.
//!
//! One object a file, as exports and GitOps folders have them, spread over folders by hundreds.
//! One Service in ten is headless. Endpoint addresses are of 10/8, where nothing is; ClusterIPs are
//! left to whoever serves the tree.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use crate::certificate::Certificate;
use crate::scenario::HOSTS_OF_AN_INGRESS;

/// How much of everything.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Services, each with one EndpointSlice
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub(crate) services: u32,
    /// Endpoints of each Service
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) endpoints: u32,
    /// Ingresses, each with one host and two paths
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub(crate) ingresses: u32,
    /// TLS Secrets, each used by one Ingress
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub(crate) secrets: u32,
}

/// Writes the tree below `folder`; says how many files there are.
pub(crate) fn write(folder: &Path, size: Size) -> Result<u32> {
    for n in 0..size.services {
        put(folder, "services", n, &service(n))?;
        put(folder, "endpointslices", n, &slice(n, size.endpoints))?;
    }
    for n in 0..size.ingresses {
        put(folder, "ingresses", n, &ingress(n, size))?;
    }
    for n in 0..size.secrets {
        put(folder, "secrets", n, &secret(n)?)?;
    }
    Ok(2 * size.services + size.ingresses + size.secrets)
}

/// Writes Ingresses of [`HOSTS_OF_AN_INGRESS`] hosts each, which all lead to the Service `bench`.
pub(crate) fn write_hosts(folder: &Path, ingresses: u32) -> Result<()> {
    for n in 0..ingresses {
        let mut text = format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: hosts-{n:05}\nspec:\n  \
             rules:\n"
        );
        for host in (0..HOSTS_OF_AN_INGRESS).map(|index| n * HOSTS_OF_AN_INGRESS + index) {
            writeln!(
                text,
                "  - host: host-{host:05}.test\n    http:\n      paths:\n      - path: /\n        \
                 pathType: Prefix\n        backend: {{service: {{name: bench, port: {{name: main}}}}}}"
            )
            .expect("a String takes any text");
        }
        put(folder, "hosts", n, &text)?;
    }
    Ok(())
}

/// The script by which wrk asks for each of those hosts in turn, far from the one before.
pub(crate) fn script_of_hosts(ingresses: u32) -> String {
    let hosts = ingresses * HOSTS_OF_AN_INGRESS;
    format!(
        "local requests, at = {{}}, 0\n\
         function init()\n  for n = 0, {last} do\n    local host = string.format('host-%05d.test', n * 7919 % {hosts})\n    \
         requests[n] = wrk.format('GET', '/', {{ Host = host }})\n  end\nend\n\
         function request()\n  at = (at + 1) % {hosts}\n  return requests[at]\nend\n",
        last = hosts - 1
    )
}

fn put(folder: &Path, kind: &str, n: u32, text: &str) -> Result<()> {
    let folder = folder.join(kind).join(format!("{:03}", n / 100));
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let file = folder.join(format!("{n:05}.yaml"));
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
}

/// Hundred Services share a namespace.
pub(crate) fn namespace(n: u32) -> String {
    format!("team-{:03}", n / 100)
}

/// One Service in ten has no ClusterIP.
pub(crate) fn is_headless(n: u32) -> bool {
    n % 10 == 9
}

fn service(n: u32) -> String {
    let (namespace, headless) =
        (namespace(n), if is_headless(n) { "  clusterIP: None\n" } else { "" });
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: app-{n:05}\n  namespace: {namespace}\n  \
         labels:\n    app: app-{n:05}\nspec:\n{headless}  ports:\n  - name: http\n    port: 80\n    \
         targetPort: 8080\n"
    )
}

/// Where the endpoints of Service `n` are.
pub(crate) fn addresses(n: u32, endpoints: u32) -> impl Iterator<Item = Ipv4Addr> {
    (0..endpoints).map(move |index| {
        let [_, a, b, c] = (n * endpoints + index + 1).to_be_bytes();
        Ipv4Addr::new(10, a, b, c)
    })
}

fn slice(n: u32, endpoints: u32) -> String {
    let namespace = namespace(n);
    let mut text = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: app-{n:05}-x7f2k\n  \
         namespace: {namespace}\n  labels:\n    kubernetes.io/service-name: app-{n:05}\n\
         addressType: IPv4\nports:\n- name: http\n  port: 8080\n  protocol: TCP\nendpoints:\n"
    );
    for (index, address) in addresses(n, endpoints).enumerate() {
        writeln!(
            text,
            "- addresses: [{address}]\n  conditions: {{ready: true}}\n  nodeName: node-{}\n  \
             targetRef: {{kind: Pod, name: app-{n:05}-{index}, namespace: {namespace}}}",
            index % 7
        )
        .expect("a String takes any text");
    }
    text
}

fn ingress(n: u32, size: Size) -> String {
    let service = if size.services == 0 { 0 } else { n % size.services };
    let (namespace, host) = (namespace(service), format!("app-{n:05}.example.test"));
    let tls = match n < size.secrets {
        true => format!("  tls:\n  - hosts: [{host}]\n    secretName: tls-{n:05}\n"),
        false => String::new(),
    };
    let path = |path: &str| {
        format!(
            "      - path: {path}\n        pathType: Prefix\n        backend:\n          service:\n            \
             name: app-{service:05}\n            port: {{name: http}}\n"
        )
    };
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: app-{n:05}\n  \
         namespace: {namespace}\nspec:\n{tls}  rules:\n  - host: {host}\n    http:\n      paths:\n{}{}",
        path("/"),
        path("/api")
    )
}

fn secret(n: u32) -> Result<String> {
    let host = format!("app-{n:05}.example.test");
    let made = Certificate::make(&[&host])?;
    Ok(made.secret(&namespace(n), &format!("tls-{n:05}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_that_is_asked_for_has_a_rule() {
        let folder = tempfile::tempdir().unwrap();
        write_hosts(folder.path(), 2).unwrap();
        let rules: String = ["00000", "00001"]
            .map(|n| fs::read_to_string(folder.path().join(format!("hosts/000/{n}.yaml"))).unwrap())
            .concat();
        for host in 0..20 {
            assert!(rules.contains(&format!("- host: host-{host:05}.test\n")), "{host}");
        }
        let script = script_of_hosts(2);
        assert!(script.contains("n = 0, 19 ") && script.contains("7919 % 20)"), "{script}");
    }

    #[test]
    fn a_tree_has_a_file_for_every_object_and_is_the_same_each_time() {
        let size = Size { services: 201, endpoints: 2, ingresses: 3, secrets: 1 };
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&one, &other] {
            assert_eq!(write(folder.path(), size).unwrap(), 406);
        }
        for file in
            ["services/002/00200.yaml", "endpointslices/000/00009.yaml", "ingresses/000/00002.yaml"]
        {
            let read = |folder: &tempfile::TempDir| fs::read(folder.path().join(file)).unwrap();
            assert_eq!(read(&one), read(&other), "{file}");
        }
        let slice = slice(9, 2);
        assert!(slice.contains("10.0.0.19") && slice.contains("10.0.0.20"), "{slice}");
    }
}
