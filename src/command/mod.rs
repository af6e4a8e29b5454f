//! The commands, one file each: what each does with the process, and its exit code.

mod lookup;
mod run;
mod check;
mod explain;
pub mod echo;
mod demo;

use std::io::{self, Write};
use std::net::SocketAddr;

use crate::app::Running;
use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::signal::{Event, Signals};
use crate::telemetry;

/// Runs the command that was typed.
pub fn dispatch(cli: Cli) -> Exit {
    if let Err(error) = telemetry::start(&cli.log) {
        complain(&error);
        return Exit::Usage;
    }
    let result = match cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Check(arguments) => check::check(arguments),
        Command::Explain(arguments) => Ok(explain::explain(&arguments)),
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Echo(arguments) => echo::echo(&arguments),
    };
    result.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        Exit::Internal
    })
}

/// Serves until a signal says otherwise, then drains; a second signal ends at once.
fn serve(running: Running, mut signals: Signals) -> Exit {
    loop {
        match signals.wait(running.failed()) {
            Event::Rescan => running.rescan(),
            Event::Failed => return Exit::Internal,
            Event::End(_) => break,
        }
    }
    let never = tokio_util::sync::CancellationToken::new();
    std::thread::spawn(move || {
        loop {
            if let Event::End(number) = signals.wait(&never) {
                std::process::exit(Exit::Signal(number).code().into());
            }
        }
    });
    running.shutdown();
    Exit::Fine
}

/// One line for the user; a closed pipe is no reason to stop.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// One line on standard error.
fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "portico: {line}");
}

/// The curl command for a host on the http listener.
fn curl(host: &str, http: SocketAddr) -> String {
    format!("curl -H 'Host: {host}' http://{http}/")
}

/// The dig command for a name.
fn dig(name: &str, dns: SocketAddr) -> String {
    format!("dig @{} -p {} {name}", dns.ip(), dns.port())
}
