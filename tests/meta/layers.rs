//! The import rules of `ARCHITECTURE.md`, read off the `use` lines and paths of the source.
//!
//! Test modules are left out: a test may look at what its subject must not know.

use std::collections::BTreeSet;
use std::path::Path;

use crate::lexer::{paths, tokens, without_tests};
use crate::tree;

/// A crate's folder, what it may import of ours, and the order of its modules if it has one.
struct Crate {
    folder: &'static str,
    may_import: &'static [&'static str],
    modules: Option<&'static [Module]>,
}

/// A top-level module and the ones beside it that it may import.
type Module = (&'static str, &'static str);

const CRATES: &[Crate] = &[
    Crate { folder: "config", may_import: &[], modules: Some(CONFIG) },
    Crate { folder: "net", may_import: &[], modules: None },
    Crate { folder: "loadtest", may_import: &[], modules: None },
    Crate { folder: "proxy", may_import: PLANE, modules: Some(PROXY) },
    Crate { folder: "dns", may_import: PLANE, modules: None },
];

const PLANE: &[&str] = &["portico_config", "portico_net"];

const CONFIG: &[Module] = &[
    ("model", ""),
    ("location", "model"),
    ("parallel", ""),
    ("diagnostic", "model location"),
    ("source", "model location parallel diagnostic"),
    ("api", "model location diagnostic source"),
    ("decode", "model location diagnostic source api"),
    ("settings", "model location diagnostic source api decode"),
    ("store", "model location diagnostic source api decode"),
    ("validate", "model location diagnostic source api decode store"),
    ("snapshot", "model"),
    ("compile", "model location parallel diagnostic source api decode store validate snapshot"),
    ("publish", "model location diagnostic snapshot"),
    ("metrics", "model location diagnostic snapshot publish"),
    (
        "pipeline",
        "model location parallel diagnostic source api decode store validate compile snapshot publish metrics",
    ),
    ("bench", "model decode validate"),
];

/// `metrics` reads the registry, which is `upstream`'s; [`mutual`] sees that only one of the two
/// imports the other.
const PROXY: &[Module] = &[
    ("error", ""),
    ("upstream", "error metrics"),
    ("metrics", "error upstream ledger"),
    ("ledger", ""),
    ("limiter", ""),
    ("pressure", ""),
    ("view", "error metrics upstream ledger limiter"),
    ("l4", "error metrics upstream view"),
    ("l7", "error metrics upstream ledger limiter pressure view"),
    ("node_health", "error metrics upstream view"),
    ("worker", "error metrics upstream view l4 l7 node_health"),
    ("reconcile", "error metrics upstream view l4 l7 node_health worker"),
    ("bench", "error metrics upstream view l7"),
];

/// A file's imports of ours: crates by name, and modules of its own crate.
#[derive(Debug, Default)]
struct Imports {
    crates: BTreeSet<String>,
    modules: BTreeSet<String>,
}

/// Where a file stands: `config/src/compile/mod.rs` and `compile/ports.rs` are in `compile`.
fn module_path(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .skip_while(|part| part != "src")
        .skip(1)
        .collect();
    if parts
        .last()
        .is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main"))
    {
        parts.pop();
    }
    parts
}

fn imports(file: &Path, source: &str) -> Imports {
    let here = module_path(file);
    let mut imports = Imports::default();
    for path in paths(&without_tests(&tokens(source))) {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let absolute: Vec<String> = match path[0].as_str() {
            "crate" => path[1..].to_vec(),
            "super" => {
                let kept = here.len().saturating_sub(supers);
                [&here[..kept], &path[supers..]].concat()
            }
            other => {
                imports.crates.insert(other.to_owned());
                continue;
            }
        };
        // Items of the crate's root are its public contract, which every module may name.
        let module = absolute
            .first()
            .filter(|first| first.starts_with(|c: char| c.is_lowercase()));
        imports.modules.extend(module.cloned());
    }
    imports
}

