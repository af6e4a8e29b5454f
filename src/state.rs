//! The state folder: addresses that portico has assigned, and the key of session cookies, kept over
//! restarts.
//!
//! ```text
//! compile ─▶ Assignments ─save─▶ assignments.json ─load─▶ the next start
//! ```
//!
//! Invariants: the file is whole at any time (written aside, synced, renamed); only the holder of
//! the folder's lock writes, so two porticos never mix theirs; nothing that is wrong with the folder
//! ends a start or stops a change: it is said in the log, and addresses are assigned anew.

mod session_key;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portico_config::model::ObjectName;
use portico_config::snapshot::Assignments;
use serde_json::{Map, Value, json};
use tracing::{debug, info, warn};

/// Where state is kept if nobody says: systemd's `$STATE_DIRECTORY`, else `portico` in
/// `$XDG_STATE_HOME`, else in `~/.local/state`; none where a host has none of them.
pub(crate) fn default_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    // systemd separates several folders by colons; ours is the first.
    let given = std::env::var_os("STATE_DIRECTORY").and_then(|it| it.into_string().ok());
    let given = given.and_then(|folders| folders.split(':').next().map(PathBuf::from));
    given
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(absolute("XDG_STATE_HOME")?.join("portico")))
        .or_else(|| Some(absolute("HOME")?.join(".local/state/portico")))
}

/// The state folder of a running process.
#[derive(Debug)]
pub(crate) struct State {
    folder: Option<PathBuf>,
    /// Held as long as this value lives; none while another process holds it.
    lock: Option<File>,
    saved: Arc<Assignments>,
    /// Whether the log has told that saving does not work.
    has_warned: bool,
}

impl State {
    /// Opens `folder`, made if need be, and gives what an earlier run left in it.
    pub(crate) fn open(folder: Option<&Path>) -> (Self, Assignments) {
        let saved = Arc::default();
        let mut state =
            Self { folder: folder.map(Path::to_owned), lock: None, saved, has_warned: false };
        let Some(folder) = folder else { return (state, Assignments::default()) };
        if let Err(error) = state.take_lock() {
            warn!("{}: {error}; assigned addresses are not kept", folder.display());
            state.has_warned = true;
        }
        let path = folder.join(FILE);
        match read(&path) {
            Ok(assignments) => {
                state.saved = Arc::new(assignments.clone());
                (state, assignments)
            }
            Err(ReadError::Absent) => (state, Assignments::default()),
            Err(ReadError::Unusable(reason)) => {
                warn!("{}: {reason}; addresses are assigned anew", path.display());
                if state.lock.is_some() {
                    // Kept for whoever wants to know what happened to it.
                    let _ = fs::rename(&path, folder.join(SET_ASIDE));
                }
                (state, Assignments::default())
            }
        }
    }

    /// Keeps `assignments`, if they are others than before.
    pub(crate) fn save(&mut self, assignments: &Arc<Assignments>) {
        if self.folder.is_none() || **assignments == *self.saved {
            return;
        }
        match self.write(assignments) {
            Ok(()) => {
                if std::mem::take(&mut self.has_warned) {
                    info!("assigned addresses are kept again");
                }
                self.saved = Arc::clone(assignments);
                debug!("kept the assigned addresses");
            }
            Err(error) if !self.has_warned => {
                let folder = self.folder.as_deref().unwrap_or_else(|| Path::new(""));
                warn!("{}: {error}; assigned addresses are not kept", folder.display());
                self.has_warned = true;
            }
            Err(_) => {}
        }
    }

    fn write(&mut self, assignments: &Assignments) -> io::Result<()> {
        self.take_lock()?;
        let Some(folder) = &self.folder else { return Ok(()) };
        let aside = folder.join(BEING_WRITTEN);
        let mut file = File::create(&aside)?;
        file.write_all(render(assignments).as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, folder.join(FILE))?;
        // The rename itself is on disk once the folder is.
        File::open(folder)?.sync_all()
    }

    /// Makes the folder and locks it against other processes; does nothing where that is done.
    fn take_lock(&mut self) -> io::Result<()> {
        let (Some(folder), None) = (&self.folder, &self.lock) else { return Ok(()) };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false);
        let lock = lock.open(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::other("another portico uses this folder"),
            fs::TryLockError::Error(error) => error,
        })?;
        self.lock = Some(lock);
        Ok(())
    }
}

#[derive(Debug)]
enum ReadError {
    Absent,
    Unusable(String),
}

fn read(path: &Path) -> Result<Assignments, ReadError> {
    let unusable = |reason: String| ReadError::Unusable(reason);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::Absent),
        Err(error) => return Err(unusable(error.to_string())),
    };
    let mut content = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(|error| unusable(error.to_string()))?;
    if content.len() as u64 > MAX_BYTES {
        return Err(unusable(format!("is larger than {MAX_BYTES} bytes")));
    }
    let value: Value =
        serde_json::from_slice(&content).map_err(|error| unusable(error.to_string()))?;
    match value["version"].as_u64() {
        Some(VERSION) => {}
        Some(version) => return Err(unusable(format!("has the unknown version {version}"))),
        None => return Err(unusable("has no version".to_owned())),
    }
    parse(&value).ok_or_else(|| unusable("is not as portico writes it".to_owned()))
}

