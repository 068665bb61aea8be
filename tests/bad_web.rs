//! A web that misbehaves costs a job the pages that it spoils, each with its reason, and no others.

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;

use std::collections::{BTreeMap, BTreeSet};

use library::{good, html, page, rejects, text};
use loopback::{Behaviour, Page, Server};
use serde_json::Value;

/// A job's whole outcome over works of which some are bad: runs it, asserts that it went on to its
/// end and that every work is in the account once, and returns the rejects, by work.
fn run_over(server: &Server, overrides: &[&str]) -> (Value, BTreeMap<String, String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = program::run(&library::job(folder.path(), server), overrides).json();
    assert_eq!(outcome["complete"], true, "{outcome}");
    let run = folder.path().join("run");
    let seen = program::call(["inspect", "--json", run.to_str().expect("a path of ours")]).json();
    let documents = seen["documents"].as_array().expect("a list");
    let ids: BTreeSet<&str> = documents.iter().filter_map(|line| line["id"].as_str()).collect();
    assert_eq!(ids.len(), documents.len(), "an entry stands in the account twice");
    let [entries, .., rejected] = library::account(&outcome);
    assert_eq!(entries, documents.len() as u64);
    let listed = rejects(folder.path());
    assert_eq!(rejected, listed.len() as u64);
    let told = |line: &Value| {
        let text = |key: &str| line[key].as_str().expect("a text").to_owned();
        let id = text("id");
        let work = id.rsplit('/').next().expect("never empty").to_owned();
        (work, format!("{}: {}", text("stage"), text("reason")))
    };
    (outcome, listed.iter().map(told).collect())
}

/// Asserts that the rejects are these works, each for a reason that begins like this.
#[track_caller]
fn assert_rejected(rejects: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let expected: BTreeMap<&str, &str> = expected.iter().copied().collect();
    let works = |names: Vec<&str>| names.join(" ");
    assert_eq!(
        works(rejects.keys().map(String::as_str).collect()),
        works(expected.keys().copied().collect()),
        "{rejects:#?}"
    );
    for (work, reason) in rejects {
        assert!(reason.starts_with(expected[work.as_str()]), "{work}: {reason}");
    }
}

fn named(name: &str, behaviour: Behaviour) -> (String, Behaviour) {
    (name.to_owned(), behaviour)
}

#[test]
fn each_page_that_a_server_spoils_is_a_reject_with_its_reason_and_costs_no_other() {
    let whole = Page::html(html(&text(50)));
    let cut = |chunked| Behaviour::Cut { page: whole.clone(), after: 200, chunked };
    let mut works = good(12);
    works.extend([
        named("missing", Behaviour::Status(404)),
        named("broken", Behaviour::Status(500)),
        named("closed", Behaviour::Close),
        named("cut", cut(false)),
        named("cut-in-chunks", cut(true)),
        named("circle", Behaviour::Redirect("/round".to_owned())),
        named("astray", Behaviour::Redirect("ftp://127.0.0.1/page.html".to_owned())),
        named("huge", Behaviour::page(vec![b' '; 100 << 20])),
        named("endless", Behaviour::Endless),
        named("recovers", Behaviour::Status(500).times(1).then(page(&text(51)))),
        named("moved", Behaviour::Redirect("/here".to_owned())),
        named("again", page(&text(3))),
    ]);
    let server = library::serve(works);
    server.set("/round", Behaviour::Redirect("/round-again".to_owned()));
    server.set("/round-again", Behaviour::Redirect("/round".to_owned()));
    server.set("/here", page(&text(52)));

    let (outcome, rejects) = run_over(&server, &[]);

    assert_rejected(
        &rejects,
        &[
            ("missing", "fetch: status 404"),
            ("broken", "fetch: gave up after 2 tries: status 500"),
            ("closed", "fetch: gave up after 2 tries: the connection ended without an answer"),
            ("cut", "fetch: gave up after 2 tries: the body was cut off in the middle"),
            ("cut-in-chunks", "fetch: gave up after 2 tries: the body was cut off in the middle"),
            ("circle", "fetch: more than 5 redirects"),
            ("astray", "fetch: redirected to `ftp://127.0.0.1/page.html`, which is not an"),
            ("huge", "fetch: the body is larger than 33554432 bytes, the `body_limit`"),
            ("endless", "fetch: the body is larger than 33554432 bytes, the `body_limit`"),
        ],
    );
    let [entries, learnt, held_out, duplicates, rejected] = library::account(&outcome);
    assert_eq!((entries, duplicates, rejected), (24, 1, 9));
    assert_eq!(learnt + held_out, 14, "12 good pages, one that recovered and one that moved");
}

