//! What is done with a chunk: every model learns it, some are scored, some are set aside.

use std::{
    ops::ControlFlow,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Instant,
};

use model::{ChunkReport, Material, NewRow, StepReport};
use operators::{
    fault::Alarm,
    record::{Admitted, Chunk, admitted},
};

use super::{
    GRACE, Learner, LearnerError,
    halving::worse_half,
    pupil::{SetAside, for_each_learning},
    steps::Steps,
};
use crate::{
    evaluate::{Evaluation, within},
    events::{ChunkLearnt, Event, HeldOutScore, ModelSetAside},
    job::{Moment, Reached},
};

impl Learner {
    /// Has every model learn a chunk, scores them if it is time, and ends a rung of a search.
    /// It is left in the middle once the alarm is raised: the job has failed elsewhere.
    pub(super) fn learn(&mut self, chunk: &Chunk, alarm: &Alarm) -> Result<(), LearnerError> {
        let begun = Instant::now();
        let characters = self.state.vocabulary.characters(chunk.ids());
        let batches = std::mem::take(&mut self.state.admitted);
        let admitted: Vec<Admitted<'_>> = batches.iter().flat_map(admitted).collect();
        let new: Vec<NewRow<'_>> =
            admitted.iter().map(|word| NewRow { vector: word.vector, parts: word.parts }).collect();

        let (origins, meets_another) = self.provenance.take(chunk.ids().len());
        let mut replayed = Vec::new();
        if self.provenance.replays(self.replay.from) {
            let (reservoir, words) = (&self.state.reservoir, chunk.ids().len());
            replayed = reservoir.draw(self.seed, &self.replay, chunk.number, words, &origins);
        }
        let material = Material { words: chunk.ids(), replayed: &replayed };

        let (events, drain) = (self.events.clone(), Arc::clone(&self.drain));
        let asked_to_end = OnceLock::new();
        if let Some(instant) = self.asked_to_end {
            let _it_is_new = asked_to_end.set(instant);
        }
        let lead = self.pupils.iter().position(|pupil| pupil.is_learning());
        let times_steps = self.times_steps;
        let learnt = for_each_learning(&mut self.pupils, self.threads, |place, pupil| {
            let mut steps = times_steps.then(|| Steps::of(&pupil.name, chunk.number));
            let mut observe = |step: &StepReport| {
                steps.iter_mut().for_each(|steps| steps.note(step));
                if lead == Some(place) {
                    let _nobody_watches = events.send(Event::Step(*step));
                }
                let draining = drain.load(Ordering::Acquire);
                let since = draining.then(|| *asked_to_end.get_or_init(Instant::now));
                let failed = alarm.raised().is_some();
                match failed || since.is_some_and(|since| since.elapsed() > GRACE) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            };
            if meets_another {
                pupil.rewarm();
            }
            let report = pupil.learn(&new, material, characters, &mut observe);
            (report, steps)
        });
        self.asked_to_end = asked_to_end.get().copied();

        self.state.pending.drain(..chunk.ids().len());
        if self.replay.share > 0.0 {
            let (ids, reservoir) = (chunk.ids(), &mut self.state.reservoir);
            reservoir.remember(self.seed, &self.replay, chunk.number, ids, &origins);
        }
        self.counts.next_chunk = chunk.number + 1;
        let mut reports = Vec::new();
        for (place, (report, steps)) in learnt {
            // Those of a chunk that was left in the middle come again.
            if let Some(steps) = steps.filter(|_| report.is_ok()) {
                self.measure("steps", &steps)?;
            }
            reports.push((place, report));
        }
        let learnt = self.without_the_diverged(chunk, reports)?;
        let now = self.moment();
        let surveys = self.probe.surveys(now);
        for (place, report) in learnt {
            self.tell_of_chunk(chunk, characters, place, &report)?;
            if surveys {
                self.survey(place, &report.parameters)?;
            }
        }
        self.profile_if_due(chunk.ids())?;
        if self.held_out.every.is_due(self.evaluated, now) {
            self.evaluated = now;
            for (place, score) in self.evaluate(self.held_out.words)? {
                self.pupils[place].record.note_score(score.bits_per_character);
            }
        }
        self.end_rung()?;
        self.counts.training_seconds += begun.elapsed().as_secs_f64();
        Ok(())
    }

