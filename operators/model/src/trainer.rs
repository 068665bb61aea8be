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
//! it. Without dropout they are the training losses themselves, and free. With dropout of any kind
//! each window of the first sweep is scored once more without it, from the same state, for a third of
//! a step's time: a loss under dropout is not the model's. Nor are the burdens of
//! [`crate::Regularization`], which no score contains.
//!
//! A call either learns its whole chunk, or fails and leaves the trainer unfinished: then it refuses
//! everything, and the caller goes back to a checkpoint. An error must not look like progress.

pub(crate) mod average;
mod replay;
mod survey;
mod tally;

#[cfg(test)]
mod tests;

use std::ops::{ControlFlow, Range};
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Device, Reduction, Tensor};

use crate::error::Doing;
use crate::layout::{Window, lay_out};
use crate::network::{NewRow, Parameter, State, Targets};
use crate::optimizer::OptimizerState;
use crate::{DOCUMENT, Error, Network, Settings, seed};
pub use replay::Material;
use replay::Replay;
pub use survey::ParameterStatistics;
use survey::Survey;
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
    /// Steps taken when the rate was last warmed up anew; 0 if never.
    #[serde(default)]
    pub rewarmed: u64,
}

/// A network in training, with everything that training changes.
#[derive(Debug)]
pub struct Trainer {
    pub(crate) settings: Settings,
    pub(crate) seed: u64,
    pub(crate) network: Network,
    /// The running average of the network's weights, where the settings ask for one.
    pub(crate) average: Option<Network>,
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
        settings.precision.check(device)?;
        let network = Network::new(&settings.shape, settings.vectors, seed, device)?;
        let averages = settings.average > 0.0;
        Ok(Trainer {
            average: averages.then(|| average::begun(settings, &network, seed)).transpose()?,
            optimizer: OptimizerState::new(settings.optimizer, &network.parameters()),
            state: State::zeros(&settings.shape, settings.batch, device),
            settings: settings.clone(),
            seed,
            network,
            progress: Progress { last_word: DOCUMENT, ..Progress::default() },
            unfinished: false,
        })
    }

    /// The network in training, as it is after the last chunk.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network to use: the one in training, or its running average if there is one. This is
    /// what a checkpoint's `model.safetensors` holds.
    pub fn averaged(&self) -> &Network {
        self.average.as_ref().unwrap_or(&self.network)
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The learning rate of the last step, or of the first if none was taken.
    pub fn learning_rate(&self) -> f64 {
        let Progress { steps, rewarmed, .. } = self.progress;
        self.settings.schedule.rate(steps.max(rewarmed + 1), rewarmed)
    }

    /// Begins the schedule anew: from the next step on the rate warms up and decays again, as for
    /// text of another kind than before (Ibrahim et al. 2024). Moments and weights stay.
    pub fn rewarm(&mut self) {
        self.progress.rewarmed = self.progress.steps;
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
        match &mut self.average {
            Some(average) => average::grow(average, &self.network),
            None => Ok(()),
        }
    }

    /// Learns one chunk of words, and what is replayed beside it; all must have rows.
    ///
    /// Replayed words are trained on in lanes of their own, in the same windows: as many lanes as
    /// have room for them all. Those lanes start each sweep from a zero state and leave the carried
    /// one alone; their losses weigh as much as the others', target for target.
    ///
    /// `observe` is told of every step, in order; on a GPU some steps late, because reading a loss
    /// waits for the device. When it breaks, the call ends with [`Error::Interrupted`].
    pub fn learn<'a>(
        &mut self,
        material: impl Into<Material<'a>>,
        observe: &mut dyn FnMut(&StepReport) -> ControlFlow<()>,
    ) -> Result<ChunkReport, Error> {
        let Material { words, replayed } = material.into();
        self.check_finished()?;
        self.network.check_words(words)?;
        self.network.check_words(replayed)?;
        let started = Instant::now();
        let device = self.network.device();
        let mut tally = Tally::new(self.settings.passes, device);
        let Some(&last_word) = words.last() else {
            return Ok(tally.report(0, started.elapsed()));
        };
        self.unfinished = true;
        let Settings { batch, sequence, passes, .. } = self.settings;
        let layout = lay_out(words, self.progress.last_word, batch, sequence);
        let windows = &layout.windows;
        let inputs = placed(&layout.inputs, batch, device)?;
        let targets = self.network.target_windows(&layout.targets, &places(windows, batch))?;
        let mut replay =
            Replay::lay_out(replayed, layout.columns, windows, &self.settings, &self.network)?;
        let before_chunk = self.state.last_lane();
        for pass in 0..passes {
            self.state = self.state.rolled(&before_chunk);
            if let Some(replay) = &mut replay {
                replay.begin(&self.settings, device);
            }
            for (number, window) in windows.iter().enumerate() {
                let own = Own {
                    input: columns_of(&inputs, &window.columns),
                    target: &targets[number],
                    targets: window.targets,
                    last: pass + 1 == passes && number + 1 == windows.len(),
                };
                let beside = replay.as_mut().map(|replay| Beside {
                    input: columns_of(&replay.inputs, &window.columns),
                    window: number,
                    replay,
                });
                let entry = self.step(pass, &own, beside)?;
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
        own: &Own<'_>,
        beside: Option<Beside<'_>>,
    ) -> Result<Entry, Error> {
        let step = self.progress.steps + 1;
        let learning_rate = self.settings.schedule.rate(step, self.progress.rewarmed);
        let draws = self.settings.draws();
        let honest = (draws && pass == 0)
            .then(|| tch::no_grad(|| self.window_nats(own, None, false)))
            .transpose()?;

        let window = {
            let _drawing = draws.then(|| {
                let guard = GENERATOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                // The binding cannot save the generator: reseeding is what makes resuming exact.
                tch::manual_seed(seed::step_seed(self.seed, step));
                guard
            });
            self.window_nats(own, beside.as_ref(), true)?
        };
        let parameters = self.network.parameters();
        let loss = match (&window.beside, &beside) {
            (Some((nats, _)), Some(beside)) => {
                (&window.nats + nats) / (own.targets + beside.replay.counts[beside.window]) as f64
            }
            _ => &window.nats / own.targets as f64,
        };
        let loss = match &window.burden {
            Some(burden) => loss + burden,
            None => loss,
        };
        let gradients = gradients(&loss, &parameters)?;
        if let Some(learnable) = self.network.learnable() {
            let mut embedding = gradients[0].shallow_clone();
            let _ = embedding.f_mul_(learnable).doing("could not hold the frozen rows")?;
        }
        let survey = own.last.then(|| Survey::begin(&parameters, &gradients)).transpose()?;
        let clipped = self.settings.clip.apply(&gradients.iter().collect::<Vec<_>>())?;
        self.optimizer.step(&parameters, &gradients, learning_rate)?;
        let survey = survey.map(|survey| survey.end(&parameters)).transpose()?;
        if let Some(average) = &self.average {
            average::follow(average, &self.network, self.settings.average, step)?;
        }

        self.state = window.state.detached();
        if let (Some((_, state)), Some(beside)) = (window.beside, beside) {
            beside.replay.state = state.detached();
        }
        self.progress.steps = step;
        let nats = window.nats.detach();
        Ok(Entry {
            step,
            pass,
            targets: own.targets,
            learning_rate,
            honest: honest.map_or_else(|| nats.shallow_clone(), |honest| honest.nats),
            nats,
            clipped,
            survey,
        })
    }

    /// The sums of a window's losses from the carried states, and the states after it.
    fn window_nats(
        &self,
        own: &Own<'_>,
        beside: Option<&Beside<'_>>,
        train: bool,
    ) -> Result<WindowNats, Error> {
        let lanes = self.settings.batch as i64;
        let (input, state) = match beside {
            None => (own.input.shallow_clone(), None),
            Some(beside) => (
                Tensor::cat(&[&own.input, &beside.input], 1),
                Some(self.state.beside(&beside.replay.state)),
            ),
        };
        let state = state.as_ref().unwrap_or(&self.state);
        // Gradients are cast as their activations were, so they need no guard.
        let _casting = self.settings.precision.begin()?;
        let (features, state, burden) = if train {
            let how = &self.settings.regularization;
            let activations = self.network.activations(&input, state, how)?;
            let burden = activations.burden(how)?;
            (activations.features, activations.state, burden)
        } else {
            let (features, state) = self.network.features(&input, state, false)?;
            (features, state, None)
        };
        let Some(beside) = beside else {
            let nats = self.network.nats(&features, own.target, Reduction::Sum)?;
            return Ok(WindowNats { nats, state, beside: None, burden });
        };
        // Two sums, because only the first is a score.
        let more = beside.replay.lanes();
        let nats = |first, count, target| {
            self.network.nats(&features.narrow(1, first, count), target, Reduction::Sum)
        };
        Ok(WindowNats {
            nats: nats(0, lanes, own.target)?,
            beside: Some((
                nats(lanes, more, &beside.replay.targets[beside.window])?,
                state.lanes_from(lanes),
            )),
            state: state.first_lanes(lanes),
            burden,
        })
    }
}

/// A window of the chunk's own lanes, `[columns, batch]`.
struct Own<'a> {
    input: Tensor,
    target: &'a Targets,
    /// How many there are.
    targets: usize,
    /// Whether it is the chunk's last: then the parameters are surveyed.
    last: bool,
}

