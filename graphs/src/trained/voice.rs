//! What a trained model writes, how it repeats itself, and how it scores while learning.

use std::time::Instant;

use model::{
    Adaptation, Sampler,
    dynamic::{GradientStatistics, Rule},
};
use operators::{
    batch::Batch,
    record::Words,
    vocabulary::{DOCUMENT, Transcript},
};
use serde::Serialize;

use super::{Trained, TrainedError};
use crate::{
    checkpoint,
    evaluate::{Evaluation, evaluate},
    repetition::{Gauge, Repetition, gauge},
};

/// A text that was written, and how it repeats itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Written {
    /// What it was drawn by.
    pub seed: u64,
    /// The text, without the prompt.
    pub text: String,
    /// Its repetitions.
    pub repetition: Repetition,
}

/// A score that was made while learning, beside the one that was not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Dynamic {
    /// How the weights followed the text.
    pub adaptation: Adaptation,
    /// nats of the whole text.
    pub nats: f64,
    /// The same in bits a character.
    pub bits_per_character: f64,
    /// exp(nats / words).
    pub perplexity_per_word: f64,
    /// Ids read and learnt in a second.
    pub words_per_second: f64,
}

impl Trained {
    /// `passages` texts that go on from `prompt` by `words` ids, drawn side by side with the
    /// sampler's seed and those that follow it. `hear` is given each piece of text as soon as it is
    /// whole, with the number of its passage.
    ///
    /// # Errors
    /// If the sampler's settings leave nothing to say, or libtorch fails, or `hear` does.
    pub fn passages<E: From<TrainedError>>(
        &self,
        prompt: &str,
        (passages, words): (usize, usize),
        sampler: Sampler,
        mut hear: impl FnMut(usize, &str) -> Result<(), E>,
    ) -> Result<Vec<Written>, E> {
        let failed = |error: model::Error| E::from(error.into());
        let ids = self.ids(prompt);
        let vocabulary = &self.state.vocabulary;
        let mut lanes: Vec<(Transcript<'_>, Vec<u32>, String)> =
            (0..passages).map(|_| (Transcript::new(vocabulary), vec![], String::new())).collect();
        let drawn =
            sampler.passages(&self.network, &ids, (passages, words), &[]).map_err(failed)?;
        for step in drawn {
            for (number, id) in step.map_err(failed)?.into_iter().enumerate() {
                let (transcript, ids, text) = &mut lanes[number];
                ids.push(id);
                let piece = transcript.push(id);
                hear(number, &piece)?;
                text.push_str(&piece);
            }
        }
        let mut written = Vec::with_capacity(passages);
        for (number, (mut transcript, ids, mut text)) in lanes.into_iter().enumerate() {
            let rest = transcript.finish();
            hear(number, &rest)?;
            text.push_str(&rest);
            let seed = sampler.seed.wrapping_add(number as u64);
            written.push(Written { seed, text, repetition: Repetition::of(&ids) });
        }
        Ok(written)
    }

    /// The documents that files have, or without any those that the run has held out.
    ///
    /// # Errors
    /// If there are none, or a file cannot be read.
    pub fn documents(&self, patterns: &[String]) -> Result<Vec<Batch<Words>>, TrainedError> {
        match patterns.is_empty() {
            false => self.documents_of(patterns),
            true if self.state.held_out.is_empty() => Err(TrainedError::NothingHeldOut),
            true => Ok(self.state.held_out.clone()),
        }
    }

    /// Scores documents.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn evaluate(&self, documents: &[Batch<Words>]) -> Result<Evaluation, TrainedError> {
        Ok(evaluate(&self.network, &self.state.vocabulary, documents)?)
    }

    /// How the model repeats itself in `words` words, beside documents.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn gauge(&self, documents: &[Batch<Words>], words: usize) -> Result<Gauge, TrainedError> {
        Ok(gauge(&self.network, &self.state.vocabulary, documents, words)?)
    }

    /// The rule that fits how the run was trained: what it knows of its gradients is used.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn rule(&self) -> Result<Rule, TrainedError> {
        Ok(if self.statistics()?.is_some() { Rule::Rms } else { Rule::Sgd })
    }

    /// Scores documents while a copy of the weights learns from them (Krause et al. 2018).
    ///
    /// # Errors
    /// If the checkpoint cannot be read, the adaptation makes no sense, or libtorch fails.
    pub fn evaluate_dynamic(
        &self,
        documents: &[Batch<Words>],
        adaptation: Adaptation,
    ) -> Result<Dynamic, TrainedError> {
        let rows = self.network.rows() as u32;
        let (mut characters, mut words) = (0, 0);
        let mut texts = Vec::new();
        for document in documents.iter().flat_map(Batch::iter) {
            let surfaces = document.surfaces.iter().flatten();
            let mut ids = self.state.vocabulary.encode(document.keys, surfaces, rows).ids;
            ids.push(DOCUMENT);
            texts.push(ids);
            characters += document.characters;
            words += document.keys.len();
        }
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let statistics = self.statistics()?;
        let begun = Instant::now();
        let scores = self.network.score_adapting(&texts, adaptation, statistics.as_ref())?;
        let seconds = begun.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        let score: model::Score = scores.into_iter().sum();
        Ok(Dynamic {
            adaptation,
            nats: score.nats,
            bits_per_character: score.bits() / characters.max(1) as f64,
            perplexity_per_word: (score.nats / words.max(1) as f64).exp(),
            words_per_second: score.targets as f64 / seconds,
        })
    }

    fn statistics(&self) -> Result<Option<GradientStatistics>, TrainedError> {
        Ok(GradientStatistics::read(
            &checkpoint::model_folder(&self.path, &self.model.name),
            &self.network,
        )?)
    }
}
