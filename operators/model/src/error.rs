//! What can go wrong in this crate: all of it is fatal to the call, none of it is data.

use std::path::PathBuf;

/// A failure of the model, its trainer or its files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that makes no sense.
    #[error("`{name}` is {found}; {advice}")]
    Setting {
        /// The setting, as a job file writes it.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        advice: &'static str,
    },
    /// No such device here.
    #[error("could not use device \"{device}\": {reason}")]
    Device {
        /// The device that was asked for.
        device: String,
        /// Why it cannot be had, and what to do.
        reason: String,
    },
    /// libtorch refused, for instance because memory is exhausted.
    #[error("{doing}: libtorch says: {message}")]
    Torch {
        /// What was tried.
        doing: &'static str,
        /// The first line of libtorch's message.
        message: String,
    },
    /// A word that has no row.
    #[error("word {word} has no row, the model has {rows}; append its row before using it")]
    UnknownWord {
        /// The word's id.
        word: u32,
        /// How many rows there are.
        rows: usize,
    },
    /// A new row that cannot be made.
    #[error("could not append row {row}: {reason}")]
    Row {
        /// The id that the row would have had.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The loss or the gradient is no longer a number.
    #[error(
        "step {step} gave a loss of {nats} nats and a gradient norm of {gradient_norm}; go back to \
         the last checkpoint with a lower learning rate or with clipping"
    )]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// The sum of the losses of the step's targets.
        nats: f64,
        /// The norm of the gradient before clipping.
        gradient_norm: f64,
    },
    /// The observer asked to stop within a chunk.
    #[error("training was interrupted after step {step}; go back to the last checkpoint")]
    Interrupted {
        /// The last step taken.
        step: u64,
    },
    /// The trainer stands in the middle of a chunk, after an interruption or a failure.
    #[error("the trainer stopped within a chunk; go back to the last checkpoint")]
    Unfinished,
    /// A file could not be read or written.
    #[error("could not {doing} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is not what a trainer writes, or not all of it.
    #[error("{} is not usable: {reason}; use another checkpoint", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint of another model than the job asks for.
    #[error(
        "the checkpoint has `{name}` {found}, the job asks for {wanted}; use the checkpoint's, or \
         begin a new run"
    )]
    Mismatch {
        /// The setting.
        name: &'static str,
        /// What the checkpoint has.
        found: String,
        /// What the job asks for.
        wanted: String,
    },
    /// No word is left to draw.
    #[error("every word is forbidden or impossible; forbid fewer, or widen top_k and top_p")]
    NothingToSay,
}

impl Error {
    /// Keeps the first line: what follows in libtorch's messages are C++ stack frames.
    pub(crate) fn torch(doing: &'static str, message: &str) -> Error {
        let message = message.lines().next().unwrap_or("nothing").trim().to_owned();
        Error::Torch { doing, message }
    }

    pub(crate) fn foreign(path: &std::path::Path, reason: impl Into<String>) -> Error {
        Error::Foreign { path: path.to_owned(), reason: reason.into() }
    }
}

/// Says what was being tried when libtorch failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, tch::TchError> {
    fn doing(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|error| match error {
            tch::TchError::Torch(message) => Error::torch(what, &message),
            other => Error::torch(what, &other.to_string()),
        })
    }
}
