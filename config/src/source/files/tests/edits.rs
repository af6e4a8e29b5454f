//! What people, editors, tools and volumes do to a folder.

use std::io::Write;

use super::*;

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
    fs::remove_dir_all(root.join("newer")).unwrap();
    followed.until(&[("a.yaml", "a2")]);
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
    let changes = followed.next();
    assert!(changes.removed.is_empty(), "{changes:?}");
    followed.until(&[("a.yaml", "three")]);
    fs::hard_link(&file, root.join("b.yaml")).unwrap();
    followed.until(&[("a.yaml", "three"), ("b.yaml", "three")]);
}

#[test]
fn a_renamed_file_comes_and_goes_in_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("a.yaml"), "text").unwrap();
    let mut followed = Followed::new(root);
    fs::rename(root.join("a.yaml"), root.join("b.yaml")).unwrap();
    let changes = followed.next();
    assert_eq!((names(&changes), changes.removed.len()), (vec!["b.yaml".to_owned()], 1));
}

#[test]
fn a_touched_file_and_a_file_of_another_kind_are_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join(".git")).unwrap();
    for name in ["a.yaml", "b.yaml"] {
        fs::write(root.join(name), "text").unwrap();
    }
    let mut followed = Followed::new(root);
    fs::write(root.join("a.yaml"), "text").unwrap();
    let file = fs::File::options().append(true).open(root.join("a.yaml"));
    file.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::write(root.join("notes.txt"), "notes").unwrap();
    fs::write(root.join(".git/x.yaml"), "hidden").unwrap();
    fs::write(root.join("b.yaml"), "edited").unwrap();
    assert_eq!(names(&followed.next()), ["b.yaml"]);
}

#[test]
fn a_file_that_is_being_written_waits_for_its_close_while_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("slow.yaml"), "before").unwrap();
    let mut followed = Followed::new(root);
    let mut slow = fs::File::create(root.join("slow.yaml")).unwrap();
    slow.write_all(b"first half, ").unwrap();
    // Set before the close, as `cp -p` does.
    slow.set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::write(root.join("other.yaml"), "other").unwrap();
    assert_eq!(names(&followed.next()), ["other.yaml"]);
    slow.write_all(b"second half").unwrap();
    drop(slow);
    let changes = followed.next();
    assert_eq!(names(&changes), ["slow.yaml"]);
    followed.until(&[("slow.yaml", "first half, second half"), ("other.yaml", "other")]);
}

#[test]
fn a_file_that_stays_open_is_read_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut followed = Followed::new(folder.path());
    let mut open = fs::File::create(folder.path().join("open.yaml")).unwrap();
    open.write_all(b"all of it").unwrap();
    followed.until(&[("open.yaml", "all of it")]);
}

#[test]
fn what_seems_half_written_is_delivered_again_and_then_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, "whole").unwrap();
    let mut source = source(&[folder.path()]);
    assert!(source.load().doubtful.is_empty(), "at first there is nothing to keep");
    source.look_again(&[]);
    for text in ["torn", "torn again"] {
        fs::write(&file, text).unwrap();
        let first = source.next().unwrap();
        assert_eq!((first.written.len(), first.doubtful.len()), (1, 1), "{text}: {first:?}");
        source.look_again(&[Arc::clone(&first.written[0].0)]);
        let second = source.next().unwrap();
        assert_eq!((second.written.len(), second.doubtful.len()), (1, 0), "{text}: {second:?}");
        assert_eq!(&*second.written[0].1, text.as_bytes());
        source.look_again(&[]);
    }
}

#[cfg(unix)]
#[test]
fn a_config_map_volume_swaps_all_files_at_once() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for version in ["..1", "..2"] {
        fs::create_dir(root.join(version)).unwrap();
        for name in ["a.yaml", "b.yaml"] {
            fs::write(root.join(version).join(name), version).unwrap();
        }
    }
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    symlink("..data/b.yaml", root.join("b.yaml")).unwrap();
    let mut followed = Followed::new(root);
    followed.until(&[("a.yaml", "..1"), ("b.yaml", "..1")]);
    for version in ["..2", "..1", "..2"] {
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        assert_eq!(names(&followed.next()), ["a.yaml", "b.yaml"]);
        followed.until(&[("a.yaml", version), ("b.yaml", version)]);
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_folder_and_where_they_are_the_folder() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    for version in ["v1", "v2"] {
        fs::create_dir(folder.path().join(version)).unwrap();
        fs::write(folder.path().join(version).join("a.yaml"), version).unwrap();
        symlink("a.yaml", folder.path().join(version).join("linked.yaml")).unwrap();
    }
    let current = folder.path().join("current");
    symlink("v1", &current).unwrap();
    let mut followed = Followed::new(&current);
    followed.until(&[("a.yaml", "v1"), ("linked.yaml", "v1")]);
    fs::write(folder.path().join("v1/a.yaml"), "v1b").unwrap();
    followed.until(&[("a.yaml", "v1b"), ("linked.yaml", "v1b")]);
    symlink("v2", folder.path().join("next")).unwrap();
    fs::rename(folder.path().join("next"), &current).unwrap();
    followed.until(&[("a.yaml", "v2"), ("linked.yaml", "v2")]);
    fs::write(folder.path().join("v2/a.yaml"), "v2b").unwrap();
    followed.until(&[("a.yaml", "v2b"), ("linked.yaml", "v2b")]);
}

#[test]
fn a_path_is_one_file_however_it_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(folder.path().strip_prefix("/").unwrap());
    fs::write(folder.path().join("a.yaml"), "a").unwrap();
    let mut source = source(&[&relative]);
    let loaded = source.load();
    fs::write(folder.path().join("a.yaml"), "a2").unwrap();
    let edited = source.next().unwrap();
    assert_eq!(edited.written[0].0, loaded.written[0].0);
    assert_eq!(*edited.written[0].0, relative.join("a.yaml"), "shown as it was typed");
}

#[test]
fn a_file_that_was_named_brings_no_neighbours_and_takes_no_watch_away() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    let file = root.join("a.yaml");
    fs::write(&file, "a").unwrap();
    let mut alone = Followed::new(&file);
    fs::write(root.join("neighbour.yaml"), "no").unwrap();
    fs::write(root.join("new.yaml"), "a2").unwrap();
    fs::rename(root.join("new.yaml"), &file).unwrap();
    alone.until(&[("a.yaml", "a2")]);
    fs::remove_file(root.join("neighbour.yaml")).unwrap();
    let mut both = Followed::of(source(&[&file, &root]));
    fs::write(root.join("sub/b.yaml"), "b").unwrap();
    both.until(&[("a.yaml", "a2"), ("b.yaml", "b")]);
}
