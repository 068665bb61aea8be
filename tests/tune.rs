//! A search: the better settings win, whatever the workers and the kills; its job can be run; and what
//! cannot be searched is refused.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]

#[path = "rig/program.rs"]
mod program;
#[path = "support/running.rs"]
mod running;

use std::{
    fs,
    path::{Path, PathBuf},
};

use program::{Ended, call, run, seseragi};
use running::Running;
use serde_json::Value;

/// A small job over the sample library with a search, in a folder of its own.
fn job(folder: &Path, name: &str, model: &str, tune: &str) -> PathBuf {
    let (path, directory) = (folder.join(format!("{name}.toml")), folder.join(name));
    let text = format!(
        "directory = {directory:?}\nworkers = 2\n[[source]]\nkind = \"sample\"\n\
         [flow]\nepoch_entries = 1\n[vocabulary]\nlimit = 600\n[chunk]\nwords = 1000\n\
         [train]\nthreads = 1\ndevice = \"cpu\"\nbatch = 4\nsequence = 16\n\
         [held_out]\nshare = 0.2\n[commit]\nevery = \"0 s\"\n\
         [model]\nlayers = 1\nhidden = 16\nembedding = 8\n{model}\n[tune]\n{tune}\n"
    );
    fs::write(&path, text).expect("a folder of ours");
    path
}

fn arguments<'a>(job: &'a Path, trials: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let job = job.to_str().expect("a path of ours");
    ["tune", job, "--trials", trials, "--json"].into_iter().chain(more.iter().copied()).collect()
}

fn tune(job: &Path, trials: &str, more: &[&str]) -> Ended {
    call(arguments(job, trials, more))
}

/// What each trial came to, the best first; of it a part.
fn each(outcome: &Value, part: &str) -> Vec<Value> {
    let trials = outcome["trials"].as_array().expect("a list");
    trials.iter().map(|trial| trial.pointer(part).expect("it is there").clone()).collect()
}

const RATE: &str = "/values/train.learning_rate";

#[test]
fn the_better_settings_win_and_their_job_can_be_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let rates = "bracket = 4\nrung_chunks = 2\n\
                 train.learning_rate = { choices = [1e-7, 1e-6, 0.01, 1e-5] }\n";
    let path = job(folder.path(), "search", "", rates);
    let outcome = tune(&path, "4", &[]).json();
    assert_eq!(outcome["complete"], true);
    assert_eq!(each(&outcome, RATE), [0.01, 1e-5, 1e-6, 1e-7]);
    assert_eq!(each(&outcome, "/fate"), ["kept", "outdone", "outdone", "outdone"]);
    assert_eq!(outcome["rungs"], serde_json::json!([2, 4]));
    let rungs: Vec<usize> =
        each(&outcome, "/rungs").iter().map(|rungs| rungs.as_array().map_or(0, Vec::len)).collect();
    assert_eq!(rungs, [2, 2, 1, 1]); // of 4 first 2 go, then 1
    let winner = &outcome["trials"][0];
    assert_eq!(
        (&outcome["winner"], &winner["rungs"][1]),
        (&winner["name"], &winner["bits_per_character"])
    );

    // What was held out was not looked at.
    let home = folder.path().join("search/tune");
    let metrics = fs::read_to_string(home.join("brackets/0/metrics.jsonl")).expect("metrics");
    assert!(metrics.contains("\"kind\":\"chunk\""));
    assert!(!metrics.contains("\"held_out\"") && !metrics.contains("\"repetition\""), "{metrics}");

    // Again it only tells, in words if it is asked to.
    let told = call(["tune", path.to_str().expect("ours"), "--trials", "4"]).done();
    let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][1], "train.learning_rate");
    assert_eq!((rows[1][1], rows[1].last()), ("0.01", Some(&"best")), "{told}");
    assert_eq!((rows[4][1], rows[4].last()), ("1e-7", Some(&"outdone")), "{told}");

    let svg = fs::read_to_string(home.join("tune.svg")).expect("a picture");
    let label =
        format!("{}, the best: learning_rate 0.01", winner["name"].as_str().expect("a name"));
    assert!(svg.contains(&label), "the winner is marked: {label}");
    assert!(fs::read(home.join("tune.png")).expect("a picture").starts_with(b"\x89PNG"));

    let best = home.join("best.toml");
    assert_eq!(outcome["job"], best.to_str().expect("ours"));
    let trained = run(&best, &[]).json();
    assert_eq!(trained["complete"], true);
    assert_eq!(trained["directory"], folder.path().join("search").to_str().expect("ours"));
    assert!(trained["held_out"]["documents"].as_u64() > Some(0), "{trained}");
    let noted = fs::read_to_string(folder.path().join("search/job.toml")).expect("the job");
    assert!(noted.contains("learning_rate = 0.01\n"), "{noted}");
}

