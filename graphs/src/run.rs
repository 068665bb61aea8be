//! The main job: resumes where the last commit ended, and trains until the catalogue does.

use model::{DeviceChoice, Trainer};
use operators::{Epoch, chunk::Cutter};

use crate::{
    checkpoint::{self, Counts, Manifest, State},
    directory::{self, RunDirectory},
    drive::{Lexicon, Past},
    events::Event,
    job::Job,
    learner::{Finished, Learner, LearnerError},
    ledger::{Account, Fate, Line},
    listing::Had,
    metrics::Metrics,
    training::{Before, train},
};
pub use crate::{drive::Reins, error::RunError};

/// Runs a job to the end of its catalogue, or until it is drained.
///
/// # Errors
/// See [`RunError`]; the newest checkpoint stays, and the next run goes on from there.
pub fn run(job: &Job, reins: &Reins) -> Result<Finished, RunError> {
    let directory = RunDirectory::lock(&job.directory)?;
    let lexicon = Lexicon::open(job)?;
    let embedding = match (job.model.embedding, &lexicon.vectors) {
        (0, Some(vectors)) => vectors.dimension(),
        (embedding, None) => embedding,
        (embedding, Some(vectors)) => {
            vectors.expect_dimension(embedding)?;
            embedding
        }
    };
    let (learner, last) = begin(job, embedding, reins)?;
    directory.note(job).map_err(|source| RunError::System { doing: "write job.toml", source })?;

    let state = &learner.state;
    let before = Before {
        past: Past {
            last,
            had: Had::of(&state.ledger, learner.counts.next_sequence),
            known: passed(&state.ledger),
        },
        cutter: Cutter::new(
            job.chunk.words,
            learner.counts.next_chunk,
            state.vocabulary.len(),
            state.pending.clone(),
        ),
        vocabulary: state.vocabulary.clone(),
    };
    train(job, reins, lexicon, before, move |seat| Ok(learner.attend(seat, last)?))
}

/// The learner, fresh or as the newest valid checkpoint left it, and the epoch of that.
fn begin(job: &Job, embedding: usize, reins: &Reins) -> Result<(Learner, Option<Epoch>), RunError> {
    let tell = |event| {
        let _nobody_watches = reins.events.send(event);
    };
    let settings = job.settings(job.shape(embedding));
    let device = job.train.device.parse::<DeviceChoice>()?.resolve()?;
    model::device::set_threads(job.threads());

    let checkpoints = directory::checkpoints(&job.directory);
    let choice = checkpoint::newest(&checkpoints)?;
    for (path, reason) in checkpoint::tidy(&checkpoints, choice.passed_over)? {
        tell(Event::PassedOver(path, reason));
    }
    let (trainer, state, counts, account, last) = match choice.valid {
        None => {
            let trainer = Trainer::new(&settings, job.seed, device)?;
            (trainer, State::default(), Counts::default(), Account::default(), None)
        }
        Some((path, manifest)) => {
            let trainer = Trainer::load(&path, &settings, device)?;
            let (found, wanted) = (manifest.trainer.seed, job.seed);
            if found != wanted {
                let (found, wanted) = (found.to_string(), wanted.to_string());
                return Err(model::Error::Mismatch { name: "seed", found, wanted }.into());
            }
            tell(Event::Resumed(manifest.epoch, manifest.account, manifest.counts.next_chunk));
            let Manifest { counts, account, epoch, .. } = manifest;
            (trainer, State::read(&path)?, counts, account, Some(epoch))
        }
    };
    let path = directory::metrics(&job.directory);
    let metrics = Metrics::open(&path, counts.metrics_bytes)
        .map_err(|source| LearnerError::Metrics { path, source })?;
    let learner = Learner {
        trainer,
        state,
        counts,
        account,
        metrics,
        checkpoints,
        rejects: directory::rejects(&job.directory),
        chunk_words: job.chunk.words as u64,
        commit: job.commit,
        held_out: job.held_out,
        events: reins.events.clone(),
        drain: reins.drain.clone(),
        asked_to_end: None,
    };
    Ok((learner, last))
}

/// The fingerprints of the documents that passed, with their sequence numbers.
fn passed(ledger: &[Line]) -> Vec<(u128, u64)> {
    ledger
        .iter()
        .filter(|line| matches!(line.fate, Fate::Learnt | Fate::HeldOut))
        .filter_map(|line| {
            let fingerprint = u128::from_str_radix(&line.fingerprint, 16).ok()?;
            Some((fingerprint, line.entry.sequence))
        })
        .collect()
}
