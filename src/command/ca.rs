//! `portico ca export`: the certificate of the CA of `--dev-tls`, to be trusted by whoever likes.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Context;
use portico_net::dev_ca::DevCa;

use super::{complain, say};
use crate::exit::Exit;
use crate::settings::AppOptions;
use crate::telemetry;

/// Runs the command. A CA that does not exist yet is made, so that it can be trusted before the first
/// start.
pub(super) fn export(options: &AppOptions) -> Exit {
    let Some(folder) = &options.state_dir else {
        complain("there is no state folder that a CA could be in: --state-dir");
        return Exit::Usage;
    };
    match open(folder) {
        Ok(ca) => {
            say(ca.certificate().trim_end());
            Exit::Fine
        }
        Err(error) => {
            complain(&telemetry::escape(&format!("{error:#}; --state-dir names another folder")));
            Exit::Usage
        }
    }
}

fn open(folder: &Path) -> anyhow::Result<DevCa> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    DevCa::open(folder).with_context(|| format!("no CA in {}", folder.display()))
}
