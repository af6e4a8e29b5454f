//! The grammars of Kubernetes names (`services 3`): pure text in, fault in words out.

/// RFC 1123 label: at most 63 of `a-z 0-9 -`, alphanumeric at both ends.
pub(super) fn label(text: &str) -> Result<(), &'static str> {
    if text.len() > 63 {
        Err(LONGER_THAN_63)
    } else if is_label(text) {
        Ok(())
    } else {
        Err(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character (e.g. 'my-name', or '123-abc')",
        )
    }
}

/// RFC 1123 subdomain: labels joined by dots, at most 253 characters.
///
/// As the API server has it: a label may be longer than 63.
pub(super) fn subdomain(text: &str) -> Result<(), &'static str> {
    if text.len() > 253 {
        Err("must be no more than 253 bytes")
    } else if !text.is_empty() && text.split('.').all(has_label_letters) {
        Ok(())
    } else {
        Err("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com')")
    }
}

/// A name that DNS can hold: a subdomain whose labels are at most 63 long.
pub(super) fn domain(text: &str) -> Result<(), &'static str> {
    subdomain(text)?;
    if text.split('.').any(|label| label.len() > 63) {
        return Err("a label of a DNS name must be no more than 63 bytes");
    }
    Ok(())
}

/// `*.` and a domain: a host of an Ingress with a star.
pub(super) fn wildcard(text: &str) -> Result<(), &'static str> {
    match text.strip_prefix("*.") {
        Some(rest) if text.len() <= 253 && domain(rest).is_ok() => Ok(()),
        _ if text.len() > 253 => Err("must be no more than 253 bytes"),
        _ => Err("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS \
                  subdomain, which must consist of lower case alphanumeric characters, '-' or '.' \
                  and end with an alphanumeric character (e.g. '*.example.com')"),
    }
}

/// At least two labels, one trailing dot allowed: an address of type FQDN.
pub(super) fn fully_qualified(text: &str) -> Result<(), &'static str> {
    let name = text.strip_suffix('.').unwrap_or(text);
    domain(name)?;
    if !name.contains('.') {
        Err("should be a domain with at least two segments separated by dots")
    } else {
        Ok(())
    }
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

/// Label key, `appProtocol`, class: `name` or `prefix/name`, the prefix a subdomain.
pub(super) fn qualified(text: &str) -> Result<(), &'static str> {
    let name = match text.split_once('/') {
        Some(("", _)) => return Err("prefix part must be non-empty"),
        Some((prefix, name)) => {
            if subdomain(prefix).is_err() {
                return Err(
                    "prefix part a lowercase RFC 1123 subdomain must consist of lower case \
                            alphanumeric characters, '-' or '.', and must start and end with an \
                            alphanumeric character (e.g. 'example.com')",
                );
            }
            name
        }
        None => text,
    };
    if name.is_empty() {
        Err("name part must be non-empty")
    } else if name.contains('/') {
        Err("a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character with an optional DNS subdomain prefix and \
             '/' (e.g. 'example.com/MyName')")
    } else if name.len() > 63 {
        Err("name part must be no more than 63 bytes")
    } else if is_word(name) {
        Ok(())
    } else {
        Err("name part must consist of alphanumeric characters, '-', '_' or '.', and must start \
             and end with an alphanumeric character (e.g. 'MyName', or 'my.name', or '123-abc')")
    }
}

/// Value of a label: empty, or at most 63 of `A-Za-z0-9 - _ .`, alphanumeric at both ends.
pub(super) fn label_value(text: &str) -> Result<(), &'static str> {
    if text.len() > 63 {
        Err(LONGER_THAN_63)
    } else if text.is_empty() || is_word(text) {
        Ok(())
    } else {
        Err(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' \
             or '.', and must start and end with an alphanumeric character (e.g. 'MyValue', or \
             'my_value', or '12345')",
        )
    }
}

/// Key of a Secret or a ConfigMap.
pub(super) fn data_key(text: &str) -> Result<(), &'static str> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.len() > 253 {
        Err("must be no more than 253 bytes")
    } else if text.is_empty() || !text.bytes().all(known) {
        Err("a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
             (e.g. 'key.name', or 'KEY_NAME', or 'key-name')")
    } else if text == "." || text.starts_with("..") {
        Err("must not be '.' or begin with '..'")
    } else {
        Ok(())
    }
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && has_label_letters(text)
}

fn has_label_letters(text: &str) -> bool {
    let alphanumeric =
        |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && alphanumeric(text.bytes().next())
        && alphanumeric(text.bytes().next_back())
}

fn is_word(text: &str) -> bool {
    let alphanumeric = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && alphanumeric(text.bytes().next())
        && alphanumeric(text.bytes().next_back())
}

const LONGER_THAN_63: &str = "must be no more than 63 bytes";

#[cfg(test)]
mod tests {
    use super::*;

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
        let long = format!("{}.test", "a".repeat(64));
        assert!(subdomain(&long).is_ok() && domain(&long).is_err());
    }

    #[test]
    fn qualified_names_say_which_part_is_wrong() {
        for (text, want) in [
            ("app", None),
            ("App.Name_1-x", None),
            ("example.com/app", None),
            ("kubernetes.io/h2c", None),
            ("", Some("name part must be non-empty")),
            ("example.com/", Some("name part must be non-empty")),
            ("/app", Some("prefix part must be non-empty")),
            ("Example.com/app", Some("prefix part a lowercase")),
            ("a/b/c", Some("a qualified name")),
            ("-app", Some("name part must consist")),
            ("app name", Some("name part must consist")),
        ] {
            match (qualified(text), want) {
                (Ok(()), None) => {}
                (Err(fault), Some(want)) => assert!(fault.starts_with(want), "{text:?}: {fault}"),
                (got, want) => panic!("{text:?}: {got:?} is not {want:?}"),
            }
        }
        assert!(qualified(&"a".repeat(64)).is_err());
    }

    #[test]
    fn values_keys_and_domains_have_their_own_grammars() {
        for (text, is_value, is_key, is_wildcard, is_domain) in [
            ("", true, false, false, false),
            ("My_value.1", true, true, false, false),
            ("-x", false, true, false, false),
            ("a b", false, false, false, false),
            (".", false, false, false, false),
            ("..a", false, false, false, false),
            ("tls.crt", true, true, false, true),
            ("*.a.test", false, false, true, false),
            ("*", false, false, false, false),
            ("*.*.test", false, false, false, false),
            ("a.*.test", false, false, false, false),
            ("a.test.", false, true, false, true),
            ("test", true, true, false, false),
        ] {
            assert_eq!(label_value(text).is_ok(), is_value, "value {text:?}");
            assert_eq!(data_key(text).is_ok(), is_key, "key {text:?}");
            assert_eq!(wildcard(text).is_ok(), is_wildcard, "wildcard {text:?}");
            assert_eq!(fully_qualified(text).is_ok(), is_domain, "domain {text:?}");
        }
    }
}
