//! An index that is broken as a whole stops the job with a reason; one that is broken in a row costs
//! that row's work, which is a reject like any other.

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
};

use library::{COLUMNS, INDEX, good, index, packed, page_of, rejects, row, zipped};
use loopback::{Behaviour, Page, Server};
use program::run;
use zip::{ZipWriter, write::SimpleFileOptions};

/// The error that a job ends with whose library has this in its index's place.
#[track_caller]
fn refusal(index: Behaviour) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start([(INDEX, index)]);
    let ended = run(&library::job(folder.path(), &server), &["fetch.timeout=60"]);
    assert_eq!(ended.answer, "", "no outcome where there was no catalogue");
    let error = ended.error(1);
    let opening = "error: catalogue: source \"aozora\": ";
    error.strip_prefix(opening).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn an_index_that_is_no_zip_archive_ends_the_job_with_the_reason() {
    let page = refusal(Behaviour::page("<html><body>工事中</body></html>"));
    assert!(page.starts_with("could not unpack the index: "), "{page}");
    let mut cut = index(&[row("1", &page_of("1").0)]);
    cut.truncate(cut.len() / 2);
    assert!(refusal(packed(cut)).starts_with("could not unpack the index: "));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("picture.png", SimpleFileOptions::default()).expect("memory takes it");
    let other = archive.finish().expect("memory takes it").into_inner();
    assert_eq!(refusal(packed(other)), "could not find a .csv file in the index's archive");
}

#[test]
fn an_index_whose_contents_are_damaged_ends_the_job_with_the_reason() {
    let mut damaged = index(&(0..50).map(|work| row(&work.to_string(), "")).collect::<Vec<_>>());
    let middle = damaged.len() / 2;
    damaged[middle..middle + 20].fill(0x55);
    assert!(refusal(packed(damaged)).starts_with("could not unpack the index: "));
}

#[test]
fn an_index_that_is_not_there_ends_the_job_with_the_address() {
    let missing = refusal(Behaviour::Status(404));
    assert!(missing.starts_with("could not fetch the index http://127.0.0.1:"), "{missing}");
    assert!(missing.ends_with("list_person_all_extended_utf8.zip: status 404"), "{missing}");
}

#[test]
fn an_index_that_lacks_a_column_ends_the_job_with_its_name() {
    let table = format!("{COLUMNS}\n").replace("人物ID", "人物");
    assert_eq!(
        refusal(packed(zipped(table.as_bytes()))),
        "could not find the column 人物ID in the index"
    );
}

#[test]
fn an_index_that_never_ends_once_unpacked_ends_the_job_within_bounds() {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("list.csv", SimpleFileOptions::default()).expect("memory takes it");
    archive.write_all(COLUMNS.as_bytes()).expect("memory takes it");
    // 1 GiB in 1 MB: four times what an index may be.
    let blank = vec![b'\n'; 1 << 20];
    for _ in 0..1024 {
        archive.write_all(&blank).expect("memory takes it");
    }
    let bomb = archive.finish().expect("memory takes it").into_inner();
    assert!(bomb.len() < 2 << 20, "the bomb itself is below every limit: {}", bomb.len());
    assert_eq!(
        refusal(packed(bomb)),
        "could not unpack the index: it is longer than 268435456 bytes"
    );
}

#[test]
fn each_row_that_cannot_be_used_is_a_reject_with_its_reason_and_costs_no_other() {
    let works = good(6);
    let mut routes: Vec<(String, Behaviour)> = Vec::new();
    let mut rows = Vec::new();
    for (work, behaviour) in works {
        let (url, path) = page_of(&work);
        rows.push(row(&work, &url));
        routes.push((path, behaviour));
    }
    rows.insert(2, "short,題".to_owned()); // line 4: the header is line 1
    rows.push(row("no-address", ""));
    rows.push(row("no-url", "ここにはない"));
    rows.push(row("other-kind", "ftp://www.aozora.gr.jp/1.html"));
    rows.push(row("other-host", "https://example.org/1.html"));
    let server = Server::start(routes);
    let table = index(&rows);
    let page = Page::html(table).header("Content-Type", "application/zip");
    server.set(INDEX, Behaviour::Page(page));

    let folder = tempfile::tempdir().expect("a folder");
    let job = library::job(folder.path(), &server);
    let outcome = run(&job, &[]).json();
    let [entries, learnt, held_out, duplicates, rejected] = library::account(&outcome);
    assert_eq!((entries, learnt + held_out, duplicates, rejected), (11, 6, 0, 5));
    let listed = rejects(folder.path());
    let told: BTreeMap<String, String> = listed
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().expect("a text").to_owned();
            (text("id"), format!("{}: {}", text("stage"), text("reason")))
        })
        .collect();
    let expected = [
        ("000001/no-address", "line 9 of the index: the index has no address of an HTML page"),
        ("000001/no-url", "line 10 of the index: `ここにはない` is no address of a page"),
        ("000001/other-host", "line 12 of the index: the page is on another host, example.org"),
        (
            "000001/other-kind",
            "line 11 of the index: `ftp://www.aozora.gr.jp/1.html` is no address of a page",
        ),
        ("line 4", "line 4 of the index: a row has 2 fields instead of 13"),
    ];
    let expected = expected.map(|(id, reason)| (id.to_owned(), format!("catalogue: {reason}")));
    assert_eq!(told, BTreeMap::from(expected));

    // They are in the account: a second run does not list them again.
    let again = run(&job, &[]).json();
    assert_eq!(again["account"], outcome["account"]);
    assert_eq!(again["weights_digest"], outcome["weights_digest"]);
    assert_eq!(rejects(folder.path()), listed);
}
