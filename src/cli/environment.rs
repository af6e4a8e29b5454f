//! Variables of the environment that look like settings and are none: a typing error would have no effect in silence.
//!
//! What Kubernetes gives every container near a Service called `portico` (`PORTICO_SERVICE_HOST`,
//! `PORTICO_PORT_80_TCP`) is meant for nobody here and passed over, as are the names that our tests use.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};

use super::Cli;

/// Those of this process, in order.
pub(crate) fn strangers() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    strange(names)
}

fn strange(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut known = BTreeSet::new();
    collect(&Cli::command(), &mut known);
    let is_ours = |name: &String| name.starts_with("PORTICO_") && !is_for_others(name);
    let strangers: BTreeSet<String> = names
        .filter(|name| is_ours(name) && !known.contains(name))
        .collect();
    strangers.into_iter().collect()
}

fn is_for_others(name: &str) -> bool {
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.starts_with("PORTICO_PORT")
        || name.starts_with("PORTICO_TEST_")
}

/// The variables of a command and of those below it.
fn collect(command: &Command, known: &mut BTreeSet<String>) {
    let variables = command
        .get_arguments()
        .filter_map(|argument| argument.get_env());
    known.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    command
        .get_subcommands()
        .for_each(|below| collect(below, known));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_no_setting_is_seen_and_those_of_others_are_not() {
        for (name, strange_one) in [
            ("PORTICO_DNSTTL", true),
            ("PORTICO_HTPP", true),
            ("PORTICO_DNS_TTL", false),
            ("PORTICO_CONFIG", false),
            ("PORTICO_STRICT", false),
            ("PORTICO_LISTEN", false),
            ("PORTICO_LOG_LEVEL", false),
            ("PORTICO_SERVICE_HOST", false),
            ("PORTICO_WEB_SERVICE_PORT_HTTP", false),
            ("PORTICO_PORT_80_TCP_ADDR", false),
            ("PORTICO_TEST_BINARY", false),
            ("HTTP_PROXY", false),
        ] {
            let want = if strange_one { vec![name.to_owned()] } else { Vec::new() };
            assert_eq!(strange([name.to_owned()].into_iter()), want);
        }
    }
}
