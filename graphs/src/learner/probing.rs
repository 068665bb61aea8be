//! The learner's probe: how far back gradients reach in each model, by how much its recurrence can
//! lengthen a vector, and how large its parameters, their gradients and their steps are.
//!
//! Each is measured after the first chunk of a run and then by its trigger, the profile at the end of
//! the job as well. Nothing is changed by it and nothing drawn: the weights are the same without.

use model::{GradientProfile, SpectralNorm, trainer::ParameterStatistics};
use operators::{batch::Batch, vocabulary::DOCUMENT};
use serde::Serialize;

use super::{Learner, LearnerError, Pupil, pupil::for_each_learning};
use crate::{
    evaluate::within,
    job::{Moment, Report, Trigger},
};

/// What is measured when.
#[derive(Debug)]
pub struct Probe {
    report: Report,
    /// When profiles were last taken, or this process began.
    profiled: Option<Moment>,
    /// The same of the parameters.
    surveyed: Option<Moment>,
    /// Chunks learnt when the last profile was taken.
    newest: Option<u64>,
}

impl Probe {
    /// As the job says.
    pub fn of(report: Report) -> Self {
        Self { report, profiled: None, surveyed: None, newest: None }
    }

    /// Notes where this process begins.
    pub(super) fn begin(&mut self, now: Moment) {
        (self.profiled, self.surveyed) = (Some(now), Some(now));
    }

    /// Whether the parameters that have learnt a chunk are to be told of.
    pub(super) fn surveys(&mut self, now: Moment) -> bool {
        is_due(self.report.parameters, &mut self.surveyed, now)
    }
}

/// Whether it is time again, and then notes that. The first chunk of a run is always looked at: it is
/// what later ones are compared with.
fn is_due(trigger: Trigger, since: &mut Option<Moment>, now: Moment) -> bool {
    let first = now.chunks == 1 && trigger != Trigger::Never;
    let due = first || since.is_none_or(|since| trigger.is_due(since, now));
    if due {
        *since = Some(now);
    }
    due
}

/// A gradient profile, as `metrics.jsonl` has it.
#[derive(Serialize)]
struct Profiled<'a> {
    model: &'a str,
    chunks: u64,
    step: u64,
    /// At index `d` the norm at distance `d`.
    norms: Vec<f64>,
    lanes: usize,
    nats: f64,
    spectral_norms: Vec<SpectralNorm>,
}

/// The parameters after the last step of a chunk, as `metrics.jsonl` has them.
#[derive(Serialize)]
struct Surveyed<'a> {
    model: &'a str,
    chunks: u64,
    step: u64,
    parameters: Vec<ParameterStatistics>,
}

impl Learner {
    /// Takes profiles after a chunk with these ids, if it is time.
    pub(super) fn profile_if_due(&mut self, chunk: &[u32]) -> Result<(), LearnerError> {
        let now = self.moment();
        if is_due(self.probe.report.gradients, &mut self.probe.profiled, now) {
            self.profile(chunk)?;
        }
        Ok(())
    }

    /// Takes profiles at the end of the job, unless that was just done or is never to be.
    pub(super) fn profile_at_the_end(&mut self) -> Result<(), LearnerError> {
        let done = self.probe.newest == Some(self.counts.next_chunk);
        if done || self.counts.next_chunk == 0 || self.probe.report.gradients == Trigger::Never {
            return Ok(());
        }
        self.profile(&[])
    }

    /// Measures every model on the beginning of the held-out text, so that one profile can be laid
    /// beside the next; where that is too short for a single lane, on the beginning of `chunk`.
    fn profile(&mut self, chunk: &[u32]) -> Result<(), LearnerError> {
        const WORDS: usize = GradientProfile::LANES * (GradientProfile::LENGTH + 1);
        self.probe.newest = Some(self.counts.next_chunk);
        let documents = within(&self.state.held_out, WORDS);
        let vocabulary = &self.state.vocabulary;
        let look = |_, pupil: &mut Pupil| {
            let trainer = pupil.trainer.as_ref().expect("only pupils that learn are looked at");
            let network = trainer.network();
            let mut text = Vec::new();
            for words in documents.iter().flat_map(Batch::iter) {
                let surfaces = words.surfaces.iter().flatten();
                text.extend(vocabulary.encode(words.keys, surfaces, network.rows() as u32).ids);
                text.push(DOCUMENT);
            }
            let text = if text.len() > GradientProfile::LENGTH { &text[..] } else { chunk };
            network.gradient_profile(text, GradientProfile::LANES, GradientProfile::LENGTH)
        };
        let profiles = for_each_learning(&mut self.pupils, self.threads, look);
        for (place, profile) in profiles {
            let GradientProfile { norms, lanes, nats, spectral_norms } = profile?;
            let pupil = &self.pupils[place];
            let (model, step) = (pupil.name.clone(), pupil.record.steps);
            let chunks = self.counts.next_chunk;
            let norms = norms.into_iter().map(short).collect();
            let spectral_norms = spectral_norms
                .into_iter()
                .map(|norm| SpectralNorm {
                    largest: short(norm.largest),
                    gates: norm.gates.into_iter().map(short).collect(),
                })
                .collect();
            let model = model.as_str();
            let line = Profiled { model, chunks, step, norms, lanes, nats, spectral_norms };
            self.measure("gradients", &line)?;
        }
        Ok(())
    }

    /// Tells how a model's parameters stood after the last step of the chunk just learnt.
    pub(super) fn survey(
        &mut self,
        place: usize,
        parameters: &[ParameterStatistics],
    ) -> Result<(), LearnerError> {
        let pupil = &self.pupils[place];
        let (model, step) = (pupil.name.clone(), pupil.record.steps);
        let parameters = parameters
            .iter()
            .map(|parameter| ParameterStatistics {
                name: parameter.name.clone(),
                weight_norm: short(parameter.weight_norm),
                gradient_norm: short(parameter.gradient_norm),
                update_norm: short(parameter.update_norm),
            })
            .collect();
        let line = Surveyed { model: &model, chunks: self.counts.next_chunk, step, parameters };
        self.measure("parameters", &line)
    }
}

/// A number to six digits: the rest is noise, and would double the file.
fn short(number: f64) -> f64 {
    if number.is_finite() { format!("{number:.5e}").parse().expect("a number") } else { number }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn six_digits_are_kept_at_every_size() {
        let told = [0.0, 1.0, 123.456_789, 1.234_567_8e-60, -9.999_999_9e20].map(short);
        assert_eq!(told, [0.0, 1.0, 123.457, 1.234_57e-60, -1e21]);
        assert!(short(f64::INFINITY).is_infinite() && short(f64::NAN).is_nan());
    }

    #[test]
    fn the_first_chunk_is_looked_at_and_then_each_multiple_also_after_a_resume() {
        let moment = |chunks| Moment { chunks, steps: 7 * chunks, at: Instant::now() };
        for resumed in 0..9 {
            let mut probe = Probe::of(Report {
                gradients: Trigger::Never,
                parameters: Trigger::Chunks(3),
                ..Report::default()
            });
            probe.begin(moment(0));
            let (mut profiled, mut surveyed) = (0, Vec::new());
            for chunk in 1..10 {
                let now = moment(chunk);
                profiled += u64::from(is_due(probe.report.gradients, &mut probe.profiled, now));
                if probe.surveys(now) {
                    surveyed.push(chunk);
                }
                if chunk == resumed {
                    probe.begin(now);
                }
            }
            assert_eq!((profiled, surveyed), (0, vec![1, 3, 6, 9]), "resumed after {resumed}");
        }
    }
}
