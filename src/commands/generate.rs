//! `seseragi generate`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use graphs::trained::Trained;
use model::Sampler;
use serde_json::json;

use super::print_json;

/// Has a trained model write
#[derive(Args)]
#[command(after_help = "Example:
  seseragi generate runs/demo --prompt 雨の朝、 --words 200 --temperature 0.8 --seed 3")]
pub struct Generate {
    /// The run directory
    run: PathBuf,
    /// The text to go on from
    #[arg(long, default_value = "", conflicts_with = "prompt_file")]
    prompt: String,
    /// A UTF-8 file with the text to go on from
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// How many words to write; a word that is spelled counts for each of its characters
    #[arg(long, default_value_t = 200)]
    words: usize,
    /// Below 1 likely words become likelier; 0 always takes the likeliest
    #[arg(long, default_value_t = 0.9)]
    temperature: f64,
    /// Draws from the likeliest words that have this probability together
    #[arg(long, default_value_t = 0.95)]
    top_p: f64,
    /// Another seed, another passage
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which of the run's models; without it, the only one or the first
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_parser = super::device)]
    device: String,
    /// Prints the passage as JSON
    #[arg(long)]
    json: bool,
}

impl Generate {
    /// Writes a passage.
    pub fn execute(self) -> anyhow::Result<()> {
        let Self { temperature, seed, .. } = self;
        let sampler = Sampler { temperature, top_p: Some(self.top_p), top_k: None, seed };
        sampler.check()?;
        let prompt = match &self.prompt_file {
            None => self.prompt,
            Some(file) => std::fs::read_to_string(file).with_context(|| {
                format!("could not read the prompt from \"{}\"", file.display())
            })?,
        };
        let trained = Trained::open_model(&self.run, self.model.as_deref(), &self.device)?;
        let text = trained.write(&prompt, self.words, sampler)?;
        if self.json {
            return print_json(&json!({
                "prompt": prompt,
                "text": text,
                "sampler": sampler,
                "model": trained.model.name,
                "weights_digest": trained.model.weights_digest,
            }));
        }
        println!("{prompt}{text}");
        Ok(())
    }
}
