//! Why a job failed: everything fatal that a graph can meet, each with what to do.

use std::{io, path::PathBuf};

use operators::{
    analyzer::DictionaryError, fault::FatalError, fetch::ClientError, vectors::VectorsError,
};

use crate::{
    checkpoint::CheckpointError,
    control::journal::JournalError,
    directory::DirectoryError,
    job::JobError,
    learner::LearnerError,
    listing::{AttachError, ListingError},
    peers::PeersError,
};

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The job cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The checkpoints cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The dictionary cannot be used.
    #[error(transparent)]
    Dictionary(#[from] DictionaryError),
    /// The vectors cannot be used.
    #[error(transparent)]
    Vectors(#[from] VectorsError),
    /// The web client cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A source cannot be used.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// A source that earlier runs have attached cannot take part.
    #[error("what the journal says of sources cannot be done: {0}")]
    Attach(#[from] AttachError),
    /// The model cannot be made or loaded.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The export failed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The learner failed.
    #[error(transparent)]
    Learner(#[from] LearnerError),
    /// The processes of the job cannot work together.
    #[error(transparent)]
    Peers(#[from] PeersError),
    /// A stage could not go on.
    #[error("{0}")]
    Stage(String),
    /// Something else of the system.
    #[error("could not {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl RunError {
    /// What a job fails with whose alarm was raised.
    pub(crate) fn raised(trouble: &FatalError) -> Self {
        match trouble.error.downcast_ref::<PeersError>() {
            Some(between) => between.clone().into(),
            None => Self::Stage(trouble.to_string()),
        }
    }
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[error("could not write \"{}\": {source}; is the disk full?", path.display())]
pub struct ExportError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}
