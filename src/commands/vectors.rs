//! `seseragi vectors`

use std::{collections::HashSet, path::PathBuf};

use clap::{Args, ValueEnum};
use graphs::trained::Trained;
use operators::{
    vectors::{self, write},
    vocabulary::{DOCUMENT, SURFACES},
};

use super::grouped;

/// Writes the word vectors that a run has learnt, for other programs and other jobs
///
/// A row for each id of the model's input embedding. The end of a document is called `<document>`, and
/// byte 41 (hexadecimal) of a character outside the vocabulary `<0x41>`; all others are words and
/// characters as they are. word2vec's formats cannot hold words with blanks in them, which are left
/// out there and counted; finalfusion's holds all.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi vectors runs/aozora --out aozora.fifu --format finalfusion")]
pub struct Vectors {
    /// The run directory
    run: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How to write
    #[arg(long, value_enum, default_value_t = Format::Word2vec)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// word2vec's binary format
    Word2vec,
    /// word2vec's text: a word and its components a line
    Text,
    /// finalfusion's .fifu
    Finalfusion,
}

impl Vectors {
    /// Writes, and prints how many.
    pub fn execute(self) -> anyhow::Result<()> {
        let trained = Trained::open(&self.run, "cpu")?;
        let rows = trained.network.rows();
        let surface = |id: u32| match trained.state.vocabulary.surface(id) {
            Some(surface) => surface.to_owned(),
            None if id == DOCUMENT => "<document>".to_owned(),
            None => format!("<0x{:02X}>", id - 1),
        };
        let surfaces: HashSet<&str> = trained.state.vocabulary.surfaces().collect();
        // Our own names give way to a word that is written like one of them.
        let is_free = |id: &u32| *id >= SURFACES || !surfaces.contains(surface(*id).as_str());
        let ids: Vec<u32> = (0..rows as u32).filter(is_free).collect();
        let names: Vec<String> = ids.iter().copied().map(surface).collect();
        let width = trained.network.shape().embedding;
        let table = trained.network.vectors();
        let components: Vec<f32> =
            ids.iter().flat_map(|id| &table[*id as usize * width..][..width]).copied().collect();
        let format = match self.format {
            Format::Word2vec => vectors::Format::Word2Vec,
            Format::Text => vectors::Format::Text,
            Format::Finalfusion => vectors::Format::Finalfusion,
        };
        let left_out = write(&self.out, format, &names, &components)?;
        println!(
            "{} vectors of {width} components in {}; {} left out, as blanks part words there",
            grouped((names.len() - left_out.len()) as u64),
            self.out.display(),
            grouped(left_out.len() as u64),
        );
        Ok(())
    }
}
