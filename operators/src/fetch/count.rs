//! What a client has done so far, for the dashboard.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What a client has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries whose page was brought, from wherever.
    pub fetched: u64,
    /// Requests sent, those for robots.txt and each hop of a redirect included.
    pub requests: u64,
    /// Requests that were answered with "not modified".
    pub not_modified: u64,
    /// Bytes of bodies received, once decompressed.
    pub bytes: u64,
    /// Tries beyond an entry's first.
    pub retries: u64,
    /// Pages taken from the cache, unchanged or unasked.
    pub from_cache: u64,
    /// Requests under way now.
    pub in_flight: u64,
}

/// The counters as they are counted.
#[derive(Debug, Default)]
pub struct Tally {
    pub fetched: AtomicU64,
    pub requests: AtomicU64,
    pub not_modified: AtomicU64,
    pub bytes: AtomicU64,
    pub retries: AtomicU64,
    pub from_cache: AtomicU64,
    in_flight: AtomicU64,
}

impl Tally {
    /// A request that starts now, and is under way until the guard is dropped.
    pub fn start(self: &Arc<Self>) -> InFlight {
        count(&self.requests, 1);
        count(&self.in_flight, 1);
        InFlight(Arc::clone(self))
    }

    /// The counters now.
    pub fn read(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            fetched: read(&self.fetched),
            requests: read(&self.requests),
            not_modified: read(&self.not_modified),
            bytes: read(&self.bytes),
            retries: read(&self.retries),
            from_cache: read(&self.from_cache),
            in_flight: read(&self.in_flight),
        }
    }
}

/// Counts up.
pub fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// A request under way.
pub struct InFlight(Arc<Tally>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
