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
use crate::analyzer::Word;

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
    /// The number of each distinct word in the dictionary that has cut the text, null where it lacks the
    /// word; `None` after `admit`, where it has served.
    pub numbers: Option<UInt32Array>,
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
    fields.push(Field::new(SURFACES, DataType::List(list_item(DataType::Utf8)), false));
    fields
}

/// A document's words: its text as keys, and each distinct word once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tokens<'t> {
    /// One key a word: the place of the word in `distinct`.
    pub keys: Vec<u32>,
    /// Each distinct word, in order of first appearance.
    pub distinct: Vec<Word<'t>>,
}

impl Words {
    /// The words of the documents in `documents`, which is taken over without its text.
    pub fn of_documents(documents: &RecordBatch, words: Vec<Tokens<'_>>) -> RecordBatch {
        assert!(Document::matches(&documents.schema()), "words are made of documents");
        // All of it waits at the weir, among many others: so each column has room for what it holds, no more.
        let distinct = words.iter().flat_map(|tokens| &tokens.distinct);
        let (count, bytes) =
            distinct.fold((0, 0), |(count, bytes), word| (count + 1, bytes + word.surface.len()));
        let mut surfaces = ListBuilder::new(StringBuilder::with_capacity(count, bytes));
        let mut numbers = UInt32Builder::with_capacity(count);
        let offsets = OffsetBuffer::from_lengths(words.iter().map(|tokens| tokens.keys.len()));
        let mut keys = Vec::new();
        for mut tokens in words {
            // Nearly always a batch has one document: then nothing is copied.
            if keys.is_empty() {
                keys = tokens.keys;
            } else {
                keys.append(&mut tokens.keys);
            }
            for word in tokens.distinct {
                surfaces.values().append_value(word.surface);
                numbers.append_option(word.number);
            }
            surfaces.append(true);
        }
        keys.shrink_to_fit();
        let keys = Arc::new(UInt32Array::from(keys));
        let mut columns = documents.columns()[..document_fields().len()].to_vec();
        columns.push(Arc::new(ListArray::new(list_item(DataType::UInt32), offsets, keys, None)));
        columns.push(Arc::new(surfaces.finish()));
        let batch = RecordBatch::try_new(Self::schema(), columns);
        let batch = batch.expect("one list of words a document");
        beside_surfaces(&batch, NUMBERS, Arc::new(numbers.finish()))
    }

    /// Every distinct word in the batch, document after document: what `with_vectors` wants a
    /// vector (or null) for, in this order.
    pub fn distinct(batch: &RecordBatch) -> impl Iterator<Item = Word<'_>> + Clone {
        distinct(
            column::<ListArray>(batch, SURFACES).values().as_string(),
            beside(batch, NUMBERS).map(|numbers| numbers.values().as_primitive()),
        )
    }

    /// The same documents with `vectors` beside them, one (or null) for each distinct word.
    pub fn with_vectors(batch: &RecordBatch, vectors: Rows) -> RecordBatch {
        beside_surfaces(batch, VECTORS, Arc::new(vectors))
    }

    /// The same documents without their vectors.
    pub fn without_vectors(batch: &RecordBatch) -> RecordBatch {
        without(batch, VECTORS)
    }

    /// The same documents without the numbers that their words have in the dictionary.
    pub fn without_numbers(batch: &RecordBatch) -> RecordBatch {
        without(batch, NUMBERS)
    }

    /// The same documents, each vector written out where it is meant: as a list of numbers, for
    /// readers that should not need the table.
    pub fn written_out(batch: &RecordBatch) -> RecordBatch {
        match rows(batch) {
            Some(rows) => beside_surfaces(batch, VECTORS, written_out(rows)),
            None => batch.clone(),
        }
    }
}

const SURFACES: &str = "surfaces";
// What may stand beside each distinct word.
const NUMBERS: &str = "numbers";
const VECTORS: &str = "vectors";

fn distinct<'a>(
    surfaces: &'a StringArray,
    numbers: Option<&'a UInt32Array>,
) -> impl Iterator<Item = Word<'a>> + Clone {
    (0..surfaces.len()).map(move |at| Word {
        surface: surfaces.value(at),
        number: numbers.filter(|numbers| numbers.is_valid(at)).map(|numbers| numbers.value(at)),
    })
}

/// A column that stands beside the surfaces, if the batch has it.
fn beside<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a ListArray> {
    batch.column_by_name(name).map(|column| column.as_list())
}

/// The documents in `batch` with this column beside the surfaces: a value for each of them.
fn beside_surfaces(batch: &RecordBatch, name: &str, values: ArrayRef) -> RecordBatch {
    let batch = &without(batch, name);
    let surfaces = column::<ListArray>(batch, SURFACES);
    assert_eq!(surfaces.values().len(), values.len(), "one of the {name} a surface");
    let item = list_item(values.data_type().clone());
    let values = ListArray::new(item, surfaces.offsets().clone(), values, None);
    let field = Arc::new(Field::new(name, values.data_type().clone(), false));
    let fields: Vec<_> = batch.schema().fields().iter().cloned().chain([field]).collect();
    let columns = batch.columns().iter().cloned().chain([Arc::new(values) as ArrayRef]);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect()).expect("equal lengths")
}

/// The same without a column, if it is there.
fn without(batch: &RecordBatch, name: &str) -> RecordBatch {
    let mut batch = batch.clone();
    if let Ok(at) = batch.schema().index_of(name) {
        batch.remove_column(at);
    }
    batch
}

/// The vectors of every distinct surface in the batch, if it has any.
fn rows(batch: &RecordBatch) -> Option<&Rows> {
    beside(batch, VECTORS).map(|lists| lists.values().as_dictionary())
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
        let may_be_beside = |name: &str| [NUMBERS, VECTORS].contains(&name);
        shared == own.fields().as_ref() && rest.iter().all(|field| may_be_beside(field.name()))
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
        let words = rows
            .iter()
            .map(|row| Tokens { keys: row.keys.to_vec(), distinct: row.distinct().collect() });
        Self::of_documents(&documents, words.collect())
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
        let surfaces = column::<ListArray>(batch, SURFACES);
        let (first, distinct) = span(surfaces.offsets());
        // What stands beside the surfaces has their offsets.
        let numbers = beside(batch, NUMBERS)
            .map(|numbers| numbers.values().as_primitive().slice(first, distinct));
        let vectors = rows(batch).map(|vectors| vectors.slice(first, distinct));
        WordsRow {
            entry: entry_at(batch, row),
            content: content_at(batch, row),
            fingerprint: fingerprint_at(batch, row),
            characters: column::<UInt64Array>(batch, "characters").value(row),
            keys: &values.values()[start..start + length],
            surfaces: surfaces.values().as_string::<i32>().slice(first, distinct),
            numbers,
            vectors,
        }
    }
}

impl WordsRow<'_> {
    /// Each distinct word, with the number that it has in the dictionary as far as that is known.
    pub fn distinct(&self) -> impl Iterator<Item = Word<'_>> + Clone {
        distinct(&self.surfaces, self.numbers.as_ref())
    }

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
