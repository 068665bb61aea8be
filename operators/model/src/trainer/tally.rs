//! The books of one chunk: losses and norms stay on the device until a few steps' worth are read at
//! once, so that a GPU is never waited for at every step.

use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::ParameterStatistics;
use crate::clip::Clipped;
use crate::error::Doing;
use crate::{Error, Score};

/// Steps between two readings on a GPU. An interruption, or the naming of a step that diverged,
/// comes at most this much late.
const STEPS_IN_FLIGHT: usize = 16;

/// What happened in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The step, counted from 1 over the trainer's life.
    pub step: u64,
    /// The sweep over the chunk, counted from 0.
    pub pass: u32,
    /// The loss that was trained on (under dropout, if any), before the step.
    pub score: Score,
    /// Global norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
}

/// Norms of the gradient before clipping, over the steps of a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientNorms {
    /// Their mean.
    pub mean: f64,
    /// The largest.
    pub max: f64,
    /// Steps whose gradient was clipped.
    pub clipped: u64,
}

/// What happened in one chunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkReport {
    /// The chunk's words.
    pub words: usize,
    /// Steps taken on it.
    pub steps: u64,
    /// The loss of every word, each scored before the step on it and without dropout: what the
    /// model knew of the chunk when it came.
    pub prequential: Score,
    /// The training loss of the last sweep (under dropout, if any).
    pub last_pass: Score,
    /// Norms of the gradient before clipping.
    pub gradient_norms: GradientNorms,
    /// Each parameter after the last step, in the network's order; none of an empty chunk.
    pub parameters: Vec<ParameterStatistics>,
    /// Time taken.
    pub elapsed: Duration,
}

impl ChunkReport {
    /// Share of the steps whose gradient was clipped; 0 for an empty chunk.
    pub fn clipped_share(&self) -> f64 {
        self.gradient_norms.clipped as f64 / self.steps.max(1) as f64
    }

    /// Words trained on per second, each counted once a pass; 0 for an empty chunk.
    pub fn words_per_second(&self, passes: u32) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.words as f64 * f64::from(passes) / seconds } else { 0.0 }
    }
}

/// A step whose numbers are still on the device (zero-dimensional tensors).
pub(super) struct Entry {
    pub step: u64,
    pub pass: u32,
    pub targets: usize,
    pub learning_rate: f64,
    /// The sum of the losses, trained on.
    pub nats: Tensor,
    /// The same without dropout; looked at in the first sweep only.
    pub honest: Tensor,
    /// What clipping found.
    pub clipped: Clipped,
    /// Of the chunk's last step.
    pub survey: Option<Vec<ParameterStatistics>>,
}

pub(super) struct Tally {
    passes: u32,
    in_flight: usize,
    pending: Vec<Entry>,
    steps: u64,
    prequential: Score,
    last_pass: Score,
    norm_sum: f64,
    norm_max: f64,
    clipped: u64,
    parameters: Vec<ParameterStatistics>,
}

impl Tally {
    pub fn new(passes: u32, device: Device) -> Tally {
        Tally {
            passes,
            in_flight: if device.is_cuda() { STEPS_IN_FLIGHT } else { 1 },
            pending: Vec::new(),
            steps: 0,
            prequential: Score::default(),
            last_pass: Score::default(),
            norm_sum: 0.0,
            norm_max: 0.0,
            clipped: 0,
            parameters: Vec::new(),
        }
    }

    /// Enters a step, and settles when enough are open.
    pub fn enter(
        &mut self,
        entry: Entry,
        observe: &mut dyn FnMut(&StepReport) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.pending.push(entry);
        if self.pending.len() >= self.in_flight { self.settle(observe) } else { Ok(()) }
    }

    /// Reads what is open, adds it up, tells the observer.
    pub fn settle(
        &mut self,
        observe: &mut dyn FnMut(&StepReport) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let Some(last) = self.pending.last().map(|entry| entry.step) else { return Ok(()) };
        let numbers = read(&self.pending)?;
        for (entry, numbers) in self.pending.drain(..).zip(numbers.chunks_exact(4)) {
            let [nats, honest, gradient_norm] = [numbers[0], numbers[1], numbers[2]];
            let clipped = numbers[3] > 0.0;
            let step = entry.step;
            if !(nats.is_finite() && honest.is_finite() && gradient_norm.is_finite()) {
                return Err(Error::Diverged { step, nats, gradient_norm });
            }
            let score = Score { nats, targets: entry.targets as u64 };
            self.steps += 1;
            self.norm_sum += gradient_norm;
            self.norm_max = self.norm_max.max(gradient_norm);
            self.clipped += u64::from(clipped);
            if entry.pass == 0 {
                self.prequential += Score { nats: honest, ..score };
            }
            if entry.pass + 1 == self.passes {
                self.last_pass += score;
            }
            let Entry { pass, learning_rate, survey, .. } = entry;
            self.parameters.extend(survey.into_iter().flatten());
            let report = StepReport { step, pass, score, gradient_norm, learning_rate };
            if observe(&report).is_break() {
                return Err(Error::Interrupted { step: last });
            }
        }
        Ok(())
    }

    pub fn report(self, words: usize, elapsed: Duration) -> ChunkReport {
        ChunkReport {
            words,
            steps: self.steps,
            prequential: self.prequential,
            last_pass: self.last_pass,
            gradient_norms: GradientNorms {
                mean: self.norm_sum / self.steps.max(1) as f64,
                max: self.norm_max,
                clipped: self.clipped,
            },
            parameters: self.parameters,
            elapsed,
        }
    }
}

/// Four numbers for each entry, in one transfer.
fn read(entries: &[Entry]) -> Result<Vec<f64>, Error> {
    let numbers: Vec<&Tensor> = entries
        .iter()
        .flat_map(|entry| {
            [&entry.nats, &entry.honest, &entry.clipped.norm, &entry.clipped.happened]
        })
        .collect();
    let numbers = Tensor::f_stack(&numbers, 0)
        .and_then(|numbers| numbers.f_to_kind(Kind::Double))
        .and_then(Vec::<f64>::try_from);
    numbers.doing("could not read the losses")
}
