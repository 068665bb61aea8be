//! What flows after the weir: documents in ids, and the chunks cut from them.
//!
//! These never leave the owner's worker, so they travel as values that hold Arrow arrays.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array, ArrayRef, ListArray, RecordBatch, StringArray, UInt32Array,
    builder::{ListBuilder, UInt32Builder},
    cast::AsArray,
    new_null_array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{
    Reject, Rows, Words,
    columns::column,
    rows::{vector_at, written_out},
};
use crate::{
    Epoch,
    batch::Batch,
    vocabulary::{Counted, Vocabulary},
};

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
    /// How each of its distinct words was counted. Empty if it is held out.
    pub counted: Vec<Counted>,
}

impl Reading {
    /// Has `vocabulary`, which knew what came before, know this too.
    pub fn enter(&self, vocabulary: &mut Vocabulary) {
        for words in self.words.iter().filter(|words| !words.entry.held_out) {
            let surfaces = words.surfaces.iter().flatten();
            let admitted = admitted(&self.admitted).map(|word| word.surface);
            vocabulary.follow(surfaces, &self.counted, admitted);
        }
    }
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

/// Writes surfaces, each with the ids of its parts, and where there are any their vectors into a batch.
pub fn encode_admitted<'a>(
    admitted: impl IntoIterator<Item = (&'a str, Vec<u32>)>,
    vectors: Option<Rows>,
) -> RecordBatch {
    let (mut surfaces, mut parts) = (Vec::new(), ListBuilder::new(UInt32Builder::new()));
    for (surface, ids) in admitted {
        surfaces.push(surface);
        parts.values().append_slice(&ids);
        parts.append(true);
    }
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("surface", Arc::new(StringArray::from_iter_values(surfaces)), false),
        ("parts", Arc::new(parts.finish()), false),
    ];
    columns.extend(vectors.map(|rows| ("vector", Arc::new(rows) as ArrayRef, true)));
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of equal length")
}

/// Reads what [`encode_admitted`] wrote.
pub fn admitted(batch: &RecordBatch) -> impl Iterator<Item = Admitted<'_>> {
    let surfaces = column::<StringArray>(batch, "surface");
    let parts = column::<ListArray>(batch, "parts");
    let ids: &UInt32Array = parts.values().as_primitive();
    let vectors = rows(batch);
    (0..batch.num_rows()).map(move |row| {
        let (start, end) = (parts.value_offsets()[row], parts.value_offsets()[row + 1]);
        Admitted {
            surface: surfaces.value(row),
            parts: &ids.values()[start as usize..end as usize],
            vector: vectors.and_then(|rows| vector_at(rows, row)),
        }
    })
}

/// The batch as a checkpoint keeps it: each vector as a list of numbers, so that it needs no table.
pub fn admitted_to_keep(batch: &RecordBatch) -> RecordBatch {
    let vectors = match rows(batch) {
        Some(rows) => written_out(rows),
        None => {
            // Arrow cannot tell how many lists of width 0 there are.
            let item = Arc::new(Field::new_list_field(DataType::Float32, true));
            new_null_array(&DataType::FixedSizeList(item, 1), batch.num_rows())
        }
    };
    with_vectors(batch, vectors)
}

/// What [`admitted_to_keep`] made, as [`encode_admitted`] makes it; nothing if it is something else.
pub fn admitted_kept(batch: &RecordBatch) -> Option<RecordBatch> {
    let vectors = batch.column_by_name("vector")?.as_fixed_size_list_opt()?;
    let rows = (0..vectors.len() as u32).map(|row| vectors.is_valid(row as usize).then_some(row));
    let rows = Rows::new(rows.collect(), Arc::new(vectors.clone()));
    batch.column_by_name("parts").zip(batch.column_by_name("surface"))?;
    Some(with_vectors(batch, Arc::new(rows)))
}

fn rows(batch: &RecordBatch) -> Option<&Rows> {
    batch.column_by_name("vector").map(|rows| rows.as_dictionary())
}

fn with_vectors(batch: &RecordBatch, vectors: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        ("surface", Arc::clone(&batch["surface"]), false),
        ("parts", Arc::clone(&batch["parts"]), false),
        ("vector", vectors, true),
    ])
    .expect("columns of equal length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analyzer::{Memo, Word},
        vectors::{Format, Vectors},
    };

    #[test]
    fn what_is_kept_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vectors.txt");
        std::fs::write(&file, "雨 1 2\n。 -3 0.5\n").unwrap();
        let vectors = Vectors::open(&file, Format::Glove).unwrap();
        let words = || [("。", vec![7]), ("雪", vec![]), ("雨", vec![1, 2])];
        let distinct = words().map(|(surface, _)| Word::from(surface)).into_iter();
        for rows in [None, Some(vectors.rows(distinct, &mut Memo::default()))] {
            let batch = encode_admitted(words(), rows.clone());
            let kept = admitted_kept(&admitted_to_keep(&batch)).unwrap();
            assert!(admitted(&kept).eq(admitted(&batch)));
            let vectors: Vec<_> =
                admitted(&kept).map(|word| word.vector.map(<[f32]>::to_vec)).collect();
            let expected = [Some(vec![-3.0, 0.5]), None, Some(vec![1.0, 2.0])];
            assert_eq!(vectors, if rows.is_some() { expected } else { [None, None, None] });
        }
        assert!(admitted_kept(&encode_admitted(words(), None)).is_none());
    }
}
