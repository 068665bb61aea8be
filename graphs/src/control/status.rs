//! How a running job stands, as data.

use std::{collections::BTreeMap, path::PathBuf};

use operators::{Epoch, fetch};
use serde::{Deserialize, Serialize};

use super::{Helm, Progress, Reading, Stage};
use crate::peers::OWNERS;

/// How a running job stands.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The run directory.
    pub directory: PathBuf,
    /// The process.
    pub process: u32,
    /// `running`, `paused` or `draining`.
    pub state: &'static str,
    /// Where the epochs are.
    pub epochs: Epochs,
    /// Records that have left each stage since this process began, in all processes.
    pub stages: BTreeMap<&'static str, u64>,
    /// Who does the work.
    pub workers: Workers,
    /// What waits where.
    pub queues: Queues,
    /// How learning goes, and what became of each source's entries.
    #[serde(flatten)]
    pub progress: Progress,
    /// How fetching goes, in all processes.
    pub fetch: Fetch,
    /// Each of the job's processes, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
}

/// One of several processes.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// Its number.
    pub process: usize,
    /// Whether it has told anything yet; what it tells is half a second old at most.
    pub heard: bool,
    /// Records that have left each stage there.
    pub stages: BTreeMap<&'static str, u64>,
    /// Processor time of each of its workers, in seconds.
    pub busy_seconds: Vec<f64>,
    /// How fetching goes there.
    pub fetch: Fetch,
}

impl Process {
    fn of(process: usize, reading: Option<&Reading>) -> Self {
        let told = reading.cloned().unwrap_or_default();
        let stages = Stage::ALL.map(|stage| (stage.name(), told.records[stage as usize]));
        let Reading { busy_seconds, fetch, .. } = told;
        Self { process, heard: reading.is_some(), stages: stages.into(), busy_seconds, fetch }
    }
}

/// Where the epochs are.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Epochs {
    /// The first that was not opened yet.
    pub next: Epoch,
    /// Opened and not learnt.
    pub in_flight: u64,
    /// Bytes of their pages, as far as those were fetched.
    pub bytes: u64,
    /// Bytes of such pages at most, in this process.
    pub most_bytes: u64,
}

/// Who does the work.
#[derive(Clone, Debug, Serialize)]
pub struct Workers {
    /// Workers that get work.
    pub active: usize,
    /// Workers that were started.
    pub max: usize,
    /// Whether their number follows the backlog.
    pub auto: bool,
    /// Processor time of each so far, in seconds.
    pub busy_seconds: Vec<f64>,
}

/// What waits where.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Queues {
    /// Entries that were routed, and neither fetched nor rejected.
    pub entries: u64,
    /// Documents that wait at the weir for their epoch to close.
    pub documents: u64,
    /// Epochs that the weir has let through, and that are not learnt yet.
    pub epochs: u64,
}

/// How fetching goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Requests sent.
    pub requests: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Tries beyond an entry's first.
    pub retries: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Pages that were kept from before.
    pub from_cache: u64,
}

impl Fetch {
    fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            in_flight: self.in_flight + other.in_flight,
            retries: self.retries + other.retries,
            bytes: self.bytes + other.bytes,
            from_cache: self.from_cache + other.from_cache,
        }
    }
}

impl From<fetch::Counters> for Fetch {
    fn from(counters: fetch::Counters) -> Self {
        let fetch::Counters { requests, in_flight, retries, bytes, from_cache, .. } = counters;
        Self { requests, in_flight, retries, bytes, from_cache }
    }
}

/// How the job at this helm stands.
pub fn status(
    directory: PathBuf,
    helm: &Helm,
    mut progress: Progress,
    counters: Option<fetch::Counters>,
) -> Status {
    let attached = helm.sources();
    for (name, source) in &mut progress.sources {
        source.detached = !attached.contains(name);
    }
    let (gauges, position) = (helm.gauges(), helm.plan().position());
    let (own, others) = (gauges.reading(counters), gauges.of_others());
    let processes: Vec<Process> = match helm.processes() {
        1 => Vec::new(),
        all => (0..all)
            .map(|process| match process {
                OWNERS => Process::of(process, Some(&own)),
                process => Process::of(process, others.get(&process)),
            })
            .collect(),
    };
    let stages = Stage::ALL.map(|stage| (stage.name(), gauges.records(stage)));
    let records = |stage| gauges.records(stage);
    // Before the first epoch was learnt nothing tells where learning stands but the plan.
    let learnt = progress.learnt.map_or(position.first, |epoch| epoch + 1);
    let gathered = gauges.gathered().max(learnt);
    let (bytes, most_bytes) = gauges.bytes_in_flight();
    let in_flight = position.next.saturating_sub(learnt);
    Status {
        directory,
        process: std::process::id(),
        state: match (helm.drains(), position.standing.paused) {
            (true, _) => "draining",
            (_, true) => "paused",
            _ => "running",
        },
        epochs: Epochs { next: position.next, in_flight, bytes, most_bytes },
        workers: Workers {
            active: position.active,
            max: position.most,
            auto: position.standing.workers.is_none(),
            busy_seconds: (own.busy_seconds.iter())
                .chain(others.values().flat_map(|reading| &reading.busy_seconds))
                .copied()
                .collect(),
        },
        queues: Queues {
            entries: records(Stage::Catalogue)
                .saturating_sub(records(Stage::Fetch) + records(Stage::Unfetched)),
            documents: records(Stage::Tokenize).saturating_sub(records(Stage::Resequence)),
            epochs: gathered.min(position.next).saturating_sub(learnt),
        },
        stages: stages.into(),
        progress,
        fetch: others.values().map(|reading| reading.fetch).fold(own.fetch, Fetch::and),
        processes,
    }
}
