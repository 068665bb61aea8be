//! The client against a server that misbehaves.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use loopback::{Behaviour, Delay, Gate, Page, Server};
use operators::fetch::{Client, Failure, Fetched, Refusal, Settings, Trouble};
use url::Url;

/// Short waits and few tries; everything else as it is by default.
fn settings() -> Settings {
    Settings {
        backoff: 0.02,
        backoff_limit: 0.05,
        tries: 4,
        allow_private: true,
        ..Settings::default()
    }
}

fn client(settings: &Settings) -> Client {
    Client::new(settings).expect("the settings mean something")
}

async fn get(client: &Client, address: &str) -> Result<Fetched, Trouble> {
    client.get_address(address).await
}

async fn body(client: &Client, address: &str) -> String {
    let fetched = get(client, address).await.expect("there is a page");
    String::from_utf8(fetched.body.to_vec()).expect("it is text")
}

async fn refusal(client: &Client, address: &str) -> Refusal {
    match get(client, address).await {
        Err(Trouble::Refused(refusal)) => refusal,
        other => panic!("expected a refusal of {address}, not {other:?}"),
    }
}

fn cut(chunked: bool) -> Behaviour {
    Behaviour::Cut { page: Page::html("a river that runs on"), after: 7, chunked }
}

#[tokio::test]
async fn a_page_comes_out_as_it_was_sent_and_the_server_knows_who_asked() {
    let page = Page::html("river").header("Content-Type", "Text/HTML; charset=Shift_JIS");
    let server = Server::start([("/river?x=1", Behaviour::Page(page))]);
    let settings = Settings { contact: "https://example.org/why".to_owned(), ..settings() };
    let fetched = get(&client(&settings), &server.url("/river?x=1#bank")).await.expect("a page");
    // printf river | sha256sum
    let river = "5f5a8ed8f139be6df7cf8f4a91d3e4649961a98c82fd521c18d6f292b031a319";
    let content: String = fetched.content().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(content, river);
    assert_eq!(
        (fetched.media.as_str(), fetched.charset.as_deref()),
        ("text/html", Some("shift_jis"))
    );
    assert!(!fetched.from_cache);
    let requests = server.requests();
    // Its robots.txt first, then the page, without the fragment.
    let paths: Vec<_> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/robots.txt", "/river?x=1"]);
    let agent = requests[1].header("user-agent").expect("we say who we are");
    assert!(agent.starts_with("seseragi/"), "{agent}");
    assert!(agent.ends_with("(+https://example.org/why)"), "{agent}");
}

#[tokio::test]
async fn the_servers_final_word_is_not_asked_for_twice() {
    let statuses = [404, 403, 410, 204, 304];
    let server = Server::start(statuses.map(|of| (format!("/{of}"), Behaviour::Status(of))));
    let client = client(&settings());
    for status in statuses {
        let path = format!("/{status}");
        assert_eq!(refusal(&client, &server.url(&path)).await, Refusal::Status(status));
        assert_eq!(server.count(&path), 1, "{status}");
    }
}

#[tokio::test]
async fn trouble_that_passes_is_tried_again_until_it_has_passed() {
    let fine = || Behaviour::page("a river that runs on");
    let server = Server::start([
        ("/500", Behaviour::Status(500).times(2).then(fine())),
        ("/429", Behaviour::Status(429).times(2).then(fine())),
        ("/close", Behaviour::Close.times(2).then(fine())),
        ("/hang", Behaviour::Hang.times(2).then(fine())),
        ("/cut", cut(false).times(2).then(fine())),
        ("/cut-chunked", cut(true).times(2).then(fine())),
    ]);
    for path in ["/500", "/429", "/close", "/hang", "/cut", "/cut-chunked"] {
        let timeout = if path == "/hang" { 0.5 } else { settings().timeout };
        let client = client(&Settings { timeout, ..settings() });
        assert_eq!(body(&client, &server.url(path)).await, "a river that runs on", "{path}");
        assert_eq!(server.count(path), 3, "{path}");
        assert_eq!(client.counters().retries, 2);
    }
}

