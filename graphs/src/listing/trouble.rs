//! What can be wrong with a source.

use std::path::PathBuf;

use operators::{
    catalogue::{aozora, feed::FeedError, files, sitemap::SitemapError},
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
    /// The sitemap could not be read.
    #[error("could not read the sitemap {url}: {cause}")]
    Sitemap {
        /// Where it is.
        url: Url,
        /// What is wrong with it.
        cause: Box<SitemapError>,
    },
    /// The list of addresses could not be read.
    #[error("could not read the list of addresses {path:?}: {cause}")]
    List {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The feed could not be read.
    #[error("could not read the feed: {0}")]
    Feed(#[from] Box<FeedError>),
    /// The spool could not be written, or the input not be read.
    #[error("could not spool what it brings: {0}; is the disk full?")]
    Spool(#[from] std::io::Error),
    /// The files could not be listed.
    #[error(transparent)]
    Files(#[from] files::FilesError),
    /// The selector is none.
    #[error(transparent)]
    Selector(#[from] BadSelector),
    /// The sample library could not be served.
    #[error("could not serve the sample library on the loopback interface: {0}")]
    Serve(std::io::Error),
}
