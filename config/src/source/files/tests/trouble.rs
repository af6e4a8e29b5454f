//! Folders that vanish, files that are none, systems without watches.

use super::*;

#[test]
fn a_folder_that_vanishes_is_no_deletion_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (root, away) = (folder.path().join("manifests"), folder.path().join("away"));
    fs::create_dir_all(root.join("sub")).unwrap();
    for n in 0..50 {
        fs::write(root.join(format!("{n}.yaml")), "a").unwrap();
        fs::write(root.join(format!("sub/s{n}.yaml")), "a").unwrap();
    }
    let mut followed = Followed::new(&root);
    let before = followed.state.clone();
    assert_eq!(before.len(), 100);
    fs::rename(&root, &away).unwrap();
    followed.until_unreadable(Some("manifests is gone"));
    fs::rename(&away, &root).unwrap();
    followed.until_unreadable(None);
    assert_eq!(followed.state, before, "moved away and back");
    fs::remove_dir_all(&root).unwrap();
    followed.until_unreadable(Some("manifests is gone"));
    assert_eq!(followed.state, before, "removed");
    fs::create_dir(&root).unwrap();
    followed.until_unreadable(Some("manifests is another folder than before"));
    assert_eq!(followed.state, before, "another folder that is empty says nothing");
    fs::write(root.join("b.yaml"), "b").unwrap();
    followed.until(&[("b.yaml", "b")]);
    followed.until_unreadable(None);
    fs::write(root.join("b.yaml"), "b2").unwrap();
    followed.until(&[("b.yaml", "b2")]);
}

#[test]
fn another_empty_folder_is_taken_at_its_word_when_told_to_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("manifests");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.yaml"), "a").unwrap();
    let mut followed = Followed::new(&root);
    fs::remove_dir_all(&root).unwrap();
    followed.until_unreadable(Some("is gone"));
    fs::create_dir(&root).unwrap();
    followed.until_unreadable(Some("another folder"));
    followed.source.control.rescan();
    followed.until(&[]);
}

#[test]
fn the_last_file_of_a_living_folder_can_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), "a").unwrap();
    let mut followed = Followed::new(folder.path());
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    followed.until(&[]);
    assert_eq!(followed.unreadable, [""; 0]);
}

#[test]
fn a_missing_path_is_said_and_served_when_it_appears() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("later");
    let mut followed = Followed::new(&root);
    assert_eq!(followed.unreadable, ["later does not exist"]);
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.yaml"), "a").unwrap();
    followed.until(&[("a.yaml", "a")]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_of_the_folder_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("out.yaml")).unwrap();
    std::os::unix::fs::symlink(root, root.join("loop.yaml")).unwrap();
    std::os::unix::fs::symlink("nothing", root.join("nowhere.yaml")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(root.join("socket.yaml")).unwrap();
    let fifo = std::process::Command::new("mkfifo")
        .arg(root.join("fifo.yaml"))
        .status();
    assert!(fifo.unwrap().success());
    let followed = Followed::new(root);
    assert!(followed.state.is_empty(), "{:?}", followed.state);
    assert_eq!(followed.unreadable.len(), 4, "{:?}", followed.unreadable);
    for want in ["out.yaml is a link out", "nowhere.yaml is a link that leads", "fifo.yaml is no"] {
        assert!(
            followed
                .unreadable
                .iter()
                .any(|found| found.starts_with(want)),
            "{want}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_turns_into_something_else_keeps_what_it_held_unless_it_is_gone() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let file = root.join("a.yaml");
    fs::write(&file, "a").unwrap();
    let mut followed = Followed::new(root);
    fs::remove_file(&file).unwrap();
    symlink("/dev/null", &file).unwrap();
    followed.until_unreadable(Some("a.yaml is a link out of its folder"));
    followed.until(&[("a.yaml", "a")]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    fs::write(file.join("inner.yaml"), "inner").unwrap();
    followed.until(&[("inner.yaml", "inner")]);
    fs::remove_dir_all(&file).unwrap();
    fs::write(&file, "a2").unwrap();
    followed.until(&[("a.yaml", "a2")]);
    followed.until_unreadable(None);
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let mut followed = Followed::new(folder.path());
    let odd = std::ffi::OsStr::from_bytes(b"\xff\n.yaml");
    fs::write(folder.path().join(odd), "odd").unwrap();
    followed.until(&[("\u{fffd}\n.yaml", "odd")]);
}

#[test]
fn without_watches_edits_are_found_by_looking() {
    let full: MakeWatcher = |_| Ok(Box::new(Deaf { full: true }));
    let none: MakeWatcher = |_| Err(notify::Error::io(std::io::Error::from_raw_os_error(24)));
    for (case, make) in [("no watch is left", full), ("no instance is left", none)] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/a.yaml"), "a").unwrap();
        let mut followed = Followed::of(source_with(&[root], &polling(), make));
        assert!(followed.source.watch.is_polling(), "{case}");
        fs::write(root.join("sub/a.yaml"), "b").unwrap();
        followed.until(&[("a.yaml", "b")]);
        fs::remove_file(root.join("sub/a.yaml")).unwrap();
        followed.until(&[]);
    }
}

#[test]
fn a_rescan_finds_what_no_event_told() {
    let deaf: MakeWatcher = |_| Ok(Box::new(Deaf { full: false }));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, "one").unwrap();
    let reload = Reload { rescan: Duration::from_millis(20), ..patient() };
    let mut followed = Followed::of(source_with(&[folder.path()], &reload, deaf));
    let times = fs::metadata(&file).unwrap().modified().unwrap();
    for text in ["two", "six", "ten"] {
        fs::write(&file, text).unwrap();
        let same = fs::File::options().append(true).open(&file).unwrap();
        same.set_modified(times).unwrap();
        followed.until(&[("a.yaml", text)]);
    }
}

#[test]
fn a_stamp_is_trusted_once_its_file_has_rested() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let stamp = walk::stamp(file.path()).unwrap();
    let now = std::time::SystemTime::now();
    assert!(!stamp.is_settled(now));
    assert!(stamp.is_settled(now + Duration::from_secs(3)));
    assert!(!stamp.is_settled(now - Duration::from_secs(60)), "changed in the future");
}

