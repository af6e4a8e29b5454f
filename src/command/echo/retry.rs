//! `/retry/…`: requests that fail a number of times, by their `uuid`, and then do not.
//!
//! Attempts are serialised, so that a count is exact. Invariant: at most [`MAX_COUNTED`] ids are
//! remembered; one more starts the table anew.

use std::collections::HashMap;
use std::time::Duration;

use portico_config::model::parse_duration;
use tokio::sync::Mutex;

use super::http::parameter;

/// How often each id has failed.
#[derive(Debug, Default)]
pub(super) struct Retries(Mutex<HashMap<String, u32>>);

/// What becomes of an attempt.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Attempt {
    /// It is answered like any request.
    Succeeds,
    /// It gets this status and no body.
    Fails(u16),
    /// Its connection is reset.
    Resets,
    /// It is asked in the wrong way.
    Wrong(&'static str),
}

impl Retries {
    /// Judges one attempt by the query of its target, and waits as long as that asks.
    pub(super) async fn judge(&self, query: &str) -> Attempt {
        let Some(id) = parameter(query, "uuid").filter(|id| !id.is_empty()) else {
            return Attempt::Wrong("uuid is required");
        };
        let count = parameter(query, "succeedAfter").and_then(|text| text.parse().ok());
        let Some(count) = count else {
            return Attempt::Wrong("succeedAfter is required");
        };
        let mut counted = self.0.lock().await;
        if counted.len() >= MAX_COUNTED && !counted.contains_key(id) {
            counted.clear();
        }
        let failed = counted.entry(id.to_owned()).or_default();
        if *failed >= count {
            return Attempt::Succeeds;
        }
        *failed += 1;
        let delay = parameter(query, "delayRetry").map(parse_duration);
        let delay = delay.and_then(Result::ok).unwrap_or(Duration::ZERO);
        tokio::time::sleep(delay).await;
        match parameter(query, "responseCode").map(str::parse) {
            None => Attempt::Resets,
            Some(Ok(code @ 200..=999)) => Attempt::Fails(code),
            Some(_) => Attempt::Wrong("responseCode is no status"),
        }
    }
}

const MAX_COUNTED: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_fails_as_often_as_it_asks() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let retries = Retries::default();
        for (query, want) in [
            ("succeedAfter=1", Attempt::Wrong("uuid is required")),
            ("uuid=a", Attempt::Wrong("succeedAfter is required")),
            ("uuid=a&succeedAfter=2&responseCode=503", Attempt::Fails(503)),
            ("uuid=b&succeedAfter=1", Attempt::Resets),
            ("uuid=a&succeedAfter=2", Attempt::Resets),
            ("uuid=a&succeedAfter=2&responseCode=503", Attempt::Succeeds),
            ("uuid=b&succeedAfter=1", Attempt::Succeeds),
            ("uuid=c&succeedAfter=0", Attempt::Succeeds),
        ] {
            assert_eq!(runtime.block_on(retries.judge(query)), want, "ingress 4: {query}");
        }
    }
}
