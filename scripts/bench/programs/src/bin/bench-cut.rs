//! Cuts the text of pages into words and does nothing else, in one thread: the limit that the benchmarks
//! hold the whole river against.
//!
//! ```text
//! cargo run --release -p bench-programs --bin bench-cut -- LIST
//! ```
//!
//! LIST names a page of Aozora Bunko a line. Extraction is not timed. `lattice` is lindera's own lattice with
//! the settings that make it equal to MeCab; `analyzer` is what the stage uses. Prints a line of JSON.
#![allow(clippy::print_stdout)] // what it found

#[path = "../../../../../operators/tests/reference/lattice.rs"]
mod lattice;

use std::{error::Error, fs, hint::black_box, sync::Arc, time::Instant};

use lattice::{Files, Reference};
use operators::{
    analyzer::{Analyzer, Dictionary},
    extract::{Extractor, Rule},
};
use serde_json::json;

/// The program's, with settings of its own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let list = std::env::args().nth(1).ok_or("name a file that lists pages")?;
    let extractor = Extractor::new(&Rule::Aozora)?;
    let mut texts = Vec::new();
    for path in fs::read_to_string(list)?.lines() {
        let page = fs::read(path).map_err(|error| format!("could not read {path}: {error}"))?;
        texts.extend(extractor.text(&page, None).ok()); // a page without text is a reject
    }
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();

    let home = Dictionary::locate();
    let dictionary = Dictionary::open(&home)?;
    let files = Files::open(&home);
    let mut reference = Reference::new(&files);
    let mut in_lattice = || {
        let begun = Instant::now();
        for line in texts.iter().flat_map(|text| text.lines()) {
            black_box(reference.starts(line));
        }
        begun.elapsed().as_secs_f64()
    };
    let mut words = 0u64;
    let mut in_analyzer = || {
        let mut analyzer = Analyzer::new(Arc::clone(&dictionary));
        let begun = Instant::now();
        words = 0;
        for text in &texts {
            analyzer.words(text, |word| {
                black_box(word);
                words += 1;
            });
        }
        begun.elapsed().as_secs_f64()
    };
    let _warming_up = (in_lattice(), in_analyzer());
    let (lattice_seconds, analyzer_seconds) = (in_lattice(), in_analyzer());
    let outcome = json!({
        "pages": texts.len(),
        "characters": characters,
        "words": words,
        "lattice": lattice_seconds,
        "analyzer": analyzer_seconds,
    });
    println!("{outcome}");
    Ok(())
}
