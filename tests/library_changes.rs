//! A library that changes between runs: only what was added or revised is fetched and learnt, what
//! was withdrawn is noted, and what is held out stays so.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]

#[path = "support/library.rs"]
mod library;
#[path = "support/running.rs"]
mod running;
#[path = "support/stage.rs"]
mod stage;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use library::{INDEX, Library, path};
use loopback::Server;
use running::Job;
use serde_json::Value;

fn id(work: u64) -> String {
    format!("000001/{work:06}")
}

fn ids(lines: &Value) -> Vec<&str> {
    let lines = lines.as_array().expect("a list");
    lines.iter().map(|line| line["id"].as_str().expect("an id")).collect()
}

/// The pages and the index that were asked for since there were `before` requests.
fn asked_for(server: &Server, before: usize) -> BTreeSet<String> {
    let requests = server.requests().into_iter().skip(before).map(|request| request.path);
    requests.filter(|path| path != "/robots.txt").collect()
}

/// The number of a work that met this fate.
fn some(documents: &[Value], fate: &str) -> u64 {
    let line = documents.iter().find(|line| line["fate"] == fate).expect("one of each fate");
    line["sequence"].as_u64().expect("a number") // in the first reading these are the works'
}

#[test]
fn only_what_the_library_added_or_revised_is_fetched_and_learnt() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut library = Library::write(&folder.path().join("library"), 24, 20);
    let server = library.serve(20, Duration::from_millis(5));
    let job = Job::new(&folder.path().join("unbroken"), &server.url(""), 2);
    job.run();
    let first = job.outcome();
    let everything = (0..24).map(path).chain([format!("/{INDEX}")]);
    assert_eq!(asked_for(&server, 0), everything.collect());

    // Nothing changed: the index is asked for, and that is all.
    let before = server.requests().len();
    job.run();
    assert_eq!(asked_for(&server, before), [format!("/{INDEX}")].into());
    job.outcome().expect_same(&first, "nothing changed");

    let (learnt, held_out) = (some(&first.documents, "learnt"), some(&first.documents, "held_out"));
    let gone = learnt + 1;
    library.revise(learnt, 21);
    library.revise(held_out, 22);
    library.withdraw(gone);
    library.revise(24, 23);
    library.revise(25, 24);
    let broken = Job::new(&folder.path().join("broken"), &server.url(""), 3);
    stage::copy(&job.directory, &broken.directory);

    let before = server.requests().len();
    job.run();
    let second = job.outcome();
    let changed = [learnt, held_out, 24, 25];
    let pages = changed.into_iter().map(path).chain([format!("/{INDEX}")]);
    assert_eq!(asked_for(&server, before), pages.collect());

    // Two revised, two added, one withdrawn; all that was there stays as it was.
    assert_eq!(second.documents.len(), 24 + 5);
    assert_eq!(second.documents[..24], first.documents);
    let changes = job.inspect_with(&["--changes"]);
    assert_eq!(ids(&changes["added"]), [24, 25].map(id));
    let revised: BTreeSet<_> = ids(&changes["revised"]).into_iter().map(str::to_owned).collect();
    assert_eq!(revised, [learnt, held_out].map(id).into());
    assert_eq!(ids(&changes["withdrawn"]), [id(gone)]);

    // Held out or not is a matter of the work, whatever its revision.
    let mut kept = BTreeMap::new();
    for line in second.documents.iter().filter(|line| line["fate"] != "withdrawn") {
        let work = line["id"].as_str().expect("an id");
        let is_held_out = line["held_out"].as_bool().expect("a flag");
        assert_eq!(*kept.entry(work).or_insert(is_held_out), is_held_out, "{work}");
        assert!(!(is_held_out && line["fate"] == "learnt"), "{work} was trained on");
    }
    assert!(kept[id(held_out).as_str()], "it was held out at first");

    // And a reading of the changes that is killed goes on as any other.
    let mut running = broken.start();
    assert!(running.wait_for(|line| line.starts_with("committed")), "a commit");
    assert!(running.kill(), "killed after its first commit");
    broken.run();
    broken.outcome().expect_same(&second, "killed while it read the changes");
    assert_eq!(broken.inspect_with(&["--changes"]), changes);
}
