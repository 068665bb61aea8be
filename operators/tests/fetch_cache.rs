//! The client with a cache, over several runs.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use loopback::{Behaviour, Delay, Page, Server};
use operators::fetch::{Client, Fetched, Revalidate, Settings, Trouble};
use tokio::task::JoinSet;

fn cached(folder: &Path) -> Settings {
    Settings {
        cache_dir: Some(folder.to_owned()),
        respect_robots: false,
        tries: 1,
        allow_private: true,
        ..Settings::default()
    }
}

/// What a new run of the job gets, and its client.
async fn run(settings: &Settings, address: &str) -> (Fetched, Client) {
    let client = Client::new(settings).expect("the settings mean something");
    (client.get_address(address).await.expect("there is a page"), client)
}

/// Of each request so far, whether it was conditional.
fn conditions(server: &Server) -> Vec<bool> {
    server.requests().iter().map(|request| request.conditional()).collect()
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again_and_what_has_is() {
    let dates = ["Wed, 21 Oct 2015 07:28:00 GMT", "Thu, 22 Oct 2015 07:28:00 GMT"];
    for (name, [first, second]) in [("ETag", ["\"1\"", "\"2\""]), ("Last-Modified", dates)] {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = cached(folder.path());
        let page = |body: &str, version| {
            Behaviour::Page(Page::html(body.to_owned()).header(name, version))
        };
        let server = Server::start([("/", page("river", first))]);
        let url = server.url("/");
        let (fresh, _) = run(&settings, &url).await;
        assert!(!fresh.from_cache);
        let (kept, client) = run(&settings, &url).await;
        assert_eq!(kept, Fetched { from_cache: true, ..fresh });
        let counters = client.counters();
        assert_eq!((counters.requests, counters.not_modified, counters.from_cache), (1, 1, 1));
        assert_eq!(counters.bytes, 0);
        server.set("/", page("sea", second));
        let (changed, _) = run(&settings, &url).await;
        assert_eq!((changed.body.as_ref(), changed.from_cache), (b"sea".as_slice(), false));
        // And the new version is the one that is known from now on.
        let (kept, _) = run(&settings, &url).await;
        assert_eq!((kept.body.as_ref(), kept.from_cache), (b"sea".as_slice(), true));
        assert_eq!(conditions(&server), [false, true, true, true], "{name}");
    }
}

#[tokio::test]
async fn a_page_without_validators_is_fetched_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start([("/", Behaviour::page("river"))]);
    for _ in 0..2 {
        let (page, _) = run(&cached(folder.path()), &server.url("/")).await;
        assert!(!page.from_cache);
    }
    assert_eq!(conditions(&server), [false, false]);
}

#[tokio::test]
async fn a_cache_that_is_trusted_answers_without_a_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start([("/", Behaviour::page("river"))]);
    let settings = Settings { revalidate: Revalidate::Never, ..cached(folder.path()) };
    for from_cache in [false, true, true] {
        let (page, _) = run(&settings, &server.url("/")).await;
        assert_eq!((page.body.as_ref(), page.from_cache), (b"river".as_slice(), from_cache));
    }
    assert_eq!(server.count("/"), 1);
}

#[tokio::test]
async fn a_damaged_body_is_never_served_but_fetched_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = Page::html("river").header("ETag", "\"1\"");
    let server = Server::start([("/", Behaviour::Page(page))]);
    let settings = cached(folder.path());
    run(&settings, &server.url("/")).await;
    // printf river | sha256sum
    let hash = "5f5a8ed8f139be6df7cf8f4a91d3e4649961a98c82fd521c18d6f292b031a319";
    let object = folder.path().join("objects").join(&hash[..2]).join(&hash[2..]);
    for damage in ["rivet", "ri"] {
        assert_eq!(fs::read(&object).expect("the body is kept"), b"river");
        fs::write(&object, damage).expect("the object is a file");
        let (page, _) = run(&settings, &server.url("/")).await;
        assert_eq!((page.body.as_ref(), page.from_cache), (b"river".as_slice(), false));
    }
    // Each time the server says "not modified" first, and is then asked without a condition.
    assert_eq!(conditions(&server), [false, true, false, true, false]);
}