/// What one file does against the rules, in sentences.
fn violations(rules: &Crate, file: &Path, source: &str) -> Vec<String> {
    let imports = imports(file, source);
    let own = rules.folder;
    let mut wrong: Vec<String> = imports
        .crates
        .iter()
        .filter(|name| *name != "portico_loadtest" && !rules.may_import.contains(&name.as_str()))
        .map(|name| format!("{}: {own} must not import {name}", file.display()))
        .collect();
    let here = module_path(file);
    let (Some(modules), Some(here)) = (rules.modules, here.first()) else {
        return wrong; // a crate without an order, or a root that may import all
    };
    let Some((_, allowed)) = modules.iter().find(|(name, _)| name == here) else {
        wrong.push(format!(
            "{}: {here} has no place in the order: give it one in ARCHITECTURE.md and layers.rs",
            file.display()
        ));
        return wrong;
    };
    wrong.extend(
        imports
            .modules
            .iter()
            .filter(|name| *name != here && !allowed.split(' ').any(|allowed| allowed == *name))
            .map(|name| format!("{}: {here} must not import {name}", file.display())),
    );
    wrong
}

#[test]
fn every_import_goes_one_way() {
    let mut wrong = Vec::new();
    for rules in CRATES {
        let files = tree::files(&format!("{}/src", rules.folder), &["rs"]);
        assert!(!files.is_empty(), "no source in {}", rules.folder);
        for file in files {
            if !file.ends_with("tests.rs") {
                wrong.extend(violations(rules, &file, &tree::read(&file)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Pairs of modules in which each imports the other.
fn mutual(edges: &BTreeSet<(String, String)>) -> Vec<String> {
    edges
        .iter()
        .filter(|(a, b)| a < b && edges.contains(&(b.clone(), a.clone())))
        .map(|(a, b)| format!("{a} and {b} import each other"))
        .collect()
}

#[test]
fn no_two_modules_of_the_proxy_import_each_other() {
    let mut edges = BTreeSet::new();
    for file in tree::files("proxy/src", &["rs"]) {
        let Some(here) = module_path(&file).into_iter().next() else { continue };
        for module in imports(&file, &tree::read(&file)).modules {
            if module != here {
                edges.insert((here.clone(), module));
            }
        }
    }
    assert_eq!(mutual(&edges), Vec::<String>::new());
}

#[test]
fn only_net_has_unsafe_code() {
    for file in tree::files(".", &["rs"]) {
        let tokens = tokens(&tree::read(&file));
        let found = tokens
            .iter()
            .any(|token| token == "unsafe" || token == "unsafe_code");
        assert!(!found || file.starts_with("net/src"), "unsafe in {}", file.display());
    }
}

#[test]
fn the_checker_sees_what_is_wrong() {
    for (case, folder, file, source, want) in [
        ("a plane imports the other", "proxy", "view.rs", "use portico_dns::Dns;", Some("dns")),
        ("config imports a plane", "config", "store.rs", "portico_proxy::f();", Some("proxy")),
        ("net imports config", "net", "bind.rs", "use portico_config::model;", Some("config")),
        ("l4 meets l7", "proxy", "l4/tcp.rs", "use crate::l7::forward;", Some("l7")),
        ("by super", "proxy", "l4/mod.rs", "use super::l7::forward;", Some("l7")),
        ("in a tree", "config", "api/meta.rs", "use crate::{model, compile::x};", Some("compile")),
        ("in an expression", "config", "snapshot/zone.rs", "crate::store::f()", Some("store")),
        ("unknown module", "config", "utils.rs", "", Some("no place")),
        ("to the left", "config", "compile/mod.rs", "use crate::{validate::V, snapshot::S};", None),
        (
            "inside",
            "config",
            "compile/ports.rs",
            "use super::fronts::F; use super::super::model::M;",
            None,
        ),
        (
            "a plane imports config",
            "dns",
            "table.rs",
            "use portico_config::snapshot::Snapshot;",
            None,
        ),
        ("in a test", "proxy", "l4/mod.rs", "#[cfg(test)] mod tests { use crate::l7::x; }", None),
        ("in words", "proxy", "l4/mod.rs", "//! unlike crate::l7::forward", None),
    ] {
        let rules = CRATES
            .iter()
            .find(|rules| rules.folder == folder)
            .expect("the case names a crate");
        let file = Path::new(folder).join("src").join(file);
        let found = violations(rules, &file, source);
        match want {
            None => assert!(found.is_empty(), "{case}: {found:?}"),
            Some(want) => {
                assert_eq!(found.len(), 1, "{case}: {found:?}");
                assert!(found[0].contains(want), "{case}: {found:?}");
            }
        }
    }
    let edge = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let circle = BTreeSet::from([edge("metrics", "upstream"), edge("upstream", "metrics")]);
    assert_eq!(mutual(&circle), ["metrics and upstream import each other"]);
}
