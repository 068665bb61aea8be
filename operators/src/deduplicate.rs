//! Of documents with equal text, lets the first in catalogue order pass; the others come out as
//! rejects that name it.
//!
//! A document waits until its epoch is closed, because an earlier one with the same text may still
//! be on its way. Fingerprints are kept by differential dataflow, spread over the workers by
//! fingerprint; the documents themselves stay on the worker that read them.

use std::collections::HashMap;

use differential_dataflow::AsCollection;
use timely::{
    container::{CapacityContainerBuilder, DrainContainer},
    dataflow::{
        Stream,
        channels::pact::{Exchange, Pipeline},
        operators::{
            Operator,
            generic::{OutputBuilder, builder_rc::OperatorBuilder},
            vec::ToStream,
        },
    },
};

use crate::{
    Batches, Epoch,
    batch::{Batch, Builder},
    frontier::{Frontier, Stash},
    record::{Document, Reject, RejectRow, Stage},
};

/// Where a document lies: its place in the catalogue, and the worker that read it.
type Place = (u64, u64);

/// A document that must not pass: where it lies, and which document has its text already.
type Duplicate = (Place, u64);

/// The stage.
pub trait Deduplicate<'scope> {
    /// The documents that pass, and the others. `known` are the fingerprints of documents that
    /// earlier runs let pass, with their sequence numbers: given on one worker, empty on the others.
    fn deduplicate(
        self,
        known: Vec<(u128, u64)>,
    ) -> (Batches<'scope, Document>, Batches<'scope, Reject>);
}

impl<'scope> Deduplicate<'scope> for Batches<'scope, Document> {
    fn deduplicate(self, known: Vec<(u128, u64)>) -> (Self, Batches<'scope, Reject>) {
        let duplicates = duplicates(self.clone(), known);
        split(self, duplicates)
    }
}

fn duplicates<'scope>(
    documents: Batches<'scope, Document>,
    known: Vec<(u128, u64)>,
) -> Stream<'scope, Epoch, Vec<(Duplicate, Epoch, isize)>> {
    let scope = documents.scope();
    let home = scope.worker().index() as u64;
    let fingerprints = documents
        .unary::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Fingerprint", move |_, _| {
            move |input, output| {
                input.for_each_stamp(|capability, data| {
                    let Some(&epoch) = capability.least() else { return };
                    let mut session = output.session(&capability);
                    for batch in data.flat_map(DrainContainer::drain) {
                        session.give_iterator(batch.iter().map(|document| {
                            let place = (document.entry.sequence, home);
                            ((document.fingerprint, place), epoch, 1)
                        }));
                    }
                });
            }
        })
        .as_collection();
    let known = known
        .into_iter()
        .map(|(fingerprint, sequence)| ((fingerprint, (sequence, 0)), 0, 1))
        .to_stream(scope)
        .as_collection();
    known
        .concat(fingerprints)
        .reduce(|_fingerprint, places: &[(&Place, isize)], duplicates| {
            // Differential gives the places sorted, so the first is the first of the catalogue.
            let ((first, _), _) = places[0];
            duplicates.extend(places[1..].iter().map(|(place, _)| ((**place, *first), 1)));
        })
        .map(|(_fingerprint, duplicate): (u128, Duplicate)| duplicate)
        .inner
}

