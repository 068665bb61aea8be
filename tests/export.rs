//! What `export` writes can be read back, and is the documents' text, in every format.

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    path::{Path, PathBuf},
};

use arrow_array::{Array, RecordBatch, cast::AsArray, types::UInt32Type};
use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS, UTF_8};
use library::text;
use operators::extract::{Extractor, Rule};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use program::call;
use serde_json::Value;

fn in_words(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// Exports a job in a format; its outcome.
fn export(job: &Path, to: &Path, format: &str) -> Value {
    call(["export", in_words(job), "--to", in_words(to), "--format", format, "--json"]).json()
}

/// The one file of an outcome.
fn only_file(outcome: &Value) -> PathBuf {
    let files: Vec<PathBuf> =
        serde_json::from_value(outcome["files"].clone()).expect("a list of paths");
    let [file] = <[PathBuf; 1]>::try_from(files).expect("one file");
    file
}

/// `[pages, characters, words]`
fn counts(outcome: &Value) -> [u64; 3] {
    ["pages", "characters", "words"].map(|key| outcome[key].as_u64().expect("a count"))
}

/// The documents of a batch of rows: each one's id, and its words.
fn documents(rows: &RecordBatch) -> Vec<(String, Vec<String>)> {
    let ids = rows["entry"].as_struct().column_by_name("id").expect("entries have ids").clone();
    let (keys, surfaces) = (rows["keys"].as_list::<i32>(), rows["surfaces"].as_list::<i32>());
    let document = |row| {
        let (keys, surfaces) = (keys.value(row), surfaces.value(row));
        let surface = |key: &u32| surfaces.as_string::<i32>().value(*key as usize).to_owned();
        let words = keys.as_primitive::<UInt32Type>().values().iter().map(surface).collect();
        (ids.as_string::<i32>().value(row).to_owned(), words)
    };
    (0..rows.num_rows()).map(document).collect()
}

fn arrow_documents(file: &Path) -> Vec<(String, Vec<String>)> {
    let file = File::open(file).expect("it was written");
    let batches = arrow_ipc::reader::FileReader::try_new(file, None).expect("Arrow IPC");
    batches.flat_map(|rows| documents(&rows.expect("a whole batch"))).collect()
}

fn parquet_documents(file: &Path) -> Vec<(String, Vec<String>)> {
    let file = File::open(file).expect("it was written");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|reader| reader.build());
    reader.expect("Parquet").flat_map(|rows| documents(&rows.expect("a whole batch"))).collect()
}

/// What ids stand for, by the table beside them: the bytes of a text, or a document's end.
fn decoded(ids: &Path, vocabulary: &Path) -> Vec<String> {
    let table = fs::read_to_string(vocabulary).expect("it was written");
    let mut meanings = HashMap::new();
    for line in table.lines() {
        let [id, surface, _count] =
            <[&str; 3]>::try_from(line.split('\t').collect::<Vec<_>>()).expect("three columns");
        let id: u32 = id.parse().expect("a number");
        let surface: String = serde_json::from_str(surface).expect("a JSON text");
        // The end of a document and the 256 bytes come first.
        let meaning = match id {
            0 => None,
            1..=256 => Some(vec![u8::try_from(id - 1).expect("a byte")]),
            _ => Some(surface.into_bytes()),
        };
        assert!(meanings.insert(id, meaning).is_none(), "{id} twice");
    }
    let (mut texts, mut text) = (Vec::new(), Vec::new());
    let bytes = fs::read(ids).expect("it was written");
    let (ids, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty(), "four bytes an id");
    for id in ids.iter().map(|id| u32::from_le_bytes(*id)) {
        match &meanings[&id] {
            Some(bytes) => text.extend_from_slice(bytes),
            None => texts.push(String::from_utf8(std::mem::take(&mut text)).expect("UTF-8")),
        }
    }
    assert!(text.is_empty(), "the last document has an end");
    texts
}

/// The texts of the sample library, taken from its pages by hand, by the work's number.
fn sample_texts() -> BTreeMap<String, String> {
    let extractor = Extractor::new(&Rule::Aozora).expect("no selector");
    let cards = Path::new(env!("CARGO_MANIFEST_DIR")).join("graphs/sample/cards");
    let mut texts = BTreeMap::new();
    for author in fs::read_dir(cards).expect("the library comes along") {
        let files = author.expect("a folder").path().join("files");
        for page in fs::read_dir(files).expect("pages") {
            let page = page.expect("a page").path();
            let name = page.file_stem().and_then(|name| name.to_str()).expect("a number");
            let (work, _) = name.split_once('_').expect("work_file");
            let body = fs::read(&page).expect("a file of ours");
            let text = extractor.text(&body, Some("utf-8")).expect("it has a text");
            texts.insert(work.to_owned(), text);
        }
    }
    texts
}

fn without_blanks(text: &str) -> String {
    text.replace([' ', '\n'], "")
}

