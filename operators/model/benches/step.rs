//! One training step of an LSTM of everyday size on the CPU: 2 layers of 512, 20,000 words, 32 lanes
//! of 64 columns. `SESERAGI_BENCH_ALLOCATOR=system` leaves the allocator as it is.
#![allow(missing_docs)] // criterion's macros make undocumented functions

use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::optimizer::AdamConstants;
use model::{
    Cell, Clip, NewRow, Optimizer, Schedule, Settings, Shape, Softmax, Trainer, Vectors, device,
};

const ROWS: u32 = 20_000;
const WORDS: u32 = 32 * 64;

fn step(criterion: &mut Criterion) {
    if std::env::var_os("SESERAGI_BENCH_ALLOCATOR").is_none() {
        device::keep_freed_memory();
    }
    device::set_threads(std::thread::available_parallelism().map_or(1, Into::into));
    let mut group = criterion.benchmark_group("step");
    group.throughput(Throughput::Elements(u64::from(WORDS))).sample_size(10);
    for tied in [false, true] {
        let settings = Settings {
            shape: Shape {
                cell: Cell::Lstm,
                layers: 2,
                hidden: 512,
                embedding: 200,
                tied,
                dropout: 0.0,
                identity: 1.0,
                softmax: Softmax::Full,
            },
            vectors: Vectors::Tuned,
            optimizer: Optimizer::Adam(AdamConstants::default()),
            schedule: Schedule::constant(1e-3),
            clip: Clip::Norm(0.25),
            batch: 32,
            sequence: 64,
            passes: 1,
            precision: model::Precision::Float32,
            average: 0.0,
            regularization: model::Regularization::default(),
        };
        let mut trainer = Trainer::new(&settings, 1, tch::Device::Cpu).expect("valid settings");
        let unknown = NewRow { vector: None, parts: &[] };
        trainer.append_rows(&vec![unknown; ROWS as usize]).expect("rows without parts");
        let words: Vec<u32> = (0..WORDS).map(|i| i.wrapping_mul(2_654_435_761) % ROWS).collect();
        let name = if tied { "tied" } else { "untied" };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut observe = |_: &_| ControlFlow::Continue(());
                trainer.learn(&words, &mut observe).expect("a chunk that can be learnt")
            });
        });
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
