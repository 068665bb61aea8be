//! The tables of a job file, as written, each with its defaults.

use std::path::PathBuf;

use model::{Cell, Decay, Precision};
use operators::{vectors, vocabulary::Admission};
use serde::{Deserialize, Serialize};

use super::Trigger;

/// What sources may read that are attached to the job later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Folders whose files they may read; empty means the folder in which the job was started.
    pub files: Vec<PathBuf>,
}

/// How the catalogue flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flow {
    /// Entries in an epoch.
    pub epoch_entries: usize,
    /// Epochs that may be open at once.
    pub epochs_in_flight: u64,
}

impl Default for Flow {
    fn default() -> Self {
        Self { epoch_entries: 8, epochs_in_flight: 4 }
    }
}

/// How many workers get work from an epoch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The first epoch.
    pub from_epoch: operators::Epoch,
    /// Workers that get work.
    pub workers: usize,
}

/// The analyzer's dictionary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dictionary {
    /// Its folder; empty means wherever set-up has put it.
    pub directory: PathBuf,
}

/// Pretrained vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vectors {
    /// Their file; empty means that embeddings are learned from nothing.
    pub file: PathBuf,
    /// How the file is written.
    pub format: vectors::Format,
    /// Whether training changes them.
    pub use_as: model::Vectors,
}

impl Default for Vectors {
    fn default() -> Self {
        let (file, format) = (PathBuf::new(), vectors::Format::Auto);
        Self { file, format, use_as: model::Vectors::Tuned }
    }
}

/// When words enter the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vocabulary {
    /// Ids in all, those of characters and bytes included.
    pub limit: u32,
    /// How often a word must have been seen.
    pub minimum_count: u64,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self { limit: 20_000, minimum_count: 3 }
    }
}

impl From<Vocabulary> for Admission {
    fn from(vocabulary: Vocabulary) -> Self {
        Self { limit: vocabulary.limit, minimum_count: vocabulary.minimum_count }
    }
}

/// How the stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chunk {
    /// Ids in a chunk.
    pub words: usize,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { words: 65_536 }
    }
}

/// A model: its name and the shape of its network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// What the model is called, and its folder in a checkpoint.
    pub name: String,
    /// The recurrent cell.
    pub cell: Cell,
    /// Recurrent layers.
    pub layers: usize,
    /// Width of each recurrent layer.
    pub hidden: usize,
    /// Width of the embedding; with pretrained vectors, their dimension, and 0 means just that.
    pub embedding: usize,
    /// Whether the output weights are the embedding.
    pub tied: bool,
    /// Share of activations that training drops.
    pub dropout: f64,
    /// Whether it drops the same ones in all columns of a window.
    pub locked_dropout: bool,
    /// Share of the words that training does not see, a window each.
    pub embedding_dropout: f64,
    /// Share of the recurrent matrices that training drops.
    pub weight_drop: f64,
    /// What `irnn` starts its recurrence from: this much of the identity.
    pub identity: f64,
    /// The output layer.
    pub softmax: Softmax,
    /// The ids at which the clusters of an adaptive softmax begin.
    pub cutoffs: Vec<usize>,
    /// How many times narrower each cluster is than the one before it.
    pub reduction: usize,
    /// What of `[train]` is otherwise for this model; see [`super::Job::train_of`].
    pub train: toml::Table,
}

/// The output layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Softmax {
    /// Over all words at once.
    Full,
    /// By clusters of words, the later ones narrower.
    Adaptive,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: "model".into(),
            cell: Cell::Lstm,
            layers: 2,
            hidden: 512,
            embedding: 200,
            tied: true,
            dropout: 0.0,
            locked_dropout: false,
            embedding_dropout: 0.0,
            weight_drop: 0.0,
            identity: 1.0,
            softmax: Softmax::Full,
            cutoffs: vec![2000, 10_000],
            reduction: 4,
            train: toml::Table::new(),
        }
    }
}

/// How the network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Train {
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Threads of the trainer on a CPU; 0 means one for each core. The bits of the weights depend
    /// on it, so a run keeps the number that it began with.
    pub threads: usize,
    /// Lanes that are read side by side.
    pub batch: usize,
    /// Words of a lane in one step.
    pub sequence: usize,
    /// Sweeps over each chunk.
    pub passes: u32,
    /// What turns gradients into steps.
    pub optimizer: Optimizer,
    /// The length of a step; where a schedule changes it, the longest.
    pub learning_rate: f64,
    /// How the learning rate falls.
    pub schedule: Schedule,
    /// Steps in which the learning rate climbs from zero, before it falls.
    pub warm_up: u64,
    /// Steps that the fall takes.
    pub decay_steps: u64,
    /// What `step` and `exponential` multiply the rate by in that time.
    pub decay_rate: f64,
    /// How `polynomial` is bent.
    pub decay_power: f64,
    /// The share of the learning rate that the fall ends at.
    pub final_share: f64,
    /// Share of the weights that a step takes away.
    pub weight_decay: f64,
    /// Share of the last direction that `sgd` keeps.
    pub momentum: f64,
    /// How gradients are clipped.
    pub clip: Clipping,
    /// Where they are clipped.
    pub clip_at: f64,
    /// In what precision a step computes.
    pub precision: Precision,
    /// The share that the running average of the weights keeps at each step; 0 for no average.
    pub average: f64,
    /// What the loss is charged for loud activations.
    pub activation_regularization: f64,
    /// What the loss is charged for activations that change.
    pub temporal_activation_regularization: f64,
}

