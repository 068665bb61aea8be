//! A small library on the loopback interface, with an index and pages in Aozora Bunko's format.

#![allow(dead_code, reason = "each test file uses its own share")]

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use loopback::{Behaviour, Page, Server};
use serde_json::Value;
use zip::{ZipWriter, write::SimpleFileOptions};

/// Where the index is.
pub const INDEX: &str = "/index_pages/list_person_all_extended_utf8.zip";

/// The columns of the index that are read, of the 55 that it has.
pub const COLUMNS: &str = "作品ID,作品名,副題,文字遣い種別,作品著作権フラグ,人物ID,姓,名,役割フラグ,\
                           人物著作権フラグ,XHTML/HTMLファイルURL,XHTML/HTMLファイル最終更新日,\
                           XHTML/HTMLファイル修正回数";

/// A row of the index: a work of one author, whose page is at `url`.
pub fn row(work: &str, url: &str) -> String {
    format!("{work},{work}の話,,新字新仮名,なし,000001,瀬野,汀,著者,なし,{url},2026-01-02,0")
}

/// The address that a work has in the index, and its path on the mirror.
pub fn page_of(work: &str) -> (String, String) {
    let path = format!("/cards/000001/files/{work}.html");
    (format!("https://www.aozora.gr.jp{path}"), path)
}

/// An index, zipped, with these rows below the header.
pub fn index(rows: &[String]) -> Vec<u8> {
    zipped(format!("\u{feff}{COLUMNS}\r\n{}\r\n", rows.join("\r\n")).as_bytes())
}

/// A zip archive with a table.
pub fn zipped(table: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("list.csv", SimpleFileOptions::default()).expect("memory takes it");
    archive.write_all(table).expect("memory takes it");
    archive.finish().expect("memory takes it").into_inner()
}

/// A page in UTF-8 whose main text is `text`, with an entity tag.
pub fn page(text: &str) -> Behaviour {
    let tag = format!("\"{}-{}\"", text.len(), text.bytes().map(u64::from).sum::<u64>());
    Behaviour::Page(Page::html(html(text)).header("ETag", tag))
}

/// The HTML of such a page.
pub fn html(text: &str) -> String {
    format!(
        "<html><head><meta charset=utf-8></head><body><h1 class=\"title\">題</h1>\
         <div class=\"main_text\">{text}</div></body></html>"
    )
}

/// A text of some hundred characters, another for each number.
pub fn text(number: usize) -> String {
    let things = ["小川", "水車", "風", "石橋", "魚", "月", "古い舟", "雨", "山道", "鐘の音"];
    let deeds = ["流れた", "光った", "消えた", "歌った", "眠っていた", "近づいてきた", "笑った"];
    let sentence = |at: usize| {
        let (thing, deed) = (things[(number + at * 3) % 10], deeds[(number * 5 + at) % 7]);
        format!("{}番目の{thing}が、{at}度も{deed}。", number + 1)
    };
    (0..20).map(sentence).collect()
}

/// A server whose library lists these works, each with what its page does.
pub fn serve(works: impl IntoIterator<Item = (String, Behaviour)>) -> Server {
    let (mut rows, mut routes) = (Vec::new(), Vec::new());
    for (work, behaviour) in works {
        let (url, path) = page_of(&work);
        rows.push(row(&work, &url));
        routes.push((path, behaviour));
    }
    routes.push((INDEX.to_owned(), packed(index(&rows))));
    Server::start(routes)
}

/// What the index's path does: it sends these bytes.
pub fn packed(bytes: Vec<u8>) -> Behaviour {
    let tag = format!("\"{}\"", bytes.len());
    let page = Page::html(bytes).header("Content-Type", "application/zip").header("ETag", tag);
    Behaviour::Page(page)
}

/// So many works that are what they should be.
pub fn good(works: usize) -> Vec<(String, Behaviour)> {
    (0..works).map(|number| (format!("good-{number:02}"), page(&text(number)))).collect()
}

/// Writes a job over the server's library into the folder: small, quick, and impatient. Its run
/// directory is `run` in the same folder.
pub fn job(folder: &Path, server: &Server) -> PathBuf {
    let source = format!("kind = \"aozora\"\nmirror = \"{}\"\n", server.url(""));
    job_over(folder, &source)
}

/// The same over any source.
pub fn job_over(folder: &Path, source: &str) -> PathBuf {
    let path = folder.join("job.toml");
    let directory = folder.join("run");
    let job = format!(
        "directory = {directory:?}\nworkers = 2\n[[source]]\n{source}\n\
         [fetch]\nbackoff = 0.01\ntries = 2\ntimeout = 20\n\
         [vocabulary]\nlimit = 600\n[chunk]\nwords = 2000\n\
         [model]\nlayers = 1\nhidden = 16\nembedding = 8\n\
         [train]\nthreads = 1\ndevice = \"cpu\"\nbatch = 4\nsequence = 16\n\
         [held_out]\nshare = 0.2\n"
    );
    fs::write(&path, job).expect("a folder of ours");
    path
}

/// The lines of the run's rejects.jsonl.
pub fn rejects(folder: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(folder.join("run/rejects.jsonl")).expect("a committed run");
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Asserts that the account's parts make up its whole, and that nothing was withdrawn; returns
/// `[entries, learnt, held_out, duplicates, rejected]`.
#[track_caller]
pub fn account(outcome: &Value) -> [u64; 5] {
    let account = &outcome["account"];
    let counts = ["entries", "learnt", "held_out", "duplicates", "rejected"];
    let counts = counts.map(|key| account[key].as_u64().expect("a count"));
    let [entries, parts @ ..] = counts;
    assert_eq!(entries, parts.iter().sum::<u64>(), "{account}");
    assert_eq!(account["withdrawn"], 0, "{account}");
    counts
}
