//! What a job says of itself while it runs: data for whoever shows it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use operators::Epoch;
use serde::Serialize;

use crate::{
    control::Command, evaluate::Evaluation, learner::pupil::SetAside, ledger::Account, peers::News,
};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A checkpoint was damaged, and an earlier one is used: what it is called now, and the reason.
    PassedOver(PathBuf, String),
    /// The run goes on from a checkpoint: its epoch, its account, and the next chunk's number.
    Resumed(Epoch, Account, u64),
    /// A source was listed.
    Listed(Listed),
    /// A step was taken by the first model that learns.
    Step(model::StepReport),
    /// A chunk was learnt by a model.
    Chunk(ChunkLearnt),
    /// An epoch was learnt; the account so far.
    Learnt(Epoch, Account),
    /// What became of the entries of each source since this was told last.
    Read(BTreeMap<String, Account>),
    /// The job was told something: the first epoch that it holds for, and what.
    Steered(Epoch, Command),
    /// How the processes of the job find together.
    Processes(News),
    /// A model was scored on held-out documents.
    Evaluated(HeldOutScore),
    /// A model learns no more, while others go on.
    SetAside(ModelSetAside),
    /// A checkpoint was written; how long the trainer stood still for it.
    Committed(Epoch, Duration),
}

/// What a source has to offer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Listed {
    /// The source's name.
    pub source: String,
    /// Entries that the job wants, whether they can be used or not.
    pub offered: u64,
    /// Those of them that are to be read: new or revised.
    pub new: u64,
    /// Those that cannot be used (no page, another host, a broken line) and were not told yet.
    pub unusable: u64,
    /// Entries of earlier listings that are there no more.
    pub withdrawn: u64,
}

/// How well a model predicts held-out documents.
#[derive(Clone, Debug, Serialize)]
pub struct HeldOutScore {
    /// The model.
    pub model: String,
    /// Chunks learnt until then.
    pub chunks: u64,
    /// Steps taken until then.
    pub step: u64,
    /// The score.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// A model that learns no more.
#[derive(Clone, Debug, Serialize)]
pub struct ModelSetAside {
    /// The model.
    pub model: String,
    /// Why.
    pub why: SetAside,
}

/// What came of a chunk.
#[derive(Clone, Debug, Serialize)]
pub struct ChunkLearnt {
    /// The model.
    pub model: String,
    /// Its number.
    pub chunk: u64,
    /// Its ids.
    pub ids: u64,
    /// The characters that they stand for.
    pub characters: u64,
    /// Nats of the chunk, each window scored before it was trained on.
    pub prequential_nats: f64,
    /// The same in bits a character.
    pub bits_per_character: f64,
    /// Mean nats an id in the last sweep.
    pub last_pass_loss: f64,
    /// Steps taken in the whole life of the run.
    pub step: u64,
    /// Mean norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The largest of them.
    pub gradient_norm_max: f64,
    /// Share of the steps whose gradient was clipped.
    pub clipped_share: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// Ids trained on in a second, all sweeps counted.
    pub words_per_second: f64,
    /// Rows of the model.
    pub rows: usize,
}
