//! The settings file: read at the start, and again whenever it is edited.
//!
//! Invariants: a file that is wrong or cannot be read changes nothing, it is reported; what only
//! counts at a start stays as it was and is reported; a flag or variable that won at the start wins
//! over every edit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portico_config::diagnostic::Diagnostic;
use portico_config::settings::{Document, unreadable};
use portico_config::source::Changes;

use super::AppOptions;
use super::effective::{Effective, resolve};
use super::given::{Given, LogArgs, ServeArgs};
use super::table::{keys, settings};

/// The settings of a start.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What counts.
    pub effective: Effective,
    /// The file to follow; none where there is no settings file.
    pub follow: Option<Follow>,
}

/// A settings file that is not taken.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// Everything that is wrong with it, by position.
    pub findings: Vec<Diagnostic>,
    /// What was read, so that the lines can be shown.
    pub read: Changes,
}

/// A settings file, and what lies over it.
#[derive(Clone, Debug)]
pub struct Follow {
    path: Arc<PathBuf>,
    content: Arc<[u8]>,
    given: Vec<Given>,
    /// What the process was started with: counts for what needs a restart.
    started: AppOptions,
    /// What counts now.
    current: AppOptions,
}

/// What an edit of the file came to.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// What counts now; none: what counted before.
    pub(crate) options: Option<AppOptions>,
    /// The keys whose values are others than before.
    pub(crate) changed: Vec<&'static str>,
    /// What is wrong with the file as it is now.
    pub(crate) findings: Vec<Diagnostic>,
}

impl ServeArgs {
    /// The settings that count; fails with what is wrong with the settings file.
    pub fn load(&self, log: &LogArgs) -> Result<Loaded, Refused> {
        let given: Vec<_> = self.given.iter().chain(&log.given).cloned().collect();
        let Some(config) = &self.config else {
            // Without a file nothing can be wrong with it.
            let effective = resolve(&given, None)
                .map_err(|findings| Refused { findings, read: Changes::default() })?;
            return Ok(Loaded { effective, follow: None });
        };
        let path = Arc::new(config.clone());
        let content: Arc<[u8]> = read(&path)
            .map_err(|reason| Refused {
                findings: vec![unreadable(&path, &reason)],
                ..Refused::default()
            })?
            .into();
        let effective = Document::read(&path, &content, &keys())
            .map_err(|found| vec![*found])
            .and_then(|document| resolve(&given, Some((&path, &document))))
            .map_err(|findings| {
                let written = vec![(Arc::clone(&path), Arc::clone(&content))];
                Refused { findings, read: Changes { written, ..Changes::default() } }
            })?;
        let [started, current] = [effective.options.clone(), effective.options.clone()];
        let follow = Some(Follow { path, content, given, started, current });
        Ok(Loaded { effective, follow })
    }
}

impl LogArgs {
    /// The settings of a command that has no others.
    pub(crate) fn options(&self) -> AppOptions {
        // Without a file nothing can be wrong with it.
        resolve(&self.given, None).map_or_else(|_| AppOptions::default(), |it| it.options)
    }
}

impl Follow {
    /// The file to watch.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the content of the file as it is now; none where it is what it was.
    pub(crate) fn edited(&mut self, content: &Arc<[u8]>) -> Option<Told> {
        if *content == self.content {
            return None;
        }
        self.content = Arc::clone(content);
        if content.len() as u64 > MAX_BYTES {
            return Some(Told::refused(vec![unreadable(&self.path, &too_large())]));
        }
        let read = Document::read(&self.path, content, &keys()).map_err(|found| vec![*found]);
        let read = read.and_then(|document| {
            let wanted = resolve(&self.given, Some((&self.path, &document)))?;
            Ok((document, wanted.options))
        });
        Some(match read {
            Err(findings) => Told::refused(findings),
            Ok((document, wanted)) => self.take(&document, &wanted),
        })
    }

    /// Says that the file is gone or cannot be read; the next content counts whatever it is.
    pub(crate) fn lost(&mut self, reason: &str) -> Told {
        self.content = Arc::from([]);
        let reason = format!("{reason}; the settings that it held before still count");
        Told::refused(vec![unreadable(&self.path, &reason)])
    }

    /// Takes what may change while portico runs, and reports the rest.
    fn take(&mut self, document: &Document, wanted: &AppOptions) -> Told {
        let mut options = self.started.clone();
        let (mut changed, mut findings) = (Vec::new(), Vec::new());
        for setting in settings() {
            let items = setting.kind.show(wanted);
            if setting.is_live {
                if let Err(fault) = setting.kind.set(&mut options, &items) {
                    findings.push(document.refuse(setting.key, fault.index, &fault.message));
                }
            } else if items != setting.kind.show(&self.started) {
                findings.push(document.needs_restart(setting.key));
            }
            if setting.kind.show(&options) != setting.kind.show(&self.current) {
                changed.push(setting.key);
            }
        }
        self.current = options.clone();
        Told { options: Some(options), changed, findings }
    }
}

