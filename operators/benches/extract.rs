//! Extraction of the sample library's pages, as the site would serve them.

use std::{hint::black_box, path::Path};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use encoding_rs::SHIFT_JIS;
use operators::extract::{Extractor, Rule};

fn pages() -> Vec<Vec<u8>> {
    let cards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../graphs/sample/cards");
    let pattern = format!("{}/*/files/*.html", cards.display());
    let mut paths: Vec<_> = glob::glob(&pattern).expect("our own pattern").flatten().collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let page = std::fs::read_to_string(path).expect("the sample library is UTF-8");
            SHIFT_JIS.encode(&page).0.into_owned()
        })
        .collect()
}

fn extract(criterion: &mut Criterion) {
    let pages = pages();
    let extractor = Extractor::new(&Rule::Aozora).expect("a rule without a selector");
    let mut group = criterion.benchmark_group("extract");
    group.throughput(Throughput::Bytes(pages.iter().map(|page| page.len() as u64).sum()));
    group.bench_function("24 pages", |bencher| {
        bencher.iter(|| {
            for page in &pages {
                black_box(extractor.text(page, None).expect("every page has a text"));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, extract);
criterion_main!(benches);
