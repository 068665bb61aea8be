//! Asking the frontier in words, and keeping what waits for it.

use std::collections::BTreeMap;

use timely::{dataflow::operators::Capability, progress::frontier::MutableAntichain};

use crate::Epoch;

/// What an operator wants to know of an input's frontier.
pub trait Frontier {
    /// Nothing of `epoch` can arrive any more.
    fn is_closed(&self, epoch: Epoch) -> bool;

    /// The first epoch of which something can still arrive; `None` once the input has ended.
    fn first_open(&self) -> Option<Epoch>;
}

impl Frontier for MutableAntichain<Epoch> {
    fn is_closed(&self, epoch: Epoch) -> bool {
        !self.frontier().less_equal(&epoch)
    }

    fn first_open(&self) -> Option<Epoch> {
        self.frontier().first().copied()
    }
}

/// What an operator keeps for epochs that are still open, each with the capability to speak of it.
#[derive(Debug)]
pub struct Stash<V> {
    epochs: BTreeMap<Epoch, (Capability<Epoch>, V)>,
}

impl<V> Default for Stash<V> {
    fn default() -> Self {
        Self { epochs: BTreeMap::new() }
    }
}

impl<V: Default> Stash<V> {
    /// What is kept for the capability's epoch.
    pub fn at(&mut self, capability: Capability<Epoch>) -> &mut V {
        &mut self.epochs.entry(*capability.time()).or_insert_with(|| (capability, V::default())).1
    }

    /// Takes out the earliest epoch, if it is closed.
    pub fn closed(&mut self, is_closed: impl Fn(Epoch) -> bool) -> Option<(Capability<Epoch>, V)> {
        let earliest = self.epochs.first_entry()?;
        is_closed(*earliest.key()).then(|| earliest.remove())
    }
}
