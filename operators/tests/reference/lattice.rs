//! lindera's own lattice over the dictionary's files, set so that it cuts as MeCab does: what the analyzer
//! is tested and measured against.

use std::path::Path;

use lindera::{
    dictionary::{Dictionary, DictionaryBuilder, Lattice, UserDictionary, WordId},
    mode::{Mode, Penalty},
};

/// What a lattice is made from.
pub struct Files {
    system: Dictionary,
    // The ideographic space: lindera's builder trims it away.
    space: UserDictionary,
}

impl Files {
    /// Opens the dictionary that lies in `home`, where it must have been compiled.
    pub fn open(home: &Path) -> Self {
        let system =
            Dictionary::load_from_path(&home.join("compiled")).expect("it was opened before");
        let row = "\u{3000},9,9,1287,記号,空白,*,*,*,*,*,*,*\n";
        let space = DictionaryBuilder::new((*system.metadata).clone())
            .build_user_dict_from_reader(row.as_bytes())
            .expect("a row of IPADIC");
        Self { system, space }
    }
}

/// Cuts line after line.
pub struct Reference<'a> {
    files: &'a Files,
    mode: Mode,
    lattice: Lattice,
    starts: Vec<(usize, WordId)>,
}

impl<'a> Reference<'a> {
    /// Over these files.
    pub fn new(files: &'a Files) -> Self {
        // Unknown words are considered everywhere, as MeCab does, and without penalties.
        let mode = Mode::Decompose(Penalty {
            kanji_penalty_length_threshold: usize::MAX,
            kanji_penalty_length_penalty: 0,
            other_penalty_length_threshold: usize::MAX,
            other_penalty_length_penalty: 0,
        });
        Self { files, mode, lattice: Lattice::default(), starts: Vec::new() }
    }

    /// Where the words of a line begin, in bytes.
    pub fn starts(&mut self, line: &str) -> &[(usize, WordId)] {
        let Files { system, space } = self.files;
        self.lattice.set_text(
            &system.prefix_dictionary,
            &Some(&space.dict),
            &system.character_definition,
            &system.unknown_dictionary,
            &system.connection_cost_matrix,
            line,
            &self.mode,
            Some(24),
            true,
        );
        self.lattice.tokens_offset_into(&mut self.starts);
        &self.starts
    }
}
