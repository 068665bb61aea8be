//! Gives words their ids, in catalogue order, and writes each document in ids.
//!
//! Follows the weir, so ids are the same for every number of workers. A held-out document is passed
//! on unread: its words are neither counted nor admitted.

use arrow_array::UInt32Array;
use timely::{
    container::{CapacityContainerBuilder, DrainContainer},
    dataflow::{Stream, channels::pact::Pipeline, operators::Operator},
};

use crate::{
    Batches, Epoch,
    batch::Batch,
    record::{Reading, Words, encode_admitted},
    vocabulary::{Admission, DOCUMENT, Encoded, Vocabulary},
};

/// The stage.
pub trait Admit<'scope> {
    /// Documents in ids. `vocabulary` is what the run had learnt before; it grows from here on.
    fn admit(
        self,
        vocabulary: Vocabulary,
        admission: Admission,
    ) -> Stream<'scope, Epoch, Vec<Reading>>;
}

impl<'scope> Admit<'scope> for Batches<'scope, Words> {
    fn admit(
        self,
        mut vocabulary: Vocabulary,
        admission: Admission,
    ) -> Stream<'scope, Epoch, Vec<Reading>> {
        self.unary::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Admit", move |_, _| {
            move |input, output| {
                // Not grouped by stamp: messages of one worker arrive in the order it sent them.
                input.for_each(|capability, data| {
                    let mut session = output.session(&capability);
                    for batch in data.drain() {
                        session.give(read(&batch, &mut vocabulary, &admission));
                    }
                });
            }
        })
    }
}

/// Reads one document into the vocabulary.
pub fn read(batch: &Batch<Words>, vocabulary: &mut Vocabulary, admission: &Admission) -> Reading {
    let words = batch.iter().next().expect("a document a batch");
    let known = vocabulary.len();
    let mut encoded = Encoded::default();
    if !words.entry.held_out {
        encoded = vocabulary.read(words.keys, words.distinct(), admission);
        encoded.ids.push(DOCUMENT);
    }
    let Encoded { ids, spelled, admitted: new, counted } = encoded;
    let surfaces = vocabulary.surfaces_from(known).zip(known..);
    let admitted = encode_admitted(
        surfaces.map(|(surface, id)| (surface, vocabulary.parts(surface, id))),
        words.rows(new.into_iter()),
    );
    // The dictionary's numbers have served: what comes after keeps words for long, and writes them down.
    let batch = Batch::from_rows(batch.route, Words::without_numbers(batch.rows()));
    Reading { words: batch, ids: UInt32Array::from(ids), spelled, admitted, counted }
}
