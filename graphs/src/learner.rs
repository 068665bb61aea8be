//! The learner: the thread behind the sink that owns the models.
//!
//! It takes lessons in order, keeps the account, has every model learn each chunk as it arrives
//! (`learner/teach.rs`; a model in the lesson is a [`Pupil`]), and commits at
//! closed epochs. What it acknowledges is learnt; what it commits is durable. When it fails it
//! acknowledges nothing more, so the frontier stands still and the runner stops the job.

mod bookkeeping;
mod committer;
mod gauging;
pub mod halving;
mod probing;
pub mod pupil;
pub mod reservoir;
mod steps;
mod teach;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use model::NewRow;
use operators::{Epoch, fault::Alarm, record::Lesson, vocabulary::SURFACES, wake::Waker};
use serde::Serialize;

use crate::{
    checkpoint::{self, CheckpointError, Counts, FORMAT, Manifest, ModelState, State, run_digest},
    evaluate::Evaluation,
    events::Event,
    job::{Commit, HeldOut, Moment, Replay, Stop, Stopped},
    ledger::Account,
    metrics::Metrics,
};
use committer::{Committer, Request};
use halving::Halving;
pub use probing::Probe;
pub use pupil::Pupil;
use reservoir::Provenance;

/// Why the learner stopped.
#[derive(Debug, thiserror::Error)]
pub enum LearnerError {
    /// The model failed.
    #[error("model \"{model}\", chunk {chunk} ({documents}): {source}")]
    Chunk {
        /// The model.
        model: String,
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
    /// The models, in the order of the job.
    pub pupils: Vec<Pupil>,
    /// Threads of each trainer on a CPU.
    pub threads: usize,
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
    /// When they were last scored during the run, or this process began.
    pub evaluated: Moment,
    /// When to measure gradients and parameters.
    pub probe: Probe,
    /// When to end before the catalogue does.
    pub stop: Stop,
    /// How a search is cut, if this is one.
    pub halving: Option<Halving>,
    /// The job's seed.
    pub seed: u64,
    /// What to learn again.
    pub replay: Replay,
    /// Whether the time of each step is written down.
    pub times_steps: bool,
    /// Which sources the words came from that wait for their chunk.
    pub provenance: Provenance,
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
    /// Raised when the job has failed elsewhere: then nothing more need be learnt.
    pub alarm: Alarm,
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
    /// Why it ended before the catalogue did, if the job said when.
    pub stopped: Option<Stopped>,
    /// SHA-256 over the weights of all models.
    pub weights_digest: String,
    /// The account.
    pub account: Account,
    /// Steps taken in the whole life of the run, by the model that has taken the most.
    pub steps: u64,
    /// The counters.
    pub counts: Counts,
    /// What came of each model.
    pub models: Vec<ModelFinished>,
}

/// How a model stands when the learner has stopped.
#[derive(Clone, Debug, Serialize)]
pub struct ModelFinished {
    /// Its name, digest, and what was noted of it.
    #[serde(flatten)]
    pub state: ModelState,
    /// Score on all held-out documents, if there are any, once the job has ended.
    pub held_out: Option<Evaluation>,
}

impl Finished {
    /// The score of the first model that has one.
    pub fn evaluation(&self) -> Option<Evaluation> {
        self.models.iter().find_map(|model| model.held_out)
    }
}

impl Learner {
    /// Takes lessons until the sink says that they have ended, or until a closed epoch once the job
    /// is to end.
    ///
    /// # Errors
    /// The first failure of model, disk or metrics, or a sink that hangs up before the end; the
    /// newest checkpoint stays as it is.
    pub fn attend(mut self, seat: &Seat, last: Option<Epoch>) -> Result<Finished, LearnerError> {
        model::device::set_threads(self.threads); // of this thread: OpenMP has a number for each
        self.found()?;
        let mut committer = Committer::start(&self);
        let (mut committed, mut committed_at) = (last, self.moment());
        self.probe.begin(committed_at);
        let mut learnt = last;
        // Whether all lessons taken belong to closed epochs: only then can a commit be made.
        let mut at_a_cut = true;
        let complete = loop {
            // Ending early is draining, but for the reason.
            let stops = self.stop.reason(&self.reached()).is_some();
            let draining = stops || self.drain.load(Ordering::Acquire);
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
                // The catalogue's last words. Whether they come before a job stops is chance, so
                // they wait for a run that reads on.
                Lesson::Chunk(chunk) if stops && chunk.ids().len() < self.chunk_words as usize => {}
                Lesson::Chunk(chunk) => match self.learn(&chunk, &seat.alarm) {
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
                    let now = self.moment();
                    if self.commit.every.is_due(committed_at, now) && !committer.is_behind() {
                        self.commit(epoch, &mut committer)?;
                        (committed, committed_at) = (learnt, now);
                    }
                    let _sink_has_ended = seat.learnt.send(epoch);
                    seat.waker.wake();
                }
            }
        };
        let stopped = self.stop.reason(&self.reached()).filter(|_| !complete);
        let ended = complete || stopped.is_some();
        // A search never looks at what is held out: it is scored once the search is over.
        let scores = ended && self.halving.is_none();
        let evaluations = if scores { self.evaluate(usize::MAX)? } else { Vec::new() };
        if scores {
            self.profile_at_the_end()?;
        }
        // To have read the catalogue to its end is worth a commit: what comes later is a change.
        // The epoch after the last one is empty, and closed as well.
        let news = learnt.filter(|epoch| complete && self.counts.completed != Some(*epoch));
        if let Some(epoch) = news {
            let end = if learnt == committed { epoch + 1 } else { epoch };
            self.counts.completed_before = self.counts.completed;
            self.counts.completed = Some(end);
            learnt = Some(end);
        }
        if let Some(epoch) = learnt.filter(|_| learnt != committed) {
            self.commit(epoch, &mut committer)?;
        }
        committer.finish()?;
        let states: Vec<ModelState> = self.pupils.iter().map(Pupil::state).collect();
        let held_out = |place| evaluations.iter().find(|(of, _)| *of == place).map(|found| found.1);
        Ok(Finished {
            epoch: learnt,
            complete,
            stopped,
            weights_digest: run_digest(&states),
            account: self.account,
            steps: self.reached().steps,
            counts: self.counts,
            models: states
                .into_iter()
                .enumerate()
                .map(|(place, state)| ModelFinished { state, held_out: held_out(place) })
                .collect(),
        })
    }

