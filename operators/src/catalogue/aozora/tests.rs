use std::{
    collections::HashSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

fn archive(name: &str, table: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, SimpleFileOptions::default()).unwrap();
    zip.write_all(table).unwrap();
    zip.finish().unwrap().into_inner()
}

/// An index as the site has it: with a byte order mark, in an order of columns of its own, with
/// columns that do not matter.
fn index(rows: &[&str]) -> Vec<u8> {
    let mut columns = COLUMNS.to_vec();
    columns.insert(0, "作品名読み");
    let header = columns.join(",");
    archive("x/LIST.CSV", format!("\u{feff}{header}\r\n{}\r\n", rows.join("\r\n")).as_bytes())
}

fn read(rows: &[&str], wanted: &Filter) -> Index {
    entries(&index(rows), wanted, None).unwrap()
}

// (reading), work, title, subtitle, orthography, copyright, person, 姓, 名, role, theirs, address, date, count
const STREAM: &str = ",000001,小川,\"春<br>夏\",新字新仮名,なし,000010,田中,一郎,著者,なし,https://www.aozora.gr.jp/cards/000010/files/1_2.html,2020-01-02,3";
const TRANSLATED: &str = ",000002,川,,旧字旧仮名,なし,000011,アーヴ,ワシ,著者,なし,https://www.aozora.gr.jp/cards/000011/files/2_2.html,2021-01-02,0";
const TRANSLATOR: &str = ",000002,川,,旧字旧仮名,なし,000010,田中,一郎,翻訳者,なし,https://www.aozora.gr.jp/cards/000011/files/2_2.html,2021-01-02,0";

#[test]
fn a_work_comes_once_where_its_first_row_stands_with_all_its_people() {
    let index = read(&[TRANSLATED, STREAM, TRANSLATOR], &Filter::default());
    let work =
        |id: &str, revision: &str, path: &str, title: &str, credit: &str, orthography: &str| Work {
            id: id.to_owned(),
            revision: revision.to_owned(),
            url: Url::parse(&format!("https://www.aozora.gr.jp/cards/{path}.html")).unwrap(),
            title: title.to_owned(),
            credit: credit.to_owned(),
            orthography: orthography.to_owned(),
            copyright: false,
        };
    assert_eq!(
        index.entries,
        [
            work(
                "000011/000002",
                "2021-01-02+0",
                "000011/files/2_2",
                "川",
                "ワシ・アーヴ（田中一郎訳）",
                "旧字旧仮名"
            ),
            work(
                "000010/000001",
                "2020-01-02+3",
                "000010/files/1_2",
                "小川　春　夏",
                "田中一郎",
                "新字新仮名"
            ),
        ]
    );
    assert_eq!(index.skipped, []);
}

#[test]
fn a_filter_lets_through_what_it_names() {
    let ids = |wanted: Filter| -> Vec<String> {
        let index = read(&[TRANSLATED, STREAM, TRANSLATOR], &wanted);
        index.entries.into_iter().map(|work| work.id).collect()
    };
    let some = |text: &str| vec!["nothing".to_owned(), text.to_owned()];
    let (translated, stream) = ("000011/000002", "000010/000001");
    let none = Filter::default();
    assert_eq!(ids(Filter { orthography: some("新字新仮名"), ..none.clone() }), [stream]);
    assert_eq!(ids(Filter { authors: some("アーヴワシ"), ..none.clone() }), [translated]);
    assert_eq!(ids(Filter { authors: some("田中"), ..none.clone() }), [translated, stream]);
    assert_eq!(ids(Filter { titles: some("小川"), ..none.clone() }), [stream]);
    assert_eq!(ids(Filter { limit: Some(1), ..none.clone() }), [translated]);
    assert!(ids(Filter { limit: Some(0), ..none }).is_empty());
}

#[test]
fn a_work_is_free_only_if_it_and_all_its_people_are() {
    for row in [
        TRANSLATOR.replacen("なし", "あり", 1),
        TRANSLATOR.replace("翻訳者,なし", "翻訳者,あり"),
        TRANSLATOR.replace("翻訳者,なし", "翻訳者,"),
    ] {
        for rows in [[TRANSLATED, &row], [&row, TRANSLATED]] {
            let index = read(&rows, &Filter::default());
            assert_eq!(index, Index::default(), "passed over without a word");
            let index = read(&rows, &Filter { copyright: true, ..Filter::default() });
            assert!(index.entries[0].copyright);
        }
    }
}

