//! Every kind of source, read by the real program from real servers, files and pipes.

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;
#[path = "support/running.rs"]
#[allow(dead_code, reason = "each test file uses its own share")]
mod running;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::Path,
    process::Stdio,
};

use loopback::{Behaviour, Page, Server};
use running::Running;
use serde_json::{Value, json};

use library::{job_over, rejects, text};

fn article(text: &str, links: &str) -> Behaviour {
    Behaviour::page(format!("<html><body><article>{text}</article>{links}</body></html>"))
}

/// The documents of the run, in catalogue order.
fn documents(folder: &Path) -> Vec<Value> {
    let run = folder.join("run");
    let seen = program::call(["inspect", "--json", run.to_str().expect("a path of ours")]).json();
    seen["documents"].as_array().expect("a list").clone()
}

fn ids(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|document| document["id"].as_str().expect("an id")).collect()
}

/// Stage and reason of every reject, by id.
fn reasons(folder: &Path) -> Vec<(String, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    let told = |line: Value| {
        (text(&line, "id"), format!("{}: {}", text(&line, "stage"), text(&line, "reason")))
    };
    rejects(folder).into_iter().map(told).collect()
}

#[test]
fn links_are_followed_breadth_first_in_page_order_within_the_site_and_robots_txt_is_obeyed() {
    let other = Server::start([("/", article("elsewhere", ""))]);
    let elsewhere = format!("<a href='{}'>o</a>", other.url("/"));
    let links = |paths: &[&str]| -> String {
        paths.iter().map(|path| format!("<a href='{path}'>x</a>")).collect()
    };
    let server = Server::start([
        ("/", article(&text(0), &(links(&["/c", "/a#top", "/a", "/no"]) + &elsewhere))),
        ("/c", article(&text(1), &links(&["/e", "/"]))),
        ("/a", article(&text(2), &links(&["/d", "/e"]))),
        ("/e", article(&text(3), &links(&["/too-far"]))),
        ("/d", article(&text(4), "")),
        ("/no", article(&text(5), &links(&["/hidden"]))),
        ("/too-far", article(&text(6), "")),
        ("/hidden", article(&text(7), "")),
        ("/robots.txt", Behaviour::page("User-agent: *\nDisallow: /no\n")),
    ]);
    let source = |more: &str| {
        format!(
            "kind = \"pages\"\nurls = [\"{}\"]\nselector = \"article\"\nfollow = \"a\"\ndepth = 2\n{more}",
            server.url("/"),
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    program::run(&job_over(folder.path(), &source("allow_private = true\n")), &[]).json();
    let found = documents(folder.path());
    // Links of the first page, in its order; then those of its pages, each page once.
    let expected = ["/", "/c", "/a", "/no", "/e", "/d"].map(|path| server.url(path));
    assert_eq!(ids(&found), expected);
    let site = server.url("");
    let refused = format!("fetch: robots.txt of {site} forbids it");
    assert_eq!(reasons(folder.path()), [(server.url("/no"), refused)]);
    assert_eq!(other.requests().len(), 0);
    assert_eq!((server.count("/no"), server.count("/too-far")), (0, 0));

    // Without leave a server in a private network is not asked for anything.
    let before = server.requests().len();
    let folder = tempfile::tempdir().expect("a folder");
    program::run(&job_over(folder.path(), &source("")), &[]).json();
    let [(id, reason)] = reasons(folder.path()).try_into().expect("one page");
    assert_eq!(id, server.url("/"));
    assert!(reason.contains("is not on the public web"), "{reason}");
    assert_eq!(server.requests().len(), before);
}

#[test]
fn a_sitemap_lists_pages_of_the_web_only_and_says_which_of_them_are_revised() {
    let inside = Server::start([("/secret", article("a secret", ""))]);
    let server = Server::start([
        ("/a", article(&text(0), "")),
        ("/b", article(&text(1), "")),
        ("/leads-inside", Behaviour::Redirect(inside.url("/secret"))),
    ]);
    let index = format!(
        "<sitemapindex><sitemap><loc>{}</loc></sitemap></sitemapindex>",
        server.url("/pages.xml.gz"),
    );
    let sitemap = |date: &str| {
        let place = |url: String| format!("<url><loc>{url}</loc><lastmod>{date}</lastmod></url>");
        let fixed = |url: String| format!("<url><loc>{url}</loc></url>");
        let places = [
            place(server.url("/a")),
            fixed(server.url("/b")),
            fixed("file:///etc/passwd".to_owned()),
            fixed(server.url("/leads-inside")),
        ];
        let page = format!("<urlset>{}</urlset>", places.concat());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(page.as_bytes()).expect("memory takes it");
        Behaviour::Page(Page::html(gzip.finish().expect("memory takes it")))
    };
    server.set("/sitemap.xml", Behaviour::page(index));
    server.set("/pages.xml.gz", sitemap("2026-01-01"));
    let folder = tempfile::tempdir().expect("a folder");
    let source = format!(
        "kind = \"pages\"\nsitemap = \"{}\"\nselector = \"article\"\nallow_private = true\n",
        server.url("/sitemap.xml"),
    );
    let job = job_over(folder.path(), &source);
    program::run(&job, &[]).json();
    let rejected: Vec<_> = reasons(folder.path());
    let of = |id: &str| {
        let found = rejected.iter().find(|(of, _)| of == id);
        found.unwrap_or_else(|| panic!("{id}: {rejected:?}")).1.clone()
    };
    assert_eq!(rejected.len(), 2);
    let no_address = "catalogue: it is no address that begins with http:// or https://";
    assert_eq!(of("file:///etc/passwd"), no_address);
    // Its port is another site, and the redirect is looked at like any address.
    assert!(of(&server.url("/leads-inside")).contains("is not on the public web"), "{rejected:?}");
    assert_eq!(inside.requests().len(), 0);

    server.set("/a", article(&text(9), ""));
    server.set("/pages.xml.gz", sitemap("2026-02-02"));
    let again = program::run(&job, &[]).json();
    assert_eq!(again["account"]["entries"], 5, "one was revised: {again}");
    assert_eq!((server.count("/a"), server.count("/b")), (2, 1));
}

fn rss(server: &Server, items: &[usize]) -> Behaviour {
    let item = |&item: &usize| {
        format!(
            "<item><guid>item-{item}</guid><title>第{item}話</title><link>{}</link>\
             <description>&lt;p&gt;{}&lt;/p&gt;</description></item>",
            server.url(&format!("/{item}")),
            text(item),
        )
    };
    let items: String = items.iter().rev().map(item).collect();
    Behaviour::page(format!("<rss version='2.0'><channel><title>t</title>{items}</channel></rss>"))
}

/// Starts `run JOB --json`, a commit after every epoch.
fn start(job: &Path, input: impl Into<Stdio>) -> Running {
    let job = job.to_str().expect("a path of ours");
    let set = ["--set", "commit.every=0 s"];
    Running::start_with(program::seseragi(["run", job, "--json"].into_iter().chain(set)), input)
}

#[test]
fn a_feed_that_grows_is_read_as_it_grows_and_nothing_twice() {
    for kind in ["page", "content"] {
        let server = Server::start((0..5).map(|at| (format!("/{at}"), article(&text(at), ""))));
        server.set("/feed", rss(&server, &[0]));
        let folder = tempfile::tempdir().expect("a folder");
        let source = format!(
            "kind = \"feed\"\nurl = \"{}\"\nevery = 0.1\ntext = \"{kind}\"\nallow_private = true\n\
             [flow]\nepoch_entries = 1\n",
            server.url("/feed"),
        );
        let job = job_over(folder.path(), &source);
        let mut running = start(&job, Stdio::null());
        // An item at a time, since epochs that close while a commit is written share the next one.
        for now in [[0, 1], [1, 2], [2, 3]] {
            running.wait_for_commits(1);
            server.set("/feed", rss(&server, &now));
        }
        running.wait_for_commits(1);
        running.signal("TERM");
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{:?}", ended.told);
        assert_eq!(ended.json()["complete"], false, "a feed has no end");
        assert_eq!(ids(&documents(folder.path())), ["item-0", "item-1", "item-2", "item-3"]);
        assert_eq!(server.count("/2"), usize::from(kind == "page"));

        // Gone on with, it reads what is new since then.
        server.set("/feed", rss(&server, &[3, 4]));
        let mut running = start(&job, Stdio::null());
        running.wait_for_commits(1);
        running.signal("TERM");
        assert_eq!(running.end().code, Some(0));
        let found = documents(folder.path());
        assert_eq!(ids(&found), ["item-0", "item-1", "item-2", "item-3", "item-4"]);
        assert!(rejects(folder.path()).is_empty());
    }
}

#[test]
fn files_of_every_format_give_the_same_text_in_one_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts = folder.path().join("texts");
    fs::create_dir(&texts).expect("room");
    let text = text(0) + "\n";
    let line = json!({ "text": text }).to_string() + "\n";
    let table = format!("id,text\n1,\"{text}\"\n");
    let gzip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(bytes).expect("memory takes it");
        gzip.finish().expect("memory takes it")
    };
    let html = format!("<html><meta charset=utf-8><body><p>{}</p></body></html>", text.trim_end());
    let files: [(&str, Vec<u8>); 8] = [
        ("a.txt", text.clone().into()),
        ("b.html", html.into()),
        ("c.jsonl", line.clone().into()),
        ("d.csv", table.clone().into()),
        ("e.txt.gz", gzip(text.as_bytes())),
        ("f.jsonl.zst", zstd::encode_all(line.as_bytes(), 1).expect("memory takes it")),
        ("g.zip", library::zipped(table.as_bytes())),
        ("h.parquet", parquet_of(&text)),
    ];
    for (name, bytes) in files {
        fs::write(texts.join(name), bytes).expect("room");
    }
    let source = format!("kind = \"files\"\npaths = [\"{}/*\"]\n", texts.display());
    let outcome = program::run(&job_over(folder.path(), &source), &[]).json();
    let [entries, learnt, held_out, duplicates, rejected] = library::account(&outcome);
    // Equal texts are one document: that all the others are duplicates says that they are equal.
    assert_eq!((entries, learnt + held_out, duplicates, rejected), (8, 1, 7, 0), "{outcome}");
    let found = documents(folder.path());
    let names: BTreeSet<_> = ids(&found).into_iter().collect();
    let expected = [
        "a.txt",
        "b.html",
        "c.jsonl#1",
        "d.csv#1",
        "e.txt.gz",
        "f.jsonl.zst#1",
        "g.zip/list.csv#1",
        "h.parquet#1",
    ];
    assert_eq!(names, expected.into());
}

