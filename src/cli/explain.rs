//! `portico explain`: its words, and what they ask about.
//!
//! Only the form of a question is looked at here; who answers it is `command::explain`.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use portico_config::diagnostic::Code;

use crate::decision::protocol_of;
use crate::naming::{A, PTR, kind_of, reverse_name};
use crate::routing::is_url;
use crate::settings::{Format, ServeArgs};

/// `portico explain`.
#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// A finding's code, such as P0304, none for a list; or tcp|udp ADDR:PORT, as a manifest has it or as
    /// it was mapped, and the manifests, none for those of the portico that runs; or http://HOST/PATH, or
    /// https, and the manifests, none for what runs; or dns NAME, a type such as SRV, and the manifests
    #[arg(value_name = "WORD")]
    pub words: Vec<OsString>,
    /// Whom the flow, the request or the question comes from [default: this host, 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    pub from: Option<IpAddr>,
    /// A field of the request, Host too
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Its method [default: GET]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub method: Option<String>,
    /// Explain the flow in each line of a file, - is standard input: what stands behind `portico explain`;
    /// one JSON answer a line
    #[arg(long, value_name = "FILE")]
    pub batch: Option<PathBuf>,
    /// How what becomes of a flow is printed
    #[arg(long, value_enum, default_value_t, env = "PORTICO_FORMAT")]
    pub format: Format,
    /// The settings of the portico that runs, or would run.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What is to be explained.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Topic {
    /// A kind of finding.
    Code(Code),
    /// All of them.
    Codes,
    /// What becomes of a flow.
    Flow(Question),
    /// What becomes of a request.
    Request(RequestQuestion),
    /// What is answered to a name.
    Name(NameQuestion),
    /// Each line of a file, with the manifests of those that name none.
    Batch(PathBuf, Vec<PathBuf>),
}

/// A question about a flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Where it goes.
    pub to: SocketAddr,
    /// The manifests; none: those of the portico that runs.
    pub paths: Vec<PathBuf>,
}

/// A question about a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestQuestion {
    /// Where it goes.
    pub url: String,
    /// The manifests; none: those of the portico that runs.
    pub paths: Vec<PathBuf>,
}

/// A question about a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameQuestion {
    /// The name.
    pub name: String,
    /// Its type's number.
    pub kind: u16,
    /// The manifests; none: those of the portico that runs.
    pub paths: Vec<PathBuf>,
}

impl ExplainArgs {
    /// What the words ask about; fails with what is wrong and the way out.
    pub fn topic(&self) -> Result<Topic, String> {
        let paths = |words: &[OsString]| words.iter().map(PathBuf::from).collect();
        if let Some(file) = &self.batch {
            return Ok(Topic::Batch(file.clone(), paths(&self.words)));
        }
        let text = |at: usize| self.words.get(at).map(|word| word.to_string_lossy());
        let Some(first) = text(0) else { return Ok(Topic::Codes) };
        if is_url(&first) {
            let paths = paths(&self.words[1..]);
            return Ok(Topic::Request(RequestQuestion { url: first.into_owned(), paths }));
        }
        if first == "dns" {
            let name =
                text(1).ok_or("name what is asked for: dns web.default.svc.cluster.local")?;
            // A type in small letters is one where there is no such file.
            let kind = text(2).and_then(|word| {
                let is_file = || Path::new(&*word).exists();
                kind_of(&word).or_else(|| kind_of(&word.to_uppercase()).filter(|_| !is_file()))
            });
            let paths = paths(
                self.words
                    .get(2 + usize::from(kind.is_some())..)
                    .unwrap_or(&[]),
            );
            // An address stands for its reverse name, as `dig -x` has it.
            let (name, usual) = match name.parse() {
                Ok(address) => (reverse_name(address), PTR),
                Err(_) => (name.into_owned(), A),
            };
            let kind = kind.unwrap_or(usual);
            return Ok(Topic::Name(NameQuestion { name, kind, paths }));
        }
        if protocol_of(&first).is_some() {
            let to = text(1).unwrap_or_default();
            let to = to.parse().map_err(|_| no_address(&first, &to))?;
            let paths = paths(&self.words[2..]);
            return Ok(Topic::Flow(Question { protocol: first.into_owned(), to, paths }));
        }
        if first.contains("://") {
            return Err(format!("{first}: only http:// and https:// can be explained"));
        }
        let hint = match (Code::parse(&first), Code::nearest(&first)) {
            (Some(code), _) if self.words.len() == 1 => return Ok(Topic::Code(code)),
            (Some(_), _) => return Err("explain one code at a time".to_owned()),
            // A host, or a Service's name, as one would type it elsewhere.
            (None, _) if is_name(&first) => {
                format!("of a host, explain http://{first}/, and of a name: explain dns {first}")
            }
            (None, Some(code)) => format!("did you mean {code}: {}?", code.title()),
            (None, None) => "`portico explain` lists all codes".to_owned(),
        };
        Err(format!("{first}: there is no such code; {hint}"))
    }
}

