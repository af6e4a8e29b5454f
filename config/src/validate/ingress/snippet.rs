//! Lines of nginx's own configuration: never read as such, only named, with what replaces each
//! (`ingress 2.6`).
//!
//! A line that may guard is taken for one that does: whoever wrote it relies on it. Values of lines
//! are not repeated, since some hold passwords.

/// One line that says something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    /// Its first word.
    pub(super) directive: String,
    /// Whether it may keep somebody or something out.
    pub(super) guards: bool,
    /// What does it in portico.
    pub(super) instead: Option<String>,
}

/// Every line that is neither empty, a comment nor a closing brace.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line> {
    let numbered = (1..).zip(text.lines().map(str::trim)).take(MAX_LINES);
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
                instead: instead(directive, line).map(|it| format!("instead: {it}")),
            }
        })
}

/// The first word of each statement of a line.
fn statements(line: &str) -> impl Iterator<Item = &str> {
    line.split(['{', '}', ';'])
        .filter_map(|statement| statement.split_whitespace().next())
}

fn is_guard(word: &str) -> bool {
    let exact = ["deny", "allow", "satisfy", "internal", "return", "if", "ssl_verify_client"];
    let begins = ["auth_", "limit_", "access_by_lua", "rewrite_by_lua"];
    exact.contains(&word) || begins.iter().any(|begin| word.starts_with(begin))
}

fn instead(directive: &str, line: &str) -> Option<&'static str> {
    Some(match directive {
        "add_header" | "more_set_headers" | "more_clear_headers" | "proxy_hide_header" => {
            "annotation portico.dev/response-headers"
        }
        "proxy_set_header" | "more_set_input_headers" if line.contains("Host") => {
            "annotation upstream-vhost"
        }
        "proxy_set_header" | "more_set_input_headers" => "annotation portico.dev/request-headers",
        "deny" | "allow" => {
            "denylist-source-range and allowlist-source-range, on an Ingress of its own for a path"
        }
        "return" if line.contains("403") => "denylist-source-range: 0.0.0.0/0,::/0",
        "return" => "permanent-redirect or temporal-redirect, on an Ingress of its own for a path",
        "rewrite" if line.contains("redirect") || line.contains("permanent") => {
            "permanent-redirect or temporal-redirect, on an Ingress of its own for a path"
        }
        "client_max_body_size" => "proxy-body-size",
        "auth_basic" | "auth_basic_user_file" => "auth-type and auth-secret",
        "auth_request" | "auth_request_set" => "auth-url and auth-response-headers",
        "satisfy" => "annotation satisfy",
        "limit_req" => "limit-rps and limit-rpm",
        "limit_conn" => "limit-connections",
        "limit_rate" => "annotation limit-rate",
        "if" => "a rule for each host",
        _ => return None,
    })
}

const MAX_LINES: usize = 1_000;
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
        ] {
            assert!(lines(line).all(|line| line.guards), "ingress 2.6: {line}");
        }
        assert!(!lines("gzip on;").any(|line| line.guards));
    }
}
