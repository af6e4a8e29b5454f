//! Private stages for `benches/`: no contract.

use std::path::PathBuf;
use std::sync::Arc;

use crate::decode::{Decoded, decode};
use crate::model::Limits;
use crate::validate::validate;

/// Objects that were decoded and are not judged yet.
#[derive(Debug)]
pub struct Objects(Vec<Decoded>);

impl Objects {
    /// The objects of some files.
    pub fn decode(files: &[(Arc<PathBuf>, Arc<[u8]>)]) -> Self {
        let limits = Limits::default();
        let files = files.iter();
        let objects = files.flat_map(|(name, content)| decode(name, content, &limits).objects);
        Self(objects.collect())
    }

    /// How many of them are right by themselves.
    pub fn validate(&self) -> usize {
        let objects = self.0.iter();
        objects
            .filter(|decoded| {
                let (valid, _) = validate(&decoded.object, &decoded.origin);
                valid.is_some()
            })
            .count()
    }
}
