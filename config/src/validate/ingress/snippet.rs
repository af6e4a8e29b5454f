//! Lines of nginx's own configuration: never read as such, only named, with what replaces each
//! (`ingress 2.6`).
//!
//! A line that may guard is taken for one that does: whoever wrote it relies on it. Values of lines
//! are not repeated, since some hold passwords.

use crate::model::annotation::{self, Standing};

/// One line that says something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    /// Its first word.
    pub(crate) directive: String,
    /// Whether it may keep somebody or something out.
    pub(crate) guards: bool,
    /// What does it in portico, or that nothing does.
    pub(crate) instead: String,
}

/// Every line that is neither empty, a comment nor a closing brace.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Line> {
    // All of them, since the last may guard: an object's annotations are no longer than 256 KiB.
    let numbered = (1..).zip(text.lines().map(str::trim));
    numbered
        .filter(|(_, line)| {
            !line.starts_with('#') && !line.trim_matches(['{', '}', ';', ' ']).is_empty()
        })
        .map(|(number, line)| {
            let guard = statements(line).find(|word| is_guard(word));
            let first = statements(line).next().unwrap_or_default();
            let directive = guard.unwrap_or(first);
            Line {
                number,
                directive: directive.chars().take(MAX_SHOWN).collect(),
                guards: guard.is_some(),
                instead: instead(directive, line),
            }
        })
}

/// The first word of each statement of a line.
fn statements(line: &str) -> impl Iterator<Item = &str> {
    line.split(['{', '}', ';'])
        .filter_map(|statement| statement.split_whitespace().next())
        .map(|word| word.trim_matches(['"', '\'']))
}

fn is_guard(word: &str) -> bool {
    let exact = ["deny", "allow", "satisfy", "internal", "return", "if", "ssl_verify_client"];
    let begins = ["auth_", "limit_", "access_by_lua", "rewrite_by_lua"];
    exact.contains(&word) || begins.iter().any(|begin| word.starts_with(begin))
}

/// What does the work of a directive; of one that has another name here, or several.
fn instead(directive: &str, line: &str) -> String {
    let has = |word: &str| line.to_ascii_lowercase().contains(word);
    let text = match directive {
        _ if has("strict-transport-security") => {
            "settings `ingress.hsts`, `ingress.hstsMaxAge` and those beside them"
        }
        _ if has("access-control-") => "enable-cors and cors-allow-origin with what belongs to it",
        "add_header" | "more_set_headers" | "more_clear_headers" | "proxy_hide_header" => {
            "portico.dev/response-headers"
        }
        "proxy_set_header" | "more_set_input_headers" | "more_clear_input_headers"
            if has(" host ") || has("\"host:") =>
        {
            "upstream-vhost"
        }
        "proxy_set_header" | "more_set_input_headers"
            if has("x-forwarded-") || has("x-real-ip") =>
        {
            "nothing: portico writes it; the setting `trustedProxies` says whom it believes"
        }
        "proxy_set_header" | "more_set_input_headers" | "more_clear_input_headers" => {
            "portico.dev/request-headers"
        }
        "deny" | "allow" => {
            "denylist-source-range and allowlist-source-range, on an Ingress of its own for a path"
        }
        "return" if has("403") => "denylist-source-range: 0.0.0.0/0,::/0",
        "return" => "permanent-redirect or temporal-redirect, on an Ingress of its own for a path",
        "rewrite" if has("redirect;") || has("permanent;") => {
            "permanent-redirect or temporal-redirect, on an Ingress of its own for a path"
        }
        "rewrite" => "rewrite-target, on a path of type ImplementationSpecific",
        "location" => "an Ingress of its own for the path",
        "if" if has("$host") || has("$http_host") => "a rule for each host",
        "client_max_body_size" => "proxy-body-size",
        "auth_basic" | "auth_basic_user_file" => "auth-type and auth-secret",
        "auth_request" | "auth_request_set" => "auth-url and auth-response-headers",
        "limit_req" => "limit-rps or limit-rpm",
        "limit_conn" => "limit-connections",
        "error_page" => "custom-http-errors and default-backend",
        "mirror" => "mirror-target",
        "access_log" | "log_format" => "enable-access-log, and `--access-log-format` for all",
        "keepalive_timeout" | "client_header_timeout" | "client_body_timeout" => {
            "the settings about timeouts of clients, under `ingress`"
        }
        _ if ["gzip", "brotli", "zstd"]
            .iter()
            .any(|it| directive.starts_with(it)) =>
        {
            "portico.dev/compression"
        }
        _ => match same_name(directive) {
            Some(name) => return format!("annotation {name}"),
            None => "nothing: do it in the backend",
        },
    };
    text.to_owned()
}

