//! The server over its socket, and the library as the stages read it.

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use operators::{
    catalogue::aozora::{self, Filter, Reason, Work},
    extract::{Extractor, Rule},
};
use tokio::runtime::Runtime;

use super::*;

/// What came back: the status, the headers by their lower-case names, the body.
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

/// One GET over a connection of its own; `more` is further header lines, each ended by CRLF.
fn get_with(server: &SampleServer, path: &str, more: &str) -> Answer {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: sample\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    let head = received.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let lines = String::from_utf8(received[..head].to_vec()).unwrap();
    let (status, headers) = lines.split_once("\r\n").unwrap();
    Answer {
        status: status.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers
            .split("\r\n")
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: received.split_off(head + 4),
    }
}

fn get(server: &SampleServer, path: &str) -> Answer {
    get_with(server, path, "")
}

fn started() -> (Runtime, SampleServer) {
    let runtime = Runtime::new().unwrap();
    let server = SampleServer::start(runtime.handle()).unwrap();
    (runtime, server)
}

/// The works that the index offers to somebody with no wishes.
fn offered(server: &SampleServer) -> Vec<Work> {
    let index = get(server, INDEX_PATH);
    aozora::entries(&index.body, &Filter::default(), None).unwrap().entries
}

#[test]
fn every_work_that_the_index_offers_is_served_in_shift_jis_without_a_charset() {
    let (_runtime, server) = started();
    let works = offered(&server);
    assert_eq!(works.len(), 24);
    assert_eq!(works.iter().filter(|work| work.orthography == "旧字旧仮名").count(), 6);
    let paths: HashSet<&str> = works.iter().map(|work| work.url.path()).collect();
    let carried: HashSet<&str> = works::PAGES.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, carried);
    for (path, text) in works::PAGES {
        let page = get(&server, path);
        assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html"));
        let decoded = SHIFT_JIS.decode_without_bom_handling_and_without_replacement(&page.body);
        assert_eq!(decoded.as_deref(), Some(text), "{path}");
        assert!(text.starts_with(r#"<?xml version="1.0" encoding="Shift_JIS"?>"#), "{path}");
        assert!(std::str::from_utf8(&page.body).is_err(), "{path}");
    }
}

#[test]
fn index_has_a_translation_a_work_in_copyright_and_one_without_a_page() {
    let (_runtime, server) = started();
    let zip = get(&server, INDEX_PATH);
    assert_eq!(zip.headers["content-type"], "application/zip");
    let all = Filter { copyright: true, ..Filter::default() };
    let index = aozora::entries(&zip.body, &all, None).unwrap();
    let protected: Vec<&Work> = index.entries.iter().filter(|work| work.copyright).collect();
    assert_eq!(protected.len(), 1);
    assert_eq!(get(&server, protected[0].url.path()).status, 404);
    assert!(matches!(&index.skipped[..], [one] if matches!(one.reason, Reason::NoAddress)));
    let translation = index.entries.iter().find(|work| work.credit.contains('（')).unwrap();
    assert!(translation.credit.contains("霧積朔"), "{}", translation.credit);
}

#[test]
fn index_is_packed_as_the_library_packs_it_and_always_the_same() {
    let (_runtime, server) = started();
    let packed = get(&server, INDEX_PATH).body;
    let mut zip = zip::ZipArchive::new(Cursor::new(&packed)).unwrap();
    assert_eq!(zip.len(), 1);
    let mut text = String::new();
    zip.by_name(INDEX_NAME).unwrap().read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.strip_prefix('\u{feff}').unwrap().split("\r\n").collect();
    // The header, 24 works, a second row for the translation, two that must not be fetched; no
    // field holds a comma, so the commas count the columns.
    assert_eq!(lines.len(), 1 + 24 + 1 + 2 + 1);
    assert!(lines[..28].iter().all(|line| line.split(',').count() == 55 && !line.contains('\n')));
    let (_runtime, again) = started();
    assert!(get(&again, INDEX_PATH).body == packed);
}

#[test]
fn unchanged_page_is_answered_304_with_its_tag_and_without_a_body() {
    let (_runtime, server) = started();
    let (path, _) = works::PAGES[0];
    let tag = get(&server, path).headers["etag"].clone();
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let again = get_with(&server, path, &format!("If-None-Match: {known}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.headers["etag"], tag);
    }
    let (other, _) = works::PAGES[1];
    let asked = format!("If-None-Match: {tag}\r\n");
    assert_eq!(get_with(&server, other, &asked).status, 200);
}

#[test]
fn whatever_is_not_in_the_library_is_answered_404() {
    let (_runtime, server) = started();
    for path in ["/", "/index.html", "/cards/990001/files/", "/cards/../cards", "/robots.txt"] {
        assert_eq!(get(&server, path).status, 404, "{path}");
    }
}

#[test]
fn dropped_server_closes_its_connections() {
    let (_runtime, server) = started();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: sample\r\n\r\n").unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    drop(server);
    // Kept open by both sides until now, so only the drop brings the end; the timeout is there for
    // a broken server, so that this test fails rather than hangs.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn texts_are_whole_and_one_of_them_comes_twice() {
    let extractor = Extractor::new(&Rule::Aozora).unwrap();
    let mut titles: HashMap<String, Vec<&str>> = HashMap::new();
    let mut with_gaiji = 0;
    for (path, page) in works::PAGES {
        let text = extractor.text(&shift_jis(page), None).unwrap();
        let characters = text.chars().count();
        assert!((2_000..4_000).contains(&characters), "{path} has {characters} characters");
        // Nothing of the markup is left, and every image of a character became that character.
        assert!(!text.contains(['《', '》', '［', '〓', '※', '<', '｜', '〘', '{']), "{path}");
        assert!(page.contains("<ruby>"), "{path}");
        if page.contains(r#"class="gaiji""#) {
            with_gaiji += 1;
            let gaiji = ['醬', '頰', '摑', '鷗', '蟬', '瀨'];
            assert!(text.contains(gaiji), "{path}");
            assert!(!page.contains(gaiji), "{path}");
        }
        titles.entry(text).or_default().push(path);
    }
    assert_eq!(with_gaiji, 5);
    let twice: Vec<_> = titles.values().filter(|paths| paths.len() > 1).collect();
    assert_eq!(twice.len(), 1);
    assert_eq!((twice[0].len(), titles.len()), (2, 23));
}
