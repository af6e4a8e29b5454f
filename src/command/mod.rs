//! The commands, one file each: what each does with the process, and its exit code.

mod lookup;
mod fetch;
mod run;
mod check;
mod diff;
mod explain;
mod status;
pub mod echo;
mod demo;
mod config;
mod dns;
mod ca;
mod completions;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use tracing::{info, warn};

use crate::app::Running;
use crate::cli::{
    CaCommand, Cli, Command, ConfigCommand, DnsCommand, LogArgs, ServeArgs, strangers,
};
use crate::exit::Exit;
use crate::notify::{self, News};
use crate::report::{self, Form, Look, Sources};
use crate::settings::Loaded;
use crate::signal::{Event, Signals};
use crate::telemetry;

/// Runs the command that was typed.
pub fn dispatch(cli: Cli) -> Exit {
    let log = cli.log;
    let load = |serve: &ServeArgs, form| settings(serve, &log, form);
    let result =
        match cli.command {
            Command::Run(arguments) => load(&arguments.serve, None)
                .map_or_else(Ok, |loaded| run::run(arguments.paths, loaded)),
            Command::Check(arguments) => load(&arguments.serve, Some(check::form(&arguments)))
                .map_or_else(Ok, |loaded| check::check(arguments, loaded)),
            Command::Diff(arguments) => {
                load(&arguments.serve, None).map_or_else(Ok, |loaded| diff::diff(arguments, loaded))
            }
            Command::Explain(arguments) => {
                telemetry::start(&log.options());
                Ok(explain::explain(&arguments, &log))
            }
            Command::Status(arguments) => load(&arguments.serve, None).map_or_else(Ok, |loaded| {
                Ok(status::status(&arguments, &loaded.effective.options.settings))
            }),
            Command::Demo(arguments) => load(&arguments.serve, None)
                .map_or_else(Ok, |loaded| demo::demo(&arguments, loaded)),
            Command::Config(ConfigCommand::Dump(arguments)) => load(&arguments.serve, None)
                .map_or_else(Ok, |loaded| Ok(config::dump(&loaded, arguments.format))),
            Command::Dns(DnsCommand::Setup(arguments)) => load(&arguments.serve, None)
                .map_or_else(Ok, |loaded| Ok(dns::setup(&loaded.effective.options.settings))),
            Command::Ca(CaCommand::Export(arguments)) => load(&arguments.serve, None)
                .map_or_else(Ok, |loaded| Ok(ca::export(&loaded.effective.options))),
            Command::Echo(arguments) => {
                telemetry::start(&log.options());
                echo::echo(&arguments)
            }
            Command::Completions { shell } => Ok(completions::completions(shell)),
        };
    result.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        Exit::Internal
    })
}

/// The settings that count, with the log started as they say. A settings file that is wrong ends
/// the command; its findings go to standard error, or where and how `check` prints its own.
fn settings(serve: &ServeArgs, log: &LogArgs, form: Option<Form>) -> Result<Loaded, Exit> {
    let loaded = serve.load(log).map_err(|refused| {
        let sources = Sources::of(&refused.read);
        let mut report = Vec::new();
        let to_stderr = Form::Text(Look {
            color: anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never,
            width: DEFAULT_WIDTH,
        });
        // Writing to memory does not fail.
        let _ = report::print(
            &mut report,
            &refused.findings,
            &sources,
            form.unwrap_or(to_stderr),
            true,
        );
        // A closed pipe is no reason to fail in another way.
        let _ = match form {
            Some(_) => io::stdout().lock().write_all(&report),
            None => io::stderr().lock().write_all(&report),
        };
        complain("the settings file is refused");
        Exit::Usage
    })?;
    telemetry::start(&loaded.effective.options);
    for name in strangers() {
        warn!(
            "the variable {} is no setting: `portico run --help` names them",
            telemetry::escape(&name)
        );
    }
    Ok(loaded)
}

/// Serves until a signal says otherwise, then drains; a second signal ends at once.
fn serve(running: Running, mut signals: Signals) -> Exit {
    notify::tell(News::Ready);
    loop {
        match signals.wait(running.failed()) {
            Event::Rescan => {
                info!(signal = "HUP", "reading every file again");
                running.rescan();
            }
            Event::Reopen => {
                info!(signal = "USR1", "beginning log files anew");
                running.reopen_logs();
            }
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
    notify::tell(News::Stopping);
    running.shutdown();
    Exit::Fine
}

/// One line for the user; a closed pipe is no reason to stop.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Of paths of the command line those that are not there, in words; what cannot be looked at is left to who reads it.
fn missing(paths: &[PathBuf]) -> Vec<String> {
    let is_missing = |path: &&PathBuf| matches!(path.try_exists(), Ok(false));
    let paths = paths.iter().filter(|path| path.as_os_str() != "-");
    paths
        .filter(is_missing)
        .map(|path| telemetry::escape(&format!("{}: no such file or folder", path.display())))
        .collect()
}

/// One line on standard error.
fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "portico: {line}");
}

/// Where a listener, perhaps on all addresses, is asked from this host.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// The curl command for a host on the http listener.
fn curl(host: &str, http: SocketAddr) -> String {
    format!("curl -H 'Host: {host}' http://{}/", reachable(http))
}

/// The dig command for a name.
fn dig(name: &str, dns: SocketAddr) -> String {
    let dns = reachable(dns);
    format!("dig @{} -p {} {name}", dns.ip(), dns.port())
}

/// Columns where nobody says how many there are.
const DEFAULT_WIDTH: usize = 120;
