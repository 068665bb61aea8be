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
    record::{Admitted, Reading, Words, WordsRow, encode_admitted},
    vocabulary::{Admission, DOCUMENT, SURFACES, Vocabulary},
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
                        session.give(read(batch, &mut vocabulary, &admission));
                    }
                });
            }
        })
    }
}

/// Reads one document into the vocabulary.
pub fn read(batch: Batch<Words>, vocabulary: &mut Vocabulary, admission: &Admission) -> Reading {
    let words = batch.iter().next().expect("a document a batch");
    let width = words.dimension();
    let known = vocabulary.len();
    let (mut ids, mut spelled) = (Vec::new(), 0);
    if !words.entry.held_out {
        let encoded = vocabulary.read(words.keys, words.surfaces.iter().flatten(), admission);
        (ids, spelled) = (encoded.ids, encoded.spelled);
        ids.push(DOCUMENT);
    }
    let admitted = describe(vocabulary, known, &words, width);
    drop(words);
    Reading { words: batch, ids: UInt32Array::from(ids), spelled, admitted }
}

/// The surfaces from the id `known` on.
fn describe(
    vocabulary: &Vocabulary,
    known: u32,
    words: &WordsRow<'_>,
    width: usize,
) -> arrow_array::RecordBatch {
    let new: Vec<&str> = vocabulary.surfaces().skip((known - SURFACES) as usize).collect();
    let parts: Vec<Vec<u32>> =
        new.iter().zip(known..).map(|(surface, id)| vocabulary.parts(surface, id)).collect();
    let key_of: std::collections::HashMap<&str, usize> = if new.is_empty() || width == 0 {
        Default::default()
    } else {
        words.surfaces.iter().flatten().zip(0..).collect()
    };
    encode_admitted(
        new.iter().zip(&parts).map(|(surface, parts)| Admitted {
            surface,
            parts,
            vector: key_of.get(surface).and_then(|key| words.vector(*key)),
        }),
        width,
    )
}
