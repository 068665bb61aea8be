//! Steers a run from outside: over its control server while it runs, else by its journal. A run that
//! is just starting, or ending, is neither yet: it is waited for.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use graphs::{
    checkpoint,
    control::{self, Command, journal::Journal},
    directory::{self, DirectoryError, RunDirectory},
    job::{Job, JobError},
};
use operators::Epoch;
use serde_json::Value;

use crate::server::notice::{self, Notice};

/// How long a run that is starting or ending is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the answer to a question may take. A run gives one at once, unless it is held up, as by SIGSTOP.
/// That to a command may take as long as it likes: to attach a source, its site is asked first.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// From one look at it to the next.
const LOOK: Duration = Duration::from_millis(50);

/// What became of a command.
pub enum Given {
    /// The run goes, and does it from this epoch on.
    Running(Epoch),
    /// The run stands still, and does it from this epoch on, the first of its next start: with so many
    /// workers at most, unless that start says otherwise.
    Stopped(Epoch, usize),
    /// The run stands still, and a drain has nothing to do there.
    NothingToDrain,
}

/// How a run stands.
pub enum Stand {
    /// What it says of itself.
    Running(Value),
    /// The last epoch that is durable, and what holds from the next start on.
    Stopped(Option<Epoch>, Vec<control::journal::Entry>),
}

/// The run to address: the one that was named, else the only one under `runs/` that goes.
pub fn find(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return match directory::job(&named).exists() {
            true => Ok(named),
            false => Err(DirectoryError::Empty { path: named }.into()),
        };
    }
    let runs = fs::read_dir("runs").into_iter().flatten().flatten().map(|entry| entry.path());
    let going = runs.filter(|run| {
        let answers = || matches!(request(run, None), Ok(Answered::Said(_)));
        (notice::path(run).exists() && answers()) || directory::is_in_use(run)
    });
    let mut going: Vec<_> = going.collect();
    going.sort();
    match &going[..] {
        [] => bail!("no run under runs/ is going; name a run directory with --dir"),
        [run] => Ok(run.clone()),
        several => {
            let names: Vec<_> = several.iter().map(|run| run.display().to_string()).collect();
            bail!("several runs are going ({}); name one with --dir", names.join(", "))
        }
    }
}

/// Gives a command to a run, going or not.
pub fn give(run: &Path, command: &Command) -> anyhow::Result<Given> {
    let body = serde_json::to_vec(command)?;
    // Held until the journal is written: a run that starts meanwhile is told to wait.
    let _nobody_runs_it = match reach(run, Some(&body))? {
        Reached::Standing(locked) => locked,
        Reached::Going(said) => {
            let epoch =
                said["from_epoch"].as_u64().context("the run gave an answer without an epoch")?;
            return Ok(Given::Running(epoch));
        }
    };
    let mut journal = Journal::open(run)?;
    let job = noted(run)?;
    control::check(command, None, &control::sources(&job, journal.entries()))?;
    if *command == Command::Drain {
        return Ok(Given::NothingToDrain);
    }
    let epoch = newest(run)?.map_or(0, |epoch| epoch + 1);
    journal.append(epoch, command.clone())?;
    Ok(Given::Stopped(epoch, job.workers_in_all()))
}

/// Asks how a run stands.
pub fn stand(run: &Path) -> anyhow::Result<Stand> {
    let _nobody_runs_it = match reach(run, None)? {
        Reached::Standing(locked) => locked,
        Reached::Going(said) => return Ok(Stand::Running(said)),
    };
    let last = newest(run)?;
    let mut entries = control::journal::read(run)?;
    // A drain has had its effect: the run stands still.
    let waits = |entry: &control::journal::Entry| last.is_none_or(|last| entry.epoch > last);
    entries.retain(|entry| entry.command != Command::Drain && waits(entry));
    let mut hold: Vec<control::journal::Entry> = Vec::new();
    for entry in entries {
        hold.retain(|earlier| {
            earlier.epoch != entry.epoch || !entry.command.replaces(&earlier.command)
        });
        hold.push(entry);
    }
    Ok(Stand::Stopped(last, hold))
}

fn newest(run: &Path) -> anyhow::Result<Option<Epoch>> {
    Ok(checkpoint::epochs(&directory::checkpoints(run))?.pop())
}

/// A run that was found.
enum Reached {
    /// It goes, and has answered.
    Going(Value),
    /// It stands still, for as long as its directory is locked.
    Standing(RunDirectory),
}

/// What a request came to.
enum Answered {
    /// The run's answer.
    Said(Value),
    /// The run is there, and not ready for this; what it says.
    NotYet(String),
    /// Nobody is there.
    Nobody,
}

/// Gives a command to a run, or asks how it stands; or locks its directory where it stands still. One that is neither, since
/// it has just been started or is about to end, is looked at again until it is.
fn reach(run: &Path, command: Option<&[u8]>) -> anyhow::Result<Reached> {
    let until = Instant::now() + PATIENCE;
    loop {
        // Before a command, too: it is not given to a run that is held up.
        let answered = match (request(run, None)?, command) {
            (Answered::Said(_), Some(_)) => request(run, command)?,
            (answered, _) => answered,
        };
        let trouble = match answered {
            Answered::Said(said) => return Ok(Reached::Going(said)),
            Answered::NotYet(trouble) => trouble,
            Answered::Nobody => match RunDirectory::lock(run) {
                Err(DirectoryError::InUse { path, holder }) => {
                    let run = path.display();
                    format!("run \"{run}\" is just starting or ending (process {holder})")
                }
                locked => return Ok(Reached::Standing(locked?)),
            },
        };
        if Instant::now() > until {
            bail!("{trouble}; it was waited for {} s: try again", PATIENCE.as_secs());
        }
        std::thread::park_timeout(LOOK);
    }
}

/// The job that the run was last started with.
fn noted(run: &Path) -> Result<Job, JobError> {
    Job::read(&directory::job(run), &[])
}

/// Gives a command to a run's control server, or asks it how the run stands.
fn request(run: &Path, command: Option<&[u8]>) -> anyhow::Result<Answered> {
    let Some(notice) = Notice::read(run) else { return Ok(Answered::Nobody) };
    // Whoever installed one before has chosen as well.
    let _installed_already = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let address = |path| format!("http://{}/{path}", notice.address);
    let request = match command {
        Some(command) => client.post(address("commands")).body(command.to_vec()),
        None => client.get(address("status")).timeout(ANSWERS_WITHIN),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answered = runtime.block_on(async {
        let answer = request.bearer_auth(&notice.token).send().await?;
        Ok::<_, reqwest::Error>((answer.status(), answer.bytes().await?))
    });
    let (status, bytes) = match answered {
        // A run that was killed has left its notice behind.
        Err(error) if error.is_connect() => return Ok(Answered::Nobody),
        Err(error) if error.is_timeout() => bail!(
            "run \"{}\" (process {}) has not answered within {} s; see whether it is stopped or overloaded",
            run.display(),
            notice.process,
            ANSWERS_WITHIN.as_secs()
        ),
        answered => answered.context("the run does not answer")?,
    };
    // Another program has the port of a run that was killed.
    if status == reqwest::StatusCode::UNAUTHORIZED {
        return Ok(Answered::Nobody);
    }
    let said: Value = serde_json::from_slice(&bytes).context("the run gave no answer in JSON")?;
    match said["error"].as_str() {
        Some(error) if status == reqwest::StatusCode::SERVICE_UNAVAILABLE => {
            Ok(Answered::NotYet(error.to_owned()))
        }
        Some(error) => bail!("{error}"),
        None => Ok(Answered::Said(said)),
    }
}
