//! The weir: what comes after it is in catalogue order, however the documents arrived.

use std::sync::{Arc, Mutex, atomic::AtomicBool};

use operators::{
    Batches, Epoch,
    admit::Admit,
    batch::{Batch, Builder},
    chunk::{CutChunks, Cutter},
    record::{Entry, Lesson, Words, WordsRow},
    resequence::Resequence,
    vocabulary::{Admission, Vocabulary},
};
use proptest::prelude::*;
use timely::dataflow::{
    channels::pact::Pipeline,
    operators::{
        core::{Input, input::Handle},
        generic::Operator,
    },
};

const OWNER: u64 = 0;
// 24 documents of 6 ids do not fill whole chunks, so there is a last one.
const CHUNK: usize = 17;

/// A document of a few words, most of them its own.
fn document(sequence: u64) -> Batch<Words> {
    let words = || (0..4).map(|word| sequence * 3 + word);
    let surfaces: Vec<String> = words().map(|word| format!("語{word}")).collect();
    // As a dictionary that has every other one.
    let numbers = words().map(|word| (word % 2 == 0).then_some(word as u32));
    let keys = [0, 1, 2, 3, 1];
    let row = WordsRow {
        entry: Entry { sequence, ..Entry::default() },
        content: [0; 32],
        fingerprint: sequence.into(),
        characters: 10,
        keys: &keys,
        surfaces: surfaces.into(),
        numbers: Some(numbers.collect()),
        vectors: None,
    };
    Batch::of(0, [row])
}

/// What the learner is told, in order: documents by their number, and chunks by their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Read(u64),
    Chunk(u64, Vec<u32>),
}

fn told(lesson: &Lesson) -> Option<Told> {
    match lesson {
        Lesson::Read(reading) => {
            let words = reading.words.iter().next().expect("a document a batch");
            Some(Told::Read(words.entry.sequence))
        }
        Lesson::Chunk(chunk) => Some(Told::Chunk(chunk.number, chunk.ids().to_vec())),
        Lesson::Closed(..) | Lesson::Ended => None,
    }
}

/// Where a document arrives, how far the dataflow has come by then, and its number.
#[derive(Clone, Debug)]
struct Arrival {
    worker: usize,
    steps: usize,
    sequence: u64,
}

/// What comes out where `workers` workers take in documents as they arrive: `size` an epoch, each
/// epoch open until the last of its documents has come to a worker.
fn run(
    workers: usize,
    size: u64,
    arrivals: &[Arrival],
    weir: for<'s> fn(Batches<'s, Words>) -> Batches<'s, Words>,
) -> Vec<Told> {
    let arrivals = Arc::new(arrivals.to_vec());
    let out = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&out);
    let workers_joined = timely::execute(timely::Config::process(workers), move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let seen = Arc::clone(&seen);
        let mut input: Handle<Epoch, Builder<Words>> = worker.dataflow(|scope| {
            let (input, documents) = scope.new_input_with_builder::<Builder<Words>>();
            let admission = Admission { limit: 4096, minimum_count: 1 };
            let cutter = (index as u64 == OWNER).then(|| Cutter::new(CHUNK, 0, 257, Vec::new()));
            weir(documents)
                .admit(Vocabulary::default(), admission)
                .chunk(cutter, Arc::new(AtomicBool::new(false)))
                .sink(Pipeline, "Tell", move |(input, _)| {
                    input.for_each(|capability, lessons| {
                        let epoch = *capability.least().expect("lessons have an epoch");
                        let mut seen = seen.lock().expect("nobody panics while it is held");
                        seen.extend(lessons.drain(..).map(|lesson| (epoch, lesson)));
                    });
                });
            input
        });
        let ours: Vec<_> = arrivals.iter().filter(|a| a.worker % peers == index).collect();
        // Each epoch's documents come in the order of arrival, those of different workers mixed.
        let epochs = arrivals.iter().map(|a| a.sequence / size).max().map_or(0, |last| last + 1);
        for epoch in 0..epochs {
            for arrival in ours.iter().filter(|a| a.sequence / size == epoch) {
                input.send(document(arrival.sequence));
                input.flush();
                (0..arrival.steps).for_each(|_| {
                    worker.step();
                });
            }
            input.advance_to(epoch + 1);
        }
        // Then everything that is still open closes at once.
        input.close();
        while worker.step_or_park(None) {}
    });
    for worker in workers_joined.expect("workers start").join() {
        worker.expect("no worker fails");
    }
    // As the sink does it: by epoch, and within an epoch in order.
    let mut seen = std::mem::take(&mut *out.lock().expect("all workers have ended"));
    seen.sort_by_key(|(epoch, _)| *epoch);
    seen.iter().filter_map(|(_, lesson)| told(lesson)).collect()
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let order = Just((0..24).collect::<Vec<u64>>()).prop_shuffle();
    let where_and_when = prop::collection::vec((0..4usize, 0..3usize), 24);
    // Without steps between arrivals, all epochs close at once.
    (order, where_and_when, any::<bool>()).prop_map(|(order, where_and_when, at_once)| {
        let arrival = |(sequence, (worker, steps))| {
            let steps = if at_once { 0 } else { steps };
            Arrival { worker, steps, sequence }
        };
        order.into_iter().zip(where_and_when).map(arrival).collect()
    })
}

/// What catalogue order gives, computed without a dataflow.
fn expected() -> Vec<Told> {
    let mut vocabulary = Vocabulary::default();
    let mut cutter = Cutter::new(CHUNK, 0, vocabulary.len(), Vec::new());
    let admission = Admission { limit: 4096, minimum_count: 1 };
    let mut all = Vec::new();
    for sequence in 0..24 {
        let reading = operators::admit::read(&document(sequence), &mut vocabulary, &admission);
        assert!(reading.words.iter().all(|words| words.numbers.is_none()));
        let chunks = cutter.push(reading.ids.values(), vocabulary.len());
        all.push(Lesson::Read(reading));
        all.extend(chunks.into_iter().map(Lesson::Chunk));
    }
    all.extend(cutter.finish().map(Lesson::Chunk));
    all.iter().filter_map(told).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_learner_sees_catalogue_order_whatever_the_arrival_and_the_worker_count(
        arrivals in arrivals(),
        workers in 1..=4usize,
        size in 1..=8u64,
    ) {
        let through = run(workers, size, &arrivals, |documents| documents.resequence(OWNER));
        prop_assert_eq!(through, expected());
    }
}

#[test]
fn without_the_weir_the_same_arrivals_give_other_chunks() {
    let backwards: Vec<_> =
        (0..24).rev().map(|sequence| Arrival { worker: 0, steps: 1, sequence }).collect();
    let with = run(1, 4, &backwards, |documents| documents.resequence(OWNER));
    let without = run(1, 4, &backwards, |documents| documents);
    assert_eq!(with, expected());
    let chunks = |told: &[Told]| -> Vec<Told> {
        told.iter().filter(|told| matches!(told, Told::Chunk(..))).cloned().collect()
    };
    assert_eq!(chunks(&without).len(), chunks(&with).len());
    assert_ne!(chunks(&without), chunks(&with));
}
