//! What the server was asked for, and how much of it at once.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use crate::lock;

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path, with its query.
    pub path: String,
    /// Its header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// When its head had arrived.
    pub at: Instant,
}

impl Request {
    /// The value of the header field `name` (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// Whether it asked for the page only if that had changed.
    pub fn conditional(&self) -> bool {
        self.header("if-none-match").or(self.header("if-modified-since")).is_some()
    }
}

/// Every request so far.
#[derive(Debug, Default)]
pub struct Log {
    /// The requests, in order of arrival.
    pub requests: Vec<Request>,
    /// How many are being answered now.
    pub underway: usize,
    /// The most that were under way at once.
    pub most_at_once: usize,
}

impl Log {
    /// How many requests `path` has had.
    pub fn count(&self, path: &str) -> usize {
        self.requests.iter().filter(|request| request.path == path).count()
    }
}

#[derive(Default)]
pub struct Journal {
    log: Mutex<Log>,
    changed: Condvar,
}

impl Journal {
    pub fn read<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&lock(&self.log))
    }

    /// Writes the request down; it is under way until the guard is dropped.
    pub fn arrive(self: &Arc<Self>, request: Request) -> Underway {
        let mut log = lock(&self.log);
        log.requests.push(request);
        log.underway += 1;
        log.most_at_once = log.most_at_once.max(log.underway);
        self.changed.notify_all();
        Underway(Arc::clone(self))
    }

    pub fn wait_for(&self, what: &str, seen: impl Fn(&Log) -> bool) {
        let limit = Duration::from_secs(60);
        let (log, waited) = self
            .changed
            .wait_timeout_while(lock(&self.log), limit, |log| !seen(log))
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(!waited.timed_out(), "waited {limit:?} for {what}; the log has {log:?}");
    }
}

pub struct Underway(Arc<Journal>);

impl Drop for Underway {
    fn drop(&mut self) {
        lock(&self.0.log).underway -= 1;
        self.0.changed.notify_all();
    }
}