#[test]
fn a_wanted_work_without_a_page_of_the_site_is_skipped_with_the_reason() {
    let reason = |address: &str| {
        let row = STREAM.replace("https://www.aozora.gr.jp/cards/000010/files/1_2.html", address);
        let index = read(&[TRANSLATED, &row], &Filter::default());
        assert_eq!(index.entries.len(), 1);
        let [skipped] = &index.skipped[..] else { panic!("{:?}", index.skipped) };
        assert_eq!(
            (skipped.line, &*skipped.id, &*skipped.title),
            (3, "000010/000001", "小川　春　夏")
        );
        skipped.reason.clone()
    };
    assert_eq!(reason(""), Reason::NoAddress);
    for bad in [
        "no address",
        "/cards/x.html",
        "file:///etc/passwd",
        "ftp://www.aozora.gr.jp/x",
        "mailto:a@b",
    ] {
        assert_eq!(reason(bad), Reason::BadAddress(bad.to_owned()));
    }
    assert_eq!(reason("https://example.org/x"), Reason::ForeignHost("example.org".to_owned()));
    let lookalike = "www.aozora.gr.jp.example.org";
    assert_eq!(reason(&format!("http://{lookalike}/")), Reason::ForeignHost(lookalike.to_owned()));
}

#[test]
fn with_a_mirror_all_addresses_are_there() {
    let mirror = Url::parse("http://127.0.0.1:8000/aozora/").unwrap();
    let there = STREAM.replace("https://www.aozora.gr.jp/", "http://127.0.0.1:8000/aozora/");
    let outside = TRANSLATED.replace("https://www.aozora.gr.jp/", "http://127.0.0.1:8000/aozora2/");
    for row in [STREAM, &there] {
        let index = entries(&index(&[row, &outside]), &Filter::default(), Some(&mirror)).unwrap();
        let [work] = &index.entries[..] else { panic!("one work") };
        assert_eq!(work.url.as_str(), "http://127.0.0.1:8000/aozora/cards/000010/files/1_2.html");
        assert_eq!(index.skipped[0].reason, Reason::ForeignHost("127.0.0.1".to_owned()));
    }
}

#[test]
fn an_address_is_moved_below_the_mirrors_own() {
    let address = Url::parse("https://www.aozora.gr.jp/cards/1/files/2.html").unwrap();
    let at = |mirror: &str| moved(&address, &Url::parse(mirror).unwrap()).to_string();
    assert_eq!(at("http://127.0.0.1:8000"), "http://127.0.0.1:8000/cards/1/files/2.html");
    assert_eq!(at("http://host/of/it/"), "http://host/of/it/cards/1/files/2.html");
    assert_eq!(at("file:///a/copy"), "file:///a/copy/cards/1/files/2.html");
}

#[test]
fn a_bad_row_is_reported_by_its_line_and_the_others_are_read() {
    let index = read(&["a,b", STREAM, "", ",\"two\nlines\"", TRANSLATED], &Filter::default());
    assert_eq!(index.entries.len(), 2);
    let fields = |line, found| skipped_row(line, Reason::Fields { expected: 14, found });
    assert_eq!(index.skipped, [fields(2, 2), fields(5, 2)]);
}

#[test]
fn a_work_one_of_whose_rows_cannot_be_read_is_skipped() {
    let index = read(&[TRANSLATED, ",000002,川"], &Filter::default());
    assert_eq!(index.entries, []);
    let reasons: Vec<_> = index.skipped.into_iter().map(|skipped| skipped.reason).collect();
    assert_eq!(reasons, [Reason::UnreadRow(3), Reason::Fields { expected: 14, found: 3 }]);
}

#[test]
fn a_row_that_is_not_utf8_is_reported_and_the_others_are_read() {
    let mut table = COLUMNS.join(",").into_bytes();
    let row = STREAM.trim_start_matches(',');
    for row in [row.as_bytes(), b"\xff,x", row.replace("000001", "000003").as_bytes()] {
        table.push(b'\n');
        table.extend(row);
    }
    let index = entries(&archive("a.csv", &table), &Filter::default(), None).unwrap();
    assert_eq!(index.entries.len(), 2);
    assert_eq!(index.skipped, [skipped_row(3, Reason::NotUtf8)]);
}

#[test]
fn a_missing_column_is_named() {
    for missing in COLUMNS {
        let columns: Vec<_> = COLUMNS.into_iter().filter(|&column| column != missing).collect();
        let zip = archive("a.csv", columns.join(",").as_bytes());
        let error = entries(&zip, &Filter::default(), None).unwrap_err();
        assert!(matches!(error, IndexError::NoColumn(column) if column == missing), "{missing}");
    }
}

