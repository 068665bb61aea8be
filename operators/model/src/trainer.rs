//! Learns chunk after chunk, by truncated backpropagation through time with the hidden state carried
//! on from window to window and from chunk to chunk.
//!
//! A chunk is cut into lanes ([`crate::layout`]) and swept `passes` times. Before each sweep the
//! state **rolls** by one lane: lane `b` goes on from the state in which lane `b - 1` ended the sweep
//! before, because lane `b - 1`'s text is what precedes lane `b`'s; lane 0 goes on from the state in
//! which the last lane ended the previous chunk. (In the first sweep of a chunk lanes 1 and up thus
//! start from the state of another text: warm, if not quite right.)
//!
//! The first sweep's losses are the **prequential** loss: each window is scored before the step on
//! it. Without dropout they are the training losses themselves, and free. With dropout each window
//! of the first sweep is scored once more without it, from the same state, for a third of a step's
//! time: a loss under dropout is not the model's.
//!
//! A call either learns its whole chunk, or fails and leaves the trainer unfinished: then it refuses
//! everything, and the caller goes back to a checkpoint. An error must not look like progress.

mod tally;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Device, Reduction, Tensor};

use crate::error::Doing;
use crate::layout::{Layout, Window, lay_out};
use crate::network::{NewRow, Parameter, State};
use crate::optimizer::OptimizerState;
use crate::{DOCUMENT, Error, Network, Settings, seed};
pub use tally::{ChunkReport, GradientNorms, StepReport};
use tally::{Entry, Tally};

/// libtorch has one generator for the whole process, and dropout draws from it. Whoever draws holds
/// this from seeding to the last draw, so that trainers in several threads do not disturb each other.
static GENERATOR: Mutex<()> = Mutex::new(());

/// How far a trainer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps taken.
    pub steps: u64,
    /// Chunks learnt.
    pub chunks: u64,
    /// Words learnt, each chunk's counted once whatever the number of passes.
    pub words: u64,
    /// The last word of the last chunk: the next one's first input.
    pub last_word: u32,
}

/// A network in training, with everything that training changes.
#[derive(Debug)]
pub struct Trainer {
    pub(crate) settings: Settings,
    pub(crate) seed: u64,
    pub(crate) network: Network,
    pub(crate) optimizer: OptimizerState,
    /// Where each lane ended the last sweep: `[layers, batch, hidden]`.
    pub(crate) state: State,
    pub(crate) progress: Progress,
    /// Set while a chunk is being learnt, and left set if that fails.
    unfinished: bool,
}

impl Trainer {
    /// A fresh trainer of a network without rows.
    pub fn new(settings: &Settings, seed: u64, device: Device) -> Result<Trainer, Error> {
        settings.check()?;
        let network = Network::new(&settings.shape, settings.vectors, seed, device)?;
        Ok(Trainer {
            optimizer: OptimizerState::new(settings.optimizer, &network.parameters()),
            state: State::zeros(&settings.shape, settings.batch, device),
            settings: settings.clone(),
            seed,
            network,
            progress: Progress { last_word: DOCUMENT, ..Progress::default() },
            unfinished: false,
        })
    }

    /// The network, as it is after the last chunk.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Refuses if the last chunk was not learnt to its end.
    pub fn check_finished(&self) -> Result<(), Error> {
        if self.unfinished { Err(Error::Unfinished) } else { Ok(()) }
    }

