//! How fast text becomes words: the bare lattice, the analyzer around it, and the whole stage; and
//! what it takes to open the dictionary.
//!
//! The stage is meant to keep nine tenths of the lattice's speed. The text is real where
//! `SESERAGI_TEST_DATA` names the test data, else the sentences of the segmentation test.

use std::{env, fs, hint::black_box, path::PathBuf, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lindera::{
    dictionary::{Dictionary as System, DictionaryBuilder, Lattice},
    mode::{Mode, Penalty},
};
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

    let system = System::load_from_path(&home.join("compiled")).expect("it was just opened");
    let space = "\u{3000},9,9,1287,記号,空白,*,*,*,*,*,*,*\n";
    let additions = DictionaryBuilder::new((*system.metadata).clone())
        .build_user_dict_from_reader(space.as_bytes())
        .expect("a row of IPADIC");
    let mode = Mode::Decompose(Penalty {
        kanji_penalty_length_threshold: usize::MAX,
        kanji_penalty_length_penalty: 0,
        other_penalty_length_threshold: usize::MAX,
        other_penalty_length_penalty: 0,
    });
    let (mut lattice, mut starts) = (Lattice::default(), Vec::new());
    group.bench_function("lattice", |bencher| {
        bencher.iter(|| {
            let mut words = 0;
            for line in text.lines() {
                lattice.set_text(
                    &system.prefix_dictionary,
                    &Some(&additions.dict),
                    &system.character_definition,
                    &system.unknown_dictionary,
                    &system.connection_cost_matrix,
                    line,
                    &mode,
                    Some(24),
                    true,
                );
                lattice.tokens_offset_into(&mut starts);
                words += starts.len();
            }
            words
        });
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
