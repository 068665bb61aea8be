//! A tokenized document, dictionary-encoded: four bytes a word, each distinct surface once.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array, ArrayRef, ListArray, RecordBatch, StringArray, UInt32Array, UInt64Array,
    builder::{ListBuilder, StringBuilder, UInt32Builder},
    cast::AsArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::{
    Document, Entry, Record,
    columns::column,
    document::{document_fields, fingerprint_at},
    entry::entry_at,
    page::content_at,
    rows::{Rows, vector_at, without_others, written_out},
};

/// The words of a document, and after `embed` their vectors.
pub struct Words;

/// One tokenized document. Its words, joined, are its text.
#[derive(Clone, Debug)]
pub struct WordsRow<'a> {
    /// The entry it was read from.
    pub entry: Entry,
    /// SHA-256 of the page's body.
    pub content: [u8; 32],
    /// The text's fingerprint.
    pub fingerprint: u128,
    /// How many characters the text has.
    pub characters: u64,
    /// The text as keys into `surfaces`, one a word; line ends are words.
    pub keys: &'a [u32],
    /// Each distinct word once, in order of first appearance.
    pub surfaces: StringArray,
    /// The vector of each distinct word, null where the vectors lack it; `None` before `embed`
    /// and in jobs without vectors.
    pub vectors: Option<Rows>,
}

fn list_item(data_type: DataType) -> FieldRef {
    // Arrow's builders name a list's field so, and make it nullable.
    Arc::new(Field::new_list_field(data_type, true))
}

fn fields() -> Vec<Field> {
    let mut fields = document_fields();
    fields.push(Field::new("keys", DataType::List(list_item(DataType::UInt32)), false));
    fields.push(Field::new("surfaces", DataType::List(list_item(DataType::Utf8)), false));
    fields
}

impl Words {
    /// The words of the documents in `documents`, which is taken over without its text: for each
    /// document its keys and its distinct surfaces.
    pub fn of_documents<'a, S>(
        documents: &RecordBatch,
        words: impl IntoIterator<Item = (&'a [u32], S)>,
    ) -> RecordBatch
    where
        S: IntoIterator<Item = &'a str>,
    {
        assert!(Document::matches(&documents.schema()), "words are made of documents");
        let mut keys = ListBuilder::new(UInt32Builder::new());
        let mut surfaces = ListBuilder::new(StringBuilder::new());
        for (of_document, distinct) in words {
            keys.values().append_slice(of_document);
            keys.append(true);
            for surface in distinct {
                surfaces.values().append_value(surface);
            }
            surfaces.append(true);
        }
        let mut columns = documents.columns()[..document_fields().len()].to_vec();
        columns.push(Arc::new(keys.finish()));
        columns.push(Arc::new(surfaces.finish()));
        RecordBatch::try_new(Self::schema(), columns).expect("one list of words a document")
    }

    /// Every distinct surface in the batch, document after document: what `with_vectors` wants a
    /// vector (or null) for, in this order.
    pub fn surfaces(batch: &RecordBatch) -> &StringArray {
        column::<ListArray>(batch, "surfaces").values().as_string()
    }

    /// The same documents with `vectors` beside them, one (or null) for each of `surfaces`.
    pub fn with_vectors(batch: &RecordBatch, vectors: Rows) -> RecordBatch {
        beside_surfaces(batch, Arc::new(vectors))
    }

    /// The same documents without their vectors.
    pub fn without_vectors(batch: &RecordBatch) -> RecordBatch {
        let own = fields().len();
        batch.project(&(0..own).collect::<Vec<_>>()).expect("the first columns are there")
    }

    /// The same documents, each vector written out where it is meant: as a list of numbers, for
    /// readers that should not need the table.
    pub fn written_out(batch: &RecordBatch) -> RecordBatch {
        rows(batch).map_or(batch.clone(), |rows| beside_surfaces(batch, written_out(rows)))
    }
}

