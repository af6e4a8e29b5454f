//! Which questions to the resolver are logged, and where (`dns.log`, `dns.logFile`).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// The log of questions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueryLog {
    /// `dns.log`: what is logged; one rule that takes a reply is enough. Empty: nothing.
    pub rules: Vec<QueryLogRule>,
    /// `dns.logFile`: where to; none: standard output.
    pub file: Option<PathBuf>,
}

/// `[ZONE=]CLASS`: replies of one class, about one zone's names or all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryLogRule {
    /// In lower case, without a trailing dot; empty: every name.
    pub zone: Arc<str>,
    /// Which replies.
    pub class: ReplyClass,
}

/// The classes of CoreDNS's plugin `log`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyClass {
    /// Every reply.
    All,
    /// NXDOMAIN, and that a name has no record of the type.
    Denial,
    /// Every code but NOERROR and NXDOMAIN.
    Error,
    /// NOERROR with what was asked for.
    Success,
}

impl FromStr for QueryLogRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (zone, class) = text.split_once('=').unwrap_or((".", text));
        let class = CLASSES.iter().find(|(name, _)| *name == class);
        let (_, class) =
            class.ok_or("expected all, denial, error or success, also behind ZONE=")?;
        let zone = zone.strip_suffix('.').unwrap_or(zone);
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.is_ascii();
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
        let is_name = zone.len() <= MAX_ZONE_BYTES
            && zone.split('.').all(is_label)
            && zone.chars().all(is_plain);
        if !zone.is_empty() && !is_name {
            return Err("expected a domain name before the =, such as cluster.local".to_owned());
        }
        Ok(Self { zone: zone.to_ascii_lowercase().into(), class: *class })
    }
}

impl fmt::Display for QueryLogRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.zone.is_empty() {
            write!(f, "{}=", self.zone)?;
        }
        let name = CLASSES.iter().find(|(_, class)| *class == self.class);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

const CLASSES: [(&str, ReplyClass); 4] = [
    ("all", ReplyClass::All),
    ("denial", ReplyClass::Denial),
    ("error", ReplyClass::Error),
    ("success", ReplyClass::Success),
];
const MAX_ZONE_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_as_it_is_shown() {
        for (text, want) in [
            ("all", "all"),
            ("error", "error"),
            (".=denial", "denial"),
            ("Cluster.Local.=success", "cluster.local=success"),
            ("10.in-addr.arpa=all", "10.in-addr.arpa=all"),
        ] {
            let rule: QueryLogRule = text.parse().unwrap();
            assert_eq!(rule.to_string(), want, "{text}");
            assert_eq!(want.parse::<QueryLogRule>().unwrap(), rule, "{text} again");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_way_out() {
        for (text, want) in [
            ("", "expected all"),
            ("cluster.local", "expected all"),
            ("cluster.local=", "expected all"),
            ("a..b=all", "expected a domain name"),
            ("a b=all", "expected a domain name"),
        ] {
            let error = text.parse::<QueryLogRule>().unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