/// The annotation that has the name of a directive and is done.
fn same_name(directive: &str) -> Option<&'static str> {
    let row = annotation::find(&directive.replace('_', "-"))?;
    matches!(row.standing, Standing::Supported | Standing::Differs(..)).then_some(row.name)
}

const MAX_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_named_and_guards_are_seen_in_blocks_too() {
        let text = "# a comment\n\nmore_set_headers \"X-Secret: 1\";\nlocation /x {\n  deny all;\n}\n\
                    location /y { auth_basic off; }\nproxy_set_header Host x;";
        let found: Vec<_> = lines(text)
            .map(|line| (line.number, line.directive, line.guards))
            .collect();
        let want = [
            (3, "more_set_headers", false),
            (4, "location", false),
            (5, "deny", true),
            (7, "auth_basic", true),
            (8, "proxy_set_header", false),
        ];
        assert_eq!(found, want.map(|(n, word, guards)| (n, word.to_owned(), guards)));
    }

    #[test]
    fn what_may_guard_is_taken_for_a_guard() {
        for line in [
            "deny all;",
            "allow 10.0.0.0/8;",
            "satisfy any;",
            "internal;",
            "return 403;",
            "if ($http_x) { return 403; }",
            "limit_req zone=a;",
            "auth_request /x;",
            "ssl_verify_client on;",
            "access_by_lua_block {",
            "rewrite_by_lua_file x;",
            "gzip on; deny all;",
            "gzip on;\rdeny all;",
            "\"deny\" all;",
        ] {
            assert!(lines(line).all(|line| line.guards), "ingress 2.6: {line}");
        }
        assert!(!lines("gzip on;").any(|line| line.guards));
        let long = "gzip on;\n".repeat(5_000) + "deny all;";
        assert!(lines(&long).last().unwrap().guards, "ingress 2.6: however many come before");
    }

    #[test]
    fn each_line_has_what_takes_its_place() {
        for (line, want) in [
            ("add_header X-A b;", "portico.dev/response-headers"),
            ("more_set_headers \"Strict-Transport-Security: x\";", "ingress.hsts"),
            ("add_header Access-Control-Allow-Origin *;", "enable-cors"),
            ("proxy_set_header Host inner;", "upstream-vhost"),
            ("more_set_input_headers \"Host: inner\";", "upstream-vhost"),
            ("proxy_set_header X-Forwarded-Host x;", "trustedProxies"),
            ("proxy_set_header X-Ghost x;", "portico.dev/request-headers"),
            ("location /a { deny all; }", "denylist-source-range"),
            ("return 403;", "denylist-source-range: 0.0.0.0/0"),
            ("return 301 https://x;", "permanent-redirect"),
            ("rewrite ^/a /b permanent;", "permanent-redirect"),
            ("rewrite ^/a /b break;", "rewrite-target"),
            ("client_max_body_size 8m;", "proxy-body-size"),
            ("proxy_read_timeout 9s;", "annotation proxy-read-timeout"),
            ("proxy_cookie_path / /a;", "annotation proxy-cookie-path"),
            ("satisfy any;", "annotation satisfy"),
            ("limit_rate 9k;", "annotation limit-rate"),
            ("if ($host = x) {", "a rule for each host"),
            ("gzip on;", "portico.dev/compression"),
            ("brotli_types text/css;", "portico.dev/compression"),
            ("sub_filter a b;", "nothing: do it in the backend"),
        ] {
            let found = lines(line).next().unwrap();
            assert!(found.instead.contains(want), "ingress 2.6: {line}: {}", found.instead);
        }
    }
}