/// The documents in `batch` with `vectors` as their last column.
fn beside_surfaces(batch: &RecordBatch, vectors: ArrayRef) -> RecordBatch {
    let surfaces = column::<ListArray>(batch, "surfaces");
    assert_eq!(surfaces.values().len(), vectors.len(), "one vector a surface");
    let item = list_item(vectors.data_type().clone());
    let vectors = ListArray::new(item, surfaces.offsets().clone(), vectors, None);
    let mut fields = fields();
    fields.push(Field::new("vectors", vectors.data_type().clone(), false));
    let mut columns = batch.columns()[..fields.len() - 1].to_vec();
    columns.push(Arc::new(vectors));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("equal lengths")
}

/// The vectors of every distinct surface in the batch, if it has any.
fn rows(batch: &RecordBatch) -> Option<&Rows> {
    let lists: &ListArray = batch.column_by_name("vectors")?.as_list();
    Some(lists.values().as_dictionary())
}

impl Record for Words {
    type Row<'a> = WordsRow<'a>;
    const NAME: &'static str = "words";

    fn schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fields())));
        Arc::clone(&SCHEMA)
    }

    fn matches(schema: &Schema) -> bool {
        let own = Self::schema();
        let (shared, rest) =
            schema.fields().split_at(own.fields().len().min(schema.fields().len()));
        shared == own.fields().as_ref() && rest.iter().all(|field| field.name() == "vectors")
    }

    fn encode<'a>(rows: impl Iterator<Item = WordsRow<'a>>) -> RecordBatch {
        // Used where words are made without a page: the shape is the one `of_documents` makes.
        let rows: Vec<_> = rows.collect();
        let documents = Document::encode(rows.iter().map(|row| super::DocumentRow {
            entry: row.entry.clone(),
            content: row.content,
            fingerprint: row.fingerprint,
            characters: row.characters,
            text: "",
        }));
        Self::of_documents(
            &documents,
            rows.iter().map(|row| (row.keys, row.surfaces.iter().flatten().collect::<Vec<_>>())),
        )
    }

    /// With a table that has only the rows which the batch means: the whole table is as long as
    /// the file that it was read from.
    fn to_send(batch: &RecordBatch) -> RecordBatch {
        let sent = |rows| Self::with_vectors(batch, without_others(rows));
        rows(batch).map_or(batch.clone(), sent)
    }

    fn row(batch: &RecordBatch, row: usize) -> WordsRow<'_> {
        let keys = column::<ListArray>(batch, "keys");
        let span = |offsets: &OffsetBuffer<i32>| {
            let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            (start, end - start)
        };
        let (start, length) = span(keys.offsets());
        let values: &UInt32Array = keys.values().as_primitive();
        let vectors = batch.column_by_name("vectors").map(|column| {
            let lists: &ListArray = column.as_list();
            let (start, length) = span(lists.offsets());
            lists.values().as_dictionary().slice(start, length)
        });
        let surfaces = column::<ListArray>(batch, "surfaces");
        let (first, distinct) = span(surfaces.offsets());
        WordsRow {
            entry: entry_at(batch, row),
            content: content_at(batch, row),
            fingerprint: fingerprint_at(batch, row),
            characters: column::<UInt64Array>(batch, "characters").value(row),
            keys: &values.values()[start..start + length],
            surfaces: surfaces.values().as_string::<i32>().slice(first, distinct),
            vectors,
        }
    }
}

impl WordsRow<'_> {
    /// The vector of the distinct surface numbered `key`, if the vectors have it.
    pub fn vector(&self, key: usize) -> Option<&[f32]> {
        vector_at(self.vectors.as_ref()?, key)
    }

    /// The vectors of the distinct surfaces that these are the numbers of, if they have one.
    pub fn rows(&self, keys: impl Iterator<Item = Option<usize>>) -> Option<Rows> {
        let rows = self.vectors.as_ref()?;
        let chosen = keys.map(|key| rows.key(key?)).map(|row| row.map(|row| row as u32));
        Some(Rows::new(chosen.collect(), Arc::clone(rows.values())))
    }
}
