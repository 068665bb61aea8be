//! Emits the job's entries in catalogue order, cut into epochs, on the worker that has the listing.
//!
//! What an epoch holds is drawn by the listing ([`mixture`]), whole and once, when it is opened. At
//! most `in_flight` epochs are open between here and the learner, which is how backpressure reaches
//! the web: an epoch that the trainer has not learnt keeps further requests from being made. The
//! stream ends when the listing has ended and everything in it was learnt, or when the job is
//! asked to drain. So whatever is to be said once at the end (the last, smaller chunk) finds every
//! line's epoch closed, and has an epoch of its own, whatever the order of arrival.
//!
//! Lines that cannot be used, and entries that the library has withdrawn, are counted into epochs
//! like the others and come out as rejects: so they are accounted for at a commit, once.

pub mod aozora;
pub mod feed;
pub mod files;
pub mod links;
pub mod mixture;
pub mod sitemap;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde::{Deserialize, Serialize};
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
use mixture::Drawn;

/// How the catalogue is cut into epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slicing {
    /// The number of the first epoch: one past the last that is committed.
    pub first: Epoch,
    /// Epochs that may be open at once.
    pub in_flight: u64,
}

/// A line of the listing. Its entry is shared with whoever remembers what was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Something to read: new, or revised.
    Read(Arc<Entry>),
    /// Something that cannot be read, and why.
    Unusable(Arc<Entry>, String),
    /// Something that was read once and that the library has no more.
    Withdrawn(Arc<Entry>),
}

impl Line {
    /// The entry that the line is about.
    pub fn entry(&self) -> &Entry {
        match self {
            Self::Read(entry) | Self::Unusable(entry, _) | Self::Withdrawn(entry) => entry,
        }
    }

    /// The same line at this place of the catalogue.
    #[must_use]
    pub fn numbered(mut self, sequence: u64) -> Self {
        match &mut self {
            Self::Read(entry) | Self::Unusable(entry, _) | Self::Withdrawn(entry) => {
                Arc::make_mut(entry).sequence = sequence;
            }
        }
        self
    }
}

/// Draws the lines of an epoch.
pub trait Draw: Send {
    /// The lines of `epoch`, numbered in sequence. Asked in the order of epochs; each is drawn once.
    /// `idle` says that everything before was learnt: then what has [`Drawn::Ended`] ends the
    /// catalogue, and is not asked again.
    fn draw(&mut self, epoch: Epoch, idle: bool) -> Drawn<Line>;
}

/// Where the lines come from, and who tells this operator that there is something new.
pub struct Listing {
    /// Gives the lines in catalogue order.
    pub draw: Box<dyn Draw>,
    /// To be woken when there may be more to draw, and when an epoch was learnt.
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
        // A slice that may not be opened yet, because the job is paused.
        let mut kept = None;
        move |_| {
            let (mut entries, mut rejects) = (entries.activate(), rejects.activate());
            while let Some((capabilities, listing)) = &mut state {
                let epoch = *capabilities[0].time();
                let is_learnt = |epoch| !learnt.less_equal(&epoch);
                let awaited = epoch.checked_sub(slicing.in_flight);
                if listing.drain.load(Ordering::Acquire) {
                    state = None;
                } else if awaited.is_some_and(|awaited| !is_learnt(awaited)) {
                    return; // woken again when an epoch was learnt
                } else {
                    let idle = epoch.checked_sub(1).is_none_or(is_learnt);
                    let next = match kept.take() {
                        Some(slice) => Drawn::Slice(slice),
                        None => listing.draw.draw(epoch, idle),
                    };
                    let slice = match next {
                        Drawn::Slice(slice) => slice,
                        Drawn::Later(later) => {
                            capabilities.iter_mut().for_each(|capability| {
                                capability.downgrade(&later);
                            });
                            continue;
                        }
                        Drawn::Ended if idle => {
                            state = None;
                            continue;
                        }
                        // Woken again when there is more to draw, or an epoch was learnt.
                        Drawn::Ended | Drawn::Waiting => return,
                    };
                    if !rudder.open(epoch, &learnt, slicing.in_flight) {
                        kept = Some(slice);
                        return; // woken again when an order was given
                    }
                    let mut entries = entries.session_with_builder(&capabilities[0]);
                    let mut rejects = rejects.session_with_builder(&capabilities[1]);
                    for line in slice {
                        match line {
                            Line::Read(entry) => {
                                let entry = Arc::unwrap_or_clone(entry);
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

fn reject(entry: Arc<Entry>, stage: Stage, reason: &str) -> Batch<Reject> {
    let entry = Arc::unwrap_or_clone(entry);
    Batch::of(entry.sequence, [RejectRow { entry, stage, reason }])
}
