//! What a model says of a passage word by word, for other programs to reproduce.

use operators::{batch::Batch, record::Words, vocabulary::DOCUMENT};
use serde::Serialize;

use crate::trained::{Trained, TrainedError};

/// A document in ids, its end included, and how likely the model held each of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Passage {
    /// The ids.
    pub ids: Vec<u32>,
    /// ln p of each id, given those before it; the first is predicted from the document mark, 0.
    pub log_probabilities: Vec<f32>,
}

impl Trained {
    /// What the model says of each document.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn log_probabilities(
        &self,
        documents: &[Batch<Words>],
    ) -> Result<Vec<Passage>, TrainedError> {
        let rows = self.network.rows() as u32;
        documents
            .iter()
            .flat_map(Batch::iter)
            .map(|words| {
                let surfaces = words.surfaces.iter().flatten();
                let mut ids = self.state.vocabulary.encode(words.keys, surfaces, rows).ids;
                ids.push(DOCUMENT);
                let log_probabilities = self.network.log_probabilities(&ids)?;
                Ok(Passage { ids, log_probabilities })
            })
            .collect()
    }
}
