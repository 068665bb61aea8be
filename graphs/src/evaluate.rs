//! Scoring text that was never trained on.

use model::Network;
use operators::{
    batch::Batch,
    record::Words,
    vocabulary::{DOCUMENT, Vocabulary},
};
use serde::Serialize;

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

/// The first documents that have `words` words together, or all: what is scored during a run.
pub fn within(documents: &[Batch<Words>], words: usize) -> &[Batch<Words>] {
    let mut seen = 0;
    let enough = documents.iter().position(|batch| {
        seen += batch.iter().map(|document| document.keys.len()).sum::<usize>();
        seen >= words
    });
    &documents[..enough.map_or(documents.len(), |last| last + 1)]
}
