//! Certificates of the scenarios over TLS: ECDSA P-256, signed by themselves, which nobody verifies.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A certificate with its key, as PEM.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn make(hosts: &[&str]) -> Result<Self> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).context("making a certificate")?;
        Ok(Self { chain: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }

    /// Writes what the peers read: `bench.crt` and `bench.key`, and both in `bench.pem` (HAProxy).
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let Self { chain, key } = self;
        for (file, text) in [
            ("bench.crt", chain.clone()),
            ("bench.key", key.clone()),
            ("bench.pem", format!("{chain}{key}")),
        ] {
            let file = folder.join(file);
            fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    /// A TLS Secret of it.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> String {
        let indented = |pem: &str| {
            pem.lines()
                .fold(String::new(), |all, line| all + "    " + line + "\n")
        };
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
             type: kubernetes.io/tls\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
            indented(&self.chain),
            indented(&self.key)
        )
    }
}
