//! `seseragi plot`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use graphs::directory;

use crate::{
    plots::{draw, figures, measured, plain},
    tensorboard,
};

/// Draws runs: one picture a quantity over the whole life of a run, several runs on common axes
///
/// Loss, bits per character, learning rate, gradient norm, throughput, and, where they were measured,
/// gradient profiles and gauges of repetition. A run is drawn while it goes on as well: see the table `plots`
/// in docs/job.toml.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi plot runs/lstm runs/rnn --out pictures --format svg")]
pub struct Plot {
    /// The run directories
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The folder for the pictures [default: `plots` in the run directory, or here for several runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What to draw
    #[arg(long, value_enum, default_value_t = Format::Both)]
    format: Format,
    /// Writes TensorBoard's event files below this folder as well
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Vectors, for the web and for print
    Svg,
    /// Pixels
    Png,
    /// Both
    Both,
}

impl Plot {
    /// Draws, and prints the names of the files.
    pub fn execute(self) -> anyhow::Result<()> {
        let runs = self.runs.iter().map(|run| measured(run)).collect::<Result<Vec<_>, _>>()?;
        let folder = self.out.unwrap_or_else(|| match &self.runs[..] {
            [run] => directory::plots(run),
            _ => "plots".into(),
        });
        let endings: &[&str] = match self.format {
            Format::Svg => &["svg"],
            Format::Png => &["png"],
            Format::Both => &["svg", "png"],
        };
        let files = draw(&folder, &figures(&runs), endings)
            .with_context(|| format!("could not draw into \"{}\"", folder.display()))?;
        for file in files {
            println!("{}", file.display());
        }
        if let Some(folder) = &self.tensorboard {
            for (name, models) in &runs {
                let folder = if runs.len() > 1 { folder.join(plain(name)) } else { folder.clone() };
                let files = tensorboard::write(&folder, models)
                    .with_context(|| format!("could not write into \"{}\"", folder.display()))?;
                for file in files {
                    println!("{}", file.display());
                }
            }
        }
        Ok(())
    }
}
