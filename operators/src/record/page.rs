//! What a fetch brings.

use std::{
    slice,
    sync::{Arc, LazyLock},
};

use arrow_array::{Array, FixedSizeBinaryArray, LargeBinaryArray, RecordBatch, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;

use super::{
    Entry, Record,
    columns::column,
    entry::{entry_at, entry_column, entry_field},
};

/// The bytes that an entry's address gave.
pub struct Page;

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRow<'a> {
    /// The entry it was fetched for.
    pub entry: Entry,
    /// SHA-256 of the body.
    pub content: [u8; 32],
    /// The media type that the server declared, without parameters, or empty.
    pub media: &'a str,
    /// The charset that the server declared, if it declared one.
    pub charset: Option<&'a str>,
    /// The body, decompressed.
    pub body: &'a [u8],
}

impl Page {
    /// The batch of one page, which takes over `body`, the bytes that are the page's body.
    pub fn taking(page: &PageRow<'_>, body: Bytes) -> RecordBatch {
        debug_assert_eq!(page.body, body, "the body of this page");
        let offsets = OffsetBuffer::from_lengths([body.len()]);
        Self::with_bodies(slice::from_ref(page), LargeBinaryArray::new(offsets, body.into(), None))
    }

    fn with_bodies(rows: &[PageRow<'_>], bodies: LargeBinaryArray) -> RecordBatch {
        let entries: Vec<_> = rows.iter().map(|row| row.entry.clone()).collect();
        let content = rows.iter().map(|row| row.content);
        RecordBatch::try_new(
            Self::schema(),
            vec![
                entry_column(&entries),
                Arc::new(FixedSizeBinaryArray::try_from_iter(content).expect("at least one page")),
                Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.media))),
                Arc::new(rows.iter().map(|row| row.charset).collect::<StringArray>()),
                Arc::new(bodies),
            ],
        )
        .expect("columns made for this schema")
    }
}

impl Record for Page {
    type Row<'a> = PageRow<'a>;
    const NAME: &'static str = "page";

    fn schema() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
            Arc::new(Schema::new(vec![
                entry_field(),
                Field::new("content", DataType::FixedSizeBinary(32), false),
                Field::new("media", DataType::Utf8, false),
                Field::new("charset", DataType::Utf8, true),
                Field::new("body", DataType::LargeBinary, false),
            ]))
        });
        Arc::clone(&SCHEMA)
    }

    fn encode<'a>(rows: impl Iterator<Item = PageRow<'a>>) -> RecordBatch {
        let rows: Vec<_> = rows.collect();
        let bodies = LargeBinaryArray::from_iter_values(rows.iter().map(|row| row.body));
        Self::with_bodies(&rows, bodies)
    }

    fn row(batch: &RecordBatch, row: usize) -> PageRow<'_> {
        let charset = column::<StringArray>(batch, "charset");
        PageRow {
            entry: entry_at(batch, row),
            content: content_at(batch, row),
            media: column::<StringArray>(batch, "media").value(row),
            charset: charset.is_valid(row).then(|| charset.value(row)),
            body: column::<LargeBinaryArray>(batch, "body").value(row),
        }
    }
}

/// The content hash at `row`.
pub(super) fn content_at(batch: &RecordBatch, row: usize) -> [u8; 32] {
    let content = column::<FixedSizeBinaryArray>(batch, "content").value(row);
    content.try_into().expect("the schema says 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_taken_over_and_not_copied() {
        let body = Bytes::from("川は流れる。".to_owned());
        let page = PageRow {
            entry: Entry { sequence: 7, id: "1/2".into(), ..Entry::default() },
            content: [3; 32],
            media: "text/html",
            charset: Some("utf-8"),
            body: &body,
        };
        let taken = Page::taking(&page, body.clone());
        assert_eq!(taken, Page::encode([page.clone()].into_iter()));
        assert_eq!(Page::row(&taken, 0).body.as_ptr(), body.as_ptr());
        assert_eq!(Page::row(&taken, 0), page);
    }
}
