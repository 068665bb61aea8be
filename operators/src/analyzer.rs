//! Cuts text into words, as MeCab with IPADIC does, without losing a character.
//!
//! The words, joined, are the text: what MeCab drops (spaces, tabs) and what it ends a line with
//! (`\n`) come out as words of one character each. Lines are analyzed one at a time, a line as a
//! whole; only lines beyond [`LONGEST`] characters are cut, after the end of a sentence where there
//! is one. Any text can be analyzed; nothing fails once the [`Dictionary`] is open.

mod compile;
mod dictionary;
mod line;

use std::sync::Arc;

use lindera::{
    dictionary::{Lattice, WordId},
    mode::{Mode, Penalty},
};

pub use self::{
    dictionary::{Dictionary, DictionaryError},
    line::LONGEST,
};

/// MeCab's `max-grouping-size`: longer runs of unknown characters are not taken as one word.
const LONGEST_GROUP: usize = 24;

/// What the lattice keeps allocated from one line to the next, in characters: beyond the lines of
/// ordinary prose, so that one enormous line does not hold its memory for good.
const KEPT: usize = 4096;

/// One worker's scratch for cutting text into words; the dictionary behind it is shared.
pub struct Analyzer {
    dictionary: Arc<Dictionary>,
    mode: Mode,
    lattice: Lattice,
    // Where the words of the line at hand start, in bytes.
    starts: Vec<(usize, WordId)>,
}

impl Analyzer {
    /// An analyzer over a dictionary.
    pub fn new(dictionary: Arc<Dictionary>) -> Self {
        // Not `Mode::Normal`, which considers unknown words only where no word has begun yet;
        // decomposing considers them everywhere, as MeCab does, and without penalties adds nothing.
        let mode = Mode::Decompose(Penalty {
            kanji_penalty_length_threshold: usize::MAX,
            kanji_penalty_length_penalty: 0,
            other_penalty_length_threshold: usize::MAX,
            other_penalty_length_penalty: 0,
        });
        Self { dictionary, mode, lattice: Lattice::default(), starts: Vec::new() }
    }

    /// Hands the words of `text` to `word`, in order; joined, they are `text`.
    pub fn words<'t>(&mut self, text: &'t str, mut word: impl FnMut(&'t str)) {
        for line in text.split_inclusive('\n') {
            let content = line.strip_suffix('\n').unwrap_or(line);
            for piece in line::pieces(content) {
                self.analyze(piece);
                for surface in line::spans(piece, self.starts.iter().map(|&(start, _)| start)) {
                    if line::is_blank(surface) {
                        line::characters(surface).for_each(&mut word);
                    } else {
                        word(surface);
                    }
                }
            }
            if content.len() < line.len() {
                word(&line[content.len()..]);
            }
        }
    }

    fn analyze(&mut self, piece: &str) {
        let Dictionary { system, additions, .. } = &*self.dictionary;
        self.lattice.set_text(
            &system.prefix_dictionary,
            &Some(&additions.dict),
            &system.character_definition,
            &system.unknown_dictionary,
            &system.connection_cost_matrix,
            piece,
            &self.mode,
            Some(LONGEST_GROUP),
            true,
        );
        self.lattice.tokens_offset_into(&mut self.starts);
        if self.lattice.capacity() > KEPT {
            self.lattice.shrink_to(KEPT);
        }
    }
}

#[cfg(test)]
mod tests;
