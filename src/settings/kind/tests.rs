//! What is shown is read again; what is wrong is refused with the way out.

use super::super::table::settings;
use super::*;

fn kind(key: &str) -> &'static Kind {
    &settings().find(|setting| setting.key == key).unwrap().kind
}

fn set(key: &str, items: &[&str]) -> Result<Vec<String>, String> {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    let mut options = AppOptions::default();
    kind(key)
        .set(&mut options, &items)
        .map_err(|fault| fault.message)?;
    Ok(kind(key).show(&options))
}

#[test]
fn what_is_shown_is_read_again() {
    for (key, items, want) in [
        ("http", &["0.0.0.0:80"][..], &["0.0.0.0:80"][..]),
        ("http", &["192.0.2.1"], &["192.0.2.1:8080"]),
        ("http", &["::1"], &["[::1]:8080"]),
        ("http", &["[::1]:81"], &["[::1]:81"]),
        ("dns.listen", &["81", "81"], &["127.0.0.1:81"]),
        ("forward", &["system", "A.b=192.0.2.1"], &["system", "a.b=192.0.2.1:53"]),
        ("forward", &["system", "off"], &[]),
        ("forwardPolicy", &["round-robin"], &["round-robin"]),
        ("dns.log", &["error", "Corp.=all"], &["error", "corp=all"]),
        ("dns.log", &["all", "off"], &[]),
        ("dns.rewrite", &["A.test b.test"], &["exact a.test. b.test."]),
        ("dns.rewrite", &["regex ^(a{1,2})\\. {1}.b"], &["regex ^(a{1,2})\\. {1}.b"]),
        ("forwardFailover", &["SERVFAIL", "REFUSED"], &["SERVFAIL", "REFUSED"]),
        ("dns.logFile", &["stdout"], &["stdout"]),
        ("dns.logFile", &["/var/log/dns.log"], &["/var/log/dns.log"]),
        ("dns.cacheBytes", &["0"], &["0"]),
        ("dns.serveStale", &["1h"], &["1h"]),
        ("dns.prefetch", &["true"], &["true"]),
        ("dns.allow", &["0.0.0.0/0"], &["0.0.0.0/0"]),
        ("http", &["81", "off"], &[]),
        ("http", &[], &[]),
        ("serviceCidr", &["10.96.0.0/12", "fd00::/108"], &["10.96.0.0/12", "fd00::/108"]),
        ("clusterIps", &["keep"], &["keep"]),
        ("nodeName", &["node1"], &["node1"]),
        ("nodeName", &[], &[]),
        ("dns.tls", &["0.0.0.0"], &["0.0.0.0:853"]),
        ("dns.tls", &["off"], &[]),
        ("dns.tlsSecret", &["default/dns"], &["default/dns"]),
        ("clusterDomain", &["Corp.Example."], &["corp.example"]),
        ("aliasZone", &["off"], &[]),
        ("ingress.serveClassless", &["false"], &["false"]),
        ("ingress.defaultBackend", &["a/web:http"], &["a/web:http"]),
        ("ingress.defaultBackend", &[], &[]),
        ("ingress.allowedResponseHeaders", &["X-Frame-Options"], &["X-Frame-Options"]),
        ("ingress.limitStatus", &["503"], &["503"]),
        ("ingress.maxBodyBytes", &["0"], &["0"]),
        ("ingress.maxConnectionAge", &["off"], &["off"]),
        ("drainTimeout", &["90s"], &["1m30s"]),
        ("dns.record", &["A.test in TXT \"a, b\""], &["a.test TXT \"a, b\""]),
        ("dns.record", &["@10.1.0.0/8 a.test A 192.0.2.1"], &["@10.0.0.0/8 a.test A 192.0.2.1"]),
        ("dns.hosts", &["/etc/hosts"], &["/etc/hosts"]),
        ("dns.fallthrough", &["In-Addr.Arpa."], &["in-addr.arpa"]),
        ("podsMode", &["insecure"], &["insecure"]),
        ("dns.namespaces", &["a", "b"], &["a", "b"]),
        ("dns.reverseCidr", &["10.0.0.0/8"], &["10.0.0.0/8"]),
        ("stateDir", &["off"], &["off"]),
        ("tcp.idleTimeout", &["10m"], &["10m"]),
        ("tcp.keepalive", &["off"], &["off"]),
        ("ingress.proxyProtocol", &["required"], &["required"]),
        ("probes", &["on"], &["on"]),
        ("execProbe", &["unready"], &["unready"]),
        ("trustedProxies", &["10.0.0.0/24"], &["10.0.0.0/24"]),
        ("stateDir", &["/var/lib/portico"], &["/var/lib/portico"]),
        ("logFormat", &["json"], &["json"]),
        ("logLevel", &["info,portico_dns=debug"], &["info,portico_dns=debug"]),
        ("limits.maxFileBytes", &["1Gi"], &["1Gi"]),
        ("limits.maxConnections", &["1000"], &["1000"]),
        ("limits.maxConnections", &["auto"], &["auto"]),
    ] {
        let shown = set(key, items).unwrap();
        assert_eq!(shown, want, "{key} {items:?}");
        let again: Vec<&str> = shown.iter().map(String::as_str).collect();
        assert_eq!(set(key, &again).unwrap(), want, "{key} {items:?} again");
    }
}