/// What turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Kingma and Ba 2015.
    Adam,
    /// Loshchilov and Hutter 2019.
    AdamW,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// How the learning rate falls once it has warmed up; the formulas are [`model::Decay`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// At once, every `decay_steps` steps.
    Step,
    /// By the same share at every step.
    Exponential,
    /// As a power of what is left of `decay_steps`.
    Polynomial,
    /// As half a wave of the cosine over `decay_steps`.
    Cosine,
    /// With the inverse square root of the steps: without an end.
    InverseSquareRoot,
}

impl Train {
    /// The learning rate of each step.
    pub fn schedule(&self) -> model::Schedule {
        let (steps, rate) = (self.decay_steps, self.decay_rate);
        model::Schedule {
            peak: self.learning_rate,
            warm_up: self.warm_up,
            decay: match self.schedule {
                Schedule::Constant => Decay::Constant,
                Schedule::Step => Decay::Step { steps, rate },
                Schedule::Exponential => Decay::Exponential { steps, rate },
                Schedule::Polynomial => Decay::Polynomial { steps, power: self.decay_power },
                Schedule::Cosine => Decay::Cosine { steps },
                Schedule::InverseSquareRoot => Decay::InverseSquareRoot { steps },
            },
            final_share: self.final_share,
        }
    }
}

/// How gradients are clipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clipping {
    /// Not at all.
    None,
    /// All by one factor, so that their global norm is at most `clip_at`.
    Norm,
    /// Each element at plus and minus `clip_at`.
    Value,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            device: "auto".into(),
            threads: 0,
            batch: 32,
            sequence: 64,
            passes: 1,
            optimizer: Optimizer::Adam,
            learning_rate: 0.002,
            schedule: Schedule::Constant,
            warm_up: 0,
            decay_steps: 10_000,
            decay_rate: 0.5,
            decay_power: 1.0,
            final_share: 0.1,
            weight_decay: 0.0,
            momentum: 0.0,
            clip: Clipping::Norm,
            clip_at: 1.0,
            precision: Precision::Float32,
            average: 0.0,
            activation_regularization: 0.0,
            temporal_activation_regularization: 0.0,
        }
    }
}

/// What was learnt before and is learnt again beside what is new.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// Share of each chunk's words that are learnt again with it.
    pub share: f64,
    /// Segments that are kept of what was learnt.
    pub segments: usize,
    /// Ids in a segment.
    pub segment_words: usize,
    /// From when on.
    pub from: ReplayFrom,
}

/// From when on what was learnt before is learnt again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayFrom {
    /// From the first chunk on that has words of an attached source.
    Attach,
    /// From the beginning.
    Always,
}

impl Default for Replay {
    fn default() -> Self {
        Self { share: 0.1, segments: 4096, segment_words: 256, from: ReplayFrom::Attach }
    }
}

/// What is never trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldOut {
    /// Share of the entries, chosen by a hash of their id.
    pub share: f64,
    /// How often models are scored on them; at the end they always are.
    pub every: Trigger,
    /// Words after which an evaluation during the run stops to take documents; the one at the end
    /// takes all.
    pub words: usize,
    /// Words that the model writes at each evaluation to have its repetitions gauged; 0 for none.
    pub passage: usize,
}

impl Default for HeldOut {
    fn default() -> Self {
        Self { share: 0.02, every: Trigger::Chunks(10), words: 20_000, passage: 200 }
    }
}

/// How a run is drawn while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plots {
    /// Seconds from one drawing to the next; 0 draws nothing, not at the end either.
    pub every_seconds: f64,
    /// Whether TensorBoard's event files are written as well.
    pub tensorboard: bool,
}

impl Default for Plots {
    fn default() -> Self {
        Self { every_seconds: 30.0, tensorboard: false }
    }
}

/// When checkpoints are written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    /// From one to the next, at least; only a closed epoch can be committed.
    pub every: Trigger,
    /// How many are kept.
    pub keep: usize,
}

impl Default for Commit {
    fn default() -> Self {
        Self { every: Trigger::Seconds(60.0), keep: 3 }
    }
}

/// What a run tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// How often steps are told of where no terminal shows them.
    pub print: Trigger,
}

impl Default for Report {
    fn default() -> Self {
        Self { print: Trigger::Seconds(10.0) }
    }
}