/// The same window of the replayed lanes.
struct Beside<'a> {
    input: Tensor,
    /// The window's number.
    window: usize,
    replay: &'a mut Replay,
}

/// What a window cost, and where its lanes stand after it.
struct WindowNats {
    nats: Tensor,
    state: State,
    beside: Option<(Tensor, State)>,
    /// What regularization adds to the mean loss.
    burden: Option<Tensor>,
}

fn columns_of(words: &Tensor, columns: &Range<usize>) -> Tensor {
    words.narrow(0, columns.start as i64, columns.len() as i64)
}

/// Words `[columns, lanes]` on the device: one transfer for the whole chunk.
fn placed(words: &[i64], lanes: usize, device: Device) -> Result<Tensor, Error> {
    Tensor::f_from_slice(words)
        .and_then(|words| words.f_view([-1, lanes as i64])?.f_to_device(device))
        .doing("could not bring a chunk to the device")
}

/// The places of windows in a layout of `lanes` lanes, column after column.
fn places(windows: &[Window], lanes: usize) -> Vec<Range<usize>> {
    let places = |window: &Window| window.columns.start * lanes..window.columns.end * lanes;
    windows.iter().map(places).collect()
}

/// The gradients of `loss`, each the parameter's own; zeros for those that it does not reach, as for
/// a cluster of words none of which was to be predicted.
pub(crate) fn gradients(loss: &Tensor, parameters: &[Parameter<'_>]) -> Result<Vec<Tensor>, Error> {
    let tensors: Vec<&Tensor> = parameters.iter().map(|parameter| parameter.tensor).collect();
    let gradients = Tensor::f_run_backward(&[loss], &tensors, false, false)
        .doing("could not compute the gradients")?;
    let reached = |(gradient, tensor): (Tensor, &&Tensor)| {
        if gradient.defined() { gradient } else { tensor.detach().zeros_like() }
    };
    Ok(owned(gradients.into_iter().zip(&tensors).map(reached).collect()))
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
