//! Our own line in `Via`, by which requests are known that go round (`http-proxy 1.5`).

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use crate::l7::fields::{Fields, Name};

/// Our own line in `Via`.
pub(crate) struct Via {
    pub(super) line: Vec<u8>,
}

impl Via {
    /// For an instance that calls itself `id`: the same in all its workers.
    pub(crate) fn new(id: u64) -> Self {
        Self { line: format!("Via: 1.1 portico ({id:016x})\r\n").into_bytes() }
    }

    /// For this process.
    pub(crate) fn of_process() -> Self {
        static ID: OnceLock<u64> = OnceLock::new();
        Self::new(*ID.get_or_init(|| RandomState::new().hash_one(0_u8)))
    }

    /// The line.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// How often this instance stands in the request's `Via` already.
    pub(crate) fn seen(&self, fields: Fields<'_>) -> usize {
        let own = self.line.get(5..).unwrap_or_default().trim_ascii();
        fields
            .elements(Name::Via)
            .filter(|&element| element == own)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l7::h1::head;

    #[test]
    fn own_passes_are_counted() {
        let head = b"GET / HTTP/1.1\r\nVia: 1.1 portico (0000000000000007), 1.0 b\r\n\
                     Via:1.1 portico (0000000000000007)\r\n\r\n";
        let mut places = Vec::new();
        assert!(head::request(head, &mut places).unwrap().is_some());
        let fields = Fields::new(head, &places);
        assert_eq!(Via::new(7).seen(fields), 2, "http-proxy 1.5");
        assert_eq!(Via::new(8).seen(fields), 0);
    }
}