impl Told {
    /// Nothing changes.
    fn refused(findings: Vec<Diagnostic>) -> Self {
        Self { options: None, changed: Vec::new(), findings }
    }
}

/// The content of a settings file; fails with the reason in words.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("is a folder: name a settings file".to_owned());
    }
    if metadata.len() > MAX_BYTES {
        return Err(too_large());
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

fn too_large() -> String {
    format!("is larger than {MAX_BYTES} bytes: no settings file is")
}

/// No settings file is nearly as large.
const MAX_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        serve: ServeArgs,
        #[command(flatten)]
        log: LogArgs,
    }

    /// What a file and a command line come to.
    fn load(body: &str, flags: &[&str]) -> Result<Loaded, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portico.yaml");
        std::fs::write(&path, file(body)).unwrap();
        let config = ["x", "--config", path.to_str().unwrap()];
        let line = Line::parse_from(config.iter().chain(flags));
        line.serve
            .load(&line.log)
            .map_err(|refused| refused.findings.iter().map(ToString::to_string).collect())
    }

    fn file(body: &str) -> String {
        format!("apiVersion: portico.dev/v1alpha1\nkind: PorticoConfiguration\n{body}")
    }

    fn edit(follow: &mut Follow, body: &str) -> Told {
        follow.edited(&file(body).into_bytes().into()).unwrap()
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let loaded =
            load("dns: {ttl: 7}\nhttp: [81, 82]\nworkers: 3\n", &["--http", "83"]).unwrap();
        let options = &loaded.effective.options;
        assert_eq!(
            options.settings.http,
            ["127.0.0.1:83".parse().unwrap()],
            "replaced, not joined"
        );
        assert_eq!((options.settings.dns_ttl_seconds, options.workers), (7, 3));
        let origin = |key: &str| {
            let mut all = loaded.effective.iter();
            all.find(|(setting, _)| setting.key == key)
                .unwrap()
                .1
                .to_string()
        };
        assert_eq!(origin("http"), "--http");
        assert!(origin("dns.ttl").ends_with("portico.yaml:3:12"), "{}", origin("dns.ttl"));
        assert_eq!(origin("https"), "default");
    }

    #[test]
    fn every_bad_value_is_told_with_its_place() {
        let body = "workers: 0\ndns:\n  ttl: many\nserviceCidr: [10.0.0.0/8, here]\nhttp: off\n";
        let found = load(body, &["--workers", "2"]).unwrap_err();
        for (found, want) in found.iter().zip([
            "portico.yaml:3:10: error[P0803]: workers: `0`: is not in 1 to 256",
            "portico.yaml:5:8: error[P0803]: dns.ttl: expected a whole number, found a text",
            "portico.yaml:6:27: error[P0803]: serviceCidr[1]: `here`: expected a network",
        ]) {
            assert!(found.contains(want), "{found}");
        }
        assert_eq!(found.len(), 3, "{found:?}");
        let found = load("worker: 1\ndns: {ttl: -1}\n", &[]).unwrap_err();
        assert_eq!(found.len(), 2, "form and values at once: {found:?}");
    }

    #[test]
    fn an_edit_changes_what_may_change_and_reports_the_rest() {
        let loaded = load("dns: {ttl: 7}\n", &["--node-name", "one"]).unwrap();
        let mut follow = loaded.follow.unwrap();
        let told = edit(&mut follow, "dns: {ttl: 9}\nnodeName: two\nworkers: 200\n");
        let options = told.options.unwrap();
        assert_eq!(options.settings.dns_ttl_seconds, 9);
        assert_eq!(told.changed, ["dns.ttl"]);
        assert_eq!(options.settings.node_name.as_deref(), Some("one"), "the flag still wins");
        assert_eq!(options.workers, loaded.effective.options.workers);
        let [finding] = &told.findings[..] else { panic!("{:?}", told.findings) };
        let text = finding.to_string();
        assert!(text.contains("portico.yaml:5:10: warning[P0804]: workers: "), "{text}");
        let told = edit(&mut follow, "");
        assert_eq!(told.options.unwrap().settings.dns_ttl_seconds, 5, "back to the default");
        assert!(told.findings.is_empty());
    }

    #[test]
    fn a_bad_edit_changes_nothing_and_is_reported() {
        let mut follow = load("dns: {ttl: 7}\n", &[]).unwrap().follow.unwrap();
        for body in ["dns: {ttl: -1}\n", "dns: {tttl: 1}\n", "dns: [\n"] {
            let told = edit(&mut follow, body);
            assert!(told.options.is_none() && told.findings.len() == 1, "{body}: {told:?}");
        }
        let told = follow.lost("is gone");
        assert!(told.options.is_none() && told.findings[0].message.starts_with("is gone; "));
        assert!(edit(&mut follow, "dns: {ttl: 7}\n").findings.is_empty());
        let same = file("dns: {ttl: 7}\n").into_bytes().into();
        assert!(follow.edited(&same).is_none(), "nothing has changed");
    }
}
