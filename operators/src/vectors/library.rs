//! The formats with subwords, read by the finalfusion library: fastText's and its own.
//!
//! The library panics on some files that it should refuse (a word twice, no subwords), and maps
//! into memory what a damaged file announces; so a file is looked through before it is given to it.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

use finalfusion::{
    prelude::{Embeddings, MmapEmbeddings, ReadFastText, StorageWrap, VocabWrap},
    storage::Storage,
    vocab::{Vocab, WordIndex},
};
use rustc_hash::FxHashSet;

use super::{
    Trouble,
    format::{FAST_TEXT, FINALFUSION, Format},
    table,
};
use crate::record::Rows;

/// Vectors that the library holds.
pub(super) struct Library {
    embeddings: Embeddings<VocabWrap, StorageWrap>,
}

impl Library {
    pub(super) fn dimension(&self) -> usize {
        self.embeddings.dims()
    }

    pub(super) fn len(&self) -> usize {
        self.embeddings.len()
    }

    /// A table of their own: a vector may be made of subwords.
    pub(super) fn rows<'a>(&self, words: impl Iterator<Item = &'a str>) -> Rows {
        let dimension = self.dimension();
        let mut components = Vec::new();
        let mut numbers = 0..;
        let keys = words.map(|word| {
            let start = components.len();
            components.resize(start + dimension, 0.0);
            if self.lookup(word, &mut components[start..]) {
                return numbers.next();
            }
            components.truncate(start);
            None
        });
        let keys = keys.collect();
        Rows::new(keys, Arc::new(table(components, dimension)))
    }

    pub(super) fn lookup(&self, word: &str, out: &mut [f32]) -> bool {
        assert_eq!(out.len(), self.dimension(), "as many places as components");
        let storage = self.embeddings.storage();
        match self.embeddings.vocab().idx(word) {
            None => return false,
            Some(WordIndex::Word(place)) => {
                // Words are stored with length one, their lengths beside them.
                let norm = self.embeddings.norms().map_or(1.0, |norms| norms[place]);
                let vector = storage.embedding(place);
                out.iter_mut().zip(vector.iter()).for_each(|(out, x)| *out = x * norm);
            }
            Some(WordIndex::Subword(places)) => {
                // The mean, as fastText has it; the library would give a vector of length one.
                let share = 1.0 / places.len() as f32;
                out.fill(0.0);
                for place in places {
                    let vector = storage.embedding(place);
                    out.iter_mut().zip(vector.iter()).for_each(|(out, x)| *out += x * share);
                }
            }
        }
        true
    }
}

/// Reads fastText's `.bin`.
pub(super) fn fast_text(path: &Path) -> Result<Library, Trouble> {
    let mut file = BufReader::new(File::open(path)?);
    look_through_fast_text(&mut Looking::new(&mut file, Format::FastText)?)?;
    file.rewind()?;
    Ok(Library { embeddings: Embeddings::read_fasttext(&mut file)?.into() })
}

/// Maps finalfusion's `.fifu` into memory.
pub(super) fn finalfusion(path: &Path) -> Result<Library, Trouble> {
    let mut file = BufReader::new(File::open(path)?);
    look_through_finalfusion(&mut Looking::new(&mut file, Format::Finalfusion)?)?;
    file.rewind()?;
    Ok(Library { embeddings: Embeddings::mmap_embeddings(&mut file)? })
}

fn look_through_fast_text(file: &mut Looking<'_>) -> Result<(), Trouble> {
    file.expect_mark(FAST_TEXT)?;
    let _version = file.u32()?;
    let mut settings = [0; 12];
    for setting in &mut settings {
        *setting = file.u32()?;
    }
    let [dimension, .., buckets, shortest, longest, _] = settings;
    let _sampling = file.u64()?;
    let words = file.u32()?;
    file.skip(2 * 4 + 2 * 8)?; // words again, labels, tokens, pruned
    if dimension == 0 || words == 0 {
        return Err(Trouble::Empty);
    }
    subwords(shortest, longest, buckets)?;
    let mut seen = Words::default();
    for _ in 0..words {
        let word = file.until_zero()?;
        seen.add(word)?;
        file.skip(8 + 1)?; // how often, and what kind
    }
    if file.u8()? != 0 {
        return Err(Trouble::Unsupported { what: "quantized vectors" });
    }
    let (rows, columns) = (file.u64()?, file.u64()?);
    if (rows, columns) != (u64::from(words) + u64::from(buckets), u64::from(dimension)) {
        return Err(file.foreign("its matrix has not a row for each word and subword"));
    }
    file.expect_rest(rows.saturating_mul(columns).saturating_mul(4))
}

// The kinds of chunk in finalfusion's format.
const SIMPLE_VOCABULARY: u32 = 1;
const MATRIX: u32 = 2;
const BUCKET_VOCABULARY: u32 = 3;
const METADATA: u32 = 5;
const NORMS: u32 = 6;
const FAST_TEXT_VOCABULARY: u32 = 7;