    /// How the run stands on the disk, where a chunk was left in the middle: it comes again.
    fn as_committed(&self) -> Result<Finished, LearnerError> {
        let manifest = checkpoint::newest(&self.checkpoints)?.valid.map(|(_, manifest)| manifest);
        let (complete, stopped) = (false, None);
        Ok(match manifest {
            Some(manifest) => Finished {
                epoch: Some(manifest.epoch),
                complete,
                stopped,
                weights_digest: manifest.weights_digest,
                account: manifest.account,
                steps: manifest.models.iter().map(|model| model.record.steps).max().unwrap_or(0),
                counts: manifest.counts,
                models: (manifest.models.into_iter())
                    .map(|state| ModelFinished { state, held_out: None })
                    .collect(),
            },
            None => Finished {
                epoch: None,
                complete,
                stopped,
                weights_digest: String::new(),
                account: Account::default(),
                steps: 0,
                counts: Counts::default(),
                models: Vec::new(),
            },
        })
    }

    /// Gives new models the rows that every vocabulary has: the end of document and the bytes.
    fn found(&mut self) -> Result<(), LearnerError> {
        let trainers = self.pupils.iter_mut().filter_map(|pupil| pupil.trainer.as_mut());
        for trainer in trainers.filter(|trainer| trainer.network().rows() == 0) {
            let row = NewRow { vector: None, parts: &[] };
            trainer.append_rows(&[row; SURFACES as usize])?;
        }
        Ok(())
    }

    /// Copies what is to be durable, which is all that training waits for, and has it written.
    fn commit(&mut self, epoch: Epoch, committer: &mut Committer) -> Result<(), LearnerError> {
        let begun = Instant::now();
        let metrics = self.metrics.file().map_err(|source| self.unmeasured(source))?;
        self.counts.metrics_bytes = self.metrics.bytes();
        let (mut models, mut copies) = (Vec::new(), Vec::new());
        for Pupil { name, trainer, record } in &self.pupils {
            let copy = trainer.as_ref().map(|trainer| trainer.copy()).transpose()?;
            models.push(ModelState {
                name: name.clone(),
                weights_digest: String::new(), // of the copy, so that training need not wait for it
                trainer: copy.as_ref().map(|copy| copy.trainer().clone()),
                record: record.clone(),
            });
            copies.extend(copy.map(|copy| (name.clone(), copy)));
        }
        let manifest = Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch,
            weights_digest: String::new(),
            account: self.account,
            counts: self.counts,
            models,
            files: Default::default(),
        };
        let state = self.state.clone();
        let stall = begun.elapsed();
        committer.commit(Box::new(Request { manifest, state, models: copies, metrics, stall }))?;
        Ok(())
    }

    fn measure<T: Serialize>(&mut self, kind: &str, data: &T) -> Result<(), LearnerError> {
        self.metrics.append(kind, data).map_err(|source| self.unmeasured(source))
    }

    fn unmeasured(&self, source: io::Error) -> LearnerError {
        LearnerError::Metrics { path: self.metrics.path().to_owned(), source }
    }

    fn tell(&self, event: Event) {
        let _nobody_watches = self.events.send(event);
    }
}
