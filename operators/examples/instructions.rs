//! Runs one stage of the river once over fixed pages, for whoever counts its instructions.
//!
//! ```sh
//! cargo build --release --example instructions
//! valgrind --tool=callgrind --toggle-collect='*measured*' target/release/examples/instructions extract
//! ```
//!
//! The stages are `extract`, `tokenize`, `embed` and `chunk`. What a stage is given is made before,
//! and only what happens in `measured` counts. Pages named behind the stage are read instead of the
//! sample library. `scripts/count-instructions.sh` holds the counts against those kept.

#![allow(clippy::print_stdout, reason = "a program that is run by hand")]

use std::{hint::black_box, io::Write, path::Path};

use encoding_rs::SHIFT_JIS;
use operators::{
    admit,
    analyzer::Dictionary,
    batch::Batch,
    chunk::Cutter,
    embed::Embedder,
    extract::{Extractor, Rule, fingerprint},
    record::{Document, DocumentRow, Entry, Words},
    tokenize::Tokenizer,
    vectors::{Format, Vectors},
    vocabulary::{Admission, Vocabulary},
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let stage = arguments.next().unwrap_or_default();
    let named: Vec<_> = arguments.collect();
    let pages = if named.is_empty() { sample() } else { named.iter().map(read).collect() };
    match &*stage {
        "extract" => {
            let extractor = extractor();
            measured(|| pages.iter().map(|page| extract(&extractor, page)).collect::<Vec<_>>());
        }
        "tokenize" => {
            let (documents, mut tokenizer) = (documents(&pages), tokenizer());
            measured(|| documents.iter().map(|it| tokenizer.tokenize(it)).collect::<Vec<_>>());
        }
        "embed" => {
            let (words, mut embedder) = (words(&pages), Embedder::new(vectors()));
            // For its table of the dictionary's numbers, which takes a run once what it takes these few
            // pages as well.
            for batch in &words {
                embedder.embed(batch.rows());
            }
            measured(|| words.iter().map(|it| embedder.embed(it.rows())).collect::<Vec<_>>());
        }
        "chunk" => {
            let words = words(&pages);
            let mut vocabulary = Vocabulary::default();
            let mut cutter = Cutter::new(8192, 0, vocabulary.len(), Vec::new());
            let admission = Admission { limit: 8192, minimum_count: 5 };
            measured(|| {
                let mut chunks = Vec::new();
                for batch in words {
                    let reading = admit::read(&batch, &mut vocabulary, &admission);
                    chunks.extend(cutter.push(reading.ids.values(), vocabulary.len()));
                }
                (chunks, cutter.finish())
            });
        }
        "" => println!("name a stage: extract, tokenize, embed or chunk"),
        other => panic!("no stage is called {other:?}: extract, tokenize, embed or chunk"),
    }
}

/// What is counted. Its name is how valgrind knows.
#[inline(never)]
fn measured<T>(stage: impl FnOnce() -> T) {
    black_box(stage());
}

/// The sample library's pages, as the site would serve them.
fn sample() -> Vec<Vec<u8>> {
    let cards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../graphs/sample/cards");
    let pattern = format!("{}/*/files/*.html", cards.display());
    let mut paths: Vec<_> = glob::glob(&pattern).expect("our own pattern").flatten().collect();
    paths.sort();
    let utf8 = |path| std::fs::read_to_string(path).expect("the sample library is UTF-8");
    paths.iter().map(|path| SHIFT_JIS.encode(&utf8(path)).0.into_owned()).collect()
}

fn read(path: &String) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("could not read {path}: {error}"))
}

fn extractor() -> Extractor {
    Extractor::new(&Rule::Aozora).expect("a rule without a selector")
}

fn extract(extractor: &Extractor, page: &[u8]) -> (String, u128, usize) {
    let text = extractor.text(page, None).expect("every page has a text");
    let (fingerprint, characters) = (fingerprint(&text), text.chars().count());
    (text, fingerprint, characters)
}

/// One batch a page, as the river has them.
fn documents(pages: &[Vec<u8>]) -> Vec<Batch<Document>> {
    let extractor = extractor();
    let texts = pages.iter().map(|page| extract(&extractor, page));
    texts
        .map(|(text, fingerprint, characters)| {
            let row = DocumentRow {
                entry: Entry::default(),
                content: [0; 32],
                fingerprint,
                characters: characters as u64,
                text: &text,
            };
            Batch::of(0, [row])
        })
        .collect()
}

fn tokenizer() -> Tokenizer {
    let dictionary = Dictionary::open(&Dictionary::locate());
    Tokenizer::new(dictionary.unwrap_or_else(|error| panic!("{error}")))
}

fn words(pages: &[Vec<u8>]) -> Vec<Batch<Words>> {
    let mut tokenizer = tokenizer();
    documents(pages).iter().map(|batch| tokenizer.tokenize(batch)).collect()
}

/// Vectors of 200 components for every pair of the syllables of hiragana, and for each alone.
fn vectors() -> std::sync::Arc<Vectors> {
    const DIMENSION: usize = 200;
    let syllables = || 'ぁ'..='ん';
    let alone = syllables().map(String::from);
    let pairs = syllables()
        .flat_map(|first| syllables().map(move |second| String::from_iter([first, second])));
    let surfaces: Vec<_> = alone.chain(pairs).collect();
    let mut bytes = format!("{} {DIMENSION}\n", surfaces.len()).into_bytes();
    for (number, surface) in surfaces.iter().enumerate() {
        bytes.extend(format!("{surface} ").into_bytes());
        let components = (0..DIMENSION).map(|component| (number + component) as f32);
        bytes.extend(components.flat_map(f32::to_le_bytes));
    }
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes).expect("room for a few megabytes");
    Vectors::open(file.path(), Format::Auto).expect("as word2vec writes them")
}