#[test]
fn every_format_has_the_whole_text_of_every_document_and_all_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = library::job_over(folder.path(), "kind = \"sample\"\n");
    let to = |format: &str| folder.path().join(format);
    let outcomes = ["arrow", "parquet", "text", "ids"].map(|format| {
        let outcome = export(&job, &to(format), format);
        assert!(outcome["seconds"].as_f64().expect("a number") > 0.0);
        assert_eq!(outcome["rejected"], 2, "a work without a page, and one that is there twice");
        let rejects = outcome["rejects"].as_str().expect("a path");
        let why = fs::read_to_string(rejects).expect("a list of them");
        let stages: BTreeSet<String> = why
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["stage"].to_string())
            .collect();
        assert_eq!(stages.into_iter().collect::<Vec<_>>(), ["\"catalogue\"", "\"deduplicate\""]);
        outcome
    });
    let texts = sample_texts();
    let [arrow, parquet, as_text, ids] = &outcomes;

    let documents = arrow_documents(&only_file(arrow));
    let read: BTreeMap<String, String> = documents
        .iter()
        .map(|(id, words)| (id.rsplit('/').next().expect("a work").to_owned(), words.concat()))
        .collect();
    assert!(read.iter().all(|(work, text)| texts[work] == *text), "joined words are the text");
    let different: BTreeSet<&String> = texts.values().collect();
    assert_eq!(read.values().collect::<BTreeSet<_>>(), different, "no text is missing");
    assert_eq!(documents.len(), different.len(), "nor there twice");
    assert_eq!(parquet_documents(&only_file(parquet)), documents);

    // In catalogue order, whatever the format.
    let joined: Vec<String> = documents.iter().map(|(_, words)| words.concat()).collect();
    assert_eq!(decoded(&to("ids").join("words.u32"), &to("ids").join("vocabulary.tsv")), joined);

    // A file for each orthography, and in all of them all of the text.
    let files: Vec<PathBuf> =
        serde_json::from_value(as_text["files"].clone()).expect("a list of paths");
    let mut names: Vec<_> = files.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["新字新仮名", "旧字旧仮名"]);
    let mut written: Vec<String> = Vec::new();
    for file in &files {
        let file = fs::read_to_string(file).expect("it was written");
        written.extend(file.split("\n\n\n").map(without_blanks).filter(|text| !text.is_empty()));
    }
    written.sort_unstable();
    let mut expected: Vec<String> = joined.iter().map(|text| without_blanks(text)).collect();
    expected.sort_unstable();
    assert_eq!(written.concat(), expected.concat());
    assert_eq!(written.len(), expected.len(), "blank lines part the documents");

    let characters = joined.iter().map(|text| text.chars().count() as u64).sum();
    let words = documents.iter().map(|(_, words)| words.len() as u64).sum();
    for outcome in [arrow, parquet, as_text, ids] {
        assert_eq!(counts(outcome), [documents.len() as u64, characters, words], "{outcome}");
    }
}

#[test]
fn a_copy_of_the_library_on_disk_is_read_like_the_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, contents: &[u8]| {
        let path = folder.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of ours");
        fs::write(path, contents).expect("a folder of ours");
    };
    let works = ["000001", "000002"];
    let mut rows = Vec::new();
    for (number, work) in works.iter().enumerate() {
        let (url, path) = library::page_of(work);
        rows.push(library::row(work, &url));
        let ruby = "<ruby><rb>川</rb><rp>（</rp><rt>かわ</rt><rp>）</rp></ruby>の";
        write(&path, library::html(&format!("{ruby}{}", text(number))).as_bytes());
    }
    // It is listed, and not there.
    rows.push(library::row("000003", &library::page_of("000003").0));
    write(library::INDEX, &library::index(&rows));
    let mirror = format!("file://{}", folder.path().display());
    let job =
        library::job_over(folder.path(), &format!("kind = \"aozora\"\nmirror = {mirror:?}\n"));

    let outcome = export(&job, &folder.path().join("out"), "text");
    assert_eq!((&outcome["pages"], &outcome["rejected"]), (&2.into(), &1.into()), "{outcome}");
    let words = fs::read_to_string(only_file(&outcome)).expect("it was written");
    let read: String = words.split(' ').collect();
    for number in 0..works.len() {
        assert!(read.contains(&format!("川の{}", text(number))), "{read}");
    }
    assert!(!read.contains("かわ"), "the reading of ruby is no text: {read}");
}