    /// Appends a row for each new word; see [`Network::append_rows`]. Refused rows leave the trainer
    /// as it was.
    pub fn append_rows(&mut self, new: &[NewRow<'_>]) -> Result<(), Error> {
        self.check_finished()?;
        self.network.append_rows(new, self.seed, self.progress.steps > 0)?;
        self.optimizer.grow(&self.network.parameters());
        Ok(())
    }

    /// Learns one chunk of words, which must have rows.
    ///
    /// `observe` is told of every step, in order; on a GPU some steps late, because reading a loss
    /// waits for the device. When it breaks, the call ends with [`Error::Interrupted`].
    pub fn learn(
        &mut self,
        words: &[u32],
        observe: &mut dyn FnMut(&StepReport) -> ControlFlow<()>,
    ) -> Result<ChunkReport, Error> {
        self.check_finished()?;
        self.network.check_words(words)?;
        let started = Instant::now();
        let mut tally = Tally::new(self.settings.passes, self.network.device());
        let Some(&last_word) = words.last() else {
            return Ok(tally.report(0, started.elapsed()));
        };
        self.unfinished = true;
        let Settings { batch, sequence, passes, .. } = self.settings;
        let layout = lay_out(words, self.progress.last_word, batch, sequence);
        let (inputs, targets) = self.on_device(&layout)?;
        let before_chunk = self.state.last_lane();
        for pass in 0..passes {
            self.state = self.state.rolled(&before_chunk);
            for window in &layout.windows {
                let start = window.columns.start as i64;
                let columns = window.columns.len() as i64;
                let [input, target] =
                    [&inputs, &targets].map(|words| words.narrow(0, start, columns));
                let entry = self.step(pass, window, &input, &target)?;
                tally.enter(entry, observe)?;
            }
        }
        tally.settle(observe)?;
        self.progress.chunks += 1;
        self.progress.words += words.len() as u64;
        self.progress.last_word = last_word;
        self.unfinished = false;
        Ok(tally.report(words.len(), started.elapsed()))
    }

    /// One optimizer step on one window.
    fn step(
        &mut self,
        pass: u32,
        window: &Window,
        input: &Tensor,
        target: &Tensor,
    ) -> Result<Entry, Error> {
        let step = self.progress.steps + 1;
        let learning_rate = self.settings.schedule.rate(step);
        let dropout = self.settings.shape.dropout > 0.0;
        let honest = (dropout && pass == 0)
            .then(|| tch::no_grad(|| self.window_nats(input, target, false)))
            .transpose()?;

        let (nats, state) = {
            let _drawing = dropout.then(|| {
                let guard = GENERATOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                // The binding cannot save the generator: reseeding is what makes resuming exact.
                tch::manual_seed(seed::step_seed(self.seed, step));
                guard
            });
            self.window_nats(input, target, true)?
        };
        let parameters = self.network.parameters();
        let gradients = gradients(&(&nats / window.targets as f64), &parameters)?;
        if let Some(learnable) = self.network.learnable() {
            let mut embedding = gradients[0].shallow_clone();
            let _ = embedding.f_mul_(learnable).doing("could not hold the frozen rows")?;
        }
        let gradient_norm = self.settings.clip.apply(&gradients.iter().collect::<Vec<_>>())?;
        self.optimizer.step(&parameters, &gradients, learning_rate)?;

        self.state = state.detached();
        self.progress.steps = step;
        let nats = nats.detach();
        let targets = window.targets;
        Ok(Entry {
            step,
            pass,
            targets,
            learning_rate,
            honest: honest.map_or_else(|| nats.shallow_clone(), |(honest, _)| honest),
            nats,
            gradient_norm,
        })
    }

    /// The sum of a window's losses from the carried state, and the state after it.
    fn window_nats(
        &self,
        input: &Tensor,
        target: &Tensor,
        train: bool,
    ) -> Result<(Tensor, State), Error> {
        let (features, state) = self.network.features(input, &self.state, train)?;
        let nats = self.network.nats(&features, target, Reduction::Sum)?;
        Ok((nats, state))
    }

    /// Inputs and targets `[columns, lanes]`: one transfer for the whole chunk.
    fn on_device(&self, layout: &Layout) -> Result<(Tensor, Tensor), Error> {
        let size = [layout.columns as i64, layout.lanes as i64];
        let placed = |words: &[i64]| {
            let words = Tensor::f_from_slice(words)?.f_view(size)?;
            words.f_to_device(self.network.device())
        };
        let both = placed(&layout.inputs).and_then(|inputs| Ok((inputs, placed(&layout.targets)?)));
        both.doing("could not bring a chunk to the device")
    }
}

/// The gradients of `loss`, each the parameter's own.
fn gradients(loss: &Tensor, parameters: &[Parameter<'_>]) -> Result<Vec<Tensor>, Error> {
    let tensors: Vec<&Tensor> = parameters.iter().map(|parameter| parameter.tensor).collect();
    let gradients = Tensor::f_run_backward(&[loss], &tensors, false, false)
        .doing("could not compute the gradients")?;
    Ok(owned(gradients))
}

/// Makes gradients contiguous, because kernels step through them as through their parameters, and
/// gives each memory of its own, because clipping changes them in place. libtorch promises neither:
/// a layer's two biases have equal gradients, and a kernel may return one tensor for both.
fn owned(gradients: Vec<Tensor>) -> Vec<Tensor> {
    let mut owned: Vec<Tensor> = Vec::with_capacity(gradients.len());
    for gradient in gradients {
        let gradient = gradient.contiguous();
        let shared = owned.iter().any(|other| other.data_ptr() == gradient.data_ptr());
        owned.push(if shared { gradient.copy() } else { gradient });
    }
    owned
}