#[test]
fn each_page_that_is_spoilt_itself_is_a_reject_with_its_reason_and_costs_no_other() {
    let bytes = |body: Vec<u8>, charset: &str| {
        let media = format!("text/html{charset}");
        Behaviour::Page(Page::html(body).header("Content-Type", media))
    };
    // 20 bytes that no character begins with, in a page of some hundred characters.
    let mut invalid = html(&text(60)).into_bytes();
    let middle = invalid.len() / 2;
    invalid.splice(middle..middle, [0xff; 20]);
    let mut works = good(6);
    works.extend([
        named("no-main-text", Behaviour::page("<html><body><p>工事中</p></body></html>")),
        named("blank", page("<br><br>　")),
        named("empty", Behaviour::page("")),
        named("unknown-charset", bytes(text(61).into_bytes(), "; charset=kana-1")),
        named("invalid-bytes", bytes(invalid, "; charset=utf-8")),
        named("picture", bytes((0..=255).cycle().take(4096).collect(), "")),
        named("nested", page(&format!("{}{}", "<b>".repeat(100_000), text(62)))),
        named("nested-divs", page(&format!("{}{}", "<div>".repeat(100_000), text(63)))),
        named("endless-tag", page(&format!("<b {}>{}", "a=b ".repeat(100_000), text(64)))),
        named("few-bad-bytes", {
            let mut page = html(&text(65)).into_bytes();
            let at = page.len() - 40;
            page[at] = 0xff;
            bytes(page, "; charset=utf-8")
        }),
    ]);

    let (outcome, rejects) = run_over(&library::serve(works), &[]);

    assert_rejected(
        &rejects,
        &[
            ("no-main-text", "extract: no main text: neither `.main_text` nor a colophon"),
            ("blank", "extract: empty text"),
            ("empty", "extract: no main text"),
            ("unknown-charset", "extract: undecodable: no charset is called \"kana-1\""),
            ("invalid-bytes", "extract: undecodable: "),
            ("picture", "extract: undecodable: "),
            ("nested", "extract: too deeply nested: more than 512 elements in each other"),
            ("nested-divs", "extract: too deeply nested: more than 512 elements in each other"),
            ("endless-tag", "extract: the markup is broken: a tag or a comment does not end"),
        ],
    );
    let [entries, learnt, held_out, ..] = library::account(&outcome);
    assert_eq!((entries, learnt + held_out), (16, 7), "6 good pages, one with a scratch");
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let mut works = good(6);
    works.push(named("silent", Behaviour::Hang));
    let server = library::serve(works);
    let (outcome, rejects) = run_over(&server, &["fetch.timeout=1", "fetch.deadline=10"]);
    let reason = "fetch: gave up after 2 tries: no whole answer came in time";
    assert_rejected(&rejects, &[("silent", reason)]);
    assert_eq!(library::account(&outcome)[0], 7);
}

#[test]
fn retry_after_is_waited_for_and_beyond_the_deadline_it_is_a_reject() {
    let busy = Behaviour::retry_after(429, "1").times(1).then(page(&text(70)));
    let mut works = good(6);
    works.push(named("busy", busy));
    let server = library::serve(works);
    let (outcome, rejects) = run_over(&server, &[]);
    assert_rejected(&rejects, &[]);
    assert_eq!(library::account(&outcome)[0], 7);
    let (_, path) = library::page_of("busy");
    assert_eq!(server.count(&path), 2);

    // Alone, because a server's word holds for everything that it serves.
    let server = library::serve([named("shut", Behaviour::retry_after(429, "3600"))]);
    let (outcome, rejects) = run_over(&server, &[]);
    assert_rejected(&rejects, &[("shut", "fetch: gave up after 1 try: status 429")]);
    assert_eq!(library::account(&outcome), [1, 0, 0, 0, 1]);
}
