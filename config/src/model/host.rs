//! Host names as an Ingress rule writes them.

use std::fmt;
use std::sync::Arc;

/// `networking/v1 IngressRule.host`, lower case, without a trailing dot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HostPattern {
    /// Every host that no other rule names: the field is absent or empty.
    Any,
    /// `*.suffix`: replaces exactly the first label; holds `suffix`.
    Wildcard(Arc<str>),
    /// This host and no other.
    Exact(Arc<str>),
}

impl HostPattern {
    /// Reads a host that `validate` found well-formed; lower-cases it.
    pub fn parse(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        match host.strip_prefix("*.") {
            _ if host.is_empty() => Self::Any,
            Some(suffix) => Self::Wildcard(suffix.into()),
            None => Self::Exact(host.into()),
        }
    }

    /// Whether `host` (lower case, no port, no trailing dot) is named by this pattern.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => host == &**exact,
            Self::Wildcard(suffix) => host
                .split_once('.')
                .is_some_and(|(first, rest)| !first.is_empty() && rest == &**suffix),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Exact(host) => f.write_str(host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostPattern;

    #[test]
    fn a_wildcard_replaces_exactly_one_label() {
        for (pattern, host, want) in [
            ("*.foo.com", "bar.foo.com", true),
            ("*.foo.com", "baz.bar.foo.com", false),
            ("*.foo.com", "foo.com", false),
            ("*.foo.com", ".foo.com", false),
            ("Foo.com", "foo.com", true),
            ("foo.com", "bar.foo.com", false),
            ("", "anything", true),
        ] {
            assert_eq!(HostPattern::parse(pattern).matches(host), want, "{pattern} {host}");
        }
    }
}