/// Reads what [`render`] wrote; none where anything in it is something else.
fn parse(value: &Value) -> Option<Assignments> {
    let name = |text: &str| {
        let (namespace, name) = text.split_once('/')?;
        Some(ObjectName::new(namespace, name))
    };
    let mut assignments = Assignments::default();
    for (service, addresses) in value["clusterIPs"].as_object()? {
        let addresses = addresses.as_array()?.iter();
        let addresses: Option<Vec<IpAddr>> =
            addresses.map(|it| it.as_str()?.parse().ok()).collect();
        assignments.cluster_ips.insert(name(service)?, addresses?);
    }
    for (service, ports) in value["nodePorts"].as_object()? {
        for (port, node_port) in ports.as_object()? {
            let node_port = u16::try_from(node_port.as_u64()?).ok()?;
            assignments
                .node_ports
                .insert((name(service)?, port.parse().ok()?), node_port);
        }
    }
    Some(assignments)
}

/// `{"version": 1, "clusterIPs": {"default/web": ["127.96.3.4"]}, "nodePorts": {"default/web":
/// {"80": 30123}}}`.
fn render(assignments: &Assignments) -> String {
    let cluster_ips: Map<String, Value> = assignments
        .cluster_ips
        .iter()
        .map(|(service, addresses)| (service.to_string(), json!(addresses)))
        .collect();
    let mut node_ports: Map<String, Value> = Map::new();
    for ((service, port), node_port) in &assignments.node_ports {
        let ports = node_ports
            .entry(service.to_string())
            .or_insert_with(|| json!({}));
        ports[port.to_string()] = json!(node_port);
    }
    let all = json!({ "version": VERSION, "clusterIPs": cluster_ips, "nodePorts": node_ports });
    format!("{all:#}\n")
}

const FILE: &str = "assignments.json";
const BEING_WRITTEN: &str = "assignments.json.new";
const SET_ASIDE: &str = "assignments.json.unusable";
const LOCK: &str = "lock";
const VERSION: u64 = 1;
/// Room for a million Services.
const MAX_BYTES: u64 = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Arc<Assignments> {
        let web = ObjectName::new("default", "web");
        let mut assignments = Assignments::default();
        let addresses = vec!["127.96.3.4".parse().unwrap(), "fd00::4".parse().unwrap()];
        assignments.cluster_ips.insert(web.clone(), addresses);
        assignments.node_ports.insert((web.clone(), 80), 30_123);
        assignments.node_ports.insert((web, 443), 30_124);
        Arc::new(assignments)
    }

    #[test]
    fn what_is_kept_is_found_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("made/on/the/way");
        let (mut state, found) = State::open(Some(&inner));
        assert_eq!(found, Assignments::default());
        state.save(&some());
        state.save(&some());
        drop(state);
        assert_eq!(State::open(Some(&inner)).1, *some());
        assert!(!inner.join(BEING_WRITTEN).exists());
    }

    #[test]
    fn a_second_process_reads_and_does_not_write_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut first, _) = State::open(Some(folder.path()));
        first.save(&some());
        let (mut second, found) = State::open(Some(folder.path()));
        assert_eq!(found, *some());
        second.save(&Arc::default());
        assert_eq!(read(&folder.path().join(FILE)).unwrap(), *some());
        drop(first);
        second.save(&Arc::default());
        assert_eq!(read(&folder.path().join(FILE)).unwrap(), Assignments::default());
    }

    #[test]
    fn an_unusable_file_is_set_aside_and_costs_only_the_assignments() {
        for content in [
            "",
            "nonsense",
            "{}",
            "[]",
            r#"{"version": 2, "clusterIPs": {}, "nodePorts": {}}"#,
            r#"{"version": 1, "clusterIPs": {"web": ["127.0.0.1"]}, "nodePorts": {}}"#,
            r#"{"version": 1, "clusterIPs": {"a/b": ["here"]}, "nodePorts": {}}"#,
            r#"{"version": 1, "clusterIPs": {}, "nodePorts": {"a/b": {"80": 99999}}}"#,
            r#"{"version": 1, "clusterIPs": {}}"#,
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(FILE), content).unwrap();
            let (mut state, found) = State::open(Some(folder.path()));
            assert_eq!(found, Assignments::default(), "{content}");
            assert_eq!(fs::read_to_string(folder.path().join(SET_ASIDE)).unwrap(), content);
            state.save(&some());
            assert_eq!(read(&folder.path().join(FILE)).unwrap(), *some());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_reason_to_fail() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let (mut state, found) = State::open(Some(&file.join("inside")));
        state.save(&some());
        assert_eq!(found, Assignments::default());
    }
}