#[test]
fn an_export_takes_the_vectors_along() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "川の水\n").expect("a folder of ours");
    let vectors = folder.path().join("vectors.txt");
    fs::write(&vectors, "川 0.5 -1\n水 2 0.25\n").expect("a folder of ours");
    let pattern = folder.path().join("a.txt");
    let job = library::job_over(
        folder.path(),
        &format!(
            "kind = \"files\"\npaths = [{pattern:?}]\n[vectors]\nfile = {vectors:?}\nformat = \"glove\"\n"
        ),
    );
    let outcome = export(&job, &folder.path().join("out"), "arrow");
    let file = File::open(only_file(&outcome)).expect("it was written");
    let mut batches = arrow_ipc::reader::FileReader::try_new(file, None).expect("Arrow IPC");
    let rows = batches.next().expect("a document").expect("a whole batch");
    let (surfaces, vectors) = (rows["surfaces"].as_list::<i32>(), rows["vectors"].as_list::<i32>());
    let (surfaces, vectors) = (surfaces.value(0), vectors.value(0));
    let vectors = vectors.as_fixed_size_list();
    let read: Vec<(&str, Option<Vec<f32>>)> = (0..vectors.len())
        .map(|row| {
            let vector = vectors.is_valid(row).then(|| {
                let vector = vectors.value(row);
                vector.as_primitive::<arrow_array::types::Float32Type>().values().to_vec()
            });
            (surfaces.as_string::<i32>().value(row), vector)
        })
        .collect();
    let expected =
        [("川", Some(vec![0.5, -1.0])), ("の", None), ("水", Some(vec![2.0, 0.25])), ("\n", None)];
    assert_eq!(read, expected);
}

#[test]
fn files_are_read_in_every_charset_that_japanese_is_written_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut expected = BTreeMap::new();
    let mut write = |name: &str, contents: &str, encoding: &'static Encoding, number: usize| {
        let (bytes, _, unwritable) = encoding.encode(contents);
        assert!(!unwritable);
        fs::write(folder.path().join(name), bytes).expect("a folder of ours");
        expected.insert(name.to_owned(), format!("{}\n", text(number)));
    };
    let charsets = [("utf8", UTF_8), ("sjis", SHIFT_JIS), ("euc", EUC_JP)];
    for (number, (name, encoding)) in charsets.into_iter().enumerate() {
        // Nothing declares the charset of a text, nor of the second page.
        write(&format!("{name}.txt"), &format!("{}\r\n", text(number)), encoding, number);
        let body = |number| format!("<body><p>{}</p></body>", text(number));
        let head = format!("<html><head><meta charset=\"{}\"></head>", encoding.name());
        let page = format!("{head}{}</html>", body(number + 10));
        write(&format!("{name}.html"), &page, encoding, number + 10);
        let page = format!("<html>{}</html>", body(number + 20));
        write(&format!("{name}-undeclared.html"), &page, encoding, number + 20);
    }
    write("marked.txt", &format!("\u{feff}{}\n", text(30)), UTF_8, 30);

    let patterns = ["*.txt", "*.html"].map(|pattern| folder.path().join(pattern));
    let source = format!("kind = \"files\"\npaths = {patterns:?}\n");
    let job = library::job_over(folder.path(), &source);
    let outcome = export(&job, &folder.path().join("out"), "parquet");
    let read: BTreeMap<String, String> = parquet_documents(&only_file(&outcome))
        .into_iter()
        .map(|(id, words)| (id, words.concat()))
        .collect();
    assert_eq!(read, expected);
}

#[test]
fn a_duplicate_and_a_bad_file_are_left_out_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, contents) in [("a.txt", text(1)), ("b.txt", text(2)), ("c.txt", text(1))] {
        fs::write(folder.path().join(name), contents).expect("a folder of ours");
    }
    let picture: Vec<u8> = (0..=255).cycle().take(4096).collect();
    fs::write(folder.path().join("d.txt"), picture).expect("a folder of ours");
    let pattern = folder.path().join("*.txt");
    let source = format!("kind = \"files\"\npaths = [{pattern:?}]\n");
    let job = library::job_over(folder.path(), &source);
    let to = folder.path().join("out");
    let answer = call(["export", in_words(&job), "--to", in_words(&to), "--format", "text"]).done();
    let (summary, files) = answer.split_once('\n').expect("two lines");
    assert!(summary.starts_with("2 pages, "), "{summary}");
    assert!(summary.contains("; 2 rejected; "), "{summary}");
    assert!(summary.ends_with(" MiB under way at most"), "{summary}");
    let (text, rejects) = (to.join("text.txt"), to.join("rejects.jsonl"));
    let told = format!("{}\nwhy entries were rejected: {}\n", text.display(), rejects.display());
    assert_eq!(files, told);
    assert_eq!(fs::read_to_string(rejects).expect("a list").lines().count(), 2);

    // The same again without those two: the list of before is gone.
    fs::remove_file(folder.path().join("c.txt")).expect("it is there");
    fs::remove_file(folder.path().join("d.txt")).expect("it is there");
    let answer = call(["export", in_words(&job), "--to", in_words(&to), "--format", "text"]).done();
    assert!(answer.contains("; 0 rejected; "), "{answer}");
    assert!(!to.join("rejects.jsonl").exists());
}
