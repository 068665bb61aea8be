//! The learner: the thread behind the sink that owns the model.
//!
//! It takes lessons in order, keeps the account, trains on each chunk as it arrives, and commits at
//! closed epochs. What it acknowledges is learnt; what it commits is durable. When it fails it
//! acknowledges nothing more, so the frontier stands still and the runner stops the job.

mod bookkeeping;
mod committer;

use std::{
    io,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use model::{NewRow, Trainer};
use operators::{
    Epoch,
    record::{Admitted, Chunk, Lesson, admitted},
    vocabulary::SURFACES,
    wake::Waker,
};

use crate::{
    checkpoint::{self, CheckpointError, Counts, FORMAT, Manifest, State},
    evaluate::{Evaluation, evaluate, within},
    events::{ChunkLearnt, Event},
    job::{Commit, HeldOut},
    ledger::Account,
    metrics::Metrics,
};
use committer::{Committer, Request};

/// Why the learner stopped.
#[derive(Debug, thiserror::Error)]
pub enum LearnerError {
    /// The model failed.
    #[error("chunk {chunk} ({documents}): {source}")]
    Chunk {
        /// The chunk's number.
        chunk: u64,
        /// The documents that it was made from.
        documents: String,
        /// What the trainer said.
        source: model::Error,
    },
    /// The model failed outside training.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The river was stopped, and whoever stopped it has the cause.
    #[error("the river was stopped in the middle of an epoch; the newest checkpoint stays")]
    Stopped,
    /// The metrics could not be written.
    #[error("could not write \"{}\": {source}; the newest checkpoint stays", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Everything that a run has learnt so far, and where it is kept.
pub struct Learner {
    /// The model.
    pub trainer: Trainer,
    /// The river's half.
    pub state: State,
    /// Where the counters stand.
    pub counts: Counts,
    /// What became of the entries; the sum of the ledger.
    pub account: Account,
    /// Where measurements go.
    pub metrics: Metrics,
    /// The folder of checkpoints.
    pub checkpoints: PathBuf,
    /// The file that lists rejects.
    pub rejects: PathBuf,
    /// Ids in a full chunk.
    pub chunk_words: u64,
    /// When to commit.
    pub commit: Commit,
    /// What to score.
    pub held_out: HeldOut,
    /// Where to tell.
    pub events: Sender<Event>,
    /// Set when the job is to end at the next closed epoch.
    pub drain: Arc<AtomicBool>,
    /// When training first saw that it is to end: what it may still take counts from there.
    pub asked_to_end: Option<Instant>,
}

/// The learner's side of the channels between it and the sink.
pub struct Seat {
    /// From the sink.
    pub lessons: Receiver<Lesson>,
    /// To the sink: epochs that were learnt.
    pub learnt: Sender<Epoch>,
    /// Wakes the sink.
    pub waker: Waker,
}

/// How often the learner looks whether the job is to end, while there is nothing to learn.
pub(crate) const PATROL: Duration = Duration::from_millis(50);

/// How long a job that is to end may go on training. A chunk that takes longer is left: the
/// newest checkpoint stays, and the next run trains on it again.
const GRACE: Duration = Duration::from_secs(20);

/// How a run stands when the learner has stopped.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The last epoch learnt; none if there was nothing to learn.
    pub epoch: Option<Epoch>,
    /// Whether the catalogue was read to its end.
    pub complete: bool,
    /// SHA-256 over the weights.
    pub weights_digest: String,
    /// The account.
    pub account: Account,
    /// Steps taken in the whole life of the run.
    pub steps: u64,
    /// The counters.
    pub counts: Counts,
    /// Score on the held-out documents, if there are any.
    pub evaluation: Option<Evaluation>,
}

impl Learner {
    /// Takes lessons until the sink says that they have ended, or until a closed epoch once the job
    /// is to end.
    ///
    /// # Errors
    /// The first failure of model, disk or metrics, or a sink that hangs up before the end; the
    /// newest checkpoint stays as it is.
    pub fn attend(mut self, seat: &Seat, last: Option<Epoch>) -> Result<Finished, LearnerError> {
        self.found()?;
        let mut committer = Committer::start(&self);
        let mut committed = (last, Instant::now());
        let mut learnt = last;
        // Whether all lessons taken belong to closed epochs: only then can a commit be made.
        let mut at_a_cut = true;
        let complete = loop {
            let draining = self.drain.load(Ordering::Acquire);
            if draining && at_a_cut {
                break false;
            }
            let lesson = match seat.lessons.recv_timeout(PATROL) {
                Ok(lesson) => lesson,
                Err(RecvTimeoutError::Timeout) => continue,
                // A commit here would hold half an epoch, or call half a catalogue complete.
                Err(RecvTimeoutError::Disconnected) => return Err(LearnerError::Stopped),
            };
            seat.waker.wake(); // there is room in the channel again
            at_a_cut = false;
            match lesson {
                Lesson::Read(reading) => self.read(reading),
                Lesson::Chunk(chunk) => match self.learn(&chunk) {
                    Err(LearnerError::Chunk {
                        source: model::Error::Interrupted { .. }, ..
                    }) => {
                        committer.finish()?;
                        return self.as_committed();
                    }
                    learnt => learnt?,
                },
                Lesson::Ended => break !draining,
                Lesson::Closed(epoch, rejects) => {
                    at_a_cut = true;
                    self.close(epoch, &rejects);
                    learnt = Some(epoch);
                    // On a slow disk commits are fewer, rather than training slower.
                    let is_due = committed.1.elapsed().as_secs_f64() >= self.commit.every_seconds;
                    if is_due && !committer.is_behind() {
                        self.commit(epoch, &mut committer)?;
                        committed = (learnt, Instant::now());
                    }
                    let _sink_has_ended = seat.learnt.send(epoch);
                    seat.waker.wake();
                }
            }
        };
        let evaluation = if complete { self.evaluate(usize::MAX)? } else { None };
        // To have read the catalogue to its end is worth a commit: what comes later is a change.
        // The epoch after the last one is empty, and closed as well.
        let news = learnt.filter(|epoch| complete && self.counts.completed != Some(*epoch));
        if let Some(epoch) = news {
            let end = if learnt == committed.0 { epoch + 1 } else { epoch };
            self.counts.completed_before = self.counts.completed;
            self.counts.completed = Some(end);
            learnt = Some(end);
        }
        if let Some(epoch) = learnt.filter(|_| learnt != committed.0) {
            self.commit(epoch, &mut committer)?;
        }
        committer.finish()?;
        Ok(Finished {
            epoch: learnt,
            complete,
            weights_digest: self.trainer.weights_digest(),
            account: self.account,
            steps: self.trainer.progress().steps,
            counts: self.counts,
            evaluation,
        })
    }

    /// How the run stands on the disk, where a chunk was left in the middle: it comes again.
    fn as_committed(&self) -> Result<Finished, LearnerError> {
        let manifest = checkpoint::newest(&self.checkpoints)?.valid.map(|(_, manifest)| manifest);
        let (epoch, weights_digest, account, counts, steps) = match manifest {
            Some(manifest) => (
                Some(manifest.epoch),
                manifest.weights_digest,
                manifest.account,
                manifest.counts,
                manifest.trainer.progress.steps,
            ),
            None => (None, String::new(), Account::default(), Counts::default(), 0),
        };
        let (complete, evaluation) = (false, None);
        Ok(Finished { epoch, complete, weights_digest, account, steps, counts, evaluation })
    }

    /// Gives a new model the rows that every vocabulary has: the end of document and the bytes.
    fn found(&mut self) -> Result<(), LearnerError> {
        if self.trainer.network().rows() == 0 {
            let row = NewRow { vector: None, parts: &[] };
            self.trainer.append_rows(&[row; SURFACES as usize])?;
        }
        Ok(())
    }

    fn learn(&mut self, chunk: &Chunk) -> Result<(), LearnerError> {
        let failed = |learner: &Self, source| LearnerError::Chunk {
            chunk: chunk.number,
            documents: learner.documents_of(chunk.number),
            source,
        };
        let batches = std::mem::take(&mut self.state.admitted);
        let admitted: Vec<Admitted<'_>> = batches.iter().flat_map(admitted).collect();
        let new: Vec<NewRow<'_>> =
            admitted.iter().map(|word| NewRow { vector: word.vector, parts: word.parts }).collect();
        self.trainer.append_rows(&new).map_err(|source| failed(self, source))?;

        let (events, drain) = (self.events.clone(), Arc::clone(&self.drain));
        let mut asked_to_end = self.asked_to_end;
        let mut observe = |step: &model::StepReport| {
            let _nobody_watches = events.send(Event::Step(*step));
            let draining = drain.load(Ordering::Acquire);
            let since = draining.then(|| *asked_to_end.get_or_insert_with(Instant::now));
            match since.is_some_and(|since| since.elapsed() > GRACE) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let report = self.trainer.learn(chunk.ids(), &mut observe);
        self.asked_to_end = asked_to_end;
        let report = report.map_err(|source| failed(self, source))?;

        let characters = self.state.vocabulary.characters(chunk.ids());
        self.state.pending.drain(..chunk.ids().len());
        self.counts.next_chunk = chunk.number + 1;
        self.counts.prequential_nats += report.prequential.nats;
        self.counts.prequential_ids += report.prequential.targets;
        let bits = report.prequential.bits();
        let step = self.trainer.progress().steps;
        let passes = self.trainer.settings().passes;
        let learnt = ChunkLearnt {
            chunk: chunk.number,
            ids: chunk.ids().len() as u64,
            characters,
            prequential_nats: report.prequential.nats,
            bits_per_character: bits / characters.max(1) as f64,
            last_pass_loss: report.last_pass.mean(),
            step,
            gradient_norm: report.gradient_norms.mean,
            learning_rate: self.trainer.learning_rate(),
            words_per_second: report.words_per_second(passes),
            rows: self.trainer.network().rows(),
        };
        self.measure("chunk", &learnt)?;
        self.tell(Event::Chunk(learnt));
        let every = self.held_out.every_chunks;
        if every > 0 && self.counts.next_chunk.is_multiple_of(every) {
            self.evaluate(self.held_out.words)?;
        }
        Ok(())
    }

    /// Scores the first held-out documents that have `words` words together, or all.
    fn evaluate(&mut self, words: usize) -> Result<Option<Evaluation>, LearnerError> {
        let documents = within(&self.state.held_out, words);
        if documents.is_empty() {
            return Ok(None);
        }
        let network = self.trainer.network();
        let evaluation = evaluate(network, &self.state.vocabulary, documents)?;
        self.measure("held_out", &evaluation)?;
        self.tell(Event::Evaluated(evaluation));
        Ok(Some(evaluation))
    }

    /// Copies what is to be durable, which is all that training waits for, and has it written.
    fn commit(&mut self, epoch: Epoch, committer: &mut Committer) -> Result<(), LearnerError> {
        let begun = Instant::now();
        let metrics = self.metrics.file().map_err(|source| self.unmeasured(source))?;
        self.counts.metrics_bytes = self.metrics.bytes();
        let model = self.trainer.copy()?;
        let manifest = Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch,
            weights_digest: String::new(), // of the copy, so that training need not wait for it
            account: self.account,
            counts: self.counts,
            trainer: model.trainer().clone(),
            files: Default::default(),
        };
        let state = self.state.clone();
        let stall = begun.elapsed();
        committer.commit(Box::new(Request { manifest, state, model, metrics, stall }))?;
        Ok(())
    }

    fn measure<T: serde::Serialize>(&mut self, kind: &str, data: &T) -> Result<(), LearnerError> {
        self.metrics.append(kind, data).map_err(|source| self.unmeasured(source))
    }

    fn unmeasured(&self, source: io::Error) -> LearnerError {
        LearnerError::Metrics { path: self.metrics.path().to_owned(), source }
    }

    fn tell(&self, event: Event) {
        let _nobody_watches = self.events.send(event);
    }
}
