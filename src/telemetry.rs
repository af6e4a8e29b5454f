//! The log: events on standard error, as text or JSON.
//!
//! Invariants: one event is one line, whatever a client or a manifest wrote: control characters
//! are escaped (`reliability 2.11`); a line is at most 8 KiB. A pipe that nobody reads
//! or that is closed loses lines, it never stops the process.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use crate::settings::{AppOptions, Format};

/// Starts the log of the process; a second call changes nothing.
pub fn start(options: &AppOptions) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parse(&options.log_level))
        .with_writer(|| CleanLine { line: Vec::with_capacity(256) })
        .with_ansi(false);
    let (result, change): (_, ChangeFilter) = match options.log_format {
        Format::Text => {
            let builder = builder
                .with_target(io::stderr().is_terminal())
                .with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| drop(handle.reload(filter))))
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| drop(handle.reload(filter))))
        }
    };
    // The only failure is a log that already runs, as where tests start several instances.
    if result.is_ok() {
        let _ = FILTER.set(change);
    }
}

/// Changes what is logged from now on, as `--log-level` says it.
pub(crate) fn filter(level: &str) {
    if let Some(change) = FILTER.get() {
        change(parse(level));
    }
}

/// Settings have checked the text; what cannot be read all the same says nothing.
fn parse(level: &str) -> EnvFilter {
    EnvFilter::try_new(level).unwrap_or_default()
}

type ChangeFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// The one log of the process.
static FILTER: OnceLock<ChangeFilter> = OnceLock::new();

/// Collects one event and writes it as one clean line when it ends.
struct CleanLine {
    line: Vec<u8>,
}

impl Write for CleanLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_LINE_BYTES.saturating_sub(self.line.len());
        self.line.extend(bytes.iter().take(room));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for CleanLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let mut line = escape(text.trim_end_matches('\n'));
        line.push('\n');
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// `text` without control characters and without marks that turn the direction of writing.
pub fn escape(text: &str) -> String {
    let mut clean = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        match character {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                clean.extend(character.escape_unicode());
            }
            character if character.is_control() => clean.extend(character.escape_default()),
            character => clean.push(character),
        }
    }
    clean
}

/// Longest line of the log.
const MAX_LINE_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_cannot_leave_its_line() {
        for (text, want) in [
            ("plain é", "plain é"),
            ("a\nb", "a\\nb"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
        ] {
            assert_eq!(escape(text), want);
        }
    }

    #[test]
    fn a_line_is_cut_at_its_limit() {
        let mut line = CleanLine { line: Vec::new() };
        line.write_all(&vec![b'x'; 3 * MAX_LINE_BYTES]).unwrap();
        assert_eq!(line.line.len(), MAX_LINE_BYTES);
        line.line.clear();
    }
}
