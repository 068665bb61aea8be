//! One training step with the full and with the adaptive softmax at 40,000 words, 32 lanes of 64
//! columns, on the CPU.
//!
//! The targets' ranks are drawn as words' are, by Zipf's law. With `SESERAGI_BENCH_IDS` naming a
//! `words.u32` that `seseragi export --format ids` wrote, both learn its last million ids instead,
//! side by side, and their held-out losses and times are printed after each chunk.
#![allow(missing_docs)] // criterion's macros make undocumented functions
#![allow(clippy::print_stdout)] // a bench prints what it found

use std::{ops::ControlFlow, time::Instant};

use criterion::{Criterion, Throughput, criterion_group};
use model::optimizer::AdamConstants;
use model::{
    Cell, Clip, NewRow, Optimizer, Schedule, Settings, Shape, Softmax, Trainer, Vectors, device,
};

const ROWS: usize = 40_000;
const WORDS: usize = 32 * 64;

fn trainer(hidden: usize, layers: usize, softmax: Softmax) -> Trainer {
    let settings = Settings {
        shape: Shape {
            cell: Cell::Lstm,
            layers,
            hidden,
            embedding: 200,
            tied: true,
            dropout: 0.0,
            identity: 1.0,
            softmax,
        },
        vectors: Vectors::Tuned,
        optimizer: Optimizer::Adam(AdamConstants::default()),
        schedule: Schedule::constant(2e-3),
        clip: Clip::Norm(1.0),
        batch: 32,
        sequence: 64,
        passes: 1,
        precision: model::Precision::Float32,
        average: 0.0,
        regularization: model::Regularization::default(),
    };
    let mut trainer = Trainer::new(&settings, 1, tch::Device::Cpu).expect("valid settings");
    let unknown = NewRow { vector: None, parts: &[] };
    trainer.append_rows(&vec![unknown; ROWS]).expect("rows without parts");
    trainer
}

fn learn(trainer: &mut Trainer, words: &[u32]) {
    let mut observe = |_: &_| ControlFlow::Continue(());
    trainer.learn(words, &mut observe).expect("a chunk that can be learnt");
}

fn both() -> [(&'static str, Softmax); 2] {
    let adaptive = Softmax::Adaptive { cutoffs: vec![2000, 10_000], reduction: 4 };
    [("full", Softmax::Full), ("adaptive", adaptive)]
}

fn prepare() {
    device::keep_freed_memory();
    device::set_threads(std::thread::available_parallelism().map_or(1, Into::into));
}

fn softmax(criterion: &mut Criterion) {
    prepare();
    let mut group = criterion.benchmark_group("softmax");
    group.throughput(Throughput::Elements(WORDS as u64)).sample_size(10);
    // Rank r has a share of about 1/r: the inverse of the distribution is ROWSᵘ.
    let unit = |i: usize| (i * 7919 % WORDS) as f64 / WORDS as f64;
    let words: Vec<u32> = (0..WORDS).map(|i| (ROWS as f64).powf(unit(i)) as u32 - 1).collect();
    for (hidden, layers) in [(256, 1), (512, 1), (512, 2)] {
        for (name, softmax) in both() {
            let mut trainer = trainer(hidden, layers, softmax);
            group.bench_function(format!("{layers}x{hidden}/{name}"), |bencher| {
                bencher.iter(|| learn(&mut trainer, &words));
            });
        }
    }
}

/// Both learn the same ids in turns, so that what else the machine does costs both the same.
fn compare(path: &std::ffi::OsStr) {
    const CHUNK: usize = 32_768;
    prepare();
    let bytes = std::fs::read(path).expect("SESERAGI_BENCH_IDS names a file of ids");
    let ids: Vec<u32> = bytes
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let ids = &ids[ids.len().saturating_sub(1_000_000)..];
    let (learnt, held_out) = ids.split_at(ids.len() * 19 / 20);
    let documents: Vec<&[u32]> = held_out.chunks(1000).collect();
    let mut trainers = both().map(|(name, softmax)| (name, trainer(256, 1, softmax), 0.0));
    for (number, chunk) in learnt.chunks(CHUNK).enumerate() {
        for (name, trainer, seconds) in &mut trainers {
            let begun = Instant::now();
            learn(trainer, chunk);
            *seconds += begun.elapsed().as_secs_f64();
            let scores = trainer.network().score_documents(&documents).expect("known words");
            let score: model::Score = scores.into_iter().sum();
            println!(
                "chunk {number} {name}: {:.4} nats an id held out, {seconds:.1} s of training",
                score.mean()
            );
        }
    }
}

criterion_group!(benches, softmax);

fn main() {
    match std::env::var_os("SESERAGI_BENCH_IDS") {
        Some(path) => compare(&path),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
