//! What flows after the weir: documents in ids, and the chunks cut from them.
//!
//! These never leave the owner's worker, so they travel as values that hold Arrow arrays.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array, FixedSizeListArray, Float32Array, ListArray, RecordBatch, StringArray, UInt32Array,
    builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, UInt32Builder},
    cast::AsArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{Reject, Words, columns::column};
use crate::{Epoch, batch::Batch};

/// A document as the model reads it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The document's words: what it was made from, with its lineage.
    pub words: Batch<Words>,
    /// The document in ids, with [`crate::vocabulary::DOCUMENT`] at its end. Empty if it is held
    /// out: such a document is written in ids when it is scored, by the vocabulary of that day.
    pub ids: UInt32Array,
    /// How many of its words had to be spelled.
    pub spelled: u64,
    /// The surfaces that entered the vocabulary with it, in the order of their ids.
    pub admitted: RecordBatch,
}

/// Words that are trained on together, as they arrive.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Counted from 0 over the whole life of a run.
    pub number: u64,
    /// The words: one column of ids, never null.
    pub words: RecordBatch,
    /// How many ids the vocabulary had when the chunk was cut: the model needs as many rows.
    pub vocabulary: u32,
}

/// What the sink hands to the learner, in order.
#[derive(Clone, Debug)]
pub enum Lesson {
    /// A document passed the weir. Its words come in a chunk, later or next.
    Read(Reading),
    /// Train on this.
    Chunk(Chunk),
    /// Everything of this epoch and those before it has been handed over; what was rejected of it.
    Closed(Epoch, Vec<Batch<Reject>>),
    /// The stream has ended and every lesson was learnt. A sink that hangs up without a word was
    /// stopped, wherever it was.
    Ended,
}

impl Chunk {
    /// The chunk of these ids.
    pub fn new(number: u64, ids: UInt32Array, vocabulary: u32) -> Self {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            Arc::new(Schema::new(vec![Field::new("id", DataType::UInt32, false)]))
        });
        let words = RecordBatch::try_new(Arc::clone(&SCHEMA), vec![Arc::new(ids)]);
        Self { number, words: words.expect("ids are never null"), vocabulary }
    }

    /// The ids.
    pub fn ids(&self) -> &[u32] {
        column::<UInt32Array>(&self.words, "id").values()
    }
}

/// One surface that enters the vocabulary, and what its row in the model may start from.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted<'a> {
    /// The surface.
    pub surface: &'a str,
    /// The ids of its characters, or of its bytes if it is a character.
    pub parts: &'a [u32],
    /// Its pretrained vector, if the vectors have one.
    pub vector: Option<&'a [f32]>,
}

/// Writes admitted surfaces into a batch; `width` is the dimension of the vectors, 0 without any.
pub fn encode_admitted<'a>(
    admitted: impl IntoIterator<Item = Admitted<'a>>,
    width: usize,
) -> RecordBatch {
    let mut surfaces = Vec::new();
    let mut parts = ListBuilder::new(UInt32Builder::new());
    // Arrow cannot tell how many lists of width 0 there are.
    let width = width.max(1);
    let width_of_list = i32::try_from(width).expect("vectors have a few hundred dimensions");
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), width_of_list);
    for word in admitted {
        surfaces.push(word.surface);
        parts.values().append_slice(word.parts);
        parts.append(true);
        match word.vector {
            Some(vector) => vectors.values().append_slice(vector),
            None => vectors.values().append_nulls(width),
        }
        vectors.append(word.vector.is_some());
    }
    RecordBatch::try_from_iter_with_nullable([
        ("surface", Arc::new(StringArray::from_iter_values(surfaces)) as _, false),
        ("parts", Arc::new(parts.finish()) as _, false),
        ("vector", Arc::new(vectors.finish()) as _, true),
    ])
    .expect("columns of equal length")
}

/// Reads what [`encode_admitted`] wrote.
pub fn admitted(batch: &RecordBatch) -> impl Iterator<Item = Admitted<'_>> {
    let surfaces = column::<StringArray>(batch, "surface");
    let parts = column::<ListArray>(batch, "parts");
    let ids: &UInt32Array = parts.values().as_primitive();
    let vectors = column::<FixedSizeListArray>(batch, "vector");
    let values: &Float32Array = vectors.values().as_primitive();
    let width = vectors.value_length() as usize;
    (0..batch.num_rows()).map(move |row| {
        let (start, end) = (parts.value_offsets()[row], parts.value_offsets()[row + 1]);
        let from = vectors.value_offset_at(row);
        Admitted {
            surface: surfaces.value(row),
            parts: &ids.values()[start as usize..end as usize],
            vector: vectors.is_valid(row).then(|| &values.values()[from..from + width]),
        }
    })
}