    /// The reports of those that have learnt the chunk. A model that diverges is set aside if there
    /// are others; alone, and in whatever other trouble, it stops the job.
    fn without_the_diverged(
        &mut self,
        chunk: &Chunk,
        reports: Vec<(usize, Result<ChunkReport, model::Error>)>,
    ) -> Result<Vec<(usize, ChunkReport)>, LearnerError> {
        let may_be_set_aside = match self.halving {
            Some(_) => true, // that none is left is what came of the search
            None => reports.iter().any(|(_, report)| report.is_ok()),
        };
        let mut learnt = Vec::new();
        let mut diverged = Vec::new();
        for (place, report) in reports {
            match report {
                Ok(report) => learnt.push((place, report)),
                Err(model::Error::Diverged { step, .. }) if may_be_set_aside => {
                    diverged.push((place, SetAside::Diverged { step, chunk: chunk.number }));
                }
                Err(source) => {
                    return Err(LearnerError::Chunk {
                        model: self.pupils[place].name.clone(),
                        chunk: chunk.number,
                        documents: self.documents_of(chunk.number),
                        source,
                    });
                }
            }
        }
        diverged.into_iter().try_for_each(|(place, why)| self.set_aside(place, why))?;
        Ok(learnt)
    }

    fn set_aside(&mut self, place: usize, why: SetAside) -> Result<(), LearnerError> {
        let pupil = &mut self.pupils[place];
        pupil.set_aside(why);
        let told = ModelSetAside { model: pupil.name.clone(), why };
        self.measure("set_aside", &told)?;
        self.tell(Event::SetAside(told));
        Ok(())
    }

    fn tell_of_chunk(
        &mut self,
        chunk: &Chunk,
        characters: u64,
        place: usize,
        report: &ChunkReport,
    ) -> Result<(), LearnerError> {
        let pupil = &self.pupils[place];
        let trainer = pupil.trainer.as_ref().expect("it has just learnt");
        let step = trainer.progress().steps;
        let passes = trainer.settings().passes;
        let learnt = ChunkLearnt {
            model: pupil.name.clone(),
            chunk: chunk.number,
            ids: chunk.ids().len() as u64,
            characters,
            prequential_nats: report.prequential.nats,
            bits_per_character: report.prequential.bits() / characters.max(1) as f64,
            last_pass_loss: report.last_pass.mean(),
            step,
            gradient_norm: report.gradient_norms.mean,
            gradient_norm_max: report.gradient_norms.max,
            clipped_share: report.clipped_share(),
            learning_rate: trainer.learning_rate(),
            words_per_second: report.words_per_second(passes),
            rows: trainer.network().rows(),
        };
        self.measure("chunk", &learnt)?;
        self.tell(Event::Chunk(learnt));
        Ok(())
    }

    /// Scores every model on the first held-out documents that have `words` words together, or all.
    pub(super) fn evaluate(
        &mut self,
        words: usize,
    ) -> Result<Vec<(usize, Evaluation)>, LearnerError> {
        let documents = within(&self.state.held_out, words);
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let vocabulary = &self.state.vocabulary;
        let score = |_, pupil: &mut super::Pupil| pupil.evaluate(vocabulary, documents);
        let scores = for_each_learning(&mut self.pupils, self.threads, score);
        let mut evaluations = Vec::new();
        for (place, evaluation) in scores {
            let evaluation = evaluation?;
            let pupil = &self.pupils[place];
            let score = HeldOutScore {
                model: pupil.name.clone(),
                chunks: self.counts.next_chunk,
                step: pupil.record.steps,
                evaluation,
            };
            self.measure("held_out", &score)?;
            self.tell(Event::Evaluated(score));
            evaluations.push((place, evaluation));
        }
        self.gauge()?;
        Ok(evaluations)
    }

    /// At the end of a rung of a search the worse half goes.
    fn end_rung(&mut self) -> Result<(), LearnerError> {
        let chunks = self.counts.next_chunk;
        if !self.halving.is_some_and(|halving| halving.ends_a_rung(chunks)) {
            return Ok(());
        }
        let learning: Vec<usize> =
            (0..self.pupils.len()).filter(|&place| self.pupils[place].is_learning()).collect();
        let score = |&place: &usize| self.pupils[place].record.rung_bits().unwrap_or(f64::MAX);
        let scores: Vec<f64> = learning.iter().map(score).collect();
        for index in worse_half(&scores) {
            let why = SetAside::Outdone { chunks, bits_per_character: scores[index] };
            self.set_aside(learning[index], why)?;
        }
        for (pupil, score) in learning.into_iter().zip(scores) {
            let record = &mut self.pupils[pupil].record;
            record.rungs.push(score);
            record.rung_began = (record.prequential_nats, record.prequential_characters);
        }
        Ok(())
    }

    /// Where the run stands, as triggers see it.
    pub(super) fn moment(&self) -> Moment {
        let steps = self.reached().steps;
        Moment { chunks: self.counts.next_chunk, steps, at: Instant::now() }
    }

    /// How far the run has come, as stopping sees it.
    pub(super) fn reached(&self) -> Reached {
        let records = || self.pupils.iter().map(|pupil| &pupil.record);
        let learning = records().filter(|record| record.set_aside.is_none());
        Reached {
            since_best: learning.map(|record| record.since_best).min(),
            steps: records().map(|record| record.steps).max().unwrap_or_default(),
            chunks: self.counts.next_chunk,
            seconds: self.counts.training_seconds,
        }
    }
}
