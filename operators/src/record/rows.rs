//! Vectors as rows of a table that many batches share: a word costs a row's number, wherever it comes.

use arrow_array::{
    ArrayRef, DictionaryArray, Float32Array, UInt32Array, cast::AsArray, types::UInt32Type,
};
use arrow_select::take::take;

/// For each word the number of its vector's row, null where it has none; and the table.
pub type Rows = DictionaryArray<UInt32Type>;

const WITHIN: &str = "a row's number is below the number of rows";

/// The vector numbered `at`, if that is one.
pub fn vector_at(rows: &Rows, at: usize) -> Option<&[f32]> {
    let row = rows.key(at)?;
    let table = rows.values().as_fixed_size_list();
    let width = table.value_length() as usize;
    let values: &Float32Array = table.values().as_primitive();
    // A slice of a list array keeps the whole child array, from its own offset on.
    let start = table.value_offset_at(row);
    Some(&values.values()[start..start + width])
}

/// Each vector where it is meant, as a list of numbers.
pub fn written_out(rows: &Rows) -> ArrayRef {
    take(rows.values(), rows.keys(), None).expect(WITHIN)
}

/// The same with a table that has no rows but those which are meant.
pub fn without_others(rows: &Rows) -> Rows {
    let meant: UInt32Array = rows.keys().iter().flatten().collect();
    let table = take(rows.values(), &meant, None).expect(WITHIN);
    let mut numbers = 0..;
    let keys = rows.keys().iter().map(|key| key.and_then(|_| numbers.next())).collect();
    Rows::new(keys, table)
}
