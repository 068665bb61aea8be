//! The container that timely moves: Arrow record batches of one kind of record.
//!
//! Within a process a batch moves as a pointer. Between processes it travels as an Arrow IPC stream
//! and comes out as slices of the bytes that were received.

use std::{cell::OnceCell, fmt, io::Write, marker::PhantomData};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::{reader::StreamDecoder, writer::StreamWriter};
use timely::{
    Accountable,
    container::{CapacityContainerBuilder, DrainContainer, PushInto, SizableContainer},
    dataflow::channels::ContainerBytes,
};

use crate::record::Record;

/// Builds containers of batches; what operators name as their output's builder.
pub type Builder<R> = CapacityContainerBuilder<Container<R>>;

/// One record batch whose columns are those of `R`, and where an exchange sends it.
pub struct Batch<R> {
    /// The worker that an exchange sends this batch to, modulo the number of workers.
    pub route: u64,
    rows: RecordBatch,
    kind: PhantomData<fn() -> R>,
}

impl<R: Record> Batch<R> {
    /// Encodes rows into a batch.
    pub fn of<'a>(route: u64, rows: impl IntoIterator<Item = R::Row<'a>>) -> Self {
        Self::from_rows(route, R::encode(rows.into_iter()))
    }

    /// Takes a record batch that has the columns of `R`.
    ///
    /// # Panics
    /// If the columns are others: batches are made by our own stages only.
    pub fn from_rows(route: u64, rows: RecordBatch) -> Self {
        assert!(
            R::matches(&rows.schema()),
            "a {} batch has the columns {}",
            R::NAME,
            rows.schema()
        );
        Self { route, rows, kind: PhantomData }
    }

    /// The Arrow batch itself.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The rows, borrowed from the batch's buffers.
    pub fn iter(&self) -> impl Iterator<Item = R::Row<'_>> {
        (0..self.rows.num_rows()).map(|row| R::row(&self.rows, row))
    }
}

impl<R> Clone for Batch<R> {
    fn clone(&self) -> Self {
        Self { route: self.route, rows: self.rows.clone(), kind: PhantomData }
    }
}

impl<R: Record> fmt::Debug for Batch<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}] to {}", R::NAME, self.rows.num_rows(), self.route)
    }
}

/// What timely ships: some batches of one kind.
pub struct Container<R> {
    batches: Vec<Batch<R>>,
    // Timely asks for the length and for the bytes separately: encode once and keep it.
    wire: OnceCell<Vec<u8>>,
}

impl<R> Default for Container<R> {
    fn default() -> Self {
        Self { batches: Vec::new(), wire: OnceCell::new() }
    }
}

impl<R> Clone for Container<R> {
    fn clone(&self) -> Self {
        Self { batches: self.batches.clone(), wire: OnceCell::new() }
    }
}

impl<R> Container<R> {
    /// The batches, to look at.
    pub fn batches(&self) -> &[Batch<R>] {
        &self.batches
    }
}

impl<R> Accountable for Container<R> {
    fn record_count(&self) -> i64 {
        i64::try_from(self.batches.len()).expect("a container holds a few batches")
    }
}

impl<R> DrainContainer for Container<R> {
    type Item<'a>
        = Batch<R>
    where
        R: 'a;
    type DrainIter<'a>
        = std::vec::Drain<'a, Batch<R>>
    where
        R: 'a;

    fn drain(&mut self) -> Self::DrainIter<'_> {
        self.wire.take();
        self.batches.drain(..)
    }
}

impl<R> SizableContainer for Container<R> {
    // A batch is a whole document: ship each one at once rather than hold text back.
    fn at_capacity(&self) -> bool {
        !self.batches.is_empty()
    }

    fn ensure_capacity(&mut self, _stash: &mut Option<Self>) {}
}

impl<R> PushInto<Batch<R>> for Container<R> {
    fn push_into(&mut self, batch: Batch<R>) {
        self.wire.take();
        self.batches.push(batch);
    }
}

