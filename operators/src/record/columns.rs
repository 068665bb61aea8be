//! Reading columns by name, with the one panic that a wrong batch deserves.

use arrow_array::{Array, RecordBatch, StructArray};

/// The column `name` as the array type `A`.
pub fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> &'a A {
    batch
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref())
        .expect("the batch was checked against its record's schema")
}

/// The field `name` of a struct column as the array type `A`.
pub fn field<'a, A: Array + 'static>(column: &'a StructArray, name: &str) -> &'a A {
    column
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref())
        .expect("the batch was checked against its record's schema")
}
