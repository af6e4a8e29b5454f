//! What CoreDNS would call that which is in use, so that a dashboard that asks for its plugins finds them
//! (`dns 5.1`).
//!
//! Pure. Only what answers or changes a question is named, as there; what is always there comes first.

use portico_config::model::{Publish, Settings};

/// The names of plugins that do what `settings` turn on.
pub(crate) fn enabled(settings: &Settings) -> Vec<&'static str> {
    let Settings { names, forwarding, .. } = settings;
    let forwards = !forwarding.rules.is_empty();
    let has_records = !names.records.is_empty() || !names.hosts_files.is_empty();
    let optional = [
        ("autopath", names.autopath),
        ("cache", forwards && forwarding.cache_bytes > 0),
        ("chaos", settings.dns_chaos),
        ("forward", forwards),
        ("hosts", has_records),
        ("k8s_external", names.publish != Publish::Off),
        ("log", !settings.dns_log.rules.is_empty()),
        ("loop", forwards),
        ("nsid", settings.dns_nsid.is_some()),
        ("rewrite", !settings.dns_rewrites.is_empty()),
        ("transfer", !settings.dns_transfer_to.is_empty()),
    ];
    let optional = optional.into_iter().filter(|(_, is_on)| *is_on);
    ALWAYS
        .into_iter()
        .chain(optional.map(|(name, _)| name))
        .collect()
}

const ALWAYS: [&str; 8] =
    ["acl", "any", "bufsize", "kubernetes", "loadbalance", "local", "minimal", "prometheus"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_turned_on_is_named() {
        let plain = enabled(&Settings::default());
        for name in ["kubernetes", "forward", "cache", "loop", "k8s_external"] {
            assert!(plain.contains(&name), "dns 5.1: {name} is on by default");
        }
        for name in ["hosts", "rewrite", "transfer", "nsid", "chaos", "log", "autopath"] {
            assert!(!plain.contains(&name), "dns 5.1: {name} is off by default");
        }
        let mut settings = Settings::default();
        settings.forwarding.rules.clear();
        settings.names.hosts_files.push("hosts".into());
        settings.names.publish = Publish::Off;
        settings.dns_nsid = Some("one".into());
        let other = enabled(&settings);
        assert!(other.contains(&"hosts") && other.contains(&"nsid"));
        for name in ["forward", "cache", "loop", "k8s_external"] {
            assert!(!other.contains(&name), "dns 5.1: {name} is off");
        }
    }
}
