//! Cuts text into words, as MeCab with IPADIC does, without losing a character.
//!
//! The words, joined, are the text: what MeCab drops (spaces, tabs) and what it ends a line with
//! (`\n`) come out as words of one character each. Lines are analyzed one at a time, a line as a
//! whole; only lines beyond [`LONGEST`] characters are cut, after the end of a sentence where there
//! is one. Any text can be analyzed; nothing fails once the [`Dictionary`] is open.

mod compile;
mod dictionary;
mod lattice;
mod lexicon;
mod line;
mod word;

use std::{iter, sync::Arc};

use self::lattice::{Cut, Lattice};
pub use self::{
    dictionary::{Dictionary, DictionaryError},
    line::LONGEST,
    word::{Memo, Word},
};

/// What the lattice keeps allocated from one line to the next, in characters: beyond the lines of
/// ordinary prose, so that one enormous line does not hold its memory for good.
const KEPT: usize = 4096;

/// One worker's scratch for cutting text into words; the dictionary behind it is shared.
pub struct Analyzer {
    dictionary: Arc<Dictionary>,
    lattice: Lattice,
    // The words of the line at hand.
    cuts: Vec<Cut>,
}

impl Analyzer {
    /// An analyzer over a dictionary.
    pub fn new(dictionary: Arc<Dictionary>) -> Self {
        Self { dictionary, lattice: Lattice::default(), cuts: Vec::new() }
    }

    /// Hands the words of `text` to `word`, in order; joined, they are `text`.
    pub fn words<'t>(&mut self, text: &'t str, word: impl FnMut(Word<'t>)) {
        self.words_of(text, text.len(), word);
    }

    /// The same for at least so many bytes from the beginning, if the text has them, and to the end of
    /// what is analyzed as a whole; how many bytes those were. What is left can be analyzed by itself, and
    /// has the words that it would have had.
    pub fn words_of<'t>(
        &mut self,
        text: &'t str,
        bytes: usize,
        mut word: impl FnMut(Word<'t>),
    ) -> usize {
        let mut done = 0;
        for line in text.split_inclusive('\n') {
            let content = line.strip_suffix('\n').unwrap_or(line);
            for piece in line::pieces(content) {
                if done >= bytes {
                    return done;
                }
                self.analyze(piece);
                let starts = self.cuts.iter().map(|cut| cut.start);
                let numbers = self.cuts.iter().map(|cut| cut.number).chain(iter::repeat(None));
                for (surface, number) in line::spans(piece, starts).zip(numbers) {
                    if line::is_blank(surface) {
                        line::characters(surface).map(Word::from).for_each(&mut word);
                    } else {
                        word(Word { surface, number });
                    }
                }
                done += piece.len();
            }
            if content.len() < line.len() {
                word(Word::from(&line[content.len()..]));
                done += 1;
            }
        }
        done
    }

    fn analyze(&mut self, piece: &str) {
        self.lattice.cut(&self.dictionary.lexicon, piece, &mut self.cuts);
        self.lattice.shrink_to(KEPT);
    }
}

#[cfg(test)]
mod tests;
