//! How a running job stands, as data.

use std::{collections::BTreeMap, path::PathBuf};

use operators::{Epoch, fetch};
use serde::Serialize;

use super::{Helm, Progress, Stage};

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
    /// Records that have left each stage in this process.
    pub stages: BTreeMap<&'static str, u64>,
    /// Who does the work.
    pub workers: Workers,
    /// What waits where.
    pub queues: Queues,
    /// How learning goes, and what became of each source's entries.
    #[serde(flatten)]
    pub progress: Progress,
    /// How fetching goes.
    pub fetch: Fetch,
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
#[derive(Clone, Copy, Debug, Default, Serialize)]
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
    progress: Progress,
    counters: Option<fetch::Counters>,
) -> Status {
    let (gauges, position) = (helm.gauges(), helm.plan().position());
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
            busy_seconds: gauges.busy_seconds(),
        },
        queues: Queues {
            entries: records(Stage::Catalogue)
                .saturating_sub(records(Stage::Fetch) + records(Stage::Unfetched)),
            documents: records(Stage::Tokenize).saturating_sub(records(Stage::Resequence)),
            epochs: gathered.min(position.next).saturating_sub(learnt),
        },
        stages: stages.into(),
        progress,
        fetch: counters.map(Fetch::from).unwrap_or_default(),
    }
}
