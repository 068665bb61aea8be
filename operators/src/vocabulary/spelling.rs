//! How a document's words are written: each distinct one once, then all of them in their order.

use std::ops::Range;

use super::Counted;

/// A text in ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The ids; one word may take several.
    pub ids: Vec<u32>,
    /// How many of the words had to be spelled.
    pub spelled: u64,
    /// For each surface that was admitted, in the order of their ids: the key of the distinct word that
    /// it is, if it is one and not only a part of some.
    pub admitted: Vec<Option<usize>>,
    /// How each distinct word was counted.
    pub counted: Vec<Counted>,
}

/// How each distinct word of a document is written.
#[derive(Default)]
pub(super) struct Spellings {
    words: Vec<Spelling>,
    // Of all words that are spelled, one after the other.
    ids: Vec<u32>,
}

/// How a word is written.
enum Spelling {
    Whole(u32),
    /// By these of the ids.
    Parts(Range<u32>),
}

impl Spellings {
    /// Adds the next word, which has this id.
    pub fn add(&mut self, id: u32) {
        self.words.push(Spelling::Whole(id));
    }

    /// Adds the next word, which `write` spells.
    pub fn spell(&mut self, write: impl FnOnce(&mut Vec<u32>)) {
        let start = self.ids.len() as u32;
        write(&mut self.ids);
        self.words.push(Spelling::Parts(start..self.ids.len() as u32));
    }

    /// The words that `keys` point to.
    pub fn join(&self, keys: &[u32]) -> Encoded {
        // Words that are spelled are rare ones, which come once or twice.
        let ids = Vec::with_capacity(keys.len() + self.ids.len());
        let mut encoded = Encoded { ids, ..Encoded::default() };
        for key in keys {
            match &self.words[*key as usize] {
                Spelling::Whole(id) => encoded.ids.push(*id),
                Spelling::Parts(Range { start, end }) => {
                    let parts = &self.ids[*start as usize..*end as usize];
                    encoded.spelled += u64::from(parts.len() != 1);
                    encoded.ids.extend_from_slice(parts);
                }
            }
        }
        encoded
    }
}
