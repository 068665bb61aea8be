//! The job file, in two storeys: as written (TOML, unknown keys refused with the nearest known one,
//! defaults visible), and as meant ([`Job::check`] has passed).

mod learning;
mod models;
mod set;
pub mod source;
mod stop;
mod tables;
mod trigger;
pub mod tune;
mod workers;

use std::path::{Path, PathBuf};

use model::{Clip, DeviceChoice, optimizer::AdamConstants};
use operators::fetch;
use serde::{Deserialize, Serialize};

use crate::peers::Place;
pub use learning::{Clipping, Model, Optimizer, Schedule, Softmax, Train};
pub use models::Models;
pub use source::{Aozora, Feed, FeedText, Files, Pages, Sample, Source, Stdin, check_attached};
pub use stop::{Reached, Stop, Stopped};
pub use tables::{
    Allow, Chunk, Commit, Dictionary, Flow, HeldOut, Plots, Replay, ReplayFrom, Report, Scale,
    Vectors, Vocabulary,
};
pub use trigger::{Moment, NoTrigger, Trigger};
pub use tune::Tune;

/// Why a job cannot be run as written.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No such file, or no right to read it.
    #[error("could not read job \"{}\": {source}", path.display())]
    Unreadable {
        /// The job file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("could not read job \"{}\": {message}", path.display())]
    Malformed {
        /// The job file.
        path: PathBuf,
        /// What is wrong where, and what may have been meant.
        message: String,
    },
    /// A value that makes no sense.
    #[error("could not use job: `{key}` is {found}; {advice}")]
    Senseless {
        /// The key, with its table.
        key: String,
        /// Its value.
        found: String,
        /// What it may be.
        advice: String,
    },
    /// A model whose own `train` cannot be used.
    #[error("could not use job: the `train` of model \"{name}\": {message}")]
    Model {
        /// The model.
        name: String,
        /// What is wrong, and what may have been meant.
        message: String,
    },
    /// A range of a search of which a value cannot be used.
    #[error("could not use job: `{key}`: {message}")]
    Range {
        /// The range's key.
        key: String,
        /// What is wrong, and what may have been meant.
        message: String,
    },
    /// An override that cannot be read.
    #[error("could not read override \"{0}\"; write it as key=value, such as train.passes=2")]
    Override(String),
}

impl JobError {
    fn senseless(key: &str, found: &dyn ToString, advice: &str) -> Self {
        Self::Senseless { key: key.into(), found: found.to_string(), advice: advice.into() }
    }
}

/// A job, as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Job {
    /// The run directory.
    pub directory: PathBuf,
    /// What everything random is drawn from.
    pub seed: u64,
    /// Workers that get work at first; 0 means one for each core.
    pub workers: usize,
    /// Timely workers that are started; 0 means one for each core.
    pub max_workers: usize,
    /// Other numbers of workers, each from an epoch on.
    pub scale: Vec<Scale>,
    /// What is read, in catalogue order.
    pub source: Vec<Source>,
    /// What sources may read that are attached later.
    pub allow: Allow,
    /// How the catalogue flows.
    pub flow: Flow,
    /// How pages are fetched.
    pub fetch: fetch::Settings,
    /// The analyzer's dictionary.
    pub dictionary: Dictionary,
    /// Pretrained vectors.
    pub vectors: Vectors,
    /// When words enter the vocabulary.
    pub vocabulary: Vocabulary,
    /// How the stream is cut.
    pub chunk: Chunk,
    /// The models, each with the shape of its network.
    pub model: Models,
    /// How it is trained.
    pub train: Train,
    /// What is learnt again.
    pub replay: Replay,
    /// What is never trained on.
    pub held_out: HeldOut,
    /// When checkpoints are written.
    pub commit: Commit,
    /// How the run is drawn.
    pub plots: Plots,
    /// When the job ends before its catalogue does.
    pub stop: Stop,
    /// What the run tells of itself.
    pub report: Report,
    /// What a search tries.
    pub tune: Tune,
    /// Which of the job's processes this is, if it has several: the command line's to say.
    #[serde(skip)]
    pub place: Option<Place>,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            directory: "runs/job".into(),
            seed: 1,
            workers: 0,
            max_workers: 0,
            scale: Vec::new(),
            source: Vec::new(),
            allow: Allow::default(),
            flow: Flow::default(),
            fetch: fetch::Settings::default(),
            dictionary: Dictionary::default(),
            vectors: Vectors::default(),
            vocabulary: Vocabulary::default(),
            chunk: Chunk::default(),
            model: Models::default(),
            train: Train::default(),
            replay: Replay::default(),
            held_out: HeldOut::default(),
            commit: Commit::default(),
            plots: Plots::default(),
            stop: Stop::default(),
            report: Report::default(),
            tune: Tune::default(),
            place: None,
        }
    }
}

