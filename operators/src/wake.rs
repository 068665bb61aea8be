//! Waking an operator from outside its worker's thread.

use std::sync::{Arc, Mutex};

use timely::scheduling::SyncActivator;

/// Wakes one operator. Handed out before the operator exists; waking is then merely too early, and
/// harmless, because every operator is scheduled once when its dataflow starts.
#[derive(Clone, Default)]
pub struct Waker {
    // Timely's activator is Send only.
    activator: Arc<Mutex<Option<SyncActivator>>>,
}

impl Waker {
    /// From now on `wake` schedules the operator that this activator belongs to.
    pub fn attach(&self, activator: SyncActivator) {
        *self.lock() = Some(activator);
    }

    /// Has the operator scheduled soon. Its worker having ended is no trouble: nobody waits then.
    pub fn wake(&self) {
        if let Some(activator) = self.lock().as_ref() {
            let _worker_has_ended = activator.activate();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<SyncActivator>> {
        self.activator.lock().expect("nothing panics while it holds the activator")
    }
}
