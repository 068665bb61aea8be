//! `seseragi generate`

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::Args;
use model::Sampler;
use serde_json::json;

use super::{open_model, print_json};

/// Has a trained model write
///
/// The text comes as it is written. The filters work in this order: repetition penalty, no-repeat,
/// temperature, top-k, typical, top-p, min-p. A passage that goes round in circles is told of on
/// standard error.
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Example:
  seseragi generate runs/demo --prompt 雨の朝、 --words 200 --temperature 0.8 --seed 3
  seseragi generate runs/demo --passages 4 --typical 0.9 --top-p 1
  seseragi generate runs/demo --temperature 0 --no-repeat 5
  seseragi generate runs/demo --repetition-penalty 1.2 --repetition-window 100 --json"
)]
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
    /// Passages, written side by side with this seed and those that follow it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    passages: u16,
    /// Below 1 likely words become likelier; 0 always takes the likeliest, and soon goes in circles
    #[arg(long, default_value_t = 0.9)]
    temperature: f64,
    /// Draws from this many of the likeliest words
    #[arg(long)]
    top_k: Option<usize>,
    /// Draws from the likeliest words that have this probability together
    #[arg(long, default_value_t = 0.95)]
    top_p: f64,
    /// Draws from the words that are about as surprising as is to be expected and have this
    /// probability together
    #[arg(long)]
    typical: Option<f64>,
    /// Draws from the words that are at least this many times as likely as the likeliest
    #[arg(long)]
    min_p: Option<f64>,
    /// Above 1 words that came lately become less likely
    #[arg(long, default_value_t = 1.0)]
    repetition_penalty: f64,
    /// How many words back the penalty looks
    #[arg(long, default_value_t = 64, value_name = "WORDS")]
    repetition_window: usize,
    /// No sequence of this many words comes twice
    #[arg(long, value_name = "WORDS")]
    no_repeat: Option<usize>,
    /// Another seed, another passage
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which of the run's models; without it, the only one or the first
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_parser = super::device)]
    device: String,
    /// Prints the passages as JSON, each with its repetitions
    #[arg(long)]
    json: bool,
}

impl Generate {
    fn sampler(&self) -> Sampler {
        Sampler {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: Some(self.top_p),
            typical: self.typical,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            repetition_window: self.repetition_window,
            no_repeat: self.no_repeat,
            seed: self.seed,
        }
    }

    /// Writes passages: the first as it comes, the others when they are done.
    pub fn execute(self) -> anyhow::Result<()> {
        let sampler = self.sampler();
        sampler.check()?;
        let prompt = match &self.prompt_file {
            None => self.prompt,
            Some(file) => std::fs::read_to_string(file).with_context(|| {
                format!("could not read the prompt from \"{}\"", file.display())
            })?,
        };
        let trained = open_model(&self.run, self.model.as_deref(), &self.device)?;
        let several = self.passages > 1;
        let heading =
            |seed: u64| if several { format!("── seed {seed}\n") } else { String::new() };
        let tell = |piece: &str| -> anyhow::Result<()> {
            print!("{piece}");
            match io::stdout().flush() {
                // Whoever read has enough of it.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
                flushed => Ok(flushed?),
            }
        };
        if !self.json {
            tell(&format!("{}{prompt}", heading(self.seed)))?;
        }
        let size = (usize::from(self.passages), self.words);
        let written = trained.passages(&prompt, size, sampler, |number, piece| {
            if self.json || number > 0 { Ok(()) } else { tell(piece) }
        })?;
        for passage in written.iter().filter(|passage| passage.repetition.loops()) {
            let (of, repetition) = (passage.seed, passage.repetition);
            say!(
                "warning: the passage of seed {of} goes in circles ({} words round a cycle of {}, \
                 {:.0} % of its sequences of four come again); use a higher temperature or --no-repeat 5",
                repetition.longest_loop,
                repetition.loop_cycle,
                100.0 * repetition.rep_4,
            );
        }
        if self.json {
            return print_json(&json!({
                "prompt": prompt,
                "text": written[0].text,
                "passages": written,
                "sampler": sampler,
                "model": trained.model.name,
                "weights_digest": trained.model.weights_digest,
            }));
        }
        let others = written.iter().skip(1);
        others
            .map(|other| format!("\n\n{}{prompt}{}", heading(other.seed), other.text))
            .try_for_each(|text| tell(&text))?;
        tell("\n")
    }
}