#[test]
fn neither_workers_nor_kills_change_what_comes_of_a_search() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let ranges = "bracket = 4\nrung_chunks = 4\n\
                  train.learning_rate = { from = 1e-4, to = 0.1, scale = \"log\" }\n\
                  model.hidden = { from = 8, to = 24 }\n";
    let unbroken = tune(&job(folder, "unbroken", "", ranges), "7", &[]).json();
    assert_eq!(each(&unbroken, "/bracket").iter().filter(|bracket| **bracket == 1).count(), 3);
    assert!(unbroken["job"].is_string(), "{unbroken}");

    let other = tune(
        &job(folder, "other", "", ranges),
        "7",
        &["--set", "workers=3", "--set", "max_workers=3"],
    );
    assert_eq!(other.json()["trials"], unbroken["trials"], "with another number of workers");
    let path = job(folder, "seeded", "", ranges);
    let seeded = tune(&path, "4", &["--set", "seed=2"]).json();
    assert_ne!(each(&seeded, RATE), each(&unbroken, RATE));

    // Killed before, in and after either bracket.
    let path = job(folder, "killed", "", ranges);
    let mut kills = 0;
    for (line, nth) in [
        ("bracket 1 of 2", 1),
        ("committed", 1),
        ("set aside", 2),
        ("committed", 2),
        ("bracket 2 of 2", 1),
        ("chunk", 3),
        ("set aside", 1),
    ] {
        let mut running = Running::start(seseragi(arguments(&path, "7", &[])));
        let mut met = 0;
        let met = running.wait_for(|told| {
            met += u32::from(told.contains(line));
            met == nth
        });
        kills += u32::from(met && running.kill());
    }
    assert!(kills >= 5, "{kills} kills");
    let killed = tune(&path, "7", &[]).json();
    assert_eq!(killed["trials"], unbroken["trials"], "after {kills} kills");
    assert_eq!(killed["winner"], unbroken["winner"]);
    let best =
        |name: &str| fs::read_to_string(folder.join(name).join("tune/best.toml")).expect("a job");
    assert_eq!(best("killed").replace("killed", "unbroken"), best("unbroken"));
}

#[test]
fn a_drained_search_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let ranges = "bracket = 2\nrung_chunks = 8\ntrain.learning_rate = { from = 0.001, to = 0.1 }\n";
    let path = job(folder.path(), "drained", "", ranges);
    let mut running = Running::start(seseragi(arguments(&path, "4", &[])));
    running.wait_for_commits(1);
    running.signal("TERM");
    let drained = running.end();
    assert_eq!(drained.code, Some(0), "{drained:?}");
    let said = drained.json();
    assert!(said["complete"] == false && said["job"].is_null(), "{said}");
    assert!(drained.line("the same command goes on from here").is_some(), "{drained:?}");
    let outcome = tune(&path, "4", &[]).json();
    assert_eq!((outcome["complete"].as_bool(), each(&outcome, "/fate").len()), (Some(true), 4));
}

