//! Steering a running job: commands are data that take effect at an epoch.
//!
//! A [`Command`] takes effect from the first epoch that is not open yet. It is written to the run's
//! [`journal`] and synced before that epoch is opened, so a run that was killed does the same again:
//! what was commanded from an epoch on that is not committed takes effect at exactly that epoch.
//! Commands to a run that stands still are journalled too, for the first epoch of its next start.
//!
//! A drain is the one command that is not done again: who starts a run anew wants it to go on.

mod afloat;
mod board;
mod gauges;
mod helm;
pub mod journal;
mod status;

use std::fmt;

use operators::{Epoch, steer::Order};
use serde::{Deserialize, Serialize};

pub use board::{Board, Progress, SourceProgress};
pub use gauges::{Gauges, Reading, Stage};
pub use helm::{Helm, SteerError};
pub use status::{Status, status};

use crate::job::{Job, Source};
use journal::Entry;

/// What a running job can be told. As JSON: `"pause"`, `{"scale":{"workers":3}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// So many workers get work.
    Scale {
        /// From 1 to the workers that were started.
        workers: usize,
    },
    /// As many workers get work as the backlog asks for.
    ScaleAuto,
    /// No further epoch is opened; what is open is learnt.
    Pause,
    /// Epochs are opened again.
    Resume,
    /// The job ends at the next commit.
    Drain,
    /// A source is read as well.
    Attach {
        /// As it would stand in a job file.
        source: Source,
    },
    /// A source is read no further.
    Detach {
        /// Its name.
        name: String,
    },
}

impl Command {
    /// What the catalogue is to do for it, if it concerns the opening of epochs.
    pub fn order(&self) -> Option<Order> {
        match *self {
            Self::Scale { workers } => Some(Order::Workers(workers)),
            Self::ScaleAuto => Some(Order::FollowBacklog),
            Self::Pause => Some(Order::Pause),
            Self::Resume => Some(Order::Resume),
            Self::Drain | Self::Attach { .. } | Self::Detach { .. } => None,
        }
    }

    /// Whether nothing is left of `earlier` once this holds, which was given later and from the same epoch on.
    pub fn replaces(&self, earlier: &Self) -> bool {
        let scales = |command: &Self| matches!(command, Self::Scale { .. } | Self::ScaleAuto);
        let halts = |command: &Self| matches!(command, Self::Pause | Self::Resume);
        scales(self) && scales(earlier) || halts(self) && halts(earlier)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale { workers: 1 } => write!(f, "1 worker"),
            Self::Scale { workers } => write!(f, "{workers} workers"),
            Self::ScaleAuto => write!(f, "as many workers as the backlog asks for"),
            Self::Pause => write!(f, "paused"),
            Self::Resume => write!(f, "resumed"),
            Self::Drain => write!(f, "drained"),
            Self::Attach { source } => write!(f, "source \"{}\" attached", source.name()),
            Self::Detach { name } => write!(f, "source \"{name}\" detached"),
        }
    }
}

/// Everything that the catalogue is told when a run starts: the job's schedule, then the journal,
/// which goes before it.
pub fn orders(job: &Job, journal: &[Entry]) -> Vec<(Epoch, Order)> {
    let scheduled = job.scale.iter().map(|scale| (scale.from_epoch, Order::Workers(scale.workers)));
    let commanded = journal.iter().filter_map(|entry| Some((entry.epoch, entry.command.order()?)));
    scheduled.chain(commanded).collect()
}

/// The names of the sources after these commands.
pub fn sources(job: &Job, journal: &[Entry]) -> Vec<String> {
    let mut names: Vec<String> = job.source.iter().map(|source| source.name().to_owned()).collect();
    for entry in journal {
        match &entry.command {
            Command::Attach { source } => names.push(source.name().to_owned()),
            Command::Detach { name } => names.retain(|known| known != name),
            _ => {}
        }
    }
    names
}