#[tokio::test]
async fn trouble_that_stays_is_given_up_and_its_last_cause_is_said() {
    let gzipped = Page::html(gzip(&b"a river that runs on ".repeat(100)));
    let gzipped = gzipped.header("Content-Encoding", "gzip");
    let server = Server::start([
        ("/500", Behaviour::Status(500)),
        ("/close", Behaviour::Close),
        ("/hang", Behaviour::Hang),
        ("/cut", cut(false)),
        ("/cut-chunked", cut(true)),
        ("/cut-gzip", Behaviour::Cut { page: gzipped, after: 20, chunked: true }),
    ]);
    let client = client(&Settings { timeout: 0.5, ..settings() });
    let last = async |path| match refusal(&client, &server.url(path)).await {
        Refusal::GaveUp { tries: 4, last } => last,
        other => panic!("{path}: {other}"),
    };
    assert_eq!(last("/500").await, Failure::Status(500));
    assert!(matches!(last("/close").await, Failure::Broken(_)));
    assert_eq!(last("/hang").await, Failure::Timeout);
    for path in ["/cut", "/cut-chunked", "/cut-gzip"] {
        let failure = last(path).await;
        assert!(matches!(failure, Failure::Cut(_)), "{path}: {failure}");
        assert_eq!(server.count(path), 4);
    }
    let message = refusal(&client, &server.url("/500")).await.to_string();
    assert_eq!(message, "gave up after 4 tries: status 500");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_given_up() {
    // A port that was just free; were it taken meanwhile, the refusal would be another.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let gone = format!("http://{}/", free.expect("a free port"));
    let settings = Settings { respect_robots: false, ..settings() };
    let refusal = refusal(&client(&settings), &gone).await;
    let Refusal::GaveUp { tries: 4, last: Failure::Unreachable(cause) } = refusal else {
        panic!("{refusal}")
    };
    assert!(cause.contains("refused"), "{cause}");
}

#[tokio::test]
async fn retry_after_is_obeyed_by_everyone_who_wants_something_of_that_site() {
    let busy = Behaviour::retry_after(429, "1").times(1).then(Behaviour::page("at last"));
    let server = Server::start([("/busy", busy), ("/other", Behaviour::page("another"))]);
    let settings = Settings { per_host: 1, respect_robots: false, ..settings() };
    let client = client(&settings);
    let began = Instant::now();
    let timed = async |path: &str| {
        let body = body(&client, &server.url(path)).await;
        (body, began.elapsed() >= Duration::from_secs(1))
    };
    // One at a time, so that the second starts after the answer to the first.
    let (busy, other) = tokio::join!(timed("/busy"), timed("/other"));
    assert_eq!(server.requests()[0].path, "/busy");
    assert_eq!(busy, ("at last".to_owned(), true));
    assert_eq!(other, ("another".to_owned(), true));
}

#[tokio::test]
async fn nobody_waits_for_a_time_beyond_the_deadline() {
    let server = Server::start([("/busy", Behaviour::retry_after(503, "3600"))]);
    let refusal = refusal(&client(&settings()), &server.url("/busy")).await;
    assert_eq!(refusal, Refusal::GaveUp { tries: 1, last: Failure::Status(503) });
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_limit_and_never_off_the_web() {
    let to = |place: &str| Behaviour::Redirect(place.to_owned());
    let server = Server::start([
        ("/3", to("/2")),
        ("/2", to("1")),
        ("/1", to("/0#end")),
        ("/0", Behaviour::page("arrived")),
        ("/4", to("/3")),
        ("/circle", to("/back")),
        ("/back", to("/circle")),
        ("/file", to("file:///etc/hostname")),
        ("/ftp", to("ftp://example.org/")),
    ]);
    let client = client(&Settings { redirects: 3, ..settings() });
    assert_eq!(body(&client, &server.url("/3")).await, "arrived");
    assert_eq!(refusal(&client, &server.url("/4")).await, Refusal::TooManyRedirects(3));
    assert_eq!(refusal(&client, &server.url("/circle")).await, Refusal::TooManyRedirects(3));
    assert_eq!(server.count("/circle") + server.count("/back"), 4);
    for (path, place) in [("/file", "file:///etc/hostname"), ("/ftp", "ftp://example.org/")] {
        let refusal = refusal(&client, &server.url(path)).await;
        assert_eq!(refusal, Refusal::RedirectForbidden(place.to_owned()));
    }
}

#[tokio::test]
async fn a_redirect_needs_the_leave_of_the_site_that_it_leads_to() {
    let strict = Server::start([
        ("/robots.txt", Behaviour::page("User-agent: *\nDisallow: /private\n")),
        ("/private", Behaviour::page("a secret")),
    ]);
    let server = Server::start([("/", Behaviour::Redirect(strict.url("/private")))]);
    let refusal = refusal(&client(&settings()), &server.url("/")).await;
    assert_eq!(refusal, Refusal::Robots(strict.url("")));
    assert_eq!(strict.count("/private"), 0);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("into memory")
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    encoder.write_all(bytes).expect("into memory");
    encoder.into_inner()
}

#[tokio::test]
async fn compressed_pages_come_out_as_they_were_before() {
    let text = "せせらぎ".repeat(1000);
    let zstd = zstd::encode_all(text.as_bytes(), 3).expect("into memory");
    let encodings =
        [("gzip", gzip(text.as_bytes())), ("br", brotli(text.as_bytes())), ("zstd", zstd)];
    let server = Server::start(encodings.map(|(name, encoded)| {
        (format!("/{name}"), Behaviour::Page(Page::html(encoded).header("Content-Encoding", name)))
    }));
    let client = client(&Settings { respect_robots: false, ..settings() });
    for name in ["gzip", "br", "zstd"] {
        assert_eq!(body(&client, &server.url(&format!("/{name}"))).await, text, "{name}");
    }
    assert_eq!(client.counters().bytes, 3 * text.len() as u64);
}

#[tokio::test]
async fn no_body_is_larger_than_the_limit_however_it_is_sent() {
    let limit = 1 << 17;
    let bomb = Page::html(gzip(&vec![b' '; 64 << 20])).header("Content-Encoding", "gzip");
    assert!(bomb.body.len() < limit, "the bomb has {} bytes as it is sent", bomb.body.len());
    let server = Server::start([
        ("/full", Behaviour::page(vec![b' '; limit])),
        ("/over", Behaviour::page(vec![b' '; limit + 1])),
        ("/endless", Behaviour::Endless),
        ("/bomb", Behaviour::Page(bomb)),
    ]);
    let client = client(&Settings { body_limit: limit as u64, ..settings() });
    assert_eq!(body(&client, &server.url("/full")).await.len(), limit);
    for path in ["/over", "/endless", "/bomb"] {
        let refusal = refusal(&client, &server.url(path)).await;
        assert_eq!(refusal, Refusal::TooLarge(limit as u64), "{path}");
        assert_eq!(server.count(path), 1, "{path}");
    }
    // The full page and up to a full body of each of the other three.
    assert!(client.counters().bytes <= 4 * limit as u64);
}

#[tokio::test]
async fn robots_txt_is_asked_for_once_and_obeyed() {
    let server = Server::start([
        ("/robots.txt", Behaviour::page("User-agent: *\nDisallow: /private\n")),
        ("/private/1", Behaviour::page("a secret")),
        ("/public", Behaviour::page("river")),
    ]);
    let client = client(&settings());
    let (public, private) = (server.url("/public"), server.url("/private/1"));
    let (river, again, refused) =
        tokio::join!(body(&client, &public), body(&client, &public), refusal(&client, &private));
    assert_eq!((river.as_str(), again.as_str()), ("river", "river"));
    assert_eq!(refused, Refusal::Robots(server.url("")));
    assert_eq!((server.count("/robots.txt"), server.count("/private/1")), (1, 0));
    let bold = self::client(&Settings { respect_robots: false, ..settings() });
    assert_eq!(body(&bold, &private).await, "a secret");
    assert_eq!(server.count("/robots.txt"), 1);
}

#[tokio::test]
async fn a_site_whose_robots_txt_cannot_be_had_is_left_alone_until_it_can() {
    // Four tries for the first page; the second finds it answering.
    let late = Behaviour::Status(503).times(4).then(Behaviour::page("User-agent: *\nAllow: /\n"));
    let server = Server::start([("/robots.txt", late), ("/", Behaviour::page("river"))]);
    let client = client(&settings());
    let refusal = refusal(&client, &server.url("/")).await;
    let cause = "gave up after 4 tries: status 503".to_owned();
    assert_eq!(refusal, Refusal::RobotsUnknown { site: server.url(""), cause });
    assert_eq!(server.count("/"), 0);
    assert_eq!(body(&client, &server.url("/")).await, "river");
}

#[tokio::test]
async fn the_crawl_delay_lies_between_any_two_requests() {
    let pages = ["/1", "/2", "/3"];
    let robots = Behaviour::page("User-agent: *\nCrawl-delay: 0.2\n");
    let server = Server::start([("/robots.txt", robots)]);
    for page in pages {
        server.set(page, Behaviour::page(page));
    }
    let client = client(&settings());
    let [one, two, three] = pages.map(|page| server.url(page));
    let began = Instant::now();
    tokio::join!(body(&client, &one), body(&client, &two), body(&client, &three));
    // From robots.txt to the first page, and from there to the second and to the third.
    assert!(began.elapsed() >= 3 * Duration::from_millis(200));
}

/// The most requests at once that eight pages get, all asked for together.
async fn most_at_once(settings: &Settings, reached: usize) -> usize {
    let gate = Gate::closed();
    let a_while = Delay { seed: 1, up_to: Duration::from_millis(50) };
    let page = || Behaviour::page("river").slow(a_while).behind(&gate);
    let server = Server::start((0..8).map(|number| (format!("/{number}"), page())));
    let client = client(settings);
    let asked: Vec<_> = (0..8)
        .map(|number| (client.clone(), server.url(&format!("/{number}"))))
        .map(|(client, url)| tokio::spawn(async move { body(&client, &url).await }))
        .collect();
    tokio::task::block_in_place(|| {
        server.wait_for("as many requests as may be", |log| log.underway >= reached);
    });
    assert_eq!(client.counters().in_flight, reached as u64);
    gate.open();
    for asked in asked {
        assert_eq!(asked.await.expect("no panic"), "river");
    }
    assert_eq!(client.counters().in_flight, 0);
    server.most_at_once()
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_requests_are_under_way_as_the_job_may_have_and_no_more() {
    let settings = Settings { in_flight: 3, per_host: 8, respect_robots: false, ..settings() };
    assert_eq!(most_at_once(&settings, 3).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_requests_are_under_way_as_one_host_may_have_and_no_more() {
    let settings = Settings { in_flight: 8, per_host: 2, respect_robots: false, ..settings() };
    assert_eq!(most_at_once(&settings, 2).await, 2);
}

#[tokio::test]
async fn files_are_read_from_the_disk_and_other_kinds_of_address_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("river.html");
    std::fs::write(&path, "river").expect("room");
    let client = client(&Settings { body_limit: 5, ..settings() });
    let url = Url::from_file_path(&path).expect("an absolute path");
    assert_eq!(body(&client, url.as_str()).await, "river");
    std::fs::write(&path, "rivers").expect("room");
    assert_eq!(refusal(&client, url.as_str()).await, Refusal::TooLarge(5));
    assert_eq!(refusal(&client, "ftp://example.org/").await, Refusal::Scheme("ftp".to_owned()));
    assert!(matches!(refusal(&client, "river.html").await, Refusal::NotAnAddress { .. }));
    assert_eq!(client.counters().requests, 0);
}

/// A machine without certificate authorities, which this is not: the test runs itself once more
/// with none to be found.
#[tokio::test]
async fn without_certificate_authorities_only_the_web_that_needs_them_is_out_of_reach() {
    const NAME: &str =
        "without_certificate_authorities_only_the_web_that_needs_them_is_out_of_reach";
    const NOWHERE: &str = "/nowhere/at/all";
    if std::env::var("SSL_CERT_FILE").as_deref() != Ok(NOWHERE) {
        let program = std::env::current_exe().expect("this is one");
        let ran = std::process::Command::new(program)
            .args(["--exact", NAME])
            .envs([("SSL_CERT_FILE", NOWHERE), ("SSL_CERT_DIR", NOWHERE)])
            .output()
            .expect("it runs, as it does now");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
        return;
    }
    let server = Server::start([("/", Behaviour::page("river"))]);
    let client = client(&settings());
    assert_eq!(body(&client, &server.url("/")).await, "river");
    let trouble = get(&client, "https://127.0.0.1:9/").await.expect_err("whom to trust?");
    assert!(matches!(trouble, Trouble::Fatal(_)), "{trouble}");
    let message = trouble.to_string();
    assert!(message.contains("No CA certificates were loaded from the system"), "{message}");
    assert!(message.contains("install the package `ca-certificates`"), "{message}");
}

#[tokio::test]
async fn a_private_address_is_asked_only_where_that_is_allowed_and_at_no_hop_otherwise() {
    let inside = Server::start([("/secret", Behaviour::page("a secret"))]);
    let outside = Server::start([
        ("/leads-inside", Behaviour::Redirect(inside.url("/secret"))),
        ("/page", Behaviour::page("a river that runs on")),
    ]);
    let client = client(&Settings { allow_private: false, ..settings() });
    let by_name = inside.url("/secret").replace("127.0.0.1", "localhost");
    for address in [inside.url("/secret"), by_name] {
        assert!(matches!(refusal(&client, &address).await, Refusal::Private(_)), "{address}");
    }
    client.permit(&outside.url("/").parse().expect("an address"));
    assert_eq!(body(&client, &outside.url("/page")).await, "a river that runs on");
    // Another port is another site: the permission does not lead there.
    let refused = refusal(&client, &outside.url("/leads-inside")).await.to_string();
    assert!(refused.ends_with("only where the job allows it (`allow_private`)"), "{refused}");
    assert_eq!(inside.requests().len(), 0, "nothing was asked for, not even its robots.txt");
}