fn parquet_of(text: &str) -> Vec<u8> {
    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    let texts: ArrayRef = std::sync::Arc::new(StringArray::from_iter_values([text]));
    let batch = RecordBatch::try_from_iter([("text", texts)]).expect("one column");
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None)
        .expect("memory takes it");
    writer.write(&batch).expect("memory takes it");
    writer.into_inner().expect("memory takes it")
}

fn lines(count: usize) -> Vec<String> {
    let mut lines: Vec<String> = (0..count)
        .map(|at| json!({ "id": format!("line-{at}"), "text": text(at) }).to_string())
        .collect();
    lines.insert(2, "no JSON".to_owned());
    lines
}

/// Sends the lines into a pipe, and hangs up.
fn piped(lines: &[String]) -> io::PipeReader {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let text = lines.join("\n") + "\n";
    std::thread::spawn(move || {
        let _the_program_was_killed = writer.write_all(text.as_bytes());
    });
    reader
}

#[test]
fn a_run_over_standard_input_that_is_killed_goes_on_to_the_same_weights() {
    let lines = lines(40);
    let source = "kind = \"stdin\"\n[flow]\nepoch_entries = 2\n";
    let whole = tempfile::tempdir().expect("a folder");
    let ended = start(&job_over(whole.path(), source), piped(&lines)).end();
    assert_eq!(ended.code, Some(0), "{:?}", ended.told);
    let unbroken = ended.json();
    assert_eq!(unbroken["complete"], true);
    let [(_, reason)] = reasons(whole.path()).try_into().expect("one line is none");
    assert!(reason.starts_with("catalogue: line 3: it is no JSON object"), "{reason}");
    assert_eq!(library::account(&unbroken)[0], 41);

    // Killed while the pipe is still open, then without any input: the spool has it all.
    let folder = tempfile::tempdir().expect("a folder");
    let job = job_over(folder.path(), source);
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all((lines.join("\n") + "\n").as_bytes()).expect("the program reads");
    let mut running = start(&job, reader);
    running.wait_for_commits(3);
    let spool = folder.path().join("run/spool/stdin.jsonl");
    assert!(running.run_while(|_| {
        fs::read_to_string(&spool).unwrap_or_default().lines().count() < lines.len()
    }));
    assert!(running.kill(), "killed in the middle");
    drop(writer);
    let resumed = start(&job, Stdio::null()).end();
    assert_eq!(resumed.code, Some(0), "{:?}", resumed.told);
    assert_eq!(resumed.json()["weights_digest"], unbroken["weights_digest"]);
    assert_eq!(resumed.json()["account"], unbroken["account"]);

    // Killed, and the same input piped in again: nothing is read twice.
    let folder = tempfile::tempdir().expect("a folder");
    let job = job_over(folder.path(), source);
    let mut running = start(&job, piped(&lines));
    running.wait_for_commits(3);
    running.kill();
    let resumed = start(&job, piped(&lines)).end();
    assert_eq!(resumed.json()["weights_digest"], unbroken["weights_digest"]);
    assert_eq!(ids(&documents(folder.path())), ids(&documents(whole.path())));
}
