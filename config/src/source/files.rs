//! Files and folders, followed as they change.

use std::path::PathBuf;

use super::{Changes, Command, Control, Source};

/// Reads and watches paths; `-` is standard input, read once.
#[derive(Debug)]
pub struct FileSource {
    control: Control,
    commands: std::sync::mpsc::Receiver<Command>,
}

impl FileSource {
    /// A source over files and folders (walked recursively for `.yaml`, `.yml`, `.json`).
    pub fn new(_paths: Vec<PathBuf>) -> Self {
        let (control, commands) = Control::new();
        Self { control, commands }
    }
}

impl Source for FileSource {
    fn load(&mut self) -> Changes {
        Changes::default()
    }

    fn next(&mut self) -> Option<Changes> {
        match self.commands.recv() {
            Ok(Command::Rescan) => Some(Changes::default()),
            Ok(Command::Stop) | Err(_) => None,
        }
    }

    fn control(&self) -> Control {
        self.control.clone()
    }
}
