//! A model in the lesson: its trainer, and what the learner notes of it.
//!
//! All models of a job are given the same chunks in the same order. What one learns depends on nothing
//! that another does: its weights are those that it would have if it were alone in the job.

use std::{ops::ControlFlow, sync::Mutex, thread};

use model::{ChunkReport, Material, NewRow, StepReport, Trainer};
use operators::{batch::Batch, record::Words, vocabulary::Vocabulary};
use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::ModelState,
    evaluate::{Evaluation, evaluate},
};

/// A model in the lesson.
#[derive(Debug)]
pub struct Pupil {
    /// Its name, which no other has.
    pub name: String,
    /// Its trainer; none once the model was set aside.
    pub trainer: Option<Trainer>,
    /// What is noted of it.
    pub record: Record,
}

/// What the learner notes of a model; part of the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Nats of all its chunks, each scored before it was trained on.
    pub prequential_nats: f64,
    /// Ids of those chunks.
    pub prequential_ids: u64,
    /// Characters of those chunks.
    pub prequential_characters: u64,
    /// The sums above when the rung of a search began; see [`crate::learner::halving`].
    pub rung_began: (f64, u64),
    /// Bits per character of each rung of a search that it learnt to the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<f64>,
    /// Steps taken.
    pub steps: u64,
    /// The best score on held-out documents during the run, in bits per character.
    pub best: Option<f64>,
    /// Scores since that one.
    pub since_best: u64,
    /// Why it learns no more, if so.
    pub set_aside: Option<SetAside>,
}

/// Why a model learns no more while others go on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetAside {
    /// Its loss or gradient was no longer a number.
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// The chunk.
        chunk: u64,
    },
    /// In a search, it was among the worse half at the end of a rung.
    Outdone {
        /// Chunks learnt until then.
        chunks: u64,
        /// What it reached in the rung.
        bits_per_character: f64,
    },
}

impl std::fmt::Display for SetAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Diverged { step, chunk } => write!(f, "diverged at step {step} in chunk {chunk}"),
            Self::Outdone { chunks, bits_per_character } => {
                write!(f, "outdone after {chunks} chunks, with {bits_per_character:.3} bits")
            }
        }
    }
}

impl Record {
    /// Prequential bits per character over the life of the run; none before the first chunk.
    pub fn prequential_bits(&self) -> Option<f64> {
        bits_per_character(self.prequential_nats, self.prequential_characters)
    }

    /// The same since the rung began.
    pub fn rung_bits(&self) -> Option<f64> {
        let (nats, characters) = self.rung_began;
        bits_per_character(self.prequential_nats - nats, self.prequential_characters - characters)
    }

    /// Notes a score on held-out documents, in bits per character.
    pub fn note_score(&mut self, bits: f64) {
        if self.best.is_none_or(|best| bits < best) {
            (self.best, self.since_best) = (Some(bits), 0);
        } else {
            self.since_best += 1;
        }
    }
}

fn bits_per_character(nats: f64, characters: u64) -> Option<f64> {
    (characters > 0).then(|| nats / std::f64::consts::LN_2 / characters as f64)
}

impl Pupil {
    /// Whether it still learns.
    pub fn is_learning(&self) -> bool {
        self.trainer.is_some()
    }

