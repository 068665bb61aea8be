//! The whole job over a real mirror of 600 works, in both orthographies, as one streaming job.
//!
//! The mirror is no part of the project: `SESERAGI_TEST_DATA` names the folder that has it, else
//! `../shared` beside the checkout; without it the test says so and passes.

#[path = "rig/program.rs"]
mod program;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use loopback::Server;
use program::call;
use serde_json::Value;

#[allow(clippy::print_stderr, reason = "tells a person that a test did nothing")]
fn mirror() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let data = std::env::var_os("SESERAGI_TEST_DATA").map_or_else(beside, PathBuf::from);
    let mirror = data.join("aozora/mirror");
    if !mirror.join("cards").is_dir() {
        eprintln!("skipped: there is no mirror at {}; set SESERAGI_TEST_DATA", mirror.display());
        return None;
    }
    Some(mirror)
}

/// Small enough for a test, the river whole.
const JOB: &str = r#"
[[source]]
kind = "aozora"

[flow]
epoch_entries = 16

[vocabulary]
limit = 2048
minimum_count = 20

[chunk]
words = 200000

[model]
layers = 1
hidden = 48
embedding = 32

[train]
batch = 128
sequence = 32
learning_rate = 0.004

[held_out]
every = "never"
"#;

#[test]
fn six_hundred_works_flow_from_the_mirror_to_a_model_that_writes() {
    let Some(mirror) = mirror() else { return };
    let server = Server::folder(mirror);
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let run = run.to_str().expect("temporary folders have plain names");
    let job = folder.path().join("job.toml");
    fs::write(&job, JOB).expect("room for a job file");

    let directory = format!("directory={run}");
    let address = format!("source.0.mirror={}", server.url(""));
    let outcome = program::run(&job, &[&directory, &address]).json();

    // Every work is accounted for, once.
    assert_eq!(outcome["complete"], true);
    let count = |fate: &str| outcome["account"][fate].as_u64().expect("a count");
    assert_eq!(count("entries"), 600);
    let fates = ["learnt", "held_out", "duplicates", "rejected"].map(count);
    assert_eq!(fates.iter().sum::<u64>(), 600);
    assert_eq!(fates[3], 0, "every page of the mirror has a text");
    assert!(fates[1] > 0, "a share is held out");
    let inspected = call(["inspect", run, "--json"]).json();
    let documents = inspected["documents"].as_array().expect("a list");
    let ids: HashSet<&str> =
        documents.iter().map(|document| document["id"].as_str().expect("an id")).collect();
    assert_eq!((documents.len(), ids.len()), (600, 600));
    for orthography in ["新字新仮名", "旧字旧仮名"] {
        assert!(documents.iter().any(|document| document["orthography"] == orthography));
    }
    assert_eq!(inspected["weights_digest"], outcome["weights_digest"]);
    assert_eq!(inspected["pending_ids"], 0);

    // One page a work was asked for, and the index.
    let pages = server.requests().iter().filter(|request| request.path.contains("/files/")).count();
    assert_eq!(pages, 600);

    // What came later was easier to foretell.
    let metrics = fs::read_to_string(Path::new(run).join("metrics.jsonl")).expect("metrics");
    let bits: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"))
        .filter(|line| line["kind"] == "chunk")
        .map(|line| line["bits_per_character"].as_f64().expect("a number"))
        .collect();
    let mean = |bits: &[f64]| bits.iter().sum::<f64>() / bits.len() as f64;
    assert!(bits.len() > 10, "{} chunks", bits.len());
    let (first, last) = (mean(&bits[..3]), mean(&bits[bits.len() - 3..]));
    assert!(last < first - 0.5, "{first:.2} bits per character at first, {last:.2} at last");

    let passage = call(["generate", run, "--prompt", "吾輩は", "--words", "60"]).done();
    let written = passage.trim().strip_prefix("吾輩は").expect("it goes on from the prompt");
    assert!(written.chars().filter(|c| ('ぁ'..='ん').contains(c)).count() > 5, "{written}");
}
