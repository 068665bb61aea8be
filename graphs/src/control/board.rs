//! The board: what a job's events come to, for whoever asks how it goes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use operators::Epoch;
use serde::Serialize;

use crate::{evaluate::Evaluation, events::Event, ledger::Account};

/// What the events have told so far. Clones are the same board.
#[derive(Clone, Default)]
pub struct Board {
    shared: Arc<Mutex<Progress>>,
}

/// How a job goes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress {
    /// The last epoch that was learnt.
    pub learnt: Option<Epoch>,
    /// The last epoch that is durable.
    pub committed: Option<Epoch>,
    /// What became of the entries.
    pub account: Account,
    /// Steps taken in the whole life of the run.
    pub steps: u64,
    /// Chunks learnt in the whole life of the run.
    pub chunks: u64,
    /// Mean nats an id of the last step, before it.
    pub loss: Option<f64>,
    /// Of the last chunk, before it was trained on.
    pub bits_per_character: Option<f64>,
    /// Ids trained on in a second, at the last chunk.
    pub words_per_second: Option<f64>,
    /// The last score on the held-out documents.
    pub held_out: Option<Evaluation>,
    /// By name.
    pub sources: BTreeMap<String, SourceProgress>,
}

/// How reading a source goes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SourceProgress {
    /// Entries that it has, as it was listed last.
    pub offered: u64,
    /// Those of them that were new or revised, or told of for the first time.
    pub to_read: u64,
    /// Whether it is read no further, as the helm says that gives the status.
    pub detached: bool,
    /// What became of its entries.
    pub account: Account,
}

impl Board {
    /// Takes note of what happened.
    pub fn note(&self, event: &Event) {
        let progress = &mut *self.lock();
        match event {
            Event::Resumed(epoch, account, next_chunk) => {
                (progress.learnt, progress.committed) = (Some(*epoch), Some(*epoch));
                (progress.account, progress.chunks) = (*account, *next_chunk);
            }
            Event::Listed(listed) => {
                let source = progress.sources.entry(listed.source.clone()).or_default();
                source.offered = listed.offered;
                source.to_read += listed.new + listed.unusable + listed.withdrawn;
            }
            Event::Step(step) => {
                (progress.steps, progress.loss) = (step.step, Some(step.score.mean()));
            }
            Event::Chunk(chunk) => {
                progress.chunks = chunk.chunk + 1;
                progress.bits_per_character = Some(chunk.bits_per_character);
                progress.words_per_second = Some(chunk.words_per_second);
            }
            Event::Learnt(epoch, account) => {
                (progress.learnt, progress.account) = (Some(*epoch), *account);
            }
            Event::Read(accounts) => {
                for (name, account) in accounts {
                    progress.sources.entry(name.clone()).or_default().account.join(account);
                }
            }
            Event::Evaluated(score) => progress.held_out = Some(score.evaluation),
            Event::Committed(epoch, _) => progress.committed = Some(*epoch),
            Event::PassedOver(..)
            | Event::Steered(..)
            | Event::Processes(_)
            | Event::SetAside(_) => {}
        }
    }

    /// How the job goes now.
    pub fn read(&self) -> Progress {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.shared.lock().expect("nothing panics while it holds the board")
    }
}
