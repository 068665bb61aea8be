//! How fast text becomes words: by lindera's own lattice, by the analyzer, and in the whole stage; and
//! what it takes to open the dictionary.
//!
//! The text is real where `SESERAGI_TEST_DATA` names the test data, else the sentences of the
//! segmentation test.

#[path = "../tests/reference/lattice.rs"]
mod lattice;

use std::{env, fs, hint::black_box, path::PathBuf, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lattice::{Files, Reference};
use operators::{
    analyzer::{Analyzer, Dictionary},
    batch::Batch,
    record::{Document, DocumentRow, Entry},
    tokenize::Tokenizer,
};

/// How much text is cut in one measurement, in bytes.
const SIZE: usize = 1_000_000;

fn text() -> String {
    let mut folders: Vec<_> = env::var_os("SESERAGI_TEST_DATA")
        .map(|data| PathBuf::from(data).join("aozora/golden/dev"))
        .into_iter()
        .collect();
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".clean.txt") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let mut text: String = paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    if text.is_empty() {
        let sentences = include_str!("../tests/segmentation.tsv").lines();
        text = sentences.filter_map(|line| line.split('\t').next()).collect::<Vec<_>>().join("\n");
    }
    text.push('\n');
    let whole = text.len();
    text = text.repeat(SIZE.div_ceil(whole));
    let end = text[..text.floor_char_boundary(SIZE)].rfind('\n').map_or(whole, |end| end + 1);
    text.truncate(end);
    text
}

fn tokenize(criterion: &mut Criterion) {
    let text = text();
    let home = Dictionary::locate();
    let dictionary = Dictionary::open(&home).unwrap_or_else(|error| panic!("{error}"));
    let mut group = criterion.benchmark_group("tokenize");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);

    let files = Files::open(&home);
    let mut reference = Reference::new(&files);
    group.bench_function("lindera's lattice", |bencher| {
        bencher.iter(|| text.lines().map(|line| reference.starts(line).len()).sum::<usize>());
    });

    let mut analyzer = Analyzer::new(Arc::clone(&dictionary));
    group.bench_function("analyzer", |bencher| {
        bencher.iter(|| {
            analyzer.words(&text, |word| {
                black_box(word);
            });
        });
    });

    let mut tokenizer = Tokenizer::new(dictionary);
    let document = Batch::<Document>::of(
        0,
        [DocumentRow {
            entry: Entry::default(),
            content: [0; 32],
            fingerprint: 0,
            characters: text.chars().count() as u64,
            text: &text,
        }],
    );
    group.bench_function("stage", |bencher| bencher.iter(|| tokenizer.tokenize(&document)));
    group.finish();

    // Mostly the sums of 47 MB, which is what it takes to trust them.
    criterion.bench_function("tokenize/open", |bencher| bencher.iter(|| Dictionary::open(&home)));
}

criterion_group!(benches, tokenize);
criterion_main!(benches);
