//! Finds the numbers of words by their letters. The letters are the caller's; here are numbers and hashes.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

/// The numbers of words, in the places that their letters are hashed to.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    places: HashTable<Place>,
    hasher: DefaultHashBuilder,
}

/// A place. The hash is kept, so that the table can grow without looking at a single word, and another
/// word in the way is told apart by it.
#[derive(Clone, Copy, Debug)]
struct Place {
    number: u32,
    hash: u32,
}

impl Place {
    fn is(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> bool {
        self.hash == hash && is_it(self.number)
    }
}

impl Index {
    /// The number of a word; `is_it` says whether the word of a number has these letters.
    pub fn find(&self, surface: &str, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hash(surface);
        let place = self.places.find(spread(hash), |place| place.is(hash, &is_it))?;
        Some(place.number)
    }

    /// The same; a word that is not there gets the number `next`, and `true` beside it.
    pub fn find_or_add(
        &mut self,
        surface: &str,
        is_it: impl Fn(u32) -> bool,
        next: u32,
    ) -> (u32, bool) {
        let hash = self.hash(surface);
        let found = |place: &Place| place.is(hash, &is_it);
        match self.places.entry(spread(hash), found, |place| spread(place.hash)) {
            Entry::Occupied(known) => (known.get().number, false),
            Entry::Vacant(new) => {
                new.insert(Place { number: next, hash });
                (next, true)
            }
        }
    }

    fn hash(&self, surface: &str) -> u32 {
        self.hasher.hash_one(surface) as u32
    }
}

/// The hash as the table takes it, which goes by the highest and by the lowest bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_where_their_hashes_are_equal() {
        // Of so many some five pairs have equal hashes; which ones differs from run to run.
        let words: Vec<String> = (0..200_000).map(|n: u32| format!("川{n}")).collect();
        let mut index = Index::default();
        for pass in [true, false] {
            for (number, word) in (0..).zip(&words) {
                let is_it = |other: u32| words[other as usize] == *word;
                assert_eq!(index.find(word, is_it), (!pass).then_some(number));
                assert_eq!(index.find_or_add(word, is_it, number), (number, pass));
            }
        }
    }
}
