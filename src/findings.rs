//! Telling the log what is wrong with the manifests: each finding once, when it comes up.
//!
//! A finding that stays costs a comparison per reload, no more; all of them stand in `/readyz` and
//! the API.

use std::collections::HashSet;

use portico_config::diagnostic::{Diagnostic, Severity};
use tracing::{debug, error, warn};

/// Logs each finding that is new, the first of many.
pub(crate) fn tell_new(known: &[Diagnostic], now: &[Diagnostic]) {
    for (position, (severity, text)) in fresh(known, now).into_iter().enumerate() {
        if position >= MAX_TOLD {
            warn!("more findings are left out here: see /readyz or portico check");
            return;
        }
        match severity {
            Severity::Error => error!("{text}"),
            Severity::Warning => warn!("{text}"),
            Severity::Note => debug!("{text}"),
        }
    }
}

/// What of `now` was not in `known`. Both are sorted by file and position, and a reload changes
/// few of them: what they begin and end with in common is compared and never formatted.
fn fresh(known: &[Diagnostic], now: &[Diagnostic]) -> Vec<(Severity, String)> {
    let same = |pair: &(&Diagnostic, &Diagnostic)| pair.0 == pair.1;
    let start = known.iter().zip(now).take_while(same).count();
    let (known, now) = (&known[start..], &now[start..]);
    let end = known
        .iter()
        .rev()
        .zip(now.iter().rev())
        .take_while(same)
        .count();
    let (known, now) = (&known[..known.len() - end], &now[..now.len() - end]);
    let known: HashSet<String> = known.iter().map(ToString::to_string).collect();
    now.iter()
        .map(|diagnostic| (diagnostic.severity(), diagnostic.to_string()))
        .filter(|(_, text)| !known.contains(text))
        .collect()
}

/// Findings logged one by one per batch.
const MAX_TOLD: usize = 100;

#[cfg(test)]
mod tests {
    use portico_config::diagnostic::Code;

    use super::*;

    fn findings(messages: &[&str]) -> Vec<Diagnostic> {
        let finding = |message: &&str| Diagnostic::new(Code::Cycle, *message);
        messages.iter().map(finding).collect()
    }

    #[test]
    fn only_what_is_new_is_told() {
        for (case, known, now, want) in [
            ("first", &[][..], &["a", "b"][..], &["a", "b"][..]),
            ("nothing", &["a", "b"], &["a", "b"], &[]),
            ("gone", &["a", "b", "c"], &["a", "c"], &[]),
            ("in the middle", &["a", "c"], &["a", "b", "c"], &["b"]),
            ("moved", &["a", "b", "c"], &["b", "a", "c"], &[]),
            ("once more of the same", &["a"], &["a", "a"], &["a"]),
        ] {
            let told = fresh(&findings(known), &findings(now));
            let told: Vec<_> = told.iter().map(|(_, text)| text.as_str()).collect();
            let want: Vec<_> = want
                .iter()
                .map(|it| format!("warning[P0703]: {it}"))
                .collect();
            assert_eq!(told, want, "{case}");
        }
    }
}