#[test]
fn what_is_no_index_is_an_error() {
    let error = |zip: &[u8]| entries(zip, &Filter::default(), None).unwrap_err();
    assert!(matches!(error(b""), IndexError::NotZip(_)));
    assert!(matches!(error(b"<html>not found</html>"), IndexError::NotZip(_)));
    assert!(matches!(error(&archive("a.txt", b"")), IndexError::NoTable));
    assert!(matches!(error(&archive("a.csv", b"")), IndexError::NoColumn(_)));
    let whole = index(&[STREAM]);
    assert!(matches!(error(&whole[..whole.len() / 2]), IndexError::NotZip(_)));
}

#[test]
fn a_damaged_table_is_an_error() {
    let mut zip = archive("a.csv", "x,".repeat(10_000).as_bytes());
    let content = zip.windows(5).position(|window| window == b"a.csv").unwrap() + 5;
    for byte in &mut zip[content..content + 8] {
        *byte ^= 0x55;
    }
    let error = entries(&zip, &Filter::default(), None).unwrap_err();
    assert!(matches!(error, IndexError::Damaged(_)), "{error}");
}

#[test]
fn a_bomb_is_unpacked_up_to_the_limit_only() {
    let bomb = archive("a.csv", &vec![b'a'; 1 << 20]);
    assert!(bomb.len() < 1 << 12);
    assert!(matches!(table(&bomb, (1 << 20) - 1), Err(IndexError::TooLong)));
    assert_eq!(table(&bomb, 1 << 20).unwrap().len(), 1 << 20);
    // What lies beyond the limit is not even read, whatever the header says.
    let mut file = Cursor::new(vec![b'a'; 1000]);
    assert!(matches!(unpack(&mut file, 10), Err(IndexError::TooLong)));
    assert_eq!(file.position(), 11);
}

proptest! {
    #[test]
    fn any_bytes_give_an_index_or_an_error(bytes: Vec<u8>) {
        let _ = entries(&bytes, &Filter::default(), None);
        let _ = entries(&archive("a.csv", &bytes), &Filter::default(), None);
    }

    #[test]
    fn any_rows_give_works_or_reasons(rows in "([0-9なしあり,\"\n]|https://www\\.aozora\\.gr\\.jp/){0,300}") {
        let index = read(&[STREAM, &rows], &Filter { copyright: true, ..Filter::default() });
        let ids: HashSet<_> = index.entries.iter().map(|work| &work.id).collect();
        prop_assert_eq!(ids.len(), index.entries.len(), "an id names one work");
    }
}

#[allow(clippy::print_stderr)] // tells a person that a test did nothing
fn data(path: &str) -> Option<Vec<u8>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = std::env::var_os("SESERAGI_TEST_DATA").map_or_else(beside, PathBuf::from);
    let path = data.join("aozora").join(path);
    let zip = fs::read(&path).ok();
    if zip.is_none() {
        eprintln!("skipped: there is no test data at {path:?}; set SESERAGI_TEST_DATA");
    }
    zip
}

#[test]
fn the_whole_index_of_the_site_is_understood() {
    let Some(zip) = data("index/full.zip") else { return };
    let all = entries(&zip, &Filter { copyright: true, ..Filter::default() }, None).unwrap();
    // 19,352 rows are of 17,696 works.
    assert_eq!(all.entries.len() + all.skipped.len(), 17_696);
    for skipped in &all.skipped {
        assert!(
            matches!(skipped.reason, Reason::NoAddress | Reason::ForeignHost(_)),
            "{skipped:?}"
        );
    }
    let free = entries(&zip, &Filter::default(), None).unwrap();
    assert!(free.entries.iter().all(|work| !work.copyright));
    let in_copyright = all.entries.iter().filter(|work| work.copyright).count();
    assert_eq!(free.entries.len() + in_copyright, all.entries.len());
    let gate = |work: &&Work| work.id == "000879/000127";
    let gate = free.entries.iter().find(gate).unwrap();
    assert_eq!((&*gate.title, &*gate.credit), ("羅生門", "芥川竜之介"));
}

#[test]
fn the_mirror_has_600_works_and_the_54_others_are_kept_out() {
    let index = |path| Some(entries(&data(path)?, &Filter::default(), None).unwrap());
    let Some(mirror) = index("mirror/index_pages/list_person_all_extended_utf8.zip") else {
        return;
    };
    let Some(more) = index("index/with_excluded_rows.zip") else { return };
    assert_eq!((mirror.entries.len(), mirror.skipped.len()), (600, 0));
    let ids =
        |index: &Index| index.entries.iter().map(|work| work.id.clone()).collect::<HashSet<_>>();
    assert_eq!(ids(&more), ids(&mirror));
    for skipped in &more.skipped {
        assert!(
            matches!(skipped.reason, Reason::NoAddress | Reason::ForeignHost(_)),
            "{skipped:?}"
        );
    }
}
