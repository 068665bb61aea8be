//! Our append-only table of words and their ids.
//!
//! Ids are given out in the order of admission and never change. Words that are not in the table are
//! spelled in characters, and characters that are not, in the bytes of their UTF-8: so every text has
//! ids, and its ids give it back exactly.
//!
//! | ids | what |
//! |---|---|
//! | 0 | [`DOCUMENT`]: the end of one document and the beginning of the next |
//! | 1 – 256 | the byte `id - 1` of a character outside the table |
//! | from 257 | surfaces: words, and single characters, which serve as words and for spelling |

mod index;
mod letters;
mod spelling;
mod transcript;

use std::num::NonZeroU32;

use index::Index;
use letters::Letters;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
pub use spelling::Encoded;
use spelling::Spellings;
pub use transcript::Transcript;

use crate::analyzer::{Memo, Word};

/// The id that stands between documents.
pub const DOCUMENT: u32 = 0;
/// The id of byte 0.
const BYTES: u32 = 1;
/// The id of the first surface.
pub const SURFACES: u32 = 257;

/// When a word enters the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Ids in all, those of bytes included; nothing enters once they are used up.
    pub limit: u32,
    /// How often a word must have been seen. A character enters with the first document that needs
    /// it, and is written in bytes in that one: so the model learns how often to expect a character
    /// that it does not know, and can foretell text that has such.
    pub minimum_count: u64,
}

/// Words and their ids.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    // Words that are in the table, and those that were only counted yet, by number: as they came. A document's
    // words lie all over these; apart, what each of them needs is small enough to stay near the processor.
    letters: Letters,
    ids: Vec<Option<NonZeroU32>>, // never that of a document's end, which is 0
    counts: Vec<u64>,
    // The numbers by the letters.
    index: Index,
    // By id, from `SURFACES` on: the word's number.
    surfaces: Vec<u32>,
    // The ids of characters of the basic plane, by code point: words are spelled in them again and again.
    characters: Vec<Option<NonZeroU32>>,
    // The numbers of the dictionary's words.
    memo: Memo,
}

/// A distinct word of a text, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Its number among all that were ever counted, from 0 in the order in which they came.
    pub number: u32,
    /// How often the text has it.
    pub times: u32,
}

impl Vocabulary {
    /// The table with these surfaces, the first at [`SURFACES`], and these counts.
    pub fn from_parts(
        surfaces: impl IntoIterator<Item = String>,
        counts: impl IntoIterator<Item = (String, u64)>,
    ) -> Self {
        let mut vocabulary = Self::default();
        for surface in surfaces {
            vocabulary.append(&surface);
        }
        for (surface, count) in counts {
            vocabulary.count(&surface, count);
        }
        vocabulary
    }

    /// How many ids there are.
    pub fn len(&self) -> u32 {
        SURFACES + self.surfaces.len() as u32
    }

    /// Whether no surface has been admitted.
    pub fn is_empty(&self) -> bool {
        self.surfaces.is_empty()
    }

    /// The surfaces in the order of their ids, from [`SURFACES`] on.
    pub fn surfaces(&self) -> impl ExactSizeIterator<Item = &str> {
        self.surfaces_from(SURFACES)
    }

    /// Those from an id on.
    pub fn surfaces_from(&self, id: u32) -> impl ExactSizeIterator<Item = &str> {
        let numbers = &self.surfaces[(id - SURFACES) as usize..];
        numbers.iter().map(|&number| self.letters.of(number))
    }

