//! The grammars of Kubernetes names (`services 3`): pure text in, fault in words out.

/// RFC 1123 label: at most 63 of `a-z 0-9 -`, alphanumeric at both ends.
pub(super) fn label(text: &str) -> Result<(), String> {
    if text.len() > 63 {
        return Err(format!("{text:?} is not valid: must be no more than 63 characters"));
    }
    if is_label(text) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not valid: a lowercase RFC 1123 label must consist of lower case alphanumeric \
         characters or '-', and must start and end with an alphanumeric character"
    ))
}

/// RFC 1123 subdomain: labels joined by dots, at most 253 characters.
pub(super) fn subdomain(text: &str) -> Result<(), String> {
    if text.len() > 253 {
        return Err("is not valid: must be no more than 253 characters".to_owned());
    }
    if !text.is_empty() && text.split('.').all(is_label) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not valid: a lowercase RFC 1123 subdomain must consist of lower case \
         alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
    ))
}

/// IANA service name as `targetPort` uses it: at most 15 of `a-z 0-9 -` with a letter.
pub(super) fn port_name(text: &str) -> Result<(), &'static str> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.len() > 15 {
        Err("must be no more than 15 characters")
    } else if !text.bytes().all(known) {
        Err("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    } else if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        Err("must contain at least one letter (a-z)")
    } else if text.contains("--") {
        Err("must not contain consecutive hyphens")
    } else if text.starts_with('-') || text.ends_with('-') {
        Err("must not begin or end with a hyphen")
    } else {
        Ok(())
    }
}

fn is_label(text: &str) -> bool {
    let alphanumeric =
        |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= 63
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && alphanumeric(text.bytes().next())
        && alphanumeric(text.bytes().next_back())
}

#[cfg(test)]
mod tests {
    use super::{label, port_name, subdomain};

    #[test]
    fn names_follow_the_grammars_of_services_3() {
        for (text, is_label, is_subdomain, is_port) in [
            ("web", true, true, true),
            ("0-web", true, true, true),
            ("a.b", false, true, false),
            ("", false, false, false),
            ("Web", false, false, false),
            ("-a", false, false, false),
            ("a-", false, false, false),
            ("a..b", false, false, false),
            ("80", true, true, false),
            ("a--b", true, true, false),
            ("sixteen-letters-", false, false, false),
        ] {
            assert_eq!(label(text).is_ok(), is_label, "label {text:?}");
            assert_eq!(subdomain(text).is_ok(), is_subdomain, "subdomain {text:?}");
            assert_eq!(port_name(text).is_ok(), is_port, "port {text:?}");
        }
        assert!(label(&"a".repeat(64)).is_err());
        assert!(subdomain(&["a"; 200].join(".")).is_err());
    }
}
