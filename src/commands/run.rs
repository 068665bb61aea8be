//! `seseragi run`

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::{Duration, Instant},
};

use clap::Args;
use graphs::{
    directory,
    follow::follow,
    job::Job,
    learner::{Finished, ModelFinished},
    ledger::Account,
    peers::{self, BadPlace, Place},
    run::{Reins, RunError, run},
};
use serde_json::json;

use super::{grouped, print_json};
use crate::{
    plots::Watch,
    progress::Progress,
    server::{Server, View},
    signals,
};

/// Runs a job: scrapes its sources, trains on each chunk as it arrives, commits
///
/// A run that was stopped or killed goes on from its newest valid checkpoint. Ctrl-C drains to a
/// commit; a chunk that would take 20 s more is left, and comes again. A second Ctrl-C stops at once.
/// With --processes the job has several processes, each started with a --process of its own.
/// While it runs, `scale`, `pause`, `resume`, `drain`, `attach`, `detach` and `status` steer it.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi run jobs/aozora.toml --set source.0.wanted.limit=50 --set directory=runs/fifty
  seseragi run jobs/aozora.toml --processes 2 --process 0 --hosts hosts.txt   # and, elsewhere:
  seseragi run jobs/aozora.toml --processes 2 --process 1 --hosts hosts.txt

hosts.txt has HOST:PORT on a line for each process, that of process 0 first (docs/processes.md).
Every key of a job file is described in docs/job.toml.")]
pub struct Run {
    /// The job file
    job: PathBuf,
    /// Overrides a key of the job file, such as train.passes=2; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Prints the outcome as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    among: Among,
}

/// Which of a job's processes this is, spelled as timely spells it where clap has the letter left.
#[derive(Args)]
struct Among {
    /// How many processes the job has, on this machine or others
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    processes: usize,
    /// Which of them this is; process 0 has the run directory, the model and the control server
    #[arg(short = 'p', long, value_name = "I", default_value_t = 0)]
    process: usize,
    /// A file with HOST:PORT on a line for each process; without it, localhost:2101, 2102, ...
    #[arg(short = 'H', long, visible_alias = "hostfile", value_name = "FILE")]
    hosts: Option<PathBuf>,
    /// Seconds to wait for the other processes
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

impl Among {
    /// The place of this process, if there are several.
    fn place(&self) -> Result<Option<Place>, BadPlace> {
        let Self { processes, process, .. } = *self;
        if process >= processes {
            return Err(BadPlace::NoSuchProcess { process, processes });
        }
        let place = |hosts| Place { process, hosts, wait: Duration::from_secs(self.wait) };
        let several = (processes > 1).then(|| peers::hosts(self.hosts.as_deref(), processes));
        Ok(several.transpose()?.map(place))
    }
}

impl Run {
    /// Runs the job and prints its outcome.
    pub fn execute(self) -> anyhow::Result<()> {
        let job = Job::read_at(&self.job, &self.set, self.among.place()?)?;
        if let Some(place) = job.place.clone().filter(|place| place.process != peers::OWNERS) {
            return self.follow(&job, &place);
        }
        let begun = Instant::now();
        let watched = watched(&job)?;
        if self.json {
            print_outcome(&job, &watched)
        } else {
            tell(&job, &watched, begun.elapsed())
        }
    }

