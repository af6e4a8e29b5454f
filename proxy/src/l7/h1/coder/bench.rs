//! Bodies brought into a coding, for measuring. Behind the feature `bench`.

use portico_config::model::Coding;

use super::{Coder, Coders};

/// Brings bodies into one coding.
pub(crate) struct Recoder {
    coding: Coding,
    coders: Coders,
    open: Vec<Coder>,
}

impl Recoder {
    /// Into the one of this name; none where there is no such coding.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let coding = Coding::named(name)?;
        Some(Self { coding, coders: Coders::default(), open: Vec::new() })
    }

    /// How long a whole body becomes, with its chunks.
    pub(crate) fn whole(&self, body: &[u8]) -> Option<usize> {
        let mut coder = self.coders.begin(self.coding)?;
        feed(&mut coder, body, true)
    }

    /// Begins one more that has had `body` and stays open; none where there are too many.
    pub(crate) fn begin(&mut self, body: &[u8]) -> Option<usize> {
        let mut coder = self.coders.begin(self.coding)?;
        let given = feed(&mut coder, body, false)?;
        self.open.push(*coder);
        Some(given)
    }
}

/// Gives a coder a body in pieces as they come from a backend.
fn feed(coder: &mut Coder, body: &[u8], last: bool) -> Option<usize> {
    let (mut out, mut given) = (Vec::new(), 0);
    for piece in body.chunks(PIECE_BYTES) {
        out.clear();
        given += coder.code(&mut out, piece, false).ok()?;
    }
    out.clear();
    Some(given + coder.code(&mut out, &[], last).ok()?)
}

/// As much as is read at once.
const PIECE_BYTES: usize = crate::l7::io::READ_BYTES;
