//! One job in several processes: the digest of one process, whoever is killed and however many go on.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]

#[path = "support/library.rs"]
mod library;
#[path = "support/running.rs"]
mod running;
#[path = "support/stage.rs"]
mod stage;
#[path = "support/world.rs"]
mod world;

use std::{
    fs,
    io::Write,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use running::{Ended, Job, Running};
use serde_json::Value;
use world::{Among, PAGES, World};

/// The error that it ended with.
#[track_caller]
fn error(ended: &Ended, code: i32) -> &str {
    assert_eq!(ended.code, Some(code), "{:?}", ended.told);
    let errors = ended.told.iter().filter(|line| line.starts_with("error: "));
    let errors: Vec<_> = errors.collect();
    assert_eq!(errors.len(), 1, "{:?}", ended.told);
    assert!(!ended.told.iter().any(|line| line.contains("panicked")), "{:?}", ended.told);
    errors[0]
}

fn call(job: &Job, arguments: &[&str]) -> Output {
    steer(job, arguments).output().expect("the program can be started")
}

fn steer(job: &Job, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seseragi"));
    command.args(arguments).arg("--json").arg("--dir").arg(&job.directory);
    command
}

#[track_caller]
fn answer(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

#[track_caller]
fn told(job: &Job, arguments: &[&str]) -> Value {
    answer(&call(job, arguments))
}

#[test]
fn two_processes_of_two_workers_come_to_what_one_process_comes_to() {
    let world = World::make(51);
    let expected = world.alone(true);
    // Of the library's 36: 3 missing, 3 textless, 3 repeated. Of each site: 1 missing, 1 without an
    // article, and one text that both have.
    assert_eq!((expected.count("rejected"), expected.count("duplicate")), (6 + 4, 3 + 1));
    assert_eq!(expected.documents.len(), 36 + 2 * PAGES + 10);
    for (processes, workers) in [(2, 2), (3, 1)] {
        let job = world.job(&format!("among-{processes}"), true);
        let asked = || world.sites.each_ref().map(|site| site.count("/robots.txt"));
        let before = asked();
        let ended = Among::of(world.folder.path(), processes, workers).run(&job);
        let found = job.outcome();
        found.expect_same(&expected, &format!("{processes} processes of {workers}"));
        assert_eq!(ended[0].json()["weights_digest"], found.digest.as_str());
        assert_eq!(ended[1].json()["process"], 1);
        // Each site was asked by one process only: nobody else has asked for its rules.
        assert_eq!(asked(), before.map(|count| count + 1));
    }
}

#[test]
fn whoever_is_killed_the_others_say_so_and_any_number_goes_on_to_the_same_weights() {
    let world = World::make(52);
    let expected = world.alone(true);
    let job = world.job("killed", true);

    let among = Among::of(world.folder.path(), 2, 2);
    let [mut owner, peer] = among.start(&job).try_into().ok().expect("two");
    owner.wait_for_commits(3);
    assert!(peer.kill(), "it was still running");
    let ended = owner.end();
    let message = error(&ended, 1);
    let lost = format!("lost process 1 at {}", among.addresses[1]);
    assert!(message.contains(&lost) && message.contains("the run goes on from there"), "{message}");
    let half = world.folder.path().join("half");
    stage::copy(&job.directory, &half);

    // Two others go on, of which the owner's is killed.
    let among = Among::of(world.folder.path(), 2, 1);
    let [mut owner, peer] = among.start(&job).try_into().ok().expect("two");
    owner.wait_for_commits(2);
    assert!(owner.kill(), "it was still running");
    let ended = peer.end();
    let message = error(&ended, 1);
    let lost = format!("lost process 0 at {}", among.addresses[0]);
    assert!(message.contains(&lost) && message.contains("checkpoint stays"), "{message}");

    // One goes on alone.
    let ended = job.run();
    assert!(ended.line("resumed from epoch").is_some(), "{:?}", ended.told);
    job.outcome().expect_same(&expected, "killed twice");
    // And from where the first was killed, two to the end.
    fs::remove_dir_all(&job.directory)
        .and_then(|()| fs::rename(half, &job.directory))
        .expect("room");
    let ended = Among::of(world.folder.path(), 2, 1).run(&job);
    assert!(ended[0].line("resumed from epoch").is_some(), "{:?}", ended[0].told);
    job.outcome().expect_same(&expected, "killed once");
}

#[test]
fn drained_by_any_of_its_processes_a_job_goes_on_with_another_number_of_them() {
    let world = World::make(53);
    let expected = world.alone(true);
    let job = world.job("drained", true);
    let [mut owner, peer] =
        Among::of(world.folder.path(), 2, 2).start(&job).try_into().ok().expect("two");
    owner.wait_for_commits(2);
    peer.signal("TERM");
    let (ended, followed) = (owner.end(), peer.end());
    assert_eq!((ended.code, followed.code), (Some(0), Some(0)), "{:?}", ended.told);
    assert_eq!(ended.json()["complete"], false, "drained before the end");
    let committed = job.inspect()["epoch"].as_u64().expect("a commit");
    let mut command = job.command();
    command.args(["--set", "max_workers=3", "--set", "workers=3"]);
    let ended = Running::start(command).end();
    assert_eq!(ended.code, Some(0), "{:?}", ended.told);
    let resumed = format!("resumed from epoch {committed}");
    assert!(ended.line(&resumed).is_some(), "{:?}", ended.told);
    job.outcome().expect_same(&expected, "drained");
}

/// A run of two processes that is paused where one process was killed, with a source to attach.
fn paused(
    world: &World,
    name: &str,
    among: &Among,
    of_peer: &[&str],
) -> (Job, Vec<Running>, PathBuf) {
    let job = world.job(name, false);
    let mut running = job.start();
    running.wait_for_commits(3);
    assert!(running.kill(), "killed in the middle");
    told(&job, &["pause"]);
    let source = world.folder.path().join(format!("{name}-source.toml"));
    let text = format!(
        "kind = \"pages\"\nname = \"sites\"\nweight = 1.0\nurls = {:?}\nselector = \"article\"\n",
        world.urls()
    );
    fs::write(&source, text).expect("room");
    let owner = Running::start(among.command(&job, 0, &[]));
    let peer = Running::start(among.command(&job, 1, of_peer));
    (job, vec![owner, peer], source)
}

#[test]
fn a_source_attached_and_workers_scaled_while_two_processes_run_give_what_the_journal_gives() {
    let world = World::make(54);
    let gates = [16, 20, 24, 28, 33].map(|work| world.gate(work));
    let among = Among::of(world.folder.path(), 2, 2);
    let (job, mut running, source) = paused(&world, "steered", &among, &[]);
    assert!(running[0].wait_for(|line| line.contains("on: paused; ")));
    let source = source.to_str().expect("a path of ours");
    // It may just be starting: the command waits for it.
    let attached = told(&job, &["attach", source]);
    let refused = call(&job, &["scale", "5"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("4 were started") && message.contains("--processes"), "{message}");
    told(&job, &["resume"]);
    let mut last = 0;
    for (gate, workers) in gates.iter().zip(["3", "1", "2", "4"]) {
        last = told(&job, &["scale", workers])["from_epoch"].as_u64().expect("an epoch");
        gate.open();
    }
    let of_peer = loop {
        let status = told(&job, &["status"]);
        assert_eq!(status["workers"]["max"], 4);
        let processes = status["processes"].as_array().expect("a list").clone();
        let [owner, peer] = &processes[..] else { panic!("{processes:?}") };
        let count = |of: &Value, stage: &str| of["stages"][stage].as_u64().expect("a count");
        let all = status["stages"]["tokenize"].as_u64().expect("a count");
        let parts = count(owner, "tokenize") + count(peer, "tokenize");
        if all == parts && count(peer, "fetch") > 0 && count(peer, "tokenize") > 0 {
            assert_eq!(status["workers"]["busy_seconds"].as_array().map(Vec::len), Some(4));
            break (count(owner, "fetch"), count(peer, "fetch"));
        }
    };
    // The other process asks its own site alone.
    assert!(of_peer.1 <= PAGES as u64 && of_peer.0 > 0, "{of_peer:?}");
    gates[4].open();
    for ended in running.into_iter().map(Running::end) {
        assert_eq!(ended.code, Some(0), "{:?}", ended.told);
    }
    assert!(attached["from_epoch"].as_u64().expect("an epoch") < last);
    let outcome = job.outcome();
    let of_sites = outcome.documents.iter().filter(|line| line["source"] == "sites");
    let of_sites: Vec<_> = of_sites.collect();
    assert_eq!(of_sites.len(), 2 * PAGES);
    let fate = |fate: &str| of_sites.iter().filter(|line| line["fate"] == fate).count();
    assert_eq!(
        (fate("rejected"), fate("duplicate")),
        (4, 1),
        "read by its own selector everywhere"
    );

    // The same journal in one process, from the beginning.
    let replayed = world.job("replayed", false);
    fs::create_dir_all(&replayed.directory).expect("room for a run");
    let name = "journal.jsonl";
    let journal = fs::read_to_string(job.directory.join(name)).expect("a journal");
    let pauses = |line: &&str| line.contains("\"pause\"") || line.contains("\"resume\"");
    let kept: Vec<&str> = journal.lines().filter(|line| !pauses(line)).collect();
    fs::write(replayed.directory.join(name), kept.join("\n") + "\n").expect("room");
    replayed.run();
    replayed.outcome().expect_same(&outcome, "the same journal in one process");
}

#[test]
fn a_process_that_cannot_go_on_stops_the_job_with_its_own_cause() {
    let world = World::make(55);
    let gate = world.gate(20);
    let among = Among::of(world.folder.path(), 2, 1);
    let pages = world.folder.path().join("pages-of-the-other");
    let kept = format!("fetch.cache_dir={}", pages.display());
    let (job, running, source) = paused(&world, "failing", &among, &[&kept]);
    gate.open();
    let [mut owner, peer] = running.try_into().ok().expect("two");
    assert!(owner.wait_for(|line| line.contains("on: paused; ")));
    told(&job, &["attach", source.to_str().expect("a path of ours")]);
    // A file where a folder must be, which stops even a privileged user.
    fs::remove_dir_all(pages.join("objects")).expect("its cache is there");
    fs::write(pages.join("objects"), "").expect("room");
    told(&job, &["resume"]);
    let (owner, peer) = (owner.end(), peer.end());
    let message = error(&owner, 1);
    let whose = format!("process 1 at {} cannot go on: fetch: could not", among.addresses[1]);
    assert!(message.contains(&whose) && message.contains("pages-of-the-other"), "{message}");
    assert!(error(&peer, 1).starts_with("error: fetch: could not"), "{:?}", peer.told);

    // Mended, it goes on, and nothing is missing.
    fs::remove_file(pages.join("objects")).expect("it is ours");
    job.run();
    let outcome = job.outcome();
    assert_eq!(outcome.documents.len(), 36 + 2 * PAGES);
}

#[test]
fn processes_that_do_not_belong_together_or_do_not_come_are_told_apart_at_the_start() {
    let world = World::make(56);
    let job = world.job("refused", false);
    let among = Among::of(world.folder.path(), 2, 1);
    let start = |process, set: &[&str]| Running::start(among.command(&job, process, set));

    // Another job; where it keeps things may differ.
    let elsewhere = format!("directory={}", world.folder.path().join("elsewhere").display());
    let (owner, peer) = (start(0, &[]), start(1, &["train.passes=3", &elsewhere]));
    let ended = (owner.end(), peer.end());
    let differs = "`train.passes` is 3 there and 1 for process 0";
    assert!(
        error(&ended.0, 2).contains(&format!("cannot take part: it has another job: {differs}"))
    );
    let refused = error(&ended.1, 2);
    assert!(refused.contains("refused this process") && refused.contains(differs), "{refused}");

    // Nobody else comes, but for a stranger.
    for (process, missing) in [(0, 1), (1, 0)] {
        let mut running = Running::start(among.waiting(1, &job, process, &[]));
        assert!(running.wait_for(|line| line.starts_with("waiting for process")));
        if process == 0 {
            let stranger = || TcpStream::connect(&among.addresses[0]).ok();
            let mut stranger =
                std::iter::repeat_with(stranger).flatten().next().expect("it listens");
            stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it reads");
        }
        let ended = running.end();
        let message = error(&ended, 1);
        let waited = format!("waited 1 s for process {missing} at {}", among.addresses[missing]);
        assert!(message.contains(&waited) && message.contains("--wait"), "{message}");
    }

    // A port that another program has.
    let held = TcpListener::bind(&among.addresses[0]).expect("nobody has it");
    let ended = start(0, &[]).end();
    assert!(error(&ended, 2).contains(&format!("could not listen at {}", among.addresses[0])));
    drop(held);

    // A hosts file that is too short, and a process that is none.
    let ended = {
        let mut command = job.command();
        command.args(["-n", "3", "-p", "1", "--hostfile"]).arg(&among.hosts);
        Running::start(command).end()
    };
    assert!(error(&ended, 2).contains("has 2 of the 3 addresses"));
    let ended = start(2, &[]).end();
    assert!(error(&ended, 2).contains("there is no process 2 of 2"));

    // None of that has begun anything.
    Among::of(world.folder.path(), 2, 1).run(&job);
    job.outcome().expect_same(&world.alone(false), "after all that");
}

/// The answer of a command that was given while something else was to happen first.
fn answered(child: Child) -> Value {
    answer(&child.wait_with_output().expect("it is our child"))
}

#[test]
fn a_command_in_the_first_moments_of_a_run_waits_until_it_is_up() {
    let world = World::make(57);
    let among = Among::of(world.folder.path(), 2, 1);
    let job = world.job("early", false);
    let piped = |arguments: &[&str]| {
        let mut command = steer(&job, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program can be started")
    };
    let some_time = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seseragi"));
        assert!(command.arg("--version").output().expect("it starts").status.success());
    };
    let source = world.folder.path().join("early-source.toml");
    let files = world.folder.path().join("texts/*.txt");
    fs::write(&source, format!("kind = \"files\"\npaths = [{files:?}]\n")).expect("room");
    let allow = format!("allow.files=[{:?}]", world.folder.path());
    // The owner's process has its control server, and waits for the other before it can list sources.
    let mut owner = Running::start(among.command(&job, 0, &[&allow]));
    assert!(owner.wait_for(|line| line.starts_with("waiting for process 1")));
    let attaching = piped(&["attach", source.to_str().expect("a path of ours")]);
    some_time();
    let peer = Running::start(among.command(&job, 1, &[&allow]));
    assert_eq!(answered(attaching)["running"], true);
    for ended in [owner.end(), peer.end()] {
        assert_eq!(ended.code, Some(0), "{:?}", ended.told);
    }
    assert_eq!(job.outcome().documents.len(), 36 + 10);

    // One that has its directory locked, and no control server yet.
    let lock = fs::File::open(job.directory.join("lock")).expect("it was made");
    lock.lock().expect("the run has ended");
    let asking = piped(&["status"]);
    some_time();
    drop(lock);
    assert_eq!(answered(asking)["state"], "stopped");
}
