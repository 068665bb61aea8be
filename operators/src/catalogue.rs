//! Emits the job's entries in catalogue order, cut into epochs, on the worker that has the listing.
//!
//! Epoch `first + n` holds entries `n · size` to `(n + 1) · size`: a pure function of the listing.
//! At most `in_flight` epochs are open between here and the learner, which is how backpressure
//! reaches the web: an epoch that the trainer has not learnt keeps further requests from being made.
//! The stream ends when the listing has ended and everything in it was learnt, or when the job is
//! asked to drain. So whatever is to be said once at the end (the last, smaller chunk) finds every
//! line's epoch closed, and has an epoch of its own, whatever the order of arrival.
//!
//! Lines that cannot be used, and entries that the library has withdrawn, are counted into epochs
//! like the others and come out as rejects: so they are accounted for at a commit, once.

pub mod aozora;
pub mod feed;
pub mod files;
pub mod links;
pub mod sitemap;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crossbeam_channel::{Receiver, TryRecvError};
use timely::dataflow::{
    ProbeHandle, Scope,
    operators::generic::{OutputBuilder, builder_rc::OperatorBuilder},
};

use crate::{
    Batches, Epoch,
    batch::{Batch, Builder},
    record::{Entry, Reject, RejectRow, Stage},
    steer::Rudder,
    wake::Waker,
};

/// How the catalogue is cut into epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slicing {
    /// The number of the first epoch: one past the last that is committed.
    pub first: Epoch,
    /// Lines in an epoch.
    pub size: usize,
    /// Epochs that may be open at once.
    pub in_flight: u64,
}

/// A line of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Something to read: new, or revised.
    Read(Entry),
    /// Something that cannot be read, and why.
    Unusable(Entry, String),
    /// Something that was read once and that the library has no more.
    Withdrawn(Entry),
}

/// Where the lines come from, and who tells this operator that there is something new.
#[derive(Clone)]
pub struct Listing {
    /// Lines in catalogue order, numbered in sequence; hanging up ends the catalogue.
    pub lines: Receiver<Line>,
    /// To be woken when a line is sent, when the sender hangs up, and when an epoch was learnt.
    pub waker: Waker,
    /// Set to end the stream before the listing ends.
    pub drain: Arc<AtomicBool>,
}

/// The entries to read, and what of the catalogue is not to be read. `listing` is `Some` on one
/// worker; `learnt` follows the learner; the rudder is asked before an epoch is opened.
pub fn catalogue<'scope>(
    scope: Scope<'scope, Epoch>,
    listing: Option<Listing>,
    slicing: Slicing,
    learnt: &ProbeHandle<Epoch>,
    rudder: Rudder,
) -> (Batches<'scope, Entry>, Batches<'scope, Reject>) {
    let learnt = learnt.clone();
    let mut builder = OperatorBuilder::new("Catalogue".to_owned(), scope);
    let (entries, entry_stream) = builder.new_output();
    let (rejects, reject_stream) = builder.new_output();
    let mut entries = OutputBuilder::<_, Builder<Entry>>::from(entries);
    let mut rejects = OutputBuilder::<_, Builder<Reject>>::from(rejects);
    let address = builder.operator_info().address;

    builder.build(move |mut capabilities| {
        capabilities.iter_mut().for_each(|capability| capability.downgrade(&slicing.first));
        // Gone once the catalogue has ended; never there on the other workers.
        let mut state = listing.map(|listing| {
            for waker in [&listing.waker, rudder.plan.waker()] {
                waker.attach(scope.worker().sync_activator_for(address.to_vec()));
            }
            (capabilities, listing)
        });
        // The slice that is being filled: emitted whole, so that an epoch never grows once begun.
        let mut slice = Vec::new();
        // The listing has ended: what is left to do is to wait until it was learnt.
        let mut listed = false;
        move |_| {
            let (mut entries, mut rejects) = (entries.activate(), rejects.activate());
            while let Some((capabilities, listing)) = &mut state {
                let epoch = *capabilities[0].time();
                let awaited = epoch.checked_sub(slicing.in_flight);
                if listing.drain.load(Ordering::Acquire) {
                    state = None; // what is in the slice was never part of an epoch
                } else if awaited.is_some_and(|awaited| learnt.less_equal(&awaited)) {
                    return; // woken again when an epoch was learnt
                } else if listed {
                    if epoch > 0 && learnt.less_equal(&(epoch - 1)) {
                        return; // woken again when an epoch was learnt
                    }
                    state = None;
                } else {
                    let filled = fill(&mut slice, slicing.size, &listing.lines);
                    if filled == Filled::Waiting {
                        return; // woken again when a line was sent
                    }
                    if slice.is_empty() {
                        listed = true;
                        continue; // there is no epoch without a line
                    }
                    if !rudder.open(epoch, &learnt, slicing.in_flight) {
                        return; // woken again when an order was given; the slice is kept
                    }
                    listed = filled == Filled::Ended;
                    let mut entries = entries.session_with_builder(&capabilities[0]);
                    let mut rejects = rejects.session_with_builder(&capabilities[1]);
                    for line in slice.drain(..) {
                        match line {
                            Line::Read(entry) => {
                                entries.give(Batch::<Entry>::of(entry.sequence, [entry]));
                            }
                            Line::Unusable(entry, reason) => {
                                rejects.give(reject(entry, Stage::Catalogue, &reason));
                            }
                            Line::Withdrawn(entry) => {
                                let reason = "the library has it no more";
                                rejects.give(reject(entry, Stage::Withdraw, reason));
                            }
                        }
                    }
                    drop((entries, rejects));
                    let next = epoch + 1;
                    capabilities.iter_mut().for_each(|capability| capability.downgrade(&next));
                }
            }
        }
    });
    (entry_stream, reject_stream)
}

fn reject(entry: Entry, stage: Stage, reason: &str) -> Batch<Reject> {
    Batch::of(entry.sequence, [RejectRow { entry, stage, reason }])
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

fn fill(slice: &mut Vec<Line>, size: usize, lines: &Receiver<Line>) -> Filled {
    while slice.len() < size {
        match lines.try_recv() {
            Ok(line) => slice.push(line),
            Err(TryRecvError::Empty) => return Filled::Waiting,
            Err(TryRecvError::Disconnected) => return Filled::Ended,
        }
    }
    Filled::Full
}
