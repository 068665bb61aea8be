//! A search for good settings: successive halving on the stream, bracket after bracket.
//!
//! A bracket is one job: its trials are models that train on the same chunks, the worse half is set
//! aside at the end of each rung, and one is left ([`crate::learner::halving`]). The trials of a later
//! bracket are drawn from what all before it have shown ([`draw`]). Trials are judged by prequential
//! bits per character: each chunk before it is trained on, over the chunks of their last rung, which are
//! the same ones in every bracket. What the job holds out is neither trained on nor looked at.
//!
//! Everything is a function of the job, its seed and the number of trials, given the bytes that are
//! fetched. On the disk, in `tune` in the run directory: `search.json`, what is searched; and for each
//! bracket a run directory of its own with `trials.json`, written before it begins, and `outcome.json`,
//! written when it has ended. A search that was killed draws the same trials again, takes the outcomes
//! that there are, and resumes the bracket that has none from its newest checkpoint.

pub mod best;
pub mod draw;
mod trial;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use operators::fetch;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    directory::{self, DirectoryError, RunDirectory},
    job::{
        Commit, HeldOut, Job, JobError, Models, Plots, Report, Source, Stop, Trigger, Tune,
        tune::{Dimension, Values},
    },
    learner::{Finished, halving::Halving},
};
pub use trial::{Fate, Trial};

/// Why a search cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// The job is not one to search for.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The search was begun otherwise.
    #[error(
        "the search in \"{}\" was begun with another job, seed or number of trials; go on as it was \
         begun, set another `directory`, or remove that folder",
        path.display()
    )]
    Changed {
        /// The search's folder.
        path: PathBuf,
    },
    /// A file of the search is damaged.
    #[error("\"{}\" is damaged: {source}; remove the folder it is in to have that part done again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The system refused.
    #[error("could not {doing} \"{}\": {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A search, as far as it has come.
pub struct Search {
    job: Job,
    dimensions: Vec<Dimension>,
    halving: Halving,
    /// Trials that there are to be.
    wanted: usize,
    /// Its folder.
    home: PathBuf,
    /// What has been tried, in the order in which it was drawn.
    trials: Vec<Trial>,
    /// Brackets that have ended.
    brackets: usize,
    _lock: RunDirectory,
}

/// A bracket that is to be run.
pub struct Bracket {
    /// Its number, from 0.
    pub number: usize,
    /// Its job: a model a trial.
    pub job: Job,
    /// How it is cut.
    pub halving: Halving,
    /// What its trials set, in the order of the models.
    pub values: Vec<Values>,
    /// Trials before it.
    pub before: usize,
}

impl Search {
    /// Begins a search of `trials` trials, or goes on with it.
    ///
    /// # Errors
    /// If the job has nothing to search, or a source that does not end; if the search was begun
    /// otherwise; if another process is at it.
    pub fn begin(job: &Job, trials: usize) -> Result<Self, TuneError> {
        check(job)?;
        let home = directory::search(&job.directory);
        let lock = RunDirectory::lock_folder(&home)?;
        let (path, definition) = (home.join("search.json"), definition(job));
        match read::<Job>(&path)? {
            Some(found) if found != definition => return Err(TuneError::Changed { path: home }),
            Some(_) => {}
            None => write(&path, &definition)?,
        }
        Ok(Self {
            dimensions: job.tune.dimensions()?,
            halving: Halving::of(job.tune.bracket.min(trials), job.tune.rung_chunks),
            job: job.clone(),
            wanted: trials,
            home,
            trials: Vec::new(),
            brackets: 0,
            _lock: lock,
        })
    }

    /// The next bracket to run; none once there are enough trials, or no others to be had.
    ///
    /// # Errors
    /// If the search was begun otherwise, or its folder cannot be used.
    pub fn next_bracket(&mut self) -> Result<Option<Bracket>, TuneError> {
        loop {
            let (number, before) = (self.brackets, self.trials.len());
            let count = self.job.tune.bracket.min(self.wanted - before);
            let seen: Vec<&Values> = self.standing().iter().map(|trial| &trial.values).collect();
            let usable = |values: &Values| self.job.model_with("trial", values).is_ok();
            let values = draw::draw(&self.dimensions, self.job.seed, number, count, &seen, usable);
            if values.is_empty() {
                return Ok(None);
            }
            let folder = self.folder(number);
            let trials = folder.join("trials.json");
            match read::<Vec<Values>>(&trials)? {
                Some(found) if found != values => {
                    return Err(TuneError::Changed { path: self.home.clone() });
                }
                Some(_) => {}
                None => write(&trials, &values)?,
            }
            if let Some(outcome) = read::<Vec<Trial>>(&folder.join("outcome.json"))? {
                self.take(outcome);
                continue;
            }
            let job = self.job_of(number, before, &values)?;
            return Ok(Some(Bracket { number, job, halving: self.halving, values, before }));
        }
    }

