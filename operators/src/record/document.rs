//! The text taken from a page.

use std::sync::{Arc, LazyLock};

use arrow_array::{FixedSizeBinaryArray, LargeStringArray, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{
    Entry, Record,
    columns::column,
    entry::{entry_at, entry_column, entry_field},
    page::content_at,
};

/// The clean text of an entry.
pub struct Document;

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow<'a> {
    /// The entry it was read from.
    pub entry: Entry,
    /// SHA-256 of the page's body.
    pub content: [u8; 32],
    /// The first 128 bits of the text's SHA-256: equal texts have equal fingerprints.
    pub fingerprint: u128,
    /// How many characters (Unicode scalar values) the text has.
    pub characters: u64,
    /// The text: lines ended by `\n`, no markup.
    pub text: &'a str,
}

/// The columns that every kind has from the document on.
pub(super) fn document_fields() -> Vec<Field> {
    vec![
        entry_field(),
        Field::new("content", DataType::FixedSizeBinary(32), false),
        Field::new("fingerprint", DataType::FixedSizeBinary(16), false),
        Field::new("characters", DataType::UInt64, false),
    ]
}

pub(super) fn fingerprint_at(batch: &RecordBatch, row: usize) -> u128 {
    let bytes = column::<FixedSizeBinaryArray>(batch, "fingerprint").value(row);
    u128::from_be_bytes(bytes.try_into().expect("the schema says 16 bytes"))
}

impl Record for Document {
    type Row<'a> = DocumentRow<'a>;
    const NAME: &'static str = "document";

    fn schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            let mut fields = document_fields();
            fields.push(Field::new("text", DataType::LargeUtf8, false));
            Arc::new(Schema::new(fields))
        });
        Arc::clone(&SCHEMA)
    }

    fn encode<'a>(rows: impl Iterator<Item = DocumentRow<'a>>) -> RecordBatch {
        let rows: Vec<_> = rows.collect();
        let entries: Vec<_> = rows.iter().map(|row| row.entry.clone()).collect();
        let content = rows.iter().map(|row| row.content);
        let fingerprint = rows.iter().map(|row| row.fingerprint.to_be_bytes());
        let some = "at least one document";
        RecordBatch::try_new(
            Self::schema(),
            vec![
                entry_column(&entries),
                Arc::new(FixedSizeBinaryArray::try_from_iter(content).expect(some)),
                Arc::new(FixedSizeBinaryArray::try_from_iter(fingerprint).expect(some)),
                Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.characters))),
                Arc::new(LargeStringArray::from_iter_values(rows.iter().map(|row| row.text))),
            ],
        )
        .expect("columns made for this schema")
    }

    fn row(batch: &RecordBatch, row: usize) -> DocumentRow<'_> {
        DocumentRow {
            entry: entry_at(batch, row),
            content: content_at(batch, row),
            fingerprint: fingerprint_at(batch, row),
            characters: column::<UInt64Array>(batch, "characters").value(row),
            text: column::<LargeStringArray>(batch, "text").value(row),
        }
    }
}
