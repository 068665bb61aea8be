//! Puts beside each distinct word its pretrained vector.
//!
//! Out of each batch of words comes the same batch, at the same time and with the same route, with
//! one more column: the vector of each distinct word, null where the vectors lack it. Without
//! vectors the batches pass through as they are. Nothing is held back and nothing is rejected.

use std::sync::Arc;

use arrow_array::{Array, FixedSizeListArray, Float32Array, RecordBatch};
use arrow_buffer::{NullBufferBuilder, ScalarBuffer};
use arrow_schema::{DataType, Field};
use timely::{
    container::DrainContainer,
    dataflow::{channels::pact::Pipeline, operators::generic::Operator},
};

use crate::{
    Batches,
    batch::{Batch, Builder},
    record::Words,
    vectors::Vectors,
};

/// Extension trait for streams of words.
pub trait Embed<'scope> {
    /// Adds the vectors of the words, where the job has vectors.
    ///
    /// ```no_run
    /// # use operators::{Batches, record::Words, vectors::{Format, Vectors}};
    /// use operators::embed::Embed;
    ///
    /// # fn graph<'scope>(words: Batches<'scope, Words>) -> Result<Batches<'scope, Words>, Box<dyn std::error::Error>> {
    /// let vectors = Vectors::open("vectors.bin".as_ref(), Format::Auto)?;
    /// let rows = words.embed(Some(&vectors));
    /// # Ok(rows)
    /// # }
    /// ```
    fn embed(self, vectors: Option<&Arc<Vectors>>) -> Batches<'scope, Words>;
}

impl<'scope> Embed<'scope> for Batches<'scope, Words> {
    fn embed(self, vectors: Option<&Arc<Vectors>>) -> Batches<'scope, Words> {
        let Some(vectors) = vectors.map(Arc::clone) else { return self };
        self.unary::<Builder<Words>, _, _, _>(Pipeline, "Embed", move |_, _| {
            move |input, output| {
                input.for_each(|epoch, words| {
                    let mut session = output.session(&epoch);
                    for batch in words.drain() {
                        let rows = embedded(batch.rows(), &vectors);
                        session.give(Batch::from_rows(batch.route, rows));
                    }
                });
            }
        })
    }
}

/// The rows of a batch of words with the vectors beside them.
pub fn embedded(words: &RecordBatch, vectors: &Vectors) -> RecordBatch {
    let surfaces = Words::surfaces(words);
    let dimension = vectors.dimension();
    let mut components = Vec::with_capacity(surfaces.len() * dimension);
    let mut present = NullBufferBuilder::new(surfaces.len());
    for surface in surfaces.iter() {
        let surface = surface.expect("every word has a surface");
        let start = components.len();
        // Zeroed a word at a time, while it is near; a word without a vector stays so, as its null says.
        components.resize(start + dimension, 0.0);
        present.append(vectors.lookup(surface, &mut components[start..]));
    }
    let column = FixedSizeListArray::new(
        Arc::new(Field::new_list_field(DataType::Float32, true)),
        i32::try_from(dimension).expect("a vector's components fit into memory many times"),
        Arc::new(Float32Array::new(ScalarBuffer::from(components), None)),
        present.finish(),
    );
    Words::with_vectors(words, column)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow_array::cast::AsArray;
    use timely::dataflow::operators::{Capture, ToStream, capture::Event};

    use super::*;
    use crate::{
        record::{Entry, WordsRow},
        vectors::Format,
    };

    fn vectors() -> Arc<Vectors> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all("雨 1 2\n。 -3 0.5\n".as_bytes()).unwrap();
        Vectors::open(file.path(), Format::Glove).unwrap()
    }

    fn row(surfaces: &[&'static str]) -> WordsRow<'static> {
        WordsRow {
            entry: Entry::default(),
            content: [0; 32],
            fingerprint: 0,
            characters: 0,
            keys: &[0],
            surfaces: surfaces.iter().copied().map(Some).collect(),
            vectors: None,
        }
    }

    fn batch() -> Batch<Words> {
        Batch::of(5, [row(&["雪", "雨"]), row(&[]), row(&["。", "雨", "\n"])])
    }

    fn through(vectors: Option<Arc<Vectors>>) -> Batch<Words> {
        let captured = timely::example(move |scope| {
            std::iter::once(batch()).to_stream(scope).embed(vectors.as_ref()).capture()
        });
        let mut batches = Vec::new();
        for event in captured {
            if let Event::Messages(stamp, mut container) = event {
                assert_eq!(stamp.least(), Some(&0));
                batches.extend(container.drain());
            }
        }
        assert_eq!(batches.len(), 1);
        batches.remove(0)
    }

    #[test]
    fn a_distinct_word_has_its_vector_or_null() {
        let batch = through(Some(vectors()));
        assert_eq!(batch.route, 5);
        let rows: Vec<_> = batch.iter().collect();
        let of = |row: usize, key| rows[row].vector(key).map(<[f32]>::to_vec);
        assert_eq!([of(0, 0), of(0, 1)], [None, Some(vec![1.0, 2.0])]);
        assert_eq!(rows[1].surfaces.len(), 0);
        let third = [of(2, 0), of(2, 1), of(2, 2)];
        assert_eq!(third, [Some(vec![-3.0, 0.5]), Some(vec![1.0, 2.0]), None]);
    }

    #[test]
    fn a_word_without_a_vector_lies_as_zeros_below_its_null() {
        let rows = embedded(batch().rows(), &vectors());
        let lists = rows.column_by_name("vectors").unwrap().as_list::<i32>();
        let values = lists.values().as_fixed_size_list();
        assert_eq!((values.value_length(), values.null_count()), (2, 2));
        let components: &Float32Array = values.values().as_primitive();
        assert_eq!(components.values()[..], [0.0, 0.0, 1.0, 2.0, -3.0, 0.5, 1.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn a_batch_without_words_has_no_vectors() {
        let empty = Batch::<Words>::of(0, [row(&[])]);
        let rows = embedded(empty.rows(), &vectors());
        assert_eq!(rows.column_by_name("vectors").unwrap().as_list::<i32>().values().len(), 0);
    }

    #[test]
    fn without_vectors_batches_pass_as_they_are() {
        let passed = through(None);
        assert_eq!(passed.route, 5);
        assert_eq!(passed.rows(), batch().rows());
    }
}