impl Job {
    /// Reads a job file, lays `overrides` (`key=value`, dotted) over it, and checks the result.
    ///
    /// # Errors
    /// If the file cannot be read, is malformed, or means something that no job can do.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, JobError> {
        Self::read_at(path, overrides, None)
    }

    /// The same for one of several processes, where there is one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_at(
        path: &Path,
        overrides: &[String],
        place: Option<Place>,
    ) -> Result<Self, JobError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| JobError::Unreadable { path: path.into(), source })?;
        Self::parse_at(path, &text, overrides, place)
    }

    /// The same from a text; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<Self, JobError> {
        Self::parse_at(path, text, overrides, None)
    }

    fn parse_at(
        path: &Path,
        text: &str,
        overrides: &[String],
        place: Option<Place>,
    ) -> Result<Self, JobError> {
        let malformed = |error: toml::de::Error| JobError::Malformed {
            path: path.into(),
            message: set::explain(&error),
        };
        // First as it stands, so that messages can show the line.
        let mut job: Self = toml::from_str(text).map_err(malformed)?;
        if !overrides.is_empty() {
            let mut table: toml::Table = toml::from_str(text).map_err(malformed)?;
            set::overlay(&mut table, overrides)?;
            job = table.try_into().map_err(malformed)?;
        }
        job.place = place;
        job.check()?;
        Ok(job)
    }

    /// Refuses what no job can do.
    ///
    /// # Errors
    /// The first value that makes no sense, with what it may be.
    pub fn check(&self) -> Result<(), JobError> {
        let positive = [
            ("flow.epoch_entries", self.flow.epoch_entries as u64),
            ("flow.epochs_in_flight", self.flow.epochs_in_flight),
            ("chunk.words", self.chunk.words as u64),
            ("vocabulary.minimum_count", self.vocabulary.minimum_count),
            ("commit.keep", self.commit.keep as u64),
            ("held_out.words", self.held_out.words as u64),
            ("replay.segments", self.replay.segments as u64),
            ("replay.segment_words", self.replay.segment_words as u64),
        ];
        if let Some((key, value)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(JobError::senseless(key, &value, "use 1 or more"));
        }
        let bounded = [
            ("workers", self.workers, 1024),
            ("max_workers", self.max_workers, 1024),
            ("train.threads", self.train.threads, 1024),
        ];
        if let Some((key, value, most)) = bounded.into_iter().find(|(_, value, most)| value > most)
        {
            return Err(JobError::senseless(key, &value, &format!("use {most} or less")));
        }
        self.check_workers()?;
        if self.directory.as_os_str().is_empty() {
            let advice = "name a folder for the run, such as runs/job";
            return Err(JobError::senseless("directory", &"empty", advice));
        }
        if self.vocabulary.limit < 512 {
            let advice = "use 512 or more: characters and bytes are in it too";
            return Err(JobError::senseless("vocabulary.limit", &self.vocabulary.limit, advice));
        }
        if !(0.0..1.0).contains(&self.held_out.share) {
            let advice = "use a share from 0 to below 1";
            return Err(JobError::senseless("held_out.share", &self.held_out.share, advice));
        }
        if !(0.0..=86_400.0).contains(&self.plots.every_seconds) {
            let advice = "use seconds from 0 to 86400; 0 draws nothing";
            let found = self.plots.every_seconds;
            return Err(JobError::senseless("plots.every_seconds", &found, advice));
        }
        if !(0.0..=1.0).contains(&self.replay.share) {
            let advice = "use a share from 0 to 1";
            return Err(JobError::senseless("replay.share", &self.replay.share, advice));
        }
        self.stop.check()?;
        self.fetch.check().map_err(|error| match error {
            fetch::ClientError::Setting { name, value, advice } => {
                JobError::senseless(&format!("fetch.{name}"), &value, advice)
            }
            other => JobError::senseless("fetch", &other, "mend it"),
        })?;
        if self.train.device.parse::<DeviceChoice>().is_err() {
            let advice = "use auto, cpu or cuda:0";
            return Err(JobError::senseless("train.device", &self.train.device, advice));
        }
        models::check_names(&self.model)?;
        self.model.iter().try_for_each(|model| self.check_model(model))?;
        self.check_tune()?;
        source::check(&self.source)
    }

    /// Refuses a model that no job can have; keys are called as in a job with one.
    fn check_model(&self, model: &Model) -> Result<(), JobError> {
        let train = self.train_of(model)?;
        let positive = [
            ("train.batch", train.batch),
            ("train.sequence", train.sequence),
            ("train.passes", train.passes as usize),
        ];
        if let Some((key, value)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(JobError::senseless(key, &value, "use 1 or more"));
        }
        let bounded = [
            ("train.batch", train.batch, 1 << 20),
            ("train.sequence", train.sequence, 1 << 16),
            ("model.hidden", model.hidden, 1 << 16),
            ("model.embedding", model.embedding, 1 << 16),
            ("model.layers", model.layers, 64),
        ];
        if let Some((key, value, most)) = bounded.into_iter().find(|(_, value, most)| value > most)
        {
            return Err(JobError::senseless(key, &value, &format!("use {most} or less")));
        }
        if !(train.clip_at > 0.0 && train.clip_at.is_finite()) {
            let advice = "use a value above 0, or clip = \"none\"";
            return Err(JobError::senseless("train.clip_at", &train.clip_at, advice));
        }
        if model.embedding == 0 && self.vectors.file.as_os_str().is_empty() {
            let advice = "use 1 or more, or name a file in vectors.file";
            return Err(JobError::senseless("model.embedding", &0, advice));
        }
        let shape = self.shape(model, model.embedding.max(1));
        let settings = self.settings(model, &train, shape.clone());
        shape.check().and_then(|()| settings.check()).map_err(|error| match error {
            model::Error::Setting { name, found, advice } => {
                JobError::senseless(name, &found, advice)
            }
            other => JobError::senseless("model", &other, "mend it"),
        })
    }

    /// Refuses a source that could not stand in a job file.
    ///
    /// # Errors
    /// The first value that makes no sense, with what it may be.
    pub fn check_source(source: &Source) -> Result<(), JobError> {
        source::check(std::slice::from_ref(source))
    }

    /// How a model is trained: its own `train` lies over the job's.
    ///
    /// # Errors
    /// If its `train` has an unknown key or a value of the wrong type; not after [`Self::check`].
    pub fn train_of(&self, model: &Model) -> Result<Train, JobError> {
        models::trained(model, &self.train)
    }

    /// The shape of a model's network, its embedding `embedding` wide.
    pub fn shape(&self, model: &Model, embedding: usize) -> model::Shape {
        let Model { cell, layers, hidden, tied, dropout, identity, .. } = *model;
        let softmax = match model.softmax {
            Softmax::Full => model::Softmax::Full,
            Softmax::Adaptive => model::Softmax::Adaptive {
                cutoffs: model.cutoffs.clone(),
                reduction: model.reduction,
            },
        };
        model::Shape { cell, layers, hidden, embedding, tied, dropout, identity, softmax }
    }

    /// What the trainer wants to know of a model that is trained like this.
    pub fn settings(&self, model: &Model, train: &Train, shape: model::Shape) -> model::Settings {
        let Train { batch, sequence, passes, weight_decay, momentum, clip_at, .. } = *train;
        let adam = AdamConstants { weight_decay, ..AdamConstants::default() };
        model::Settings {
            shape,
            vectors: self.vectors.use_as,
            optimizer: match train.optimizer {
                Optimizer::Adam => model::Optimizer::Adam(adam),
                Optimizer::AdamW => model::Optimizer::AdamW(adam),
                Optimizer::Sgd => model::Optimizer::Sgd { momentum, weight_decay },
            },
            schedule: train.schedule(),
            clip: match train.clip {
                Clipping::None => Clip::None,
                Clipping::Norm => Clip::Norm(clip_at),
                Clipping::Value => Clip::Value(clip_at),
            },
            batch,
            sequence,
            passes,
            precision: train.precision,
            average: train.average,
            regularization: model::Regularization {
                locked_dropout: model.locked_dropout,
                embedding_dropout: model.embedding_dropout,
                weight_drop: model.weight_drop,
                activation: train.activation_regularization,
                temporal_activation: train.temporal_activation_regularization,
            },
        }
    }
}