/// That a flow goes to an address, and which command tells the address of a name.
fn no_address(protocol: &str, to: &str) -> String {
    let form =
        format!("{protocol} \"{to}\" is not ADDR:PORT, such as 10.96.0.10:80 or [fd00::1]:80");
    match to.rsplit_once(':') {
        Some((name, _)) if is_name(name) => {
            format!("{form}; portico explain dns {name} says which address a name has")
        }
        _ => form,
    }
}

/// Whether a word may be a host's name: it has a dot or a hyphen, which no code has.
fn is_name(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    word.contains(['.', '-'])
        && word.chars().all(is_letter)
        && word.contains(|c: char| c.is_ascii_alphabetic())
}

const EXAMPLES: &str = "\
Examples:
  portico explain P0304
  portico explain                    list all codes
  portico explain tcp 10.96.0.10:80 --from 10.244.1.9 --node-name node-1 ./manifests
  portico explain tcp 127.96.12.34:80              ask the portico that runs
  portico explain https://shop.test/cart -H 'X-Try: always' ./manifests
  portico explain http://shop.test:8080/              ask the portico that runs
  portico explain dns _http._tcp.web.default.svc.cluster.local SRV ./manifests
  portico explain dns web.default.svc.cluster.local   ask the portico that runs
  portico explain --batch flows.txt ./manifests    a line each: tcp 10.96.0.10:80 --from 10.0.0.9

Verdicts: forward, reject (refused at once), drop (no answer), not_handled (no Service's).";

const USAGE: &str = "\
portico explain [CODE]
       portico explain tcp|udp ADDR:PORT [--from ADDR] [OPTIONS] [PATH]...
       portico explain http|https://HOST/PATH [-H 'NAME: VALUE']... [-X METHOD] [OPTIONS] [PATH]...
       portico explain dns NAME [TYPE] [--from ADDR] [OPTIONS] [PATH]...
       portico explain --batch FILE [OPTIONS] [PATH]...";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};

    #[test]
    fn what_cannot_be_explained_is_refused_with_the_way_out() {
        for (word, want) in [
            ("htps://a.test/", "only http:// and https:// can be explained"),
            ("P9999", "there is no such code"),
            ("nothing", "`portico explain` lists all codes"),
            ("mi-web", "explain http://mi-web/"),
            ("web.default.svc.cluster.local", "explain dns web.default.svc.cluster.local"),
            ("wp-1", "explain dns wp-1"),
        ] {
            let cli = Cli::try_parse_from(["portico", "explain", word]).unwrap();
            let Command::Explain(explain) = cli.command else { panic!("not explain") };
            let reason = explain.topic().unwrap_err();
            assert!(reason.contains(word) && reason.contains(want), "{reason}");
        }
        for (to, want) in [
            ("mi-wp:80", "portico explain dns mi-wp says"),
            ("10.0.0.1", "[fd00::1]:80"),
            ("", "[fd00::1]:80"),
        ] {
            let cli = Cli::try_parse_from(["portico", "explain", "tcp", to]).unwrap();
            let Command::Explain(explain) = cli.command else { panic!("not explain") };
            let reason = explain.topic().unwrap_err();
            assert!(reason.contains(want), "{reason}");
        }
    }
}
