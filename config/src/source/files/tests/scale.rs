//! Many files at once, and edits faster than they are read.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn folders_with_all_they_hold_move_in_within_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir(&root).unwrap();
    fs::create_dir_all(outside.join("deep")).unwrap();
    let mut want: Vec<(String, String)> = Vec::new();
    for n in 0..100 {
        fs::write(outside.join(format!("deep/{n:03}.yaml")), "x").unwrap();
        want.push((format!("{n:03}.yaml"), "x".to_owned()));
    }
    let want: Vec<(&str, &str)> = want.iter().map(|(a, b)| (&**a, &**b)).collect();
    let mut followed = Followed::new(&root);
    fs::rename(&outside, root.join("inside")).unwrap();
    followed.until(&want);
    fs::rename(root.join("inside"), root.join("renamed")).unwrap();
    fs::write(root.join("renamed/deep/000.yaml"), "y").unwrap();
    let mut edited = want.clone();
    edited[0].1 = "y";
    followed.until(&edited);
    fs::rename(root.join("renamed"), &outside).unwrap();
    followed.until(&[]);
    fs::rename(&outside, root.join("renamed")).unwrap();
    fs::write(root.join("renamed/deep/000.yaml"), "x").unwrap();
    followed.until(&want);
}

#[test]
fn no_file_of_a_new_folder_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let mut followed = Followed::new(&root);
    let writer = std::thread::spawn(move || {
        for n in 0..60 {
            let deep = root.join(format!("{n}/a/b"));
            fs::create_dir_all(&deep).unwrap();
            fs::write(deep.join(format!("{n}.yaml")), "x").unwrap();
        }
    });
    let want: Vec<String> = (0..60).map(|n| format!("{n}.yaml")).collect();
    let want: Vec<(&str, &str)> = want.iter().map(|name| (&**name, "x")).collect();
    followed.until(&want);
    writer.join().unwrap();
}

#[test]
fn events_that_found_no_room_are_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut followed = Followed::new(folder.path());
    let want: Vec<String> = (0..1_600).map(|n| format!("{n}.yaml")).collect();
    for name in &want {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let want: Vec<(&str, &str)> = want.iter().map(|name| (&**name, "x")).collect();
    followed.until(&want);
}

#[test]
fn a_steady_stream_of_edits_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let mut followed = Followed::new(&root);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        for n in (0..50).cycle() {
            if stopped.load(Ordering::SeqCst) {
                return;
            }
            fs::write(root.join(format!("{n}.yaml")), "x".repeat(n)).unwrap();
            std::thread::park_timeout(Duration::from_millis(1));
            fs::write(root.join("always.yaml"), "y".repeat(n)).unwrap();
        }
    });
    for _ in 0..3 {
        followed.next();
    }
    assert!(!writer.is_finished());
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
}
