//! `seseragi scale`, `pause`, `resume`, `drain`, `attach`, `detach`, `status`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use graphs::{control::Command, job::Source};
use serde_json::{Value, json};
use toml::Table;

use super::{grouped, mebibytes, print_json};
use crate::client::{self, Given, Stand};

/// Which run is addressed.
#[derive(Args)]
pub struct Address {
    /// The run directory; without it, the only run under runs/ that is going
    #[arg(long, value_name = "RUN")]
    dir: Option<PathBuf>,
    /// Prints the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Has so many workers work from the next epoch on, or as many as the backlog asks for
#[derive(Args)]
#[command(after_help = "Example:
  seseragi scale 3
  seseragi scale auto --dir runs/aozora")]
pub struct Scale {
    /// From 1 to the workers that were started (max_workers), or `auto`
    #[arg(value_parser = workers, allow_negative_numbers = true)]
    workers: Workers,
    #[command(flatten)]
    address: Address,
}

/// How many workers.
#[derive(Clone, Copy)]
enum Workers {
    Auto,
    So(usize),
}

fn workers(text: &str) -> Result<Workers, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Workers::Auto),
        (_, Ok(workers)) if workers > 0 => Ok(Workers::So(workers)),
        _ => Err("use 1 or more, or auto".into()),
    }
}

/// Opens no further epochs: what was begun is learnt, and then the run waits
#[derive(Args)]
pub struct Pause {
    #[command(flatten)]
    address: Address,
}

/// Goes on with a run that was paused
#[derive(Args)]
pub struct Resume {
    #[command(flatten)]
    address: Address,
}

/// Ends a run at its next commit, as Ctrl-C does
#[derive(Args)]
pub struct Drain {
    #[command(flatten)]
    address: Address,
}

/// Has a run read one source more
#[derive(Args)]
#[command(after_help = "Example of SOURCE.toml, the table as it stands in a job file:
  kind = \"files\"
  name = \"letters\"
  paths = [\"letters/*.txt\"]")]
pub struct Attach {
    /// The source, as a job file would describe it
    source: PathBuf,
    #[command(flatten)]
    address: Address,
}

/// Has a run read a source no further
#[derive(Args)]
pub struct Detach {
    /// The source's name
    name: String,
    #[command(flatten)]
    address: Address,
}

/// Tells how a run stands
#[derive(Args)]
#[command(after_help = "Example:
  seseragi status --dir runs/aozora --json | jq .workers")]
pub struct Status {
    #[command(flatten)]
    address: Address,
}

impl Scale {
    /// Gives the command and tells from when on it holds.
    pub fn execute(self) -> anyhow::Result<()> {
        let command = match self.workers {
            Workers::Auto => Command::ScaleAuto,
            Workers::So(workers) => Command::Scale { workers },
        };
        give(self.address, &command)
    }
}

impl Pause {
    /// Gives the command and tells from when on it holds.
    pub fn execute(self) -> anyhow::Result<()> {
        give(self.address, &Command::Pause)
    }
}

impl Resume {
    /// Gives the command and tells from when on it holds.
    pub fn execute(self) -> anyhow::Result<()> {
        give(self.address, &Command::Resume)
    }
}

impl Drain {
    /// Gives the command and tells from when on it holds.
    pub fn execute(self) -> anyhow::Result<()> {
        give(self.address, &Command::Drain)
    }
}

impl Attach {
    /// Reads the source, gives the command and tells from when on it holds.
    pub fn execute(self) -> anyhow::Result<()> {
        let source = source(&self.source)?;
        give(self.address, &Command::Attach { source })
    }
}

impl Detach {
    /// Gives the command and tells from when on it holds.
    pub fn execute(self) -> anyhow::Result<()> {
        give(self.address, &Command::Detach { name: self.name })
    }
}

impl Status {
    /// Asks and prints.
    pub fn execute(self) -> anyhow::Result<()> {
        let run = client::find(self.address.dir)?;
        match client::stand(&run)? {
            Stand::Running(status) if self.address.json => print_json(&status),
            Stand::Running(status) => {
                tell(&run, &status);
                Ok(())
            }
            Stand::Stopped(last, waiting) if self.address.json => print_json(&json!({
                "directory": run, "state": "stopped", "committed": last, "commands": waiting,
            })),
            Stand::Stopped(last, waiting) => {
                println!("{}: stopped, {}", run.display(), committed(last));
                for entry in waiting {
                    println!("from epoch {} on: {}", entry.epoch, entry.command);
                }
                Ok(())
            }
        }
    }
}

