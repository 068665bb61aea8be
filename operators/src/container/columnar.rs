//! Records of Parquet files, a few at a time.

use std::{fs::File, io::Write, path::Path, path::PathBuf};

use arrow_array::{
    Array, ArrayRef, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, UInt64Array,
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};

use super::{
    Columns, ContainerError, Unpacked,
    stream::{Compression, told},
    table::{Fields, as_it_is},
};

/// Rows that are decoded at once.
const ROWS: usize = 64;

/// Hands over the rows of a table, each with its number, from 1; none for a row without a text.
pub fn rows(
    path: &Path,
    member: Option<&str>,
    columns: &Columns,
    unpacked: &Unpacked,
    give: &mut dyn FnMut(u64, Option<Fields>),
) -> Result<(), ContainerError> {
    let wanted = [&columns.text, &columns.id, &columns.title];
    let mut number = 0;
    for batch in reader(path, member, &wanted.map(String::as_str), unpacked)? {
        let batch = batch.map_err(|error| ContainerError::Io(std::io::Error::other(error)))?;
        let texts = text_column(&batch, &columns.text)?;
        for row in 0..batch.num_rows() {
            number += 1;
            let named = |column: &str| batch.column_by_name(column).and_then(|of| value(of, row));
            give(
                number,
                text(texts, row).map(|text| Fields {
                    id: named(&columns.id),
                    title: named(&columns.title),
                    text: text.into(),
                }),
            );
        }
    }
    Ok(())
}

/// The texts of a column, one after the other, in an unpacked copy.
pub fn texts(
    path: &Path,
    member: Option<&str>,
    column: &str,
    unpacked: &Unpacked,
) -> Result<PathBuf, ContainerError> {
    // The copy within the copy is made first: only one is made at a time.
    let batches = reader(path, member, &[column], unpacked)?;
    let part = ["column", column, member.unwrap_or_default()];
    unpacked.copy(path, &part, |copy: &mut dyn Write| {
        for batch in batches {
            let batch = batch.map_err(|error| ContainerError::Io(std::io::Error::other(error)))?;
            let texts = text_column(&batch, column)?;
            for text in (0..batch.num_rows()).filter_map(|row| text(texts, row)) {
                copy.write_all(text.as_bytes())?;
            }
        }
        Ok(())
    })
}

fn reader(
    path: &Path,
    member: Option<&str>,
    columns: &[&str],
    unpacked: &Unpacked,
) -> Result<ParquetRecordBatchReader, ContainerError> {
    let plain = member.is_none() && told(&path.to_string_lossy()).1 == Compression::None;
    let place = if plain { path.to_owned() } else { as_it_is(path, member, unpacked)? };
    let file: File = File::open(&place)?;
    // The types of Parquet, not those that the writer had in memory, such as dictionaries.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let fields = builder.schema().fields();
    let wanted = |name: &&str| fields.find(name).map(|(place, _)| place);
    let places: Vec<usize> = columns.iter().filter_map(wanted).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), places);
    if fields.find(columns[0]).is_none() {
        let found = fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        return Err(ContainerError::NoColumn { wanted: columns[0].to_owned(), found });
    }
    Ok(builder.with_projection(mask).with_batch_size(ROWS).build()?)
}

fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ContainerError> {
    let column = batch.column_by_name(name).expect("the reader was asked for it");
    if column.data_type().is_string() {
        return Ok(column);
    }
    Err(ContainerError::NotText(name.to_owned(), column.data_type().to_string()))
}

fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    let column = column.as_any();
    if let Some(texts) = column.downcast_ref::<StringArray>() {
        return texts.is_valid(row).then(|| texts.value(row));
    }
    if let Some(texts) = column.downcast_ref::<LargeStringArray>() {
        return texts.is_valid(row).then(|| texts.value(row));
    }
    let texts = column.downcast_ref::<StringViewArray>()?;
    texts.is_valid(row).then(|| texts.value(row))
}

/// A text or a number, as an id or a title.
fn value(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    let any = column.as_any();
    let number = any
        .downcast_ref::<Int64Array>()
        .map(|numbers| numbers.value(row).to_string())
        .or_else(|| any.downcast_ref::<Int32Array>().map(|numbers| numbers.value(row).to_string()))
        .or_else(|| {
            any.downcast_ref::<UInt64Array>().map(|numbers| numbers.value(row).to_string())
        });
    number.or_else(|| text(column, row).map(str::to_owned)).filter(|value| !value.is_empty())
}
