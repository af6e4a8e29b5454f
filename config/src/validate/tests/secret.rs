//! Secret and ConfigMap (`ingress 1.6`, `reliability 2.6.5`).

use std::sync::Arc;

use base64::Engine;
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::{Kind, decoded, hold, lines, read, validate};
use crate::validate::{InUse, Secret};

/// A leaf for `a.test`, its key, and the certificate that signed it, as PEM.
struct Pair {
    leaf: String,
    key: String,
    root: String,
}

fn pair() -> Pair {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, "root");
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = leaf(vec!["a.test".to_owned(), "*.a.test".to_owned()]);
    let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    Pair { leaf: leaf.pem(), key: key.serialize_pem(), root: root_pem }
}

fn leaf(names: Vec<String>) -> CertificateParams {
    let mut leaf = CertificateParams::new(names).unwrap();
    leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
    leaf.distinguished_name.push(DnType::CommonName, "a.test");
    leaf
}

/// A Secret of a type with these two values, base64 done.
fn body(type_: &str, certificate: &str, key: &str) -> String {
    let coded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let (certificate, key) = (coded(certificate), coded(key));
    format!("type: {type_}\ndata: {{tls.crt: \"{certificate}\", tls.key: \"{key}\"}}")
}

fn found(certificate: &str, key: &str) -> Vec<String> {
    opened(&body("kubernetes.io/tls", certificate, key)).1
}

/// What a Secret holds for who names it, and what is found in it.
fn opened(body: &str) -> (Option<Secret>, Vec<String>) {
    let decoded = decoded("v1", "Secret", body);
    let (valid, found) = validate(&decoded.object, &decoded.origin);
    assert!(found.is_empty(), "ingress 6.3: nobody looks at what it holds: {found:?}");
    let (object, valid) = (decoded.object.reference(), Arc::new(valid.unwrap()));
    let object = InUse { object, origin: decoded.origin, valid };
    let Kind::Secret(secret) = &object.valid.kind else { panic!("no Secret") };
    let (secret, found) = secret.read(&object);
    (secret, lines(&found))
}

fn secret(body: &str) -> Secret {
    let (secret, found) = opened(body);
    secret.unwrap_or_else(|| panic!("{body}: {found:?}"))
}

#[test]
fn keys_of_secrets_follow_their_type() {
    hold(
        "v1",
        "Secret",
        &[
            ("services 3: nothing", "type: Opaque", &[]),
            (
                "services 3: a key",
                "stringData: {a/b: x}",
                &["P0613 stringData[a/b]: invalid value: \"a/b\": a valid config key must consist"],
            ),
            ("services 3: no dots alone", "stringData: {..a: x}", &["P0613 stringData[..a]"]),
            ("ingress 6.3: values are not looked at", "data: {a: \"?\"}", &[]),
            ("services 3: text is no base64", "stringData: {a: \"?\"}", &[]),
            (
                "services 3: tls",
                "type: kubernetes.io/tls",
                &["P0203 data[tls.crt]: required value", "P0203 data[tls.key]: required value"],
            ),
            ("services 3: ssh", "type: kubernetes.io/ssh-auth", &["P0203 data.ssh-privatekey"]),
            ("services 3: docker", "type: kubernetes.io/dockercfg", &["P0203 data[.dockercfg]"]),
            (
                "services 3: docker",
                "type: kubernetes.io/dockerconfigjson",
                &["P0203 data[.dockerconfigjson]"],
            ),
            (
                "services 3: one is enough",
                "type: kubernetes.io/basic-auth\nstringData: {password: x}",
                &[],
            ),
            (
                "services 3: but one",
                "type: kubernetes.io/basic-auth",
                &["P0203 data.password: required value", "P0203 data.username: required value"],
            ),
        ],
    );
    hold(
        "v1",
        "ConfigMap",
        &[
            (
                "services 3: a key",
                "data: {\"a b\": x}",
                &["P0613 data.a b: invalid value: \"a b\""],
            ),
            ("services 3: any text", "data: {a: \"any: text\"}", &[]),
        ],
    );
    for kind in ["Secret", "ConfigMap"] {
        let data = if kind == "Secret" { "stringData" } else { "data" };
        let long = format!("{data}: {{a: {}}}", "x".repeat((1 << 20) + 1));
        let (valid, found) = read("v1", kind, &long);
        assert!(
            valid.is_none()
                && found == ["P0212 data: too long: may not be more than 1048576 bytes"]
        );
    }
    let (_, found) = opened("data: {a: \"?\"}");
    assert_eq!(found, ["P0605 data.a: is not base64 (stringData takes plain text)"], "services 3");
}

#[test]
fn what_base64_stands_for_is_known_before_it_is_decoded() {
    for (bytes, fits) in [(1 << 20, true), ((1 << 20) + 1, false), ((1 << 20) + 2, false)] {
        let text = base64::engine::general_purpose::STANDARD.encode("x".repeat(bytes));
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let (valid, _) = read("v1", "Secret", &format!("data: {{a: \"{}\"}}", lines.join(" ")));
        assert_eq!(valid.is_some(), fits, "services 3: {bytes} bytes");
    }
}

