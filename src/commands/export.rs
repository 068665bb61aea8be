//! `seseragi export`

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use clap::{Args, ValueEnum};
use graphs::{
    export::{ExportFormat, export},
    job::Job,
};

use super::{grouped, mebibytes, print_json, run::reins};
use crate::signals;

/// Runs a job's river without the trainer and writes the tokenized stream to files
#[derive(Args)]
#[command(after_help = "Example:
  seseragi export jobs/aozora.toml --to corpus --format text")]
pub struct Export {
    /// The job file
    job: PathBuf,
    /// The folder for the files
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// How to write
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Overrides a key of the job file; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Prints the outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// words.arrow: a row a document, with lineage, words and vectors, as Arrow IPC
    Arrow,
    /// words.parquet: the same without the vectors
    Parquet,
    /// a text file for each orthography, words parted by spaces
    Text,
    /// words.u32: little-endian word ids, and vocabulary.tsv
    Ids,
}

impl Export {
    /// Exports and prints what it came to.
    pub fn execute(self) -> anyhow::Result<()> {
        let job = Job::read(&self.job, &self.set)?;
        let format = match self.format {
            Format::Arrow => ExportFormat::Arrow,
            Format::Parquet => ExportFormat::Parquet,
            Format::Text => ExportFormat::Text,
            Format::Ids => ExportFormat::Ids,
        };
        let drain = Arc::new(AtomicBool::new(false));
        signals::drain_on_signal(Arc::clone(&drain))?;
        let (reins, progress) = reins(drain, &job);
        let exported = export(&job, format, &self.to, &reins);
        drop(reins);
        progress.end();
        let exported = exported?;
        if self.json {
            return print_json(&exported);
        }
        println!(
            "{} pages, {} characters, {} words in {:.2} s; {} rejected; {} under way at most",
            grouped(exported.pages),
            grouped(exported.characters),
            grouped(exported.words),
            exported.seconds,
            grouped(exported.rejected),
            mebibytes(exported.most_bytes_in_flight),
        );
        for file in &exported.files {
            println!("{}", file.display());
        }
        if let Some(rejects) = &exported.rejects {
            println!("why entries were rejected: {}", rejects.display());
        }
        Ok(())
    }
}
