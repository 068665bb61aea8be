//! Puts beside each distinct word its pretrained vector.
//!
//! Out of each batch of words comes the same batch, at the same time and with the same route, with
//! one more column: the vector of each distinct word, null where the vectors lack it. A vector stands
//! there as its row's number in the table of vectors, which all batches share: nothing is copied, and
//! what is under way does not grow with the dimension. Without vectors the batches pass through as they
//! are. Nothing is held back and nothing is rejected.

use std::sync::Arc;

use arrow_array::RecordBatch;
use timely::{
    container::DrainContainer,
    dataflow::{channels::pact::Pipeline, operators::generic::Operator},
};

use crate::{
    Batches,
    analyzer::Memo,
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
        let mut embedder = Embedder::new(vectors);
        self.unary::<Builder<Words>, _, _, _>(Pipeline, "Embed", move |_, _| {
            move |input, output| {
                input.for_each(|epoch, words| {
                    let mut session = output.session(&epoch);
                    for batch in words.drain() {
                        let rows = embedder.embed(batch.rows());
                        session.give(Batch::from_rows(batch.route, rows));
                    }
                });
            }
        })
    }
}

/// The stage's engine: the vectors, and where those of the dictionary's words are.
pub struct Embedder {
    vectors: Arc<Vectors>,
    memo: Memo,
}

impl Embedder {
    /// An embedder for words that were cut by one dictionary.
    pub fn new(vectors: Arc<Vectors>) -> Self {
        Self { vectors, memo: Memo::default() }
    }

    /// The rows of a batch of words with the vectors beside them.
    pub fn embed(&mut self, words: &RecordBatch) -> RecordBatch {
        let rows = self.vectors.rows(Words::distinct(words), &mut self.memo);
        Words::with_vectors(words, rows)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow_array::{Array, cast::AsArray, types::Float32Type};
    use timely::{
        bytes::arc::BytesMut,
        container::PushInto,
        dataflow::{
            channels::ContainerBytes,
            operators::{Capture, ToStream, capture::Event},
        },
    };

    use super::*;
    use crate::{
        batch::Container,
        record::{Entry, Record, Rows, WordsRow},
        vectors::Format,
    };

    fn vectors() -> Arc<Vectors> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all("雨 1 2\n。 -3 0.5\n".as_bytes()).unwrap();
        Vectors::open(file.path(), Format::Glove).unwrap()
    }

    /// As a dictionary that has all but the line's end.
    fn number(surface: &str) -> Option<u32> {
        ["。", "雪", "雨"].iter().position(|known| *known == surface).map(|place| place as u32 * 3)
    }

    fn row(surfaces: &[&'static str]) -> WordsRow<'static> {
        WordsRow {
            entry: Entry::default(),
            content: [0; 32],
            fingerprint: 0,
            characters: 0,
            keys: &[0],
            surfaces: surfaces.iter().copied().map(Some).collect(),
            numbers: Some(surfaces.iter().map(|surface| number(surface)).collect()),
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
    fn batches_share_one_table_and_those_that_are_sent_or_written_need_none() {
        let rows = |batch: &RecordBatch| -> Rows {
            let lists = batch.column_by_name("vectors").unwrap().as_list::<i32>();
            lists.values().as_dictionary().clone()
        };
        let components = |table: &dyn Array| -> Vec<Option<f32>> {
            table.as_fixed_size_list().values().as_primitive::<Float32Type>().iter().collect()
        };
        let mut embedder = Embedder::new(vectors());
        let batches = [embedder.embed(batch().rows()), embedder.embed(batch().rows())];
        let start = |batch| {
            rows(batch).values().as_fixed_size_list().values().to_data().buffers()[0].as_ptr()
        };
        assert_eq!(start(&batches[0]), start(&batches[1]), "the table was copied");

        let sent = rows(&Words::to_send(&batches[0]));
        let numbers: Vec<_> = sent.keys().iter().collect();
        assert_eq!(numbers, [None, Some(0), Some(1), Some(2), None]);
        assert_eq!(components(sent.values()), [1.0, 2.0, -3.0, 0.5, 1.0, 2.0].map(Some));

        let written = Words::written_out(&batches[0]);
        let lists = written.column_by_name("vectors").unwrap().as_list::<i32>();
        let vectors = lists.values().as_fixed_size_list();
        let present: Vec<_> = (0..vectors.len()).map(|word| vectors.is_valid(word)).collect();
        assert_eq!(present, [false, true, true, true, false]);
        assert_eq!(components(&vectors.slice(1, 3)), components(sent.values()));
    }

    #[test]
    fn vectors_come_over_the_wire() {
        let mut embedder = Embedder::new(vectors());
        let mut sent = Container::<Words>::default();
        for batch in [batch(), Batch::of(0, [row(&["雪"])]), Batch::of(0, [row(&[])])] {
            sent.push_into(Batch::from_rows(batch.route, embedder.embed(batch.rows())));
        }
        let mut wire = Vec::new();
        sent.into_bytes(&mut wire);
        let mut received = Container::<Words>::from_bytes(BytesMut::from(wire).freeze());
        let of = |batch: Batch<Words>| -> Vec<_> {
            let words = |row: WordsRow<'_>| -> Vec<_> {
                let vector = |key| row.vector(key).map(<[f32]>::to_vec);
                (row.distinct().zip(0..))
                    .map(|(word, key)| (word.surface.to_owned(), word.number, vector(key)))
                    .collect()
            };
            batch.iter().map(words).collect()
        };
        let (there, here): (Vec<_>, Vec<_>) =
            (received.drain().map(of).collect(), sent.drain().map(of).collect());
        assert_eq!(there, here);
        let first =
            [("雪".to_owned(), Some(3), None), ("雨".to_owned(), Some(6), Some(vec![1.0, 2.0]))];
        assert_eq!(there[0][0], first);
        assert_eq!(there[0][2][2], ("\n".to_owned(), None, None));
    }

    #[test]
    fn a_batch_without_words_has_no_vectors() {
        let empty = Batch::<Words>::of(0, [row(&[])]);
        let rows = Embedder::new(vectors()).embed(empty.rows());
        assert_eq!(rows.column_by_name("vectors").unwrap().as_list::<i32>().values().len(), 0);
    }

    #[test]
    fn without_vectors_batches_pass_as_they_are() {
        let passed = through(None);
        assert_eq!(passed.route, 5);
        assert_eq!(passed.rows(), batch().rows());
    }
}
