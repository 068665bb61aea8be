//! `seseragi report`

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::Args;
use graphs::report::{RunReport, Writing};
use model::Sampler;

use super::print_json;
use crate::report::page;

/// Writes one page about runs: every model side by side
///
/// A table of the models, loss curves on common axes, bits per character, gradient norms and profiles,
/// spectral norms, gauges of repetition, and a passage of each. The page is HTML that holds its pictures
/// and asks the web for nothing.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi report runs/compare --out compare.html")]
pub struct Report {
    /// The run directories
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The file [default: `report.html` in the run directory, or here for several runs]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How many words each model writes; 0 for no passages
    #[arg(long, default_value_t = 150)]
    words: usize,
    /// The text that they go on from
    #[arg(long, default_value = "")]
    prompt: String,
    /// Below 1 likely words become likelier; 0 always takes the likeliest
    #[arg(long, default_value_t = 0.9)]
    temperature: f64,
    /// Another seed, another passage
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_parser = super::device)]
    device: String,
    /// Prints the data as JSON, and writes no page
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

impl Report {
    /// Writes the page, and prints its name.
    pub fn execute(self) -> anyhow::Result<()> {
        let sampler = Sampler {
            temperature: self.temperature,
            top_p: Some(0.95),
            seed: self.seed,
            ..Sampler::default()
        };
        sampler.check()?;
        let (words, prompt, device) = (self.words, self.prompt.as_str(), self.device.as_str());
        let writing = Writing { words, prompt, sampler, device };
        let reports = self.runs.iter().map(|run| RunReport::of(run, writing));
        let reports = reports.collect::<Result<Vec<_>, _>>()?;
        if self.json {
            return print_json(&reports);
        }
        let out = self.out.unwrap_or_else(|| match &self.runs[..] {
            [run] => run.join("report.html"),
            _ => "report.html".into(),
        });
        // Aside and renamed, so that whoever looks at it never sees half of it.
        let aside = out.with_extension("html.writing");
        fs::write(&aside, page(&reports)?)
            .and_then(|()| fs::rename(&aside, &out))
            .with_context(|| format!("could not write \"{}\"", out.display()))?;
        println!("{}", out.display());
        Ok(())
    }
}
