//! Documents inside files: a file as it is, a member of an archive, a record of a table.
//!
//! [`documents`] lists what is in a file without keeping any text, and [`Address`] is how one of them
//! is named, in the fragment of its `file:` address. [`read`] gives its bytes again without a scan: a
//! record of a plain file is a range of bytes, a member of a zip archive has its place in the
//! archive's directory. What has no such places (a table that is compressed or in an archive, columns
//! of Parquet) is unpacked once into a folder, and read from there; a copy that is lost is made again.
//! A record's address holds a hash of its text, so that a file that was changed since it was listed
//! gives an error, never another text.

mod address;
mod columnar;
mod listing;
mod stream;
mod table;
mod unpacked;

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use bytes::Bytes;

pub use address::{Address, BadAddress, Form, Record};
pub use listing::{Columns, Document, documents};
pub use table::{Fields, Line, LineError, lines, text_of};
pub use unpacked::Unpacked;

/// A record of JSON Lines whose field `column` is `text`.
pub fn record_of(bytes: Range<u64>, column: &str, text: &[u8]) -> Record {
    Record { bytes, hash: address::hash(text), form: Form::Json(column.to_owned()) }
}

/// Why something in a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The system, or a decoder, says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The archive is damaged, or has no such member.
    #[error("could not read the archive: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// The table is no such table.
    #[error("could not read the table: {0}")]
    Csv(#[from] csv::Error),
    /// The table is damaged, or no Parquet.
    #[error("could not read the table: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The column that has the text is not there.
    #[error("there is no column `{wanted}`; the columns are {found}")]
    NoColumn {
        /// The column's name.
        wanted: String,
        /// Those that there are.
        found: String,
    },
    /// The column has no text.
    #[error("the column `{0}` has no text, but {1}")]
    NotText(String, String),
    /// What is at the address is another text.
    #[error("the file has changed since it was listed")]
    Changed,
    /// The fragment of the address means nothing.
    #[error(transparent)]
    Address(#[from] BadAddress),
}

/// What a document's address gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The bytes; at most one more than was allowed.
    pub body: Bytes,
    /// The charset, where the format leaves no choice.
    pub charset: Option<&'static str>,
}

/// Reads the document at `address` in the file at `path`, and stops one byte past `limit`. Blocks.
///
/// # Errors
/// If it is not there any more, or not what it was.
pub fn read(
    path: &Path,
    address: &Address,
    limit: u64,
    unpacked: &Unpacked,
) -> Result<Content, ContainerError> {
    let member = address.member.as_deref();
    let Some(record) = &address.record else {
        let body = stream::bytes(path, member, limit.saturating_add(1))?;
        return Ok(Content { body: body.into(), charset: None });
    };
    let mut file = table::of(path, member, record, unpacked)?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(record.bytes.start))?;
    // A record is more than its text, but not without bounds.
    let length = (record.bytes.end - record.bytes.start).min(limit.saturating_mul(8).max(1 << 16));
    file.take(length).read_to_end(&mut bytes)?;
    let text = table::text_in(&bytes, &record.form).ok_or(ContainerError::Changed)?;
    if address::hash(&text) != record.hash {
        return Err(ContainerError::Changed);
    }
    Ok(Content { body: text.into(), charset: record.form.charset() })
}

#[cfg(test)]
mod tests;
