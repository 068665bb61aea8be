//! `[model]` and `[train]`, as written: what is learnt, and how.

use model::{Cell, Decay, Precision};
use serde::{Deserialize, Serialize};

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
