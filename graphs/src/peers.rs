//! One job in several processes, on one machine or on several.
//!
//! Process 0 is the owner's: it alone has the run directory, the catalogue, the weir, the model and
//! the control server. The others fetch, extract, deduplicate, tokenize and embed, and keep nothing
//! but pages. Between every two of them runs a `link` of timely's, on which records travel as Arrow
//! IPC; between the owner and each of the others a line of `words` beside it: the greeting, in which
//! they see that they have the same job; sources that are attached; how far each has come; and how
//! it ends.
//!
//! A process that goes without a word is lost, and all others stop with that as the cause. Nothing
//! that it had under way counts as learnt, so the newest checkpoint stays, and the run goes on from
//! there with any number of processes.

pub(crate) mod follower;
mod greeting;
mod hosts;
mod line;
pub(crate) mod link;
mod meet;
pub(crate) mod owner;
mod trouble;
mod words;

use std::{fmt, time::Duration};

pub(crate) use greeting::Hello;
pub(crate) use hosts::is_one_machine;
pub use hosts::{BadPlace, hosts};
pub(crate) use meet::meet;
pub(crate) use owner::{Mesh, Peers};
pub use trouble::PeersError;
pub use words::End;

/// The process that owns the run.
pub const OWNERS: usize = 0;

/// Which of a job's processes this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0.
    pub process: usize,
    /// The address of each process, `HOST:PORT`, by its number.
    pub hosts: Vec<String>,
    /// How long to wait for the others.
    pub wait: Duration,
}

impl Place {
    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.hosts.len()
    }

    /// The other processes.
    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let process = self.process;
        (0..self.processes()).filter(move |other| *other != process)
    }

    /// A process as messages name it.
    fn name(&self, process: usize) -> String {
        format!("process {process} at {}", self.hosts[process])
    }

    /// Several of them.
    fn names(&self, processes: impl IntoIterator<Item = usize>) -> String {
        processes.into_iter().map(|of| self.name(of)).collect::<Vec<_>>().join(", ")
    }
}

/// How processes find together, for whoever shows it.
#[derive(Clone, Debug)]
pub enum News {
    /// The others are waited for, at most so long.
    Waiting(String, Duration),
    /// All are there: this one's number, how many there are, and the workers of each.
    Together(usize, usize, usize),
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(whom, wait) => {
                write!(f, "waiting for {whom}, {} s at most", wait.as_secs())
            }
            Self::Together(process, processes, workers) => write!(
                f,
                "process {process} of {processes}, {workers} worker{} in each: all are there",
                if *workers == 1 { "" } else { "s" }
            ),
        }
    }
}
