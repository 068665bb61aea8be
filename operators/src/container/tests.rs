use std::{fs, io::Write, path::PathBuf, sync::Arc};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use flate2::{Compression, write::GzEncoder};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

const TEXTS: [&str; 3] = ["小川の水\n", "彼は、\"石橋\"を渡った。\n二行目", "終わり"];

fn columns() -> Columns {
    let name = str::to_owned;
    Columns { text: name("text"), id: name("id"), title: name("title"), limit: 10_000 }
}

fn json() -> Vec<u8> {
    let line = |(at, text)| serde_json::json!({ "id": at, "text": text, "other": 1 }).to_string();
    TEXTS.into_iter().enumerate().map(|line_of| line(line_of) + "\n").collect::<String>().into()
}

fn csv(delimiter: u8) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(["id", "text"]).unwrap();
    for (at, text) in TEXTS.iter().enumerate() {
        writer.write_record([at.to_string().as_str(), text]).unwrap();
    }
    writer.into_inner().unwrap()
}

fn parquet() -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(TEXTS));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

struct Room {
    folder: TempDir,
    unpacked: Unpacked,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let unpacked = Unpacked::new(Some(folder.path().join("unpacked")));
        Self { folder, unpacked }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn list(&self, path: &Path) -> Vec<Document> {
        let mut found = Vec::new();
        documents(path, &columns(), &self.unpacked, &mut |document| found.push(document)).unwrap();
        found
    }

    fn text(&self, path: &Path, document: &Document) -> String {
        let content = read(path, &document.address, 10_000, &self.unpacked).unwrap();
        String::from_utf8(content.body.to_vec()).unwrap()
    }
}

#[test]
fn every_format_gives_the_same_texts_in_any_order_of_reading() {
    let room = Room::new();
    let files = [
        ("a.jsonl", json()),
        ("a.csv", csv(b',')),
        ("a.tsv", csv(b'\t')),
        ("a.parquet", parquet()),
        ("a.jsonl.gz", gzip(&json())),
        ("a.ndjson.zst", zstd(&json())),
        ("a.csv.gz", gzip(&csv(b','))),
        ("a.parquet.zst", zstd(&parquet())),
    ];
    let members: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(name, bytes)| (*name, bytes.clone())).collect();
    for (name, bytes) in &files {
        let path = room.put(name, bytes);
        let found = room.list(&path);
        let suffixes: Vec<_> = found.iter().map(|document| document.suffix.as_str()).collect();
        assert_eq!(suffixes, ["#0", "#1", "#2"], "{name}");
        for at in [2, 0, 1] {
            assert_eq!(room.text(&path, &found[at]), TEXTS[at], "{name}");
        }
    }
    let path = room.put("all.zip", &zip(&members));
    let found = room.list(&path);
    assert_eq!(found.len(), 8 * 3);
    assert_eq!(found[4].suffix, "/a.csv#1");
    for (at, document) in found.iter().enumerate().rev() {
        assert_eq!(room.text(&path, document), TEXTS[at % 3], "{}", document.suffix);
    }
}

#[test]
fn whole_files_and_members_are_read_as_they_are_decompressed() {
    let room = Room::new();
    for (name, bytes) in [
        ("川.txt", TEXTS[1].as_bytes().to_vec()),
        ("川.html.gz", gzip(TEXTS[1].as_bytes())),
        ("川.txt.zst", zstd(TEXTS[1].as_bytes())),
    ] {
        let path = room.put(name, &bytes);
        let [document] = room.list(&path).try_into().expect("one document");
        assert_eq!((document.suffix.as_str(), document.address.fragment()), ("", None));
        assert_eq!(room.text(&path, &document), TEXTS[1], "{name}");
    }
    let members = [
        ("b/川.txt", TEXTS[1].into()),
        ("a.html.gz", gzip(TEXTS[0].as_bytes())),
        ("c.zip", zip(&[])),
    ];
    let path = room.put("texts.zip", &zip(&members));
    let [first, second, third] = room.list(&path).try_into().expect("three members");
    assert_eq!(first.suffix, "/b/川.txt");
    assert_eq!(
        (room.text(&path, &first), room.text(&path, &second)),
        (TEXTS[1].into(), TEXTS[0].into())
    );
    assert_eq!(third.trouble.as_deref(), Some("an archive in an archive is not read"));
}

#[test]
fn a_record_that_is_none_is_told_with_its_line_and_costs_no_other() {
    let room = Room::new();
    let long = "x".repeat(20_000);
    let lines =
        format!("{{\"text\": \"a\"}}\n\nno JSON\n{{\"text\": 7}}\n{long}\n{{\"text\": \"b\"}}");
    let path = room.put("a.jsonl", lines.as_bytes());
    let found = room.list(&path);
    let told: Vec<_> = found
        .iter()
        .map(|of| (of.suffix.as_str(), of.trouble.as_deref().unwrap_or("fine")))
        .collect();
    assert_eq!(told[0], ("#1", "fine"));
    assert!(told[1].1.starts_with("line 3: it is no JSON object"), "{told:?}");
    assert_eq!(told[2], ("#4", "line 4: it has no text in `text`"));
    assert_eq!(told[3], ("#5", "line 5: it is longer than 10000 bytes"));
    assert_eq!(told[4], ("#6", "fine"));
    assert_eq!(room.text(&path, &found[4]), "b");
}

#[test]
fn a_table_without_the_column_or_with_an_endless_record_is_an_error_that_says_so() {
    let room = Room::new();
    let error = |name: &str, bytes: &[u8]| {
        let path = room.put(name, bytes);
        documents(&path, &columns(), &room.unpacked, &mut |_| {}).unwrap_err().to_string()
    };
    let missing = "there is no column `text`; the columns are id, body";
    assert_eq!(error("a.csv", b"id,body\n1,x\n"), missing);
    let endless = format!("text\n\"{}", "x".repeat(200_000));
    assert!(error("b.csv", endless.as_bytes()).contains("longer than 10000 bytes"));
    assert!(error("c.parquet", b"PAR1 it is not").contains("could not read the table"));
    assert!(!error("d.jsonl.gz", &gzip(&json())[..60]).is_empty(), "cut off");
}

#[test]
fn a_file_that_changed_since_it_was_listed_gives_an_error_and_no_other_text() {
    let room = Room::new();
    let path = room.put("a.jsonl", &json());
    let found = room.list(&path);
    let changed = String::from_utf8(json()).unwrap().replace("石橋", "土橋");
    fs::write(&path, changed).unwrap();
    assert_eq!(room.text(&path, &found[0]), TEXTS[0]);
    let error = read(&path, &found[1].address, 10_000, &room.unpacked).unwrap_err();
    assert!(matches!(error, ContainerError::Changed), "{error}");
}

#[test]
fn a_copy_that_is_lost_is_made_again() {
    let room = Room::new();
    let path = room.put("a.parquet.zst", &zstd(&parquet()));
    let found = room.list(&path);
    fs::remove_dir_all(room.folder.path().join("unpacked")).unwrap();
    assert_eq!(room.text(&path, &found[2]), TEXTS[2]);
}
