//! Scoring text that was never trained on.

use model::Network;
use operators::{
    batch::Batch,
    record::Words,
    vocabulary::{DOCUMENT, Vocabulary},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// How well a model predicts a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// Documents.
    pub documents: u64,
    /// Characters of their texts.
    pub characters: u64,
    /// Words of their texts.
    pub words: u64,
    /// Words that had to be spelled.
    pub spelled: u64,
    /// Ids that they were written in, each document's end counted.
    pub ids: u64,
    /// The whole text's -ln p, each document from a fresh state.
    pub nats: f64,
    /// The headline: no choice of vocabulary can flatter it.
    pub nats_per_character: f64,
    /// The same in bits.
    pub bits_per_character: f64,
    /// exp(nats / words).
    pub perplexity_per_word: f64,
}

/// Scores documents; words that the model has no row for are spelled, so every text has a score.
///
/// # Errors
/// If libtorch fails.
pub fn evaluate(
    network: &Network,
    vocabulary: &Vocabulary,
    documents: &[Batch<Words>],
) -> Result<Evaluation, model::Error> {
    let rows = network.rows() as u32;
    let mut evaluation = Evaluation::default();
    let mut texts = Vec::new();
    for words in documents.iter().flat_map(Batch::iter) {
        let encoded = vocabulary.encode(words.keys, words.surfaces.iter().flatten(), rows);
        evaluation.documents += 1;
        evaluation.characters += words.characters;
        evaluation.words += words.keys.len() as u64;
        evaluation.spelled += encoded.spelled;
        let mut ids = encoded.ids;
        ids.push(DOCUMENT);
        evaluation.ids += ids.len() as u64;
        texts.push(ids);
    }
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    evaluation.nats = network.score_documents(&texts)?.iter().map(|score| score.nats).sum();
    evaluation.nats_per_character = evaluation.nats / evaluation.characters.max(1) as f64;
    evaluation.bits_per_character = evaluation.nats_per_character / std::f64::consts::LN_2;
    evaluation.perplexity_per_word = (evaluation.nats / evaluation.words.max(1) as f64).exp();
    Ok(evaluation)
}

/// Names a set of documents for good: SHA-256, in hexadecimal, of their ids in the order of their
/// bytes, each with a line end. So a score tells what it was scored on.
pub fn documents_hash<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id);
        hash.update("\n");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first documents that have `words` words together, or all: what is scored during a run.
pub fn within(documents: &[Batch<Words>], words: usize) -> &[Batch<Words>] {
    let mut seen = 0;
    let enough = documents.iter().position(|batch| {
        seen += batch.iter().map(|document| document.keys.len()).sum::<usize>();
        seen >= words
    });
    &documents[..enough.map_or(documents.len(), |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_documents_has_one_hash_whatever_their_order() {
        // printf '000035/001565\n000154/000823\n' | sha256sum
        let expected = "e2c3e55dd20931afa6d16484675c30d11dc79b99a9bcad30df0fab7d81367094";
        assert_eq!(documents_hash(["000035/001565", "000154/000823"].into_iter()), expected);
        assert_eq!(documents_hash(["000154/000823", "000035/001565"].into_iter()), expected);
        assert_ne!(documents_hash(["000035/001565"].into_iter()), expected);
    }
}
