//! How the process ends: the exit codes that scripts can rely on.

use std::process::ExitCode;

/// Why the process ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// Nothing is wrong: 0.
    Fine,
    /// The manifests have errors, or a path of the demo failed: 1.
    Errors,
    /// The command line is wrong, or what it names cannot be read or had: 2.
    Usage,
    /// portico itself failed, such as a worker thread that died: 70 (`EX_SOFTWARE`).
    Internal,
    /// A second signal asked to leave at once: 128 and the signal's number, as shells count.
    Signal(u8),
}

impl Exit {
    /// The number that the parent process sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Errors => 1,
            Self::Usage => 2,
            Self::Internal => 70,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
