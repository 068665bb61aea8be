//! The main job: resumes where the last commit ended, and trains until the catalogue does.

use std::time::Instant;

use model::{DeviceChoice, Trainer};
use operators::{Epoch, chunk::Cutter};

use crate::{
    checkpoint::{self, Counts, Manifest, State},
    control::{Command, Helm, journal::Journal},
    directory::{self, RunDirectory},
    drive::{Lexicon, Past},
    events::Event,
    job::{Job, Model, Moment, Source},
    learner::{
        Finished, Learner, LearnerError, Probe, Pupil, halving::Halving, pupil::Record,
        reservoir::Provenance,
    },
    ledger::{Account, Fate, Line},
    listing::{DrawnEpochs, Had},
    metrics::Metrics,
    peers,
    training::{Before, train},
};
pub use crate::{
    drive::{Reins, Steering},
    error::RunError,
};

/// Runs a job to the end of its catalogue, or until it is drained.
///
/// # Errors
/// See [`RunError`]; the newest checkpoint stays, and the next run goes on from there.
pub fn run(job: &Job, reins: &Reins) -> Result<Finished, RunError> {
    run_halving(job, None, reins)
}

/// The same, the worse half of the models set aside at the end of each rung if it is one of a search.
///
/// # Errors
/// As [`run`].
pub fn run_halving(
    job: &Job,
    halving: Option<Halving>,
    reins: &Reins,
) -> Result<Finished, RunError> {
    let directory = RunDirectory::lock(&job.directory)?;
    let lexicon = Lexicon::open(job)?;
    let (learner, last) = begin(job, &lexicon, halving, reins)?;
    let unread = |source| RunError::System { doing: "read drawn.jsonl", source };
    let oldest = checkpoint::epochs(&learner.checkpoints)?.first().copied();
    let drawn = DrawnEpochs::open(&directory::drawn(&job.directory), oldest, last);
    let drawn = Some(drawn.map_err(unread)?);
    directory.note(job).map_err(|source| RunError::System { doing: "write job.toml", source })?;

    let journal = Journal::open(&job.directory)?;
    let first = last.map_or(0, |epoch| epoch + 1);
    let told = journal.entries().to_vec();
    let helm = Helm::new(job, Some(journal), first, reins.drain.clone(), reins.events.clone());
    helm.gauges().expect(peers::OWNERS, job.max_workers());
    // Dropped before the directory is given free, so that nobody steers a run that has ended.
    let _steered =
        reins.steering.as_ref().map(|steering| steering(&helm)).transpose().map_err(|source| {
            RunError::System { doing: "serve the commands that steer the run", source }
        })?;
    // Told once it can be steered: whoever reads that a run is paused may go and resume it.
    if helm.plan().position().standing.paused {
        let _nobody_watches = reins.events.send(Event::Steered(first, Command::Pause));
    }

    let state = &learner.state;
    let before = Before {
        past: Past {
            last,
            had: Had::of(&state.ledger, learner.counts.next_sequence),
            known: passed(&state.ledger),
            helm,
            told,
            drawn,
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

/// What the trainer of a model wants to know.
fn settings(job: &Job, model: &Model, lexicon: &Lexicon) -> Result<model::Settings, RunError> {
    let embedding = match (model.embedding, &lexicon.vectors) {
        (0, Some(vectors)) => vectors.dimension(),
        (embedding, None) => embedding,
        (embedding, Some(vectors)) => {
            vectors.expect_dimension(embedding)?;
            embedding
        }
    };
    Ok(job.settings(model, &job.train_of(model)?, job.shape(model, embedding)))
}

/// The learner, fresh or as the newest valid checkpoint left it, and the epoch of that.
fn begin(
    job: &Job,
    lexicon: &Lexicon,
    halving: Option<Halving>,
    reins: &Reins,
) -> Result<(Learner, Option<Epoch>), RunError> {
    let tell = |event| {
        let _nobody_watches = reins.events.send(event);
    };
    let device = job.train.device.parse::<DeviceChoice>()?.resolve()?;
    // This thread makes the models, and the learner's trains them. OpenMP would keep threads for both, more than
    // there are cores, and have them all wait the shorter for it (`WAITING` in src/half.rs).
    model::device::set_threads(1);

    let checkpoints = directory::checkpoints(&job.directory);
    let choice = checkpoint::newest(&checkpoints)?;
    for (path, reason) in checkpoint::tidy(&checkpoints, choice.passed_over)? {
        tell(Event::PassedOver(path, reason));
    }
    let mut pupils = Vec::new();
    if let Some((_, manifest)) = &choice.valid {
        expect_models(manifest, &job.model)?;
    }
    for (place, model) in job.model.iter().enumerate() {
        let settings = settings(job, model, lexicon)?;
        let name = model.name.clone();
        let (trainer, record) = match &choice.valid {
            None => (Some(Trainer::new(&settings, job.seed, device)?), Record::default()),
            Some((path, manifest)) => {
                let found = &manifest.models[place];
                let folder = checkpoint::model_folder(path, &name);
                let load = |_| Trainer::load(&folder, &settings, device);
                (found.trainer.as_ref().map(load).transpose()?, found.record.clone())
            }
        };
        pupils.push(Pupil { name, trainer, record });
    }
    let (state, counts, account, last) = match choice.valid {
        None => (State::default(), Counts::default(), Account::default(), None),
        Some((path, manifest)) => {
            let seeds = manifest.models.iter().filter_map(|model| model.trainer.as_ref());
            if let Some(other) = seeds.map(|trainer| trainer.seed).find(|seed| *seed != job.seed) {
                let (found, wanted) = (other.to_string(), job.seed.to_string());
                return Err(model::Error::Mismatch { name: "seed", found, wanted }.into());
            }
            tell(Event::Resumed(manifest.epoch, manifest.account, manifest.counts.next_chunk));
            let Manifest { counts, account, epoch, .. } = manifest;
            let state = State::read(&path)?;
            tell(Event::Read(Account::of_sources(&state.ledger)));
            (state, counts, account, Some(epoch))
        }
    };
    let path = directory::metrics(&job.directory);
    let metrics = Metrics::open(&path, counts.metrics_bytes)
        .map_err(|source| LearnerError::Metrics { path, source })?;
    let own = job.source.iter().map(Source::name);
    let provenance = Provenance::of(&state, counts.next_chunk, own);
    let learner = Learner {
        evaluated: Moment {
            chunks: counts.next_chunk,
            steps: pupils.iter().map(|pupil| pupil.record.steps).max().unwrap_or_default(),
            at: Instant::now(),
        },
        probe: Probe::of(job.report),
        pupils,
        threads: job.threads(),
        state,
        counts,
        account,
        metrics,
        checkpoints,
        rejects: directory::rejects(&job.directory),
        chunk_words: job.chunk.words as u64,
        commit: job.commit,
        held_out: job.held_out,
        stop: job.stop,
        halving,
        seed: job.seed,
        replay: job.replay,
        times_steps: job.report.steps,
        provenance,
        events: reins.events.clone(),
        drain: reins.drain.clone(),
        asked_to_end: None,
    };
    Ok((learner, last))
}

/// Refuses to go on with other models than the run began with: they have not had the same chunks.
fn expect_models(manifest: &Manifest, wanted: &[Model]) -> Result<(), RunError> {
    let found: Vec<&str> = manifest.models.iter().map(|model| model.name.as_str()).collect();
    let wanted: Vec<&str> = wanted.iter().map(|model| model.name.as_str()).collect();
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (found.join(", "), wanted.join(", "));
    Err(model::Error::Mismatch { name: "model", found, wanted }.into())
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
