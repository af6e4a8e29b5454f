//! Manifests held in memory: what is compiled in, and what tests write.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use super::{Changes, Command, Control, Source};

/// A source whose files live in memory and are edited through an [`Editor`].
#[derive(Debug)]
pub struct MemorySource {
    files: BTreeMap<Arc<PathBuf>, Arc<[u8]>>,
    edits: mpsc::Receiver<Changes>,
    editor: Editor,
    control: Control,
    commands: mpsc::Receiver<Command>,
}

/// Changes the files of a [`MemorySource`] from another thread.
#[derive(Clone, Debug)]
pub struct Editor {
    sender: mpsc::SyncSender<Changes>,
    control: Control,
}

impl MemorySource {
    /// A source that holds `files` (name, content) at first.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (sender, edits) = mpsc::sync_channel(MAX_PENDING_EDITS);
        let (control, commands) = Control::new();
        let files = files
            .into_iter()
            .map(|(name, content)| (Arc::new(name.into()), content.as_bytes().into()))
            .collect();
        let editor = Editor { sender, control: control.clone() };
        Self { files, edits, editor, control, commands }
    }

    /// A handle to edit the files with.
    pub fn editor(&self) -> Editor {
        self.editor.clone()
    }
}

impl Editor {
    /// Writes one file: new, or in place of what it held.
    pub fn write(&self, name: &str, content: &str) {
        let written = vec![(Arc::new(name.into()), content.as_bytes().into())];
        self.send(Changes { written, ..Changes::default() });
    }

    /// Removes one file.
    pub fn remove(&self, name: &str) {
        self.send(Changes { removed: vec![Arc::new(name.into())], ..Changes::default() });
    }

    fn send(&self, changes: Changes) {
        if self.sender.send(changes).is_ok() {
            self.control.rescan();
        }
    }
}

impl Source for MemorySource {
    fn load(&mut self) -> Changes {
        let written = std::mem::take(&mut self.files).into_iter().collect();
        Changes { written, ..Changes::default() }
    }

    fn next(&mut self) -> Option<Changes> {
        match self.commands.recv() {
            Ok(Command::Stop) | Err(_) => None,
            Ok(Command::Rescan) => {
                let mut batch = Changes::default();
                for edit in self.edits.try_iter() {
                    // A later edit of the same file in one batch replaces the earlier one.
                    for (name, _) in &edit.written {
                        batch.written.retain(|(other, _)| other != name);
                        batch.removed.retain(|other| other != name);
                    }
                    for name in &edit.removed {
                        batch.written.retain(|(other, _)| other != name);
                    }
                    batch.written.extend(edit.written);
                    batch.removed.extend(edit.removed);
                }
                Some(batch)
            }
        }
    }

    fn control(&self) -> Control {
        self.control.clone()
    }
}

/// Edits that may wait; a writer beyond that waits itself.
const MAX_PENDING_EDITS: usize = 64;
