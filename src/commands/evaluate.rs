//! `seseragi evaluate`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use graphs::trained::Trained;

use super::{grouped, print_json};

/// Scores text with a trained model: bits per character, perplexity per word
///
/// Without files it scores the documents that the run has held out.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi evaluate runs/demo 'texts/*.txt' --json")]
pub struct Evaluate {
    /// The run directory
    run: PathBuf,
    /// Texts or HTML pages; patterns such as 'texts/*.txt' are taken too
    files: Vec<String>,
    /// Which of the run's models; without it, the only one or the first
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_parser = super::device)]
    device: String,
    /// Writes each document's ids and their log-probabilities to a file, as JSON
    #[arg(long, value_name = "FILE")]
    log_probabilities: Option<PathBuf>,
    /// Prints the score as JSON
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    /// Scores and prints.
    pub fn execute(self) -> anyhow::Result<()> {
        let trained = Trained::open_model(&self.run, self.model.as_deref(), &self.device)?;
        let evaluation = match self.files.is_empty() {
            true => trained.evaluate_held_out()?,
            false => trained.evaluate_files(&self.files)?,
        };
        if let Some(path) = &self.log_probabilities {
            let passages = trained.passages(&self.files)?;
            std::fs::write(path, serde_json::to_vec(&passages)?)
                .with_context(|| format!("could not write \"{}\"", path.display()))?;
        }
        if self.json {
            return print_json(&evaluation);
        }
        println!(
            "{:.4} bits per character ({:.4} nats), perplexity per word {:.1}",
            evaluation.bits_per_character,
            evaluation.nats_per_character,
            evaluation.perplexity_per_word,
        );
        println!(
            "{} documents, {} characters, {} words, {} of them spelled",
            grouped(evaluation.documents),
            grouped(evaluation.characters),
            grouped(evaluation.words),
            grouped(evaluation.spelled),
        );
        Ok(())
    }
}
