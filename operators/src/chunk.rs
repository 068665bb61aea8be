//! Cuts the stream of word ids into chunks of a fixed number of words, in catalogue order.
//!
//! Each reading is passed on, followed by the chunks that it filled. What is left stays until the
//! next epoch, and when the catalogue has ended it becomes the last, smaller chunk; when the job is
//! only drained, it stays with the checkpoint. Chunk boundaries never depend on epochs or arrival.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arrow_array::UInt32Array;
use timely::{
    container::CapacityContainerBuilder,
    dataflow::{Stream, channels::pact::Pipeline, operators::Operator},
};

use crate::{
    Epoch,
    frontier::Frontier,
    record::{Chunk, Lesson, Reading},
};

/// The words that are not in a chunk yet, and what the next chunk is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cutter {
    size: usize,
    next: u64,
    vocabulary: u32,
    pending: Vec<u32>,
}

impl Cutter {
    /// Cuts chunks of `size` words (at least one). `next`, `vocabulary` and `pending` are as the
    /// run's last commit left them: the next chunk's number, the ids given out, the words waiting.
    pub fn new(size: usize, next: u64, vocabulary: u32, pending: Vec<u32>) -> Self {
        Self { size: size.max(1), next, vocabulary, pending }
    }

    /// Adds a document's ids, after which the vocabulary has `vocabulary` ids; the chunks that it
    /// fills.
    pub fn push(&mut self, ids: &[u32], vocabulary: u32) -> Vec<Chunk> {
        self.vocabulary = vocabulary;
        let (mut rest, mut chunks) = (ids, Vec::new());
        loop {
            // No further than the chunk, so that its room is no more than it needs.
            let room = self.size.saturating_sub(self.pending.len());
            let (more, others) = rest.split_at(room.min(rest.len()));
            self.pending.extend_from_slice(more);
            if self.pending.len() < self.size {
                return chunks;
            }
            rest = others;
            // The words of an earlier run may be more than a chunk of this one.
            let behind = self.pending.split_off(self.size);
            let mut words = std::mem::replace(&mut self.pending, behind);
            words.shrink_to_fit(); // the first one has grown by doubling
            chunks.push(self.cut(UInt32Array::from(words)));
            if self.pending.is_empty() {
                // So that the next one does not move while it grows.
                self.pending.reserve_exact(self.size);
            }
        }
    }

    /// What is left, as the last chunk.
    pub fn finish(&mut self) -> Option<Chunk> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| self.cut(UInt32Array::from(rest)))
    }

    fn cut(&mut self, ids: UInt32Array) -> Chunk {
        let chunk = Chunk::new(self.next, ids, self.vocabulary);
        self.next += 1;
        chunk
    }
}

/// The stage.
pub trait CutChunks<'scope> {
    /// Readings and chunks, in order. `drain` is the flag that ends the catalogue early. `cutter`
    /// is `Some` on the owner.
    fn chunk(
        self,
        cutter: Option<Cutter>,
        drain: Arc<AtomicBool>,
    ) -> Stream<'scope, Epoch, Vec<Lesson>>;
}

impl<'scope> CutChunks<'scope> for Stream<'scope, Epoch, Vec<Reading>> {
    fn chunk(
        self,
        mut cutter: Option<Cutter>,
        drain: Arc<AtomicBool>,
    ) -> Stream<'scope, Epoch, Vec<Lesson>> {
        let name = "Chunk";
        self.unary_frontier::<CapacityContainerBuilder<Vec<_>>, _, _, _>(
            Pipeline,
            name,
            |last, _| {
                // Follows the input's frontier, to say one thing more once it has ended.
                let mut last = cutter.is_some().then_some(last);
                move |(input, frontier), output| {
                    input.for_each(|capability, readings| {
                        let cutter = cutter.as_mut().expect("readings reach only the owner");
                        let mut session = output.session(&capability);
                        for reading in readings.drain(..) {
                            let vocabulary = cutter.vocabulary + reading.admitted.num_rows() as u32;
                            let chunks = cutter.push(reading.ids.values(), vocabulary);
                            session.give(Lesson::Read(reading));
                            session.give_iterator(chunks.into_iter().map(Lesson::Chunk));
                        }
                        // Several epochs may close at once: the last word comes after them all.
                        if let (Some(last), Some(epoch)) = (&mut last, capability.least())
                            && last.time() < epoch
                        {
                            last.downgrade(epoch);
                        }
                    });
                    match (frontier.first_open(), &mut last) {
                        (Some(epoch), Some(capability)) if epoch > *capability.time() => {
                            capability.downgrade(&epoch);
                        }
                        (None, Some(capability)) => {
                            let drained = drain.load(Ordering::Acquire);
                            let rest =
                                cutter.as_mut().filter(|_| !drained).and_then(Cutter::finish);
                            output
                                .session(&*capability)
                                .give_iterator(rest.map(Lesson::Chunk).into_iter());
                            last = None;
                        }
                        _ => {}
                    }
                }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(chunks: &[Chunk]) -> Vec<u32> {
        chunks.iter().flat_map(|chunk| chunk.ids().to_vec()).collect()
    }

    #[test]
    fn a_chunk_has_room_for_its_words_and_no_more() {
        let mut cutter = Cutter::new(1000, 0, 1, Vec::new());
        let chunks: Vec<_> = (0..20).flat_map(|_| cutter.push(&[7; 333], 1)).collect();
        assert_eq!(chunks.len(), 6);
        for chunk in chunks {
            let bytes = chunk.words.get_array_memory_size() - size_of_val(chunk.ids());
            assert!(bytes < 1000, "{bytes} more than its words take");
        }
    }

    proptest! {
        #[test]
        fn every_word_is_in_one_chunk_in_order_wherever_the_run_is_broken(
            documents in prop::collection::vec(prop::collection::vec(0..999u32, 0..50), 0..20),
            size in 1..40usize,
            broken_at in 0..20usize,
        ) {
            let mut unbroken = Cutter::new(size, 0, 1, Vec::new());
            let mut chunks: Vec<_> =
                documents.iter().flat_map(|document| unbroken.push(document, 1)).collect();
            prop_assert!(chunks.iter().all(|chunk| chunk.ids().len() == size));
            chunks.extend(unbroken.finish());
            prop_assert_eq!(ids(&chunks), documents.concat());

            let mut cutter = Cutter::new(size, 0, 1, Vec::new());
            let mut again = Vec::new();
            for (index, document) in documents.iter().enumerate() {
                if index == broken_at {
                    cutter = Cutter::new(size, cutter.next, 1, cutter.pending.clone());
                }
                again.extend(cutter.push(document, 1));
            }
            again.extend(cutter.finish());
            let shape = |chunks: &[Chunk]| {
                chunks.iter().map(|c| (c.number, c.ids().to_vec())).collect::<Vec<_>>()
            };
            prop_assert_eq!(shape(&again), shape(&chunks));
        }
    }
}
