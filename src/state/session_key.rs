//! The key of session cookies, kept over restarts so that clients return to their endpoints.
//!
//! Invariants: only the owner may read the file; the holder of the folder's lock alone writes it; a
//! file that cannot be used costs the sessions, never a start. It is never in a log, a metric or an
//! answer of the admin listener.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use portico_proxy::SessionKey;
use tracing::warn;

use super::State;

impl State {
    /// The key of an earlier run, else a new one, kept for the next.
    pub(crate) fn session_key(&self) -> SessionKey {
        let Some(folder) = &self.folder else { return SessionKey::default() };
        match read(folder) {
            Ok(secret) => return SessionKey::new(&secret),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("{}: {error}; sessions begin anew", folder.join(FILE).display()),
        }
        let mut secret = [0; BYTES];
        let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
        if random.fill(&mut secret).is_err() {
            return SessionKey::default();
        }
        if self.lock.is_some()
            && let Err(error) = write(folder, &secret)
        {
            warn!("{}: {error}; sessions end with this process", folder.join(FILE).display());
        }
        SessionKey::new(&secret)
    }
}

fn read(folder: &Path) -> io::Result<[u8; BYTES]> {
    let mut content = Vec::new();
    let file = OpenOptions::new().read(true).open(folder.join(FILE))?;
    file.take(BYTES as u64 + 1).read_to_end(&mut content)?;
    let secret = <[u8; BYTES]>::try_from(content);
    secret.map_err(|_| io::Error::other("is not as portico writes it"))
}

/// Written aside and renamed, so that it is whole or not there.
fn write(folder: &Path, secret: &[u8; BYTES]) -> io::Result<()> {
    let aside = folder.join(BEING_WRITTEN);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&aside)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&aside, folder.join(FILE))
}

const FILE: &str = "session.key";
const BEING_WRITTEN: &str = "session.key.new";
const BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_kept_for_the_next_start_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (state, _) = State::open(Some(folder.path()));
        drop(state.session_key());
        let kept = read(folder.path()).unwrap();
        let file = fs::metadata(folder.path().join(FILE)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        drop(state.session_key());
        drop(state);
        let (state, _) = State::open(Some(folder.path()));
        drop(state.session_key());
        assert_eq!(read(folder.path()).unwrap(), kept);
        assert_ne!(kept, [0; BYTES]);
    }

    #[test]
    fn a_key_that_cannot_be_used_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "short").unwrap();
        let (state, _) = State::open(Some(folder.path()));
        drop(state.session_key());
        assert!(read(folder.path()).is_ok());
    }

    #[test]
    fn who_does_not_hold_the_folder_writes_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let (_first, _) = State::open(Some(folder.path()));
        let (second, _) = State::open(Some(folder.path()));
        drop(second.session_key());
        assert!(read(folder.path()).is_err());
    }
}
