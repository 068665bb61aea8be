//! The analyzer cuts as MeCab with IPADIC cuts: on sentences whose segmentation is written down,
//! and, where MeCab and real texts are at hand, on those.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use operators::analyzer::{Analyzer, Dictionary};

fn analyzer() -> Analyzer {
    let dictionary = Dictionary::open(&Dictionary::locate());
    Analyzer::new(dictionary.unwrap_or_else(|error| panic!("{error}")))
}

/// A line's words with a space between them and without the blanks, as `mecab -Owakati` has them.
fn wakati(analyzer: &mut Analyzer, line: &str) -> String {
    let mut words = Vec::new();
    analyzer.words(line, |word| {
        if !matches!(word.surface, " " | "\t" | "\u{b}") {
            words.push(word.surface);
        }
    });
    words.join(" ")
}

#[test]
fn sentences_are_cut_as_mecab_cut_them() {
    let mut analyzer = analyzer();
    let (mut sentences, mut known) = (0, 0);
    let mut wrong = Vec::new();
    for line in include_str!("segmentation.tsv").lines().filter(|line| !line.starts_with("# ")) {
        let columns: Vec<_> = line.split('\t').collect();
        let (sentence, expected) = match columns[..] {
            [sentence, mecab] => (sentence, mecab),
            [marked, mecab, ours, _reason] => {
                let sentence = marked.strip_prefix('≠').expect("a known difference is marked");
                assert_ne!(mecab, ours, "{sentence}: no difference any more: take off the mark");
                known += 1;
                (sentence, ours)
            }
            _ => panic!("{line:?} has {} columns", columns.len()),
        };
        let found = wakati(&mut analyzer, sentence);
        if found != expected {
            wrong.push(format!("{sentence}\n  expected {expected}\n  found    {found}"));
        }
        sentences += 1;
    }
    assert!(wrong.is_empty(), "{} of {sentences} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(sentences >= 100 && known <= 3, "{known} of {sentences} are known to differ");
}

#[test]
fn real_texts_are_cut_as_mecab_cuts_them() {
    let Some(mecab) = mecab() else {
        eprintln!("skipped: there is no MeCab with IPADIC in UTF-8 here");
        return;
    };
    let texts = texts();
    if texts.is_empty() {
        eprintln!("skipped: there are no golden texts; name their folder in SESERAGI_TEST_DATA");
        return;
    }
    let text = texts.concat();
    let theirs = segment(&mecab, &text);
    let mut analyzer = analyzer();
    let (mut lines, mut equal) = (0_u32, 0_u32);
    let mut examples = Vec::new();
    for (line, theirs) in text.lines().zip(theirs.lines()) {
        let ours = wakati(&mut analyzer, line);
        lines += 1;
        if ours == theirs.trim_end_matches(' ') {
            equal += 1;
        } else if examples.len() < 5 {
            examples.push(format!("mecab {theirs}\nours  {ours}"));
        }
    }
    assert_eq!(lines as usize, theirs.lines().count(), "MeCab gives a line for each line");
    let share = f64::from(equal) / f64::from(lines);
    eprintln!("{equal} of {lines} lines equal ({:.3} %)", 100.0 * share);
    assert!(share >= 0.997, "only {:.3} %:\n{}", 100.0 * share, examples.join("\n"));
}

/// The arguments under which the installed MeCab uses IPADIC in UTF-8.
fn mecab() -> Option<Vec<&'static str>> {
    [vec!["-d", "/var/lib/mecab/dic/ipadic-utf8"], vec![]].into_iter().find(|arguments| {
        let Ok(output) = Command::new("mecab").args(arguments).arg("-D").output() else {
            return false;
        };
        let described = String::from_utf8_lossy(&output.stdout).to_lowercase();
        let field = |name: &str| {
            let line = described.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().to_owned())
        };
        // IPADIC has 392,126 words, and 令和 as Debian has it.
        let sizes = ["392126", "392127"].map(|size| Some(size.to_owned()));
        field("charset:").is_some_and(|charset| ["utf-8", "utf8"].contains(&charset.as_str()))
            && sizes.contains(&field("size:"))
    })
}

fn segment(arguments: &[&str], text: &str) -> String {
    let mut child = Command::new("mecab")
        .args(arguments)
        // Longer lines than this would be cut by MeCab's reader.
        .args(["-Owakati", "-b", "4000000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it ran a moment ago");
    let mut stdin = child.stdin.take().expect("piped");
    // Written beside the reading: both pipes are shorter than the texts.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(text.as_bytes()).expect("MeCab reads to the end"));
        child.wait_with_output().expect("MeCab ends")
    });
    assert!(output.status.success(), "mecab failed: {}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8 in, UTF-8 out")
}

/// The clean texts among the test data; all those that are there.
fn texts() -> Vec<String> {
    let data = env::var_os("SESERAGI_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let mut paths = Vec::new();
    collect(&data.join("aozora/golden"), &mut paths);
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).expect("clean text is UTF-8")).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.to_string_lossy().ends_with(".clean.txt") {
            paths.push(path);
        }
    }
}

#[test]
fn analyzers_share_one_dictionary() {
    let dictionary = Dictionary::open(&Dictionary::locate()).unwrap_or_else(|e| panic!("{e}"));
    let sentence = "庭には二羽鶏がいる。";
    let alone = wakati(&mut Analyzer::new(Arc::clone(&dictionary)), sentence);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut analyzer = Analyzer::new(Arc::clone(&dictionary));
                assert_eq!(wakati(&mut analyzer, sentence), alone);
            });
        }
    });
}
