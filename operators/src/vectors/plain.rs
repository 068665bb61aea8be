//! The formats that are nothing but words and numbers: word2vec's binary and the two texts.
//!
//! Read here and not through finalfusion, which scales each vector to one (its length comes back
//! through a product, a little off), trims the ideographic space down to no word at all, takes
//! lines of unequal length if only their sum is right, and panics on a word that comes twice.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek},
    path::Path,
    sync::Arc,
};

use arrow_array::{FixedSizeListArray, Float32Array, cast::AsArray};
use rustc_hash::FxHashMap;

use super::{
    Trouble,
    format::{BLANKS, Format, shape},
    table,
};
use crate::{
    analyzer::{Memo, Word},
    record::Rows,
};

/// Words and their vectors in memory.
pub(super) struct Table {
    // The place of each word's vector.
    places: FxHashMap<Box<str>, u32>,
    // One a row.
    vectors: FixedSizeListArray,
}

impl Table {
    pub(super) fn dimension(&self) -> usize {
        self.vectors.value_length() as usize
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn rows<'a>(&self, words: impl Iterator<Item = Word<'a>>, memo: &mut Memo) -> Rows {
        // The place behind the last one is that of words that have none.
        let none = self.places.len() as u32;
        let place = |word: &str| self.places.get(word).copied().unwrap_or(none);
        let keys = words.map(|word| Some(memo.find(word, place)).filter(|&row| row != none));
        let keys = keys.collect();
        Rows::new(keys, Arc::new(self.vectors.clone()))
    }

    pub(super) fn get(&self, word: &str) -> Option<&[f32]> {
        let start = *self.places.get(word)? as usize * self.dimension();
        let components: &Float32Array = self.vectors.values().as_primitive();
        Some(&components.values()[start..start + self.dimension()])
    }
}

/// A table that is being read.
struct Draft {
    dimension: usize,
    places: FxHashMap<Box<str>, u32>,
    // The vectors one after the other, [words, dimension].
    components: Vec<f32>,
}

impl Draft {
    fn new(dimension: usize) -> Self {
        Self { dimension, places: FxHashMap::default(), components: Vec::new() }
    }

    fn len(&self) -> usize {
        self.places.len()
    }

    fn finish(self) -> Table {
        Table { places: self.places, vectors: table(self.components, self.dimension) }
    }

    fn push(&mut self, word: &[u8], vector: &[f32]) -> Result<(), Trouble> {
        let number = self.places.len();
        let word =
            std::str::from_utf8(word).map_err(|_| Trouble::NotUtf8 { number: number + 1 })?;
        if vector.len() != self.dimension {
            let (expected, found) = (self.dimension, vector.len());
            return Err(Trouble::Ragged { word: word.to_owned(), expected, found });
        }
        if !vector.iter().all(|component| component.is_finite()) {
            return Err(Trouble::NotFinite { word: word.to_owned() });
        }
        let place = u32::try_from(number)
            .map_err(|_| Trouble::Unsupported { what: "more than four billion vectors" })?;
        if self.places.insert(word.into(), place).is_some() {
            return Err(Trouble::Duplicate { word: word.to_owned() });
        }
        self.components.extend_from_slice(vector);
        Ok(())
    }
}

fn foreign(format: Format, what: impl Into<String>) -> Trouble {
    Trouble::Foreign { format, what: what.into() }
}

/// Reads word2vec's binary format: `words dimension\n`, then for each word the word, a space, its
/// components as little-endian floats, and maybe a line end.
pub(super) fn word2vec(path: &Path) -> Result<Table, Trouble> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let found = file.get_ref().metadata()?.len();
    let (words, dimension) = header(&mut file, Format::Word2Vec)?;
    // Before anything is allocated: what is announced must fit into the file, where each word
    // takes a byte and a space at the least.
    let vector_bytes = dimension.saturating_mul(size_of::<f32>());
    let at_least = (words as u64).saturating_mul((vector_bytes as u64).saturating_add(2));
    let needed = file.stream_position()?.saturating_add(at_least);
    if needed > found {
        return Err(Trouble::CutShort { needed, found });
    }
    let mut draft = Draft::new(dimension);
    draft.components.reserve(words * dimension);
    let (mut word, mut bytes) = (Vec::new(), vec![0; vector_bytes]);
    let mut vector = vec![0.0; dimension];
    for done in 0..words {
        word.clear();
        file.read_until(b' ', &mut word)?;
        let whole = word.pop() == Some(b' ') && fill(&mut file, &mut bytes)?;
        if !whole {
            let rest = ((words - done) as u64).saturating_mul(vector_bytes as u64 + 2);
            return Err(Trouble::CutShort { needed: found.saturating_add(rest), found });
        }
        for (component, bytes) in vector.iter_mut().zip(bytes.as_chunks().0) {
            *component = f32::from_le_bytes(*bytes);
        }
        // word2vec.c ends each vector with a line end, which so stands before the next word;
        // gensim writes none. A line end alone is a word.
        let ended = word.len() > 1 && word[0] == b'\n';
        draft.push(&word[usize::from(ended)..], &vector)?;
    }
    let mut rest = Vec::new();
    file.take(2).read_to_end(&mut rest)?;
    if !matches!(&rest[..], b"" | b"\n") {
        return Err(foreign(Format::Word2Vec, "bytes follow its last vector"));
    }
    Ok(draft.finish())
}

/// Reads text: a line a word, its components behind it; below the header where there is one.
pub(super) fn text(path: &Path, with_header: bool) -> Result<Table, Trouble> {
    let format = if with_header { Format::Text } else { Format::Glove };
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let announced = with_header.then(|| header(&mut file, format)).transpose()?;
    let mut draft = announced.map(|(_, dimension)| Draft::new(dimension));
    let (mut line, mut vector) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let number = draft.as_ref().map_or(0, Draft::len) + 1;
        let line = std::str::from_utf8(&line).map_err(|_| Trouble::NotUtf8 { number })?;
        let mut fields = line.trim_end_matches([' ', '\t', '\r', '\n']).split(BLANKS);
        let word = fields.next().unwrap_or_default();
        vector.clear();
        for field in fields {
            let component = field.parse().map_err(|_| {
                foreign(format, format!("{field:?} in the vector of {word:?} is not a number"))
            })?;
            vector.push(component);
        }
        if vector.is_empty() {
            return Err(foreign(format, format!("line {number} of its vectors has no numbers")));
        }
        draft.get_or_insert_with(|| Draft::new(vector.len())).push(word.as_bytes(), &vector)?;
    }
    let draft = draft.filter(|draft| draft.len() > 0).ok_or(Trouble::Empty)?;
    match announced {
        Some((words, _)) if words != draft.len() => {
            let lines = draft.len();
            Err(foreign(format, format!("it announces {words} vectors and has {lines}")))
        }
        _ => Ok(draft.finish()),
    }
}

/// Reads the first line: how many words, how many components.
fn header(file: &mut impl BufRead, format: Format) -> Result<(usize, usize), Trouble> {
    let mut line = Vec::new();
    // Two numbers are no longer than this; a file without line ends must not be read whole.
    file.take(64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(Trouble::Empty);
    }
    let (words, dimension) = std::str::from_utf8(&line).ok().and_then(shape).ok_or_else(|| {
        foreign(format, "its first line is not the number of words and of components")
    })?;
    if words == 0 || dimension == 0 {
        return Err(Trouble::Empty);
    }
    Ok((words, dimension))
}

/// Fills `bytes`, or says that the file ended before.
fn fill(file: &mut impl Read, bytes: &mut [u8]) -> Result<bool, Trouble> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}
