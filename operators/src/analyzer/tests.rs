//! The laws of the analyzer, on the real dictionary.

use std::{fs, sync::LazyLock};

use proptest::prelude::*;

use super::*;

static DICTIONARY: LazyLock<Arc<Dictionary>> =
    LazyLock::new(|| Dictionary::open(&Dictionary::locate()).unwrap_or_else(|e| panic!("{e}")));

fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    Analyzer::new(Arc::clone(&DICTIONARY)).words(text, |word| words.push(word.surface));
    words
}

fn lossless(text: &str) {
    let words = words(text);
    assert_eq!(words.concat(), text);
    assert!(words.iter().all(|word| !word.is_empty()), "no word is empty: {words:?}");
    let ends = words.iter().filter(|word| word.contains('\n'));
    assert!(ends.clone().all(|word| *word == "\n"), "a line end is a word of its own: {words:?}");
}

#[test]
fn a_line_end_and_every_blank_is_a_word() {
    assert_eq!(
        words("\u{3000}雨が  降る。\n\n"),
        ["\u{3000}", "雨", "が", " ", " ", "降る", "。", "\n", "\n"]
    );
    assert_eq!(words(""), [""; 0]);
}

#[test]
fn lines_are_analyzed_apart() {
    let (above, below) = ("外国人参政権について", "、すもももももももものうち。");
    let together = format!("{above}\n{below}");
    assert_eq!(words(&together), [words(above), vec!["\n"], words(below)].concat());
}

#[test]
fn an_analyzer_keeps_nothing_of_the_text_before() {
    let mut analyzer = Analyzer::new(Arc::clone(&DICTIONARY));
    let text = "新しい朝が来た。希望の朝だ。";
    analyzer.words(&"長い行、".repeat(30_000), |_| {});
    let mut again = Vec::new();
    analyzer.words(text, |word| again.push(word.surface));
    assert_eq!(again, words(text));
}

#[test]
fn lines_of_any_length_are_lossless() {
    for unit in
        ["漢", "か", "カ", "a", "0", " ", "\u{3000}", "〇", "\0", "\u{3099}", "👩‍👩‍👧", "𠮷野家"]
    {
        lossless(&unit.repeat(70_000));
    }
    lossless(&"雨が降る。風が吹く、".repeat(20_000));
}

/// What the numbers are for: to stand for the letters.
fn numbered_by_its_letters(text: &str) {
    let mut words = Vec::new();
    Analyzer::new(Arc::clone(&DICTIONARY)).words(text, |word| words.push(word));
    for word in &words {
        for other in &words {
            let (alike, equal) = (word.number == other.number, word.surface == other.surface);
            assert!(alike == equal || (!equal && word.number.is_none()), "{word:?} and {other:?}");
        }
    }
}

#[test]
fn a_word_of_the_dictionary_has_a_number() {
    let mut numbers = Vec::new();
    Analyzer::new(Arc::clone(&DICTIONARY))
        .words("雨だ\n\u{3000}雨 ヌメヌメ丸", |word| numbers.push(word.number));
    let [rain, is, None, None, again, None, ..] = numbers[..] else { panic!("{numbers:?}") };
    assert!(rain.is_some() && is.is_some() && rain != is && rain == again, "{numbers:?}");
    numbered_by_its_letters("雨が降る。雨の日のアメリカ、アメリカの雨はア、メ、リ、カと降る。");
}

#[test]
fn a_damaged_dictionary_names_the_folder_to_delete() {
    let whole = Dictionary::locate().join("compiled");
    LazyLock::force(&DICTIONARY);
    type Damage = fn(&std::path::Path);
    let damages: [(&str, Damage); 4] = [
        ("dict.vals is not as written", |folder| {
            let mut bytes = fs::read(folder.join("dict.vals")).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(folder.join("dict.vals"), bytes).unwrap();
        }),
        ("matrix.mtx is not as written", |folder| {
            fs::File::options()
                .write(true)
                .open(folder.join("matrix.mtx"))
                .unwrap()
                .set_len(9)
                .unwrap();
        }),
        ("unk.bin is missing", |folder| fs::remove_file(folder.join("unk.bin")).unwrap()),
        ("SHA256SUMS cannot be read", |folder| fs::remove_file(folder.join("SHA256SUMS")).unwrap()),
    ];
    for (what, damage) in damages {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("compiled");
        fs::create_dir(&folder).unwrap();
        for file in fs::read_dir(&whole).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        assert!(Dictionary::open(home.path()).is_ok(), "a copy is as good");
        damage(&folder);
        let error = Dictionary::open(home.path()).err().expect("damaged").to_string();
        assert!(error.contains(what), "{error}");
        assert!(error.contains(folder.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_missing_dictionary_says_how_to_get_it() {
    let home = tempfile::tempdir().unwrap();
    let error = Dictionary::open(home.path()).err().expect("empty").to_string();
    assert!(error.contains("make setup") && error.contains("SESERAGI_DICTIONARY"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn words_joined_are_the_text(text in any::<String>()) {
        lossless(&text);
    }

    #[test]
    fn words_joined_are_the_text_in_japanese_and_odd_characters(
        text in "([ぁ-ん]|[ァ-ヶ]|[一-龠]|[ａ-ｚ０-９]|[a-z0-9 ]|[。、「」…―〜々〇]|[\u{3000}\t\r\n\0\u{b}\u{c}Ð]|[\u{3099}\u{200d}\u{fe0f}]|[😀-😿]|[𠀀-𠀿]){0,80}"
    ) {
        lossless(&text);
        numbered_by_its_letters(&text);
    }
}