    /// Does another process's part; the outcome is process 0's to tell.
    fn follow(&self, job: &Job, place: &Place) -> anyhow::Result<()> {
        let drain = Arc::new(AtomicBool::new(false));
        signals::drain_on_signal(Arc::clone(&drain))?;
        let (reins, progress) = reins(drain, job);
        let followed = follow(job, place, &reins);
        drop(reins);
        progress.end();
        followed?;
        let (process, processes) = (place.process, place.processes());
        if self.json {
            return print_json(&json!({ "process": process, "processes": processes }));
        }
        println!(
            "process {process} of {processes}: done; process {} has the outcome",
            peers::OWNERS
        );
        Ok(())
    }
}

/// What was seen of a job from its start to its end.
pub struct Watched {
    /// What it came to.
    pub finished: Finished,
    /// How long after its start the process took its first step, if it took one.
    pub first_step: Option<Duration>,
}

/// Runs a job while its progress is shown.
pub fn watched(job: &Job) -> anyhow::Result<Watched> {
    let drain = Arc::new(AtomicBool::new(false));
    signals::drain_on_signal(Arc::clone(&drain))?;
    watched_by(job, drain, run)
}

/// The same by a runner, until it has ended or `drain` is set.
pub fn watched_by(
    job: &Job,
    drain: Arc<AtomicBool>,
    run: impl FnOnce(&Job, &Reins) -> Result<Finished, RunError>,
) -> anyhow::Result<Watched> {
    model::device::keep_freed_memory();
    let (mut reins, progress) = reins(drain, job);
    reins.steering = Some(Server::steering(View {
        directory: job.directory.clone(),
        board: progress.board(),
        client: Arc::clone(&reins.client),
        lister: Arc::clone(&reins.lister),
    }));
    let plots = Watch::start(job);
    let finished = run(job, &reins);
    drop(reins);
    let first_step = progress.end();
    if let Some(plots) = plots {
        plots.end();
    }
    Ok(Watched { finished: finished?, first_step })
}

/// Reins for a job, and what shows how it goes until they are dropped.
pub fn reins(drain: Arc<AtomicBool>, job: &Job) -> (Reins, Progress) {
    let client = Arc::new(OnceLock::new());
    let (events, told) = crossbeam_channel::unbounded();
    let progress = Progress::show(told, Arc::clone(&client), job.report.print);
    let lister = Arc::default();
    (Reins { events, drain, client, steering: None, lister }, progress)
}

fn print_outcome(job: &Job, watched: &Watched) -> anyhow::Result<()> {
    let Watched { finished, first_step } = watched;
    print_json(&json!({
        "directory": job.directory,
        "complete": finished.complete,
        "epoch": finished.epoch,
        "steps": finished.steps,
        "chunks": finished.counts.next_chunk,
        "first_step_seconds": first_step.map(|after| after.as_secs_f64()),
        "weights_digest": finished.weights_digest,
        "account": finished.account,
        "held_out": finished.evaluation(),
        "stopped": finished.stopped,
        "models": finished.models,
    }))
}

/// An account in one line: what the entries came to, and that none is missing.
pub fn summed(account: &Account) -> String {
    let Account { entries, learnt, held_out, duplicates, rejected, withdrawn, .. } = *account;
    let [entries, learnt, held_out, duplicates, rejected] =
        [entries, learnt, held_out, duplicates, rejected].map(grouped);
    let sum = format!(
        "{entries} entries = {learnt} learnt + {held_out} held out + {duplicates} duplicates + \
         {rejected} rejects"
    );
    match withdrawn {
        0 => sum,
        _ => format!("{sum} + {} withdrawn", grouped(withdrawn)),
    }
}

/// Tells the outcome in words.
pub fn tell(job: &Job, watched: &Watched, elapsed: Duration) -> anyhow::Result<()> {
    let Watched { finished, first_step } = watched;
    let account = &finished.account;
    let how = match finished.stopped {
        Some(why) => format!("stopped, because {why};"),
        None if finished.complete => "complete".into(),
        None => "drained, to be gone on with by the next run:".into(),
    };
    println!("{how} {}: {}", job.directory.display(), summed(account));
    let rejects = directory::rejects(&job.directory);
    // A run that was stopped before its first commit has no list yet.
    if account.rejected > 0 && rejects.exists() {
        println!("why entries were rejected: {}", rejects.display());
    }
    let first_step = first_step.map_or(String::new(), |after| {
        format!(", the first step after {:.2} s", after.as_secs_f64())
    });
    println!(
        "learnt {} words ({} characters) in {} chunks and {} steps, {:.0} s in this process{first_step}",
        grouped(account.words),
        grouped(account.characters),
        grouped(finished.counts.next_chunk),
        grouped(finished.steps),
        elapsed.as_secs_f64(),
    );
    for ModelFinished { state, held_out } in &finished.models {
        let called = match finished.models.len() {
            1 => String::new(),
            _ => format!("{}: ", state.name),
        };
        if let Some(why) = state.record.set_aside {
            println!("{called}{why}");
        } else if let Some(held_out) = held_out {
            println!(
                "{called}held out: {:.3} bits per character ({:.3} nats), perplexity per word {:.0}, \
                 {} documents",
                held_out.bits_per_character,
                held_out.nats_per_character,
                held_out.perplexity_per_word,
                held_out.documents,
            );
        }
    }
    if finished.weights_digest.is_empty() {
        println!("nothing was committed: the chunk that was under way was left, and comes again");
    } else {
        println!("weights_digest {}", finished.weights_digest);
    }
    Ok(())
}
