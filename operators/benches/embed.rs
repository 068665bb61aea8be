//! How fast distinct words get their vectors: the table of vectors, and the column made of it.
//!
//! One document of 5,000 distinct words, nine of ten of them with a vector of 200 components.

use std::{hint::black_box, io::Write, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use operators::{
    batch::Batch,
    embed::Embedder,
    record::{Entry, Words, WordsRow},
    vectors::{Format, Vectors},
};

const DIMENSION: usize = 200;
const KNOWN: usize = 50_000;
const DISTINCT: usize = 5_000;

fn embed(criterion: &mut Criterion) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut bytes = format!("{KNOWN} {DIMENSION}\n").into_bytes();
    for word in 0..KNOWN {
        bytes.extend(format!("語{word} ").into_bytes());
        bytes
            .extend((0..DIMENSION).flat_map(|component| ((word + component) as f32).to_le_bytes()));
    }
    file.write_all(&bytes).expect("room for 40 MB");
    let vectors = Vectors::open(file.path(), Format::Auto).expect("as word2vec writes them");

    // Every tenth lies behind the last known word.
    let is_known = |word: usize| !word.is_multiple_of(10);
    let number = |word: usize| word * 9 + if is_known(word) { 0 } else { KNOWN };
    let surfaces: Vec<_> = (0..DISTINCT).map(|word| format!("語{}", number(word))).collect();
    let batch = Batch::<Words>::of(
        0,
        [WordsRow {
            entry: Entry::default(),
            content: [0; 32],
            fingerprint: 0,
            characters: 0,
            keys: &[],
            surfaces: surfaces.iter().map(Some).collect(),
            // As of a dictionary that has the same words as the vectors.
            numbers: Some((0..DISTINCT).map(|w| is_known(w).then_some(w as u32)).collect()),
            vectors: None,
        }],
    );

    let mut group = criterion.benchmark_group("embed");
    group.throughput(Throughput::Elements(DISTINCT as u64));
    let mut place = [0.0; DIMENSION];
    group.bench_function("lookup", |bencher| {
        bencher.iter(|| {
            surfaces.iter().filter(|word| vectors.lookup(word, black_box(&mut place))).count()
        });
    });
    let mut embedder = Embedder::new(Arc::clone(&vectors));
    group.bench_function("stage", |bencher| bencher.iter(|| embedder.embed(batch.rows())));
    group.bench_function("open", |bencher| {
        bencher.iter(|| Vectors::open(file.path(), Format::Auto).expect("as before"));
    });
    group.finish();
}

criterion_group!(benches, embed);
criterion_main!(benches);
