//! `portico explain https://…`: what becomes of requests, by manifests and by the portico that runs.
//!
//! The answers about `tests/fixtures/explain/site.yaml` lie beside it, each under its question;
//! `UPDATE_GOLDENS=1` writes them anew, and whoever does that reads what has changed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::annotations::annotated;
use crate::harness::http::get;
use crate::harness::pod::Pod;
use crate::harness::portico::Portico;
use crate::harness::process::run;
use crate::services::service;

/// The words behind `portico explain` in the first line of an answer; quotes keep blanks.
fn words(question: &str) -> Vec<String> {
    let line = question.trim_start_matches("$ portico explain ");
    let quoted = line.split('"').enumerate();
    let words = quoted.flat_map(|(at, piece)| match at % 2 {
        0 => piece.split_whitespace().map(str::to_owned).collect(),
        _ => vec![piece.to_owned()],
    });
    words.collect()
}

#[test]
fn answers_are_those_that_were_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/explain");
    let site = folder.join("site.yaml");
    let is_answer = |path: &Path| path.extension().is_some_and(|it| it == "txt");
    let files = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| is_answer(path)).collect();
    files.sort();
    assert!(files.len() > 15, "{files:?}");
    let mut different = Vec::new();
    for file in files {
        let want = fs::read_to_string(&file).unwrap();
        let question = want.lines().next().unwrap();
        let mut words = words(question);
        assert_eq!(words.pop().as_deref(), Some("site.yaml"), "{}", file.display());
        let mut all = vec!["explain", "--node-name", "n1"];
        all.extend(words.iter().map(String::as_str));
        all.push(site.to_str().unwrap());
        let output = run(&all);
        assert_eq!(output.status.code(), Some(0), "{question}: {output:?}");
        let got = format!("{question}\n{}", String::from_utf8(output.stdout).unwrap());
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::write(&file, &got).unwrap();
        } else if got != want {
            different.push(format!("{}:\n{got}", file.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_portico_that_runs_explains_what_it_serves() {
    let pod = Pod::http("web");
    let list = [("allowlist-source-range", "127.0.0.1"), ("rewrite-target", "/new")];
    let manifests = [
        service("web", "ClusterIP", 80, &[&pod]),
        annotated("site", "site.test", &list, ""),
        annotated("moved", "moved.test", &[("permanent-redirect", "https://b.test")], ""),
    ]
    .join("---\n");
    let portico = Portico::with(&[("all.yaml", &manifests)]).start();
    let admin = portico.admin().to_string();
    let told = |words: &[&str]| -> Value {
        let asked = ["--admin", &admin, "--format", "json"];
        let output = run(&[&["explain"], words, &asked].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}"))
    };
    let site = told(&["http://site.test/old?a=1", "-H", "X-A: b", "-X", "PUT"]);
    assert_eq!((&site["verdict"], &site["service"]), (&"forward".into(), &"default/web".into()));
    assert_eq!(site["endpoints"][0]["endpoint"], pod.address.to_string(), "{site}");
    assert_eq!(site["endpoints"][0]["health"], "in", "{site}");
    assert_eq!(site["sent"][0], "PUT /new?a=1 HTTP/1.1", "{site}");
    assert!(site["sent"].as_array().unwrap().contains(&"X-A: b".into()), "{site}");
    assert_eq!(site["rule"]["ingress"], "default/site");
    for (words, host, path) in [
        (&["http://site.test/old"][..], "site.test", "/old"),
        (&["http://moved.test/"], "moved.test", "/"),
        (&["http://nobody.test/"], "nobody.test", "/"),
    ] {
        let answer = told(words);
        let served = get(portico.http(), host, path);
        match answer["verdict"].as_str() {
            Some("forward") => assert_eq!(served.status, 200, "{words:?}: {answer}"),
            _ => assert_eq!(answer["status"], served.status, "{words:?}: {answer}"),
        }
        assert_eq!(answer["location"].as_str(), served.header("location"), "{words:?}: {answer}");
    }
    let stranger = told(&["http://site.test/", "--from", "192.0.2.9"]);
    assert_eq!((&stranger["verdict"], &stranger["status"]), (&"answer".into(), &403.into()));
    let because = stranger["because"].as_str().unwrap();
    assert!(because.contains("allowlist-source-range"), "{stranger}");
    let refused = run(&["explain", "http://u@site.test/", "--admin", &admin]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("names no host"));
}
