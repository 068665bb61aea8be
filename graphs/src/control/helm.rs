//! The helm of a running job: takes commands, makes them durable, and has them take effect.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use crossbeam_channel::Sender;
use operators::{Epoch, steer::Plan};

use super::{
    Command, Gauges, check,
    journal::{Journal, JournalError},
    orders, sources,
};
use crate::{
    events::Event,
    job::{Job, JobError},
};

/// Why a command is not followed.
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// Nobody would do the work.
    #[error("could not scale to 0 workers; use 1 or more, or `pause`")]
    NoWorkers,
    /// More than there are.
    #[error(
        "could not scale to {asked} workers: {most} were started; to have more, drain the run and \
         start it again with --set max_workers={}{}",
        asked.div_ceil(*processes),
        if *processes > 1 { ", or more --processes" } else { "" }
    )]
    TooManyWorkers {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        most: usize,
        /// In so many processes.
        processes: usize,
    },
    /// A source as described cannot be read.
    #[error(transparent)]
    Source(#[from] JobError),
    /// The name is in use.
    #[error(
        "could not attach source \"{name}\": there is one of that name; give it another `name`"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// No source has the name.
    #[error("could not detach source \"{name}\": there is none of that name; there are: {known}")]
    NoSuchSource {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The run is about to end.
    #[error("the run is draining; give the command again once it has stopped")]
    Draining,
    /// The command could not be made durable.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The helm of a job. Clones are the same helm.
#[derive(Clone)]
pub struct Helm {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Plan,
    gauges: Gauges,
    // One command at a time.
    log: Mutex<Log>,
    processes: usize,
    drain: Arc<AtomicBool>,
    events: Sender<Event>,
}

struct Log {
    // None for a job that keeps nothing, such as an export.
    journal: Option<Journal>,
    sources: Vec<String>,
}

impl Helm {
    /// The helm of a job that begins with epoch `first`, and does again what its journal says.
    pub fn new(
        job: &Job,
        journal: Option<Journal>,
        first: Epoch,
        drain: Arc<AtomicBool>,
        events: Sender<Event>,
    ) -> Self {
        let entries = journal.as_ref().map_or(&[][..], Journal::entries);
        let (workers, most) = (job.workers_at_first(), job.workers_in_all());
        let plan = Plan::new(first, workers, most, orders(job, entries));
        let sources = sources(job, entries);
        let gauges = Gauges::default();
        let log = Mutex::new(Log { journal, sources });
        let processes = job.processes();
        Self { shared: Arc::new(Shared { plan, gauges, log, processes, drain, events }) }
    }

    /// How many processes the job has.
    pub fn processes(&self) -> usize {
        self.shared.processes
    }

    /// Gives a command; the first epoch that it holds for. It is on the disk when this returns.
    ///
    /// # Errors
    /// If the run cannot do it, or it cannot be made durable: then nothing has changed.
    pub fn give(&self, command: Command) -> Result<Epoch, SteerError> {
        let Shared { plan, log, drain, events, .. } = &*self.shared;
        let mut log = log.lock().expect("nothing panics while it holds the journal");
        if drain.load(Ordering::Acquire) {
            return Err(SteerError::Draining);
        }
        check(&command, Some((plan.position().most, self.processes())), &log.sources)?;
        let hold = plan.hold();
        let from = hold.from();
        if let Some(journal) = &mut log.journal {
            journal.append(from, command.clone())?;
        }
        if command == Command::Drain {
            drain.store(true, Ordering::Release);
        }
        if let Some(order) = command.order() {
            hold.enter(order);
        }
        let _nobody_watches = events.send(Event::Steered(from, command));
        Ok(from)
    }

    /// Whether a command makes sense as the run stands.
    ///
    /// # Errors
    /// As [`Self::give`], the disk's left out.
    pub fn check(&self, command: &Command) -> Result<(), SteerError> {
        let Shared { plan, log, .. } = &*self.shared;
        let log = log.lock().expect("nothing panics while it holds the journal");
        check(command, Some((plan.position().most, self.processes())), &log.sources)
    }

    /// Writes down that a source is attached or detached from an epoch on, as the lister says, which
    /// alone knows when a source can take part. It is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be made durable: then nothing has changed.
    pub fn settle(&self, from: Epoch, command: Command) -> Result<(), JournalError> {
        let mut log = self.shared.log.lock().expect("nothing panics while it holds the journal");
        if let Some(journal) = &mut log.journal {
            journal.append(from, command.clone())?;
        }
        match &command {
            Command::Attach { source } => log.sources.push(source.name().to_owned()),
            Command::Detach { name } => log.sources.retain(|known| known != name),
            _ => {}
        }
        let _nobody_watches = self.shared.events.send(Event::Steered(from, command));
        Ok(())
    }

    /// The names of the sources that take part, or will from the next epoch on.
    pub fn sources(&self) -> Vec<String> {
        let log = self.shared.log.lock().expect("nothing panics while it holds the journal");
        log.sources.clone()
    }

    /// What the catalogue steers by.
    pub fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    /// How far the river has come.
    pub fn gauges(&self) -> &Gauges {
        &self.shared.gauges
    }

    /// Whether the job is to end.
    pub fn drains(&self) -> bool {
        self.shared.drain.load(Ordering::Acquire)
    }
}
