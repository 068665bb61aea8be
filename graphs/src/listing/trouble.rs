//! What can be wrong with a source.

use operators::{
    catalogue::{aozora, files},
    extract::BadSelector,
    fetch::{self, Url},
};

/// What can be wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The index could not be fetched.
    #[error("could not fetch the index {url}: {source}")]
    Fetch {
        /// Where it should be.
        url: Url,
        /// Why not.
        source: Box<fetch::Trouble>,
    },
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] aozora::IndexError),
    /// The files could not be listed.
    #[error(transparent)]
    Files(#[from] files::FilesError),
    /// The selector is none.
    #[error(transparent)]
    Selector(#[from] BadSelector),
}
