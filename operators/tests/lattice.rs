//! The analyzer cuts every line as lindera's own lattice does over the same files, set as MeCab is.

#[path = "reference/lattice.rs"]
mod lattice;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use lattice::{Files, Reference};
use operators::analyzer::{Analyzer, Dictionary};
use proptest::prelude::*;

static DICTIONARY: LazyLock<(Arc<Dictionary>, Files)> = LazyLock::new(|| {
    let home = Dictionary::locate();
    let ours = Dictionary::open(&home).unwrap_or_else(|error| panic!("{error}"));
    (ours, Files::open(&home))
});

struct Cutters {
    ours: Analyzer,
    reference: Reference<'static>,
}

impl Cutters {
    fn new() -> Self {
        let (ours, files) = &*DICTIONARY;
        Self { ours: Analyzer::new(Arc::clone(ours)), reference: Reference::new(files) }
    }

    /// Compares where the words of a line begin.
    fn assert_equal(&mut self, line: &str) {
        let starts = self.reference.starts(line);
        let mut reference = Vec::new();
        let ends = starts.iter().skip(1).map(|&(start, _)| start).chain([line.len()]);
        for (&(start, _), end) in starts.iter().zip(ends) {
            let word = &line[start..end];
            // The analyzer hands out blanks one by one.
            let is_blank = word.chars().all(|character| " \t\u{b}".contains(character));
            let places = word.char_indices().map(|(place, _)| start + place);
            reference.extend(places.take(if is_blank { usize::MAX } else { 1 }));
        }
        let (mut ours, mut place) = (Vec::new(), 0);
        self.ours.words(line, |word| {
            ours.push(place);
            place += word.surface.len();
        });
        assert_eq!(ours, reference, "where the words of {line:?} begin");
    }
}

#[test]
fn every_line_of_real_text_is_cut_as_lindera_cuts_it() {
    let mut cutters = Cutters::new();
    let mut lines = 0;
    for text in texts() {
        for line in text.lines().filter(|line| !line.is_empty()) {
            cutters.assert_equal(line);
            lines += 1;
        }
    }
    assert!(lines > 2000, "{lines} lines");
}

/// The sample library's pages with their markup, the sentences of the segmentation test, and the
/// golden texts where there are any.
fn texts() -> impl Iterator<Item = String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = std::env::var_os("SESERAGI_TEST_DATA")
        .map_or_else(|| here.join("../../shared"), PathBuf::from);
    let patterns = [
        here.join("../graphs/sample/cards/*/files/*.html"),
        here.join("tests/*.tsv"),
        data.join("aozora/golden/dev/**/*.clean.txt"),
    ];
    patterns.into_iter().flat_map(|pattern| {
        let pattern = pattern.to_string_lossy().into_owned();
        glob::glob(&pattern)
            .expect("our own pattern")
            .flatten()
            .map(|path| fs::read_to_string(path).expect("all of them are UTF-8"))
    })
}

#[test]
fn long_runs_of_one_character_are_cut_as_lindera_cuts_them() {
    let mut cutters = Cutters::new();
    for unit in ["漢", "か", "カ", "a", "0", " ", "\u{3000}", "〇", "ー", "々", "𠮷", "\u{3099}"]
    {
        for length in [1, 2, 24, 25, 26, 27, 49, 50, 51, 52, 1000] {
            cutters.assert_equal(&unit.repeat(length));
            cutters.assert_equal(&format!("雨{}が降る。", unit.repeat(length)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_cut_as_lindera_cuts_it(text in "[^\0\n]{1,80}") {
        Cutters::new().assert_equal(&text);
    }

    // What is like a language has far more words, and more paths of equal cost.
    #[test]
    fn japanese_and_odd_text_is_cut_as_lindera_cuts_it(
        text in "([ぁ-ん]{1,6}|[ァ-ヶー]{1,6}|[一-龠]{1,4}|[〇一二三四五六七八九十百千万億]{1,4}|[ａ-ｚ０-９]|[a-z0-9 ]|[。、「」…―〜々〇ヽヾゝゞ]|[\u{3000}\t\r\u{b}\u{c}Ð]|[\u{3099}\u{200d}\u{fe0f}]|[😀-😿]|[𠀀-𠀿]){1,60}"
    ) {
        Cutters::new().assert_equal(&text);
    }
}
