//! Emits the job's entries in catalogue order, cut into epochs, on the worker that has the listing.
//!
//! Epoch `first + n` holds entries `n · size` to `(n + 1) · size`: a pure function of the listing.
//! At most `in_flight` epochs are open between here and the learner, which is how backpressure
//! reaches the web: an epoch that the trainer has not learnt keeps further requests from being made.
//! The stream ends when the listing does, or when the job is asked to drain.

pub mod aozora;
pub mod files;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crossbeam_channel::{Receiver, TryRecvError};
use timely::dataflow::{ProbeHandle, Scope, operators::generic::operator::source};

use crate::{
    Batches, Epoch,
    batch::{Batch, Builder},
    record::Entry,
    wake::Waker,
};

/// How the catalogue is cut into epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slicing {
    /// The number of the first epoch: one past the last that is committed.
    pub first: Epoch,
    /// Entries in an epoch.
    pub size: usize,
    /// Epochs that may be open at once.
    pub in_flight: u64,
}

/// Where the entries come from, and who tells this operator that there is something new.
#[derive(Clone)]
pub struct Listing {
    /// Entries in catalogue order, numbered in sequence; hanging up ends the catalogue.
    pub entries: Receiver<Entry>,
    /// To be woken when an entry is sent, when the sender hangs up, and when an epoch was learnt.
    pub waker: Waker,
    /// Set to end the stream before the listing ends.
    pub drain: Arc<AtomicBool>,
}

/// The stream of entries. `listing` is `Some` on one worker; `learnt` follows the learner.
pub fn catalogue<'scope>(
    scope: Scope<'scope, Epoch>,
    listing: Option<Listing>,
    slicing: Slicing,
    learnt: &ProbeHandle<Epoch>,
) -> Batches<'scope, Entry> {
    let learnt = learnt.clone();
    source::<_, Builder<Entry>, _, _>(scope, "Catalogue", move |mut capability, info| {
        capability.downgrade(&slicing.first);
        let mut state = listing.map(|listing| {
            listing.waker.attach(scope.worker().sync_activator_for(info.address.to_vec()));
            (capability, listing)
        });
        // The slice that is being filled: emitted whole, so that an epoch never grows once begun.
        let mut slice = Vec::new();
        move |output| {
            while let Some((capability, listing)) = &mut state {
                let epoch = *capability.time();
                let awaited = epoch.checked_sub(slicing.in_flight);
                if listing.drain.load(Ordering::Acquire) {
                    state = None; // what is in the slice was never part of an epoch
                } else if awaited.is_some_and(|awaited| learnt.less_equal(&awaited)) {
                    return; // woken again when an epoch was learnt
                } else {
                    match fill(&mut slice, slicing.size, &listing.entries) {
                        Filled::Waiting => return, // woken again when an entry was sent
                        filled => {
                            let batches = slice
                                .drain(..)
                                .map(|entry: Entry| Batch::<Entry>::of(entry.sequence, [entry]));
                            output.session_with_builder(&*capability).give_iterator(batches);
                            capability.downgrade(&(epoch + 1));
                            if filled == Filled::Ended {
                                state = None;
                            }
                        }
                    }
                }
            }
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// The slice has its full size.
    Full,
    /// The listing has ended; the slice has what was left.
    Ended,
    /// More is to come.
    Waiting,
}

fn fill(slice: &mut Vec<Entry>, size: usize, entries: &Receiver<Entry>) -> Filled {
    while slice.len() < size {
        match entries.try_recv() {
            Ok(entry) => slice.push(entry),
            Err(TryRecvError::Empty) => return Filled::Waiting,
            Err(TryRecvError::Disconnected) => return Filled::Ended,
        }
    }
    Filled::Full
}
