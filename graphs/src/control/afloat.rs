//! The bytes under way: of pages that have been fetched and whose epoch is not learnt yet.
//!
//! Their number is bounded by how many epochs may be open, how many entries an epoch has, and how
//! many bytes a page may have; so it does not grow with the library, nor with a slow learner.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use operators::Epoch;

/// Counts bytes in and out.
#[derive(Default)]
pub(super) struct Afloat(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    by_epoch: BTreeMap<Epoch, u64>,
    now: u64,
    most: u64,
}

impl Afloat {
    /// Notes a page of an epoch that is open.
    pub fn add(&self, epoch: Epoch, bytes: u64) {
        let mut counted = self.counted();
        *counted.by_epoch.entry(epoch).or_default() += bytes;
        counted.now += bytes;
        counted.most = counted.most.max(counted.now);
    }

    /// Notes that every epoch before `first_open` is learnt; all of them, if there is none.
    pub fn learnt(&self, first_open: Option<Epoch>) {
        let mut counted = self.counted();
        let open =
            first_open.map_or_else(BTreeMap::new, |epoch| counted.by_epoch.split_off(&epoch));
        let gone = std::mem::replace(&mut counted.by_epoch, open);
        counted.now -= gone.values().sum::<u64>();
    }

    /// How many bytes are under way, and how many were at most.
    pub fn bytes(&self) -> (u64, u64) {
        let counted = self.counted();
        (counted.now, counted.most)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().expect("nothing panics while it counts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learnt_is_under_way_no_more_and_the_most_is_remembered() {
        let afloat = Afloat::default();
        afloat.add(0, 5);
        afloat.add(2, 7);
        afloat.add(1, 1);
        assert_eq!(afloat.bytes(), (13, 13));
        afloat.learnt(Some(2));
        assert_eq!(afloat.bytes(), (7, 13));
        // A frontier may be told twice.
        afloat.learnt(Some(2));
        afloat.add(3, 2);
        assert_eq!(afloat.bytes(), (9, 13));
        afloat.learnt(None);
        assert_eq!(afloat.bytes(), (0, 13));
    }
}