fn give(address: Address, command: &Command) -> anyhow::Result<()> {
    let run = client::find(address.dir)?;
    let (epoch, runs) = match client::give(&run, command)? {
        Given::Running(epoch) => (epoch, true),
        Given::Stopped(epoch, most) => {
            if let Command::Scale { workers } = command
                && *workers > most
            {
                say!(
                    "the job as it was last started has {most} workers: start it with --set \
                     max_workers={workers}, or with more --processes, else {most} will work"
                );
            }
            (epoch, false)
        }
        Given::NothingToDrain => bail!("run \"{}\" is not going: nothing to drain", run.display()),
    };
    if address.json {
        return print_json(&json!({
            "directory": run, "running": runs, "from_epoch": epoch, "command": command,
        }));
    }
    let when = if runs { "" } else { ", when the run is started again" };
    println!("{}: from epoch {epoch} on{when}: {command}", run.display());
    Ok(())
}

/// A source file: the source's keys alone, or as the one [[source]] of a job file.
fn source(path: &Path) -> anyhow::Result<Source> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read source \"{name}\""))?;
    let unreadable = || format!("could not read source \"{name}\"");
    let mut table: Table = toml::from_str(&text).with_context(unreadable)?;
    if let Some(sources) = table.remove("source") {
        let mut sources: Vec<Table> = sources.try_into().with_context(unreadable)?;
        let (Some(only), true, true) = (sources.pop(), sources.is_empty(), table.is_empty()) else {
            bail!("could not read source \"{name}\": write one [[source]] table and nothing else");
        };
        table = only;
    }
    table.try_into().with_context(unreadable)
}

fn committed(last: Option<u64>) -> String {
    last.map_or("nothing committed yet".into(), |epoch| format!("committed up to epoch {epoch}"))
}

/// The status in a few lines.
fn tell(run: &Path, status: &Value) {
    let number = |value: &Value| grouped(value.as_u64().unwrap_or_default());
    let (epochs, workers, queues) = (&status["epochs"], &status["workers"], &status["queues"]);
    println!(
        "{}: {}, process {}",
        run.display(),
        status["state"].as_str().unwrap_or_default(),
        status["process"]
    );
    println!(
        "epochs     {} in flight ({} of pages, {} at most), next {}, {}",
        epochs["in_flight"],
        mebibytes(epochs["bytes"].as_u64().unwrap_or_default()),
        mebibytes(epochs["most_bytes"].as_u64().unwrap_or_default()),
        epochs["next"],
        committed(status["committed"].as_u64())
    );
    let processes = status["processes"].as_array().map_or(1, Vec::len);
    println!(
        "workers    {} of {}{}{}; busy {} s",
        workers["active"],
        workers["max"],
        if processes > 1 { format!(" in {processes} processes") } else { String::new() },
        if workers["auto"] == true { ", following the backlog" } else { "" },
        workers["busy_seconds"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|seconds| format!("{:.1}", seconds.as_f64().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(" "),
    );
    println!(
        "waiting    {} entries to be fetched, {} documents at the weir, {} epochs to be learnt",
        number(&queues["entries"]),
        number(&queues["documents"]),
        number(&queues["epochs"]),
    );
    println!(
        "learning   {} steps, {} chunks{}",
        number(&status["steps"]),
        number(&status["chunks"]),
        status["bits_per_character"]
            .as_f64()
            .map_or(String::new(), |bits| format!(", {bits:.3} bits per character")),
    );
    for process in status["processes"].as_array().into_iter().flatten() {
        let stages = &process["stages"];
        println!(
            "process    {}: {} pages fetched, {} documents read{}",
            process["process"],
            number(&stages["fetch"]),
            number(&stages["extract"]),
            if process["heard"] == true { "" } else { "; it has told nothing yet" },
        );
    }
    for (name, source) in status["sources"].as_object().into_iter().flatten() {
        let account = &source["account"];
        println!(
            "source     {name}{}: {} entries; {} learnt, {} held out, {} duplicates, {} rejects",
            if source["detached"] == true { ", detached" } else { "" },
            number(&source["offered"]),
            number(&account["learnt"]),
            number(&account["held_out"]),
            number(&account["duplicates"]),
            number(&account["rejected"]),
        );
    }
}
