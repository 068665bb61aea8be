//! What flows between the stages: kinds of record, each with its Arrow columns.
//!
//! A stage reads rows as borrowed views and carries whole columns on without decoding them: the
//! entry that a document came from is one struct column, handed from batch to batch as a pointer.

mod columns;
mod document;
mod entry;
mod page;
mod reading;
mod reject;
mod rows;
mod words;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

pub use document::{Document, DocumentRow};
pub use entry::{Entry, Key};
pub use page::{Page, PageRow};
pub use reading::{
    Admitted, Chunk, Lesson, Reading, admitted, admitted_kept, admitted_to_keep, encode_admitted,
};
pub use reject::{Reject, RejectRow, Stage};
pub use rows::Rows;
pub use words::{Tokens, Words, WordsRow};

/// A kind of record: its columns, and how a row is read from them and written into them.
pub trait Record: 'static {
    /// One row, borrowed from a batch where it can be.
    type Row<'a>;

    /// What the kind is called in messages.
    const NAME: &'static str;

    /// The columns.
    fn schema() -> SchemaRef;

    /// Whether a batch with these columns is of this kind. Kinds whose columns depend on the job
    /// (the dimension of vectors) say so here.
    fn matches(schema: &Schema) -> bool {
        schema.fields() == Self::schema().fields()
    }

    /// Writes rows into a batch.
    fn encode<'a>(rows: impl Iterator<Item = Self::Row<'a>>) -> RecordBatch;

    /// The batch as it is sent to another process: the same rows, and nothing that none of them needs.
    fn to_send(batch: &RecordBatch) -> RecordBatch {
        batch.clone()
    }

    /// Reads the row numbered `row`.
    fn row(batch: &RecordBatch, row: usize) -> Self::Row<'_>;
}
