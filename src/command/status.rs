//! `portico status`: how each Ingress of the portico that runs is (`ingress 1.8`).
//!
//! `/api/v1/ingresses ─▶ those that were asked for ─▶ table or JSON`. What is open, closed or shadowed is found out
//! by the portico that serves; nothing is decided here.

mod table;

use portico_config::model::Settings;
use serde_json::{Value, json};

use super::{complain, fetch, say};
use crate::cli::{Output, StatusArgs};
use crate::exit::Exit;
use crate::telemetry;

/// Runs the command.
pub(super) fn status(arguments: &StatusArgs, settings: &Settings) -> Exit {
    let Some(address) = settings.admin.first().copied().map(fetch::reachable) else {
        complain("--admin off: name the --admin of the portico that runs");
        return Exit::Usage;
    };
    let answer = match fetch::get(address, "/api/v1/ingresses") {
        Ok(answer) => answer,
        Err(reason) => {
            complain(&telemetry::escape(&reason));
            return Exit::Usage;
        }
    };
    let Value::Array(all) = &answer["ingresses"] else {
        complain(&format!(
            "{address}: what listens there is no portico: name the --admin address of portico run"
        ));
        return Exit::Usage;
    };
    let shown: Vec<&Value> = all
        .iter()
        .filter(|ingress| is_asked(arguments, ingress))
        .collect();
    match arguments.output {
        Output::Json => say(&format!("{:#}", json!({ "ingresses": shown }))),
        Output::Table | Output::Wide => {
            let lines = table::lines(&shown, arguments.output == Output::Wide);
            lines.iter().for_each(|line| say(&telemetry::escape(line)));
        }
    }
    let missing = missing(arguments, all);
    for name in &missing {
        complain(&telemetry::escape(&format!(
            "{name}: there is no such Ingress; portico status lists all"
        )));
    }
    if shown.is_empty() && missing.is_empty() {
        let place = arguments.namespace.as_ref();
        let place = place.map_or_else(String::new, |name| format!(" in namespace {name}"));
        complain(&telemetry::escape(&format!("there is no Ingress{place}")));
    }
    if missing.is_empty() { Exit::Fine } else { Exit::Errors }
}

/// Whether an Ingress is one of those that are to be shown.
fn is_asked(arguments: &StatusArgs, ingress: &Value) -> bool {
    let names = &arguments.names;
    is_in(arguments, ingress)
        && (names.is_empty() || names.iter().any(|name| is_called(ingress, name)))
}

/// Whether it is of the namespace.
fn is_in(arguments: &StatusArgs, ingress: &Value) -> bool {
    let namespace = arguments.namespace.as_deref();
    namespace.is_none_or(|namespace| ingress["namespace"] == namespace)
}

/// Whether it has a name, which may have a namespace before it.
fn is_called(ingress: &Value, name: &str) -> bool {
    match name.split_once('/') {
        Some((namespace, name)) => ingress["namespace"] == namespace && ingress["name"] == name,
        None => ingress["name"] == name,
    }
}

/// The names that no Ingress has.
fn missing<'a>(arguments: &'a StatusArgs, all: &[Value]) -> Vec<&'a str> {
    let is_there = |name: &str| {
        let mut named = all.iter().filter(|ingress| is_called(ingress, name));
        named.any(|ingress| is_in(arguments, ingress))
    };
    let names = arguments.names.iter().map(String::as_str);
    names.filter(|name| !is_there(name)).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_name_stands_for_one_ingress_or_for_all_that_have_it() {
        let all = [("a", "web"), ("b", "web"), ("b", "cart")]
            .map(|(namespace, name)| json!({ "namespace": namespace, "name": name }));
        for (words, want, lost) in [
            (&[][..], &["a/web", "b/web", "b/cart"][..], &[][..]),
            (&["web"], &["a/web", "b/web"], &[]),
            (&["b/web"], &["b/web"], &[]),
            (&["-n", "b"], &["b/web", "b/cart"], &[]),
            (&["-n", "b", "web"], &["b/web"], &[]),
            (&["-n", "a", "cart", "web"], &["a/web"], &["cart"]),
            (&["-n", "a", "b/web"], &[], &["b/web"]),
            (&["c/web"], &[], &["c/web"]),
        ] {
            let line = [&["portico", "status"], words].concat();
            let Command::Status(arguments) = Cli::parse_from(line).command else {
                panic!("not status")
            };
            let shown = all.iter().filter(|it| is_asked(&arguments, it));
            let text = |it: &Value| {
                let part = |key: &str| it[key].as_str().unwrap().to_owned();
                format!("{}/{}", part("namespace"), part("name"))
            };
            assert_eq!(shown.map(text).collect::<Vec<_>>(), want, "ingress 1.8: {words:?}");
            assert_eq!(missing(&arguments, &all), lost, "{words:?}");
        }
    }
}
