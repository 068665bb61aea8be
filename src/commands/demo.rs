//! `seseragi demo`

use std::{path::Path, time::Instant};

use clap::Args;
use graphs::{job::Job, trained::Trained};
use model::Sampler;

use super::run;

/// Runs the whole job on the library that comes along, and has the model write
///
/// The library is served over loopback HTTP and scraped like any other. The run lies in runs/demo;
/// repeating the command goes on from there, which leaves nothing to learn, and writes again.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi demo --seed 7")]
pub struct Demo {
    /// Another seed, another passage
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The job, as anybody could write it.
const JOB: &str = include_str!("../../jobs/demo.toml");

impl Demo {
    /// Runs the job and prints a passage.
    pub fn execute(self) -> anyhow::Result<()> {
        let job = Job::parse(Path::new("jobs/demo.toml"), JOB, &[])?;
        let begun = Instant::now();
        let watched = run::watched(&job)?;
        run::tell(&job, &watched, begun.elapsed())?;
        if !watched.finished.complete {
            return Ok(());
        }
        let trained = Trained::open(&job.directory, &job.train.device)?;
        let sampler =
            Sampler { temperature: 0.8, top_p: Some(0.95), seed: self.seed, ..Sampler::default() };
        println!("\nThe model writes:\n\n{}", trained.write("", 160, sampler)?.trim());
        let at = job.directory.display();
        let program = std::env::args().next().unwrap_or_else(|| "seseragi".into());
        println!(
            "
The run lies in {at}: checkpoints/ (weights, lineage), metrics.jsonl, rejects.jsonl, pages/.

What to try next:
  {program} generate {at} --prompt 川の --words 200
      another passage
  {program} inspect {at}
      what the model was made from, and what was no use (two entries, on purpose)
  {program} run jobs/aozora.toml
      a corner of the real Aozora Bunko
  {program} run jobs/files.toml --set 'source.0.paths=[\"my/*.txt\"]'
      your own texts"
        );
        Ok(())
    }
}
