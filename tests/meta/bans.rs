//! What must not be built in: a second TLS stack, abandoned crates, names that have moved.
//!
//! `deny.toml` says the same to cargo-deny; this needs cargo alone and no network. Cargo.lock may
//! name an optional dependency that nothing enables, so the resolved tree is asked, not the lock.

use std::collections::BTreeSet;
use std::process::Command;

use crate::tree;

/// Crates that nothing may enable, each with what is used instead.
const BANNED: &[(&str, &str)] = &[
    ("ring", "aws-lc-rs is the one provider"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("serde_yaml", "serde-saphyr"),
    ("serde_yml", "serde-saphyr"),
    ("trust-dns-proto", "hickory-proto"),
    ("trust-dns-server", "hickory-server"),
    ("trust-dns-resolver", "hickory-resolver"),
    ("rustls-pemfile", "rustls-pki-types reads PEM"),
];

/// Crates that others may still bring but that none of ours may ask for.
const BANNED_AS_OURS: &[(&str, &str)] = &[("lazy_static", "std::sync::LazyLock")];

#[test]
fn no_banned_crate_is_built() {
    let listing = cargo(&["tree", "--workspace", "--prefix", "none", "--format", "{p}"]);
    let built: BTreeSet<&str> = listing
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(built.contains("rustls"), "cargo tree lists what is built: {listing}");
    assert_eq!(banned(&built, BANNED), Vec::<String>::new());
}

#[test]
fn no_crate_of_ours_asks_for_a_banned_one() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).expect("cargo metadata prints JSON");
    let packages = metadata["packages"]
        .as_array()
        .expect("the workspace has packages");
    let asked: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| package["dependencies"].as_array().into_iter().flatten())
        .filter_map(|dependency| dependency["name"].as_str())
        .collect();
    assert!(asked.contains("tokio"), "dependencies are listed: {asked:?}");
    assert_eq!(banned(&asked, BANNED), Vec::<String>::new());
    assert_eq!(banned(&asked, BANNED_AS_OURS), Vec::<String>::new());
}

#[test]
fn cargo_deny_is_told_the_same() {
    let deny = tree::read("deny.toml".as_ref());
    for (name, _) in BANNED.iter().chain(BANNED_AS_OURS) {
        assert!(deny.contains(&format!("crate = \"{name}\"")), "deny.toml does not name {name}");
    }
}

#[test]
fn a_banned_crate_is_seen() {
    let built = BTreeSet::from(["rustls", "ring"]);
    assert_eq!(banned(&built, BANNED), ["ring: aws-lc-rs is the one provider"]);
}

fn banned(names: &BTreeSet<&str>, list: &[(&str, &str)]) -> Vec<String> {
    list.iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(name, instead)| format!("{name}: {instead}"))
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(tree::root())
        .output()
        .expect("cargo built this test, so it can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}
