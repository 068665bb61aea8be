//! A trial, what came of it, and how trials stand to each other.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::ModelState,
    job::tune::Values,
    learner::{halving::Halving, pupil::SetAside},
};

/// A trial, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What it is called: `trial-` and its number in the search, from 1.
    pub name: String,
    /// Its bracket, from 0.
    pub bracket: usize,
    /// What it sets.
    pub values: Values,
    /// Bits per character of each rung that it learnt to the end.
    pub rungs: Vec<f64>,
    /// What it is judged by: the score of its last rung, or of what it learnt after that where the text
    /// ended before the last rung did. None if it has none.
    pub bits_per_character: Option<f64>,
    /// Chunks that it learnt.
    pub chunks: u64,
    /// Why it learnt no more.
    pub fate: Fate,
}

/// Why a trial learnt no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Its bracket ended, and it was never among the worse half.
    Kept,
    /// It was among the worse half at the end of a rung.
    Outdone,
    /// Its loss or gradient was no longer a number.
    Diverged,
}

impl Trial {
    /// What came of a model in a bracket that has ended after so many chunks.
    pub(super) fn of(
        ModelState { name, record, .. }: &ModelState,
        values: Values,
        bracket: usize,
        halving: Halving,
        chunks: u64,
    ) -> Self {
        let (fate, learnt) = match record.set_aside {
            None => (Fate::Kept, chunks),
            Some(SetAside::Outdone { chunks, .. }) => (Fate::Outdone, chunks),
            // Chunks are numbered from 0, so it learnt as many as the number says.
            Some(SetAside::Diverged { chunk, .. }) => (Fate::Diverged, chunk),
        };
        let last = record.rungs.last().copied();
        let ended = halving.ends().take(record.rungs.len()).last().unwrap_or(0);
        // A few chunks more say less than the rung before them.
        let says_more = last.is_none() || learnt - ended >= halving.rung_chunks;
        let is_cut_short = record.rungs.len() < halving.rungs as usize;
        let since = record.rung_bits().filter(|_| is_cut_short && says_more);
        Self {
            name: name.clone(),
            bracket,
            values,
            bits_per_character: since.or(last).filter(|bits| bits.is_finite()),
            rungs: record.rungs.clone(),
            chunks: learnt,
            fate,
        }
    }
}

/// Trials, the best first: who came further, of `rungs`, and then who has the lower score; the diverged
/// last. Scores of one rung are of the same chunks, whatever the bracket. Where the text ended before
/// the last rung did, who was kept until then stands before those outdone in the rung before.
pub(super) fn standing(trials: &[Trial], rungs: u32) -> Vec<&Trial> {
    let mut standing: Vec<&Trial> = trials.iter().collect();
    standing.sort_by(|a, b| {
        let of = |trial: &Trial| {
            let was_cut_short = trial.fate == Fate::Kept && trial.rungs.len() < rungs as usize;
            (trial.fate == Fate::Diverged, Reverse(trial.rungs.len()), !was_cut_short)
        };
        let bits = |trial: &Trial| trial.bits_per_character.unwrap_or(f64::INFINITY);
        of(a).cmp(&of(b)).then(bits(a).total_cmp(&bits(b)))
    });
    standing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::pupil::Record;

    const BITS: f64 = std::f64::consts::LN_2;

    fn trial(
        rungs: &[f64],
        since: Option<(f64, u64)>,
        set_aside: Option<SetAside>,
        chunks: u64,
    ) -> Trial {
        let (bits, characters) = since.unwrap_or_default();
        let record = Record {
            rungs: rungs.to_vec(),
            rung_began: (5.0, 7),
            prequential_nats: 5.0 + bits * BITS,
            prequential_characters: 7 + characters,
            set_aside,
            ..Record::default()
        };
        let (name, weights_digest) = (format!("{rungs:?} {since:?}"), String::new());
        let state = ModelState { name, weights_digest, trainer: None, record };
        // Rungs end after 4, 8 and 16 chunks.
        Trial::of(&state, Values::new(), 0, Halving::of(8, 4), chunks)
    }

    #[test]
    fn a_trial_is_judged_by_its_last_rung_or_by_what_it_learnt_after_that() {
        let bits = |trial: Trial| trial.bits_per_character;
        assert_eq!(bits(trial(&[5.0, 4.0, 3.0], Some((100.0, 10)), None, 19)), Some(3.0));
        // The text ended 3 chunks after the second rung, or 4.
        assert_eq!(bits(trial(&[5.0, 4.0], Some((20.0, 10)), None, 11)), Some(4.0));
        let longer = bits(trial(&[5.0, 4.0], Some((20.0, 10)), None, 12)).expect("a score");
        assert!((longer - 2.0).abs() < 1e-12, "{longer}"); // 20 bits over 10 characters
        let only = bits(trial(&[], Some((60.0, 10)), None, 1)).expect("a score");
        assert!((only - 6.0).abs() < 1e-12, "{only}");
        let outdone = SetAside::Outdone { chunks: 8, bits_per_character: 4.5 };
        let outdone = trial(&[5.0, 4.5], None, Some(outdone), 16);
        assert_eq!((outdone.bits_per_character, outdone.chunks), (Some(4.5), 8));
        let diverged = SetAside::Diverged { step: 9, chunk: 0 };
        let diverged = trial(&[], None, Some(diverged), 16);
        assert_eq!((diverged.bits_per_character, diverged.chunks), (None, 0));
    }

    #[test]
    fn who_came_further_stands_first_and_then_who_scores_lower_and_the_diverged_stand_last() {
        let outdone = |chunks| Some(SetAside::Outdone { chunks, bits_per_character: 0.0 });
        let diverged = Some(SetAside::Diverged { step: 1, chunk: 9 });
        let trials = [
            trial(&[1.0, 1.0], None, diverged, 16),
            trial(&[3.0], None, outdone(4), 16),
            trial(&[2.0], None, outdone(4), 16),
            trial(&[9.0, 8.0], None, outdone(8), 16),
            trial(&[9.0, 8.0, 7.0], None, None, 16),
            trial(&[9.0, 8.0, 6.5], None, outdone(16), 16), // of another bracket
            trial(&[9.0, 8.0, 6.0], None, None, 16),
        ];
        let order = |trials: &[Trial], rungs| -> Vec<usize> {
            let place = |trial: &Trial| trials.iter().position(|other| other == trial);
            let places = standing(trials, rungs).into_iter().map(place);
            places.map(|place| place.expect("one of them")).collect()
        };
        assert_eq!(order(&trials, 3), [6, 5, 4, 3, 2, 1, 0]);
        // The text ended after the second rung: the scores are not of the same chunks.
        let cut_short =
            [trial(&[9.0, 5.0], None, outdone(8), 14), trial(&[9.0, 8.0], None, None, 14)];
        assert_eq!(order(&cut_short, 3), [1, 0]);
        assert_eq!(order(&cut_short, 2), [0, 1]);
    }
}