#[tokio::test]
async fn validators_go_to_the_address_that_gave_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = Page::html("river").header("ETag", "\"1\"");
    let server = Server::start([
        ("/old", Behaviour::Redirect("/new".to_owned())),
        ("/new", Behaviour::Page(page)),
    ]);
    for from_cache in [false, true] {
        let (page, _) = run(&cached(folder.path()), &server.url("/old")).await;
        assert_eq!(page.from_cache, from_cache);
    }
    assert_eq!(conditions(&server), [false, false, false, true]);
}

#[tokio::test]
async fn the_files_of_a_folder_are_sent_once() {
    let (mirror, kept) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    fs::create_dir(mirror.path().join("cards")).expect("room");
    fs::write(mirror.path().join("cards/1.html"), "river").expect("room");
    let server = Server::folder(mirror.path());
    for from_cache in [false, true] {
        let (page, _) = run(&cached(kept.path()), &server.url("/cards/1.html")).await;
        assert_eq!((page.media.as_str(), page.from_cache), ("text/html", from_cache));
    }
    fs::write(mirror.path().join("cards/1.html"), "a longer river").expect("room");
    let (page, _) = run(&cached(kept.path()), &server.url("/cards/1.html")).await;
    assert_eq!(page.body, "a longer river");
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_fatal_and_not_a_refusal() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start([("/", Behaviour::page("river"))]);
    let client = Client::new(&cached(folder.path())).expect("a client");
    fs::remove_dir(folder.path().join("objects")).expect("an empty folder");
    fs::write(folder.path().join("objects"), "in the way").expect("room");
    let trouble = client.get_address(&server.url("/")).await.expect_err("nowhere to keep it");
    assert!(matches!(trouble, Trouble::Fatal(_)), "{trouble}");
    assert!(Client::new(&cached(folder.path())).is_err());
}

/// Real pages, which not every checkout has beside it.
#[allow(clippy::print_stderr, reason = "tells a person that a test did nothing")]
fn mirror() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = std::env::var_os("SESERAGI_TEST_DATA").map_or_else(beside, PathBuf::from);
    let mirror = data.join("aozora/mirror");
    if !mirror.join("cards").is_dir() {
        eprintln!("skipped: there are no pages at {}", mirror.display());
        return None;
    }
    Some(mirror)
}

/// The paths of the pages below `folder`, as the server names them.
fn pages(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for item in fs::read_dir(folder).expect("a folder") {
        let path = item.expect("an item").path();
        if path.is_dir() {
            pages(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let below = path.strip_prefix(root).expect("it is below").display();
            found.push(format!("/{below}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_library_arrives_byte_for_byte_and_a_second_run_receives_nothing() {
    let Some(mirror) = mirror() else { return };
    let mut paths = Vec::new();
    pages(&mirror, &mirror.join("cards"), &mut paths);
    let server = Server::slow_folder(&mirror, Delay { seed: 5, up_to: Duration::from_millis(3) });
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = Vec::new();
    for from_cache in [false, true] {
        let client = Client::new(&cached(folder.path())).expect("a client");
        let mut fetches = JoinSet::new();
        for path in &paths {
            let (client, url, file) = (client.clone(), server.url(path), mirror.join(&path[1..]));
            fetches.spawn(async move {
                let page = client.get_address(&url).await.expect("the server has it");
                assert_eq!(page.from_cache, from_cache, "{url}");
                assert!(page.body == fs::read(&file).expect("the file is there"), "{url}");
            });
        }
        while let Some(fetched) = fetches.join_next().await {
            fetched.expect("as asserted");
        }
        assert_eq!(client.counters().requests, paths.len() as u64);
        bytes.push(client.counters().bytes);
    }
    assert_eq!(bytes[1], 0);
    assert!(server.most_at_once() <= Settings::default().per_host);
}