// The wire: [batches], then for each [route, length, an IPC stream of one record batch], every part
// padded to eight bytes so that the buffers inside lie aligned and are used where they arrived.
const WORD: usize = size_of::<u64>();

impl<R: Record> Container<R> {
    fn wire(&self) -> &[u8] {
        self.wire.get_or_init(|| {
            let mut wire = Vec::new();
            wire.extend((self.batches.len() as u64).to_le_bytes());
            for batch in &self.batches {
                wire.extend(batch.route.to_le_bytes());
                let length_at = wire.len();
                wire.extend([0; WORD]);
                let start = wire.len();
                write_stream(&mut wire, &R::to_send(&batch.rows));
                let length = (wire.len() - start) as u64;
                wire[length_at..start].copy_from_slice(&length.to_le_bytes());
                wire.resize(wire.len().next_multiple_of(WORD), 0);
            }
            wire
        })
    }
}

fn write_stream(wire: &mut Vec<u8>, rows: &RecordBatch) {
    let broken = "writing a record batch into memory cannot fail";
    let mut writer = StreamWriter::try_new(wire, &rows.schema()).expect(broken);
    writer.write(rows).expect(broken);
    writer.finish().expect(broken);
}

struct Received(timely::bytes::arc::Bytes);

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<R: Record> ContainerBytes for Container<R> {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        let wire = Buffer::from(bytes::Bytes::from_owner(Received(bytes)));
        let number = |at: usize| {
            u64::from_le_bytes(wire[at..at + WORD].try_into().expect("a slice of one word"))
        };
        let mut at = WORD;
        let batches = (0..number(0))
            .map(|_| {
                let (route, length) = (number(at), number(at + WORD) as usize);
                let rows = read_stream(wire.slice_with_length(at + 2 * WORD, length));
                at += (2 * WORD + length).next_multiple_of(WORD);
                Batch::from_rows(route, rows)
            })
            .collect();
        Self { batches, wire: OnceCell::new() }
    }

    fn length_in_bytes(&self) -> usize {
        self.wire().len()
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        writer.write_all(self.wire()).expect("timely hands out a writer into memory");
    }
}

fn read_stream(mut stream: Buffer) -> RecordBatch {
    let broken = "a peer of this very program wrote one record batch";
    let mut decoder = StreamDecoder::new();
    let mut rows = None;
    while !stream.is_empty() {
        rows = decoder.decode(&mut stream).expect(broken).or(rows);
    }
    rows.expect(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Entry, Page, PageRow};

    #[test]
    fn batches_come_over_the_wire_as_they_were_and_lie_where_they_arrived() {
        let body = vec![7; 1000];
        let page = |sequence| PageRow {
            entry: Entry { sequence, title: "水".into(), ..Entry::default() },
            content: [3; 32],
            media: "text/html",
            charset: None,
            body: &body,
        };
        let mut sent = Container::<Page>::default();
        sent.push_into(Batch::of(5, [page(1), page(2)]));
        sent.push_into(Batch::of(6, [page(3)]));
        let mut wire = Vec::new();
        sent.into_bytes(&mut wire);
        assert_eq!(wire.len(), sent.length_in_bytes());

        let arrived = timely::bytes::arc::BytesMut::from(wire).freeze();
        let span = arrived.as_ptr_range();
        let received = Container::<Page>::from_bytes(arrived);
        let told = |container: &Container<Page>| -> Vec<_> {
            let rows = |batch: &Batch<Page>| batch.iter().map(|row| row.entry).collect::<Vec<_>>();
            container.batches().iter().map(|batch| (batch.route, rows(batch))).collect()
        };
        assert_eq!(told(&received), told(&sent));
        for row in received.batches().iter().flat_map(Batch::iter) {
            assert_eq!(row.body, body);
            assert!(span.contains(&row.body.as_ptr()), "the body was copied");
        }
    }
}
