//! The tables of a job file, as written, each with its defaults; what is learnt is in `learning.rs`.

use std::path::PathBuf;

use operators::{vectors, vocabulary::Admission};
use serde::{Deserialize, Serialize};

use super::Trigger;

/// What sources may read that are attached to the job later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Folders whose files they may read; empty means the folder in which the job was started.
    pub files: Vec<PathBuf>,
}

/// How the catalogue flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flow {
    /// Entries in an epoch.
    pub epoch_entries: usize,
    /// Epochs that may be open at once.
    pub epochs_in_flight: u64,
}

impl Default for Flow {
    fn default() -> Self {
        Self { epoch_entries: 8, epochs_in_flight: 16 }
    }
}

/// How many workers get work from an epoch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The first epoch.
    pub from_epoch: operators::Epoch,
    /// Workers that get work.
    pub workers: usize,
}

/// The analyzer's dictionary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dictionary {
    /// Its folder; empty means wherever set-up has put it.
    pub directory: PathBuf,
}

/// Pretrained vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vectors {
    /// Their file; empty means that embeddings are learned from nothing.
    pub file: PathBuf,
    /// How the file is written.
    pub format: vectors::Format,
    /// Whether training changes them.
    pub use_as: model::Vectors,
}

impl Default for Vectors {
    fn default() -> Self {
        let (file, format) = (PathBuf::new(), vectors::Format::Auto);
        Self { file, format, use_as: model::Vectors::Tuned }
    }
}

/// When words enter the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vocabulary {
    /// Ids in all, those of characters and bytes included.
    pub limit: u32,
    /// How often a word must have been seen.
    pub minimum_count: u64,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self { limit: 20_000, minimum_count: 3 }
    }
}

impl From<Vocabulary> for Admission {
    fn from(vocabulary: Vocabulary) -> Self {
        Self { limit: vocabulary.limit, minimum_count: vocabulary.minimum_count }
    }
}

/// How the stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chunk {
    /// Ids in a chunk.
    pub words: usize,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { words: 65_536 }
    }
}

/// What was learnt before and is learnt again beside what is new.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// Share of each chunk's words that are learnt again with it.
    pub share: f64,
    /// Segments that are kept of what was learnt.
    pub segments: usize,
    /// Ids in a segment.
    pub segment_words: usize,
    /// From when on.
    pub from: ReplayFrom,
}

/// From when on what was learnt before is learnt again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayFrom {
    /// From the first chunk on that has words of an attached source.
    Attach,
    /// From the beginning.
    Always,
}

impl Default for Replay {
    fn default() -> Self {
        Self { share: 0.1, segments: 4096, segment_words: 256, from: ReplayFrom::Attach }
    }
}

/// What is never trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldOut {
    /// Share of the entries, chosen by a hash of their id.
    pub share: f64,
    /// How often models are scored on them; at the end they always are.
    pub every: Trigger,
    /// Words after which an evaluation during the run stops to take documents; the one at the end
    /// takes all.
    pub words: usize,
    /// Words that the model writes at each evaluation to have its repetitions gauged; 0 for none.
    pub passage: usize,
}

impl Default for HeldOut {
    fn default() -> Self {
        Self { share: 0.02, every: Trigger::Chunks(10), words: 20_000, passage: 200 }
    }
}

/// How a run is drawn while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plots {
    /// Seconds from one drawing to the next; 0 draws nothing, not at the end either.
    pub every_seconds: f64,
    /// Whether TensorBoard's event files are written as well.
    pub tensorboard: bool,
}

impl Default for Plots {
    fn default() -> Self {
        Self { every_seconds: 30.0, tensorboard: false }
    }
}

/// When checkpoints are written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    /// From one to the next, at least; only a closed epoch can be committed.
    pub every: Trigger,
    /// How many are kept.
    pub keep: usize,
}

impl Default for Commit {
    fn default() -> Self {
        Self { every: Trigger::Seconds(60.0), keep: 3 }
    }
}

/// What a run tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// How often steps are told of where no terminal shows them.
    pub print: Trigger,
    /// How often gradient profiles and spectral norms are measured.
    pub gradients: Trigger,
    /// How often parameters, their gradients and their steps are.
    pub parameters: Trigger,
    /// Whether the time of each step is written to the metrics.
    pub steps: bool,
}

impl Default for Report {
    fn default() -> Self {
        let (print, ten) = (Trigger::Seconds(10.0), Trigger::Chunks(10));
        Self { print, gradients: ten, parameters: ten, steps: false }
    }
}
