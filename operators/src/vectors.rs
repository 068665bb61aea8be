//! Pretrained word vectors, read from a file once and shared by all workers.
//!
//! A vector comes out as it stands in the file, with the length it was trained to, not scaled to
//! one. A file is refused rather than half believed: cut short, a word twice, a word that is not
//! UTF-8, a component that is not a number. Files with subwords (fastText's `.bin`, finalfusion's)
//! have a vector for almost any word: where they lack the word, the mean of its subwords.

mod format;
mod library;
mod plain;
mod write;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{FixedSizeListArray, Float32Array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, Field};
use thiserror::Error;

pub use self::{format::Format, write::write};
use self::{library::Library, plain::Table};
use crate::{
    analyzer::{Memo, Word},
    record::Rows,
};

/// A table of word vectors. Read-only: one serves all workers.
pub struct Vectors {
    path: PathBuf,
    store: Store,
}

enum Store {
    Table(Table),
    Library(Box<Library>),
}

/// Why vectors could not be had from a file.
#[derive(Debug, Error)]
#[error("could not take the word vectors in {path}: {trouble}")]
pub struct VectorsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub trouble: Trouble,
}

/// What is wrong with a file of vectors.
#[derive(Debug, Error)]
pub enum Trouble {
    /// It could not be read.
    #[error("it could not be read; see that it is there and that this user may read it")]
    Unreadable(#[from] io::Error),
    /// It could not be written.
    #[error(
        "it could not be written; see that its folder is there, has room, and that this user may write there"
    )]
    Unwritable(#[source] io::Error),
    /// It is none of the formats that are known, or not the one that was named.
    #[error("it is not a file of {format} vectors ({what}); name its format, or another file")]
    Foreign {
        /// The format it was read as.
        format: Format,
        /// What does not fit.
        what: String,
    },
    /// It ends before the last vector that it announces.
    #[error("it is cut short: {found} bytes, at least {needed} are announced; fetch it again")]
    CutShort {
        /// The bytes that what it announces takes.
        needed: u64,
        /// The bytes that are there.
        found: u64,
    },
    /// It has no vectors.
    #[error("it has no vectors")]
    Empty,
    /// A word stands in it twice.
    #[error("the word {word:?} stands in it twice; take one of the two out")]
    Duplicate {
        /// The word.
        word: String,
    },
    /// A word's bytes are no text.
    #[error("word {number} is not UTF-8; convert the file, or name its right format")]
    NotUtf8 {
        /// Which word, counted from 1.
        number: usize,
    },
    /// A component is infinite or not a number.
    #[error("the vector of {word:?} has a component that is not finite; take the word out")]
    NotFinite {
        /// The word.
        word: String,
    },
    /// A vector has more or fewer components than the others.
    #[error("the vector of {word:?} has {found} components, not {expected}")]
    Ragged {
        /// The word.
        word: String,
        /// The components of the others, or as announced.
        expected: usize,
        /// Its components.
        found: usize,
    },
    /// It is sound, but has a feature that is not supported.
    #[error("{what} are not supported; write the vectors as word2vec or text")]
    Unsupported {
        /// The feature.
        what: &'static str,
    },
    /// The vectors have another dimension than the job is for.
    #[error("they have {found} dimensions, the job is for {expected}; change one or the other")]
    Dimension {
        /// What the job is for.
        expected: usize,
        /// What the file has.
        found: usize,
    },
    /// The finalfusion library would not read it.
    #[error("the finalfusion library would not read it")]
    Library(#[from] finalfusion::error::Error),
}

impl Vectors {
    /// Reads the vectors in `path`; [`Format::Auto`] tells the format by the file's first bytes.
    ///
    /// # Errors
    /// [`VectorsError`], naming the file and what is wrong with it.
    pub fn open(path: &Path, format: Format) -> Result<Arc<Self>, VectorsError> {
        let store = read(path, format)
            .map_err(|trouble| VectorsError { path: path.to_owned(), trouble })?;
        Ok(Arc::new(Self { path: path.to_owned(), store }))
    }

    /// Checks that the vectors have the dimension that the job is for.
    ///
    /// # Errors
    /// [`Trouble::Dimension`] where they have another.
    pub fn expect_dimension(&self, expected: usize) -> Result<(), VectorsError> {
        let found = self.dimension();
        if found == expected {
            return Ok(());
        }
        let trouble = Trouble::Dimension { expected, found };
        Err(VectorsError { path: self.path.clone(), trouble })
    }

    /// How many components each vector has.
    pub fn dimension(&self) -> usize {
        match &self.store {
            Store::Table(table) => table.dimension(),
            Store::Library(library) => library.dimension(),
        }
    }

    /// How many words have a vector of their own.
    #[expect(clippy::len_without_is_empty, reason = "an empty file is refused when it is opened")]
    pub fn len(&self) -> usize {
        match &self.store {
            Store::Table(table) => table.len(),
            Store::Library(library) => library.len(),
        }
    }

    /// The vectors of `words`, one (or null) for each. `memo` is kept for these vectors, and for the
    /// dictionary that has cut the words.
    pub fn rows<'a>(&self, words: impl Iterator<Item = Word<'a>>, memo: &mut Memo) -> Rows {
        match &self.store {
            Store::Table(table) => table.rows(words, memo),
            Store::Library(library) => library.rows(words.map(|word| word.surface)),
        }
    }

    /// Writes the vector of `word` into `out`, `[dimension]`, and says whether there is one; where
    /// there is none `out` stays as it was.
    ///
    /// # Panics
    /// If `out` has not exactly [`dimension`](Self::dimension) places.
    pub fn lookup(&self, word: &str, out: &mut [f32]) -> bool {
        match &self.store {
            Store::Table(table) => {
                table.get(word).map(|vector| out.copy_from_slice(vector)).is_some()
            }
            Store::Library(library) => library.lookup(word, out),
        }
    }
}

/// Vectors one after the other, `[words, dimension]`, as a table with one a row.
fn table(components: Vec<f32>, dimension: usize) -> FixedSizeListArray {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let width = i32::try_from(dimension).expect("a vector's components fit into memory many times");
    let components = Float32Array::new(ScalarBuffer::from(components), None);
    FixedSizeListArray::new(item, width, Arc::new(components), None)
}

fn read(path: &Path, format: Format) -> Result<Store, Trouble> {
    let format = match format {
        Format::Auto => {
            let mut head = Vec::new();
            File::open(path)?.take(format::HEAD).read_to_end(&mut head)?;
            if head.is_empty() {
                return Err(Trouble::Empty);
            }
            format::detect(&head).ok_or_else(|| Trouble::Foreign {
                format: Format::Auto,
                what: "its beginning is unlike any of them".to_owned(),
            })?
        }
        named => named,
    };
    Ok(match format {
        Format::Word2Vec => Store::Table(plain::word2vec(path)?),
        Format::Text => Store::Table(plain::text(path, true)?),
        Format::Glove => Store::Table(plain::text(path, false)?),
        Format::FastText => Store::Library(Box::new(library::fast_text(path)?)),
        Format::Finalfusion => Store::Library(Box::new(library::finalfusion(path)?)),
        Format::Auto => unreachable!("told by the first bytes"),
    })
}

#[cfg(test)]
mod tests;
