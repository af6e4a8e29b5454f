//! The source over a real folder and real events; every wait is for an event, with a limit.

use std::fs;
use std::path::Path;

use super::*;

/// A source over a folder, and what it has delivered so far.
struct Followed {
    source: FileSource,
    state: BTreeMap<String, String>,
}

impl Followed {
    fn new(root: &Path) -> Self {
        let mut followed =
            Self { source: FileSource::new(vec![root.to_owned()]), state: BTreeMap::new() };
        let changes = followed.source.load();
        followed.take(changes);
        followed
    }

    fn take(&mut self, changes: Changes) {
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        for path in changes.removed {
            self.state.remove(&name(&path));
        }
        for (path, content) in changes.written {
            self.state
                .insert(name(&path), String::from_utf8_lossy(&content).into_owned());
        }
    }

    /// Waits until the delivered state is this one.
    #[track_caller]
    fn until(&mut self, want: &[(&str, &str)]) {
        let want: BTreeMap<_, _> = want
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let end = Instant::now() + Duration::from_secs(20);
        while self.state != want {
            assert!(Instant::now() < end, "{:?} is not {want:?}", self.state);
            let changes = self.source.next().expect("the source goes on");
            self.take(changes);
        }
    }
}

#[test]
fn a_folder_is_walked_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("sub")).unwrap();
    fs::write(root.join("a.yaml"), "a").unwrap();
    fs::write(root.join("sub/b.json"), "b").unwrap();
    fs::write(root.join(".hidden.yaml"), "no").unwrap();
    fs::write(root.join("notes.txt"), "no").unwrap();
    let mut followed = Followed::new(root);
    followed.until(&[("a.yaml", "a"), ("b.json", "b")]);
    fs::write(root.join("a.yaml"), "a2").unwrap();
    followed.until(&[("a.yaml", "a2"), ("b.json", "b")]);
    fs::remove_file(root.join("sub/b.json")).unwrap();
    followed.until(&[("a.yaml", "a2")]);
    fs::create_dir(root.join("new")).unwrap();
    fs::write(root.join("new/c.yml"), "c").unwrap();
    followed.until(&[("a.yaml", "a2"), ("c.yml", "c")]);
    fs::rename(root.join("new"), root.join("newer")).unwrap();
    fs::write(root.join("newer/c.yml"), "c2").unwrap();
    followed.until(&[("a.yaml", "a2"), ("c.yml", "c2")]);
}

#[test]
fn editors_replace_files_in_their_own_ways() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let file = root.join("a.yaml");
    fs::write(&file, "one").unwrap();
    let mut followed = Followed::new(root);
    followed.until(&[("a.yaml", "one")]);
    fs::write(root.join("a.yaml.tmp"), "two").unwrap();
    fs::rename(root.join("a.yaml.tmp"), &file).unwrap();
    followed.until(&[("a.yaml", "two")]);
    fs::rename(&file, root.join("a.yaml~")).unwrap();
    fs::write(&file, "three").unwrap();
    followed.until(&[("a.yaml", "three")]);
}

#[cfg(unix)]
#[test]
fn a_config_map_volume_swaps_all_files_at_once() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (version, text) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("a.yaml"), text).unwrap();
    }
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    let mut followed = Followed::new(root);
    followed.until(&[("a.yaml", "one")]);
    symlink("..2", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    followed.until(&[("a.yaml", "two")]);
}

#[test]
fn a_folder_that_vanishes_is_no_deletion_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("manifests");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.yaml"), "a").unwrap();
    let mut followed = Followed::new(&root);
    followed.until(&[("a.yaml", "a")]);
    fs::rename(&root, folder.path().join("elsewhere")).unwrap();
    followed.source.control.rescan();
    let changes = followed.source.next().unwrap();
    assert!(changes.removed.is_empty(), "{changes:?}");
    assert_eq!(changes.unreadable.len(), 1, "{changes:?}");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("b.yaml"), "b").unwrap();
    followed.until(&[("b.yaml", "b")]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_of_the_folder_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("out.yaml")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop.yaml")).unwrap();
    let socket = folder.path().join("socket.yaml");
    let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let changes = FileSource::new(vec![folder.path().to_owned()]).load();
    assert!(changes.written.is_empty(), "{changes:?}");
    assert_eq!(changes.unreadable.len(), 2, "{changes:?}");
}

#[test]
fn an_ended_source_gives_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = FileSource::new(vec![folder.path().to_owned()]);
    source.load();
    source.control().stop();
    assert!(source.next().is_none());
}
