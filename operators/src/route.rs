//! Sends each entry to the worker that the routing table names for its epoch; where a job has several
//! processes, by way of the one process that asks the entry's site. A page that has come is read by
//! whoever has least to read, of those that the table gives work in that process.
//!
//! The table is data: which workers get work *from an epoch on*. It changes while the job runs, but
//! only for epochs that are not open yet, and lies where entries are stamped: with the owner, before
//! the exchange. From where a page is read, every stage up to the weir stays on that worker. The one
//! exchange between them, that of `deduplicate`, sends fingerprints by their hash to all workers that
//! were started, in use or not: some bytes a document, and nothing moves when the table changes. Which
//! worker reads a page changes nothing of what comes out: after the weir nobody can tell.
//!
//! Between processes an entry has two workers: one that fetches it, in the process that [`Sites`]
//! names, and the table's, to which its page travels.

mod loads;
mod sites;

use timely::{
    container::DrainContainer,
    dataflow::{
        ProbeHandle,
        channels::pact::{ExchangeCore, Pipeline},
        operators::{Inspect, Operator},
    },
};

pub use loads::Loads;
pub use sites::Sites;

use crate::{
    Batches, Epoch,
    batch::{Batch, Builder},
    record::{Entry, Page, Record, Words},
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

/// What an entry's route says, and then its page's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    /// The worker that fetches.
    fetches: u64,
    /// The worker whose turn it is to read.
    reads: u64,
    /// So many workers get work.
    among: u64,
}

impl Way {
    /// Of the 64 bits of a route, so many for each part: two million workers.
    const BITS: u32 = 21;

    fn packed(self) -> u64 {
        self.fetches << (2 * Self::BITS) | self.reads << Self::BITS | self.among
    }

    fn of(route: u64) -> Self {
        let part = |at: u32| route >> (at * Self::BITS) & ((1 << Self::BITS) - 1);
        Self { fetches: part(2), reads: part(1), among: part(0) }
    }
}

impl<'scope> Route<'scope> for Batches<'scope, Entry> {
    fn route(self, plan: Plan, sites: &Sites) -> Self {
        let sites = sites.clone();
        // An exchange sees the record but never its epoch: so stamp first, then exchange.
        let stamped = self.unary::<Builder<Entry>, _, _, _>(Pipeline, "Stamp", move |_, _| {
            move |input, output| {
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else { return };
                    let mut session = output.session_with_builder(&capability);
                    for mut batch in data.flat_map(DrainContainer::drain) {
                        let entry = batch.iter().next().expect("the catalogue gives one a batch");
                        let (reads, among) = plan.worker(epoch, entry.sequence);
                        let fetches = sites.fetcher(&entry.url, reads);
                        batch.route = Way { fetches, reads, among }.packed();
                        session.give(batch);
                    }
                });
            }
        });
        sent(stamped, "Route", |batch| Way::of(batch.route).fetches)
    }
}

/// Each batch on the worker that `to` says.
fn sent<'scope, R: Record>(
    batches: Batches<'scope, R>,
    name: &str,
    to: impl Fn(&Batch<R>) -> u64 + 'static,
) -> Batches<'scope, R> {
    let to = ExchangeCore::<Builder<R>, _>::new(to);
    batches.unary::<Builder<R>, _, _, _>(to, name, |_, _| {
        |input, output| {
            input.for_each_stamp(|capability, data| {
                output.session_with_builder(&capability).give_containers(data);
            });
        }
    })
}

/// Sends pages to where they are read.
pub trait ToReaders {
    /// Each page on the worker that reads it. `gathered` follows the weir.
    #[must_use]
    fn to_readers(self, loads: &Loads, gathered: &ProbeHandle<Epoch>) -> Self;
}

impl ToReaders for Batches<'_, Page> {
    fn to_readers(self, loads: &Loads, gathered: &ProbeHandle<Epoch>) -> Self {
        if self.scope().peers() == 1 {
            return self;
        }
        let (loads, gathered) = (loads.clone(), gathered.clone());
        let shared = self.unary::<Builder<Page>, _, _, _>(Pipeline, "Share", move |_, _| {
            move |input, output| {
                loads.close(gathered.with_frontier(|frontier| frontier.first().copied()));
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else { return };
                    let mut session = output.session_with_builder(&capability);
                    for mut batch in data.flat_map(DrainContainer::drain) {
                        let page = batch.iter().next().expect("fetching gives one a batch");
                        let Way { reads, among, .. } = Way::of(batch.route);
                        let (number, bytes) = (page.entry.sequence, page.body.len() as u64);
                        batch.route = loads.give((epoch, number), bytes, reads, among);
                        session.give(batch);
                    }
                });
            }
        });
        sent(shared, "ToReaders", |batch| batch.route)
    }
}

/// Takes what was read off a worker's load.
pub trait Relieve {
    /// The same words.
    #[must_use]
    fn relieve(self, loads: &Loads) -> Self;
}

impl Relieve for Batches<'_, Words> {
    fn relieve(self, loads: &Loads) -> Self {
        let loads = loads.clone();
        self.inspect_core(move |event| {
            let batches = event.ok().map(|(_, container)| container.batches());
            for words in batches.into_iter().flatten().flat_map(Batch::iter) {
                loads.read(words.entry.sequence);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Routing, Way};

    #[test]
    fn a_way_is_packed_and_unpacked() {
        let most = (1 << Way::BITS) - 1;
        for way in
            [Way { fetches: 3, reads: 7, among: 9 }, Way { fetches: most, reads: 0, among: most }]
        {
            assert_eq!(Way::of(way.packed()), way);
        }
    }

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
