//! Scores text that is not trained on: each document from a fresh state, its first word predicted
//! from the document mark, without gradients and without dropout.
//!
//! Documents run side by side, longest first, and lanes fall away as documents end: a held-out set
//! takes the time of its words, not of its longest document times its number. Figures may differ in
//! the last digits with the company that a document is scored in, as sums are formed differently.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

use crate::error::Doing;
use crate::layout::IGNORED;
use crate::network::State;
use crate::{DOCUMENT, Error, Network};

/// Documents that are scored side by side.
const LANES: usize = 64;

/// Columns in a window when lanes are few.
const COLUMNS: usize = 256;

/// Places whose logits are held at once: bounds memory at this times the vocabulary.
const PLACES: usize = 2048;

/// A sum of losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Sum of -ln p of the targets.
    pub nats: f64,
    /// How many targets.
    pub targets: u64,
}

impl Score {
    /// Mean loss of a target in nats; its exponential is the perplexity. Not a number without targets.
    pub fn mean(&self) -> f64 {
        self.nats / self.targets as f64
    }

    /// The sum in bits, for bits per character.
    pub fn bits(&self) -> f64 {
        self.nats / std::f64::consts::LN_2
    }
}

impl Add for Score {
    type Output = Score;

    fn add(self, other: Score) -> Score {
        Score { nats: self.nats + other.nats, targets: self.targets + other.targets }
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Score) {
        *self = *self + other;
    }
}

impl Sum for Score {
    fn sum<I: Iterator<Item = Score>>(scores: I) -> Score {
        scores.fold(Score::default(), Add::add)
    }
}

impl Network {
    /// Scores words that follow one another, from a fresh state.
    pub fn score(&self, words: &[u32]) -> Result<Score, Error> {
        Ok(self.score_documents(&[words])?.into_iter().sum())
    }

    /// Scores each document from a fresh state; one score a document, in their order.
    pub fn score_documents(&self, documents: &[&[u32]]) -> Result<Vec<Score>, Error> {
        documents.iter().try_for_each(|words| self.check_words(words))?;
        let mut order: Vec<usize> = (0..documents.len()).collect();
        order.sort_by_key(|&document| std::cmp::Reverse(documents[document].len()));
        let mut scores = vec![Score::default(); documents.len()];
        tch::no_grad(|| {
            for group in order.chunks(LANES) {
                let lanes: Vec<&[u32]> =
                    group.iter().map(|&document| documents[document]).collect();
                for (&document, score) in group.iter().zip(self.score_lanes(&lanes)?) {
                    scores[document] = score;
                }
            }
            Ok(scores)
        })
    }

    /// Scores documents side by side; they come longest first.
    fn score_lanes(&self, documents: &[&[u32]]) -> Result<Vec<Score>, Error> {
        let mut scores = vec![Score::default(); documents.len()];
        let mut state = State::zeros(self.shape(), documents.len(), self.device());
        let mut start = 0;
        loop {
            let lanes = documents.partition_point(|words| words.len() > start);
            if lanes == 0 {
                return Ok(scores);
            }
            let columns = (PLACES / lanes).clamp(1, COLUMNS).min(documents[0].len() - start);
            let size = [columns as i64, lanes as i64];
            let mut inputs = vec![i64::from(DOCUMENT); columns * lanes];
            let mut targets = vec![IGNORED; columns * lanes];
            for (lane, words) in documents[..lanes].iter().enumerate() {
                for (column, &word) in words[start..].iter().take(columns).enumerate() {
                    let place = column * lanes + lane;
                    targets[place] = i64::from(word);
                    if let Some(before) = (start + column).checked_sub(1) {
                        inputs[place] = i64::from(words[before]);
                    }
                }
                scores[lane].targets += (words.len() - start).min(columns) as u64;
            }
            let inputs = Tensor::from_slice(&inputs).view(size).to_device(self.device());
            let targets = self.targets(&targets)?;
            state = state.first_lanes(lanes as i64);
            let (features, next) = self.features(&inputs, &state, false)?;
            state = next;
            let nats = self.nats(&features, &targets, Reduction::None)?.view(size);
            let nats = nats.sum_dim_intlist(0i64, false, Kind::Double);
            let nats = Vec::<f64>::try_from(nats).doing("could not read the losses")?;
            scores.iter_mut().zip(nats).for_each(|(score, nats)| score.nats += nats);
            start += columns;
        }
    }
}
