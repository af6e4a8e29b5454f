//! Names and passwords of clients: what is asked about them, and which were right of late.
//!
//! Invariants: a proof names user, password and stored hash, by way of a keyed hash that nobody else
//! can make, so a Secret that changes makes all proofs of before worthless at once. Who is not known
//! costs as much as who is.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use http::StatusCode;
use portico_config::model::{Basic, PasswordHash};
use rustls::crypto::aws_lc_rs;
use sha2::{Digest, Sha256};

use super::Worker;
use super::policy::{self, Declined};
use super::request::{Asked, Refused};
use super::verify::{Busy, Verifier};

/// A name and a password whose hash must be computed.
pub(crate) struct PasswordAsk {
    hash: PasswordHash,
    password: Box<[u8]>,
    /// Whether the hash is that of the user; else it is anybody's, so that it takes as long.
    is_known: bool,
    proof: Proof,
    realm: Box<str>,
}

type Proof = [u8; 32];

/// Names and passwords that were right of late, on one worker.
pub(crate) struct Proofs {
    key: [u8; 32],
    until: RefCell<HashMap<Proof, Instant>>,
}

impl Worker {
    /// What must be computed about the name and password of a request; none: nothing, they were right
    /// of late. An error: there are none, or nobody has them.
    pub(super) fn credentials(
        &self,
        basic: &Basic,
        asked: &Asked<'_>,
    ) -> Result<Option<PasswordAsk>, Declined> {
        let unauthorized = || policy::unauthorized(&basic.realm);
        let sent = asked.fields.first("authorization");
        let (user, password) = sent
            .and_then(policy::credentials)
            .ok_or_else(unauthorized)?;
        let known = basic.users.find(&user);
        let anybody = || basic.users.any(self.proofs.number(&user));
        let hash = known.or_else(anybody).ok_or_else(unauthorized)?;
        let proof = self.proofs.of(&user, &password, &hash.text);
        if known.is_some() && self.proofs.has(&proof, Instant::now()) {
            return Ok(None);
        }
        let (hash, is_known, realm) = (hash.clone(), known.is_some(), basic.realm.clone());
        Ok(Some(PasswordAsk { hash, password, is_known, proof, realm }))
    }

    /// Waits for what was to be computed; an error is the answer.
    pub(super) async fn prove(&self, ask: PasswordAsk) -> Result<(), Declined> {
        let PasswordAsk { hash, password, is_known, proof, realm } = ask;
        let verifier = self.metrics.verifier.get_or_init(Verifier::start);
        match verifier.verify(hash, password).await {
            Ok(true) if is_known => {
                self.proofs.keep(proof, Instant::now());
                Ok(())
            }
            Ok(_) => Err(policy::unauthorized(&realm)),
            Err(Busy) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Err(Refused { status, close: false }.into())
            }
        }
    }
}

impl Default for Proofs {
    fn default() -> Self {
        let mut key = [0; 32];
        let random = aws_lc_rs::default_provider().secure_random;
        random
            .fill(&mut key)
            .expect("the provider of TLS has random bytes");
        Self { key, until: RefCell::default() }
    }
}

impl Proofs {
    /// The proof that this password of a user fits that hash.
    fn of(&self, user: &str, password: &[u8], hash: &str) -> Proof {
        let mut made = Sha256::new().chain_update(self.key);
        for part in [user.as_bytes(), password, hash.as_bytes()] {
            // Lengths too: where one part ends must not be a matter of the next.
            made.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            made.update(part);
        }
        made.finalize().into()
    }

    /// A number of a name, the same every time, that tells nobody anything.
    fn number(&self, user: &str) -> u64 {
        let proof = self.of(user, b"", "");
        proof[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn has(&self, proof: &Proof, now: Instant) -> bool {
        let until = self.until.borrow();
        until.get(proof).is_some_and(|until| now < *until)
    }

    fn keep(&self, proof: Proof, now: Instant) {
        let mut proofs = self.until.borrow_mut();
        if proofs.len() >= MOST_PROOFS {
            proofs.retain(|_, until| now < *until);
        }
        if proofs.len() >= MOST_PROOFS {
            proofs.clear();
        }
        proofs.insert(proof, now + PROOF_TIME);
    }
}

/// How long a password that was right is not computed again.
const PROOF_TIME: Duration = Duration::from_secs(60);
/// Of one worker.
const MOST_PROOFS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_user_password_and_hash_and_ends() {
        let (proofs, now) = (Proofs::default(), Instant::now());
        proofs.keep(proofs.of("ann", b"secret", "x"), now);
        for (user, password, hash, has) in [
            ("ann", "secret", "x", true),
            ("ann", "secret", "y", false),
            ("bob", "secret", "x", false),
            ("anns", "ecret", "x", false),
        ] {
            let proof = proofs.of(user, password.as_bytes(), hash);
            assert_eq!(proofs.has(&proof, now), has, "ingress 6.9: {user} {password} {hash}");
        }
        let proof = proofs.of("ann", b"secret", "x");
        assert!(!proofs.has(&proof, now + PROOF_TIME), "ingress 6.9: a short time");
        assert_ne!(proof, Proofs::default().of("ann", b"secret", "x"), "each has its own key");
        for number in 0..2 * MOST_PROOFS {
            proofs.keep(proofs.of(&number.to_string(), b"", ""), now);
        }
        assert!(proofs.until.borrow().len() <= MOST_PROOFS, "ingress 6.9");
    }
}
