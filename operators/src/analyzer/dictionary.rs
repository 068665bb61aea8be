//! The lexicon, open for reading and shared by all workers of a process.
//!
//! A dictionary lives in a folder, its *home*: `source/` holds IPADIC as it is published (in
//! UTF-8), `compiled/` what is made of it, which is compiled once when it is not there yet and then
//! read through memory maps. Every byte of `compiled/` is checked against the sums written with it
//! before it is used, because the lattice trusts what it reads.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use lindera::{dictionary::Dictionary as System, error::LinderaError};
use thiserror::Error;

use super::{compile, lexicon::Lexicon};

/// The lexicon and its costs. Read-only: one serves all workers.
pub struct Dictionary {
    pub(super) lexicon: Lexicon,
    identity: String,
}

/// Why a dictionary could not be opened.
#[derive(Debug, Error)]
pub enum DictionaryError {
    /// Neither the sources nor anything compiled.
    #[error(
        "there is no dictionary in {home}: run `make setup`, \
         or name a folder that has one in SESERAGI_DICTIONARY"
    )]
    Missing {
        /// The folder that was looked into.
        home: PathBuf,
    },
    /// The sources could not be compiled.
    #[error(
        "could not compile the dictionary in {sources}; delete that folder and run `make setup`"
    )]
    Compile {
        /// The folder of the sources.
        sources: PathBuf,
        /// What the builder said.
        source: LinderaError,
    },
    /// What is there is not what this program wrote, or would write.
    #[error(
        "the compiled dictionary in {folder} cannot be used ({what}); delete that folder, \
         it is made again from the sources"
    )]
    Damaged {
        /// The folder to delete.
        folder: PathBuf,
        /// What was found.
        what: String,
    },
    /// A file could not be read or written.
    #[error("could not {action} {path}; see that it is there and that this user may do so")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Dictionary {
    /// Opens the dictionary whose home is `home`, compiling it first if it never was (a few
    /// seconds). Where several processes find it uncompiled, one compiles and the others wait.
    ///
    /// # Errors
    /// [`DictionaryError`], each telling what to do.
    pub fn open(home: &Path) -> Result<Arc<Self>, DictionaryError> {
        let folder = compile::compiled(home)?;
        let damaged = |what| DictionaryError::Damaged { folder: folder.clone(), what };
        let read = |name| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| DictionaryError::File { action: "read", path, source })
        };
        let system = System::load_from_path(&folder).map_err(|error| damaged(chain(&error)))?;
        let lexicon = Lexicon::new(system, &read("dict.trie")?, &read("dict.valsidx")?)
            .ok_or_else(|| damaged("its parts do not fit each other".to_owned()))?;
        let identity = compile::identity(&folder)?;
        Ok(Arc::new(Self { lexicon, identity }))
    }

    /// What tells it from dictionaries that cut text into other words.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Where the dictionary's home is: what `SESERAGI_DICTIONARY` names; else the nearest
    /// `.dictionary` in the current folder or above it; else above the program's own file; else
    /// `.dictionary` here, so that an error can name it.
    pub fn locate() -> PathBuf {
        env::var_os("SESERAGI_DICTIONARY").filter(|named| !named.is_empty()).map_or_else(
            || {
                let here = env::current_dir().ok();
                let program = env::current_exe().and_then(fs::canonicalize).ok();
                [here, program]
                    .iter()
                    .flatten()
                    .find_map(|start| nearest(start))
                    .unwrap_or_else(|| PathBuf::from(HOME))
            },
            PathBuf::from,
        )
    }
}

const HOME: &str = ".dictionary";

/// The nearest home in `start` or above it.
fn nearest(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join(HOME)).find(|home| home.is_dir())
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_home_above_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::create_dir(root.path().join(HOME)).unwrap();
        assert_eq!(nearest(&below), Some(root.path().join(HOME)));
        fs::create_dir(root.path().join("a").join(HOME)).unwrap();
        assert_eq!(nearest(&below), Some(root.path().join("a").join(HOME)));
    }
}
