//! What each worker of this process has to read: the bytes of pages that it was given and whose words
//! have not come out yet.
//!
//! Pages differ a thousandfold in length, so that taking turns leaves one worker with long ones while
//! another has nothing to do. What a worker has besides, such as everything after the weir, shows here
//! too: it is slower with its pages, and is given fewer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::Epoch;

/// The loads of this process's workers. Clones are the same loads.
#[derive(Clone)]
pub struct Loads {
    // The number of the process's first worker.
    first: u64,
    shared: Arc<Mutex<State>>,
}

struct State {
    // By worker, from the first one on.
    bytes: Vec<u64>,
    // By sequence number: what was given and is not read yet.
    given: HashMap<u64, Given>,
}

struct Given {
    epoch: Epoch,
    place: usize,
    bytes: u64,
}

impl Loads {
    /// Nothing to read yet, in the process of this number with so many workers.
    pub fn of(process: usize, workers: usize) -> Self {
        let state = State { bytes: vec![0; workers], given: HashMap::new() };
        Self { first: (process * workers) as u64, shared: Arc::new(Mutex::new(state)) }
    }

    /// Gives a page of so many bytes to whoever has least to read, of this process's workers that are
    /// among the first `among`; of several to `reads`, whose turn it is. If that one is in another
    /// process the page is not for us to give.
    pub fn give(&self, page: (Epoch, u64), bytes: u64, reads: u64, among: u64) -> u64 {
        let state = &mut *self.state();
        let Some(turn) =
            reads.checked_sub(self.first).filter(|turn| *turn < state.bytes.len() as u64)
        else {
            return reads;
        };
        let working = state.bytes.len().min(among.saturating_sub(self.first) as usize);
        let least = (0..working).min_by_key(|&place| (state.bytes[place], place as u64 != turn));
        let place = least.unwrap_or(turn as usize);
        let (epoch, sequence) = page;
        state.bytes[place] += bytes;
        state.given.insert(sequence, Given { epoch, place, bytes });
        self.first + place as u64
    }

    /// Takes note that the words of a page are out.
    pub fn read(&self, sequence: u64) {
        let state = &mut *self.state();
        if let Some(given) = state.given.remove(&sequence) {
            state.bytes[given.place] -= given.bytes;
        }
    }

    /// Takes note that every epoch before `first_open` has come to the weir, all of them if there is
    /// none: what is left of them became rejects.
    pub fn close(&self, first_open: Option<Epoch>) {
        let State { bytes, given } = &mut *self.state();
        given.retain(|_, given| {
            let is_open = first_open.is_some_and(|open| given.epoch >= open);
            if !is_open {
                bytes[given.place] -= given.bytes;
            }
            is_open
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().expect("nothing panics while it holds the loads")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_least_to_read_is_given_the_next_page() {
        let loads = Loads::of(0, 3);
        // Two of three get work. A long page, then short ones, whosever turn it is.
        let give = |sequence, bytes| loads.give((0, sequence), bytes, sequence % 2, 2);
        assert_eq!(
            (0..5).map(|n| give(n, [90, 30, 30, 20, 20][n as usize])).collect::<Vec<_>>(),
            [0, 1, 1, 1, 1]
        );
        // 90 against 100: with the long one read, 0 is given everything until it has as much.
        loads.read(0);
        assert_eq!((5..9).map(|n| give(n, 60)).collect::<Vec<_>>(), [0, 0, 1, 0]);
        loads.read(77); // of another process, say
    }

    #[test]
    fn of_equals_it_is_whose_turn_it_is() {
        let loads = Loads::of(0, 4);
        assert_eq!((0..4).map(|n| loads.give((0, n), 1, n, 4)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn rejects_weigh_nothing_once_their_epoch_is_through() {
        let loads = Loads::of(0, 2);
        assert_eq!(loads.give((3, 0), 50, 0, 2), 0);
        assert_eq!(loads.give((4, 1), 10, 0, 2), 1);
        loads.close(Some(4));
        assert_eq!(loads.give((4, 2), 5, 0, 2), 0);
        loads.close(None);
        assert_eq!(loads.state().bytes, [0, 0]);
    }

    #[test]
    fn a_process_gives_pages_to_its_own_workers_that_work() {
        // Workers 2 and 3, of which only 2 is among the first three.
        let loads = Loads::of(1, 2);
        assert_eq!([0, 2, 2].map(|reads| loads.give((0, reads), 9, reads, 3)), [0, 2, 2]);
    }
}