fn look_through_finalfusion(file: &mut Looking<'_>) -> Result<(), Trouble> {
    file.expect_mark(FINALFUSION)?;
    let (_version, chunks) = (file.u32()?, file.u32()?);
    if chunks > 4 {
        return Err(file.foreign("more chunks than there are kinds"));
    }
    file.skip(u64::from(chunks) * 4)?;
    // How many words there are, and how many rows the matrix must have for them and their subwords.
    let (mut words, mut rows_needed) = (0, 0);
    for _ in 0..chunks {
        let (kind, length) = (file.u32()?, file.u64()?);
        let start = file.position()?;
        file.expect_rest(length)?;
        match kind {
            METADATA => {}
            SIMPLE_VOCABULARY | BUCKET_VOCABULARY | FAST_TEXT_VOCABULARY => {
                words = file.u64()?;
                rows_needed = words;
                if kind != SIMPLE_VOCABULARY {
                    let (shortest, longest, buckets) = (file.u32()?, file.u32()?, file.u32()?);
                    subwords(shortest, longest, buckets)?;
                    // finalfusion's own buckets are counted by their exponent.
                    let buckets = match kind {
                        FAST_TEXT_VOCABULARY => Some(u64::from(buckets)),
                        _ => 1_u64.checked_shl(buckets),
                    };
                    let buckets = buckets.ok_or_else(|| file.foreign("too many buckets"))?;
                    rows_needed = words.saturating_add(buckets);
                }
                let mut seen = Words::default();
                for _ in 0..words {
                    let length = file.u32()?;
                    seen.add(file.bytes(u64::from(length))?)?;
                }
                // The library reads on from here, whatever the chunk's length says.
                if file.position()? != start + length {
                    return Err(file.foreign("its words end elsewhere than their chunk"));
                }
            }
            MATRIX => {
                let (rows, columns, _kind) = (file.u64()?, file.u32()?, file.u32()?);
                if rows != rows_needed || words == 0 {
                    return Err(file.foreign("its matrix has not a row for each word and subword"));
                }
                if columns == 0 {
                    return Err(Trouble::Empty);
                }
                file.skip_padding()?;
                file.expect_rest(rows.saturating_mul(u64::from(columns)).saturating_mul(4))?;
            }
            NORMS => {
                if file.u64()? != words {
                    return Err(file.foreign("it has not a length for each word"));
                }
                let _kind = file.u32()?;
                file.skip_padding()?;
                file.expect_rest(words.saturating_mul(4))?;
            }
            _ => return Err(Trouble::Unsupported { what: "quantized or n-gram vectors" }),
        }
        file.seek(start + length)?;
    }
    if rows_needed == 0 {
        return Err(Trouble::Empty);
    }
    Ok(())
}

/// The library divides by the buckets and panics where subwords have no length.
fn subwords(shortest: u32, longest: u32, buckets: u32) -> Result<(), Trouble> {
    if shortest == 0 || longest < shortest || buckets == 0 {
        return Err(Trouble::Unsupported { what: "fastText vectors without subwords" });
    }
    Ok(())
}

/// The words so far, to find one that is there already.
#[derive(Default)]
struct Words {
    seen: FxHashSet<String>,
}

impl Words {
    fn add(&mut self, word: Vec<u8>) -> Result<(), Trouble> {
        let number = self.seen.len() + 1;
        let word = String::from_utf8(word).map_err(|_| Trouble::NotUtf8 { number })?;
        match self.seen.replace(word) {
            Some(word) => Err(Trouble::Duplicate { word }),
            None => Ok(()),
        }
    }
}

/// A file that is being looked through, never beyond its end.
struct Looking<'f> {
    file: &'f mut BufReader<File>,
    format: Format,
    length: u64,
}

impl<'f> Looking<'f> {
    fn new(file: &'f mut BufReader<File>, format: Format) -> Result<Self, Trouble> {
        let length = file.get_ref().metadata()?.len();
        Ok(Self { file, format, length })
    }

    fn foreign(&self, what: &str) -> Trouble {
        Trouble::Foreign { format: self.format, what: what.to_owned() }
    }

    fn expect_mark(&mut self, mark: [u8; 4]) -> Result<(), Trouble> {
        if self.length == 0 {
            return Err(Trouble::Empty);
        }
        if self.array()? != mark {
            return Err(self.foreign("it does not begin as one"));
        }
        Ok(())
    }

    fn position(&mut self) -> Result<u64, Trouble> {
        Ok(self.file.stream_position()?)
    }

    fn expect_rest(&mut self, bytes: u64) -> Result<(), Trouble> {
        let needed = self.position()?.saturating_add(bytes);
        if needed > self.length {
            return Err(Trouble::CutShort { needed, found: self.length });
        }
        Ok(())
    }

    fn seek(&mut self, to: u64) -> Result<(), Trouble> {
        self.file.seek(SeekFrom::Start(to))?;
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Trouble> {
        self.expect_rest(bytes)?;
        self.file.seek_relative(i64::try_from(bytes).expect("it fits into the file"))?;
        Ok(())
    }

    /// Numbers stand at a multiple of four; the library pads by one byte at the least.
    fn skip_padding(&mut self) -> Result<(), Trouble> {
        let padding = 4 - self.position()? % 4;
        self.skip(padding)
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Trouble> {
        self.expect_rest(count)?;
        let mut bytes = Vec::new();
        self.file.take(count).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Trouble> {
        self.expect_rest(N as u64)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Trouble> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Trouble> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Trouble> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn until_zero(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        self.file.read_until(0, &mut bytes)?;
        match bytes.pop() {
            Some(0) => Ok(bytes),
            _ => Err(Trouble::CutShort { needed: self.length + 1, found: self.length }),
        }
    }
}
