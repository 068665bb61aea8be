//! A line of a source's catalogue.

use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray, StructArray, UInt64Array};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::{
    Record,
    columns::{column, field},
};

/// What names an entry for good, over revisions: its source, and its name within the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The source's name in the job file.
    pub source: String,
    /// The entry's name within its source, such as `000879/000127`.
    pub id: String,
}

/// One line of a source's catalogue: something to read, with a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the catalogue order of the whole job, over all sources.
    pub sequence: u64,
    /// The source's name in the job file.
    pub source: String,
    /// The entry's name within its source.
    pub id: String,
    /// Changes when the source has a new version: a date, or whatever the source counts by.
    pub revision: String,
    /// Where to read it: `http:`, `https:` or `file:`.
    pub url: String,
    /// The work's title, or empty.
    pub title: String,
    /// The people who made it, as the library credits them, or empty.
    pub credit: String,
    /// The corpus that it belongs to, such as 新字新仮名, or empty.
    pub orthography: String,
    /// Never trained on: it belongs to the share that models are scored on.
    pub held_out: bool,
}

impl Entry {
    /// What names the entry over revisions.
    pub fn key(&self) -> Key {
        Key { source: self.source.clone(), id: self.id.clone() }
    }
}

static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    let text = |name| Field::new(name, DataType::Utf8, false);
    Fields::from(vec![
        Field::new("sequence", DataType::UInt64, false),
        text("source"),
        text("id"),
        text("revision"),
        text("url"),
        text("title"),
        text("credit"),
        text("orthography"),
        Field::new("held_out", DataType::Boolean, false),
    ])
});

/// The field under which the other kinds carry their entry.
pub(super) fn entry_field() -> Field {
    Field::new("entry", DataType::Struct(FIELDS.clone()), false)
}

/// The entries as one struct column.
pub(super) fn entry_column(entries: &[Entry]) -> ArrayRef {
    Arc::new(StructArray::new(FIELDS.clone(), arrays(entries), None))
}

/// The entry at `row` of a batch that carries one beside its own columns.
pub(super) fn entry_at(batch: &RecordBatch, row: usize) -> Entry {
    entry_in(column(batch, "entry"), row)
}

fn entry_in(entries: &StructArray, row: usize) -> Entry {
    let text = |name| field::<StringArray>(entries, name).value(row).to_owned();
    Entry {
        sequence: field::<UInt64Array>(entries, "sequence").value(row),
        source: text("source"),
        id: text("id"),
        revision: text("revision"),
        url: text("url"),
        title: text("title"),
        credit: text("credit"),
        orthography: text("orthography"),
        held_out: field::<BooleanArray>(entries, "held_out").value(row),
    }
}

fn arrays(entries: &[Entry]) -> Vec<ArrayRef> {
    fn text(entries: &[Entry], of: impl Fn(&Entry) -> &str) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(entries.iter().map(of)))
    }
    vec![
        Arc::new(UInt64Array::from_iter_values(entries.iter().map(|entry| entry.sequence))),
        text(entries, |entry| &entry.source),
        text(entries, |entry| &entry.id),
        text(entries, |entry| &entry.revision),
        text(entries, |entry| &entry.url),
        text(entries, |entry| &entry.title),
        text(entries, |entry| &entry.credit),
        text(entries, |entry| &entry.orthography),
        Arc::new(entries.iter().map(|entry| Some(entry.held_out)).collect::<BooleanArray>()),
    ]
}

impl Record for Entry {
    type Row<'a> = Entry;
    const NAME: &'static str = "entry";

    fn schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Schema::new(FIELDS.clone()).into());
        Arc::clone(&SCHEMA)
    }

    fn encode<'a>(rows: impl Iterator<Item = Self::Row<'a>>) -> RecordBatch {
        let rows: Vec<_> = rows.collect();
        RecordBatch::try_new(Self::schema(), arrays(&rows)).expect("columns made for this schema")
    }

    fn row(batch: &RecordBatch, row: usize) -> Entry {
        entry_in(&StructArray::from(batch.clone()), row)
    }
}
