//! Sends each entry to the worker that the routing table names for its epoch; where a job has several
//! processes, by way of the one process that asks the entry's site.
//!
//! The table is data: which workers get work *from an epoch on*. It changes while the job runs, but
//! only for epochs that are not open yet, and lies where entries are stamped: with the owner, before
//! the exchange. Every stage up to the weir stays on the worker that an entry was sent to. The one
//! exchange between them, that of `deduplicate`, sends fingerprints by their hash to all workers that
//! were started, in use or not: some bytes a document, and nothing moves when the table changes.
//!
//! Between processes an entry has two workers: one that fetches it, in the process that [`Sites`]
//! names, and the table's, to which its page travels and which reads it.

mod sites;

use timely::dataflow::{
    channels::pact::{ExchangeCore, Pipeline},
    operators::Operator,
};

pub use sites::Sites;

use crate::{
    Batches, Epoch,
    batch::{Batch, Builder},
    record::{Entry, Record},
    steer::Plan,
};

/// Which workers get work, from an epoch on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    // Ascending by epoch; the first rule holds from the beginning.
    rules: Vec<(Epoch, u64)>,
}

impl Routing {
    /// `workers` of them from the beginning on, at least one.
    pub fn to(workers: usize) -> Self {
        Self { rules: vec![(0, workers.max(1) as u64)] }
    }

    /// From `epoch` on, `workers` of them instead. Earlier epochs keep what they had.
    #[must_use]
    pub fn from(mut self, epoch: Epoch, workers: usize) -> Self {
        self.rules.retain(|(from, _)| *from < epoch || *from == 0);
        self.rules.push((epoch, workers.max(1) as u64));
        self
    }

    /// The worker for the entry numbered `sequence`.
    pub fn worker(&self, epoch: Epoch, sequence: u64) -> u64 {
        sequence % self.workers(epoch) as u64
    }

    /// How many workers get work in `epoch`.
    pub fn workers(&self, epoch: Epoch) -> usize {
        let rule = self.rules.iter().rfind(|(from, _)| *from <= epoch);
        rule.expect("the first rule holds from the beginning").1 as usize
    }
}

/// The stage.
pub trait Route<'scope> {
    /// Sends each entry to its worker, by the plan's table; or to the one that fetches it.
    fn route(self, plan: Plan, sites: &Sites) -> Batches<'scope, Entry>;
}

// A batch's route names both workers: the one that fetches above, the one that reads below.
const FETCHES: u32 = 32;
const READS: u64 = (1 << FETCHES) - 1;

impl<'scope> Route<'scope> for Batches<'scope, Entry> {
    fn route(self, plan: Plan, sites: &Sites) -> Self {
        let sites = sites.clone();
        // An exchange sees the record but never its epoch: so stamp first, then exchange.
        self.unary::<Builder<Entry>, _, _, _>(Pipeline, "Stamp", move |_, _| {
            move |input, output| {
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else { return };
                    let mut session = output.session_with_builder(&capability);
                    for mut batch in data.flat_map(timely::container::DrainContainer::drain) {
                        let entry = batch.iter().next().expect("the catalogue gives one a batch");
                        let reads = plan.worker(epoch, entry.sequence);
                        batch.route = sites.fetcher(&entry.url, reads) << FETCHES | reads;
                        session.give(batch);
                    }
                });
            }
        })
        .unary::<Builder<Entry>, _, _, _>(
            ExchangeCore::<Builder<Entry>, _>::new(|batch: &Batch<Entry>| batch.route >> FETCHES),
            "Route",
            |_, _| {
                |input, output| {
                    input.for_each_stamp(|capability, data| {
                        output.session_with_builder(&capability).give_containers(data);
                    });
                }
            },
        )
    }
}

/// Sends on what was fetched elsewhere than where it is to be read.
pub trait ToReaders {
    /// Each batch on the worker that the table names. In a job of one process it is there already.
    #[must_use]
    fn to_readers(self, sites: &Sites) -> Self;
}

impl<R: Record> ToReaders for Batches<'_, R> {
    fn to_readers(self, sites: &Sites) -> Self {
        if !sites.are_shared_out() {
            return self;
        }
        let to_reader = ExchangeCore::<Builder<R>, _>::new(|batch: &Batch<R>| batch.route & READS);
        self.unary::<Builder<R>, _, _, _>(to_reader, "ToReaders", |_, _| {
            |input, output| {
                input.for_each_stamp(|capability, data| {
                    output.session_with_builder(&capability).give_containers(data);
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Routing;

    #[test]
    fn a_rule_holds_from_its_epoch_on() {
        let routing = Routing::to(2).from(5, 3);
        assert_eq!((0..6).map(|n| routing.worker(4, n)).collect::<Vec<_>>(), [0, 1, 0, 1, 0, 1]);
        assert_eq!((0..6).map(|n| routing.worker(5, n)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_later_rule_replaces_those_it_overtakes() {
        let routing = Routing::to(4).from(9, 2).from(7, 1);
        assert_eq!([6, 7, 9].map(|epoch| routing.worker(epoch, 3)), [3, 0, 0]);
    }
}
