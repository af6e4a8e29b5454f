//! `portico config dump`: the settings that count, and where each is from.

use super::say;
use crate::exit::Exit;
use crate::settings::{self, Format, Loaded};

/// Runs `dump`.
pub(super) fn dump(loaded: &Loaded, format: Format) -> Exit {
    match format {
        Format::Text => say(settings::yaml(&loaded.effective).trim_end()),
        Format::Json => say(&format!("{:#}", settings::json(&loaded.effective))),
    }
    Exit::Fine
}
