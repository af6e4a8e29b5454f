//! One client's session at a location with `affinity: cookie`: where it leads, and what the client is
//! told of it (`ingress 2.4`).
//!
//! Pure. What a client sends decides about nothing but which of the location's endpoints it comes to.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;
use portico_config::model::{AffinityMode, CookieAffinity, SameSite};

use super::fields::Fields;
use super::policy::cookies;
use crate::upstream::{Lead, Port, Upstream};

/// A session that goes on or begins.
#[derive(Debug)]
pub(crate) struct Session {
    affinity: Arc<CookieAffinity>,
    lead: Lead,
    /// Whether the client does not know of it yet.
    is_new: bool,
    /// Whether its cookie is for HTTPS alone.
    secure: bool,
    /// What its cookie says of other sites.
    same_site: Option<SameSite>,
}

impl Session {
    /// The session of a client at `port`; `random` begins one that has none.
    pub(crate) fn of(
        affinity: &Arc<CookieAffinity>,
        port: &Port,
        (fields, tls): (Fields<'_>, bool),
        random: impl FnOnce() -> u64,
    ) -> Self {
        let known =
            cookies(fields, &affinity.name).find_map(|value| port.session(affinity.mode, value));
        let lead = known.unwrap_or_else(|| match affinity.mode {
            AffinityMode::Balanced => Lead::Number(random()),
            AffinityMode::Persistent => Lead::Turn,
        });
        let misread = || fields.first("user-agent").is_some_and(misreads_none);
        let same_site = affinity
            .same_site
            .filter(|it| !(*it == SameSite::None && affinity.spares_old_browsers && misread()));
        let (is_new, secure) = (known.is_none(), affinity.secure || tls);
        Self { affinity: Arc::clone(affinity), lead, is_new, secure, same_site }
    }

    /// Which endpoint is first.
    pub(crate) fn lead(&self) -> Lead {
        self.lead
    }

    /// The cookie for a client that `upstream` answers; none: what it has stays right. `is_first`:
    /// nobody was asked before.
    pub(crate) fn cookie(
        &self,
        port: &Port,
        (upstream, is_first): (&Upstream, bool),
        now: Instant,
        random: impl FnMut() -> u64,
    ) -> Option<HeaderValue> {
        if !self.is_new && !self.affinity.follows_failure {
            return None;
        }
        let value = match self.lead {
            Lead::Number(_) if is_first && !self.is_new => return None,
            Lead::Number(number) if is_first => port.balanced_session(number),
            Lead::Number(_) => port.balanced_session(port.number_of(upstream, now, random)?),
            Lead::Place(at) if port.is_at(at, upstream) => return None,
            _ => port.persistent_session(upstream),
        };
        HeaderValue::try_from(self.line(&value)).ok()
    }

    /// The cookie with this value, its attributes in the order of ingress-nginx.
    fn line(&self, value: &str) -> String {
        let CookieAffinity { name, path, domain, expires_seconds, max_age_seconds, .. } =
            &*self.affinity;
        let mut line = format!("{name}={value}; Path={}", path.as_deref().unwrap_or("/"));
        if let Some(domain) = domain {
            line.push_str(&format!("; Domain={domain}"));
        }
        if let Some(seconds) = expires_seconds {
            let after = Duration::from_secs(u64::from(*seconds));
            let at = SystemTime::now().checked_add(after);
            line.push_str(&at.map_or_else(String::new, |at| {
                format!("; Expires={}", httpdate::fmt_http_date(at))
            }));
        }
        if let Some(seconds) = max_age_seconds {
            line.push_str(&format!("; Max-Age={seconds}"));
        }
        if self.secure {
            line.push_str("; Secure");
        }
        line.push_str("; HttpOnly");
        if let Some(same_site) = self.same_site {
            line.push_str(&format!("; SameSite={}", same_site.as_str()));
        }
        line
    }
}

/// Whether a client stays with the alternative of a location (`main`, `canary`: their ports) that it
/// has a session at, or away from it; none: it has one at neither.
pub(crate) fn stays(
    affinity: &CookieAffinity,
    fields: Fields<'_>,
    (main, canary): (Option<&Port>, &Port),
) -> Option<bool> {
    let has = |port: &Port, value: &[u8]| port.session(affinity.mode, value).is_some();
    cookies(fields, &affinity.name).find_map(|value| {
        let of_main = main.is_some_and(|main| has(main, value));
        match of_main {
            true => Some(false),
            false => has(canary, value).then_some(true),
        }
    })
}

/// Whether a browser takes `SameSite=None` for something else, or drops such a cookie: those that
/// Chromium's list names (`SameSite=None: Known Incompatible Clients`), as ingress-nginx does.
fn misreads_none(agent: &[u8]) -> bool {
    let Ok(agent) = std::str::from_utf8(agent) else { return false };
    let after = |mark: &str| agent.find(mark).and_then(|at| agent.get(at + mark.len()..));
    let number = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        text.get(..digits)
            .and_then(|digits| digits.parse::<u32>().ok())
    };
    let is_ios_12 =
        agent.contains("(iP") && after("OS 12").is_some_and(|rest| rest.starts_with('_'));
    let is_chromium = agent.contains("Chrom");
    let is_mac_10_14 = agent.contains("(Macintosh;") && after("Mac OS X 10_14").is_some();
    let is_safari = agent.contains("Version/") && agent.contains("Safari") && !is_chromium;
    let is_embedded = agent.ends_with("(KHTML, like Gecko)");
    let old_chromium = ["Chrome/", "Chromium/"]
        .iter()
        .filter_map(|mark| after(mark))
        .filter_map(number)
        .any(|version| (51..=66).contains(&version));
    let old_uc = after("UCBrowser/").is_some_and(|version| {
        let mut parts = version.split('.').map(|part| number(part).unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        (next(), next(), next()) < (12, 13, 2)
    });
    let is_uc = agent.contains("UCBrowser/");
    is_ios_12 || (is_mac_10_14 && (is_safari || is_embedded)) || (old_chromium && !is_uc) || old_uc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_that_misread_same_site_none_are_known() {
        for (agent, want) in [
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 12_1 like Mac OS X) Safari/604.1", true),
            ("Mozilla/5.0 (iPad; CPU OS 13_1 like Mac OS X) Safari/604.1", false),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) Version/12.1 Safari/605.1.15",
                true,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/537.36 (KHTML, like \
                 Gecko) Chrome/79.0 Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14) AppleWebKit/605.1 (KHTML, like Gecko)",
                true,
            ),
            ("Mozilla/5.0 (X11; Linux x86_64) Chrome/50.0.1 Safari/537.36", false),
            ("Mozilla/5.0 (X11; Linux x86_64) Chrome/51.0.1 Safari/537.36", true),
            ("Mozilla/5.0 (X11; Linux x86_64) Chrome/66.0.1 Safari/537.36", true),
            ("Mozilla/5.0 (X11; Linux x86_64) Chrome/67.0.1 Safari/537.36", false),
            ("Mozilla/5.0 (Linux; U) Chrome/57.0 UCBrowser/12.13.1.1 Mobile", true),
            ("Mozilla/5.0 (Linux; U) Chrome/57.0 UCBrowser/12.13.2.1 Mobile", false),
            ("curl/8.0", false),
            ("", false),
        ] {
            let got = misreads_none(agent.as_bytes());
            assert_eq!(got, want, "ingress 2.4: session-cookie-conditional-samesite-none: {agent}");
        }
    }
}
