//! What a trained run writes, how its repetitions are told, and how it scores while learning.

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;

use std::{fs, path::Path, sync::LazyLock};

use program::{call, run};
use serde_json::Value;

/// A trained run of the sample library, made once, and its outcome.
static RUN: LazyLock<(String, Value)> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("voice");
    let _was_never_made = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("Cargo's own folder");
    let job = library::job_over(&folder, "kind = \"sample\"\n");
    let outcome = run(&job, &[]).json();
    let path = folder.join("run");
    (path.to_str().expect("a path of ours").to_owned(), outcome)
});

fn generate(arguments: &[&str]) -> program::Ended {
    call(["generate", &RUN.0].into_iter().chain(arguments.iter().copied()))
}

fn repetitions(run: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).expect("a run measures");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    lines.filter(|line: &Value| line["kind"] == "repetition").collect()
}

#[test]
fn the_gauge_is_in_the_metrics_and_leaves_the_weights_alone() {
    let (path, outcome) = &*RUN;
    let gauged = repetitions(Path::new(path));
    let last = gauged.last().expect("the evaluation at the end is gauged");
    assert_eq!((&last["passage"]["words"], &last["human"]["words"]), (&200.into(), &200.into()));
    assert!(last["sentence"]["sentences"].as_u64() > Some(0), "{last}");

    let folder = tempfile::tempdir().expect("a folder");
    let job = library::job_over(folder.path(), "kind = \"sample\"\n");
    let silent = run(&job, &["held_out.passage=0"]).json();
    assert_eq!(silent["weights_digest"], outcome["weights_digest"]);
    assert!(repetitions(&folder.path().join("run")).is_empty());
}

#[test]
fn several_passages_have_the_seeds_that_follow_one_another() {
    let several = generate(&["--words", "40", "--seed", "7", "--passages", "3", "--json"]).json();
    let passages = several["passages"].as_array().expect("a list");
    assert_eq!(passages.len(), 3);
    assert_eq!(several["text"], passages[0]["text"]);
    for (passage, seed) in passages.iter().zip(["7", "8", "9"]) {
        let alone = generate(&["--words", "40", "--seed", seed, "--json"]).json();
        assert_eq!(passage["text"], alone["text"], "seed {seed}");
    }
    let plain = generate(&["--words", "40", "--seed", "7", "--passages", "3"]).done();
    for passage in passages {
        assert!(plain.contains(passage["text"].as_str().expect("a text")), "{plain}");
    }
    assert_eq!(generate(&["--passages", "0"]).code, Some(2));
}

#[test]
fn a_passage_that_goes_in_circles_is_warned_of_and_no_repeat_cures_it() {
    let greedy = ["--words", "200", "--temperature", "0"];
    let stuck = generate(&greedy);
    assert!(stuck.messages.contains("goes in circles"), "{stuck:?}");
    let cured = generate(&[&greedy[..], &["--no-repeat", "3", "--json"]].concat());
    assert!(!cured.messages.contains("goes in circles"), "{cured:?}");
    assert_eq!(cured.json()["passages"][0]["repetition"]["rep_4"], 0.0);
    let usual = generate(&["--words", "200"]);
    assert!(!usual.messages.contains("goes in circles"), "{usual:?}");
    for (flag, value) in [("--min-p", "2"), ("--typical", "0"), ("--repetition-penalty", "0.5")] {
        let ended = generate(&[flag, value]);
        assert!(ended.error(2).contains(&flag[2..].replace('-', "_")), "{ended:?}");
    }
}

#[test]
fn a_score_names_the_works_that_it_was_made_on() {
    let scored = call(["evaluate", &RUN.0, "--json", "--passage", "0"]).json();
    let inspected = call(["inspect", &RUN.0, "--json"]).json();
    let hash = scored["held_out_hash"].as_str().expect("what was held out has a name");
    assert_eq!(inspected["held_out_hash"], hash);
    assert!(call(["inspect", &RUN.0]).done().contains(hash));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let own = own.to_str().expect("a plain name");
    let other = call(["evaluate", &RUN.0, own, "--json", "--passage", "0"]).json();
    assert_eq!(other.get("held_out_hash"), None, "files are the caller's to name");
}

#[test]
fn a_dynamic_score_at_rate_0_is_the_plain_one() {
    let evaluate = ["evaluate", &RUN.0, "--json", "--dynamic", "--rule", "sgd"];
    let answer = call(evaluate.into_iter().chain(["--learning-rate", "0"])).json();
    let number = |value: &Value| value["nats"].as_f64().expect("a number");
    let (plain, dynamic) = (number(&answer), number(&answer["dynamic"]));
    assert!((plain - dynamic).abs() < 1e-4 * plain, "{plain} and {dynamic}");
    let moved = call(evaluate.into_iter().chain(["--learning-rate", "0.1"])).json();
    assert!((number(&moved["dynamic"]) - plain).abs() > 1e-3 * plain, "the weights follow");
    assert_eq!(call(["evaluate", &RUN.0, "--learning-rate", "1"]).code, Some(2));
}
