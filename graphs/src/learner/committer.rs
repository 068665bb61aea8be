//! Writes checkpoints on a thread of its own, so that training stands still only for the copy.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Sender, bounded};

use super::Learner;
use crate::{
    checkpoint::{self, CheckpointError, Manifest, State, run_digest},
    events::Event,
    ledger::{self, Fate, Line},
};

/// One checkpoint to write.
pub(super) struct Request {
    pub manifest: Manifest,
    pub state: State,
    /// Those that learn, by their names.
    pub models: Vec<(String, model::Frozen)>,
    /// The metrics, which must be on the disk as far as the manifest says.
    pub metrics: File,
    /// How long training stood still for the copy.
    pub stall: Duration,
}

/// The thread, and the way to it.
pub(super) struct Committer {
    requests: Option<Sender<Box<Request>>>,
    thread: Option<JoinHandle<Result<(), CheckpointError>>>,
}

impl Committer {
    pub fn start(learner: &Learner) -> Self {
        let (home, rejects) = (learner.checkpoints.clone(), learner.rejects.clone());
        let metrics = learner.metrics.path().to_owned();
        let (events, keep) = (learner.events.clone(), learner.commit.keep);
        // One is written while at most one waits: a slow disk must not pile up copies of the model.
        let (requests, todo) = bounded::<Box<Request>>(1);
        let write = move || {
            for mut request in todo {
                let epoch = request.manifest.epoch;
                let unsynced = |source| CheckpointError::File {
                    doing: "write",
                    path: metrics.clone(),
                    source,
                };
                request.metrics.sync_data().map_err(unsynced)?;
                for state in &mut request.manifest.models {
                    let copy = request.models.iter().find(|(name, _)| *name == state.name);
                    state.weights_digest =
                        copy.map(|(_, copy)| copy.weights_digest()).unwrap_or_default();
                }
                request.manifest.weights_digest = run_digest(&request.manifest.models);
                checkpoint::write(&home, request.manifest, &request.state, &request.models, keep)?;
                list_rejects(&rejects, &request.state.ledger)?;
                let _nobody_watches = events.send(Event::Committed(epoch, request.stall));
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("commit".into()).spawn(write);
        Self { requests: Some(requests), thread: Some(thread.expect("a thread can be started")) }
    }

    /// Whether a checkpoint waits while another is written: then training would wait as well.
    pub fn is_behind(&self) -> bool {
        self.requests.as_ref().is_some_and(Sender::is_full)
    }

    /// Hands a checkpoint over. If the one before it could not be written, says why.
    pub fn commit(&mut self, request: Box<Request>) -> Result<(), CheckpointError> {
        let sent = self.requests.as_ref().map(|requests| requests.send(request));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => self.join(),
        }
    }

    /// Waits until everything is written.
    pub fn finish(mut self) -> Result<(), CheckpointError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), CheckpointError> {
        self.requests = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(written)) => written,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

/// Lists what could not be used, from the account that is committed: so the list never says more or
/// less than the checkpoint.
fn list_rejects(path: &Path, ledger: &[Line]) -> Result<(), CheckpointError> {
    let mut lines = String::new();
    for line in ledger.iter().filter(|line| line.fate == Fate::Rejected) {
        let Some((stage, reason)) = &line.reason else { continue };
        lines += &format!("{}\n", ledger::reject(&line.entry, line.epoch, *stage, reason));
    }
    let aside: PathBuf = path.with_extension("jsonl.writing");
    fs::write(&aside, lines)
        .and_then(|()| fs::rename(&aside, path))
        .map_err(|source| CheckpointError::File { doing: "write", path: path.into(), source })
}