    /// Takes what came of a bracket. False if it has not ended: it was drained.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn finish(&mut self, bracket: &Bracket, finished: &Finished) -> Result<bool, TuneError> {
        if !finished.complete && finished.stopped.is_none() {
            return Ok(false);
        }
        let chunks = finished.counts.next_chunk;
        let models = finished.models.iter().zip(&bracket.values);
        let outcome: Vec<Trial> = models
            .map(|(model, values)| {
                let values = values.clone();
                Trial::of(&model.state, values, bracket.number, bracket.halving, chunks)
            })
            .collect();
        write(&self.folder(bracket.number).join("outcome.json"), &outcome)?;
        self.take(outcome);
        Ok(true)
    }

    /// The trials so far, the best first.
    pub fn standing(&self) -> Vec<&Trial> {
        trial::standing(&self.trials, self.halving.rungs)
    }

    /// The best trial so far, unless all have diverged.
    pub fn best(&self) -> Option<&Trial> {
        self.standing().first().copied().filter(|best| best.fate != Fate::Diverged)
    }

    /// How many brackets there will be, unless the ranges hold fewer trials.
    pub fn brackets(&self) -> usize {
        self.wanted.div_ceil(self.job.tune.bracket)
    }

    /// How each bracket is cut.
    pub fn halving(&self) -> Halving {
        self.halving
    }

    /// The search's folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The run directory of a bracket.
    pub fn folder(&self, bracket: usize) -> PathBuf {
        self.home.join("brackets").join(bracket.to_string())
    }

    fn take(&mut self, outcome: Vec<Trial>) {
        self.trials.extend(outcome);
        self.brackets += 1;
    }

    /// The job of a bracket whose trials set these values.
    fn job_of(&self, number: usize, before: usize, values: &[Values]) -> Result<Job, JobError> {
        let mut job = self.job.clone();
        let models = values.iter().enumerate().map(|(place, values)| {
            self.job.model_with(&format!("trial-{}", before + place + 1), values)
        });
        job.model = Models::new(models.collect::<Result<_, _>>()?);
        job.tune = Tune::default();
        job.stop = Stop { after_chunks: self.halving.end(), ..Stop::default() };
        job.held_out = HeldOut { every: Trigger::Never, passage: 0, ..job.held_out };
        // They are measured on what is held out, which a search does not look at.
        job.report = Report { gradients: Trigger::Never, ..job.report };
        job.directory = self.folder(number);
        // The pages are the run's: read once for all brackets, and for the run that comes after.
        job.fetch.cache_dir.get_or_insert_with(|| directory::pages(&self.job.directory));
        if number > 0 {
            // What the first bracket has read, so that all are judged by the same text.
            job.fetch.revalidate = fetch::Revalidate::Never;
        }
        Ok(job)
    }
}

/// Refuses a job that is not one to search for.
fn check(job: &Job) -> Result<(), JobError> {
    let refused = |key: &str, found: &str, advice: &str| {
        let (key, found, advice) = (key.to_owned(), found.to_owned(), advice.to_owned());
        Err(JobError::Senseless { key, found, advice })
    };
    if job.model.len() > 1 {
        let advice = "give one [model]; a search lays its trials over it";
        return refused("model", &format!("{} models", job.model.len()), advice);
    }
    if job.tune.model.is_empty() && job.tune.train.is_empty() {
        let advice = "say in [tune] what to search, such as \
                      train.learning_rate = { from = 1e-4, to = 1e-2, scale = \"log\" }";
        return refused("tune", "without ranges", advice);
    }
    for (index, source) in job.source.iter().enumerate() {
        let why = match source {
            Source::Stdin(_) => "stdin, which can be read once",
            Source::Feed(_) => "feed, which has no end",
            Source::Files(files) if files.watch => "files that are watched, which has no end",
            _ => continue,
        };
        let advice =
            "a search reads its sources to an end, once for each bracket: use another source";
        return refused(&format!("source.{index}.kind"), why, advice);
    }
    Ok(())
}

/// What of a job decides what comes of a search; all else may change while it stands still.
fn definition(job: &Job) -> Job {
    Job {
        directory: Job::default().directory,
        workers: 0,
        max_workers: 0,
        scale: Vec::new(),
        fetch: fetch::Settings::default(),
        held_out: HeldOut { share: job.held_out.share, ..HeldOut::default() },
        commit: Commit::default(),
        plots: Plots::default(),
        stop: Stop::default(),
        report: Report::default(),
        ..job.clone()
    }
}

/// Reads a file of the search, if it is there.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TuneError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TuneError::File { doing: "read", path: path.into(), source }),
    };
    let damaged = |source| TuneError::Damaged { path: path.into(), source };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

/// Writes a file of the search, whole or not at all.
fn write(path: &Path, data: &impl Serialize) -> Result<(), TuneError> {
    let text = serde_json::to_vec_pretty(data).expect("plain data");
    put(path, &text).map_err(|source| TuneError::File { doing: "write", path: path.into(), source })
}

fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("writing");
    fs::create_dir_all(path.parent().expect("a file in the search's folder"))?;
    let mut file = File::create(&aside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(aside, path)
}
