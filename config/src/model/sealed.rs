//! What nobody may see: keys, passwords, and the texts that hold them (`ingress 6.3`).
//!
//! Invariants: it is printed in no form, it cannot be serialised, and its memory is written over when it
//! is let go. A value must not grow while it is sealed: what a `Vec` leaves behind when it moves is not
//! written over, so whoever fills one gives it room first.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, Zeroizing};

/// A value that is not shown, and is zeros once it is let go.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Sealed<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Sealed<T> {
    /// Keeps a value from being seen.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl<T: Zeroize> Deref for Sealed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> DerefMut for Sealed<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

impl<'de> Deserialize<'de> for Sealed<String> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is written over.
    #[derive(Clone, Default)]
    struct Watched(Arc<AtomicUsize>);

    impl Zeroize for Watched {
        fn zeroize(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_sealed_is_not_printed_and_is_written_over_when_it_goes() {
        let printed = format!("{:?} {:#?}", Sealed::new("hush".to_owned()), Sealed::new(*b"hush"));
        assert_eq!(printed, "Sealed Sealed", "ingress 6.3");
        let watched = Watched::default();
        let sealed = Sealed::new(watched.clone());
        let copy = sealed.clone();
        drop(sealed);
        assert_eq!(watched.0.load(Ordering::Relaxed), 1, "ingress 6.3: the first");
        drop(copy);
        assert_eq!(watched.0.load(Ordering::Relaxed), 2, "ingress 6.3: and each copy");
    }
}