/// Refuses what a run cannot do that has so many workers in so many processes, if that is known, and
/// these sources.
///
/// # Errors
/// Why not, and what to do.
pub fn check(
    command: &Command,
    started: Option<(usize, usize)>,
    sources: &[String],
) -> Result<(), SteerError> {
    match command {
        Command::Scale { workers: 0 } => Err(SteerError::NoWorkers),
        Command::Scale { workers } => match started {
            Some((most, processes)) if *workers > most => {
                Err(SteerError::TooManyWorkers { asked: *workers, most, processes })
            }
            _ => Ok(()),
        },
        Command::Attach { source } => {
            Job::check_source(source)?;
            match sources.iter().any(|name| name == source.name()) {
                true => Err(SteerError::NameTaken { name: source.name().to_owned() }),
                false => Ok(()),
            }
        }
        Command::Detach { name } if !sources.contains(name) => {
            Err(SteerError::NoSuchSource { name: name.clone(), known: sources.join(", ") })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(epoch: Epoch, command: Command) -> Entry {
        Entry { epoch, time: 0.0, command }
    }

    #[test]
    fn commands_are_read_as_strictly_as_a_job_file() {
        let read = serde_json::from_str::<Command>;
        assert_eq!(
            read(r#"{"scale":{"workers":3}}"#).expect("a command"),
            Command::Scale { workers: 3 }
        );
        assert_eq!(read("\"scale_auto\"").expect("a command"), Command::ScaleAuto);
        let attached = r#"{"attach":{"source":{"kind":"files","paths":["a"]}}}"#;
        assert!(matches!(read(attached), Ok(Command::Attach { .. })));
        for refused in [
            r#"{"scale":{"workers":3,"now":true}}"#,
            r#"{"scale":{"workers":-1}}"#,
            r#"{"pause":{"for":3}}"#,
            r#"{"attach":{"source":{"kind":"files","path":["a"]}}}"#,
            r#"{"attach":{"source":{"kind":"files"},"weight":2}}"#,
            "\"stop\"",
            "{}",
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_command_goes_before_the_schedule_of_the_job() {
        let text = "workers = 1\nmax_workers = 4\nscale = [{ from_epoch = 6, workers = 2 }]\n\
                    [[source]]\nkind = \"sample\"\n";
        let job = Job::parse("a.toml".as_ref(), text, &[]).expect("a job");
        let orders = orders(&job, &[entry(4, Command::Scale { workers: 3 })]);
        let workers = |epoch| operators::steer::standing(1, &orders, epoch).workers;
        assert_eq!([3, 4, 5, 6, 7].map(workers), [1, 3, 3, 3, 3].map(Some));
        let orders = super::orders(&job, &[]);
        let workers = |epoch| operators::steer::standing(1, &orders, epoch).workers;
        assert_eq!([5, 6].map(workers), [1, 2].map(Some));
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_advice() {
        let known = vec!["a".to_owned(), "b".to_owned()];
        let refusal = |command| {
            check(&command, Some((4, 2)), &known).expect_err("it cannot be done").to_string()
        };
        // Five workers in two processes: three in each.
        let message = refusal(Command::Scale { workers: 5 });
        assert!(message.contains("--set max_workers=3, or more --processes"), "{message}");
        let alone = check(&Command::Scale { workers: 5 }, Some((4, 1)), &known);
        assert!(alone.expect_err("four are there").to_string().ends_with("max_workers=5"));
        assert!(refusal(Command::Scale { workers: 0 }).contains("1 or more"));
        assert!(refusal(Command::Detach { name: "c".into() }).contains("a, b"));
        let files = |name: &str| {
            let paths = vec!["x".to_owned()];
            crate::job::Files { name: name.into(), paths, ..Default::default() }
        };
        let attach = |name| Command::Attach { source: Source::Files(files(name)) };
        assert!(refusal(attach("b")).contains("\"b\""));
        assert!(check(&attach("c"), Some((4, 1)), &known).is_ok());
        let pathless = Source::Files(crate::job::Files::default());
        assert!(refusal(Command::Attach { source: pathless }).contains("paths"));
    }
}
