//! How many workers and threads a job has, in how many processes.

use super::{Job, JobError};
use crate::peers::Place;

impl Job {
    /// Refuses more workers than are started, and epochs out of order.
    pub(super) fn check_workers(&self) -> Result<(), JobError> {
        let most = self.workers_in_all();
        let asked = |key: &str, workers: usize| match workers {
            0 => Err(JobError::senseless(key, &0, "use 1 or more")),
            _ if workers > most => {
                let each = workers.div_ceil(self.processes());
                let advice = format!("use {most} or less, or set max_workers = {each}");
                Err(JobError::senseless(key, &workers, &advice))
            }
            _ => Ok(()),
        };
        asked("workers", self.workers())?;
        let mut last = None;
        for (index, scale) in self.scale.iter().enumerate() {
            asked(&format!("scale.{index}.workers"), scale.workers)?;
            if last.is_some_and(|last| last >= scale.from_epoch) {
                let key = format!("scale.{index}.from_epoch");
                let advice = "list the epochs from the first to the last";
                return Err(JobError::senseless(&key, &scale.from_epoch, advice));
            }
            last = Some(scale.from_epoch);
        }
        Ok(())
    }

    /// How many workers get work at first.
    pub fn workers(&self) -> usize {
        match (self.workers, self.max_workers) {
            (0, 0) => cores(),
            (0, most) => cores().min(most),
            (workers, _) => workers,
        }
    }

    /// How many processes it has.
    pub fn processes(&self) -> usize {
        self.place.as_ref().map_or(1, Place::processes)
    }

    /// How many workers get work at first, of those in all processes.
    pub fn workers_at_first(&self) -> usize {
        if self.workers == 0 { self.workers() * self.processes() } else { self.workers }
    }

    /// How many timely workers there are in all processes.
    pub fn workers_in_all(&self) -> usize {
        self.max_workers() * self.processes()
    }

    /// How many timely workers to start in each process.
    pub fn max_workers(&self) -> usize {
        match self.max_workers {
            0 => cores().max(self.workers().div_ceil(self.processes())),
            most => most,
        }
    }

    /// How many threads train on a CPU.
    pub fn threads(&self) -> usize {
        if self.train.threads == 0 { cores() } else { self.train.threads }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
