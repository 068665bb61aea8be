//! How far the river has come: records that have left each stage, and the time that workers took.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::Thread,
};

use operators::{Batches, Epoch, batch::Batch, fetch, record::Record};
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::Inspect;

use super::{afloat::Afloat, status::Fetch};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Entries to read.
    Catalogue,
    /// Pages.
    Fetch,
    /// Entries without a page.
    Unfetched,
    /// Documents.
    Extract,
    /// Documents whose text no other has.
    Deduplicate,
    /// Documents in words.
    Tokenize,
    /// Documents in catalogue order.
    Resequence,
    /// Entries that could not be used.
    Reject,
}

impl Stage {
    /// All of them, in the order of the river.
    pub const ALL: [Self; 8] = [
        Self::Catalogue,
        Self::Fetch,
        Self::Unfetched,
        Self::Extract,
        Self::Deduplicate,
        Self::Tokenize,
        Self::Resequence,
        Self::Reject,
    ];

    /// What it is called in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Fetch => "fetch",
            Self::Unfetched => "unfetched",
            Self::Extract => "extract",
            Self::Deduplicate => "deduplicate",
            Self::Tokenize => "tokenize",
            Self::Resequence => "resequence",
            Self::Reject => "reject",
        }
    }
}

/// How far a process has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Records that have left each stage, in the order of [`Stage::ALL`].
    pub records: [u64; Stage::ALL.len()],
    /// Processor time of each of its workers, in seconds.
    pub busy_seconds: Vec<f64>,
    /// Bytes of its pages that are not learnt, and how many there were at most.
    pub bytes_in_flight: (u64, u64),
    /// How fetching goes.
    pub fetch: Fetch,
}

struct Worker {
    thread: Thread,
    // Where the system tells of it.
    clock: PathBuf,
}

/// The gauges of a job in this process, and what other processes have told of theirs. Clones are the
/// same gauges.
#[derive(Clone, Default)]
pub struct Gauges {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    // By stage, in the order of `Stage::ALL`.
    records: [AtomicU64; Stage::ALL.len()],
    // The first epoch that the weir has not let through.
    gathered: AtomicU64,
    afloat: Afloat,
    // By number: each worker of this process, none of those that have not begun yet.
    workers: Mutex<BTreeMap<usize, Option<Worker>>>,
    // By process: what each of the others has told last.
    others: Mutex<BTreeMap<usize, Reading>>,
}

impl Gauges {
    /// Counts what flows by.
    pub fn count<'scope, R: Record>(
        &self,
        stage: Stage,
        records: Batches<'scope, R>,
    ) -> Batches<'scope, R> {
        let shared = Arc::clone(&self.shared);
        records.inspect_core(move |event| match event {
            Ok((stamp, container)) => {
                let rows = container.batches().iter().map(|batch| batch.rows().num_rows() as u64);
                shared.records[stage as usize].fetch_add(rows.sum(), Ordering::Relaxed);
                if let (Stage::Fetch, Some(epoch)) = (stage, stamp.least()) {
                    let rows = container.batches().iter().map(Batch::rows);
                    let bytes = rows.map(|rows| rows.get_array_memory_size() as u64).sum();
                    shared.afloat.add(*epoch, bytes);
                }
            }
            Err(frontier) if stage == Stage::Resequence => {
                if let Some(epoch) = frontier.first() {
                    shared.gathered.fetch_max(*epoch, Ordering::Relaxed);
                }
            }
            Err(_) => {}
        })
    }

    /// How many records have left a stage, in all processes as far as they have told.
    pub fn records(&self, stage: Stage) -> u64 {
        let others = self.others();
        let there = others.values().map(|reading| reading.records[stage as usize]).sum::<u64>();
        self.shared.records[stage as usize].load(Ordering::Relaxed) + there
    }

    /// How far this process has come.
    pub fn reading(&self, counters: Option<fetch::Counters>) -> Reading {
        let records =
            Stage::ALL.map(|stage| self.shared.records[stage as usize].load(Ordering::Relaxed));
        let fetch = counters.map(Fetch::from).unwrap_or_default();
        let bytes_in_flight = self.shared.afloat.bytes();
        Reading { records, busy_seconds: self.busy_seconds(), bytes_in_flight, fetch }
    }

    /// Takes note of how far another process has come.
    pub(crate) fn note(&self, process: usize, reading: Reading) {
        self.others().insert(process, reading);
    }

    /// What other processes have told last.
    pub fn of_others(&self) -> BTreeMap<usize, Reading> {
        self.others().clone()
    }

    fn others(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Reading>> {
        self.shared.others.lock().expect("nothing panics while it holds the readings")
    }

    /// The first epoch that the weir has not let through.
    pub fn gathered(&self) -> Epoch {
        self.shared.gathered.load(Ordering::Relaxed)
    }

    /// Takes note that every epoch before `first_open` is learnt; all of them, if there is none.
    pub(crate) fn learnt(&self, first_open: Option<Epoch>) {
        self.shared.afloat.learnt(first_open);
    }

    /// How many bytes the pages have that were fetched and are not learnt, and had at most: of all
    /// processes, as if each had had its most at once.
    pub fn bytes_in_flight(&self) -> (u64, u64) {
        let others = self.others();
        let own = self.shared.afloat.bytes();
        others.values().fold(own, |(now, most), reading| {
            (now + reading.bytes_in_flight.0, most + reading.bytes_in_flight.1)
        })
    }

    /// Takes note of what workers this process will have, so that whoever asks is told of all of them
    /// from the start.
    pub(crate) fn expect(&self, process: usize, workers: usize) {
        let numbers = process * workers..(process + 1) * workers;
        self.workers().extend(numbers.map(|number| (number, None)));
    }

    /// Takes note that this thread is the worker numbered `index`.
    pub(crate) fn enter(&self, index: usize) {
        // "PID/task/TID"
        let thread = fs::read_link("/proc/thread-self").unwrap_or_default();
        let clock = Path::new("/proc").join(thread);
        self.workers().insert(index, Some(Worker { thread: std::thread::current(), clock }));
    }

    /// Wakes every worker, to look whether it is to stop.
    pub(crate) fn wake_workers(&self) {
        self.workers().values().flatten().for_each(|worker| worker.thread.unpark());
    }

    /// Seconds that each worker of this process has been running on a core so far, by its number: its
    /// thread's own processor time, as the system counts it. Nothing is measured in the worker itself.
    /// Empty where the system does not tell.
    pub fn busy_seconds(&self) -> Vec<f64> {
        let workers = self.workers();
        let of = |worker: &Option<Worker>| match worker {
            Some(Worker { clock, .. }) => processor_seconds(clock),
            None => Some(0.0),
        };
        workers.values().filter_map(of).collect()
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Option<Worker>>> {
        self.shared.workers.lock().expect("nothing panics while it holds the list")
    }
}

/// What a thread has used, from the scheduler's statistics: nanoseconds on a core come first.
fn processor_seconds(thread: &Path) -> Option<f64> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_works_is_seen_to_be_busy_and_one_that_has_not_begun_is_seen() {
        let gauges = Gauges::default();
        gauges.expect(1, 2);
        assert_eq!(gauges.busy_seconds(), [0.0, 0.0]);
        gauges.enter(3);
        let before = gauges.busy_seconds();
        let mut sum = 0u64;
        while gauges.busy_seconds()[1] <= before[1] {
            (0..100_000u64).for_each(|n| sum = std::hint::black_box(sum.wrapping_mul(31) + n));
        }
        assert_eq!(gauges.busy_seconds()[0], 0.0, "number 2 has not begun");
    }
}
