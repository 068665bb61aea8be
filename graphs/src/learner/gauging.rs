//! The learner's ear: at each evaluation it hears how the models repeat themselves.

use serde::Serialize;

use super::{Learner, LearnerError, Pupil, pupil::for_each_learning};
use crate::{
    evaluate::within,
    repetition::{Gauge, gauge},
};

/// How a model repeats itself, as `metrics.jsonl` has it.
#[derive(Serialize)]
struct Heard<'a> {
    model: &'a str,
    chunks: u64,
    step: u64,
    #[serde(flatten)]
    gauge: Gauge,
}

impl Learner {
    /// Measures a passage and sentences of the held-out text. Draws from a generator of its own and
    /// changes no tensor: the weights are the same without it.
    pub(super) fn gauge(&mut self) -> Result<(), LearnerError> {
        let passage = self.held_out.passage;
        if passage == 0 {
            return Ok(());
        }
        // Of the held-out text only the beginning is needed, whatever was scored.
        let documents = within(&self.state.held_out, passage);
        let vocabulary = &self.state.vocabulary;
        let listen = |_, pupil: &mut Pupil| {
            let trainer = pupil.trainer.as_ref().expect("only pupils that learn are heard");
            gauge(trainer.averaged(), vocabulary, documents, passage)
        };
        for (place, gauge) in for_each_learning(&mut self.pupils, self.threads, listen) {
            let gauge = gauge?;
            let pupil = &self.pupils[place];
            let (model, step) = (pupil.name.clone(), pupil.record.steps);
            let chunks = self.counts.next_chunk;
            self.measure("repetition", &Heard { model: &model, chunks, step, gauge })?;
        }
        Ok(())
    }
}