#[test]
fn a_trial_that_diverges_is_set_aside_and_if_all_do_the_search_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let wild = "cell = \"irnn\"\ntrain = { optimizer = \"sgd\", clip = \"none\" }";
    let rates = |rates: &str| {
        format!("bracket = 4\nrung_chunks = 2\ntrain.learning_rate = {{ choices = {rates} }}\n")
    };
    let path = job(folder.path(), "some", wild, &rates("[1e30, 0.001, 1e29]"));
    let outcome = tune(&path, "3", &[]).json();
    assert_eq!(each(&outcome, "/fate"), ["kept", "diverged", "diverged"]);
    assert_eq!(each(&outcome, RATE)[0], 0.001);
    assert_eq!(
        run(Path::new(outcome["job"].as_str().expect("a job")), &[]).json()["complete"],
        true
    );

    let path = job(folder.path(), "all", wild, &rates("[1e30, 1e29]"));
    let ended = tune(&path, "2", &[]);
    assert!(ended.messages.contains("every trial has diverged"), "{ended:?}");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let outcome: Value = serde_json::from_str(&ended.answer).expect("JSON all the same");
    assert!(outcome["winner"].is_null() && each(&outcome, "/fate").len() == 2, "{outcome}");
}

#[test]
fn the_ranges_may_hold_fewer_trials_than_are_asked_for_and_the_text_fewer_chunks() {
    let folder = tempfile::tempdir().expect("a folder");
    let ranges = "bracket = 4\nrung_chunks = 1000000\ntrain.learning_rate = { choices = [1e-6, 0.01] }\n\
                  model.tied = { choices = [true] }\n";
    let ended = tune(
        &job(folder.path(), "few", "", ranges),
        "9",
        &["--set", "train.batch=16", "--set", "train.sequence=32"],
    );
    let messages = ended.messages.clone();
    for part in ["no more than 2 different trials", "the text ended before the last rung did"] {
        assert!(messages.contains(part), "{part}: {messages}");
    }
    let outcome = ended.json();
    assert_eq!(
        (each(&outcome, RATE), each(&outcome, "/fate")),
        (vec![0.01.into(), 1e-6.into()], vec!["kept".into(); 2])
    );
}

#[test]
fn what_cannot_be_searched_is_wrong_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let rate = "train.learning_rate = { from = 1e-3, to = 1e-2 }\n";
    let path = job(folder.path(), "good", "", rate);
    for (text, more, expected) in [
        (
            "train.learning_rat = { from = 1e-3, to = 1e-2 }\n",
            &[][..],
            "did you mean `learning_rate`?",
        ),
        ("train.learning_rate = { frm = 1e-3, to = 1e-2 }\n", &[], "did you mean `from`?"),
        (
            "train.learning_rate = { from = 1e-3, to = -1 }\n",
            &[],
            "`tune.train.learning_rate.to` is -1",
        ),
        ("model.cell = { choices = [\"lstm\", \"gur\"] }\n", &[], "did you mean `gru`?"),
        ("", &[], "`tune` is without ranges"),
        (rate, &["--set", "source.0.kind=stdin"], "`source.0.kind` is stdin"),
        (rate, &["--set", "model=[{name=\"a\"},{name=\"b\"}]"], "`model` is 2 models"),
    ] {
        let ended = tune(&job(folder.path(), "bad", "", text), "2", more);
        assert!(ended.error(2).contains(expected), "{text} {more:?}: {ended:?}");
        assert!(!folder.path().join("bad").exists(), "nothing was begun: {text} {more:?}");
    }
    assert_eq!(tune(&path, "0", &[]).code, Some(2));

    // A search is gone on with as it was begun.
    tune(&path, "2", &["--set", "tune.rung_chunks=1"]).done();
    for more in [
        &["--set", "seed=5"][..],
        &["--set", "chunk.words=900"],
        &["--set", "tune.train.learning_rate.to=0.5"],
    ] {
        let more: Vec<&str> = ["--set", "tune.rung_chunks=1"].iter().chain(more).copied().collect();
        let ended = tune(&path, "2", &more);
        assert!(ended.error(2).contains("begun with another job"), "{more:?}: {ended:?}");
    }
    let ended = tune(&path, "3", &["--set", "tune.rung_chunks=1"]);
    assert!(ended.error(2).contains("number of trials"), "{ended:?}");
}
