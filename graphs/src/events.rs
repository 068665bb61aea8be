//! What a job says of itself while it runs: data for whoever shows it.

use std::{path::PathBuf, time::Duration};

use operators::Epoch;
use serde::Serialize;

use crate::{evaluate::Evaluation, ledger::Account};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A checkpoint was damaged, and an earlier one is used: what it is called now, and the reason.
    PassedOver(PathBuf, String),
    /// The run goes on from a checkpoint: its epoch, its account, and the next chunk's number.
    Resumed(Epoch, Account, u64),
    /// A source was listed.
    Listed(Listed),
    /// Some of an optimizer's steps were taken.
    Step(model::StepReport),
    /// A chunk was learnt.
    Chunk(ChunkLearnt),
    /// An epoch was learnt; the account so far.
    Learnt(Epoch, Account),
    /// The model was scored on the held-out documents.
    Evaluated(Evaluation),
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

/// What came of a chunk.
#[derive(Clone, Debug, Serialize)]
pub struct ChunkLearnt {
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
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// Ids trained on in a second, all sweeps counted.
    pub words_per_second: f64,
    /// Rows of the model.
    pub rows: usize,
}