    /// How often each word was seen, in the order in which they came.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        let counted = self.letters.iter().zip(&self.counts).filter(|(_, count)| **count > 0);
        counted.map(|(letters, count)| (letters, *count))
    }

    /// How often a word was seen.
    pub fn times(&self, surface: &str) -> u64 {
        self.find(surface).map_or(0, |number| self.counts[number as usize])
    }

    /// The id of a surface.
    pub fn id(&self, surface: &str) -> Option<u32> {
        self.id_of(self.find(surface)?)
    }

    /// The number of a word that is known.
    fn find(&self, surface: &str) -> Option<u32> {
        self.index.find(surface, |number| self.letters.of(number) == surface)
    }

    fn id_of(&self, number: u32) -> Option<u32> {
        self.ids[number as usize].map(NonZeroU32::get)
    }

    /// The id of a character.
    fn character(&self, character: char) -> Option<u32> {
        match u16::try_from(character) {
            Ok(point) => self.characters.get(usize::from(point)).copied()?.map(NonZeroU32::get),
            Err(_) => self.id(character.encode_utf8(&mut [0; 4])),
        }
    }

    /// The surface with this id, if the id is one of a surface.
    pub fn surface(&self, id: u32) -> Option<&str> {
        let number = *self.surfaces.get(id.checked_sub(SURFACES)? as usize)?;
        Some(self.letters.of(number))
    }

    /// Appends a surface, unless it is there already; its id.
    pub fn append(&mut self, surface: &str) -> u32 {
        let number = self.number(surface);
        self.id_of(number).unwrap_or_else(|| self.enter(number))
    }

    /// Gives the word of this number, which has none, the next id.
    fn enter(&mut self, number: u32) -> u32 {
        let next = self.len();
        let id = NonZeroU32::new(next);
        self.ids[number as usize] = id;
        self.surfaces.push(number);
        let mut characters = self.letters.of(number).chars();
        if let (Some(character), None) = (characters.next(), characters.next())
            && let Ok(point) = u16::try_from(character)
        {
            let place = usize::from(point);
            self.characters.resize(self.characters.len().max(place + 1), None);
            self.characters[place] = id;
        }
        next
    }

    /// Counts `times` more occurrences of a word.
    fn count(&mut self, surface: &str, times: u64) {
        let number = self.number(surface);
        self.counts[number as usize] += times;
    }

    /// The number of a word, which is known from now on.
    fn number(&mut self, surface: &str) -> u32 {
        let next = u32::try_from(self.letters.len()).expect("fewer words than memory has room for");
        let is_it = |number: u32| self.letters.of(number) == surface;
        let (number, is_new) = self.index.find_or_add(surface, is_it, next);
        if is_new {
            self.letters.push(surface);
            self.ids.push(None);
            self.counts.push(0);
        }
        number
    }

    /// A document of which `distinct` are the distinct words and `keys` point into them, counted,
    /// its words and characters admitted where that is due, and then written in ids. Ids that are
    /// [`Self::len`] or more before the call are new after it.
    pub fn read<'a>(
        &mut self,
        keys: &[u32],
        distinct: impl Iterator<Item = Word<'a>> + Clone,
        admission: &Admission,
    ) -> Encoded {
        let counted = self.counted(keys, distinct.clone());
        let mut ids = Vec::with_capacity(counted.len());
        let mut admitted = Vec::new();
        for (key, &Counted { number, .. }) in counted.iter().enumerate() {
            let mut id = self.id_of(number);
            let is_due = || self.counts[number as usize] >= admission.minimum_count;
            if id.is_none() && self.len() < admission.limit && is_due() {
                id = Some(self.enter(number));
                admitted.push(Some(key));
            }
            ids.push(id);
        }
        // Only words bring words into the table so far, so those ids hold for the whole document.
        // Characters that are missing:
        let mut needed = Vec::new();
        // The keys of those that are words of this document as well.
        let mut alone = FxHashMap::default();
        let mut spellings = Spellings::default();
        for (key, (Word { surface, .. }, id)) in distinct.zip(ids).enumerate() {
            match id {
                Some(id) => spellings.add(id),
                None => {
                    let mut characters = surface.chars();
                    if let (Some(character), None) = (characters.next(), characters.next()) {
                        alone.insert(character, key);
                    }
                    let need = |character| needed.push(character);
                    spellings.spell(|ids| self.spell_into(surface, self.len(), ids, need));
                }
            }
        }
        for character in needed {
            let next = self.len();
            if next < admission.limit && self.append(character.encode_utf8(&mut [0; 4])) == next {
                admitted.push(alone.get(&character).copied());
            }
        }
        Encoded { admitted, counted, ..spellings.join(keys) }
    }

    /// Counts a text's words, which are known from now on: first the numbers, then the counts, and only then
    /// what hangs on counts, so that within a pass no read from memory waits for another.
    fn counted<'a>(
        &mut self,
        keys: &[u32],
        distinct: impl Iterator<Item = Word<'a>>,
    ) -> Vec<Counted> {
        let mut memo = std::mem::take(&mut self.memo);
        let mut counted: Vec<_> = distinct
            .map(|word| memo.find(word, |surface| self.number(surface)))
            .map(|number| Counted { number, times: 0 })
            .collect();
        self.memo = memo;
        keys.iter().for_each(|key| counted[*key as usize].times += 1);
        self.add(&counted);
        counted
    }

    /// Takes over what another vocabulary, which knew the same until then, learnt from a document: the
    /// `distinct` words as [`Self::read`] has `counted` them there, and what was `admitted`. Only new
    /// words are looked up.
    pub fn follow<'a>(
        &mut self,
        distinct: impl Iterator<Item = &'a str>,
        counted: &[Counted],
        admitted: impl Iterator<Item = &'a str>,
    ) {
        for (surface, &Counted { number, .. }) in distinct.zip(counted) {
            if number as usize >= self.letters.len() {
                let own = self.number(surface);
                assert_eq!(own, number, "both vocabularies knew the same");
            }
        }
        self.add(counted);
        for surface in admitted {
            self.append(surface);
        }
    }

    /// Counts words that are known.
    fn add(&mut self, counted: &[Counted]) {
        for &Counted { number, times } in counted {
            self.counts[number as usize] += u64::from(times);
        }
    }

    /// A document as [`Self::read`] writes it, without counting or admitting: for one that is only scored. Only ids
    /// below `rows` are used: those that a model has rows for.
    pub fn encode<'a>(
        &self,
        keys: &[u32],
        distinct: impl Iterator<Item = &'a str>,
        rows: u32,
    ) -> Encoded {
        let mut spellings = Spellings::default();
        for surface in distinct {
            match self.id(surface).filter(|id| *id < rows) {
                Some(id) => spellings.add(id),
                None => spellings.spell(|ids| self.spell_into(surface, rows, ids, drop)),
            }
        }
        spellings.join(keys)
    }

    /// The ids below `rows` that spell a surface: characters where the table has them, bytes where
    /// it does not.
    pub fn spell(&self, surface: &str, rows: u32) -> Vec<u32> {
        let mut ids = Vec::new();
        self.spell_into(surface, rows, &mut ids, drop);
        ids
    }

    /// The same, and which characters were `missing`.
    fn spell_into(
        &self,
        surface: &str,
        rows: u32,
        ids: &mut Vec<u32>,
        mut missing: impl FnMut(char),
    ) {
        for character in surface.chars() {
            match self.character(character).filter(|id| *id < rows) {
                Some(id) => ids.push(id),
                None => {
                    let mut utf8 = [0; 4];
                    let letters = character.encode_utf8(&mut utf8).bytes();
                    ids.extend(letters.map(|byte| BYTES + u32::from(byte)));
                    missing(character);
                }
            }
        }
    }

    /// What the surface with this id is made of: the ids of its characters that came before it, else
    /// of their bytes.
    pub fn parts(&self, surface: &str, id: u32) -> Vec<u32> {
        if surface.chars().nth(1).is_some() {
            self.spell(surface, id)
        } else {
            surface.bytes().map(|byte| BYTES + u32::from(byte)).collect()
        }
    }

    /// How many characters the ids stand for. A character in bytes is counted at its first byte; the
    /// end of a document is none.
    pub fn characters(&self, ids: &[u32]) -> u64 {
        let continues = |byte: u32| (0x80..0xC0).contains(&byte);
        ids.iter()
            .map(|&id| match self.surface(id) {
                Some(surface) => surface.chars().count() as u64,
                None => u64::from(id != DOCUMENT && !continues(id - BYTES)),
            })
            .sum()
    }

    /// The text that the ids stand for. Bytes that make no UTF-8 (a model may write such) come out
    /// as U+FFFD, an end of document as an empty line.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = Vec::new();
        for &id in ids {
            match self.surface(id) {
                Some(surface) => text.extend(surface.bytes()),
                None if id == DOCUMENT => text.extend(b"\n\n"),
                None => text.extend(u8::try_from(id - BYTES)),
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// The same surfaces with the same ids, and the same counts.
impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        let counts = |of: &Self| of.counts().map(|(word, times)| (word.into(), times)).collect();
        let (own, others): (FxHashMap<String, u64>, _) = (counts(self), counts(other));
        self.surfaces().eq(other.surfaces()) && own == others
    }
}

impl Eq for Vocabulary {}

#[cfg(test)]
mod tests;