#[test]
fn bad_values_are_refused_with_the_way_out() {
    for (key, items, want) in [
        ("http", &[":8080"][..], "127.0.0.1:8080"),
        ("http", &["web"], "`web`: expected ADDR:PORT"),
        ("serviceCidr", &["127.96.0.0"], "expected a network"),
        ("serviceCidr", &[], "at least one"),
        ("clusterDomain", &[], "at least one"),
        ("clusterDomain", &["a..b"], "domain name"),
        ("nodeAddress", &["web"], "expected an IP address"),
        (
            "dns.nsid",
            &["a-name-that-is-longer-than-sixty-four-characters-is-not-a-short-name"],
            "longer than 64",
        ),
        ("dns.tlsSecret", &["dns"], "expected NAMESPACE/NAME"),
        ("dns.tlsSecret", &["a/b/c"], "expected NAMESPACE/NAME"),
        ("ingress.defaultBackend", &["a/b"], "expected NAMESPACE/NAME:PORT"),
        ("ingress.defaultBackend", &["b:80"], "expected NAMESPACE/NAME:PORT"),
        ("ingress.allowedResponseHeaders", &["a b"], "expected the name of a field"),
        ("ingress.allowedResponseHeaders", &["Connection"], "about the connection"),
        ("ingress.limitStatus", &["500"], "expected 429 or 503"),
        ("ingress.keepAliveTimeout", &["0s"], "is not in 1s to"),
        ("forward", &["dns.example"], "`dns.example`: expected ADDR"),
        ("forwardPolicy", &["first"], "expected random, round-robin or sequential"),
        ("forwardFailover", &["BADKEY"], "expected SERVFAIL, REFUSED"),
        ("dns.rewrite", &["a.test"], "expected FROM TO"),
        ("dns.log", &["a=b"], "expected all, denial, error or success"),
        ("dns.allow", &[], "at least one"),
        ("dns.serveStale", &["2d"], "no unit"),
        ("nodeName", &["a b"], "without spaces"),
        ("dns.record", &["a.test B c"], "B is none of A, AAAA"),
        ("dns.record", &["@10 a.test A 192.0.2.1"], "expected a network behind @"),
        ("dns.hosts", &["-"], "expected the name of a file"),
        ("dns.ttl", &["3601"], "`3601`: is not in 0 to 3600"),
        ("workers", &["-1"], "whole number"),
        ("workers", &["0"], "is not in 1 to 256"),
        ("drainTimeout", &["1y"], "no unit"),
        ("drainTimeout", &["25h"], "at most 24h"),
        ("tcp.keepalive", &["0s"], "is not in 1s to"),
        ("podsMode", &["verify"], "expected disabled, insecure or verified"),
        ("clusterIps", &["rout"], "expected map, route or keep"),
        ("probes", &["yes"], "expected auto, on or off"),
        ("logLevel", &["a=b=c"], "error parsing level filter"),
        ("limits.maxFileBytes", &["64MB"], "such as 64Mi"),
        ("limits.maxDepth", &["1000"], "is not in 8 to 256"),
        ("limits.maxConnections", &["0"], "is not in 1 to 10000000"),
        ("limits.maxConnections", &["many"], "whole number"),
    ] {
        let error = set(key, items).unwrap_err();
        assert!(error.contains(want), "{key} {items:?}: {error}");
    }
}

#[test]
fn values_of_the_file_have_their_setting_s_type() {
    for (key, value, want) in [
        ("http", "8080", Ok(vec!["8080"])),
        ("http", "false", Ok(vec!["off"])),
        ("probes", "false", Ok(vec!["off"])),
        ("probes", "true", Ok(vec!["on"])),
        ("http", "[\"::1\", 81]", Ok(vec!["::1", "81"])),
        ("http", "[{}]", Err("expected a text, found a mapping")),
        ("dns.ttl", "7", Ok(vec!["7"])),
        ("dns.ttl", "\"7\"", Err("expected a whole number, found a text: take its quotes away")),
        ("dns.ttl", "[7]", Err("expected a whole number, found a list")),
        ("nodeName", "7", Err("expected a text, found a number")),
        ("nodeName", "false", Err("expected a text, found true or false")),
        ("drainTimeout", "30", Err("expected a time with its unit, such as 30s, found a number")),
        ("limits.maxFileBytes", "4096", Ok(vec!["4096"])),
        ("limits.maxFileBytes", "\"64Mi\"", Ok(vec!["64Mi"])),
        ("limits.maxConnections", "1000", Ok(vec!["1000"])),
        ("ingress.limitStatus", "503", Ok(vec!["503"])),
        ("ingress.serveClassless", "false", Ok(vec!["false"])),
        ("ingress.serveClassless", "\"no\"", Err("expected true or false, found a text")),
    ] {
        let value: Value = serde_json::from_str(value).unwrap();
        let got = kind(key).items(&value).map_err(|fault| fault.message);
        let want = want
            .map(|items| items.into_iter().map(str::to_owned).collect())
            .map_err(str::to_owned);
        assert_eq!(got, want, "{key}: {value}");
    }
}
