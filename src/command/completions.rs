//! `portico completions`: a script that completes commands and flags in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::say;
use crate::cli::Cli;
use crate::exit::Exit;

/// Runs the command.
pub(super) fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "portico", &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    Exit::Fine
}
