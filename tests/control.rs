//! A run is steered while it goes and while it stands still; what it was told survives kills, and
//! rescaling changes nothing of what comes out.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]

#[path = "support/library.rs"]
mod library;
#[path = "support/running.rs"]
mod running;
#[path = "support/stage.rs"]
mod stage;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
    time::Duration,
};

use library::{Dice, Library};
use loopback::{Behaviour, Gate, Server};
use running::{Job, Running};
use serde_json::Value;
use stage::{Stage, half_a_run};

fn command(job: &Job, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seseragi"));
    command.args(arguments).arg("--json").arg("--dir").arg(&job.directory);
    command
}

fn call(job: &Job, arguments: &[&str]) -> Output {
    command(job, arguments).output().expect("the program can be started")
}

/// What the program answers, which must be well.
fn told(job: &Job, arguments: &[&str]) -> Value {
    let output = call(job, arguments);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {messages}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// What it says to what it does not do.
fn refused(job: &Job, arguments: &[&str]) -> String {
    let output = call(job, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).expect("it writes UTF-8")
}

fn journal(job: &Job) -> Vec<Value> {
    let text = fs::read_to_string(job.directory.join("journal.jsonl")).expect("a journal");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn with_workers(job: &Job, most: usize) {
    let text = fs::read_to_string(&job.file).expect("a job");
    fs::write(&job.file, format!("max_workers = {most}\n{text}")).expect("room");
}

fn start_paused(job: &Job) -> Running {
    let mut running = job.start();
    assert!(running.wait_for(|line| line.contains("on: paused; ")), "it says that it is paused");
    running
}

fn half_a_run_paused(stage: &Stage, name: &str) -> (Job, Running) {
    let job = half_a_run(stage, name);
    told(&job, &["pause"]);
    let running = start_paused(&job);
    (job, running)
}

/// One request over a socket, its status and its body.
fn request(address: &str, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the run listens");
    let length = body.len();
    write!(stream, "{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
        .expect("the run reads");
    // A server that refuses may hang up before it has read everything.
    let _refused_early = stream.write_all(body);
    let mut answer = Vec::new();
    let _hung_up = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (status.unwrap_or_else(|| panic!("no answer: {answer}")), body.to_owned())
}

#[test]
fn what_a_run_is_told_holds_from_an_epoch_on_and_survives_kills() {
    let stage = Stage::set(21);
    let job = half_a_run(&stage, "steered");
    with_workers(&job, 4);
    let next = job.inspect()["epoch"].as_u64().expect("a commit") + 1;

    // It stands still: the next start obeys. Its notice is still there, and nobody answers.
    assert!(job.directory.join("control.json").exists(), "the kill left it behind");
    let paused = told(&job, &["pause"]);
    assert_eq!((&paused["from_epoch"], &paused["running"]), (&next.into(), &false.into()));
    let too_many = call(&job, &["scale", "9"]);
    let message = String::from_utf8_lossy(&too_many.stderr);
    assert!(too_many.status.success() && message.contains("max_workers=9"), "{message}");
    told(&job, &["scale", "3"]);
    let stopped = told(&job, &["status"]);
    assert_eq!((&stopped["state"], &stopped["committed"]), (&"stopped".into(), &(next - 1).into()));
    // Of two commands of a kind, the one given last holds.
    let hold: Vec<_> =
        (0..2).map(|place| stopped["commands"][place]["command"].to_string()).collect();
    assert_eq!(hold, ["\"pause\"", r#"{"scale":{"workers":3}}"#]);
    assert_eq!(stopped["commands"].as_array().map(Vec::len), Some(2));
    assert!(refused(&job, &["drain"]).contains("nothing to drain"));

    // Started and killed twice, it is paused at the same epoch each time.
    for _ in 0..2 {
        let running = start_paused(&job);
        let status = told(&job, &["status"]);
        assert_eq!(status["state"], "paused", "{status}");
        assert_eq!(
            (&status["epochs"]["next"], &status["epochs"]["in_flight"]),
            (&next.into(), &0.into())
        );
        assert_eq!(
            (&status["workers"]["active"], &status["workers"]["max"]),
            (&3.into(), &4.into())
        );
        assert_eq!(status["workers"]["busy_seconds"].as_array().map(Vec::len), Some(4));
        assert_eq!(status["sources"]["aozora"]["account"]["entries"], status["account"]["entries"]);
        assert!(running.kill(), "it waits until it is killed");
    }

    let running = start_paused(&job);
    let message = refused(&job, &["scale", "5"]);
    assert!(message.contains("4 were started") && message.contains("max_workers=5"), "{message}");
    assert!(refused(&job, &["detach", "brook"]).contains("there are: aozora"));
    assert!(
        told(&job, &["scale", "auto"])["running"] == true
            && told(&job, &["status"])["workers"]["auto"] == true
    );
    told(&job, &["scale", "1"]);
    assert_eq!(told(&job, &["resume"])["from_epoch"], next);
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!job.directory.join("control.json").exists(), "it is removed at the end");
    let commands: Vec<_> = journal(&job).iter().map(|line| line["command"].to_string()).collect();
    let nine = r#"{"scale":{"workers":9}}"#;
    let three = r#"{"scale":{"workers":3}}"#;
    let one = r#"{"scale":{"workers":1}}"#;
    assert_eq!(commands, ["\"pause\"", nine, three, "\"scale_auto\"", one, "\"resume\""]);
    job.outcome().expect_same(&stage.unbroken, "steered");
}

#[test]
fn rescaled_at_random_and_killed_a_run_ends_as_the_unbroken_one() {
    let stage = Stage::set(22);
    let mut dice = Dice(22);
    let mut given = 0;
    for life in 0..3 {
        let job = stage.job(&format!("rescaled-{life}"));
        with_workers(&job, 7);
        for attempt in 0..3 {
            let mut running = job.start();
            let mut goes = running.wait_for(|line| line.starts_with("source "));
            for _ in 0..2 + dice.below(4) {
                if !goes {
                    break;
                }
                let workers = match dice.below(8) {
                    0 => "auto".to_owned(),
                    workers => workers.to_string(),
                };
                // Once the run has ended, it is the next start that is told.
                told(&job, &["scale", &workers]);
                given += 1;
                let mut lines = dice.below(6);
                goes = running.wait_for(|_| {
                    lines = lines.saturating_sub(1);
                    lines == 0
                });
            }
            if attempt < 2 {
                running.kill();
            } else {
                assert_eq!(running.end().code, Some(0));
            }
        }
        stage.expect_unbroken(&job, &format!("life {life}"));
    }
    assert!(given >= 9, "only {given} commands");
}

#[test]
fn a_source_that_is_detached_is_told_of_after_a_kill_too() {
    let stage = Stage::set(24);
    let (job, running) = half_a_run_paused(&stage, "detached");
    let detached = || told(&job, &["status"])["sources"]["aozora"]["detached"].clone();
    assert_eq!(detached(), false);
    told(&job, &["detach", "aozora"]);
    assert_eq!(detached(), true);
    assert!(running.kill());

    let running = start_paused(&job);
    assert_eq!(detached(), true);
    told(&job, &["resume"]);
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let read = job.outcome().documents.len();
    assert!(read < stage.unbroken.documents.len(), "all {read} were read, though it was detached");
}

#[test]
fn a_run_that_is_held_up_is_not_waited_for_but_a_source_that_is_attached_is() {
    let stage = Stage::set(25);
    let job = half_a_run(&stage, "held-up");
    // What is attached may reach this machine only if the job says so.
    let text = fs::read_to_string(&job.file).expect("a job");
    let text = text.replace("[fetch]\n", "[fetch]\nallow_private = true\n");
    fs::write(&job.file, text).expect("room");
    told(&job, &["pause"]);
    let running = start_paused(&job);

    let gate = Gate::closed();
    let site = Server::start([("/page.html", Behaviour::page("<article>川が流れる。</article>"))]);
    let map = format!("<urlset><url><loc>{}</loc></url></urlset>", site.url("/page.html"));
    site.set("/map.xml", Behaviour::page(map).behind(&gate));
    let source = stage.folder.path().join("slow.toml");
    let lines = ["kind = \"pages\"", "name = \"slow\"", "selector = \"article\""].join("\n");
    let lines = format!("{lines}\nsitemap = {:?}\n", site.url("/map.xml"));
    fs::write(&source, lines).expect("room");
    let mut attach = command(&job, &["attach", source.to_str().expect("a path of ours")]);
    let attaching = attach.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let attaching = attaching.expect("the program can be started");
    site.wait_for("the source's map to be asked for", |log| log.count("/map.xml") > 0);

    // Longer than a question is waited for, and so is the answer to the command above.
    running.signal("STOP");
    for asked in [&["status"][..], &["scale", "2"]] {
        let message = refused(&job, asked);
        assert!(message.contains("has not answered within"), "{message}");
    }
    running.signal("CONT");
    gate.open();
    let attached = attaching.wait_with_output().expect("it is our child");
    assert!(attached.status.success(), "{}", String::from_utf8_lossy(&attached.stderr));
    told(&job, &["drain"]);
    assert_eq!(running.end().code, Some(0));
}

/// OpenMP keeps threads for each of ours that computes on several, and shortens the waits of them all once they are
/// more than the cores (`WAITING` in src/half.rs).
#[test]
#[cfg(target_os = "linux")]
fn only_the_learner_computes_on_several_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = Library::write(&folder.path().join("library"), 48, 5);
    let server = library.serve(5, Duration::from_millis(20));
    let job = Job::new(&folder.path().join("job"), &server.url(""), 1);
    let text = fs::read_to_string(&job.file).expect("a job");
    // Large enough that its tensors are shared out, those of a model that was kept as well.
    let text = text.replace("threads = 1", "threads = 2").replace("hidden = 32", "hidden = 512");
    fs::write(&job.file, text).expect("room");
    for _ in ["from the beginning", "from a checkpoint"] {
        let mut running = job.start();
        running.wait_for_commits(2);
        let threads = running.threads();
        let of = |name: &str| threads.iter().filter(|thread| *thread == name).count();
        assert_eq!((of("learner"), of("seseragi-engine")), (2, 1), "{threads:?}");
        assert!(running.kill(), "it goes on");
    }
}

#[test]
fn nobody_is_let_by_without_the_token_and_nothing_is_read_that_is_no_command() {
    let stage = Stage::set(23);
    let (job, running) = half_a_run_paused(&stage, "guarded");
    let path = job.directory.join("control.json");
    let mode = fs::metadata(&path).expect("a notice").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let notice: Value = serde_json::from_slice(&fs::read(&path).expect("a notice")).expect("JSON");
    let text = |key: &str| notice[key].as_str().expect("text").to_owned();
    let (address, token) = (text("address"), text("token"));
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert_eq!(token.len(), 64);
    let before = journal(&job);

    let head = |verb: &str, host: &str, token: &str| {
        format!("{verb} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}")
    };
    let post = |token: &str, body: &[u8]| {
        request(&address, &head("POST /commands", &address, token), body)
    };
    let resume = br#""resume""#;
    let nameless = format!("POST /commands HTTP/1.1\r\nHost: {address}");
    assert_eq!(request(&address, &nameless, resume).0, 401, "no token");
    for wrong in ["", "0", &token[1..], &token.replace(&token[..1], "g"), &format!("{token}0")] {
        assert_eq!(post(wrong, resume).0, 401, "{wrong}");
    }
    for read in ["GET /status", "GET /metrics", "GET /"] {
        assert_eq!(request(&address, &head(read, &address, "0"), b"").0, 401, "{read}");
    }
    for host in ["evil.example", "localhost", "127.0.0.1"] {
        let answer = request(&address, &head("POST /commands", host, &token), resume);
        assert_eq!(answer.0, 421, "{host}");
    }
    let refusals = [
        (post(&token, &[b' '; 64 * 1024 + 1]), 413),
        (request(&address, &head("GET /commands", &address, &token), b""), 405),
        (request(&address, &head("GET /else", &address, &token), b""), 404),
    ];
    for ((status, body), expected) in refusals {
        assert_eq!(status, expected);
        let said: Value = serde_json::from_str(&body).expect("a refusal in JSON");
        assert!(said["error"].is_string(), "{said}");
    }
    for body in [
        r#"{"scale":{"workers":1,"now":true}}"#,
        r#"{"attach":{"source":{"kind":"files","path":["a"]}}}"#,
        r#"{"attach":{"source":{"kind":"files","paths":[]}}}"#,
        r#"{"scale":{"workers":99}}"#,
        "stop",
        "",
    ] {
        let (status, said) = post(&token, body.as_bytes());
        assert_eq!(status, 422, "{body}: {said}");
        assert!(said.contains("error"), "{said}");
    }
    assert_eq!(journal(&job), before, "nothing of it was followed");

    let (status, metrics) = request(&address, &head("GET /metrics", &address, &token), b"");
    assert_eq!(status, 200);
    assert!(metrics.contains("\nseseragi_paused 1\n"), "{metrics}");
    assert!(metrics.contains("seseragi_entries_total{source=\"aozora\",fate=\"learnt\"}"));
    assert_eq!(post(&token, br#""drain""#).0, 200);
    assert_eq!(running.end().code, Some(0));
    let waiting = told(&job, &["status"])["commands"].to_string();
    assert!(!waiting.contains("drain"), "it has had its effect: {waiting}");
}
