//! Records of tables that are text: JSON Lines and delimited fields.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    ops::Range,
    path::Path,
    rc::Rc,
};

use serde_json::{Map, Value};

use super::{
    Columns, ContainerError, Unpacked,
    address::{Form, Record},
    columnar,
    stream::{self, Compression, told},
};

/// One line of JSON Lines that is not blank.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes in the stream.
    pub bytes: Range<u64>,
    /// What is in it, without the line's end; none if it is longer than was allowed.
    pub content: Option<&'a [u8]>,
}

/// Why a line has no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is no JSON.
    #[error("it is no JSON object: {0}")]
    Json(String),
    /// Its text is not there.
    #[error("it has no text in `{0}`")]
    NoText(String),
    /// It is too long.
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
}

/// What a record has beside its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// What the table calls it.
    pub id: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its text, in the table's charset.
    pub text: Vec<u8>,
}

/// Hands over the lines of a stream, none longer than `limit` in memory.
///
/// # Errors
/// If the stream ends with an error.
pub fn lines(stream: impl Read, limit: u64, give: &mut dyn FnMut(Line<'_>)) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let (mut line, mut number, mut start) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let mut read = (&mut reader).take(limit + 1).read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok(());
        }
        let too_long = read > limit && line.last() != Some(&b'\n');
        if too_long {
            read += skip_line(&mut reader)?;
        }
        number += 1;
        let content = line.trim_ascii();
        if too_long || !content.is_empty() {
            let content = (!too_long).then_some(content);
            give(Line { number, bytes: start..start + read, content });
        }
        start += read;
    }
}

/// Skips to the next line; how many bytes that took.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        let ended = end.is_some() || buffer.is_empty();
        reader.consume(taken);
        skipped += taken as u64;
        if ended {
            return Ok(skipped);
        }
    }
}

/// The id, title and text of a line of JSON Lines.
///
/// # Errors
/// If it is no object, or its text no text.
pub fn text_of(line: &[u8], columns: &Columns) -> Result<Fields, LineError> {
    let object: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| LineError::Json(error.to_string()))?;
    let text = object.get(&columns.text).and_then(Value::as_str);
    let text = text.ok_or_else(|| LineError::NoText(columns.text.clone()))?;
    let named = |column: &str| match object.get(column)? {
        Value::String(value) if !value.is_empty() => Some(value.clone()),
        Value::Number(value) => Some(value.to_string()),
        _ => None,
    };
    Ok(Fields { id: named(&columns.id), title: named(&columns.title), text: text.into() })
}

/// Hands over the records below the header of a table, each with its number, from 1, and its place.
pub(super) fn records(
    stream: &mut dyn Read,
    delimiter: u8,
    columns: &Columns,
    give: &mut dyn FnMut(u64, Range<u64>, Form, Option<Fields>),
) -> Result<(), ContainerError> {
    let left = Rc::new(Cell::new(columns.limit));
    let bounded = Bounded { stream, left: Rc::clone(&left), limit: columns.limit };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bounded);
    let header = reader.byte_headers()?.clone();
    let place = |wanted: &str| header.iter().position(|name| name == wanted.as_bytes());
    let text = place(&columns.text).ok_or_else(|| ContainerError::NoColumn {
        wanted: columns.text.clone(),
        found: header.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(", "),
    })?;
    let (id, title) = (place(&columns.id), place(&columns.title));
    let (mut record, mut number) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record)? {
        left.set(columns.limit);
        number += 1;
        let start = record.position().expect("a record that was read has a place").byte();
        let named = |column: Option<usize>| {
            let value = String::from_utf8_lossy(record.get(column?)?).into_owned();
            Some(value).filter(|value| !value.is_empty())
        };
        let fields = record.get(text).map(|text| Fields {
            id: named(id),
            title: named(title),
            text: text.to_vec(),
        });
        give(number, start..reader.position().byte(), Form::Csv(text, delimiter), fields);
    }
    Ok(())
}

/// A stream that ends with an error where a record has no end: else one stray quotation mark would
/// bring the rest of the table into memory.
struct Bounded<R> {
    stream: R,
    left: Rc<Cell<u64>>,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let Some(left) = self.left.get().checked_sub(read as u64) else {
            let message = format!("a record is longer than {} bytes", self.limit);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        self.left.set(left);
        Ok(read)
    }
}

/// The text in a record's bytes.
pub(super) fn text_in(bytes: &[u8], form: &Form) -> Option<Vec<u8>> {
    match form {
        Form::Json(field) => {
            let object: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
            Some(object.get(field)?.as_str()?.into())
        }
        Form::Csv(field, delimiter) => {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .delimiter(*delimiter)
                .flexible(true)
                .from_reader(bytes);
            let mut record = csv::ByteRecord::new();
            reader.read_byte_record(&mut record).ok()?.then_some(())?;
            Some(record.get(*field)?.to_vec())
        }
        Form::Parquet(_) => Some(bytes.to_vec()),
    }
}

/// The file that a record's bytes are in.
pub(super) fn of(
    path: &Path,
    member: Option<&str>,
    record: &Record,
    unpacked: &Unpacked,
) -> Result<File, ContainerError> {
    let place = match &record.form {
        Form::Parquet(column) => columnar::texts(path, member, column, unpacked)?,
        _ if member.is_none() && told(&path.to_string_lossy()).1 == Compression::None => {
            path.to_owned()
        }
        _ => as_it_is(path, member, unpacked)?,
    };
    Ok(File::open(&place)?)
}

/// The unpacked copy of a file or a member of an archive.
pub(super) fn as_it_is(
    path: &Path,
    member: Option<&str>,
    unpacked: &Unpacked,
) -> Result<std::path::PathBuf, ContainerError> {
    unpacked.copy(path, &["bytes", member.unwrap_or_default()], |copy| {
        stream::open(path, member, |stream| io::copy(stream, copy).map(drop))
    })
}