    /// Learns a chunk, whose new words get their rows first. `characters` is how many the chunk's ids
    /// stand for. After an error the trainer is unfinished.
    ///
    /// # Errors
    /// See [`Trainer::learn`].
    pub fn learn(
        &mut self,
        new: &[NewRow<'_>],
        material: Material<'_>,
        characters: u64,
        observe: &mut dyn FnMut(&StepReport) -> ControlFlow<()>,
    ) -> Result<ChunkReport, model::Error> {
        let trainer = self.trainer.as_mut().expect("only pupils that learn are taught");
        trainer.append_rows(new)?;
        let report = trainer.learn(material, observe)?;
        self.record.prequential_nats += report.prequential.nats;
        self.record.prequential_ids += report.prequential.targets;
        self.record.prequential_characters += characters;
        self.record.steps = trainer.progress().steps;
        Ok(report)
    }

    /// Begins the learning rate's schedule anew.
    pub fn rewarm(&mut self) {
        self.trainer.as_mut().expect("only pupils that learn are warmed up").rewarm();
    }

    /// Scores documents.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn evaluate(
        &self,
        vocabulary: &Vocabulary,
        documents: &[Batch<Words>],
    ) -> Result<Evaluation, model::Error> {
        let trainer = self.trainer.as_ref().expect("only pupils that learn are scored");
        evaluate(trainer.averaged(), vocabulary, documents)
    }

    /// How it stands.
    pub fn state(&self) -> ModelState {
        let trainer = self.trainer.as_ref();
        ModelState {
            name: self.name.clone(),
            weights_digest: trainer.map(Trainer::weights_digest).unwrap_or_default(),
            trainer: trainer.map(Trainer::plain_state),
            record: self.record.clone(),
        }
    }

    /// Takes the model out of the lesson, and its tensors out of memory.
    pub fn set_aside(&mut self, why: SetAside) {
        (self.trainer, self.record.set_aside) = (None, Some(why));
    }
}

/// Does some work for each pupil that still learns; what came of it, in their order, with their
/// places. Several work side by side as far as there are cores for their `threads`.
pub(super) fn for_each_learning<T: Send>(
    pupils: &mut [Pupil],
    threads: usize,
    work: impl Fn(usize, &mut Pupil) -> T + Sync,
) -> Vec<(usize, T)> {
    let learning = pupils.iter_mut().enumerate().filter(|(_, pupil)| pupil.is_learning());
    let learning: Vec<(usize, &mut Pupil)> = learning.collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let side_by_side = (cores / threads.max(1)).min(learning.len());
    if side_by_side <= 1 {
        return learning.into_iter().map(|(place, pupil)| (place, work(place, pupil))).collect();
    }
    let waiting = Mutex::new(learning.into_iter());
    let done = Mutex::new(Vec::new());
    let taught = "no thread fails while it holds this";
    thread::scope(|scope| {
        for _ in 0..side_by_side {
            scope.spawn(|| {
                // Each thread has its own number in OpenMP, and sums depend on it.
                model::device::set_threads(threads);
                loop {
                    let next = waiting.lock().expect(taught).next();
                    let Some((place, pupil)) = next else { break };
                    let came = work(place, pupil);
                    done.lock().expect(taught).push((place, came));
                }
            });
        }
    });
    let mut done = done.into_inner().expect(taught);
    done.sort_by_key(|(place, _)| *place);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_counts_scores_since_the_best() {
        let mut record = Record::default();
        let mut since = Vec::new();
        for bits in [5.0, 4.0, 4.0, 4.5, 3.9, f64::NAN] {
            record.note_score(bits);
            since.push(record.since_best);
        }
        assert_eq!((since, record.best), (vec![0, 0, 1, 2, 0, 1], Some(3.9)));
    }

    #[test]
    fn a_rung_counts_from_where_it_began() {
        let nats = 10.0 * std::f64::consts::LN_2;
        let mut record = Record::default();
        assert_eq!(record.prequential_bits(), None);
        (record.prequential_nats, record.prequential_characters) = (nats, 5);
        record.rung_began = (record.prequential_nats, record.prequential_characters);
        assert_eq!(record.rung_bits(), None);
        record.prequential_nats += nats;
        record.prequential_characters += 10;
        // 10 bits over 10 characters since; 20 over 15 in all.
        assert!((record.rung_bits().expect("characters") - 1.0).abs() < 1e-12);
        assert!((record.prequential_bits().expect("characters") - 20.0 / 15.0).abs() < 1e-12);
    }
}
