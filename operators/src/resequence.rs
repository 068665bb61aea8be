//! The weir: gathers every worker's documents on the owner and lets each epoch through ascending by
//! sequence number, once the epoch is closed. Holds open epochs only.
//!
//! What comes after it is a pure function of catalogue order, bytes fetched and configuration:
//! never of the number of workers or the order of arrival.

use timely::{
    container::DrainContainer,
    dataflow::{channels::pact::ExchangeCore, operators::Operator},
};

use crate::{
    Batches,
    batch::{Batch, Builder},
    frontier::{Frontier, Stash},
    record::Words,
};

/// The stage.
pub trait Resequence<'scope> {
    /// Documents in catalogue order, all on worker number `owner`.
    fn resequence(self, owner: u64) -> Batches<'scope, Words>;
}

impl<'scope> Resequence<'scope> for Batches<'scope, Words> {
    fn resequence(self, owner: u64) -> Self {
        let to_owner = ExchangeCore::<Builder<Words>, _>::new(move |_: &Batch<Words>| owner);
        self.unary_frontier::<Builder<Words>, _, _, _>(to_owner, "Resequence", |_, _| {
            let mut waiting = Stash::<Vec<Batch<Words>>>::default();
            move |(input, frontier), output| {
                input.for_each(|capability, data| {
                    if let Some(kept) = capability.retain_least(output.output_index()) {
                        waiting.at(kept).extend(data.drain());
                    }
                });
                while let Some((capability, batches)) = waiting.closed(|e| frontier.is_closed(e)) {
                    output
                        .session_with_builder(&capability)
                        .give_iterator(in_catalogue_order(batches).into_iter());
                }
            }
        })
    }
}

/// The batches ascending by sequence number. Stages emit one document a batch.
fn in_catalogue_order(mut batches: Vec<Batch<Words>>) -> Vec<Batch<Words>> {
    batches.sort_by_cached_key(|batch| {
        batch.iter().next().expect("a document a batch").entry.sequence
    });
    batches
}
