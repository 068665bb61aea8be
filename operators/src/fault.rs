//! Trouble that stops the job: how a stage reports it, and how the runner hears of it.
//!
//! A stage that cannot go on keeps its capabilities (an error must never look like progress) and
//! raises the alarm. The first one raised is the cause; later ones are most likely its effects.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// What stopped a stage, and with it the job.
#[derive(Debug, thiserror::Error)]
#[error("{stage}: {error}")]
pub struct FatalError {
    /// The stage that cannot go on.
    pub stage: &'static str,
    /// The cause: what was tried, and what to do.
    #[source]
    pub error: Box<dyn Error + Send + Sync>,
}

/// Raised by a stage that cannot go on. Clones are the same alarm.
#[derive(Clone, Default)]
pub struct Alarm {
    shared: Arc<Shared>,
}

type Listener = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    raised: OnceLock<FatalError>,
    // Called once, when the alarm is raised.
    listeners: Mutex<Vec<Listener>>,
}

impl Alarm {
    /// An alarm that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the alarm; does nothing if it is raised already.
    pub fn raise(&self, stage: &'static str, error: impl Into<Box<dyn Error + Send + Sync>>) {
        if self.shared.raised.set(FatalError { stage, error: error.into() }).is_ok() {
            let listeners = std::mem::take(&mut *self.listeners());
            listeners.into_iter().for_each(|listener| listener());
        }
    }

    /// The first trouble raised, if there is any.
    pub fn raised(&self) -> Option<&FatalError> {
        self.shared.raised.get()
    }

    /// Calls `listener` once when the alarm is raised, or now if it is raised already: to unpark
    /// the threads that have to stop.
    pub fn listen(&self, listener: impl FnOnce() + Send + 'static) {
        {
            // Under the lock, so that an alarm raised meanwhile either finds the listener or is seen.
            let mut listeners = self.listeners();
            if self.raised().is_none() {
                listeners.push(Box::new(listener));
                return;
            }
        }
        listener();
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Vec<Listener>> {
        self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("raised", &self.raised()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_first_trouble_wins() {
        let alarm = Alarm::new();
        assert!(alarm.raised().is_none());
        let same = alarm.clone();
        same.raise("fetch", "could not write to the cache");
        alarm.raise("train", "the channel is closed");
        let raised = alarm.raised().expect("it was raised");
        assert_eq!(raised.to_string(), "fetch: could not write to the cache");
    }

    #[test]
    fn each_listener_is_called_once_whether_it_came_before_or_after() {
        let (called, calls) = mpsc::channel();
        let alarm = Alarm::new();
        let before = called.clone();
        alarm.listen(move || before.send("before").expect("the test listens"));
        assert_eq!(calls.try_recv().ok(), None);
        alarm.raise("fetch", "no");
        alarm.raise("fetch", "no again");
        alarm.listen(move || called.send("after").expect("the test listens"));
        assert_eq!(calls.iter().collect::<Vec<_>>(), ["before", "after"]);
    }
}