#[test]
fn limits_leave_the_rest_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.yaml", "b.yaml", "c.yaml", "long.yaml"] {
        fs::write(folder.path().join(name), "12345").unwrap();
    }
    fs::write(folder.path().join("long.yaml"), "1234567").unwrap();
    for (case, limits, want) in [
        ("a file", Limits { max_file_bytes: 6, ..Limits::default() }, 3),
        ("that fits to the byte", Limits { max_file_bytes: 7, ..Limits::default() }, 4),
        ("all together", Limits { max_total_bytes: 15, ..Limits::default() }, 3),
        ("how many", Limits { max_files: 2, ..Limits::default() }, 2),
    ] {
        let changes = read_once(vec![folder.path().to_owned()], &limits);
        assert_eq!(changes.written.len(), want, "{case}");
        assert_eq!(changes.unreadable.len(), 4 - want, "{case}: {changes:?}");
    }
}

#[test]
fn an_ended_source_gives_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = source(&[folder.path()]);
    source.load();
    source.control().stop();
    assert!(source.next().is_none());
}

#[test]
fn files_whose_stamps_say_nothing_yet_are_read_again_few_by_few() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: usize| folder.path().join(format!("{n:04}.yaml"));
    for n in 0..1_000 {
        fs::write(path(n), "kind: A").unwrap();
    }
    let mut followed = Followed::new(folder.path());
    followed.source.next_rescan = Instant::now();
    // The survey leaves what was written a moment ago for later, and an edit does not wait for it.
    let dirty = followed.source.wait().unwrap();
    assert!(dirty.survey.is_some() && !dirty.all);
    let mut changes = Changes::default();
    followed.source.look(dirty, &mut changes);
    assert!(changes.written.is_empty() && changes.removed.is_empty(), "{changes:?}");
    let left = followed.source.rechecks.len();
    fs::write(path(999), "kind: B").unwrap();
    followed.next();
    assert_eq!(followed.state["0999.yaml"], "kind: B");
    while !followed.source.rechecks.is_empty() {
        let before = followed.source.rechecks.len();
        let dirty = followed.source.wait().unwrap();
        assert!(dirty.paths.len() <= 256, "{left} at first, {before} now");
        followed.source.look(dirty, &mut Changes::default());
    }
    fs::write(path(1), "kind: C").unwrap();
    followed.next();
    assert_eq!(followed.state["0001.yaml"], "kind: C");
}
