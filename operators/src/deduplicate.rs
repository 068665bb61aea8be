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
