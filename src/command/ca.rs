//! `portico ca export`: the certificate of the CA of `--dev-tls`, to be trusted by whoever likes.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::Context;
use portico_net::dev_ca::DevCa;

use super::{complain, say};
use crate::exit::Exit;
use crate::settings::AppOptions;

/// Runs the command. A CA that does not exist yet is made, so that it can be trusted before the first
/// start.
pub(super) fn export(options: &AppOptions) -> anyhow::Result<Exit> {
    let Some(folder) = &options.state_dir else {
        complain("there is no state folder that a CA could be in: --state-dir");
        return Ok(Exit::Usage);
    };
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    let ca = DevCa::open(folder).with_context(|| format!("no CA in {}", folder.display()))?;
    say(ca.certificate().trim_end());
    Ok(Exit::Fine)
}