#[test]
fn a_pair_that_fits_is_taken_whatever_stands_around_it() {
    let Pair { leaf, key, root } = pair();
    let chain = format!("{leaf}{root}");
    for (case, certificate, key) in [
        ("leaf alone", leaf.clone(), key.clone()),
        ("leaf and root", chain.clone(), key.clone()),
        ("CRLF", chain.replace('\n', "\r\n"), key.replace('\n', "\r\n")),
        ("text around", format!("subject=/CN=a\n{leaf}\nbye\n"), format!("Bag Attributes\n{key}")),
    ] {
        assert_eq!(found(&certificate, &key), Vec::<String>::new(), "{case}");
    }
    for type_ in ["kubernetes.io/tls", "Opaque", "\"\""] {
        let secret = secret(&body(type_, &chain, &key));
        let certificate = secret.certificate.unwrap();
        let names: Vec<_> = certificate.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a.test", "*.a.test"], "{type_}");
        assert_eq!(certificate.key.cert.len(), 2, "{type_}");
        assert_eq!(certificate.not_before_seconds, 1_577_836_800, "{type_}");
    }
    // stringData stands over data, and a Secret of other content is left alone.
    let other = secret("type: Opaque\nstringData: {tls.crt: \"\", tls.key: \"\"}");
    assert!(other.certificate.is_none());
}

#[test]
fn pairs_that_do_not_fit_are_refused_and_say_why() {
    let Pair { leaf, key, root } = pair();
    let other = pair();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let public = key.replace("PRIVATE KEY", "PUBLIC KEY");
    let cut = leaf.replace("-----END CERTIFICATE-----", "");
    let long = leaf.repeat(11);
    let ours = "P0609 data[tls.crt]: begins with another certificate than that of the key, which is \
                number 2";
    for (rule, certificate, key, want) in [
        ("ingress 1.6: another key", &leaf, &other.key, "P0603 data[tls.key]: does not fit"),
        ("ingress 1.6: leaf first", &format!("{root}{leaf}"), &key, ours),
        ("ingress 1.6: encrypted", &leaf, &encrypted, "P0606 data[tls.key]: is encrypted"),
        ("ingress 1.6: a private key", &leaf, &public, "P0602 data[tls.key]: holds no private key"),
        ("ingress 1.6: a key", &leaf, &"x".to_owned(), "P0602 data[tls.key]: holds no private key"),
        (
            "reliability 2.6.5: one key",
            &leaf,
            &key.repeat(2),
            "P0608 data[tls.key]: holds more than",
        ),
        ("ingress 1.6: a certificate", &"x".to_owned(), &key, "P0601 data[tls.crt]: holds no"),
        (
            "reliability 2.6.5: a whole one",
            &cut,
            &key,
            "P0601 data[tls.crt]: holds PEM that is cut",
        ),
        ("ingress 1.6: each in its place", &key, &leaf, "P0612 data[tls.crt]: holds the key"),
        ("reliability 4: ten at most", &long, &key, "P0213 data[tls.crt]: too many: 11"),
    ] {
        let found = found(certificate, key);
        assert!(found.len() == 1 && found[0].starts_with(want), "{rule}: {found:?}");
    }
}

#[test]
fn certificates_that_clients_may_not_like_are_used_with_a_warning() {
    let Pair { leaf, key, .. } = pair();
    let other = pair();
    let gap = found(&format!("{leaf}{}", other.leaf), &key);
    let want = "P0610 data[tls.crt]: certificate 1 was not signed by the one that follows it";
    assert!(gap.len() == 1 && gap[0].starts_with(want), "{gap:?}");
    let named = KeyPair::generate().unwrap();
    let nameless = self::leaf(Vec::new()).self_signed(&named).unwrap().pem();
    let text = body("kubernetes.io/tls", &nameless, &named.serialize_pem());
    let (secret, found) = opened(&text);
    assert!(found[0].starts_with("P0611 data[tls.crt]: has no subjectAltName"), "{found:?}");
    // The common name stands in, as it did for older clients.
    assert_eq!(secret.unwrap().certificate.unwrap().names[0].to_string(), "a.test");
}

#[test]
fn no_value_of_a_secret_stands_in_a_finding() {
    let marks = ["hunter2", "c3dvcmRmaXNo", "swordfish"];
    let body = format!(
        "type: kubernetes.io/tls\ndata: {{a: \"{}?\", tls.crt: {}}}\nstringData: {{tls.key: \"{} \
         ENCRYPTED\"}}",
        marks[0], marks[1], marks[2]
    );
    let (secret, found) = opened(&body);
    assert!(secret.is_none() && found.len() > 1, "{found:?}");
    for mark in marks {
        assert!(found.iter().all(|line| !line.contains(mark)), "{found:?}");
    }
}
