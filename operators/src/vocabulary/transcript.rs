//! Turns ids into text as they come, never cutting a character that is written in bytes.

use super::{BYTES, DOCUMENT, Vocabulary};

/// A text being written. What [`Self::push`] and [`Self::finish`] give, joined, is what
/// [`Vocabulary::decode`] gives of all ids at once.
#[derive(Debug)]
pub struct Transcript<'v> {
    vocabulary: &'v Vocabulary,
    // The first bytes of a character whose last have not come yet: three at most.
    pending: Vec<u8>,
}

impl<'v> Transcript<'v> {
    /// Nothing was written yet.
    pub fn new(vocabulary: &'v Vocabulary) -> Self {
        Self { vocabulary, pending: Vec::new() }
    }

    /// The text that is whole with this id: empty within a character that is written in bytes.
    pub fn push(&mut self, id: u32) -> String {
        let mut text = String::new();
        match self.vocabulary.surface(id) {
            Some(surface) => {
                text += &self.finish(); // no byte can come any more
                text += surface;
            }
            None if id == DOCUMENT => {
                text += &self.finish();
                text += "\n\n";
            }
            None => {
                self.pending.extend(u8::try_from(id - BYTES));
                text += &self.whole();
            }
        }
        text
    }

    /// What is left when no id comes any more: U+FFFD for a character that was begun.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }

    /// Takes what can be decided from the pending bytes.
    fn whole(&mut self) -> String {
        let begun = match str::from_utf8(&self.pending) {
            Ok(_) => 0,
            Err(_) => {
                // The last chunk is the one that may still become a character.
                let last = self.pending.utf8_chunks().last();
                let invalid = last.map_or(&[][..], |chunk| chunk.invalid());
                let is_begun =
                    str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
                if is_begun { invalid.len() } else { 0 }
            }
        };
        let begun = self.pending.split_off(self.pending.len() - begun);
        let text = self.finish();
        self.pending = begun;
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vocabulary::SURFACES;

    proptest! {
        #[test]
        fn a_text_written_id_by_id_is_the_text_written_at_once(
            ids in prop::collection::vec(
                prop_oneof![Just(0), 1..SURFACES, 0xE1..0xF5u32, 0x81..0xC1u32,
                            SURFACES..SURFACES + 2], 0..40,
            ),
        ) {
            let vocabulary = Vocabulary::from_parts(["川".to_owned(), "\n".to_owned()], []);
            let mut transcript = Transcript::new(&vocabulary);
            let mut text: String = ids.iter().map(|&id| transcript.push(id)).collect();
            text += &transcript.finish();
            prop_assert_eq!(text, vocabulary.decode(&ids));
        }
    }

    #[test]
    fn a_character_in_bytes_comes_with_its_last_byte() {
        let vocabulary = Vocabulary::default();
        let mut transcript = Transcript::new(&vocabulary);
        let bytes = "川".bytes().map(|byte| BYTES + u32::from(byte));
        let texts: Vec<String> = bytes.map(|id| transcript.push(id)).collect();
        assert_eq!(texts, ["", "", "川"]);
    }
}
