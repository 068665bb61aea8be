//! When each step was taken, where the job asks for it (`report.steps`): a line a chunk and model in the
//! metrics, written once the chunk is learnt, so that no step waits for the disk.

use std::time::SystemTime;

use model::StepReport;
use serde::Serialize;

/// The steps of a chunk.
#[derive(Debug, Serialize)]
pub(super) struct Steps {
    /// The model.
    pub model: String,
    /// The chunk.
    pub chunk: u64,
    /// The number of the first of them; the others follow one by one.
    pub first: u64,
    /// Seconds since 1970 when each was done. On a GPU, when it was known to be.
    pub at: Vec<f64>,
    /// Mean nats a target of each, before the step.
    pub nats: Vec<f64>,
}

impl Steps {
    /// None yet.
    pub fn of(model: &str, chunk: u64) -> Self {
        Self { model: model.to_owned(), chunk, first: 0, at: Vec::new(), nats: Vec::new() }
    }

    /// Takes note of a step that was just done.
    pub fn note(&mut self, step: &StepReport) {
        if self.at.is_empty() {
            self.first = step.step;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.at.push(since.unwrap_or_default().as_secs_f64());
        self.nats.push(step.score.mean());
    }
}