fn split<'scope>(
    documents: Batches<'scope, Document>,
    duplicates: Stream<'scope, Epoch, Vec<(Duplicate, Epoch, isize)>>,
) -> (Batches<'scope, Document>, Batches<'scope, Reject>) {
    let mut builder = OperatorBuilder::new("Deduplicate".to_owned(), documents.scope());
    let mut documents = builder.new_input(documents, Pipeline);
    let to_its_home = Exchange::new(|((place, _), _, _): &(Duplicate, Epoch, isize)| place.1);
    let mut duplicates = builder.new_input(duplicates, to_its_home);
    let (passed, passed_stream) = builder.new_output();
    let (rejected, rejected_stream) = builder.new_output();
    let mut passed = OutputBuilder::<_, Builder<Document>>::from(passed);
    let mut rejected = OutputBuilder::<_, Builder<Reject>>::from(rejected);

    builder.build(move |_| {
        // Documents of open epochs, under one capability for each output.
        let mut waiting = Stash::<Vec<Batch<Document>>>::default();
        let mut reject_capabilities = Stash::<()>::default();
        // By sequence number: duplicates of open epochs, and who was first.
        let mut first_of = HashMap::new();
        move |frontiers| {
            documents.for_each(|capability, data| {
                let (Some(pass), Some(reject)) =
                    (capability.retain_least(0), capability.retain_least(1))
                else {
                    return;
                };
                waiting.at(pass).extend(data.drain());
                reject_capabilities.at(reject);
            });
            duplicates.for_each(|_, data| {
                for ((place, first), _, difference) in data.drain(..) {
                    // A retraction means that the first one was withdrawn: the text was learnt
                    // once all the same, and a text that has passed cannot be called back.
                    if difference > 0 {
                        first_of.insert(place.0, first);
                    }
                }
            });
            let is_closed = |epoch| frontiers.iter().all(|frontier| frontier.is_closed(epoch));
            let (mut passed, mut rejected) = (passed.activate(), rejected.activate());
            while let Some((pass, batches)) = waiting.closed(is_closed) {
                let (reject, ()) = reject_capabilities
                    .closed(is_closed)
                    .expect("both capabilities were kept for each epoch");
                let mut passed = passed.session_with_builder(&pass);
                let mut rejected = rejected.session_with_builder(&reject);
                for batch in batches {
                    let entry = batch.iter().next().expect("a document a batch").entry;
                    match first_of.remove(&entry.sequence) {
                        None => passed.give(batch),
                        Some(first) => {
                            let reason = format!("has the same text as entry number {first}");
                            let stage = Stage::Deduplicate;
                            let row = RejectRow { entry, stage, reason: &reason };
                            rejected.give(Batch::<Reject>::of(batch.route, [row]));
                        }
                    }
                }
            }
        }
    });
    (passed_stream, rejected_stream)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use timely::dataflow::operators::{Inspect, core::Input};

    use super::*;
    use crate::record::{DocumentRow, Entry};

    fn document(sequence: u64, text: &str) -> Batch<Document> {
        let row = DocumentRow {
            entry: Entry { sequence, ..Entry::default() },
            content: [0; 32],
            // Any function of the text serves: equal texts, equal fingerprints.
            fingerprint: text.bytes().fold(7, |sum, byte| sum * 256 + u128::from(byte)),
            characters: text.chars().count() as u64,
            text,
        };
        Batch::of(0, [row])
    }

    /// What passes and what does not, when epochs of documents arrive on some workers, each worker
    /// getting every n-th of them, in the order given.
    fn outcome(
        workers: usize,
        epochs: &'static [&'static [(u64, &'static str)]],
        known: &'static [(&'static str, u64)],
    ) -> (Vec<u64>, Vec<(u64, String)>) {
        let (told, hear) = mpsc::channel();
        let told = std::sync::Mutex::new(told);
        let guards = timely::execute(timely::Config::process(workers), move |worker| {
            let (index, peers) = (worker.index(), worker.peers());
            let told = told.lock().expect("no worker fails").clone();
            let mut input = worker.dataflow(|scope| {
                let (input, documents) = scope.new_input_with_builder::<Builder<Document>>();
                let known = if index == 0 { known } else { &[] };
                let fingerprint = |text| document(0, text).iter().next().map(|d| d.fingerprint);
                let known = known
                    .iter()
                    .map(|(text, sequence)| (fingerprint(text).expect("one document"), *sequence));
                let (passed, rejected) = documents.deduplicate(known.collect());
                let tell = told.clone();
                passed.inspect_core(move |event| {
                    let Ok((_, container)) = event else { return };
                    for batch in container.batches() {
                        for document in batch.iter() {
                            let _ = tell.send((document.entry.sequence, None));
                        }
                    }
                });
                rejected.inspect_core(move |event| {
                    let Ok((_, container)) = event else { return };
                    for batch in container.batches() {
                        for reject in batch.iter() {
                            let reason = Some(reject.reason.to_owned());
                            let _ = told.send((reject.entry.sequence, reason));
                        }
                    }
                });
                input
            });
            for (epoch, documents) in epochs.iter().enumerate() {
                for (place, (sequence, text)) in documents.iter().enumerate() {
                    if place % peers == index {
                        input.send(document(*sequence, text));
                    }
                }
                input.advance_to(epoch as u64 + 1);
            }
        });
        drop(guards.expect("workers can be started").join());
        let (mut passed, mut rejected) = (Vec::new(), Vec::new());
        for (sequence, reason) in hear {
            match reason {
                None => passed.push(sequence),
                Some(reason) => rejected.push((sequence, reason)),
            }
        }
        passed.sort_unstable();
        rejected.sort();
        (passed, rejected)
    }

    #[test]
    fn the_first_in_catalogue_order_passes_whatever_the_order_of_arrival() {
        // 5 arrives before 3, which has the same text and comes first in the catalogue.
        const EPOCHS: &[&[(u64, &str)]] =
            &[&[(5, "川"), (4, "山"), (3, "川"), (6, "雨")], &[(8, "山"), (9, "雪"), (7, "川")]];
        for workers in 1..=3 {
            let (passed, rejected) = outcome(workers, EPOCHS, &[]);
            assert_eq!(passed, [3, 4, 6, 9], "{workers} workers");
            let same = |first| format!("has the same text as entry number {first}");
            assert_eq!(rejected, [(5, same(3)), (7, same(3)), (8, same(4))], "{workers} workers");
        }
    }

    #[test]
    fn what_passed_in_an_earlier_run_is_known() {
        const EPOCHS: &[&[(u64, &str)]] = &[&[(10, "川"), (11, "雪")]];
        let (passed, rejected) = outcome(2, EPOCHS, &[("川", 2)]);
        assert_eq!(passed, [11]);
        assert_eq!(rejected, [(10, "has the same text as entry number 2".to_owned())]);
    }
}
