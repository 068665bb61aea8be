//! An entry that could not be used, and why.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use arrow_array::{RecordBatch, StringArray, UInt8Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::{
    Entry, Record,
    columns::column,
    entry::{entry_at, entry_column, entry_field},
};

/// The stage that rejected an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Stage {
    /// The catalogue's line could not be read.
    Catalogue,
    /// The page could not be had.
    Fetch,
    /// The page had no text to take.
    Extract,
    /// An earlier document has the same text.
    Deduplicate,
    /// The library has taken the entry back: nothing is wrong with what was read of it.
    Withdraw,
}

impl Stage {
    const ALL: [Self; 5] =
        [Self::Catalogue, Self::Fetch, Self::Extract, Self::Deduplicate, Self::Withdraw];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Catalogue => "catalogue",
            Self::Fetch => "fetch",
            Self::Extract => "extract",
            Self::Deduplicate => "deduplicate",
            Self::Withdraw => "withdraw",
        })
    }
}

/// An entry that could not be used: data on the dead-letter stream, never an error.
pub struct Reject;

/// One reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectRow<'a> {
    /// The entry.
    pub entry: Entry,
    /// Who rejected it.
    pub stage: Stage,
    /// Why, in words: lower case, no full stop.
    pub reason: &'a str,
}

impl Record for Reject {
    type Row<'a> = RejectRow<'a>;
    const NAME: &'static str = "reject";

    fn schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            Arc::new(Schema::new(vec![
                entry_field(),
                Field::new("stage", DataType::UInt8, false),
                Field::new("reason", DataType::Utf8, false),
            ]))
        });
        Arc::clone(&SCHEMA)
    }

    fn encode<'a>(rows: impl Iterator<Item = RejectRow<'a>>) -> RecordBatch {
        let rows: Vec<_> = rows.collect();
        let entries: Vec<_> = rows.iter().map(|row| row.entry.clone()).collect();
        RecordBatch::try_new(
            Self::schema(),
            vec![
                entry_column(&entries),
                Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.stage as u8))),
                Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.reason))),
            ],
        )
        .expect("columns made for this schema")
    }

    fn row(batch: &RecordBatch, row: usize) -> RejectRow<'_> {
        let stage = usize::from(column::<UInt8Array>(batch, "stage").value(row));
        RejectRow {
            entry: entry_at(batch, row),
            stage: Stage::ALL[stage],
            reason: column::<StringArray>(batch, "reason").value(row),
        }
    }
}
